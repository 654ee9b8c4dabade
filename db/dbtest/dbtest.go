// Package dbtest gives each test a PostgreSQL database of its own, migrated and empty, on a throw-away server that the
// test binary starts. Where there is no PostgreSQL the test fails and says what to do; it is never skipped.
package dbtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/localpg"
)

// Keys are the session keys of databases made here.
var Keys = []string{"a key for tests alone, forty characters long"}

var server struct {
	once sync.Once
	dir  string
	pg   *localpg.Server
	err  error
	n    atomic.Int64
	// admin makes and drops the databases: a connection for each would cost more than what it does.
	admin struct {
		sync.Mutex
		*pgx.Conn
	}
	// strategy is how a database is copied: file by file, which in memory takes half the time of the usual way, block by block
	// through the log. PostgreSQL 14 knows the first only, and no word for it.
	strategy string
}

// Main is for TestMain: it runs the tests and takes the server down.
func Main(m *testing.M) int {
	defer func() {
		stopTLS()
		if server.pg != nil {
			_ = server.pg.Stop()
		}
		if server.dir != "" {
			_ = os.RemoveAll(server.dir)
		}
	}()
	code := m.Run()
	if err := record(); err != nil {
		fmt.Fprintln(os.Stderr, "record the statements:", err)
		return 1
	}
	return code
}

const template = "chartroom_template"

func start() {
	server.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if server.dir, server.err = localpg.TempDir(); server.err != nil {
			return
		}
		server.pg, server.err = localpg.Start(ctx, localpg.Options{Dir: filepath.Join(server.dir, "pg"), BinDir: os.Getenv("CHARTROOM_POSTGRES_BIN")})
		if server.err != nil {
			return
		}
		if server.err = startRecording(ctx, server.pg.URL("postgres")); server.err != nil {
			return
		}
		if server.err = db.EnsureDatabase(ctx, server.pg.URL("postgres"), template, false); server.err != nil {
			return
		}
		if server.err = Migrator(server.pg.URL(template)).Up(ctx); server.err != nil {
			return
		}
		if server.err = prepare(ctx, server.pg.URL(template)); server.err != nil {
			return
		}
		server.admin.Conn, server.err = pgx.Connect(ctx, server.pg.URL("postgres"))
	})
}

// prepare empties the template's audit, in which the migrations stand, so that a test counts its own events alone. No trigger lets
// anybody do this but a superuser who switches triggers off. And it finds out how the template can be copied.
func prepare(ctx context.Context, url string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, `SET session_replication_role = replica; TRUNCATE audit_events RESTART IDENTITY`); err != nil {
		return err
	}
	return c.QueryRow(ctx, `SELECT CASE WHEN current_setting('server_version_num')::integer >= 150000 THEN ' STRATEGY file_copy' ELSE '' END`).Scan(&server.strategy)
}

// Migrator runs the project's migrations on a database.
func Migrator(url string) db.Migrator {
	return db.Migrator{URL: url, Files: os.DirFS(filepath.Join(Root(), "db", "migrations")), Log: slog.New(slog.DiscardHandler)}
}

// Root is the repository's top folder.
func Root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(here)))
}

// URL makes a database for this test, from the migrated template, and returns its address.
func URL(t testing.TB) string { return fresh(t, template) }

// EmptyURL makes a database in which nothing is.
func EmptyURL(t testing.TB) string { return fresh(t, "template1") }

func fresh(t testing.TB, from string) string {
	t.Helper()
	start()
	if server.err != nil {
		t.Fatalf("no PostgreSQL to test on: %v", server.err)
	}
	name := "test_" + strconv.FormatInt(server.n.Add(1), 10)
	exec(t, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s%s`, name, from, server.strategy))
	t.Cleanup(func() {
		unknownActions(t, server.pg.URL(name))
		exec(t, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
	})
	return server.pg.URL(name)
}

// unknownActions looks, after each test, whether the audit holds an action that is not in the list, which docs/audit.md explains.
// A database in which there is no such audit, or none any more, is left alone.
func unknownActions(t testing.TB, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return
	}
	defer c.Close(ctx)
	// Only the partitions that hold something: a plan for all of them, made in a connection that knows nothing yet, took a third of what
	// a test's database costs.
	var parts []string
	if err := c.QueryRow(ctx, `SELECT coalesce(array_agg(inhrelid::regclass::text), '{}') FROM pg_inherits WHERE inhparent = to_regclass('audit_events') AND pg_relation_size(inhrelid) > 0`).
		Scan(&parts); err != nil {
		return
	}
	for _, part := range parts {
		var unknown []string
		err = c.QueryRow(ctx, `SELECT coalesce(array_agg(DISTINCT action || ' ' || outcome), '{}') FROM `+part+` WHERE action <> ALL ($1) OR outcome <> ALL ($2)`,
			db.AuditActions, db.Outcomes).Scan(&unknown)
		if err == nil && len(unknown) > 0 {
			t.Errorf("the audit holds actions or outcomes that are not in db.AuditActions and db.Outcomes: %v", unknown)
		}
	}
}

// New opens a fresh database through package db.
func New(t testing.TB) *db.DB {
	t.Helper()
	d, _ := Open(t)
	return d
}

// Open is New with the database's address, for what a test wants to see or do behind the program's back.
func Open(t testing.TB) (*db.DB, string) {
	t.Helper()
	url := URL(t)
	return OpenURL(t, url, 15*time.Minute), url
}

// OpenURL opens a given database, with a given idle time.
func OpenURL(t testing.TB, url string, idle time.Duration) *db.DB {
	t.Helper()
	return OpenWith(t, url, func(c *db.Config) { c.Idle = idle })
}

// OpenWith opens a given database, with what change makes of the usual configuration.
func OpenWith(t testing.TB, url string, change func(*db.Config)) *db.DB {
	t.Helper()
	c := db.Config{URL: url, SessionKeys: Keys, Idle: 15 * time.Minute, Program: "test"}
	change(&c)
	d, err := db.Open(context.Background(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// Conn is a plain connection to a database, closed with the test.
func Conn(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// Admin is a connection beside all tests' databases, for what cannot be done from within one.
func Admin(t testing.TB) *pgx.Conn { return Conn(t, server.pg.URL("postgres")) }

// ServerLog is what PostgreSQL itself has written to its log so far.
func ServerLog(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(server.dir, "pg", "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Buffer collects what another goroutine writes, such as a log or a process's output.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Buffer) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is all that was written so far.
func (o *Buffer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Reset forgets it.
func (o *Buffer) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Reset()
}

// exec runs a statement beside all tests' databases.
func exec(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	server.admin.Lock()
	defer server.admin.Unlock()
	if server.admin.IsClosed() { // a test had PostgreSQL stopped
		var err error
		if server.admin.Conn, err = pgx.Connect(ctx, server.pg.URL("postgres")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := server.admin.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}
