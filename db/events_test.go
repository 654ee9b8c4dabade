package db_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestMigrationsAreOnRecordBothWays(t *testing.T) {
	t.Parallel()
	url := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	m := dbtest.Migrator(url)
	m.Actor, m.Program = `command line: o'neil \$chartroom_audit$`, "1.2'3"
	if err := m.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	newest, err := m.Newest()
	if err != nil {
		t.Fatal(err)
	}
	const last = `SELECT detail::text || actor || program FROM audit_events WHERE action = 'migration' AND outcome = 'success' ORDER BY id DESC LIMIT 1`
	if got := value[string](t, c, last); !strings.Contains(got, fmt.Sprintf(`"to": %d`, newest)) || !strings.Contains(got, `o'neil`) || !strings.Contains(got, "1.2'3") {
		t.Errorf("up: %s", got)
	}
	// All but the first, which comes before there is an audit; each begins where the one before ended.
	n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'migration'`)
	if chain := value[int](t, c, `SELECT count(*) FROM audit_events a JOIN audit_events b ON a.detail->'to' = b.detail->'from'`); chain != n-1 || n < 6 {
		t.Errorf("%d migrations, %d follow another", n, chain)
	}
	if err := m.Down(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, c, last); !strings.Contains(got, fmt.Sprintf(`"from": %d`, newest)) {
		t.Errorf("down: %s", got)
	}
	if err := m.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'migration'`); got != n+2 {
		t.Errorf("%d events after down and up, %d before", got, n)
	}
	if err := m.Down(context.Background(), n); err != nil { // also over the one that made the audit
		t.Fatal(err)
	}
}

func TestAStartNamesTheSettingsThatWeakenIt(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	for _, weakened := range [][]string{nil, {"AUDIT_KEY", "SESSION_SECURE"}} {
		if err := d.RecordStart(context.Background(), "command line: ada", weakened); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"weakened": []} {"weakened": ["AUDIT_KEY", "SESSION_SECURE"]}`
	if got := value[string](t, c, `SELECT string_agg(detail::text, ' ' ORDER BY id) FROM audit_events WHERE action = 'start' AND actor = 'command line: ada' AND program = 'test'`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRefusalsThatStrangersCauseCannotFillTheAudit(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "viewer")
	v := signedIn(t, d, c, "ada")
	v.Route = "POST /patients/search"
	seen := value[time.Time](t, c, `SELECT last_seen_at FROM sessions`)
	for range 100 {
		if err := d.RefuseForm(context.Background(), v, db.RefusedFormToken); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.RefuseForm(context.Background(), db.Viewer{Client: from}, db.RefusedSite); err != nil { // another kind has its own bound
		t.Fatal(err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'csrf' AND outcome = 'refused' AND actor = 'ada' AND session_id IS NOT NULL
		AND detail = '{"kind": "form token", "route": "POST /patients/search"}'`); n != 30 {
		t.Errorf("%d of 100 recorded", n)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'csrf' AND actor = '' AND actor_id IS NULL AND host(client) = '192.0.2.7' AND detail = '{"kind": "other site"}'`); n != 1 {
		t.Errorf("%d of nobody", n)
	}
	if !value[time.Time](t, c, `SELECT last_seen_at FROM sessions`).Equal(seen) {
		t.Error("a refused form kept the session alive")
	}
	for range 2 {
		if err := d.Housekeep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := value[string](t, c, `SELECT string_agg(detail::text, ' ') FROM audit_events WHERE detail ? 'left_out'`); got != `{"kind": "form token", "left_out": 70}` {
		t.Errorf("what was left out: %s", got)
	}
}

// TestWhatWasLeftOutIsNotForgottenWhenItCannotBeRecorded: it is told once the audit takes events again.
func TestWhatWasLeftOutIsNotForgottenWhenItCannotBeRecorded(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `ALTER TABLE audit_events ADD CONSTRAINT closed CHECK (false) NOT VALID`)
	for range 3 {
		if err := d.RefuseForm(context.Background(), db.Viewer{Client: from}, db.RefusedSite); !db.Unavailable(err) {
			t.Errorf("got %v", err)
		}
	}
	if err := d.Housekeep(context.Background()); err == nil {
		t.Error("housekeeping said nothing")
	}
	must(t, c, `ALTER TABLE audit_events DROP CONSTRAINT closed`)
	if err := d.RefuseForm(context.Background(), db.Viewer{Client: from}, db.RefusedSite); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, c, `SELECT string_agg(detail::text, ' ') FROM audit_events`); got != `{"kind": "other site", "left_out": 3}` {
		t.Errorf("recorded: %s", got)
	}
}

func TestSignInsThatMustWaitAreCountedIntoTheAudit(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until) VALUES ('client', '\x00', 9, now(), now())`)
	f := db.SignInForm{Username: "nobody", Password: "wrong horse battery", From: db.Viewer{Client: from}}
	for range 6 {
		_, _ = d.SignIn(context.Background(), f)
	}
	must(t, c, `UPDATE sign_in_throttle SET blocked_until = now() + interval '10 minutes'`)
	for range 5 {
		if _, err := d.SignIn(context.Background(), f); !strings.Contains(fmt.Sprint(err), "too many") {
			t.Fatal(err)
		}
	}
	if err := d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	const counted = `SELECT count(*) || ' and ' || coalesce(sum((detail->>'left_out')::int), 0) FROM audit_events WHERE action = 'sign-in' AND detail->>'kind' = 'throttled'`
	if got := value[string](t, c, counted); got != "2 and 5" {
		t.Errorf("events and what they tell was left out: %s", got)
	}
}

var actionRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|.*\\| [^|]*(?:success|refused)[^|]*\\|$")

// TestEveryActionIsDocumentedAndWritten holds docs/audit.md, the list of actions and the code to each other. That nothing else is
// ever written, dbtest looks at after each test.
func TestEveryActionIsDocumentedAndWritten(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(dbtest.Root(), "docs", "audit.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range actionRow.FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(documented)
	known := slices.Sorted(slices.Values(db.AuditActions))
	if !slices.Equal(documented, known) {
		t.Errorf("docs/audit.md has %v\nthe code has %v", documented, known)
	}
	files, _ := filepath.Glob(filepath.Join(dbtest.Root(), "db", "*.go"))
	sql, _ := filepath.Glob(filepath.Join(dbtest.Root(), "db", "migrations", "*.up.sql"))
	var code strings.Builder
	for _, f := range append(files, sql...) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") && filepath.Base(f) != "actions.go" {
			code.Write(text)
		}
	}
	for _, action := range known {
		if !strings.Contains(code.String(), "'"+action+"'") && !strings.Contains(code.String(), `"`+action+`"`) {
			t.Errorf("%s is written nowhere", action)
		}
	}
}
