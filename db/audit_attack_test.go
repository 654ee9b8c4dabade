package db_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// What an independent reviewer broke, as promises.

// code is PostgreSQL's for an error.
func code(err error) string {
	if e := new(pgconn.PgError); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestAChainThatWasCutOffAndSealedAnewByTheServerShowsLateEvents(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	x.grow(4, 4)
	x.tamper(`UPDATE audit_events SET actor = 'bob', recorded = recorded - interval '2 hours' WHERE id = 6`)
	x.tamper(`DELETE FROM audit_seals`)
	if err := x.d.NewSealer(x.keys, nil, quietLog).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r := x.verify(); r.Bad == nil && (r.Late != 1 || r.LateFrom != 1 || !strings.Contains(r.Summary(), "only --anchor finds")) {
		t.Errorf("%+v", r)
	}
}

func TestEventsOfAWrongClockAreNotDropped(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	x.grow(2, 4)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('patient-open', 'success', '1970-01-01 00:05:00Z'), ('patient-open', 'success', '2000-01-02 00:05:00Z')`)
	x.seal()
	x.grow(1, 3)
	for range 2 {
		if err := x.d.Housekeep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	x.seal()
	x.content()
	if n := value[int](t, x.c, `SELECT count(*) FROM audit_events WHERE recorded < '2001-01-01'`); n != 2 {
		t.Errorf("%d of 2 events that were written a moment ago are left", n)
	}
}

func TestADropIsAcceptedBeforeItsEventIsSealed(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	months(t, x.c, 80)
	x.seal()
	if err := x.d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	x.content()
	x.seal()
	if r := x.content(); r.Dropped == 0 {
		t.Errorf("nothing was dropped: %+v", r)
	}
}

// TestEveryModeOfAPoolerSealsReadsAndExports: what PostgreSQL sends differs with pgx's mode, and must not differ in a seal.
func TestEveryModeOfAPoolerSealsReadsAndExports(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "root", "admin")
	v := signedIn(t, d, c, "root")
	v.Roles = []string{"admin"}
	ctx := context.Background()
	for mode, zone := range map[string]string{"exec": "UTC", "simple_protocol": "America/New_York", "cache_describe": "Pacific/Auckland", "describe_exec": "Asia/Kathmandu"} {
		d := dbtest.OpenURL(t, url+"&default_query_exec_mode="+mode+"&timezone="+zone, time.Hour)
		x := &trail{t: t, d: d, url: url, c: c, keys: []string{newAuditKey}, sealer: d.NewSealer([]string{newAuditKey}, nil, quietLog)}
		x.grow(2, 7)
		if r, err := d.VerifyAudit(ctx, db.VerifyOptions{Keys: x.keys, Retention: 2192 * 24 * time.Hour}); err != nil || r.Bad != nil {
			t.Errorf("%s: %v %+v", mode, err, r.Bad)
		}
		if _, err := d.ListAudit(ctx, v, db.AuditQuery{Users: []int{1, 2}, Actions: []string{"sign-in", "patient-open"}, From: time.Now().Add(-time.Hour), Before: time.Now()}); err != nil {
			t.Errorf("%s: list: %v", mode, err)
		}
		if _, err := d.ListAudit(ctx, v, db.AuditQuery{Patient: "00000000-0000-4000-8000-000000000000"}); err != nil {
			t.Errorf("%s: list of a patient: %v", mode, err)
		}
		if _, err := d.OpenAudit(ctx, v, 3); err != nil {
			t.Errorf("%s: open: %v", mode, err)
		}
		n := 0
		if err := d.ExportAudit(ctx, v, db.AuditQuery{}, "csv", func(e []db.ExportedEvent) error { n += len(e); return nil }); err != nil || n < 14 {
			t.Errorf("%s: %d exported, %v", mode, n, err)
		}
		if err := d.Housekeep(ctx); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		for _, l := range d.CheckAudit(ctx) {
			if l.Result == db.CheckFail {
				t.Errorf("%s: %+v", mode, l)
			}
		}
	}
}

func TestAnExportGoesOnWhenThePasswordIsNoLongerFresh(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "root", "admin")
	must(t, c, `INSERT INTO audit_events (action, outcome) SELECT 'start', 'success' FROM generate_series(1, 2500)`)
	v := signedIn(t, d, c, "root")
	v.Roles, v.Fresh = []string{"admin"}, true
	pages := 0
	err := d.ExportAudit(context.Background(), v, db.AuditQuery{}, "csv", func([]db.ExportedEvent) error {
		pages++
		must(t, c, `UPDATE sessions SET created_at = now() - interval '11 minutes'`)
		return nil
	})
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'audit-export' AND detail @> '{"complete": true}'`); err != nil || pages < 3 || n != 1 {
		t.Errorf("%d pages, %v, %d events of a complete export", pages, err, n)
	}
}

func TestMonthsThatAlternateAndAnIdThatComesTwiceAreSealedRight(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) SELECT 'start', 'success', now() + (i % 2) * interval '40 days' FROM generate_series(1, 2600) i`)
	x.seal()
	x.content()
	x.write(3)
	must(t, x.c, `INSERT INTO audit_events (id, action, outcome) VALUES (2602, 'export', 'success')`) // as after a failover that set the sequence back
	x.seal()
	x.grow(1, 2)
	x.content()
}

func TestThousandsInTheDefaultPartitionAreMovedWithoutAnOutage(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass AND c.relname ~ '\d{6}$' LOOP
			EXECUTE 'DROP TABLE ' || name;
		END LOOP; END $$`)
	must(t, c, `INSERT INTO audit_events (action, outcome, patients) SELECT 'patient-list', 'success', ARRAY(SELECT md5(((i * 7 + j) % 50000)::text)::uuid FROM generate_series(1, 25) j) FROM generate_series(1, 9900) i`)
	must(t, c, `INSERT INTO audit_events (action, outcome, recorded) SELECT 'start', 'success', now() - i * interval '1 year' FROM generate_series(3, 40) i`) // of no month that may come
	for range 2 {
		if err := d.Housekeep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n, parts := value[int](t, c, `SELECT count(*) FROM audit_events_other`), value[int](t, c, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`); n != 38 || parts != 26 {
		t.Errorf("%d events are left in the default partition, of %d partitions", n, parts)
	}
}

func TestABlockThatTheProgramsRoleMadeUpStopsTheSealingAloud(t *testing.T) {
	t.Parallel()
	d, c, app := twoRoles(t)
	mine := dbtest.Conn(t, app)
	s := d.NewSealer([]string{newAuditKey}, nil, slog.New(slog.DiscardHandler))
	must(t, c, `INSERT INTO audit_events (action, outcome) VALUES ('start', 'success')`)
	if err := s.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	must(t, mine, `INSERT INTO audit_seals SELECT block + 1, now(), month, '{}', 0, sha256(''), '', sha256(''), 9223372036854775807, '{}' FROM audit_seals ORDER BY block DESC LIMIT 1`)
	if err := s.Seal(context.Background()); err == nil || !strings.Contains(err.Error(), "does not bear its seal") {
		t.Errorf("sealing went on over a block that is nobody's: %v", err)
	}
	if r, err := d.VerifyAudit(context.Background(), db.VerifyOptions{Keys: []string{newAuditKey}, Retention: db.KeepAudit}); err != nil || r.Bad == nil {
		t.Errorf("%v %+v", err, r)
	}
}

func TestTheProgramsRoleCanNeitherChangeSealsNorActAsTheOwner(t *testing.T) {
	t.Parallel()
	d, c, app := twoRoles(t)
	must(t, c, `GRANT CREATE ON SCHEMA public TO PUBLIC`) // PostgreSQL 14 and what was upgraded from it
	failing := func() (what []string) {
		for _, l := range d.CheckAudit(context.Background()) {
			if l.Result == db.CheckFail {
				what = append(what, l.What)
			}
		}
		return what
	}
	if got := failing(); len(got) != 1 || got[0] != "audit functions" {
		t.Errorf("check fails on %v", got)
	}
	m := dbtest.Migrator(c.Config().ConnString())
	m.AppURL = app
	if err := m.Up(context.Background()); err != nil { // each start takes back what is beyond
		t.Fatal(err)
	}
	mine := dbtest.Conn(t, app)
	if _, err := mine.Exec(context.Background(), `CREATE FUNCTION public.evil(integer, interval) RETURNS interval LANGUAGE sql AS 'SELECT $2'`); code(err) != "42501" {
		t.Errorf("the program's role may put a function in the owner's way: %v", err)
	}
	for _, p := range []string{"UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"} {
		if value[bool](t, mine, `SELECT has_table_privilege('audit_seals', $1)`, p) {
			t.Errorf("the program's role may %s on audit_seals", p)
		}
	}
	if _, err := mine.Exec(context.Background(), `SELECT audit_events_make_partitions(1500)`); code(err) != "42501" {
		t.Errorf("partitions for 125 years: %v", err)
	}
	if got := failing(); got != nil {
		t.Errorf("check fails on %v", got)
	}
	must(t, c, `ALTER TABLE audit_seals DISABLE TRIGGER ALL`)
	if got := failing(); len(got) != 1 || got[0] != "audit seals' protection" {
		t.Errorf("check fails on %v", got)
	}
}

func TestPagesAreServedWherePublicMayExecuteNoFunction(t *testing.T) {
	url := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	must(t, c, `CREATE ROLE app_without_public LOGIN`)
	must(t, c, `ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`)
	t.Cleanup(func() { must(t, c, `DROP OWNED BY app_without_public`); must(t, c, `DROP ROLE app_without_public`) })
	app := strings.Replace(url, "user="+c.Config().User, "user=app_without_public", 1)
	m := dbtest.Migrator(url)
	m.AppURL = app
	if err := m.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	d := dbtest.OpenURL(t, app, time.Hour)
	addUser(t, c, "vic", "viewer")
	v := signedIn(t, d, c, "vic")
	v.Roles = []string{"admin"}
	if _, err := d.Whoami(context.Background(), v); err != db.ErrForbidden {
		t.Errorf("a refused role: %v", err)
	}
	must(t, c, `UPDATE sessions SET last_seen_at = now() - interval '10 minutes'`)
	v.Roles = db.Roles
	if _, err := d.Whoami(context.Background(), v); err != nil {
		t.Errorf("a session that is to be touched: %v", err)
	}
}
