package db_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
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

func TestEveryEventIsSealedAndTheChainIsWhole(t *testing.T) {
	for _, keys := range [][]string{nil, {newAuditKey}} {
		x := newTrail(t, keys...)
		if r := x.content(); r.Blocks != 0 || r.Newest != "" || r.Unsealed != 0 {
			t.Errorf("an empty audit: %+v", r)
		}
		x.grow(3, 4)
		x.seal() // nothing to do
		x.write(2)
		r := x.content()
		if r.Blocks != 3 || r.Events != 12 || r.Unsealed != 2 || time.Since(*r.OldestUnsealed) > time.Minute || r.KeyedFrom != int64(len(keys)) {
			t.Errorf("%+v", r)
		}
		x.content(anchored(t, r.Newest))
		if got := value[string](t, x.c, `SELECT string_agg(ids::text || gaps::text, ' ' ORDER BY block) FROM audit_seals`); got != "{[1,5)}{} {[5,9)}{} {[9,13)}{}" {
			t.Error(got)
		}
	}
}

func TestSealsCannotBeChangedOrRemoved(t *testing.T) {
	x := newTrail(t)
	x.grow(1, 1)
	for _, sql := range []string{`UPDATE audit_seals SET events = 7`, `DELETE FROM audit_seals`, `TRUNCATE audit_seals`} {
		if _, err := x.c.Exec(context.Background(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestEveryColumnOfAnEventIsSealed(t *testing.T) {
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

// remake makes all seals anew over what there is, as an unkeyed chain.
func (x *trail) remake(keys ...string) {
	x.t.Helper()
	x.tamper(`DELETE FROM audit_seals`)
	if err := x.d.NewSealer(keys, nil, quietLog).Seal(context.Background()); err != nil {
		x.t.Fatal(err)
	}
}

func TestAChainThatWasMadeAnewIsFoundByTheAnchorOrTheKey(t *testing.T) {
	x := newTrail(t)
	x.grow(4, 4)
	anchor := x.content().Newest
	x.tamper(`UPDATE audit_events SET actor = 'bob' WHERE id = 6`)
	x.remake()
	x.content()
	x.bad(x.verify(anchored(t, anchor)), 2, "cut off") // one block holds all now
	y := newTrail(t, newAuditKey)
	y.grow(4, 4)
	y.tamper(`UPDATE audit_events SET actor = 'bob' WHERE id = 6`)
	y.remake()
	y.bad(y.verify(), 1, "not keyed")
	y.remake("another key that somebody has made up")
	y.bad(y.verify(), 1, "does not hold")
	y.tamper(`UPDATE audit_seals SET key_id = (SELECT max(key_id) FROM audit_seals)`)
	y.bad(y.verify(), 1, "does not hold")
}

func TestKeysRotateAndAnOldOneIsNeededAsLongAsItsBlocks(t *testing.T) {
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

func TestWithoutTheChainsKeyNothingIsSealedAndTheLogSaysSoOnce(t *testing.T) {
	x := newTrail(t, newAuditKey)
	x.grow(1, 2)
	x.write(2)
	for _, keys := range [][]string{nil, {oldAuditKey}} {
		var log dbtest.Buffer
		s := x.d.NewSealer(keys, nil, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		for end := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "AUDIT_KEY does not hold") && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		stop()
		<-done
		if n := strings.Count(log.String(), "does not hold"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log.String())
		}
	}
	if r := x.content(); r.Blocks != 1 || r.Unsealed != 2 {
		t.Errorf("%+v", r)
	}
	x.seal()
	x.content()
}

func TestWritersSealersRollbacksAndAKilledSealerLeaveEachEventInOneBlock(t *testing.T) {
	x := newTrail(t, newAuditKey)
	ctx, stop := context.WithCancel(context.Background())
	var writers, sealers sync.WaitGroup
	slow := dbtest.Conn(t, x.url)
	must(t, slow, `BEGIN`)
	must(t, slow, `INSERT INTO audit_events (action, outcome) VALUES ('slow', 'success')`)
	for w := range 6 {
		c := dbtest.Conn(t, x.url)
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(5, uint64(w)))
			for range 60 {
				tx, err := c.Begin(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				for range 1 + rnd.IntN(4) {
					_, err = tx.Exec(context.Background(), `INSERT INTO audit_events (action, outcome, recorded) VALUES ('w', 'success', clock_timestamp() - $1 * interval '40 days')`, rnd.IntN(8)/7)
					time.Sleep(time.Duration(rnd.IntN(1500)) * time.Microsecond)
				}
				if rnd.IntN(5) == 0 {
					err = errors.Join(err, tx.Rollback(context.Background()))
				} else {
					err = errors.Join(err, tx.Commit(context.Background()))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		s := x.d.NewSealer(x.keys, nil, quietLog)
		sealers.Go(func() {
			for ctx.Err() == nil {
				if err := s.Seal(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sealers.Go(func() { // one after the other that does not live long
		for n := 0; ctx.Err() == nil; n++ {
			short, cancel := context.WithTimeout(ctx, time.Duration(n%8)*500*time.Microsecond)
			_ = x.d.NewSealer(x.keys, nil, quietLog).Seal(short)
			cancel()
		}
	})
	writers.Wait()
	stop()
	sealers.Wait()
	must(t, slow, `COMMIT`)
	x.seal()
	r := x.content()
	if n := value[int64](t, x.c, `SELECT count(*) FROM audit_events`); r.Events != n || r.Unsealed != 0 || r.Blocks < 2 {
		t.Errorf("%d events: %+v", n, r)
	}
	if n := value[int](t, x.c, `SELECT count(*) FROM (SELECT FROM audit_events e JOIN audit_seals s ON s.ids @> e.id GROUP BY e.id HAVING count(*) > 1) twice`); n != 0 {
		t.Errorf("%d events are in two blocks", n)
	}
}

func TestEventsAreSealedWhateverTheClockSays(t *testing.T) {
	x := newTrail(t)
	x.grow(2, 3)
	// A clock that went back by years, and one that went ahead; a huge id that the sequence never gave waits.
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('a', 'success', now() - interval '5 years'), ('b', 'success', now() + interval '5 years')`)
	must(t, x.c, `INSERT INTO audit_events (id, action, outcome) VALUES (4000000000000000000, 'huge', 'success')`)
	x.seal()
	if r := x.content(); r.Blocks != 4 || r.Events != 8 || r.Unsealed != 1 {
		t.Errorf("%+v", r)
	}
	x.grow(2, 3)
	if r := x.content(); r.Events != 14 || r.Unsealed != 1 {
		t.Errorf("%+v", r)
	}
}

func TestSealsDoNotDependOnAConnectionsSettings(t *testing.T) {
	x := newTrail(t, newAuditKey)
	x.write(9)
	x.seal()
	all := []*db.DB{x.d}
	for _, settings := range []string{"&default_query_exec_mode=simple_protocol&TimeZone=Asia/Tokyo", "&DateStyle=SQL,DMY&TimeZone=America/New_York&IntervalStyle=iso_8601&extra_float_digits=0"} {
		other := dbtest.OpenURL(t, x.url+settings, time.Hour)
		x.write(9)
		if err := other.NewSealer(x.keys, nil, quietLog).Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		all = append(all, other)
	}
	for _, d := range all {
		x.d = d
		if r := x.content(); r.Events != 27 || r.Blocks != 3 {
			t.Errorf("%+v", r)
		}
	}
}

func TestAFloodIsSealedInPortionsAndGapsOutliveThem(t *testing.T) {
	x := newTrail(t)
	db.SetSealPortion(t, 4)
	slow := newConn(x)
	must(t, slow, `BEGIN`)
	must(t, slow, `INSERT INTO audit_events (action, outcome) SELECT 'slow', 'success' FROM generate_series(1, 6)`)
	x.write(5)
	x.seal()
	x.tamper(`UPDATE audit_seals SET sealed = sealed - interval '25 hours' WHERE block = 1`)
	if err := db.Reseal(context.Background(), x.url, 1, ""); err != nil {
		t.Fatal(err)
	}
	x.tamper(`DELETE FROM audit_seals WHERE block > 1`)
	must(t, slow, `COMMIT`) // six of them, which a portion of four does not hold
	x.write(3)
	x.seal()
	if r := x.content(); r.Events != 14 || r.Unsealed != 0 || r.Blocks != 4 {
		t.Errorf("%+v", r)
	}
}

func TestAGapIsGivenUpAfterADayAndWhatStandsThereThenWasInserted(t *testing.T) {
	x := newTrail(t)
	must(t, x.c, `SELECT nextval('audit_events_id_seq')`)
	x.grow(2, 2)
	// Even a day later what turned up while no server ran is sealed: 1 was still open.
	x.tamper(`UPDATE audit_seals SET sealed = sealed - interval '25 hours'`)
	must(t, x.c, `INSERT INTO audit_events (id, action, outcome) VALUES (1, 'late', 'success')`)
	must(t, x.c, `SELECT nextval('audit_events_id_seq')`)
	x.grow(2, 1) // 7, with 6 open
	if got := value[string](t, x.c, `SELECT string_agg(ids::text || gaps::text, ' ' ORDER BY block) FROM audit_seals`); got != "{[2,4)}{[1,2)} {[4,6)}{[1,2)} {[1,2),[7,8)}{[6,7)} {[8,9)}{[6,7)}" {
		t.Error(got)
	}
	y := newTrail(t)
	must(t, y.c, `SELECT nextval('audit_events_id_seq')`)
	y.grow(1, 1)
	y.tamper(`UPDATE audit_seals SET sealed = sealed - interval '25 hours'`)
	y.remakeFirst()
	y.grow(2, 1)
	y.content()
	must(t, y.c, `INSERT INTO audit_events (id, action, outcome) VALUES (1, 'late', 'success')`)
	y.bad(y.verify(), 2, "inserted")
}

// remakeFirst seals the first block of an unkeyed chain again, after its time was moved for the test.
func (x *trail) remakeFirst() {
	x.t.Helper()
	if err := db.Reseal(context.Background(), x.url, 1, ""); err != nil {
		x.t.Fatal(err)
	}
}

func TestAnEventStandsOnStandardOutputBeforeItsBlockIsSealed(t *testing.T) {
	x := newTrail(t)
	x.write(3)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, actor, recorded) VALUES ('sign-in', 'refused', E'eve\n{"id":9}', '2026-01-02 03:04:05.6Z')`)
	broken := x.d.NewSealer(nil, failingWriter{}, quietLog)
	if err := broken.Seal(context.Background()); err == nil || !strings.Contains(err.Error(), "standard output") {
		t.Error(err)
	}
	if n := value[int](t, x.c, `SELECT count(*) FROM audit_seals`); n != 0 {
		t.Error("sealed what was not written")
	}
	var out bytes.Buffer
	if err := x.d.NewSealer(nil, &out, quietLog).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	if want := `{"id":4,"recorded":"2026-01-02T03:04:05.600000Z","action":"sign-in","outcome":"refused","actor_id":null,"actor":"eve\n{\"id\":9}","session_id":null,` +
		`"client":null,"request_id":"","program":"","patients":[],"detail":{}}`; lines[3] != want {
		t.Errorf("%s\nwant\n%s", lines[3], want)
	}
	var second struct {
		ActorID  int    `json:"actor_id"`
		Client   string `json:"client"`
		Patients []string
		Detail   struct{ Found int }
	}
	if err := json.Unmarshal([]byte(lines[1]), &second); err != nil || second.ActorID != 2 || second.Client != "192.0.2.7" || len(second.Patients) != 2 || second.Detail.Found != 2 {
		t.Errorf("%v %+v: %s", err, second, lines[1])
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestTheNewestSealGoesToTheLogAndALostOneIsTold(t *testing.T) {
	x := newTrail(t)
	var log dbtest.Buffer
	s := x.d.NewSealer(nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, stop := context.WithCancel(context.Background())
	x.write(3)
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "audit sealed") && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	x.write(2)
	stop()
	<-done // and the last round has sealed these
	r := x.content()
	if n := strings.Count(log.String(), "audit sealed"); n != 2 || !strings.Contains(log.String(), r.Newest) || r.Unsealed != 0 {
		t.Errorf("%d times, want %s:\n%s", n, r.Newest, log.String())
	}
	x.tamper(`DELETE FROM audit_seals WHERE block = 2`)
	if err := s.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "keep this seal") || strings.Count(log.String(), r.Newest) != 2 {
		t.Error(log.String())
	}
}

func TestADroppedMonthIsAcceptedOnlyBeyondItsTimeAndWithItsEvent(t *testing.T) {
	x := newTrail(t, newAuditKey)
	for _, at := range []string{"2016-01-05", "2016-01-31 23:59:59Z", "2016-02-01 00:00:00Z", "2016-03-01"} {
		must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('old', 'success', $1::text::timestamptz)`, at)
	}
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('younger', 'success', now() - interval '5 years')`)
	x.grow(2, 2)
	x.tamper(`DELETE FROM audit_events WHERE recorded < '2016-02-01Z'`)
	x.bad(x.verify(), 1, "no sealed event says")
	dropped := `INSERT INTO audit_events (action, outcome, detail) VALUES ('audit-drop', 'success', jsonb_build_object('month', $1::text, 'events', 2))`
	must(t, x.c, dropped, "2016-01")
	x.bad(x.verify(), 1, "no sealed event says") // it is not sealed yet
	x.seal()
	if r := x.content(); r.Dropped != 2 || r.Events != 8 {
		t.Errorf("%+v", r)
	}
	x.tamper(`DELETE FROM audit_events WHERE recorded < '2016-03-01Z'`)
	x.bad(x.verify(), 2, "no sealed event says")
	must(t, x.c, dropped, "2022-12")
	x.seal()
	x.content()
	x.tamper(`DELETE FROM audit_events WHERE action = 'younger'`)
	x.bad(x.verify(), 4, "before its time")
	x.content(func(o *db.VerifyOptions) { o.Retention = 4 * 365 * 24 * time.Hour })
}
