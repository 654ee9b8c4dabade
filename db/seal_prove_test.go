//go:build prove

package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"chartroom/db"
)

// TestProveRandomTamperingOfTheAuditIsFoundAndItsBlockNamed does to a sealed audit what only a superuser can, one thing at a
// time, 200 of them for a keyed chain and 200 for one that is not.
func TestProveRandomTamperingOfTheAuditIsFoundAndItsBlockNamed(t *testing.T) {
	for _, keys := range [][]string{nil, {newAuditKey, oldAuditKey}} {
		t.Run(fmt.Sprintf("%d keys", len(keys)), func(t *testing.T) { tamperAtRandom(t, keys) })
	}
}

func tamperAtRandom(t *testing.T, keys []string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	x := newTrail(t)
	w := &tampering{trail: x, Rand: rand.New(rand.NewPCG(seed, 8))}
	x.keys = keys
	if keys != nil { // a chain whose key was replaced
		x.sealer = x.d.NewSealer(keys[1:], nil, quietLog)
		w.fill()
	}
	x.sealer = x.d.NewSealer(keys, nil, quietLog)
	w.fill()
	w.anchor = x.content().Newest
	x.keep()
	kinds := map[string]int{}
	for n := range 200 {
		how := tamperings[w.IntN(len(tamperings))]
		kinds[how.name]++
		want, cutOff := how.do(w)
		if r := x.verify(); !cutOff && (r.Bad == nil || r.Bad.Block != want) {
			t.Fatalf("%d, %s: want block %d, found %+v", n, how.name, want, r.Bad)
		}
		if r := x.verify(anchored(t, w.anchor)); r.Bad == nil || r.Bad.Block != want {
			t.Fatalf("%d, %s, with the anchor: want block %d, found %+v", n, how.name, want, r.Bad)
		}
		x.restore()
	}
	x.content(anchored(t, w.anchor))
	t.Logf("found: %v", kinds)
}

type tampering struct {
	*trail
	*rand.Rand
	anchor string
}

// fill makes blocks as they come about: of several sizes, out of order, with gaps, of two months at once.
func (w *tampering) fill() {
	late := newConn(w.trail)
	for n := range 15 {
		must(w.t, late, `BEGIN`)
		must(w.t, late, `INSERT INTO audit_events (action, outcome) VALUES ('sign-in', 'success')`)
		w.write(1 + w.IntN(12))
		if n%4 == 0 {
			must(w.t, w.c, `INSERT INTO audit_events (action, outcome, recorded) SELECT 'sign-in', 'success', now() - i % 2 * interval '70 days' FROM generate_series(1, 6) i`)
		}
		w.seal()
		must(w.t, late, []string{`COMMIT`, `ROLLBACK`}[n%2])
	}
	w.seal()
}

// one picks a value of a query's at random.
func (w *tampering) one(sql string, args ...any) int64 {
	w.t.Helper()
	all := value[[]int64](w.t, w.c, `SELECT array_agg(v ORDER BY v) FROM (`+sql+`) t (v)`, args...)
	return all[w.IntN(len(all))]
}

func (w *tampering) event() int64 { return w.one(`SELECT id FROM audit_events`) }
func (w *tampering) block() int64 { return w.one(`SELECT block FROM audit_seals`) }
func (w *tampering) blockOf(id int64) int64 {
	w.t.Helper()
	return value[int64](w.t, w.c, `SELECT block FROM audit_seals WHERE ids @> $1::bigint`, id)
}

var tamperings = []struct {
	name string
	do   func(*tampering) (block int64, onlyWithAnchor bool)
}{
	{"an event edited", func(w *tampering) (int64, bool) {
		id := w.event()
		changes := []string{`actor = actor || 'x'`, `action = 'sign-out'`, `outcome = CASE outcome WHEN 'success' THEN 'refused' ELSE 'success' END`,
			`actor_id = coalesce(actor_id, 0) + 1`, `session_id = gen_random_uuid()`, `client = '198.51.100.1'`, `request_id = request_id || ' '`,
			`program = 'x' || program`, `patients = patients || gen_random_uuid()`, `detail = detail || '{"x": null}'`,
			`recorded = recorded + interval '1 microsecond'`, `recorded = recorded + interval '33 days'`, `id = id + 1000000`}
		w.tamper(`UPDATE audit_events SET `+changes[w.IntN(len(changes))]+` WHERE id = $1`, id)
		return value[int64](w.t, w.c, `SELECT block FROM audit_seals WHERE ids @> $1::bigint`, id), false
	}},
	{"events removed", func(w *tampering) (int64, bool) {
		id := w.event()
		w.tamper(`DELETE FROM audit_events WHERE id BETWEEN $1 AND $2`, id, id+int64(w.IntN(20)))
		return value[int64](w.t, w.c, `SELECT min(s.block) FROM audit_seals s, unnest(s.ids) r, generate_series(lower(r), upper(r) - 1) i
			WHERE NOT EXISTS (SELECT FROM audit_events e WHERE e.id = i)`), false
	}},
	{"two events swapped", func(w *tampering) (int64, bool) {
		a, b := w.event(), w.event()
		for a == b {
			b = w.event()
		}
		if w.IntN(2) == 0 {
			w.tamper(`UPDATE audit_events SET id = $1 + $2 - id WHERE id IN ($1, $2)`, a, b)
		} else {
			w.tamper(`UPDATE audit_events e SET request_id = o.request_id || '.', detail = o.detail, patients = o.patients FROM audit_events o
				WHERE e.id IN ($1, $2) AND o.id = $1 + $2 - e.id`, a, b)
		}
		return min(w.blockOf(a), w.blockOf(b)), false
	}},
	{"an event inserted", func(w *tampering) (int64, bool) {
		id := w.event()
		switch w.IntN(3) {
		case 0: // beside its own, in its month or in another
			w.tamper(`INSERT INTO audit_events (id, recorded, action, outcome) SELECT id, recorded + ($2 || ' days')::interval + interval '1 second', 'x', 'success' FROM audit_events WHERE id = $1`,
				id, fmt.Sprint(w.IntN(2)*35))
			return w.blockOf(id), false
		case 1: // below all
			w.tamper(`INSERT INTO audit_events (id, action, outcome) VALUES ($1, 'x', 'success')`, -id)
			return 1, false
		}
		// in the place of one, which goes elsewhere
		w.tamper(`UPDATE audit_events SET id = -id WHERE id = $1`, id)
		return 1, false
	}},
	{"a seal edited", func(w *tampering) (int64, bool) {
		b := w.block()
		changes := []string{`sealed = sealed + interval '1 microsecond'`, `month = (month + interval '1 month')::date`, `events = events + 1`,
			`ids = ids + '{[900000,900001)}'`, `digest = sha256(digest)`, `key_id = key_id || 'x'`, `key_id = CASE key_id WHEN '' THEN 'x' ELSE '' END`,
			`seal = sha256(seal)`, `last_id = last_id + 1`, `gaps = gaps + '{[900000,900001)}'`}
		w.tamper(`UPDATE audit_seals SET `+changes[w.IntN(len(changes))]+` WHERE block = $1`, b)
		return b, false
	}},
	{"seals removed", func(w *tampering) (int64, bool) {
		b := w.one(`SELECT block FROM audit_seals WHERE block < (SELECT max(block) FROM audit_seals)`)
		w.tamper(`DELETE FROM audit_seals WHERE block = $1`, b)
		if w.IntN(2) == 0 { // and those behind take its place
			w.tamper(`UPDATE audit_seals SET block = -block WHERE block > $1`, b)
			w.tamper(`UPDATE audit_seals SET block = -block - 1 WHERE block < 0`)
		}
		return b, false
	}},
	{"seals swapped", func(w *tampering) (int64, bool) {
		a, b := w.block(), w.block()
		for a == b {
			b = w.block()
		}
		w.tamper(`UPDATE audit_seals SET block = -block WHERE block IN ($1, $2)`, a, b)
		w.tamper(`UPDATE audit_seals SET block = $1::bigint + $2::bigint + block WHERE block < 0`, a, b)
		return min(a, b), false
	}},
	{"a seal inserted", func(w *tampering) (int64, bool) {
		b := w.block()
		if w.IntN(2) == 0 {
			w.tamper(`INSERT INTO audit_seals SELECT (SELECT max(block) + 1 FROM audit_seals), sealed, month, ids, events, digest, key_id, seal, last_id, gaps FROM audit_seals WHERE block = $1`, b)
			return value[int64](w.t, w.c, `SELECT max(block) FROM audit_seals`), false
		}
		w.tamper(`UPDATE audit_seals SET block = -block - 1 WHERE block > $1`, b)
		w.tamper(`UPDATE audit_seals SET block = -block WHERE block < 0`)
		w.tamper(`INSERT INTO audit_seals SELECT block + 1, sealed, month, '{}', 0, digest, key_id, seal, last_id, gaps FROM audit_seals WHERE block = $1`, b)
		return b + 1, false
	}},
	{"the end of the seals cut off", func(w *tampering) (int64, bool) {
		b := w.block()
		w.tamper(`DELETE FROM audit_seals WHERE block >= $1`, b)
		return b, true
	}},
	{"the end of seals and events cut off", func(w *tampering) (int64, bool) {
		b := w.block()
		w.tamper(`DELETE FROM audit_events e USING audit_seals s WHERE s.block >= $1 AND s.ids @> e.id`, b)
		w.tamper(`DELETE FROM audit_seals WHERE block >= $1`, b)
		return b, true
	}},
	{"the end cut off, and others in its place", func(w *tampering) (int64, bool) {
		b := w.block()
		w.tamper(`DELETE FROM audit_seals WHERE block >= $1`, b)
		w.tamper(`UPDATE audit_events e SET actor = 'x' WHERE NOT EXISTS (SELECT FROM audit_seals s WHERE s.ids @> e.id)`)
		if err := w.d.NewSealer(w.keys, nil, quietLog).Seal(context.Background()); err != nil { // even with the key
			w.t.Fatal(err)
		}
		var a db.Anchor
		a, _ = db.ParseAnchor(w.anchor)
		if made := value[int64](w.t, w.c, `SELECT max(block) FROM audit_seals`); made < a.Block {
			return made + 1, true
		}
		return a.Block, true
	}},
	{"all truncated", func(w *tampering) (int64, bool) {
		w.tamper(`TRUNCATE audit_seals`)
		if w.IntN(2) == 0 {
			w.tamper(`TRUNCATE audit_events`)
		}
		return 1, true
	}},
	{"the chain made anew without the key", func(w *tampering) (int64, bool) {
		w.tamper(`UPDATE audit_events SET actor = 'x' WHERE id = $1`, w.event())
		w.remake()
		blocks := value[int64](w.t, w.c, `SELECT max(block) FROM audit_seals`)
		if w.keys == nil {
			return blocks + 1, true // cut off, by the anchor's measure
		}
		return blocks, false
	}},
}

// TestProveAFloodIsSealedWithinFiveSeconds writes as fast as eight connections can, with two sealers beside.
func TestProveAFloodIsSealedWithinFiveSeconds(t *testing.T) {
	x := newTrail(t, newAuditKey)
	ctx, stop := context.WithCancel(context.Background())
	var sealers, writers sync.WaitGroup
	for range 2 {
		s := x.d.NewSealer(x.keys, nil, quietLog)
		sealers.Go(func() { s.Run(ctx) })
	}
	end := time.Now().Add(12 * time.Second)
	for range 8 {
		c := newConn(x)
		writers.Go(func() {
			for time.Now().Before(end) {
				if _, err := c.Exec(context.Background(), `INSERT INTO audit_events (action, outcome, patients) VALUES ('patient-list', 'success', ARRAY[gen_random_uuid()])`); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	for limit := time.Now().Add(10 * time.Second); x.verify().Unsealed > 0 && time.Now().Before(limit); {
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	sealers.Wait()
	r := x.content()
	late := value[float64](t, x.c, `SELECT extract(epoch FROM max(s.sealed - e.recorded))::float8 FROM audit_seals s, unnest(s.ids) r, audit_events e WHERE e.id >= lower(r) AND e.id < upper(r)`)
	t.Logf("%d events, the latest sealed after %.2f s", r.Events, late)
	if late > 5 || r.Events < 1000 || r.Unsealed != 0 {
		t.Errorf("%.2f s: %+v", late, r)
	}
}
