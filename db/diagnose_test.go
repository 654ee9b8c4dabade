package db_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"chartroom/db"
)

// TestAnswersOfAServerAreSortedByTheirCode is for those that no server here gives on demand; the others are really provoked, see
// TestProveEachLineOfTheTroubleshootingGuideIsReallyLogged.
func TestAnswersOfAServerAreSortedByTheirCode(t *testing.T) {
	t.Parallel()
	for _, try := range []struct{ code, message, kind string }{
		{"28000", `no pg_hba.conf entry for host "192.0.2.7", user "u", database "d", no encryption`, "encryption"},
		{"28000", `role "u" does not exist`, "password or role"},
		{"08P01", "unsupported startup parameter: statement_timeout", "pooler"},
		{"26000", `prepared statement "x" does not exist`, "pooler"},
		{"57P03", "the database system is starting up", "starting or stopping"},
		{"57P01", "terminating connection due to administrator command", "starting or stopping"},
		{"23505", "duplicate key value", ""},
	} {
		got, ok := db.Diagnose(fmt.Errorf("list patients: %w", &pgconn.PgError{Code: try.code, Message: try.message}))
		if got.Kind != try.kind || ok != (try.kind != "") || ok && got.Mend == "" {
			t.Errorf("%s: %+v", try.code, got)
		}
	}
	if _, ok := db.Diagnose(errors.New("something else")); ok {
		t.Error("what is not known has a kind")
	}
}

func TestAServerIsJudgedByWhetherItsDevelopersStillMendIt(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]map[int]string{
		"2026-11-30": {130011: db.CheckFail, 140023: db.CheckPass, 150008: db.CheckPass},
		"2026-12-01": {140023: db.CheckWarn, 150018: db.CheckPass, 180001: db.CheckPass},
		"2030-12-01": {170002: db.CheckWarn, 180001: db.CheckWarn, 190000: db.CheckPass},
	} {
		now, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		for number, result := range want {
			if l := db.VersionLine(number, now); l.Result != result || (l.Mend == "") != (result == db.CheckPass) {
				t.Errorf("%d on %s: %+v", number, at, l)
			}
		}
	}
	if l := db.VersionLine(140023, time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)); !strings.Contains(l.Found, "November 2026") {
		t.Error(l.Found)
	}
}
