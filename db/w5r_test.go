package db_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// a key alone: cut the seals from the block of the event, edit it, and the server seals it anew
func TestW5RCutAndTheServerReseals(t *testing.T) {
	x := newTrail(t, newAuditKey)
	x.grow(4, 4)
	x.tamper(`UPDATE audit_events SET actor = 'bob', recorded = recorded - interval '2 hours' WHERE id = 6`)
	x.tamper(`DELETE FROM audit_seals`)
	if err := x.d.NewSealer(x.keys, nil, quietLog).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := x.verify()
	t.Logf("bad=%+v\n%s", r.Bad, r.Summary())
	if r.Bad == nil && r.Late == 0 {
		t.Error("edited event, whole chain dropped, verify says nothing")
	}
}

func TestW5RWrongClockEventsAreDroppedAtOnce(t *testing.T) {
	x := newTrail(t, newAuditKey)
	x.grow(2, 4)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('patient-open', 'success', '1970-01-01 00:05:00Z'), ('patient-open', 'success', '2000-01-02 00:05:00Z')`)
	x.seal()
	x.write(3)
	x.seal()
	for range 2 {
		if err := x.d.Housekeep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	r := x.verify()
	t.Logf("before sealing: bad=%+v", r.Bad)
	x.seal()
	r = x.verify()
	t.Logf("after sealing: bad=%+v %s", r.Bad, r.Summary())
	if n := value[int](t, x.c, `SELECT count(*) FROM audit_events WHERE recorded < '2001-01-01'`); n != 2 {
		t.Errorf("%d of 2 events that were written a moment ago are left", n)
	}
}

func TestW5RDropThenVerifyBeforeTheSeal(t *testing.T) {
	x := newTrail(t, newAuditKey)
	months(t, x.c, 80)
	x.seal()
	x.content()
	if err := x.d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r := x.verify(); r.Bad != nil {
		t.Errorf("honest drop: block %d %s", r.Bad.Block, r.Bad.Reason)
	}
	x.seal()
	x.content()
}

func TestW5RExecModes(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe", "describe_exec"} {
		for _, zone := range []string{"UTC", "America/New_York", "Pacific/Auckland"} {
			t.Run(mode+zone, func(t *testing.T) {
				d0, url := dbtest.Open(t)
				c := dbtest.Conn(t, url)
				_ = d0
				d := dbtest.OpenURL(t, url+"&default_query_exec_mode="+mode+"&timezone="+zone, time.Hour)
				x := &trail{t: t, d: d, url: url, c: c, keys: []string{newAuditKey}, sealer: d.NewSealer([]string{newAuditKey}, nil, quietLog)}
				x.write(7)
				if err := x.sealer.Seal(context.Background()); err != nil {
					t.Error(err)
					return
				}
				x.write(7)
				if err := x.sealer.Seal(context.Background()); err != nil {
					t.Error(err)
				}
				r, err := d.VerifyAudit(context.Background(), db.VerifyOptions{Keys: x.keys, Retention: 2192 * 24 * time.Hour})
				if err != nil || r.Bad != nil {
					t.Errorf("%v %+v", err, r.Bad)
				}
				if err := d.Housekeep(context.Background()); err != nil {
					t.Error(err)
				}
				addUser(t, c, "root", "admin")
				v := signedIn(t, d, c, "root")
				v.Roles = []string{"admin"}
				now := time.Now()
				if _, err := d.ListAudit(context.Background(), v, db.AuditQuery{Users: []int{1, 2}, Actions: []string{"sign-in", "patient-open"}, From: now.Add(-time.Hour), Before: now}); err != nil {
					t.Error("list", err)
				}
				if _, err := d.ListAudit(context.Background(), v, db.AuditQuery{Patient: "00000000-0000-4000-8000-000000000000"}); err != nil {
					t.Error("list", err)
				}
				if _, err := d.OpenAudit(context.Background(), v, 3); err != nil {
					t.Error("open", err)
				}
				n := 0
				if err := d.ExportAudit(context.Background(), v, db.AuditQuery{}, "csv", func(e []db.ExportedEvent) error { n += len(e); return nil }); err != nil || n < 14 {
					t.Error("export", err, n)
				}
				if err := d.RefuseForm(context.Background(), v, db.RefusedSite); err != nil {
					t.Error(err)
				}
				for _, l := range d.CheckAudit(context.Background()) {
					if l.Result == "fail" {
						t.Errorf("%+v", l)
					}
				}
			})
		}
	}
}

func TestW5RExportThatPassesTenMinutes(t *testing.T) {
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "root", "admin")
	must(t, c, `INSERT INTO audit_events (action, outcome) SELECT 'start', 'success' FROM generate_series(1, 2500)`)
	v := signedIn(t, d, c, "root")
	v.Roles, v.Fresh = []string{"admin"}, true
	pages := 0
	err := d.ExportAudit(context.Background(), v, db.AuditQuery{}, "csv", func(e []db.ExportedEvent) error {
		pages++
		must(t, c, `UPDATE sessions SET created_at = now() - interval '11 minutes'`) // time passes
		return nil
	})
	t.Logf("pages %d, %v, stale=%v", pages, err, errors.Is(err, db.ErrConfirm))
	t.Logf("%s", value[string](t, c, `SELECT string_agg(outcome || detail::text, ' ') FROM audit_events WHERE action = 'audit-export'`))
	if err != nil {
		t.Error("a confirmed export breaks off when the confirmation turns ten minutes old")
	}
}

func TestW5RMonthsThatAlternate(t *testing.T) {
	x := newTrail(t, newAuditKey)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) SELECT 'start', 'success', now() + (i % 2) * interval '40 days' FROM generate_series(1, 2600) i`)
	x.seal()
	if r := x.verify(); r.Bad != nil {
		t.Errorf("block %d %s", r.Bad.Block, r.Bad.Reason)
	}
}

func TestW5RSameIdTwiceBeforeItIsSealed(t *testing.T) {
	x := newTrail(t, newAuditKey)
	x.grow(1, 3)
	x.write(3)
	must(t, x.c, `INSERT INTO audit_events (id, action, outcome) VALUES (5, 'export', 'success')`)
	x.seal()
	if r := x.verify(); r.Bad != nil {
		t.Logf("block %d %s", r.Bad.Block, r.Bad.Reason)
	}
}

func TestW5RMoveTwoHundredThousand(t *testing.T) {
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass AND c.relname ~ '\d{6}$' LOOP
			EXECUTE 'DROP TABLE ' || name;
		END LOOP; END $$`)
	must(t, c, `INSERT INTO audit_events (action, outcome, actor_id, actor, session_id, client, patients, detail)
		SELECT 'patient-list', 'success', i % 20, 'ada', gen_random_uuid(), '192.0.2.7', ARRAY(SELECT md5(((i * 7 + j) % 50000)::text)::uuid FROM generate_series(1, 25) j), '{"sort": "name"}'
		FROM generate_series(1, 9900) i`)
	for range 2 {
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- d.Housekeep(context.Background()) }()
		worst := time.Duration(0)
	loop:
		for {
			select {
			case err := <-done:
				t.Logf("housekeeping: %v %v", time.Since(start), err)
				break loop
			default:
				s := time.Now()
				_, err := c.Exec(context.Background(), `INSERT INTO audit_events (action, outcome) VALUES ('start', 'success')`)
				if err != nil {
					t.Log(err)
				}
				worst = max(worst, time.Since(s))
			}
		}
		t.Logf("an event waited for up to %v", worst)
	}
	t.Log(value[int](t, c, `SELECT count(*) FROM audit_events_other`))
}

var _ = fmt.Sprint
