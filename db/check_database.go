package db

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// certificateSoon is how long before its end a certificate is worth a word.
const certificateSoon = 30 * 24 * time.Hour

// lookCA judges the authority that was given, and, once connected, the certificates that the server has shown under it.
func lookCA(_ context.Context, i *inspection) (Check, error) {
	const mend = "set DATABASE_CA_CERT to the certificate that whoever runs the database gives out (on Aptible: \"$(aptible environment:ca_cert)\")"
	if i.CACert == "" {
		return passed("DATABASE_CA_CERT is not set: where the address asks for it, the public authorities count")
	}
	certs := readCertificates(i.CACert)
	if len(certs) == 0 {
		return Check{Result: CheckFail, Found: "DATABASE_CA_CERT holds no certificate in PEM form", Mend: mend}, nil
	}
	last := certs[0].NotAfter
	for _, c := range certs[1:] {
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
	}
	if t := i.tls(); t != nil && len(t.VerifiedChains) > 0 {
		for _, c := range t.VerifiedChains[0] {
			if c.NotAfter.Before(last) {
				last = c.NotAfter
			}
		}
	}
	day := last.UTC().Format(time.DateOnly)
	switch left := time.Until(last); {
	case left <= 0:
		return Check{Result: CheckFail, Found: "DATABASE_CA_CERT expired on " + day + ": no connection can be verified", Mend: mend}, nil
	case left < certificateSoon:
		return Check{Result: CheckWarn, Found: "DATABASE_CA_CERT, or the certificate of the database, expires on " + day, Mend: mend + ", and let the database have its new one"}, nil
	}
	return passed("valid until %s", day)
}

func readCertificates(text string) (all []*x509.Certificate) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, c)
		}
	}
}

// tls is the state of the connection's encryption, nil where there is none.
func (i *inspection) tls() *tls.ConnectionState {
	if i.conn == nil {
		return nil
	}
	c, ok := i.conn.PgConn().Conn().(*tls.Conn)
	if !ok {
		return nil
	}
	s := c.ConnectionState()
	return &s
}

// lookTLS judges what the addresses ask for, and then what the connection really got.
func lookTLS(ctx context.Context, i *inspection) (Check, error) {
	const mend = "set DATABASE_CA_CERT, or sslmode=verify-full in the address"
	if i.NoAddress {
		return Check{Result: CheckFail, Found: notLooked + ": there is no address", Mend: "set DATABASE_URL"}, nil
	}
	unverified := ""
	for _, a := range []struct{ name, url string }{{"DATABASE_URL", i.URL}, {"DATABASE_MIGRATE_URL", i.Migrator.URL}} {
		switch t, err := CheckAddress(a.url, i.CACert); {
		case err != nil && len(readCertificates(i.CACert)) == 0 && i.CACert != "":
			return Check{Result: CheckFail, Found: notLooked + ": DATABASE_CA_CERT is not usable", Mend: "mend what the line \"database's authority\" says"}, nil
		case err != nil:
			return Check{Result: CheckFail, Found: a.name + " " + err.Error(), Mend: "write it as postgres://USER:PASSWORD@HOST:5432/DATABASE, with %XX for signs that have a meaning in addresses"}, nil
		case t.Exposed:
			return Check{Result: i.grave(), Found: a.name + " allows a connection without encryption", Mend: mend}, nil
		case t.Unverified:
			unverified = a.name
		}
	}
	if i.conn == nil {
		if unverified != "" {
			return Check{Result: CheckWarn, Found: unverified + " does not verify the database's certificate", Mend: mend}, nil
		}
		return passed("the address asks for it where it leads over a network")
	}
	return i.connectionTLS(ctx, unverified, mend)
}

func (i *inspection) connectionTLS(ctx context.Context, unverified, mend string) (Check, error) {
	state, far := i.tls(), overNetwork(i.conn.PgConn().Conn().RemoteAddr())
	if state == nil {
		if far {
			return Check{Result: i.grave(), Found: "this connection is not encrypted", Mend: mend}, nil
		}
		return passed("none is needed: the database is on this machine")
	}
	if unverified != "" {
		return Check{Result: CheckWarn, Found: unverified + " does not verify the database's certificate: whoever answers is believed", Mend: mend}, nil
	}
	var there *bool
	if err := i.conn.QueryRow(ctx, `SELECT (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())`).Scan(&there); err != nil {
		return Check{}, err
	}
	if i.pooled && there != nil && !*there {
		return Check{Result: CheckWarn, Found: "encrypted up to a pooler, and not from there to PostgreSQL", Mend: "let the pooler use TLS towards the database (PgBouncer: server_tls_sslmode = verify-full)"}, nil
	}
	how := "the certificate was verified"
	if len(state.VerifiedChains) == 0 {
		how = "not verified, on this machine"
	}
	return passed("%s, %s", tls.VersionName(state.Version), how)
}

func overNetwork(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

func lookAnswer(_ context.Context, i *inspection) (Check, error) {
	switch {
	case i.err == nil:
		return passed("yes")
	case i.NoAddress:
		return Check{Result: CheckFail, Found: i.err.Error(), Mend: "set DATABASE_URL to postgres://USER:PASSWORD@HOST:5432/DATABASE"}, nil
	case i.CACert != "" && len(readCertificates(i.CACert)) == 0:
		return Check{Result: CheckFail, Found: notLooked + ": DATABASE_CA_CERT is not usable", Mend: "mend what the line \"database's authority\" says"}, nil
	}
	c := Check{Result: CheckFail, Found: oneLine(Loggable(hideAddress(i.err))), Mend: "see docs/troubleshooting.md"}
	if t, ok := Diagnose(i.err); ok {
		c.Found, c.Mend = t.Kind+": "+c.Found, t.Mend
	}
	return c, nil
}

// supportEnds is the end of the month in which PostgreSQL's developers mend a major version for the last time: five years after
// its first release, in November (postgresql.org, versioning policy). 14 came in 2021.
func supportEnds(major int) time.Time {
	return time.Date(2012+major, time.December, 1, 0, 0, 0, 0, time.UTC)
}

func lookVersion(ctx context.Context, i *inspection) (Check, error) {
	var number int
	if err := i.conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::integer`).Scan(&number); err != nil {
		return Check{}, err
	}
	return versionLine(number, time.Now()), nil
}

// versionLine judges a server_version_num.
func versionLine(number int, now time.Time) Check {
	major, minor := number/10000, number%10000
	switch ends := supportEnds(major); {
	case major < 14:
		return Check{Result: CheckFail, Found: fmt.Sprintf("PostgreSQL %d.%d is too old", major, minor), Mend: "move to PostgreSQL 14 or newer"}
	case !now.Before(ends):
		return Check{Result: CheckWarn, Found: fmt.Sprintf("PostgreSQL %d.%d has got no corrections since %s", major, minor, ends.AddDate(0, 0, -1).Format("January 2006")),
			Mend: "plan the move to a newer major version; on Aptible a new database is made with it, and the data copied"}
	}
	return Check{Result: CheckPass, Found: fmt.Sprintf("PostgreSQL %d.%d", major, minor)}
}

func lookClock(ctx context.Context, i *inspection) (Check, error) {
	before := time.Now()
	var there time.Time
	if err := i.conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		return Check{}, err
	}
	trip := time.Since(before)
	apart := (there.Sub(before.Add(trip/2)).Abs() - trip/2).Round(time.Second)
	const mend = "switch time synchronisation on (timedatectl set-ntp true), on the machine that is wrong: sessions end by the database's clock, certificates are judged by this machine's"
	switch {
	case apart > 5*time.Minute:
		return Check{Result: i.grave(), Found: fmt.Sprintf("the database's clock and this machine's are %s apart", apart), Mend: mend}, nil
	case apart > 5*time.Second:
		return Check{Result: CheckWarn, Found: fmt.Sprintf("the database's clock and this machine's are %s apart", apart), Mend: mend}, nil
	}
	return passed("as this machine's, within seconds")
}

func lookEncoding(ctx context.Context, i *inspection) (Check, error) {
	var encoding string
	if err := i.conn.QueryRow(ctx, `SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()`).Scan(&encoding); err != nil {
		return Check{}, err
	}
	if encoding != "UTF8" {
		return Check{Result: CheckFail, Found: "the database holds text as " + encoding + ", which has no room for every name", Mend: "make a new one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and restore into it"}, nil
	}
	return passed("UTF8")
}

func lookTrgm(ctx context.Context, i *inspection) (Check, error) {
	var there, available, mayMake, needed bool
	if err := i.conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'),
			EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'),
			has_database_privilege(current_database(), 'CREATE'), to_regclass('name_words') IS NOT NULL`).Scan(&there, &available, &mayMake, &needed); err != nil {
		return Check{}, err
	}
	switch {
	case there:
		return passed("the extension pg_trgm is there")
	case !available:
		return Check{Result: CheckFail, Found: "the extension pg_trgm is not installed on the database's machine", Mend: "install PostgreSQL's contrib package there, then CREATE EXTENSION pg_trgm"}, nil
	case needed:
		return Check{Result: CheckFail, Found: "the extension pg_trgm is gone, and with it what the search rests on", Mend: "restore from the backup, or CREATE EXTENSION pg_trgm and let `chartroom migrate down` and `migrate` make the search's indexes again"}, nil
	case !mayMake:
		return Check{Result: CheckWarn, Found: "the extension pg_trgm is not there yet, and this role may not make it", Mend: "CREATE EXTENSION pg_trgm as the database's owner, or give DATABASE_MIGRATE_URL a role that may"}, nil
	}
	return passed("the first migration makes the extension pg_trgm")
}

// lookPooler: migrations hang or break behind a pooler that gives each transaction another connection.
func lookPooler(_ context.Context, i *inspection) (Check, error) {
	migrate, err := pgx.ParseConfig(i.Migrator.URL)
	if err != nil {
		return Check{}, fmt.Errorf("DATABASE_MIGRATE_URL cannot be read: %w", hideAddress(err))
	}
	app := i.conn.Config()
	same := migrate.Host == app.Host && migrate.Port == app.Port
	saysSo := app.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement
	switch {
	case same && saysSo:
		return Check{Result: CheckFail, Found: "DATABASE_URL leads through a transaction pooler (default_query_exec_mode), and migrations would too", Mend: "set DATABASE_MIGRATE_URL to the database's own address"}, nil
	case same && i.pooled:
		return Check{Result: CheckWarn, Found: "a pooler answers, and migrations go through it too", Mend: "set DATABASE_MIGRATE_URL to the database's own address"}, nil
	case i.pooled && !saysSo:
		return Check{Result: CheckWarn, Found: "a pooler answers, and DATABASE_URL does not say so", Mend: "where it pools transactions, add default_query_exec_mode=exec to DATABASE_URL"}, nil
	case saysSo:
		return passed("DATABASE_URL says that there is one, and migrations go around it")
	}
	return passed("none between")
}

func lookConnections(ctx context.Context, i *inspection) (Check, error) {
	var room, role, database int
	if err := i.conn.QueryRow(ctx, `SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
			- coalesce(current_setting('reserved_connections', true)::integer, 0),
			(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), (SELECT datconnlimit FROM pg_database WHERE datname = current_database())`).Scan(&room, &role, &database); err != nil {
		return Check{}, err
	}
	whose := "max_connections of the server"
	for limit, name := range map[int]string{role: "the limit of the program's role", database: "the limit of the database"} {
		if limit >= 0 && limit < room {
			room, whose = limit, name
		}
	}
	need := 2*int(i.maxConns) + 1
	if need > room && !i.pooled {
		return Check{Result: CheckWarn, Found: fmt.Sprintf("a container opens up to %d connections, during a release two do and one migrates: %d, and there is room for %d (%s)", i.maxConns, need, room, whose),
			Mend: "add pool_max_conns=" + strconv.Itoa(max(2, (room-1)/2)) + " to DATABASE_URL, or raise the limit"}, nil
	}
	return passed("%d for each container, twice during a release, of %d; each further container needs %d more", i.maxConns, room, 2*i.maxConns)
}

func lookSuperuser(ctx context.Context, i *inspection) (Check, error) {
	var rights string
	if err := i.conn.QueryRow(ctx, `SELECT concat_ws(', ', CASE WHEN rolsuper THEN 'everything (superuser)' END, CASE WHEN rolcreaterole AND NOT rolsuper THEN 'make roles' END,
			CASE WHEN rolreplication AND NOT rolsuper THEN 'copy the whole server (replication)' END) FROM pg_roles WHERE rolname = current_user`).Scan(&rights); err != nil {
		return Check{}, err
	}
	if rights != "" {
		return Check{Result: CheckWarn, Found: "the program's role may do more than it needs: " + rights,
			Mend: "CREATE ROLE chartroom_app LOGIN PASSWORD '...', give DATABASE_URL that role and DATABASE_MIGRATE_URL this one; the next start grants it what it needs"}, nil
	}
	return passed("the program's role is none")
}

func lookSchema(ctx context.Context, i *inspection) (Check, error) {
	st, err := i.Migrator.status(ctx, i.conn)
	if err != nil {
		return Check{}, err
	}
	const mend = "`chartroom migrate`; the next start does it too"
	at := fmt.Sprintf("version %d of %d", max(st.Version, 0), st.Newest)
	switch {
	case st.Dirty:
		return Check{Result: CheckFail, Found: at + ": a migration was interrupted", Mend: mend}, nil
	case st.Version < st.Newest:
		return Check{Result: CheckFail, Found: at + ": it is behind this program", Mend: mend}, nil
	case st.Version > st.Newest:
		return Check{Result: CheckWarn, Found: at + ": it is newer than this program, which works on it", Mend: "go forward to the newer release again once it is mended"}, nil
	}
	var deferred, out int
	if err := i.conn.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE definition LIKE 'CREATE %') FROM patients_indexes_deferred`).Scan(&deferred, &out); err != nil {
		return Check{}, err
	}
	if deferred > 0 {
		return Check{Result: CheckWarn, Found: fmt.Sprintf("%s, but %d indexes are left out, and lists are slow: a large first import runs or was cut off", at, out),
			Mend: "wait for its end, or run it again; `chartroom serve` makes them within minutes when none runs"}, nil
	}
	return passed("%s", at)
}

// lookOwner asks whether migrations can change the tables, and whether the program's role can where it should not.
func lookOwner(ctx context.Context, i *inspection) (Check, error) {
	migrate, err := pgx.ParseConfig(i.Migrator.URL)
	if err != nil {
		return Check{}, hideAddress(err)
	}
	var n int
	var foreign, ours string
	if err := i.conn.QueryRow(ctx, `SELECT count(*), coalesce(string_agg(c.relname || ' of ' || pg_get_userbyid(c.relowner), ', ' ORDER BY c.relname)
				FILTER (WHERE NOT pg_has_role(@migrate::name, c.relowner, 'MEMBER')), ''),
			coalesce(string_agg(DISTINCT pg_get_userbyid(c.relowner), ', ') FILTER (WHERE pg_has_role(c.relowner, 'MEMBER')
				AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)), '')
		FROM unnest(ARRAY['users', 'sessions', 'patients', 'audit_events', 'audit_seals', 'schema_migrations']) t (name)
		JOIN pg_class c ON c.oid = to_regclass(t.name)`, pgx.NamedArgs{"migrate": migrate.User}).Scan(&n, &foreign, &ours); err != nil {
		return Check{}, err
	}
	switch {
	case foreign != "":
		return Check{Result: CheckFail, Found: fmt.Sprintf("the role of migrations, %s, does not own %s: the next migration fails", migrate.User, foreign), Mend: "ALTER TABLE ... OWNER TO " + pgx.Identifier{migrate.User}.Sanitize() + ", for each, as a superuser"}, nil
	case ours != "" && migrate.User != i.conn.Config().User:
		return Check{Result: CheckWarn, Found: "the program's role is a member of " + ours + ", which owns the tables, and may act as it", Mend: "REVOKE " + ours + " FROM " + pgx.Identifier{i.conn.Config().User}.Sanitize()}, nil
	case n == 0:
		return passed("there are no tables yet")
	}
	return passed("the role of migrations")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
