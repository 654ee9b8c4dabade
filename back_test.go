package main

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

func TestAStartWithSignInOffIsOnRecordAndWarnedOf(t *testing.T) {
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
