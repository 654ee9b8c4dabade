//go:build prove

package main

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"chartroom/db/dbtest"
	"chartroom/db/localpg"
)

// TestProveRemovingOurTablesLeavesThePredecessorsUsersAsTheyWere compares what pg_dump says of the whole table, and lets the
// predecessor write before, beside and after.
func TestProveRemovingOurTablesLeavesThePredecessorsUsersAsTheyWere(t *testing.T) {
	dbURL, ctx := dbtest.EmptyURL(t), context.Background()
	c := dbtest.Conn(t, dbURL)
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	run := func(sql string) {
		t.Helper()
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run(string(sql))
	run(`DROP ROLE IF EXISTS predecessor_reports`)
	run(`CREATE ROLE predecessor_reports`)
	t.Cleanup(func() { run(`DROP OWNED BY predecessor_reports; DROP ROLE predecessor_reports`) })
	run(`GRANT SELECT ON users TO predecessor_reports`)
	before := dumpUsers(t, dbURL)

	_, at := serving(t, dbURL)
	if _, status, _ := signIn(t, at, "ada.predecessor", "correct horse battery"); status != http.StatusOK {
		t.Fatal(status)
	}
	writes := func(name string) {
		t.Helper()
		run(`INSERT INTO users (username, email, password_hash) VALUES ('` + name + `', '` + name + `@clinic.example', '$2b$12$YeYPWvM5t8/w1ThnoDA1.OIVAPV4LUQ2zjKy7U8h.l9hxc6UtXp8C')`)
		run(`UPDATE users SET updated_at = '2024-01-01' WHERE username = '` + name + `'`)
		var touched bool
		if err := c.QueryRow(ctx, `SELECT updated_at > now() - interval '1 hour' FROM users WHERE username = $1`, name).Scan(&touched); err != nil || !touched {
			t.Errorf("its trigger does nothing: %v", err)
		}
	}
	writes("beside")
	if _, status, _ := signIn(t, at, "beside", "correct horse battery"); status != http.StatusOK {
		t.Errorf("whom the predecessor added beside us: %d", status)
	}
	run(`DELETE FROM users WHERE username = 'beside'`)

	n := strconv.Itoa(schemaVersion(t, dbURL))
	if code, out, errs := command(t, []string{"DATABASE_URL=" + dbURL}, "migrate", "down", n, "--yes-lose-data"); code != 0 || !strings.Contains(out, "schema version 0 of "+n) {
		t.Fatalf("exit %d %s%s", code, out, errs)
	}
	// The sequence has moved on, as it does with the predecessor's own rows.
	number := regexp.MustCompile(`(setval\('public\.users_id_seq', )\d+`)
	if after := dumpUsers(t, dbURL); number.ReplaceAllString(after, "$1") != number.ReplaceAllString(before, "$1") {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	var left []string
	if err := c.QueryRow(ctx, `SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if want := []string{"schema_migrations", "users", "users_id_seq"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	writes("after")
	if _, at := serving(t, dbURL); at != "" { // and Chartroom can come back
		if _, status, _ := signIn(t, at, "after", "correct horse battery"); status != http.StatusOK {
			t.Errorf("after coming back: %d", status)
		}
	}
}

// dumpUsers is the table as pg_dump writes it: columns, indexes, trigger, sequence, privileges and rows.
func dumpUsers(t *testing.T, dbURL string) string {
	t.Helper()
	bin, err := localpg.FindBin(os.Getenv("CHARTROOM_POSTGRES_BIN"), "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(bin, "pg_dump"), "--column-inserts", "--table=users", "--table=users_id_seq", dbURL).Output()
	if err != nil {
		t.Fatal(err)
	}
	// A random word of newer versions, which guards what psql reads.
	text := regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(string(out), "")
	for _, part := range []string{"CREATE TRIGGER update_users_updated_at", "idx_users_email_unique", "GRANT SELECT ON TABLE public.users TO predecessor_reports", "INSERT INTO public.users", "users_id_seq"} {
		if !strings.Contains(text, part) {
			t.Fatalf("pg_dump says nothing of %s:\n%s", part, text)
		}
	}
	return text
}

// TestProveThisProgramServesOnANewerSchema: what the next release adds does not disturb this one, which says so.
func TestProveThisProgramServesOnANewerSchema(t *testing.T) {
	dbURL := dbtest.URL(t)
	m := dbtest.Migrator(dbURL)
	files := fstest.MapFS{
		"000900_next.up.sql": {Data: []byte(`ALTER TABLE patients ADD COLUMN ward text NOT NULL DEFAULT ''; ALTER TABLE users ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
			ALTER TABLE audit_events ADD COLUMN place text NOT NULL DEFAULT ''; ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'web';
			CREATE TABLE wards (id integer PRIMARY KEY, name text NOT NULL); CREATE INDEX patients_ward ON patients (ward, id);`)},
		"000900_next.down.sql": {Data: []byte(`DROP TABLE wards;`)},
	}
	names, err := fs.Glob(m.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		text, err := fs.ReadFile(m.Files, n)
		if err != nil {
			t.Fatal(err)
		}
		files[n] = &fstest.MapFile{Data: text}
	}
	m.Files = files
	if err := m.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	env := []string{"DATABASE_URL=" + dbURL}
	in := program(t, env, "import", "-")
	in.Stdin = strings.NewReader(`{"resourceType":"Patient","id":"1","name":[{"family":"Abel"}]}`)
	if in.start().finish() != 0 {
		t.Fatal(in.stderr)
	}
	if code, _, errs := command(t, env, "user", "create", "--username", "ada", "--password", "seven brass kettles"); code != 0 {
		t.Fatal(errs)
	}
	p, at := serving(t, dbURL)
	if !strings.Contains(p.stderr.String(), "newer than this program") {
		t.Error("it does not warn")
	}
	client, status, page := signIn(t, at, "ada", "seven brass kettles")
	if status != http.StatusOK || !strings.Contains(page, "Abel") {
		t.Fatalf("%d\n%s", status, page)
	}
	patient := regexp.MustCompile(`/patients/[0-9a-f-]{36}`).FindString(page)
	for _, path := range []string{"/healthcheck", "/patients", patient, patient + "/edit", "/patients/new", "/account", "/admin/users", "/admin/audit", "/patients/export?format=csv"} {
		if res, err := client.Get(at + path); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %v %v", path, res.StatusCode, err)
		} else {
			res.Body.Close()
		}
	}
	if code, out, _ := command(t, env, "migrate", "status"); code != 0 || !strings.Contains(out, "newer than this program") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, errs := command(t, env, "migrate", "down", "1", "--yes-lose-data"); code != exitFailed || out != "" || !strings.Contains(errs, "take it back with the program that made it") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}
