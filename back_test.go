package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

func TestAStartWithSignInOffIsOnRecordAndWarnedOf(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	c := dbtest.Conn(t, dbURL)
	p, at := serving(t, dbURL, "SESSION_AUTH_ENABLED=false", "SESSION_AUTH_DISABLED_UNTIL="+time.Now().Add(time.Hour).Format(time.RFC3339))
	p.output(p.stderr, `(sign-in is switched off until)`)
	res, err := http.Get(at + "/patients")
	if err != nil || res.StatusCode != http.StatusOK || res.Request.URL.Path != "/patients" {
		t.Fatal(res, err)
	}
	res.Body.Close()
	var weakened bool
	if err := c.QueryRow(context.Background(), `SELECT detail->'weakened' ? 'SESSION_AUTH_ENABLED' FROM audit_events WHERE action = 'start'`).Scan(&weakened); err != nil || !weakened {
		t.Errorf("the start does not say it: %v", err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.finish()

	// The same settings, a while later: it starts, and asks to sign in.
	p, at = serving(t, dbURL, "SESSION_AUTH_ENABLED=false", "SESSION_AUTH_DISABLED_UNTIL="+time.Now().Add(-time.Minute).Format(time.RFC3339))
	if res, err = http.Get(at + "/patients"); err != nil || res.Request.URL.Path != "/login" {
		t.Error(res, err)
	}
	res.Body.Close()
	if !strings.Contains(p.stderr.String(), "remove SESSION_AUTH_ENABLED") {
		t.Error("it does not say that the settings are to be removed")
	}
}

func schemaVersion(t *testing.T, dbURL string) (v int) {
	t.Helper()
	if err := dbtest.Conn(t, dbURL).QueryRow(context.Background(), `SELECT version FROM schema_migrations`).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMigrateDownNamesWhatGoesAndRefusesWithoutTheFlag(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	env := []string{"DATABASE_URL=" + dbURL}
	newest := schemaVersion(t, dbURL)
	_, at := serving(t, dbURL)
	code, out, errs := command(t, env, "migrate", "down", strconv.Itoa(newest))
	if code != exitUsage || !strings.Contains(errs, "nothing was changed: this needs --yes-lose-data") {
		t.Errorf("exit %d %s", code, errs)
	}
	for _, said := range []string{"loses the table patients: rows 0", "loses the column users.role", "THE AUDIT GOES", "chartroom audit export", "works on this database right now"} {
		if !strings.Contains(out, said) {
			t.Errorf("it does not say %q:\n%s", said, out)
		}
	}
	for _, env := range [][]string{env, append(env, "ENVIRONMENT=production", "SESSION_SECURE=true", "SESSION_SECRET_KEY=f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1")} {
		if code, out, errs := command(t, env, "migrate", "down", strconv.Itoa(newest+1), "--yes-lose-data"); code != exitUsage || out != "" || !strings.Contains(errs, "nothing was changed") {
			t.Errorf("one too many: exit %d %s %s", code, out, errs)
		}
		if code, _, errs := command(t, env, "migrate", "down", "1"); code != exitUsage || !strings.Contains(errs, "--yes-lose-data") {
			t.Errorf("exit %d %s", code, errs)
		}
	}
	if v := schemaVersion(t, dbURL); v != newest {
		t.Errorf("the schema is at %d now", v)
	}
	if res, err := http.Get(at + "/healthcheck"); err != nil || res.StatusCode != http.StatusOK {
		t.Error(res, err)
	}
}
