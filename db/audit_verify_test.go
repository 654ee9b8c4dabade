package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"chartroom/db"
)

func TestEveryColumnOfAnEventIsSealed(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	x.grow(3, 4)
	x.keep()
	for column, change := range map[string]string{
		"id": `1000`, "recorded": `recorded + interval '1 microsecond'`, "action": `'export'`, "outcome": `'refused'`, "actor_id": `7`, "actor": `''`,
		"session_id": `gen_random_uuid()`, "client": `NULL`, "request_id": `''`, "program": `'other'`, "patients": `patients[2:]`, "detail": `detail - 'found'`,
	} {
		x.tamper(fmt.Sprintf(`UPDATE audit_events SET %s = %s WHERE id = 6`, column, change))
		if r := x.verify(); r.Bad == nil || r.Bad.Block != 2 {
			t.Errorf("%s: %+v", column, r.Bad)
		}
		x.restore()
	}
	want := value[[]string](t, x.c, `SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute WHERE attrelid = 'audit_events'::regclass AND attnum > 0 AND NOT attisdropped`)
	if len(want) != 12 {
		t.Errorf("audit_events has the columns %v: those that are new need a new label in db/seal.go, and a line here", want)
	}
}

func TestWhatWasDoneToTheAuditIsFoundAndItsBlockNamed(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	x.grow(4, 4)
	anchor := x.content().Newest
	x.keep()
	for name, c := range map[string]struct {
		sql   string
		block int64
		words string
	}{
		"edited":            {`UPDATE audit_events SET actor = 'bob' WHERE id = 6`, 2, "changed"},
		"NULL for empty":    {`UPDATE audit_events SET client = NULL, actor = '' WHERE id = 6`, 2, "changed"},
		"removed":           {`DELETE FROM audit_events WHERE id = 7`, 2, "lacks 1 of its 4"},
		"a block's removed": {`DELETE FROM audit_events WHERE id BETWEEN 5 AND 8`, 2, "no sealed event says"},
		"ids swapped":       {`UPDATE audit_events SET id = CASE id WHEN 6 THEN 11 ELSE 6 END WHERE id IN (6, 11)`, 2, "changed"},
		"contents swapped":  {`UPDATE audit_events e SET detail = o.detail FROM audit_events o WHERE e.id IN (6, 7) AND o.id = 13 - e.id`, 2, "changed"},
		"inserted twice":    {`INSERT INTO audit_events (id, recorded, action, outcome) SELECT id, recorded + interval '1 microsecond', action, outcome FROM audit_events WHERE id = 6`, 2, "inserted"},
		"inserted elsewhen": {`INSERT INTO audit_events (id, recorded, action, outcome) VALUES (6, now() + interval '40 days', 'export', 'success')`, 2, "inserted"},
		"inserted below":    {`INSERT INTO audit_events (id, action, outcome) VALUES (0, 'export', 'success')`, 1, "inserted"},
		"both":              {`UPDATE audit_events SET actor = 'x' WHERE id = 11; INSERT INTO audit_events (id, action, outcome) VALUES (-4, 'export', 'success')`, 1, "inserted"},
		"moved to a month":  {`UPDATE audit_events SET recorded = recorded + interval '40 days' WHERE id = 6`, 2, "changed"},
		"seal edited":       {`UPDATE audit_seals SET seal = sha256(seal) WHERE block = 2`, 2, "seal"},
		"seal's time":       {`UPDATE audit_seals SET sealed = 'infinity' WHERE block = 2`, 2, "seal"},
		"seal's month":      {`UPDATE audit_seals SET month = '5000000-01-01' WHERE block = 2`, 2, ""},
		"seal's ids":        {`UPDATE audit_seals SET ids = '{(,9223372036854775807)}' WHERE block = 2`, 2, ""},
		"seal's last id":    {`UPDATE audit_seals SET last_id = 9223372036854775807 WHERE block = 2`, 2, ""},
		"seal's gaps":       {`UPDATE audit_seals SET gaps = '{[5,6)}' WHERE block = 2`, 2, ""},
		"seal removed":      {`DELETE FROM audit_seals WHERE block = 2`, 2, "missing"},
		"first removed":     {`DELETE FROM audit_seals WHERE block = 1`, 1, "missing"},
		"seals swapped":     {`UPDATE audit_seals SET block = -block WHERE block IN (2, 3); UPDATE audit_seals SET block = 5 + block WHERE block < 0`, 2, ""},
		"seal before":       {`INSERT INTO audit_seals SELECT 0, sealed, month, ids, events, digest, key_id, seal, last_id, gaps FROM audit_seals WHERE block = 1`, 0, "never sealed"},
		"seal behind":       {`INSERT INTO audit_seals SELECT 5, sealed, month, ids, events, digest, key_id, seal, last_id, gaps FROM audit_seals WHERE block = 4`, 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			x.t = t
			x.tamper(c.sql)
			x.bad(x.verify(), c.block, c.words)
			x.bad(x.verify(anchored(t, anchor)), c.block, c.words)
			x.restore()
		})
	}
}

func TestACutOffEndIsFoundWithTheAnchor(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	x.grow(4, 4)
	anchor := x.content().Newest
	x.tamper(`DELETE FROM audit_seals WHERE block > 2; DELETE FROM audit_events WHERE id > 8`)
	if r := x.content(); r.Blocks != 2 {
		t.Errorf("%+v", r)
	}
	x.bad(x.verify(anchored(t, anchor)), 3, "cut off")
	// What comes later under the same number is another block.
	x.grow(3, 4)
	x.content()
	x.bad(x.verify(anchored(t, anchor)), 4, "anchor")
	x.tamper(`TRUNCATE audit_seals; TRUNCATE audit_events`)
	x.bad(x.verify(anchored(t, anchor)), 1, "cut off")
}

// remake makes all seals anew over what there is, not keyed or with keys of its own.
func (x *trail) remake(keys ...string) {
	x.t.Helper()
	x.tamper(`DELETE FROM audit_seals`)
	if err := x.d.NewSealer(keys, nil, quietLog).Seal(context.Background()); err != nil {
		x.t.Fatal(err)
	}
}

func TestAChainThatWasMadeAnewIsFoundByTheAnchorOrTheKey(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	x.grow(4, 4)
	anchor := x.content().Newest
	x.tamper(`UPDATE audit_events SET actor = 'bob' WHERE id = 6`)
	x.remake()
	x.content()
	x.bad(x.verify(anchored(t, anchor)), 2, "cut off") // one block holds all now
	y := newTrail(t, newAuditKey)
	y.grow(4, 4)
	id := value[string](t, y.c, `SELECT max(key_id) FROM audit_seals`)
	y.tamper(`UPDATE audit_events SET actor = 'bob' WHERE id = 6`)
	y.remake()
	y.bad(y.verify(), 1, "not keyed")
	y.remake("another key that somebody has made up")
	y.bad(y.verify(), 1, "does not hold")
	y.tamper(`UPDATE audit_seals SET key_id = $1`, id)
	y.bad(y.verify(), 1, "does not bear its seal")
}

func TestKeysRotateAndAnOldOneIsNeededAsLongAsItsBlocks(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	x.grow(2, 2)
	x.sealer = x.d.NewSealer([]string{oldAuditKey}, nil, quietLog)
	x.seal() // a block without events: from here on the end is keyed
	x.keys = []string{oldAuditKey}
	if r := x.content(); r.Blocks != 3 || r.KeyedFrom != 3 || !strings.Contains(r.Summary(), "keyed from block 3 on") {
		t.Errorf("%+v %s", r, r.Summary())
	}
	x.grow(1, 2)
	x.keys = []string{newAuditKey, oldAuditKey}
	x.sealer = x.d.NewSealer(x.keys, nil, quietLog)
	x.grow(2, 2)
	x.content()
	if n := value[int](t, x.c, `SELECT count(DISTINCT key_id) FROM audit_seals WHERE key_id <> ''`); n != 2 {
		t.Errorf("%d keys", n)
	}
	for id := range strings.SplitSeq(value[string](t, x.c, `SELECT string_agg(key_id, ' ') FROM audit_seals`), " ") {
		if strings.Contains(oldAuditKey+newAuditKey, id) && id != "" {
			t.Errorf("the id %s says something of its key", id)
		}
	}
	x.keys = []string{newAuditKey}
	x.bad(x.verify(), 3, "AUDIT_KEY does not hold")
	x.keys = nil
	x.bad(x.verify(), 3, "AUDIT_KEY does not hold")
}

func TestAGapIsGivenUpAfterADayAndWhatStandsThereThenWasInserted(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	must(t, x.c, `SELECT nextval('audit_events_id_seq')`)
	x.grow(2, 2)
	// Even a day later what turned up while no server ran is sealed: 1 was still open.
	x.tamper(`UPDATE audit_seals SET sealed = sealed - interval '25 hours'`)
	x.backdate(1, 2)
	must(t, x.c, `INSERT INTO audit_events (id, action, outcome) VALUES (1, 'sign-in', 'success')`)
	must(t, x.c, `SELECT nextval('audit_events_id_seq')`)
	x.grow(2, 1) // 7, with 6 open
	if got := value[string](t, x.c, `SELECT string_agg(ids::text || gaps::text, ' ' ORDER BY block) FROM audit_seals`); got != "{[2,4)}{[1,2)} {[4,6)}{[1,2)} {[1,2),[7,8)}{[6,7)} {[8,9)}{[6,7)}" {
		t.Error(got)
	}
	y := newTrail(t)
	must(t, y.c, `SELECT nextval('audit_events_id_seq')`)
	y.grow(1, 1)
	y.tamper(`UPDATE audit_seals SET sealed = sealed - interval '25 hours'`)
	y.backdate(1)
	y.grow(2, 1)
	y.content()
	must(t, y.c, `INSERT INTO audit_events (id, action, outcome) VALUES (1, 'sign-in', 'success')`)
	y.bad(y.verify(), 2, "inserted")
}

// backdate seals blocks of an unkeyed chain again, after their time was moved for the test.
func (x *trail) backdate(blocks ...int64) {
	x.t.Helper()
	for _, b := range blocks {
		if err := db.Reseal(context.Background(), x.url, b, ""); err != nil {
			x.t.Fatal(err)
		}
	}
}

func TestADroppedMonthIsAcceptedOnlyBeyondItsTimeAndWithItsEvent(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	for _, at := range []string{"2016-01-05", "2016-01-31 23:59:59Z", "2016-02-01 00:00:00Z", "2016-03-01"} {
		must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-in', 'success', $1::text::timestamptz)`, at)
	}
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-out', 'success', now() - interval '5 years')`)
	x.grow(2, 2)
	x.tamper(`DELETE FROM audit_events WHERE recorded < '2016-02-01Z'`)
	x.bad(x.verify(), 1, "no sealed event says")
	dropped := `INSERT INTO audit_events (action, outcome, detail) VALUES ('audit-drop', 'success', jsonb_build_object('month', $1::text, 'events', 2))`
	must(t, x.c, dropped, "2016-01")
	x.content() // it waits for its seal
	x.seal()
	if r := x.content(); r.Dropped != 2 || r.Events != 8 {
		t.Errorf("%+v", r)
	}
	x.tamper(`DELETE FROM audit_events WHERE recorded < '2016-03-01Z'`)
	x.bad(x.verify(), 2, "no sealed event says")
	must(t, x.c, dropped, time.Now().AddDate(-4, 0, 0).Format("2006-01"))
	x.seal()
	x.content()
	x.tamper(`DELETE FROM audit_events WHERE action = 'sign-out'`)
	x.bad(x.verify(), 4, "before its time")
	x.content(func(o *db.VerifyOptions) { o.Retention = 4 * 365 * 24 * time.Hour })
}
