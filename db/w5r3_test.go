package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestW5RFunctionsWherePublicMayExecuteNone(t *testing.T) {
	url := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	must(t, c, `CREATE ROLE app_w5r_x LOGIN`)
	must(t, c, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	must(t, c, `ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`)
	t.Cleanup(func() {
		must(t, c, `DROP OWNED BY app_w5r_x`)
		must(t, c, `DROP ROLE app_w5r_x`)
	})
	app := strings.Replace(url, "user="+c.Config().User, "user=app_w5r_x", 1)
	m := dbtest.Migrator(url)
	m.AppURL = app
	if err := m.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	d := dbtest.OpenURL(t, app, time.Hour)
	addUser(t, c, "vic", "viewer")
	v := signedIn(t, d, c, "vic")
	v.Roles = []string{"admin"}
	if _, err := d.Whoami(context.Background(), v); err != db.ErrForbidden {
		t.Errorf("a refused role: %v", err)
	}
	must(t, c, `UPDATE sessions SET last_seen_at = now() - interval '10 minutes'`)
	v.Roles = db.Roles
	if _, err := d.Whoami(context.Background(), v); err != nil {
		t.Errorf("a session that is to be touched: %v", err)
	}
}

func TestW5RManyPastMonths(t *testing.T) {
	d, c, app := twoRoles(t)
	mine := dbtest.Conn(t, app)
	must(t, mine, `INSERT INTO audit_events (action, outcome, recorded) SELECT 'start', 'success', timestamptz '0100-01-02Z' + i * interval '1 month' FROM generate_series(1, 400) i`)
	start := time.Now()
	err := d.Housekeep(context.Background())
	t.Logf("%v after %v: %d partitions", err, time.Since(start), value[int](t, c, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`))
}
