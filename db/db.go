// Package db is the only one that speaks SQL. Every method on patients or users takes a Viewer, the caller's credential
// not yet believed, and does in one statement what belongs together: judge the session and the role, read or change,
// and write the audit event. Without permission or without the event there is no data.
package db

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What callers tell apart. Anything else is a fault of ours or, where Unavailable says so, of the database.
var (
	ErrNoSession   = errors.New("not signed in")
	ErrForbidden   = errors.New("the role does not allow this")
	ErrNotFound    = errors.New("not found")
	ErrForeignList = errors.New("the list state belongs to another user")
)

// Config is what Open needs; main fills it from the settings.
type Config struct {
	URL         string        // libpq address or keyword string; "" reads the PG* variables
	CACert      string        // PEM text; when set, the server's certificate must verify for its host name
	SessionKeys []string      // the first signs, all are accepted; none for commands that know no sessions
	Idle        time.Duration // a session ends after this long without a person's action
	Program     string        // version, noted in audit events
	Retention   time.Duration // how long audit events are kept; 0 is KeepAudit
	SignInOff   *SignInOff    // nil while sign-in is on
}

// DB is a pool of connections with the program's queries on it. It is safe for concurrent use.
type DB struct {
	pool      *pgxpool.Pool
	sessions  *SessionStore
	idle      time.Duration
	program   string
	retention time.Duration
	signInOff *SignInOff
	refusals  bounded
	meter     *meter
	lostAt    *atomic.Int64 // when a connection was found lost, as Unix nanoseconds
	crowded   atomic.Int64  // until when there are known to be more than CountCap patients, as Unix nanoseconds
}

// Open makes the pool and waits for the database to answer, up to 30 s: containers often start side by side.
func Open(ctx context.Context, c Config, log *slog.Logger) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the database address cannot be read: %w", hideAddress(err))
	}
	if err := verifyServer(cfg.ConnConfig, c.CACert); err != nil {
		return nil, err
	}
	limits(cfg)
	lostAt := new(atomic.Int64)
	cfg.ShouldPing = func(_ context.Context, c pgxpool.ShouldPingParams) bool { return doubtful(c.IdleDuration, lostAt) }
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", hideAddress(err))
	}
	if err := waitFor(ctx, pool, log); err != nil {
		pool.Close()
		return nil, err
	}
	d := &DB{pool: pool, meter: newMeter(), lostAt: lostAt, idle: c.Idle, program: c.Program, retention: c.Retention, signInOff: c.SignInOff}
	if d.retention == 0 {
		d.retention = KeepAudit
	}
	if len(c.SessionKeys) > 0 {
		d.sessions = newSessionStore(pool, c.SessionKeys, c.Program)
	}
	return d, nil
}

// Close ends all connections.
func (d *DB) Close() { d.pool.Close() }

// Ping asks the database for an answer.
func (d *DB) Ping(ctx context.Context) error { return d.pool.Ping(ctx) }

// limits bounds every wait: measured, a database that swallows packets otherwise holds a request for over 20 s.
func limits(cfg *pgxpool.Config) {
	setDefault := func(name, value string) {
		if _, ok := cfg.ConnConfig.RuntimeParams[name]; !ok {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	// Another exec mode than the default is how an address says that a transaction pooler stands in between, and
	// PgBouncer refuses a connection that brings these; there the deadlines of the requests are the limits.
	if cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		setDefault("statement_timeout", "10s")
		setDefault("lock_timeout", "5s")
		setDefault("idle_in_transaction_session_timeout", "60s")
		// Each statement has one good plan, which its shape prescribes: it is made once for a connection and kept. Making
		// it anew for each search takes longer than the search, as do compiling and worker processes.
		setDefault("plan_cache_mode", "force_generic_plan")
		setDefault("jit", "off")
		setDefault("max_parallel_workers_per_gather", "0")
		// A plan of a search takes some hundred kilobytes of the server's memory, for each connection.
		cfg.ConnConfig.StatementCacheCapacity = 100
	}
	setDefault("application_name", "chartroom")
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > 5*time.Second {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if cfg.PingTimeout == 0 {
		cfg.PingTimeout = 2 * time.Second
	}
	if !strings.Contains(cfg.ConnString(), "pool_max_conns") {
		// With ten a page costs a tenth more CPU under load: fewer commits share a flush, and who waits is woken more often
		// (measured). Two containers, twice during a release, stay under PostgreSQL's usual hundred.
		cfg.MaxConns = 20
	}
	// A server that was demoted, while its connections lived on, refuses to write on each of them: they are let go, so that the next
	// one finds the primary among the hosts of the address.
	usual := cfg.ConnConfig.OnPgError
	cfg.ConnConfig.OnPgError = func(c *pgconn.PgConn, e *pgconn.PgError) bool { return e.Code != readOnly && usual(c, e) }
	cfg.MaxConnLifetime = 30 * time.Minute
	cfg.MaxConnLifetimeJitter = 3 * time.Minute
}

// verifyServer turns on libpq's verify-full against the given authority, for every host of the address, and drops the
// fallbacks to a connection without TLS.
func verifyServer(cfg *pgx.ConnConfig, caCert string) error {
	if caCert == "" {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(caCert)) {
		return errors.New("DATABASE_CA_CERT holds no certificate in PEM form")
	}
	strict := func(host string) *tls.Config {
		if strings.HasPrefix(host, "/") {
			return nil // a Unix socket has no certificate
		}
		return &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	}
	cfg.TLSConfig = strict(cfg.Host)
	var fallbacks []*pgconn.FallbackConfig
	seen := map[string]bool{fmt.Sprint(cfg.Host, cfg.Port): true}
	for _, f := range cfg.Fallbacks {
		if at := fmt.Sprint(f.Host, f.Port); !seen[at] {
			seen[at] = true
			f.TLSConfig = strict(f.Host)
			fallbacks = append(fallbacks, f)
		}
	}
	cfg.Fallbacks = fallbacks
	return nil
}

// Transport is how an address reaches the database.
type Transport struct {
	Exposed    bool // some host may be reached over a network without encryption
	Unverified bool // some host may be reached encrypted, but whoever answers is believed
}

// CheckAddress reads an address without using it. The error says why it cannot be used at all. pgx takes an address
// without sslmode for "TLS if offered, else in the clear", which is Exposed.
func CheckAddress(url, caCert string) (Transport, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return Transport{}, fmt.Errorf("cannot be read: %w", hideAddress(err))
	}
	if err := verifyServer(cfg, caCert); err != nil {
		return Transport{}, fmt.Errorf("cannot be used: %w", err)
	}
	hosts := []pgconn.FallbackConfig{{Host: cfg.Host, TLSConfig: cfg.TLSConfig}}
	for _, f := range cfg.Fallbacks {
		hosts = append(hosts, *f)
	}
	var t Transport
	for _, h := range hosts {
		ip := net.ParseIP(h.Host)
		local := strings.HasPrefix(h.Host, "/") || h.Host == "localhost" || ip != nil && ip.IsLoopback()
		switch {
		case local:
		case h.TLSConfig == nil:
			t.Exposed = true
		case h.TLSConfig.InsecureSkipVerify && h.TLSConfig.VerifyPeerCertificate == nil && h.TLSConfig.VerifyConnection == nil:
			t.Unverified = true
		}
	}
	return t, nil
}

func waitFor(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for n := 0; ; n++ {
		err := pool.Ping(ctx)
		if err == nil {
			return nil
		}
		// Neither a password nor a database nor a certificate gets right by waiting.
		t, _ := Diagnose(err)
		if !Unavailable(err) || t.hopeless() {
			return explain("connect to the database", err)
		}
		if n == 0 {
			log.Warn("the database does not answer yet, trying for 30 s", "kind", t.Kind, "mend", t.Mend, "error", oneLine(hideAddress(err).Error()))
		}
		select {
		case <-ctx.Done():
			return explain("the database did not answer within 30 s", err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// Unavailable says that the database could not be asked or could not answer now, so that trying later makes sense:
// no connection, a shutdown or switch-over, no connection slot, somebody else in the way, our own deadline, or an audit that takes
// no event.
func Unavailable(err error) bool {
	var connect *pgconn.ConnectError
	var answer *pgconn.PgError
	var network net.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &connect):
		return true
	case errors.As(err, &answer):
		if auditRefused(answer) {
			return true
		}
		switch answer.Code {
		case "57P01", "57P02", "57P03", "57014", "55P03", readOnly, "40P01":
			return true
		}
		return strings.HasPrefix(answer.Code, "08") || strings.HasPrefix(answer.Code, "53")
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	return pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed")
}

// doubtful says whether a connection is to be tried before it is used: one that was idle for a second, and, after one was lost,
// all that were last used before that. A restart takes them all, and a request must not meet one after the other.
func doubtful(idle time.Duration, lostAt *atomic.Int64) bool {
	return idle > time.Second || idle >= time.Since(time.Unix(0, lostAt.Load()))
}

// Lost says that the connection to the database was lost, or could not be made, or leads to one that does not write any more, so that
// another connection may serve; those at hand are tried before they are used from then on. It does not say whether what was asked
// for was done.
func (d *DB) Lost(err error) bool {
	if !lost(err) {
		return false
	}
	d.lostAt.Store(time.Now().UnixNano())
	return true
}

func lost(err error) bool {
	var connect *pgconn.ConnectError
	var answer *pgconn.PgError
	var network net.Error
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &connect):
		return !strings.HasPrefix(refused(err), "28") && !strings.HasPrefix(refused(err), "3D") // which no other connection gets right
	case errors.As(err, &answer):
		return slices.Contains([]string{"57P01", "57P02", "57P03", readOnly}, answer.Code) || strings.HasPrefix(answer.Code, "08")
	case errors.As(err, &network):
		return !network.Timeout()
	}
	return strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed")
}

// readOnly is the SQLSTATE of a server that was a primary and is one no more.
const readOnly = "25006"

// AuditRefused says that it was the audit that did not take its event, so that nothing was shown or done.
func AuditRefused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && auditRefused(answer)
}

// auditRefused says that it was the audit that did not take its event: a constraint, a privilege, a partition or a trigger that
// an operator has put there (raise_exception, which nothing of ours uses where a page is asked for). Nothing of the program is
// broken then, and nothing was done: with the audit back, all goes on.
func auditRefused(answer *pgconn.PgError) bool {
	return strings.HasPrefix(answer.TableName, "audit_") || strings.Contains(answer.Message, "audit_") || answer.Code == "P0001"
}

// hideAddress keeps what went wrong and drops the address, which may hold a password. pgx quotes the whole string when
// it cannot parse it.
func hideAddress(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it is neither a postgres:// address nor a keyword=value string that libpq would take")
	}
	return err
}

// speaksOfItself are the classes of PostgreSQL's errors whose messages speak of the server, of names in the schema or of the statement.
// Those of all others may quote a value, as "invalid input syntax for type date" does.
var speaksOfItself = []string{"08", "0A", "25", "26", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"}

// Loggable is an error as text for a log: with PostgreSQL's message where that cannot hold anybody's data, else with its code and what
// it was about (ASVS 16.2.5).
func Loggable(err error) string {
	text := err.Error()
	for _, answer := range answers(err) {
		if len(answer.Code) == 5 && slices.Contains(speaksOfItself, answer.Code[:2]) {
			continue
		}
		about := "SQLSTATE " + answer.Code
		for _, what := range []string{answer.TableName, answer.ColumnName, answer.ConstraintName, answer.Routine} {
			if what != "" {
				about += ", " + what
			}
		}
		if !strings.Contains(text, answer.Error()) { // it was quoted in some other way
			return "the database's answer (" + about + ")"
		}
		text = strings.ReplaceAll(text, answer.Error(), "the database's answer ("+about+")")
	}
	return text
}

// answers are all of PostgreSQL's errors behind one.
func answers(err error) (all []*pgconn.PgError) {
	if answer, ok := err.(*pgconn.PgError); ok {
		return []*pgconn.PgError{answer}
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, answers(one)...)
		}
	case interface{ Unwrap() error }:
		if one := e.Unwrap(); one != nil {
			return answers(one)
		}
	}
	return all
}

// refused is PostgreSQL's SQLSTATE behind an error, or "".
func refused(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}
