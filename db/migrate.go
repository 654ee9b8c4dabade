package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Migrator runs the embedded migrations so that any number of processes may start at once and any of them may be
// killed at any time. golang-migrate alone does neither: its lock has a time limit and does not cover a repair, and a
// kill leaves a mark that no later start gets over.
type Migrator struct {
	URL    string // a direct address, never a transaction pooler: the lock belongs to a connection
	AppURL string // the program's own; when its user is another than URL's, that role is granted what it needs
	CACert string
	Files  fs.FS // NNNNNN_noun.up.sql and .down.sql
	Log    *slog.Logger

	Actor, Program string // for the audit: who started this, and the program's version
}

// SchemaStatus tells where a database's schema stands.
type SchemaStatus struct {
	Version int  // 0 when nothing was migrated yet
	Newest  int  // the newest migration of this program
	Dirty   bool // a migration was interrupted; the next start repairs it
}

// Advisory locks, any numbers that nobody else locks. migrationLock keeps processes apart. transactionLock is held by
// the transaction of each migration: a killed process loses the first at once, while the server's side of it may go on,
// and commit, for a while.
const (
	migrationLock   = 0x63686172746d
	transactionLock = 0x63686172746e
)

// Up brings the schema to this program's newest migration. A schema that is newer, after the program was rolled back,
// is left alone and worked with. A table of a foreign program under a name that we need is an error that names it.
func (m Migrator) Up(ctx context.Context) error {
	return m.locked(ctx, func(ctx context.Context, conn *pgx.Conn, cfg *pgx.ConnConfig) error {
		if err := m.retryLocks(ctx, func() error { return m.up(ctx, conn, cfg) }); err != nil {
			return err
		}
		if st, err := m.status(ctx, conn); err != nil || st.Version != st.Newest {
			return err // another program's schema, newer than ours: its own start has seen to the rest
		}
		if err := m.grant(ctx, conn, cfg.User); err != nil {
			return err
		}
		// Not a migration: each month needs one more partition, whatever the schema's version.
		if _, err := conn.Exec(ctx, `SELECT audit_events_make_partitions(@months)`, pgx.NamedArgs{"months": monthsAhead}); err != nil {
			// There are two years of them, and a default one: no reason not to start.
			m.Log.Warn("the audit's partitions for the coming months could not be made, the next start tries again", "error", err)
		}
		return nil
	})
}

// grant lets the program's role work on the tables that another role owns: all but changing the audit, and no DDL.
func (m Migrator) grant(ctx context.Context, conn *pgx.Conn, owner string) error {
	if m.AppURL == "" {
		return nil
	}
	app, err := pgx.ParseConfig(m.AppURL)
	if err != nil {
		return fmt.Errorf("the database address cannot be read: %w", hideAddress(err))
	}
	if app.User == owner {
		return nil
	}
	role := pgx.Identifier{app.User}.Sanitize()
	// Who may create functions and operators here could have those that act as the owner call them. Where it cannot be taken
	// back, because another role owns the schema, chartroom check says so.
	if _, err := conn.Exec(ctx, `DO $$ BEGIN
		EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, `+strings.ReplaceAll(role, "'", "''")+`', current_schema());
	EXCEPTION WHEN insufficient_privilege THEN NULL; END $$`); err != nil {
		return fmt.Errorf("take the right to create objects back: %w", err)
	}
	_, err = conn.Exec(ctx, strings.ReplaceAll(`
		GRANT SELECT, INSERT, UPDATE, DELETE ON users, sessions, ended_sessions, patients, patient_resources, patient_terms,
			patient_versions, patient_conflicts, patient_confirmations, imports, sign_in_throttle, known_devices, account_links, drafts,
			user_preferences TO role;
		GRANT SELECT, INSERT ON name_words, name_typos TO role;
		REVOKE ALL ON audit_events, audit_seals, audit_patients, audit_patients_made FROM role;
		REVOKE ALL ON SEQUENCE audit_events_id_seq FROM role;
		GRANT SELECT, INSERT ON audit_events TO role;
		GRANT SELECT, INSERT ON audit_seals TO role;
		GRANT SELECT ON audit_patients, audit_patients_made TO role;
		REVOKE ALL ON patients_indexes_deferred FROM role;
		GRANT SELECT ON patients_indexes_deferred TO role;
		GRANT SELECT ON schema_migrations TO role;
		GRANT USAGE ON users_id_seq, audit_events_id_seq TO role;
		GRANT EXECUTE ON FUNCTION audit_events_make_partitions(integer), audit_events_drop(interval), audit_patients_make(),
			patients_indexes_defer(), patients_index_make(text), sessions_touch(text, text, boolean), access_refused(integer, text, uuid, inet, text, text, text) TO role;
		SELECT audit_events_guard(c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'audit_events'::regclass;`, " role;", " "+role+";"))
	if err != nil {
		return fmt.Errorf("grant the tables to the role of DATABASE_URL: %w", err)
	}
	return nil
}

// Down takes n migrations back, the newest first, each in a transaction of its own. The users table and its rows stay, whatever
// n is. More than stand are TooMany, and then nothing is changed.
func (m Migrator) Down(ctx context.Context, n int) error {
	return m.locked(ctx, func(ctx context.Context, conn *pgx.Conn, cfg *pgx.ConnConfig) error {
		var standing []string
		if err := m.retryLocks(ctx, func() error {
			release, err := hold(ctx, conn)
			if err != nil {
				return err
			}
			defer release()
			standing, err = m.standing(ctx, conn)
			return err
		}); err != nil {
			return err
		}
		if n > len(standing) {
			return TooMany{n, len(standing)}
		}
		for i := range n {
			if err := m.retryLocks(ctx, func() error { return m.downOne(ctx, conn, cfg) }); err != nil {
				return fmt.Errorf("take back %s, after %d others were taken back: %w", standing[i], i, err)
			}
		}
		return nil
	})
}

// downOne notes where it starts from, because golang-migrate's mark bears the version that it goes to, and whoever
// finds that mark after a kill must know that the migration above it still stands.
func (m Migrator) downOne(ctx context.Context, conn *pgx.Conn, cfg *pgx.ConnConfig) error {
	release, err := hold(ctx, conn)
	if err != nil {
		return err
	}
	defer release()
	st, err := m.status(ctx, conn)
	if err != nil {
		return err
	}
	mig, err := m.open(cfg)
	if err != nil {
		return err
	}
	defer mig.Close()
	from, err := m.applied(ctx, conn, st)
	if err != nil {
		return err
	}
	if st.Dirty {
		if err := mig.Force(from); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf(`COMMENT ON TABLE schema_migrations IS '%s%d'`, downFrom, from)); err != nil {
		return err
	}
	release()
	if err := mig.Steps(-1); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `COMMENT ON TABLE schema_migrations IS NULL`)
	return err
}

const downFrom = "down from "

// applied is the version whose migration really stands: a mark that was left by an interrupted one means that this one
// was rolled back (see clearing), in whichever direction it went. -1 is golang-migrate's name for none.
func (m Migrator) applied(ctx context.Context, conn *pgx.Conn, st SchemaStatus) (int, error) {
	if !st.Dirty {
		return st.Version, nil
	}
	var note *string
	if err := conn.QueryRow(ctx, `SELECT obj_description(to_regclass('schema_migrations'))`).Scan(&note); err != nil {
		return 0, fmt.Errorf("read the mark of an interrupted migration: %w", err)
	}
	before := -1
	versions, err := m.versions()
	if err != nil {
		return 0, err
	}
	for _, v := range versions {
		if v < st.Version {
			before = v
		} else if note != nil && v > st.Version {
			if *note == fmt.Sprint(downFrom, v) {
				return v, nil
			}
			break
		}
	}
	return before, nil
}

// Status reads the version without changing anything.
func (m Migrator) Status(ctx context.Context) (SchemaStatus, error) {
	cfg, err := m.config()
	if err != nil {
		return SchemaStatus{}, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return SchemaStatus{}, explain("connect to the database", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return m.status(ctx, conn)
}

func (m Migrator) config() (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(m.URL)
	if err != nil {
		return nil, fmt.Errorf("the database address for migrations cannot be read: %w", hideAddress(err))
	}
	if err := verifyServer(cfg, m.CACert); err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = 5 * time.Second
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing is asked twice here
	cfg.RuntimeParams["application_name"] = "chartroom migrate"
	cfg.RuntimeParams["statement_timeout"] = "0"
	// A statement that waits behind one long reader makes everybody else wait behind it: give up soon, try again.
	cfg.RuntimeParams["lock_timeout"] = "3s"
	// PostgreSQL 14: ends the server's side of a killed process within this time, and with it what it held.
	cfg.RuntimeParams["client_connection_check_interval"] = "2s"
	return cfg, nil
}

// locked runs f while no other process migrates this database.
func (m Migrator) locked(ctx context.Context, f func(context.Context, *pgx.Conn, *pgx.ConnConfig) error) error {
	cfg, err := m.config()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return explain("connect to the database to migrate it", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) // and with it goes the lock
	for start, said := time.Now(), false; ; {
		var got bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, migrationLock).Scan(&got); err != nil {
			return fmt.Errorf("take the migration lock: %w", err)
		}
		if got {
			return f(ctx, conn, cfg)
		}
		if !said && time.Since(start) > 5*time.Second {
			said = true
			m.Log.Info("waiting for another process that is migrating the database")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the migration lock: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (m Migrator) retryLocks(ctx context.Context, f func() error) error {
	for {
		err := migrationError(f())
		if refused(err) != "55P03" { // lock_not_available
			return err
		}
		m.Log.Warn("a table is in use, the migration tries again")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (m Migrator) up(ctx context.Context, conn *pgx.Conn, cfg *pgx.ConnConfig) error {
	release, err := hold(ctx, conn)
	if err != nil {
		return err
	}
	defer release()
	st, err := m.status(ctx, conn)
	switch {
	case err != nil:
		return err
	case st.Version > st.Newest:
		m.Log.Warn("the database's schema is newer than this program, which works on it as it is",
			"schema", st.Version, "program", st.Newest)
		return nil
	case st.Version == st.Newest && !st.Dirty:
		return nil
	}
	done, err := m.applied(ctx, conn, st)
	if err != nil {
		return err
	}
	if err := m.refuseForeign(ctx, conn, done); err != nil {
		return err
	}
	mig, err := m.open(cfg)
	if err != nil {
		return err
	}
	defer mig.Close()
	// A stop in the middle finishes the migration that runs and begins no other.
	defer context.AfterFunc(ctx, func() { mig.GracefulStop <- true })()
	if st.Dirty {
		m.Log.Warn("a migration was interrupted and rolled back, running it again", "version", st.Version)
		if err := mig.Force(done); err != nil {
			return fmt.Errorf("clear the mark of an interrupted migration: %w", err)
		}
	}
	release()
	m.Log.Info("migrating the database", "from", max(st.Version, 0), "to", st.Newest)
	if err := ignoreNoChange(mig.Up()); err != nil {
		return err
	}
	return ctx.Err()
}

// hold waits for what a killed process has left running, and keeps anything else of it from beginning while the mark is
// read and repaired. The function that it returns lets go; it may be called twice.
func hold(ctx context.Context, conn *pgx.Conn) (release func(), err error) {
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, transactionLock); err != nil {
		return nil, fmt.Errorf("wait for an interrupted migration: %w", err)
	}
	return sync.OnceFunc(func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, transactionLock) // else with the connection
	}), nil
}

func (m Migrator) open(cfg *pgx.ConnConfig) (*migrate.Migrate, error) {
	files, err := iofs.New(m.Files, ".")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	driver, err := migratepgx.WithInstance(stdlib.OpenDB(*cfg), &migratepgx.Config{})
	if err != nil {
		return nil, err
	}
	return migrate.NewWithInstance("iofs", clearing{files, m}, "pgx5", driver)
}

// clearing makes each migration remove its own dirty mark in the implicit transaction that its statements share. A mark
// that stands then means "rolled back", never "perhaps applied", and can be repaired without a person. It begins by
// making sure that the mark is still its own: the process that set it may be dead, and another one have taken over.
// lock_not_available (55P03) makes the runner look again.
//
// Each also records itself, where the audit stands (again, or still) when it is done.
type clearing struct {
	source.Driver
	m Migrator
}

func (c clearing) ReadUp(v uint) (io.ReadCloser, string, error) {
	from := 0
	if before, err := c.Driver.Prev(v); err == nil {
		from = int(before)
	}
	r, id, err := c.Driver.ReadUp(v)
	return guarded(int(v), c.m.event(from, int(v)), r, id, err)
}

func (c clearing) ReadDown(v uint) (io.ReadCloser, string, error) {
	to := -1
	if before, err := c.Driver.Prev(v); err == nil {
		to = int(before)
	}
	r, id, err := c.Driver.ReadDown(v)
	return guarded(to, c.m.event(int(v), max(to, 0)), r, id, err)
}

// event is the statement that records a migration, inside its transaction. It is text, because the file's statements share a
// transaction only when they go to the server as one.
func (m Migrator) event(from, to int) string {
	return fmt.Sprintf(`DO $chartroom_audit$ BEGIN IF to_regclass('audit_events') IS NOT NULL THEN
		INSERT INTO audit_events (action, outcome, actor, program, detail)
		VALUES ('migration', 'success', %s, %s, '{"from": %d, "to": %d}'); END IF; END $chartroom_audit$;`, literal(m.Actor), literal(m.Program), from, to)
}

// literal quotes text for a DO block of ours, and leaves out what could end it.
func literal(text string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, "", "$", "", "\x00", "").Replace(strings.ToValidUTF8(text, "")) + "'"
}

func guarded(marked int, event string, r io.ReadCloser, id string, err error) (io.ReadCloser, string, error) {
	if err != nil {
		return nil, "", err
	}
	// On the file's first line, so that the lines in PostgreSQL's errors are the file's.
	before := fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d); DO $guard$ BEGIN IF NOT EXISTS (SELECT 1 FROM schema_migrations `+
		`WHERE version = %d AND dirty) THEN RAISE EXCEPTION 'another process has taken over' USING ERRCODE = '55P03'; END IF; END $guard$; `,
		transactionLock, marked)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(before), r, strings.NewReader("\n;"+event+" UPDATE schema_migrations SET dirty = false;")), r}, id, nil
}

func (m Migrator) status(ctx context.Context, conn *pgx.Conn) (SchemaStatus, error) {
	st := SchemaStatus{}
	versions, err := m.versions()
	if err != nil {
		return st, err
	}
	st.Newest = versions[len(versions)-1]
	err = conn.QueryRow(ctx, `SELECT version, dirty FROM schema_migrations LIMIT 1`).Scan(&st.Version, &st.Dirty)
	switch {
	case errors.Is(err, pgx.ErrNoRows), refused(err) == "42P01": // no such table
		return st, nil
	case refused(err) == "42703": // no such column
		return st, foreign("schema_migrations")
	case err != nil:
		return st, fmt.Errorf("read the schema's version: %w", err)
	}
	return st, nil
}

func (m Migrator) versions() ([]int, error) {
	names, err := fs.Glob(m.Files, "*.up.sql")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("read the migrations: none found")
	}
	var all []int
	for _, n := range names { // Glob sorts, and the numbers have one width
		var v int
		if _, err := fmt.Sscanf(n, "%d_", &v); err != nil {
			return nil, fmt.Errorf("read the migrations: %s does not begin with a number", n)
		}
		all = append(all, v)
	}
	return all, nil
}

var createsTable = regexp.MustCompile(`(?m)^CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)

// usersColumns are the predecessor's, from its production guide.
var usersColumns = []string{"id", "username", "email", "password_hash", "is_active", "created_at", "updated_at"}

// refuseForeign looks, before anything is changed, for relations that bear a name which a coming migration creates.
// The predecessor's users table is the one that is expected, if it has the predecessor's columns.
func (m Migrator) refuseForeign(ctx context.Context, conn *pgx.Conn, done int) error {
	versions, err := m.versions()
	if err != nil {
		return err
	}
	names, _ := fs.Glob(m.Files, "*.up.sql")
	for i, v := range versions {
		if v <= done {
			continue
		}
		text, err := fs.ReadFile(m.Files, names[i])
		if err != nil {
			return err
		}
		for _, match := range createsTable.FindAllStringSubmatch(string(text), -1) {
			table := match[1]
			var there, first bool
			var columns []string
			err := conn.QueryRow(ctx, `
				SELECT to_regclass(quote_ident($1)) IS NOT NULL, to_regclass(quote_ident($1)) = to_regclass(format('%I.%I', current_schema(), $1)) IS TRUE,
				       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped)`,
				table).Scan(&there, &first, &columns)
			switch {
			case err != nil:
				return fmt.Errorf("look for tables that are in the way: %w", err)
			case !there:
			case table != "users" || slices.ContainsFunc(usersColumns, func(c string) bool { return !slices.Contains(columns, c) }):
				return foreign(table)
			case !first: // it would not be adopted, a new and empty one would be made beside it
				return errors.New("the predecessor's table \"users\" stands in another schema than the first of search_path, where new tables go: " +
					"put its schema first, for example with options=-csearch_path%3DNAME in the address (nothing was changed)")
			}
		}
	}
	return nil
}

func foreign(table string) error {
	return fmt.Errorf("the database already has a table %q that is not Chartroom's: rename it, "+
		"or give Chartroom a database or schema of its own (nothing was changed)", table)
}

func ignoreNoChange(err error) error {
	if errors.Is(err, migrate.ErrNoChange) {
		return nil
	}
	return err
}

// migrationError keeps PostgreSQL's answer and drops golang-migrate's quote of the whole file.
func migrationError(err error) error {
	var byValue database.Error
	var byPointer *database.Error
	switch {
	case errors.As(err, &byValue):
		return fmt.Errorf("a migration failed at line %d and was rolled back: %w", byValue.Line, byValue.OrigErr)
	case errors.As(err, &byPointer):
		return fmt.Errorf("a migration failed: %w", byPointer.OrigErr)
	}
	return err
}

// Newest is the version of the program's last migration.
func (m Migrator) Newest() (int, error) {
	versions, err := m.versions()
	if err != nil {
		return 0, err
	}
	return versions[len(versions)-1], nil
}

// EnsureDatabase makes a database of that name where there is none, over a connection to another one of the same
// server; fresh drops it first, with all that is in it. For the private server behind demo and tests.
func EnsureDatabase(ctx context.Context, url, name string, fresh bool) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the private database server: %w", hideAddress(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	quoted := pgx.Identifier{name}.Sanitize()
	if fresh {
		if _, err := conn.Exec(ctx, `DROP DATABASE IF EXISTS `+quoted+` WITH (FORCE)`); err != nil {
			return fmt.Errorf("drop the database: %w", err)
		}
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+quoted)
	if err != nil && refused(err) != "42P04" { // duplicate_database
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}
