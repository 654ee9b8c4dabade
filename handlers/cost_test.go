//go:build !prove && !bench

package handlers

import (
	"testing"

	"golang.org/x/crypto/bcrypt"

	"chartroom/db/dbtest"
)

// What a hash costs is not what the fast suite looks at. What is proven about time, and what is measured, pays the whole price.
func init() { dbtest.CheapPasswords() }

// TestHashesAreCheapHere: else a renamed variable would make this package's tests slow again, and nobody would notice.
func TestHashesAreCheapHere(t *testing.T) {
	t.Parallel()
	if cost, err := bcrypt.Cost([]byte(passwordHash)); err != nil || cost != bcrypt.MinCost {
		t.Errorf("a hash costs %d, want %d: db/dbtest/cost.go names the variable of package db that says it; %v", cost, bcrypt.MinCost, err)
	}
}
