package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

const (
	oldAuditKey = "an audit key for tests, the older one"
	newAuditKey = "an audit key for tests, the newer one"
)

// trail is a database with its sealer.
type trail struct {
	t      *testing.T
	d      *db.DB
	url    string
	c      *pgx.Conn
	keys   []string
	sealer *db.Sealer
}

func newTrail(t *testing.T, keys ...string) *trail {
	t.Helper()
	d, url := dbtest.Open(t)
	return &trail{t: t, d: d, url: url, c: dbtest.Conn(t, url), keys: keys, sealer: d.NewSealer(keys, nil, quietLog)}
}

// write makes that many events, with all that an event can have, and with as little.
func (x *trail) write(n int) {
	x.t.Helper()
	must(x.t, x.c, `INSERT INTO audit_events (action, outcome, actor_id, actor, session_id, client, request_id, program, patients, detail)
		SELECT 'patient-list', CASE WHEN i % 7 = 0 THEN 'refused' ELSE 'success' END, nullif(i % 3, 0), 'ada', CASE WHEN i % 3 > 0 THEN gen_random_uuid() END,
		       CASE WHEN i % 5 > 0 THEN '192.0.2.7'::inet END, 'r' || i, 'test', CASE WHEN i % 2 = 0 THEN ARRAY[gen_random_uuid(), gen_random_uuid()] ELSE '{}' END,
		       jsonb_build_object('found', i, 'kind', E'a "line"\nand another') FROM generate_series(1, $1::integer) i`, n)
}

func (x *trail) seal() {
	x.t.Helper()
	if err := x.sealer.Seal(context.Background()); err != nil {
		x.t.Fatal(err)
	}
}

// grow writes and seals, so many blocks.
func (x *trail) grow(blocks, events int) {
	x.t.Helper()
	for range blocks {
		x.write(events)
		x.seal()
	}
}

func (x *trail) verify(o ...func(*db.VerifyOptions)) db.AuditReport {
	x.t.Helper()
	opts := db.VerifyOptions{Keys: x.keys, Retention: 2192 * 24 * time.Hour}
	for _, f := range o {
		f(&opts)
	}
	r, err := x.d.VerifyAudit(context.Background(), opts)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

func anchored(t *testing.T, text string) func(*db.VerifyOptions) {
	t.Helper()
	a, err := db.ParseAnchor(text)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *db.VerifyOptions) { o.Anchor = &a }
}

// content fails the test unless all is right.
func (x *trail) content(o ...func(*db.VerifyOptions)) db.AuditReport {
	x.t.Helper()
	r := x.verify(o...)
	if r.Bad != nil {
		x.t.Fatalf("block %d %s", r.Bad.Block, r.Bad.Reason)
	}
	return r
}

// bad fails the test unless that block is named, with those words.
func (x *trail) bad(r db.AuditReport, block int64, words string) {
	x.t.Helper()
	if r.Bad == nil || r.Bad.Block != block || !strings.Contains(r.Bad.Reason, words) {
		x.t.Errorf("found %+v, want block %d, %q", r.Bad, block, words)
	}
}

// tamper does what only a superuser can, with the triggers off.
func (x *trail) tamper(sql string, args ...any) {
	x.t.Helper()
	must(x.t, x.c, `SET session_replication_role = replica`)
	must(x.t, x.c, sql, args...)
	must(x.t, x.c, `SET session_replication_role = origin`)
}

// keep notes the audit as it stands; restore brings it back.
func (x *trail) keep() {
	x.t.Helper()
	must(x.t, x.c, `CREATE TEMP TABLE kept_events AS SELECT * FROM audit_events`)
	must(x.t, x.c, `CREATE TEMP TABLE kept_seals AS SELECT * FROM audit_seals`)
}

func (x *trail) restore() {
	x.t.Helper()
	for _, sql := range []string{`DELETE FROM audit_events`, `DELETE FROM audit_seals`, `INSERT INTO audit_events SELECT * FROM kept_events`, `INSERT INTO audit_seals SELECT * FROM kept_seals`} {
		x.tamper(sql)
	}
}

func newConn(x *trail) *pgx.Conn { return dbtest.Conn(x.t, x.url) }
