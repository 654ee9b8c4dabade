//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// deployment is a production as docs/check.md wants it: PostgreSQL with TLS and two roles, and every setting.
type deployment struct {
	t       *testing.T
	pg      *dbtest.TLSServer
	name    string // of the database
	env     map[string]string
	admin   *pgx.Conn // as superuser
	app     string    // the program's role
	owner   string    // the tables'
	workDir string
}

// deployed is made once for the package; each test leaves it as it was.
var deployed string

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{t: t, pg: dbtest.TLS(t), app: "app_planted", owner: "owner_planted", workDir: t.TempDir()}
	first := deployed == ""
	if first {
		deployed = d.database()
	}
	d.name = deployed
	d.admin = d.pg.Admin(t, d.name)
	d.env = map[string]string{
		"ENVIRONMENT": "production", "SESSION_SECURE": "true", "TRUSTED_PROXY_HOPS": "2", "CLINIC_TIMEZONE": "America/New_York", "CLINIC_HELP": "extension 4711",
		"SESSION_SECRET_KEY": "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1", "AUDIT_KEY": "0b7de4419af86c3352cd90e1f7a8264b3e5d71c9408fab62",
		"DATABASE_CA_CERT": d.pg.CA, "DATABASE_URL": d.url(d.app, "localhost", ""), "DATABASE_MIGRATE_URL": d.url(d.owner, "localhost", ""),
		"LISTEN_ADDR": "127.0.0.1:0", "LOG_FORMAT": "text",
	}
	if first {
		if code, _, errs := command(t, d.environ(), "migrate"); code != 0 {
			t.Fatal(errs)
		}
		d.exec(`INSERT INTO users (username, password_hash, role) VALUES ('ada', '` + cheapHash(t, "seven brass kettles") + `', 'admin')`)
	}
	return d
}

// database makes one that the owner's role owns.
func (d *deployment) database() string {
	admin := d.pg.Admin(d.t, "postgres")
	for _, sql := range []string{`CREATE ROLE ` + d.app, `CREATE ROLE ` + d.owner} {
		if _, err := admin.Exec(context.Background(), sql+` LOGIN PASSWORD '`+d.pg.Password+`'`); err != nil {
			d.t.Fatal(err)
		}
	}
	if _, err := admin.Exec(context.Background(), `CREATE DATABASE deployed OWNER `+d.owner); err != nil {
		d.t.Fatal(err)
	}
	return "deployed"
}

func (d *deployment) url(user, host, parameters string) string {
	return d.pg.URL(user, host, d.name, parameters)
}

// environ is the environment with changes; an empty value takes a setting away.
func (d *deployment) environ(change ...string) []string {
	all := map[string]string{}
	for k, v := range d.env {
		all[k] = v
	}
	for _, c := range change {
		name, value, _ := strings.Cut(c, "=")
		all[name] = value
	}
	var env []string
	for k, v := range all {
		if v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

func (d *deployment) exec(sql string) {
	d.t.Helper()
	if sql == "" {
		return
	}
	if _, err := d.admin.Exec(context.Background(), sql); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

func cheapHash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// unsupported says that the server which the tests run on is no longer mended by its developers, which check warns of.
func (d *deployment) unsupported() bool {
	var major int
	if err := d.admin.QueryRow(context.Background(), `SELECT current_setting('server_version_num')::integer / 10000`).Scan(&major); err != nil {
		d.t.Fatal(err)
	}
	return time.Now().Year() > 2011+major && time.Now().Format("2006-01") >= fmt.Sprintf("%d-12", 2012+major-1)
}

// bad gives what is not as it should be, by id, and what could not be looked at because of it.
func bad(lines []db.Check) (results map[string]string, unseen []string) {
	results = map[string]string{}
	for _, l := range lines {
		switch {
		case l.Result == db.CheckPass:
		case l.Unseen():
			unseen = append(unseen, l.ID)
		default:
			results[l.ID] = l.Result
		}
	}
	return results, unseen
}

// planted is one thing that is wrong.
type planted struct {
	id, result string
	env        []string
	sql, undo  string
	files      func(dir string)
	cuts       bool // the database cannot be asked then
	says       string
}

func (d *deployment) plants() []planted {
	t := d.t
	shadow := func(what, sql string) (string, string) { // what this session sees of the server, changed for the program's role
		return sql + `; GRANT EXECUTE ON FUNCTION public.` + what + ` TO PUBLIC; ALTER ROLE ` + d.app + ` SET search_path = public, pg_catalog`,
			`DROP FUNCTION public.` + what + `; ALTER ROLE ` + d.app + ` RESET search_path`
	}
	clock, clockBack := shadow(`clock_timestamp()`, `CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT pg_catalog.clock_timestamp() + interval '1 hour'$$`)
	drift, driftBack := shadow(`clock_timestamp()`, `CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT pg_catalog.clock_timestamp() - interval '20 seconds'$$`)
	old, oldBack := shadow(`current_setting(text)`, `CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT CASE $1 WHEN 'server_version_num' THEN '130011' ELSE pg_catalog.current_setting($1) END$$`)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).Port
	_ = closed.Close()
	env := func(mode os.FileMode) func(string) {
		return func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("SESSION_SECRET_KEY=made-up\n"), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	git := func(then ...string) func(string) {
		return func(dir string) {
			env(0o600)(dir)
			for _, args := range append([]string{"init -q"}, then...) {
				c := exec.Command("git", strings.Fields(args)...)
				c.Dir = dir
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("this test needs git: %v %s", err, out)
				}
			}
		}
	}
	role := func(set string) (sql, undo string) {
		return `ALTER ROLE ` + d.app + ` SET ` + strings.ReplaceAll(set, "; ", `; ALTER ROLE `+d.app+` SET `), `ALTER ROLE ` + d.app + ` RESET ALL`
	}
	logAll, logBack := role(`log_statement = 'all'; log_parameter_max_length = -1; log_error_verbosity = 'default'`)
	logErrors, _ := role(`log_error_verbosity = 'default'; log_min_messages = 'warning'`)
	user := func(hash string) (sql, undo string) {
		return `INSERT INTO users (username, password_hash) VALUES ('eve', '` + hash + `')`, `DELETE FROM users WHERE username = 'eve'`
	}
	example, exampleBack := user(cheapHash(t, "your-password"))
	own, _ := user(cheapHash(t, "eve"))
	broken, brokenBack := user("$2b$12$tooshort")
	return []planted{
		{id: "session-key", result: "fail", env: []string{"SESSION_SECRET_KEY="}, says: "required"},
		{id: "session-key", result: "fail", env: []string{"SESSION_SECRET_KEY=short"}, says: "32 characters"},
		{id: "session-key", result: "fail", env: []string{"SESSION_SECRET_KEY=your-secret-key-change-in-production-min-32-chars"}, says: "placeholder"},
		{id: "session-key", result: "fail", env: []string{"SESSION_SECRET_KEY=your-very-long-random-secret-key-here"}, says: "placeholder"},
		{id: "session-key", result: "fail", env: []string{"SESSION_SECRET_KEY=" + strings.Repeat("kd7", 14)}, says: "too regular"},
		{id: "session-key", result: "warn", env: []string{"ENVIRONMENT=development", "SESSION_SECRET_KEY=" + strings.Repeat("kd7", 14)}, says: "too regular"},
		{id: "keys-apart", result: "fail", env: []string{"AUDIT_KEY=" + d.env["SESSION_SECRET_KEY"]}},
		{id: "session-secure", result: "fail", env: []string{"SESSION_SECURE=false"}},
		{id: "environment", result: "fail", env: []string{"ENVIRONMENT=prod"}},
		{id: "environment", result: "warn", env: []string{"ENVIRONMENT=development"}},
		{id: "session-times", result: "warn", env: []string{"SESSION_IDLE_TIMEOUT=8h"}},
		{id: "session-times", result: "fail", env: []string{"SESSION_LIFETIME=720h"}},
		{id: "proxy", result: "warn", env: []string{"TRUSTED_PROXY_HOPS=0"}},
		{id: "timezone", result: "warn", env: []string{"CLINIC_TIMEZONE="}},
		{id: "timezone", result: "fail", env: []string{"CLINIC_TIMEZONE=Mars/Olympus"}},
		{id: "help", result: "warn", env: []string{"CLINIC_HELP="}},
		{id: "settings", result: "fail", env: []string{"LOG_LEVEL=loud", "PORT=99999999"}, says: "PORT"},
		{id: "audit-key", result: "warn", env: []string{"AUDIT_KEY="}},
		{id: "audit-key", result: "fail", env: []string{"AUDIT_KEY=" + strings.Repeat("kd7", 14)}},
		{id: "audit-retention", result: "fail", env: []string{"AUDIT_RETENTION=365d"}},
		{id: "roles", result: "warn", env: []string{"DATABASE_URL=" + d.env["DATABASE_MIGRATE_URL"]}},

		{id: "database-tls", result: "fail", env: []string{"DATABASE_CA_CERT=", "DATABASE_URL=" + d.url(d.app, "LOCALHOST", "sslmode=prefer")}},
		{id: "database-tls", result: "warn", env: []string{"DATABASE_CA_CERT=", "DATABASE_URL=" + d.url(d.app, "LOCALHOST", "sslmode=require")}, says: "verify"},
		{id: "database-ca", result: "warn", env: []string{"DATABASE_CA_CERT=" + d.pg.CAUntil(t, time.Now().AddDate(0, 0, 10))}},
		{id: "database-ca", result: "fail", cuts: true, env: []string{"DATABASE_CA_CERT=nonsense"}},
		{id: "database", result: "fail", cuts: true, env: []string{"DATABASE_CA_CERT=" + d.pg.Stranger}, says: "encryption"},
		{id: "database", result: "fail", cuts: true, env: []string{"DATABASE_URL=" + strings.Replace(d.env["DATABASE_URL"], d.pg.Password, "another", 1)}, says: "password"},
		{id: "database", result: "fail", cuts: true, env: []string{"DATABASE_URL=" + strings.Replace(d.env["DATABASE_URL"], d.name, "no_such", 1)}, says: "no such database"},
		{id: "database", result: "fail", cuts: true, env: []string{"DATABASE_URL=" + strings.Replace(d.env["DATABASE_URL"], fmt.Sprint(":", d.pg.Port), fmt.Sprint(":", nobody), 1)}, says: "nobody listens"},
		{id: "database", result: "fail", cuts: true, env: []string{"DATABASE_URL="}, says: "DATABASE_URL"},
		{id: "database-pooler", result: "fail", env: []string{"DATABASE_URL=" + d.env["DATABASE_URL"] + "default_query_exec_mode=exec"}},
		{id: "database-connections", result: "warn", env: []string{"DATABASE_URL=" + d.env["DATABASE_URL"] + "pool_max_conns=150"}},
		{id: "database-connections", result: "warn", sql: `ALTER DATABASE ` + d.name + ` CONNECTION LIMIT 12`, undo: `ALTER DATABASE ` + d.name + ` CONNECTION LIMIT -1`, says: "limit of the database"},

		{id: "env-file", result: "fail", files: env(0o644), says: "0644"},
		{id: "env-file", result: "fail", files: git("add .env"), says: "git repository"},
		{id: "env-file", result: "warn", files: git(), says: ".gitignore"},

		{id: "database-version", result: "fail", sql: old, undo: oldBack, says: "13.11"},
		{id: "database-clock", result: "fail", sql: clock, undo: clockBack, says: "1h0m"},
		{id: "database-clock", result: "warn", sql: drift, undo: driftBack},
		{id: "database-superuser", result: "warn", sql: `ALTER ROLE ` + d.app + ` SUPERUSER`, undo: `ALTER ROLE ` + d.app + ` NOSUPERUSER`},
		{id: "database-log", result: "fail", sql: logAll, undo: logBack},
		{id: "database-log", result: "warn", sql: logErrors, undo: logBack},
		{id: "schema", result: "fail", sql: `UPDATE schema_migrations SET dirty = true`, undo: `UPDATE schema_migrations SET dirty = false`},
		{id: "schema", result: "fail", sql: `UPDATE schema_migrations SET version = version - 1`, undo: `UPDATE schema_migrations SET version = version + 1`, says: "behind"},
		{id: "schema", result: "warn", sql: `UPDATE schema_migrations SET version = version + 1`, undo: `UPDATE schema_migrations SET version = version - 1`, says: "newer"},
		{id: "tables-owner", result: "fail", sql: `ALTER TABLE sessions OWNER TO chartroom`, undo: `ALTER TABLE sessions OWNER TO ` + d.owner, says: "sessions of chartroom"},
		{id: "tables-owner", result: "warn", sql: `GRANT ` + d.owner + ` TO ` + d.app, undo: `REVOKE ` + d.owner + ` FROM ` + d.app, says: "member"},
		{id: "admin", result: "warn", sql: `UPDATE users SET role = 'clinician'`, undo: `UPDATE users SET role = 'admin'`},
		{id: "example-passwords", result: "fail", sql: example, undo: exampleBack, says: `"eve"`},
		{id: "example-passwords", result: "fail", sql: own, undo: exampleBack, says: `"eve"`},
		{id: "user-hashes", result: "warn", sql: broken, undo: brokenBack, says: `"eve"`},
		{id: "audit-triggers", result: "fail", sql: `ALTER TABLE audit_events_other DISABLE TRIGGER audit_events_append_only`, undo: `ALTER TABLE audit_events_other ENABLE TRIGGER ALL`},
		{id: "audit-privileges", result: "warn", sql: `GRANT UPDATE ON audit_events TO ` + d.app, undo: `REVOKE UPDATE ON audit_events FROM ` + d.app},
		{id: "audit-seals-protection", result: "fail", sql: `ALTER TABLE audit_seals DISABLE TRIGGER USER`, undo: `ALTER TABLE audit_seals ENABLE TRIGGER USER`},
		{id: "audit-functions", result: "fail", sql: `GRANT CREATE ON SCHEMA public TO ` + d.app, undo: `REVOKE CREATE ON SCHEMA public FROM ` + d.app},
		{id: "audit-writable", result: "fail", sql: `REVOKE INSERT ON audit_events FROM ` + d.app, undo: `GRANT INSERT ON audit_events TO ` + d.app},
		{id: "database-trgm", result: "fail", sql: `DROP EXTENSION pg_trgm CASCADE`, undo: `CREATE EXTENSION pg_trgm`},
	}
}

// TestCheckFindsEachPlantedMisconfigurationAndNothingElse plants one for each line; TestProveCheckFindsEveryPlanted… all there are.
func TestCheckFindsEachPlantedMisconfigurationAndNothingElse(t *testing.T) {
	d := newDeployment(t)
	seen := map[string]bool{}
	d.plant(slices.DeleteFunc(d.plants(), func(p planted) bool {
		before := seen[p.id]
		seen[p.id] = true
		return before
	}))
}

func (d *deployment) plant(all []planted) {
	t := d.t
	t.Helper()
	always := map[string]string{}
	if d.unsupported() {
		always["database-version"] = "warn"
	}
	found := map[string]bool{}
	for n, p := range all {
		dir := t.TempDir()
		if p.files != nil {
			p.files(dir)
		}
		d.exec(p.sql)
		code, lines := checkedIn(t, dir, d.environ(p.env...)...)
		d.exec(p.undo)
		want := map[string]string{p.id: p.result}
		for id, r := range always {
			if want[id] == "" && !p.cuts {
				want[id] = r
			}
		}
		if slices.Contains(p.env, "ENVIRONMENT=development") {
			want["environment"] = "warn"
		}
		got, unseen := bad(lines)
		if fmt.Sprint(got) != fmt.Sprint(want) || len(unseen) > 0 != p.cuts || (code == exitFailed) != (p.result == "fail") {
			t.Errorf("%d: planted %s (%s): found %v, exit %d, not looked at %v", n, p.id, p.result, got, code, unseen)
		}
		i := slices.IndexFunc(lines, func(l db.Check) bool { return l.ID == p.id })
		if text := fmt.Sprintf("%+v", lines[i]); !strings.Contains(text, p.says) || strings.Contains(fmt.Sprint(lines), d.pg.Password) || strings.Contains(fmt.Sprint(lines), "f39a1c07") {
			t.Errorf("%d: %s", n, text)
		}
		found[p.id] = true
	}
	t.Logf("%d misconfigurations planted, one at a time, over %d lines; each found, and nothing else", len(all), len(found))
}

func TestCheckPassesAWellSetUpDeploymentInEveryLine(t *testing.T) {
	d := newDeployment(t)
	code, lines := checkedIn(t, d.workDir, d.environ()...)
	for _, l := range lines {
		if l.Result != db.CheckPass && !(l.ID == "database-version" && d.unsupported()) {
			t.Errorf("%+v", l)
		}
		if l.ID == "database-tls" && l.Found != "TLS 1.3, the certificate was verified" {
			t.Error(l.Found)
		}
	}
	if code != 0 || len(lines) < 30 {
		t.Errorf("exit %d, %d lines", code, len(lines))
	}
	p := program(t, d.environ(), "check")
	p.Dir = d.workDir
	if code := p.start().finish(); code != 0 || strings.Contains(p.stdout.String(), "fail") || p.stderr.String() != "" {
		t.Errorf("exit %d\n%s%s", code, p.stdout, p.stderr)
	}
}

// TestTheTableOfLinesIsTheProgramsOwn holds docs/check.md and the program to each other.
func TestTheTableOfLinesIsTheProgramsOwn(t *testing.T) {
	text, err := os.ReadFile("docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, printed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	_, lines := checkedIn(t, t.TempDir()) // nothing is set, and every line is told all the same
	for _, l := range lines {
		printed = append(printed, l.ID)
	}
	if fmt.Sprint(documented) != fmt.Sprint(printed) {
		t.Errorf("docs/check.md has\n%s\nthe program\n%s", documented, printed)
	}
}

func TestServeDoesNotStartInProductionWhilePatientsDataAreInDanger(t *testing.T) {
	d := newDeployment(t)
	for _, p := range []struct{ what, sql, undo string }{
		{"audit triggers", `ALTER TABLE audit_events_other DISABLE TRIGGER audit_events_append_only`, `ALTER TABLE audit_events_other ENABLE TRIGGER ALL`},
		{"audit seals' protection", `ALTER TABLE audit_seals DISABLE TRIGGER USER`, `ALTER TABLE audit_seals ENABLE TRIGGER USER`},
		{"audit functions", `ALTER SCHEMA public OWNER TO chartroom; GRANT ALL ON SCHEMA public TO ` + d.owner + `, ` + d.app, `ALTER SCHEMA public OWNER TO pg_database_owner; REVOKE CREATE ON SCHEMA public FROM ` + d.app},
	} {
		d.exec(p.sql)
		code, _, errs := command(t, d.environ(), "serve")
		if code != exitFailed || strings.Count(errs, "chartroom: ") != 1 || !strings.Contains(errs, "chartroom: "+p.what+": ") {
			t.Errorf("%s: exit %d, %s", p.what, code, errs)
		}
		if p.what == "audit triggers" { // elsewhere it is told, and serves
			s := program(t, d.environ("ENVIRONMENT=development"), "serve").start()
			s.output(s.stderr, `(level=WARN msg="audit triggers: )`)
			s.output(s.stderr, `msg=(serving)`)
			_ = s.Process.Kill()
			<-s.ended
		}
		d.exec(p.undo)
	}
	s := program(t, d.environ(), "serve").start()
	s.output(s.stderr, `msg=(serving)`)
}
