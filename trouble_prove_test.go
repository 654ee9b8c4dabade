//go:build prove && unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

// TestProveEachLineOfTheTroubleshootingGuideIsReallyLogged provokes each trouble and looks for the guide's line, whole, in what the program
// has printed. A line of the guide that nothing here provokes fails too.
func TestProveEachLineOfTheTroubleshootingGuideIsReallyLogged(t *testing.T) {
	text, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```log\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	said := strings.Join([]string{signInTroubles(t), databaseTroubles(t)}, "\n")
	said = strings.ReplaceAll(said, `\"`, `"`)
	for _, line := range lines {
		if !logged(said, line) {
			t.Errorf("nothing has logged\n%s", line)
		}
	}
	if strings.Contains(said, "typed-by-mistake") || strings.Contains(said, "hunter2") {
		t.Error("a password is in the log")
	}
	if len(lines) < 17 || t.Failed() {
		t.Logf("%d lines; the log:\n%s", len(lines), said)
	}
}

// logged wants all fields of a line in one line of the log; others may stand between.
func logged(said, line string) bool {
	parts := regexp.MustCompile(` (?:msg|kind|mend)=`).ReplaceAllStringFunc(line, func(s string) string { return "\x00" + s[1:] })
	parts = strings.Replace(parts, "database: (", "database: \x00(", 1)
	for l := range strings.Lines(said) {
		all := true
		for _, part := range strings.Split(parts, "\x00") {
			all = all && strings.Contains(l, strings.TrimSpace(part))
		}
		if all {
			return true
		}
	}
	return false
}

// signInTroubles is the log of a server on which people cannot sign in, lose cookies and run in circles.
func signInTroubles(t *testing.T) string {
	t.Helper()
	dbURL := dbtest.URL(t)
	c := dbtest.Conn(t, dbURL)
	right := cheapHash(t, "seven brass kettles")
	for _, user := range []string{`'ada', '` + right + `', true`, `'gone', '` + right + `', false`, `'broken', '$2b$12$tooshort', true`} {
		if _, err := c.Exec(t.Context(), `INSERT INTO users (username, password_hash, is_active) VALUES (`+user+`)`); err != nil {
			t.Fatal(err)
		}
	}
	p, at := serving(t, dbURL, "SESSION_SECURE=true")
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path, body, agent string, want int) {
		t.Helper()
		r, err := http.NewRequest(method, at+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("User-Agent", agent)
		if agent == "behind a proxy" {
			r.Header.Set("X-Forwarded-Proto", "https")
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s %s: %d, want %d", method, path, res.StatusCode, want)
		}
	}
	signIn := func(name, password string, want int) {
		t.Helper()
		ask("POST", "/login", url.Values{"username": {name}, "password": {password}}.Encode(), "browser", want)
	}
	signIn("typed-by-mistake", "seven brass kettles", 422)
	signIn("gone", "seven brass kettles", 422)
	signIn("broken", "seven brass kettles", 422)
	signIn("ada", "wrong", 422)
	signIn("ada", "seven brass kettles", 303)
	ask("GET", "/patients", "", "browser", 303) // without the cookie, which a browser would not keep
	if _, err := c.Exec(t.Context(), `UPDATE sign_in_throttle SET blocked_until = now() + interval '1 minute'`); err != nil {
		t.Fatal(err)
	}
	signIn("gone", "seven brass kettles", 429)
	for range 10 {
		ask("GET", "/", "", "browser", 303)
	}
	p.output(p.stderr, `(in a circle)`)

	if _, err := c.Exec(t.Context(), `DELETE FROM sign_in_throttle`); err != nil {
		t.Fatal(err)
	}
	q, other := serving(t, dbURL, "SESSION_SECURE=true", "TRUSTED_PROXY_HOPS=1")
	at = other
	ask("POST", "/login", url.Values{"username": {"ada"}, "password": {"seven brass kettles"}}.Encode(), "behind a proxy", 303)
	ask("GET", "/patients", "", "behind a proxy", 303)
	q.output(q.stderr, `(cookie dropped)`)
	// The rest of what may happen to a database that has answered.
	role := "standby_of_trouble"
	for _, sql := range []string{`CREATE ROLE ` + role + ` LOGIN`, `GRANT ALL ON ALL TABLES IN SCHEMA public TO ` + role, `GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ` + role} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // before the database goes
		_, _ = c.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
	})
	s, third := serving(t, strings.Replace(dbURL, "user="+c.Config().User, "user="+role, 1), "DATABASE_MIGRATE_URL="+dbURL)
	at = third
	for _, step := range []struct {
		sql  string
		want int
	}{{`REVOKE ALL ON users FROM ` + role, 500}, {`GRANT ALL ON users TO ` + role, 422},
		{`ALTER ROLE ` + role + ` SET default_transaction_read_only = on; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '` + role + `'`, 503}} {
		if _, err := c.Exec(t.Context(), step.sql); err != nil {
			t.Fatal(err)
		}
		ask("POST", "/login", url.Values{"username": {"nobody"}, "password": {"seven brass kettles"}}.Encode(), "browser", step.want)
	}
	for range 20 { // the first ones meet connections that are no more
		if !strings.Contains(s.stderr.String(), "read-only server") {
			ask("POST", "/login", url.Values{"username": {"nobody"}, "password": {"seven brass kettles"}}.Encode(), "browser", 503)
		}
	}
	for _, r := range []*process{p, q, s} {
		_ = r.Process.Kill()
		<-r.ended
	}
	return p.stderr.String() + q.stderr.String() + s.stderr.String()
}

// databaseTroubles is what starts print that do not get as far as a database.
func databaseTroubles(t *testing.T) string {
	t.Helper()
	pg := dbtest.TLS(t)
	admin := pg.Admin(t, "postgres")
	if _, err := admin.Exec(t.Context(), `CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '`+pg.Password+`'`); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	ca := "DATABASE_CA_CERT=" + pg.CA
	var said strings.Builder
	for _, try := range []struct {
		dbURL, ca string
		ends      bool // by itself
	}{
		{"postgres://u:hunter2@" + nobody + "/d", "", false},
		{"postgres://u:hunter2@no-such-host.invalid/d", "", false},
		{"postgres://u:hunter2@" + silent.Addr().String() + "/d?connect_timeout=1", "", false},
		{pg.URL("crowded", "localhost", "postgres", ""), ca, false},
		{pg.URL("chartroom", "localhost", "postgres", ""), "DATABASE_CA_CERT=" + pg.Stranger, true},
		{strings.Replace(pg.URL("chartroom", "localhost", "postgres", ""), pg.Password, "hunter2", 1), ca, true},
		{pg.URL("chartroom", "localhost", "no_such", ""), ca, true},
	} {
		p := program(t, []string{"DATABASE_URL=" + try.dbURL, "LISTEN_ADDR=127.0.0.1:0", try.ca}, "serve").start()
		if try.ends {
			if code := p.finish(); code != exitFailed || strings.Count(p.stderr.String(), "\n") != 1 {
				t.Errorf("exit %d\n%s", code, p.stderr)
			}
		} else {
			p.output(p.stderr, `(does not answer yet)`)
			_ = p.Process.Kill()
			<-p.ended
		}
		fmt.Fprintln(&said, p.stderr)
	}
	return said.String()
}
