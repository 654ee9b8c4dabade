package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db/dbtest"
)

// TestTheProductionGuide walks through the predecessor's "Production Deployment Guide - Session Authentication", step by
// step and in its order. Each subtest has the guide's step in its name; one deployment serves all of them, so they run
// together and never alone.
func TestTheProductionGuide(t *testing.T) {
	t.Parallel()
	g := &guide{t: t, dbURL: dbtest.EmptyURL(t), ca: newAuthority(t)}
	g.certFile, g.conn = g.ca.file(t), dbtest.Conn(t, g.dbURL)
	for _, step := range []struct {
		name string
		do   func(*guide, *testing.T)
	}{
		{"Database migration: the users table, its indexes and its trigger", (*guide).migration},
		{"Environment variables: SESSION_SECRET_KEY, SESSION_SECURE, ENVIRONMENT", (*guide).environment},
		{"First admin user: through a tunnel", (*guide).adminThroughATunnel},
		{"First admin user: by SQL, with a hash made beforehand", (*guide).adminBySQL},
		{"Deploy: the environment is set and the program starts", (*guide).deploy},
		{"Run the migration: the start has run it", (*guide).migrationRan},
		{"Create the admin: one more, on the running system", (*guide).oneMoreAdmin},
		{"Verify: the URL redirects to /login", (*guide).redirectsToLogin},
		{"Verify: sign in, dashboard with avatar, avatar → sign out", (*guide).verify},
		{"Security checklist: the secret is set and long enough", (*guide).secret},
		{"Security checklist: the cookie is secure", (*guide).secureCookie},
		{"Security checklist: the database is reached over SSL", (*guide).databaseOverTLS},
		{"Security checklist: the admin's password is strong", (*guide).strongPassword},
		{"Security checklist: .env is ignored by git", (*guide).envIgnored},
		{"Security checklist: no hard-coded secrets", (*guide).noHardCodedSecrets},
		{"Security checklist: HTTPS is on", (*guide).https},
		{"Troubleshooting: Invalid username or password after deployment", (*guide).invalidPassword},
		{"Troubleshooting: session not persisting", (*guide).sessionNotPersisting},
		{"Troubleshooting: redirect loop", (*guide).redirectLoop},
		{"Troubleshooting: database connection errors", (*guide).databaseErrors},
		{"Rollback: revert the code", (*guide).revertTheCode},
		{"Rollback: switch sign-in off temporarily", (*guide).signInOff},
		{"Rollback: remove the users table", (*guide).removeTheTables},
		{"Post-deployment: sign-in and sign-out, and the list only between them", (*guide).postDeployment},
		{"Post-deployment: watch the logs", (*guide).logs},
		{"Post-deployment: more users", (*guide).moreUsers},
		{"Support: configuration", (*guide).configuration},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(g, t) }) && g.at == "" {
			t.Fatal("without this step there is nothing to go on with")
		}
	}
}

// guide is the deployment that the steps share.
type guide struct {
	t        *testing.T
	dbURL    string
	conn     *pgx.Conn
	ca       *authority
	certFile string
	server   *process
	at       string // https:// in front
	direct   string // http:// of the server itself
	checks   map[string]verifyLine
}

// Invented, as all here: a key that has enough entropy, and the users' passwords.
const (
	guideKey      = "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1"
	guidePassword = "seven brass kettles"
)

func (g *guide) env(more ...string) []string {
	return append([]string{"DATABASE_URL=" + g.dbURL, "ENVIRONMENT=production", "SESSION_SECURE=true", "SESSION_SECRET_KEY=" + guideKey,
		"AUDIT_KEY=1" + guideKey, "TRUSTED_PROXY_HOPS=2", "LISTEN_ADDR=127.0.0.1:0"}, more...)
}

// serve starts the program as in production and gives its own address.
func (g *guide) serve(t *testing.T, more ...string) (*process, string) {
	t.Helper()
	p := program(t, g.env(more...), "serve").start()
	return p, "http://" + p.output(p.stderr, `"msg":"serving","address":"([^"]+)"`)
}

func (g *guide) migration(t *testing.T) {
	if code, out, errs := command(t, []string{"DATABASE_URL=" + g.dbURL}, "migrate"); code != 0 || !strings.Contains(out, "up to date") {
		t.Fatal(code, out, errs)
	}
	var columns, indexes, triggers string
	if err := g.conn.QueryRow(context.Background(), `SELECT
		(SELECT string_agg(column_name || ' ' || udt_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'users'),
		(SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'users'),
		(SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'users'::regclass AND NOT tgisinternal)`).Scan(&columns, &indexes, &triggers); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(columns, "id int4, username varchar, email varchar, password_hash varchar, is_active bool, created_at timestamp, updated_at timestamp") {
		t.Error(columns)
	}
	for _, name := range []string{"idx_users_email", "idx_users_email_unique", "idx_users_username", "idx_users_username_unique"} {
		if !slices.Contains(strings.Fields(indexes), name) {
			t.Errorf("no index %s: %s", name, indexes)
		}
	}
	if !slices.Contains(strings.Fields(triggers), "update_users_updated_at") {
		t.Error(triggers)
	}
	var later bool
	if err := g.conn.QueryRow(context.Background(), `WITH u AS (INSERT INTO users (username, password_hash, updated_at) VALUES ('x', 'none', '2020-01-01') RETURNING id) SELECT true FROM u`).Scan(&later); err != nil {
		t.Fatal(err)
	}
	if err := g.conn.QueryRow(context.Background(), `UPDATE users SET email = 'x@clinic.example' WHERE username = 'x' RETURNING updated_at > '2020-01-02'`).Scan(&later); err != nil || !later {
		t.Error("the trigger does not set updated_at", err)
	}
	if _, err := g.conn.Exec(context.Background(), `DELETE FROM users`); err != nil {
		t.Fatal(err)
	}
}

func (g *guide) environment(t *testing.T) {
	for _, wrong := range []struct{ env, named string }{
		{"SESSION_SECRET_KEY=", "SESSION_SECRET_KEY is required"}, {"SESSION_SECURE=false", "SESSION_SECURE must be true"}, {"ENVIRONMENT=prod", "ENVIRONMENT must be one of"},
	} {
		if code, _, errs := command(t, g.env(wrong.env), "serve"); code != exitUsage || !strings.Contains(errs, wrong.named) {
			t.Errorf("%s: exit %d, %s", wrong.env, code, errs)
		}
	}
}

func (g *guide) adminThroughATunnel(t *testing.T) {
	c, err := pgx.ParseConfig(g.dbURL)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", fmt.Sprintf("%s:%d", c.Host, c.Port)
	if strings.HasPrefix(c.Host, "/") {
		network, address = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", c.Host, c.Port)
	}
	through := fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", c.User, tunnel(t, network, address), c.Database)
	p := program(t, []string{"DATABASE_URL=" + through}, "user", "create", "--username", "ada", "--password-stdin")
	p.Stdin = strings.NewReader(guidePassword + "\n")
	if code := p.start().finish(); code != 0 || p.stdout.String() != "created ada (admin)\n" {
		t.Error(code, p.stdout, p.stderr)
	}
}

func (g *guide) adminBySQL(t *testing.T) {
	p := program(t, nil, "user", "hash-password")
	p.Stdin = strings.NewReader("nine tin whistles at dawn\n")
	if code := p.start().finish(); code != 0 {
		t.Fatal(code, p.stderr)
	}
	if _, err := g.conn.Exec(context.Background(), `INSERT INTO users (username, email, password_hash) VALUES ('by.sql', 'sql@clinic.example', $1)`, strings.TrimSpace(p.stdout.String())); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, []string{"DATABASE_URL=" + g.dbURL}, "user", "set-role", "by.sql", "admin"); code != 0 {
		t.Error(code, out, errs)
	}
}

func (g *guide) deploy(t *testing.T) {
	p := program(g.t, g.env(), "serve").start() // it lives as long as the guide
	g.server, g.direct = p, "http://"+p.output(p.stderr, `"msg":"serving","address":"([^"]+)"`)
	g.at = g.ca.site(g.t, g.direct, nil)
}

func (g *guide) migrationRan(t *testing.T) {
	if code, out, _ := command(t, []string{"DATABASE_URL=" + g.dbURL}, "migrate", "status"); code != 0 || !strings.Contains(out, "up to date") {
		t.Error(code, out)
	}
}

func (g *guide) oneMoreAdmin(t *testing.T) {
	if code, out, errs := command(t, []string{"DATABASE_URL=" + g.dbURL}, "user", "create", "--username", "bea", "--role", "admin", "--generate"); code != 0 || !strings.Contains(out, "created bea (admin)") {
		t.Error(code, out, errs)
	}
}

// get asks without following.
func (g *guide) get(t *testing.T, at string) (int, string, string) {
	t.Helper()
	res, err := g.ca.client().Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("Location"), string(body)
}

func (g *guide) redirectsToLogin(t *testing.T) {
	if status, to, _ := g.get(t, g.at+"/"); status != http.StatusSeeOther || to != "/login" {
		t.Error(status, to)
	}
}

func (g *guide) verify(t *testing.T) {
	code, lines := verified(t, g.certFile, g.at, "ada", guidePassword)
	for _, l := range lines {
		if l.Result != "pass" && l.ID != "https" { // on a port of its own there is no plain HTTP beside it
			t.Errorf("%+v", l)
		}
	}
	if g.checks = lines; code != 0 || len(lines) < 20 {
		t.Errorf("exit %d, %d lines", code, len(lines))
	}
}

func (g *guide) passed(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if g.checks[id].Result != "pass" {
			t.Errorf("%s: %+v", id, g.checks[id])
		}
	}
}

func (g *guide) secret(t *testing.T) {
	for _, bad := range []string{"short", "your-secret-key-change-in-production-min-32-chars", strings.Repeat("ab", 20)} {
		code, _, errs := command(t, g.env("SESSION_SECRET_KEY="+bad), "serve")
		if code != exitUsage || !strings.Contains(errs, "SESSION_SECRET_KEY") || strings.Contains(errs, bad) {
			t.Errorf("%s: exit %d, %s", bad, code, errs)
		}
	}
}

func (g *guide) secureCookie(t *testing.T) { g.passed(t, "cookie", "session") }

func (g *guide) databaseOverTLS(t *testing.T) {
	code, _, errs := command(t, g.env("DATABASE_URL=postgres://chartroom:hunter2hunter2@db.example.org/clinic?sslmode=prefer"), "serve")
	if code != exitUsage || !strings.Contains(errs, "DATABASE_URL") || !strings.Contains(errs, "unencrypted") || strings.Contains(errs, "hunter2") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func (g *guide) strongPassword(t *testing.T) {
	for _, weak := range []string{"test", "your-password", "your-secure-password", "admin"} { // the guide's own examples
		code, _, errs := command(t, []string{"DATABASE_URL=" + g.dbURL}, "user", "create", "--username", "eve", "--role", "admin", "--password", weak)
		if code != exitFailed || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d, %s", weak, code, errs)
		}
	}
}

func (g *guide) envIgnored(t *testing.T) {
	text, err := os.ReadFile(".gitignore")
	if err != nil || !slices.Contains(strings.Fields(string(text)), ".env") {
		t.Error("git does not ignore .env", err)
	}
}

// hardCoded finds a secret's name with a long value beside it.
var hardCoded = regexp.MustCompile(`(?i)(secret|password|passwd|token|api_?key|audit_?key)\w*["']?\s*(:=|[:=])\s*["']?[A-Za-z0-9+/_-]{24,}["'\s]`)

func (g *guide) noHardCodedSecrets(t *testing.T) {
	if !hardCoded.MatchString(`SESSION_SECRET_KEY="`+guideKey+`"`) || !hardCoded.MatchString("  session_secret_key: "+guideKey+"\n") {
		t.Fatal("it would not be found")
	}
	seen := 0
	for _, pattern := range []string{"*.go", "*.yml", ".*.yml", "Dockerfile", "*/*.go", "*/*/*.go", "views/*.templ", "db/migrations/*.sql", "docs/*", ".ci/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				continue // a directory
			}
			seen++
			if found := hardCoded.Find(text); found != nil {
				t.Errorf("%s holds what looks like a secret: %.30q…", f, found)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d files were looked at", seen)
	}
}

func (g *guide) https(t *testing.T) { g.passed(t, "tls", "hsts", "headers") }

func (g *guide) invalidPassword(t *testing.T) {
	env := []string{"DATABASE_URL=" + g.dbURL}
	if code, _, errs := command(t, env, "user", "disable", "bea"); code != 0 {
		t.Fatal(errs)
	}
	code, lines := verified(t, g.certFile, g.at, "bea", "whatever it may be")
	if l := lines["sign-in"]; code != exitFailed || l.Result != "fail" || !strings.Contains(l.Found, "disabled") || !strings.Contains(l.Mend, "chartroom user check") {
		t.Errorf("exit %d, %+v", code, l)
	}
}

func (g *guide) sessionNotPersisting(t *testing.T) {
	code, lines := verified(t, g.certFile, g.direct, "ada", guidePassword) // SESSION_SECURE=true, and no TLS in front
	if l := lines["cookie"]; code != exitFailed || l.Result != "fail" || !strings.Contains(l.Found, "would not last") || !strings.Contains(l.Mend, "HTTPS") {
		t.Errorf("exit %d, %+v", code, l)
	}
}

func (g *guide) redirectLoop(t *testing.T) {
	at := g.ca.site(t, g.direct, func(http.Handler) http.Handler { // redirects to HTTPS what came over it
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusMovedPermanently)
		})
	})
	code, lines := verified(t, g.certFile, at, "ada", guidePassword)
	if l := lines["redirect"]; code != exitFailed || l.Result != "fail" || !strings.Contains(l.Found, "circles") || !strings.Contains(l.Mend, "TRUSTED_PROXY_HOPS") {
		t.Errorf("exit %d, %+v", code, l)
	}
}

// databaseErrors takes the database away from the running server and brings it back.
func (g *guide) databaseErrors(t *testing.T) {
	if code, _, errs := command(t, g.env("DATABASE_URL="+strings.Replace(g.dbURL, "/test_", "/no_such_", 1)), "serve"); code != exitFailed || !strings.Contains(errs, "connect to the database") {
		t.Errorf("exit %d, %s", code, errs)
	}
	var name string
	if err := g.conn.QueryRow(context.Background(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	admin := dbtest.Admin(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`)
	exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `' AND application_name = 'chartroom'`)
	g.healthcheck(t, http.StatusServiceUnavailable)
	code, lines := verified(t, g.certFile, g.at, "ada", guidePassword)
	exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS true`)
	if l := lines["health"]; code != exitFailed || l.Result != "fail" || !strings.Contains(l.Found, "does not reach its database") {
		t.Errorf("exit %d, %+v", code, l)
	}
	g.healthcheck(t, http.StatusOK)
}

// healthcheck waits for an answer, because the program remembers its last one for a second.
func (g *guide) healthcheck(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status, _, _ := g.get(t, g.at+"/healthcheck")
		if status == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/healthcheck answers %d, not %d", status, want)
		}
	}
}

// revertTheCode starts this program on a schema that is newer than it, as an earlier release finds it.
func (g *guide) revertTheCode(t *testing.T) {
	if _, err := g.conn.Exec(context.Background(), `UPDATE schema_migrations SET version = version + 1`); err != nil {
		t.Fatal(err)
	}
	p, at := g.serve(t)
	if status, to, _ := g.get(t, at+"/"); status != http.StatusSeeOther || to != "/login" {
		t.Error(status, to)
	}
	if status, _, _ := g.get(t, at+"/healthcheck"); status != http.StatusOK || !strings.Contains(p.stderr.String(), "newer") {
		t.Errorf("%d\n%s", status, p.stderr)
	}
	if _, err := g.conn.Exec(context.Background(), `UPDATE schema_migrations SET version = version - 1`); err != nil {
		t.Fatal(err)
	}
}

// signInOff is what the contract says of SESSION_AUTH_ENABLED=false: for a limited time, for named clients, read-only.
func (g *guide) signInOff(t *testing.T) {
	if code, _, errs := command(t, g.env("SESSION_AUTH_ENABLED=false"), "serve"); code != exitUsage || !strings.Contains(errs, "SESSION_AUTH_DISABLED_UNTIL") {
		t.Errorf("without an end: exit %d, %s", code, errs)
	}
	until := "SESSION_AUTH_DISABLED_UNTIL=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if code, _, errs := command(t, g.env("SESSION_AUTH_ENABLED=false", until, "SESSION_AUTH_DISABLED_ALLOW=0.0.0.0/0"), "serve"); code != exitUsage || !strings.Contains(errs, "SESSION_AUTH_DISABLED_ALLOW") {
		t.Errorf("for the whole internet: exit %d, %s", code, errs)
	}
	_, direct := g.serve(t, "SESSION_AUTH_ENABLED=false", until, "SESSION_AUTH_DISABLED_ALLOW=127.0.0.1/32")
	at := g.ca.site(t, direct, nil)
	if status, _, page := g.get(t, at+"/patients"); status != http.StatusOK || !strings.Contains(page, `id="list"`) || !strings.Contains(strings.ToLower(page), "sign-in is switched off") {
		t.Errorf("a client of the list: %d", status)
	}
	res, err := g.ca.client().PostForm(at+"/patients", url.Values{"family": {"Nobody"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	var patients int
	if err := g.conn.QueryRow(context.Background(), `SELECT count(*) FROM patients`).Scan(&patients); err != nil || patients != 0 || res.StatusCode < 400 && res.StatusCode != http.StatusSeeOther {
		t.Errorf("it is not read-only: %d, %d patients, %v", res.StatusCode, patients, err)
	}
	_, elsewhere := g.serve(t, "SESSION_AUTH_ENABLED=false", until, "SESSION_AUTH_DISABLED_ALLOW=192.0.2.0/24")
	if status, to, _ := g.get(t, g.ca.site(t, elsewhere, nil)+"/patients"); status != http.StatusSeeOther || !strings.HasPrefix(to, "/login") {
		t.Errorf("a client that is not of the list: %d %s", status, to)
	}
}

// removeTheTables takes over the predecessor's table and gives it back.
func (g *guide) removeTheTables(t *testing.T) {
	dbURL := dbtest.EmptyURL(t)
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := dbtest.Conn(t, dbURL)
	if _, err := c.Exec(context.Background(), string(sql)); err != nil {
		t.Fatal(err)
	}
	before, env := dump(t, dbURL), []string{"DATABASE_URL=" + dbURL}
	code, out, errs := command(t, env, "migrate")
	newest := regexp.MustCompile(`version (\d+) of`).FindStringSubmatch(out)
	if code != 0 || newest == nil {
		t.Fatal(code, out, errs)
	}
	if code, out, errs := command(t, env, "migrate", "down", newest[1], "--yes-lose-data"); code != 0 {
		t.Fatal(code, out, errs)
	}
	if after := dump(t, dbURL); after != before || !strings.Contains(before, "ada.predecessor") {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	var tables, columns int
	if err := c.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('users', 'schema_migrations')),
		(SELECT count(*) FROM information_schema.columns WHERE table_name = 'users')`).Scan(&tables, &columns); err != nil || tables != 0 || columns != 7 {
		t.Errorf("%d tables are left, users has %d columns, %v", tables, columns, err)
	}
}

func (g *guide) postDeployment(t *testing.T) {
	g.passed(t, "sign-in", "sign-out", "closed", "closed-again", "list", "menu", "refusal")
	if status, to, page := g.get(t, g.at+"/patients"); status != http.StatusSeeOther || to != "/login?next=%2Fpatients" || strings.Contains(page, "<table") {
		t.Errorf("%d %s", status, to)
	}
}

func (g *guide) logs(t *testing.T) {
	text := g.server.stderr.String()
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, `{"time":`) {
			t.Errorf("a line that is not JSON: %s", line)
		}
	}
	for _, secret := range []string{guidePassword, guideKey, "ada@"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(text, `"msg":"request"`) {
		t.Error("no request is in it")
	}
}

func (g *guide) moreUsers(t *testing.T) {
	env := []string{"DATABASE_URL=" + g.dbURL}
	if code, out, errs := command(t, env, "user", "invite", "carl", "--role", "viewer", "--site", g.at); code != 0 || !strings.HasPrefix(out, g.at+"/invite/") {
		t.Error(code, out, errs)
	}
	if code, out, _ := command(t, env, "user", "list"); code != 0 || !strings.Contains(out, "carl") {
		t.Error(code, out)
	}
}

func (g *guide) configuration(t *testing.T) {
	_, help, _ := command(t, nil, "serve", "--help")
	for _, name := range []string{"SESSION_SECRET_KEY", "SESSION_SECURE", "ENVIRONMENT", "DATABASE_URL", "DATABASE_CA_CERT", "TRUSTED_PROXY_HOPS"} {
		if !strings.Contains(help, "$"+name) {
			t.Errorf("the help says nothing of %s", name)
		}
	}
	if code, out, errs := command(t, g.env(), "check", "--json"); !strings.HasPrefix(out, "[{") || strings.Contains(out+errs, guideKey) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}
