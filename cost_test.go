//go:build !prove && !bench

package main

import (
	"os"

	"chartroom/db/dbtest"
)

// What a hash costs is not what the fast suite looks at, in the processes that it starts neither: half of their time went there. The
// proofs pay the whole price, and so does who asks for it.
func init() {
	if os.Getenv("CHARTROOM_TEST_WHOLE_PRICE") == "" {
		dbtest.CheapPasswords()
	}
}
