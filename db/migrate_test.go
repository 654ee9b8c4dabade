package db_test

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// realMigrations are the project's, so that tests can put another one on top.
func realMigrations(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	dir := os.DirFS(filepath.Join(dbtest.Root(), "db", "migrations"))
	names, err := fs.Glob(dir, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal("no migrations", err)
	}
	for _, n := range names {
		content, err := fs.ReadFile(dir, n)
		if err != nil {
			t.Fatal(err)
		}
		files[n] = &fstest.MapFile{Data: content}
	}
	return files
}

func migrator(url string, files fs.FS) db.Migrator {
	return db.Migrator{URL: url, Files: files, Log: slog.New(slog.DiscardHandler)}
}

func value[T any](t *testing.T, c *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := c.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func must(t *testing.T, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	m := dbtest.Migrator(url)
	newest, err := m.Newest()
	if err != nil {
		t.Fatal(err)
	}
	c := dbtest.Conn(t, url)
	for round := range 2 {
		if err := m.Up(ctx); err != nil {
			t.Fatalf("up, round %d: %v", round, err)
		}
		if round == 0 {
			must(t, c, `INSERT INTO users (username, password_hash) VALUES ('kept', '$2b$12$x')`)
		}
		st, err := m.Status(ctx)
		if err != nil || st.Version != newest || st.Dirty {
			t.Fatalf("after up: %+v, %v", st, err)
		}
		if err := m.Down(ctx, newest); err != nil {
			t.Fatalf("down, round %d: %v", round, err)
		}
		if n := value[int](t, c, `SELECT count(*) FROM users WHERE username = 'kept'`); n != 1 {
			t.Fatal("going down lost a user")
		}
		left := value[[]string](t, c, `SELECT coalesce(array_agg(relname::text ORDER BY relname), '{}') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')`)
		if want := []string{"schema_migrations", "users", "users_id_seq"}; !slices.Equal(left, want) {
			t.Errorf("down leaves %v, want %v", left, want)
		}
	}
}

func TestAForeignTableInTheWayIsNamedAndNothingIsChanged(t *testing.T) {
	t.Parallel()
	for table, ddl := range map[string]string{
		"patients":          `CREATE TABLE patients (id serial, name text)`,
		"sessions":          `CREATE TABLE sessions (sid text)`,
		"audit_events":      `CREATE VIEW audit_events AS SELECT 1 AS n`,
		"users":             `CREATE TABLE users (id serial, login text)`,
		"schema_migrations": `CREATE TABLE schema_migrations (filename text)`,
	} {
		t.Run(table, func(t *testing.T) {
			url := dbtest.EmptyURL(t)
			c := dbtest.Conn(t, url)
			must(t, c, ddl)
			before := value[int](t, c, `SELECT count(*) FROM pg_class`)
			err := dbtest.Migrator(url).Up(context.Background())
			if err == nil || !strings.Contains(err.Error(), `"`+table+`"`) {
				t.Fatalf("got %v, want a sentence that names %q", err, table)
			}
			if after := value[int](t, c, `SELECT count(*) FROM pg_class`); after != before {
				t.Errorf("there are %d relations now, there were %d", after, before)
			}
		})
	}
}

func TestManyProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := dbtest.EmptyURL(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := dbtest.Migrator(url).Up(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestASchemaNewerThanTheProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	files := realMigrations(t)
	newer := realMigrations(t)
	newer["000900_future.up.sql"] = &fstest.MapFile{Data: []byte(`CREATE TABLE future (id integer);`)}
	newer["000900_future.down.sql"] = &fstest.MapFile{Data: []byte(`DROP TABLE future;`)}
	if err := migrator(url, newer).Up(ctx); err != nil {
		t.Fatal(err)
	}
	if err := migrator(url, files).Up(ctx); err != nil {
		t.Fatalf("the older program does not start: %v", err)
	}
	if err := migrator(url, files).Down(ctx, 1); err == nil {
		t.Error("the older program took back a migration it does not know")
	}
	if v := value[int](t, dbtest.Conn(t, url), `SELECT version FROM schema_migrations`); v != 900 {
		t.Errorf("the version is %d now", v)
	}
}

func TestAFailedMigrationIsRolledBackAndRunsAgainWhenMended(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	files := realMigrations(t)
	files["000900_broken.up.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE half (id integer);\nSELECT no_such_function();")}
	files["000900_broken.down.sql"] = &fstest.MapFile{Data: []byte(`DROP TABLE half;`)}
	err := migrator(url, files).Up(ctx)
	if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "CREATE TABLE") {
		t.Fatalf("got %v, want the line and not the file", err)
	}
	files["000900_broken.up.sql"] = &fstest.MapFile{Data: []byte(`CREATE TABLE half (id integer);`)}
	if err := migrator(url, files).Up(ctx); err != nil {
		t.Fatalf("after mending: %v", err)
	}
}

// slowly is a migration that can be killed in the middle: it has made its table when it begins to wait.
const slowly = `CREATE TABLE slow (id integer); SELECT pg_sleep(60);`

func withSlow(up, down string) fstest.MapFS {
	return fstest.MapFS{
		"000001_first.up.sql": {Data: []byte(`CREATE TABLE first (id integer);`)}, "000001_first.down.sql": {Data: []byte(`DROP TABLE first;`)},
		"000002_slow.up.sql": {Data: []byte(up)}, "000002_slow.down.sql": {Data: []byte(down)},
	}
}

func migrateSlowly(url string) int {
	files, m := withSlow(slowly, `DROP TABLE slow;`), db.Migrator.Up
	if os.Getenv("CHARTROOM_TEST_MIGRATE_DOWN") != "" {
		files = withSlow(slowly, `DROP TABLE slow; SELECT pg_sleep(60);`)
		m = func(m db.Migrator, ctx context.Context) error { return m.Down(ctx, 1) }
	}
	if err := m(migrator(url, files), context.Background()); err != nil {
		return 1
	}
	return 0
}

// killWhileMigrating starts this binary as a process that migrates, and kills it (SIGKILL) inside the migration.
func killWhileMigrating(t *testing.T, url string, env ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(self)
	p.Env = append(append(os.Environ(), "CHARTROOM_TEST_MIGRATE="+url), env...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	c := dbtest.Conn(t, url)
	deadline := time.Now().Add(20 * time.Second)
	for value[int](t, c, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep'`) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the process never came to the slow migration")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
}

func TestAKillInTheMiddleOfAMigrationIsRepairedByTheNextStart(t *testing.T) {
	t.Parallel()
	url := dbtest.EmptyURL(t)
	killWhileMigrating(t, url)
	files := withSlow(`CREATE TABLE slow (id integer);`, `DROP TABLE slow;`)
	if err := migrator(url, files).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := dbtest.Conn(t, url)
	if v, dirty := value[int](t, c, `SELECT version FROM schema_migrations`), value[bool](t, c, `SELECT dirty FROM schema_migrations`); v != 2 || dirty {
		t.Errorf("version %d, dirty %v", v, dirty)
	}
	must(t, c, `SELECT id FROM slow`)
}

func TestAKillInTheMiddleOfGoingDownIsRepairedByTheNextStart(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	quick := withSlow(`CREATE TABLE slow (id integer);`, `DROP TABLE slow;`)
	if err := migrator(url, quick).Up(ctx); err != nil {
		t.Fatal(err)
	}
	killWhileMigrating(t, url, "CHARTROOM_TEST_MIGRATE_DOWN=1")
	if err := migrator(url, quick).Up(ctx); err != nil {
		t.Fatal(err)
	}
	c := dbtest.Conn(t, url)
	if v, dirty := value[int](t, c, `SELECT version FROM schema_migrations`), value[bool](t, c, `SELECT dirty FROM schema_migrations`); v != 2 || dirty {
		t.Errorf("version %d, dirty %v", v, dirty)
	}
	must(t, c, `SELECT slow.id FROM slow, first`)
}

func TestMigratingFindsTheSamePhonesAsAnImport(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.URL(t)
	d, c := dbtest.OpenURL(t, url, time.Hour), dbtest.Conn(t, url)
	phones := func(id, telecom string) string { return resource(id, `,"telecom":`+telecom) }
	load(t, d, phones("1", `[{"system":"phone","use":"work","value":"(617) 555-0100"},{"system":"email","value":"a@b.cd"},{"system":"phone","use":"mobile","value":"+1 617 555 0199"},{"system":"sms","value":"617-555-0100"}]`)+
		phones("2", `[{"system":"phone","use":"old","value":"555 0111"},{"system":"phone","value":"911"}]`)+
		phones("3", `[{"system":"phone","value":"555\u00200122"}]`)+
		phones("4", `[{"system":"phone","value":"555 0133","extension":[{"url":"urn:x","valueString":"\ud83d\ude00 \\u0000"}]}]`)+
		resource("5", ``))
	const keys = `SELECT string_agg(import_key || phone_keys, ', ' ORDER BY import_key) FROM patients`
	want := value[string](t, c, keys)
	if want != "id:1 0010555716 99105557161, id:2, id:3 2210555, id:4 3310555, id:5" {
		t.Fatalf("imported: %s", want)
	}
	m := dbtest.Migrator(url)
	if err := m.Down(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := m.Up(ctx); err != nil {
		t.Fatal(err)
	}
	expect(t, "migrated", value[string](t, c, keys), want)
}

func TestAMigrationWaitsForATableInUseAndDoesNotGiveUp(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	predecessor(t, c)
	must(t, c, `BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE`)
	done := make(chan error, 1)
	go func() { done <- dbtest.Migrator(url).Up(ctx) }()
	// Longer than its lock_timeout, so that it has failed and tried again at least once.
	select {
	case err := <-done:
		t.Fatalf("it ended while the table was locked: %v", err)
	case <-time.After(4 * time.Second):
	}
	must(t, c, `COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAUsersTableThatWouldNotBeAdoptedStopsTheStart(t *testing.T) {
	t.Parallel()
	url := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	predecessor(t, c)
	must(t, c, `CREATE SCHEMA app`)
	must(t, c, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END $$`)
	err := dbtest.Migrator(url).Up(context.Background())
	if err == nil || !strings.Contains(err.Error(), "search_path") {
		t.Errorf("got %v", err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace`); n > 2 { // golang-migrate's own table at the most
		t.Errorf("%d relations were made", n)
	}
}

func TestTheProgramsRoleNeedsNoDDLWhenAnotherOneOwnsTheTables(t *testing.T) {
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	must(t, c, `DROP ROLE IF EXISTS chartroom_app`)
	must(t, c, `CREATE ROLE chartroom_app LOGIN`)
	must(t, c, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`) // PostgreSQL 14 grants it
	t.Cleanup(func() {
		must(t, c, `DROP OWNED BY chartroom_app`)
		must(t, c, `DROP ROLE chartroom_app`)
	})
	app := strings.Replace(url, "user="+c.Config().User, "user=chartroom_app", 1)
	m := dbtest.Migrator(url)
	m.AppURL = app
	if err := m.Up(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.Up(ctx); err != nil { // at each start
		t.Fatal(err)
	}
	d := dbtest.OpenURL(t, app, time.Hour)
	if _, err := d.CreateUser(ctx, db.By{Shell: "test"}, db.NewUser{Username: "ada", Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	db.SetDeferFrom(t, 300, 3)
	out, indexes := 0, searchIndexes(t, c)
	if _, err := d.ImportPatients(ctx, strings.NewReader(samples(1000)), db.ImportOptions{Actor: "test", Progress: func(db.ImportReport) { out = max(out, leftOut(t, c)) }}); err != nil {
		t.Fatal(err)
	}
	if out < 15 || searchIndexes(t, c) != indexes {
		t.Errorf("a first import left %d indexes out, and made them again to\n%s", out, searchIndexes(t, c))
	}
	must(t, c, `DELETE FROM patients`)
	load(t, d, resource("1", ``))
	v := signedIn(t, d, c, "ada")
	if l, err := d.ListPatients(ctx, v, db.ListQuery{Sort: db.SortName}); err != nil || len(l.Rows) != 1 {
		t.Error(err)
	}
	if _, err := d.OpenPatient(ctx, v, value[string](t, c, `SELECT id::text FROM patients`)); err != nil {
		t.Error(err)
	}
	if err := d.SignOutUser(ctx, db.By{Shell: "test"}, db.UserRef{Name: "ada"}); err != nil {
		t.Error(err)
	}
	if err := d.Housekeep(ctx); err != nil {
		t.Error(err)
	}
	if err := d.NewSealer(nil, nil, quietLog).Seal(ctx); err != nil {
		t.Error(err)
	}
	if r, err := d.VerifyAudit(ctx, db.VerifyOptions{}); err != nil || r.Bad != nil || r.Events == 0 || r.Unsealed != 0 {
		t.Errorf("%v %+v", err, r)
	}
	mine := dbtest.Conn(t, app)
	for _, sql := range []string{`UPDATE audit_seals SET events = 0`, `DELETE FROM audit_seals`, `TRUNCATE audit_seals`, `CREATE TABLE x ()`, `DROP TABLE patients`, `UPDATE audit_events SET actor = 'x'`, `DELETE FROM audit_events`, `TRUNCATE audit_events`, `ALTER TABLE audit_events DISABLE TRIGGER ALL`,
		`INSERT INTO patients_indexes_deferred VALUES (1, true, 'DROP TABLE users')`, `DELETE FROM patients_indexes_deferred`} {
		if _, err := mine.Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
