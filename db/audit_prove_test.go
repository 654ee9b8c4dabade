//go:build prove

package db_test

import "testing"

// TestProveEveryWayToEvents asks all questions that its short sister asks some of.
func TestProveEveryWayToEvents(t *testing.T) { everyWay(t, 1) }
