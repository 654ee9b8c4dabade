package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestPostgreSQLsOwnLogHoldsNoValues runs into errors on a server that logs statements with errors, as most do. Values travel apart from
// statements; what PostgreSQL itself tells in DETAIL stays out with log_error_verbosity=terse, as docs/audit.md advises.
func TestPostgreSQLsOwnLogHoldsNoValues(t *testing.T) {
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	name := c.Config().Database
	for _, set := range []string{`log_min_messages = warning`, `log_min_error_statement = error`} {
		must(t, c, `ALTER DATABASE `+name+` SET `+set)
	}
	provoke := func(mark string) string {
		before := len(dbtest.ServerLog(t))
		e := dbtest.OpenURL(t, url, time.Minute)
		why := ""
		_, err := e.ImportPatients(context.Background(), strings.NewReader(resource(mark, `,"name":[{"family":"`+mark+`"}],"birthDate":"1931-02-27"`)), db.ImportOptions{Actor: "test", Rejected: func(_, reason string) { why += reason }})
		if err != nil {
			why += db.Loggable(err)
		}
		if why == "" || strings.Contains(why, mark) || strings.Contains(why, "1931") {
			t.Errorf("what is said of it: %q", why)
		}
		return dbtest.ServerLog(t)[before:]
	}
	load(t, d, resource("1", ``))
	must(t, c, `ALTER TABLE patients ADD CONSTRAINT provoked CHECK (birth_date IS NULL)`)
	must(t, c, `ALTER DATABASE `+name+` SET log_error_verbosity = terse`)
	if log := provoke("Xyzzyterse"); strings.Contains(log, "Xyzzyterse") || strings.Contains(log, "1931-02-27") || !strings.Contains(log, "provoked") || !strings.Contains(log, "STATEMENT:") {
		t.Errorf("the log:\n%s", log)
	}
	// And the looking is able to find.
	must(t, c, `ALTER DATABASE `+name+` SET log_error_verbosity = 'default'`)
	if log := provoke("Xyzzydefault"); !strings.Contains(log, "Xyzzydefault") {
		t.Errorf("with its DETAIL the log should hold the row:\n%s", log)
	}
}

func TestWhatIsLoggedOfAnErrorQuotesNoValue(t *testing.T) {
	t.Parallel()
	for code, shown := range map[string]bool{"22007": false, "22P02": false, "23505": false, "P0001": false, "XX000": false, "": false, "42P01": true, "53100": true, "57014": true} {
		err := fmt.Errorf("list patients: %w", &pgconn.PgError{Severity: "ERROR", Code: code, Message: "it says Xyzzy", TableName: "patients"})
		text := db.Loggable(err)
		if strings.Contains(text, "Xyzzy") != shown || !strings.Contains(text, code) || !strings.HasPrefix(text, "list patients: ") {
			t.Errorf("%s: %s", code, text)
		}
	}
	several := db.Loggable(errors.Join(fmt.Errorf("one: %w", &pgconn.PgError{Code: "22P02", Message: "it says Xyzzy"}), fmt.Errorf("two: %w", &pgconn.PgError{Code: "23505", Message: "Plugh"})))
	if strings.Contains(several, "Xyzzy") || strings.Contains(several, "Plugh") || !strings.Contains(several, "22P02") || !strings.Contains(several, "23505") {
		t.Error(several)
	}
}
