package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What a line of `chartroom check` can come to.
const (
	CheckPass = "pass"
	CheckWarn = "warn" // it works, and should not stay so
	CheckFail = "fail" // not with patients' data
)

// Check is a line of `chartroom check`. docs/check.md has all of them.
type Check struct {
	ID     string `json:"id"` // stays the same from version to version, for scripts
	What   string `json:"what"`
	Result string `json:"result"`         // CheckPass, CheckWarn or CheckFail
	Found  string `json:"found"`          // a sentence's part
	Mend   string `json:"mend,omitempty"` // what to do, unless it passed
}

// Unseen says that the line is a failure for want of something else, which has a line of its own.
func (c Check) Unseen() bool { return strings.HasPrefix(c.Found, notLooked) }

// notLooked begins what is found where nothing could be looked at.
const notLooked = "this could not be looked at"

// OneRole says whether two addresses name the same database role. Neither is connected to.
func OneRole(appURL, migrateURL string) (bool, error) {
	app, err := pgx.ParseConfig(appURL)
	if err != nil {
		return false, hideAddress(err)
	}
	owner, err := pgx.ParseConfig(migrateURL)
	if err != nil {
		return false, hideAddress(err)
	}
	return app.User == owner.User, nil
}

// CheckOptions are the deployment that CheckDatabase looks at.
type CheckOptions struct {
	Config
	Migrator   Migrator // only asked, never run
	Production bool
	NoAddress  bool // neither DATABASE_URL nor a PG* variable says where the database is
}

// grave is what a danger is here: production has real patients.
func (o CheckOptions) grave() string {
	if o.Production {
		return CheckFail
	}
	return CheckWarn
}

// inspection is what the lines look at.
type inspection struct {
	CheckOptions
	conn     *pgx.Conn // nil when err says why there is none
	err      error
	maxConns int32 // of a process
	pooled   bool  // somebody stands between us and PostgreSQL
}

// databaseLine is one that needs a look at the database or its address. Its check is complete but for ID and What.
type databaseLine struct {
	id, what string
	offline  bool // says something without a connection too
	stops    bool // keeps serve from starting in production when it fails
	look     func(context.Context, *inspection) (Check, error)
}

// databaseLines are in the order in which they are told: what others rest on comes first.
func databaseLines() []databaseLine {
	return append([]databaseLine{
		{id: "database-ca", what: "database's authority", offline: true, look: lookCA},
		{id: "database-tls", what: "database encryption", offline: true, stops: true, look: lookTLS},
		{id: "database", what: "database answers", offline: true, look: lookAnswer},
		{id: "database-version", what: "database version", look: lookVersion},
		{id: "database-clock", what: "database clock", look: lookClock},
		{id: "database-encoding", what: "database encoding", look: lookEncoding},
		{id: "database-trgm", what: "search by parts of words", look: lookTrgm},
		{id: "database-pooler", what: "database pooler", look: lookPooler},
		{id: "database-connections", what: "database connections", look: lookConnections},
		{id: "database-log", what: "database log", look: lookLog},
		{id: "database-superuser", what: "database superuser", look: lookSuperuser},
		{id: "schema", what: "schema", look: lookSchema},
		{id: "tables-owner", what: "tables' owner", look: lookOwner},
		{id: "admin", what: "administrator", look: lookAdmin},
		{id: "user-hashes", what: "password hashes", look: lookHashes},
		{id: "example-passwords", what: "example passwords", look: lookExamplePasswords},
	}, auditLines()...)
}

// CheckDatabase looks whether the database is as it should be, with the rights of the program's own role and without changing
// anything. What cannot be looked at is a failure: every line comes back, whatever is wrong.
func CheckDatabase(ctx context.Context, o CheckOptions) (lines []Check) {
	i := &inspection{CheckOptions: o}
	i.connect(ctx)
	if i.conn != nil {
		defer func() { _ = i.conn.Close(context.WithoutCancel(ctx)) }()
	}
	for _, l := range databaseLines() {
		lines = append(lines, i.line(ctx, l))
	}
	return lines
}

// connect makes one connection, as a process of the program would, and does not try again.
func (i *inspection) connect(ctx context.Context) {
	if i.NoAddress {
		i.err = errors.New("DATABASE_URL is not set, so there is no database to ask")
		return
	}
	cfg, err := pgxpool.ParseConfig(i.URL)
	if err != nil {
		i.err = fmt.Errorf("DATABASE_URL cannot be read: %w", hideAddress(err))
		return
	}
	if i.err = verifyServer(cfg.ConnConfig, i.CACert); i.err != nil {
		return
	}
	limits(cfg)
	i.maxConns = cfg.MaxConns
	cfg.ConnConfig.RuntimeParams["application_name"] = "chartroom check"
	if i.conn, i.err = pgx.ConnectConfig(ctx, cfg.ConnConfig); i.err != nil {
		return
	}
	// A pooler hands out keys of its own for cancelling, in which the process is not the one that answers.
	var pid uint32
	if err := i.conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err == nil {
		i.pooled = pid != i.conn.PgConn().PID()
	}
}

func (i *inspection) line(ctx context.Context, l databaseLine) Check {
	c, err := Check{}, error(nil)
	if i.err != nil && !l.offline {
		c = Check{Result: CheckFail, Found: notLooked + ": there is no connection to the database", Mend: "mend what the line \"database answers\" says"}
	} else {
		bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
		c, err = l.look(bounded, i)
		cancel()
	}
	if err != nil {
		c = Check{Result: CheckFail, Found: fmt.Sprintf("%s (%s)", notLooked, Loggable(err)), Mend: migrateMends}
	}
	c.ID, c.What = l.id, l.what
	return c
}

func passed(format string, args ...any) (Check, error) {
	return Check{Result: CheckPass, Found: fmt.Sprintf(format, args...)}, nil
}

// bySQL is the look of a line that one statement answers: what is wrong, "" when nothing is.
func bySQL(result, good, mend, sql string) func(context.Context, *inspection) (Check, error) {
	return func(ctx context.Context, i *inspection) (Check, error) {
		var wrong string
		if err := i.conn.QueryRow(ctx, sql).Scan(&wrong); err != nil {
			return Check{}, err
		}
		if wrong == "" {
			return passed("%s", good)
		}
		return Check{Result: result, Found: wrong, Mend: mend}, nil
	}
}

// Endangered gives the lines that fail and mean that patients' data are exposed, or not watched, while this program serves. They
// are few and quick, for each start. Where something could not be looked at it tries again: a database that was switched over at
// this moment must not end a start.
func (d *DB) Endangered(ctx context.Context, o CheckOptions) ([]Check, error) {
	for try := 1; ; try++ {
		lines, err := d.endangered(ctx, o)
		if err != nil || try == 4 || !slices.ContainsFunc(lines, Check.Unseen) {
			return lines, err
		}
		select {
		case <-ctx.Done():
			return lines, nil
		case <-time.After(2 * time.Second):
		}
	}
}

func (d *DB) endangered(ctx context.Context, o CheckOptions) (lines []Check, err error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("look whether patients' data are safe: %w", err)
	}
	defer conn.Release()
	i := &inspection{CheckOptions: o, conn: conn.Conn()}
	for _, l := range databaseLines() {
		if !l.stops {
			continue
		}
		if c := i.line(ctx, l); c.Result == CheckFail {
			lines = append(lines, c)
		}
	}
	return lines, nil
}

// CheckAudit gives the lines on the audit alone.
func (d *DB) CheckAudit(ctx context.Context) (lines []Check) {
	conn, err := d.pool.Acquire(ctx)
	i := &inspection{err: err}
	if err == nil {
		defer conn.Release()
		i.conn = conn.Conn()
	}
	for _, l := range auditLines() {
		lines = append(lines, i.line(ctx, l))
	}
	return lines
}
