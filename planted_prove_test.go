//go:build prove && unix

package main

import "testing"

func TestProveCheckFindsEveryPlantedMisconfigurationAndNothingElse(t *testing.T) {
	d := newDeployment(t)
	d.plant(d.plants())
}
