package db_test

import (
	"os"
	"testing"

	"chartroom/db/dbtest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("CHARTROOM_TEST_MIGRATE"); url != "" {
		os.Exit(migrateSlowly(url)) // this binary as the process that a test kills, see migrate_test.go
	}
	dbtest.CheapPasswords()
	os.Exit(dbtest.Main(m))
}
