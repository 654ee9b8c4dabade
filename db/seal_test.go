package db_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

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
	t.Parallel()
	x := newTrail(t)
	x.grow(1, 1)
	for _, sql := range []string{`UPDATE audit_seals SET events = 7`, `DELETE FROM audit_seals`, `TRUNCATE audit_seals`} {
		if _, err := x.c.Exec(context.Background(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestWithoutTheChainsKeyNothingIsSealedAndTheLogSaysSoOnce(t *testing.T) {
	t.Parallel()
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

func TestTheLastRoundWaitsForTheOneThatWasCutOff(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	const lock = `pg_advisory_lock(hashtext('chartroom audit seal'))`
	must(t, x.c, `SELECT `+lock)
	x.write(3)
	ctx, stop := context.WithCancel(context.Background())
	stop() // the server ends
	done := make(chan struct{})
	go func() {
		x.d.NewSealer(nil, nil, slog.New(slog.DiscardHandler)).Run(ctx)
		close(done)
	}()
	time.Sleep(200 * time.Millisecond)
	must(t, x.c, strings.Replace(`SELECT `+lock, "pg_advisory_lock", "pg_advisory_unlock", 1))
	<-done
	if r := x.content(); r.Blocks != 1 || r.Events != 3 || r.Unsealed != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWritersSealersRollbacksAndAKilledSealerLeaveEachEventInOneBlock(t *testing.T) {
	t.Parallel()
	x := newTrail(t, newAuditKey)
	ctx, stop := context.WithCancel(context.Background())
	var writers, sealers sync.WaitGroup
	slow := dbtest.Conn(t, x.url)
	must(t, slow, `BEGIN`)
	must(t, slow, `INSERT INTO audit_events (action, outcome) VALUES ('import', 'success')`)
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
					_, err = tx.Exec(context.Background(), `INSERT INTO audit_events (action, outcome, recorded) VALUES ('patient-list', 'success', clock_timestamp() - $1 * interval '40 days')`, rnd.IntN(8)/7)
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
	t.Parallel()
	x := newTrail(t)
	x.grow(2, 3)
	// A clock that went back by years, and one that went ahead; a huge id that the sequence never gave waits.
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-in', 'success', now() - interval '5 years'), ('sign-out', 'success', now() + interval '5 years')`)
	must(t, x.c, `INSERT INTO audit_events (id, action, outcome) VALUES (4000000000000000000, 'export', 'success')`)
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
	t.Parallel()
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
	must(t, slow, `INSERT INTO audit_events (action, outcome) SELECT 'import', 'success' FROM generate_series(1, 6)`)
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

func TestAnEventStandsOnStandardOutputBeforeItsBlockIsSealed(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// A pipe that is full until somebody reads it.
type fullPipe struct {
	mu sync.Mutex
	bytes.Buffer
}

func (p *fullPipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Buffer.Write(b)
}

func TestAStandardOutputThatStandsStillHoldsNothingUpAndMissesNothing(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	x.write(500) // more than is written at once
	var pipe fullPipe
	pipe.mu.Lock()
	s := x.d.NewSealer(nil, &pipe, quietLog)
	blocks := func() int { return value[int](t, x.c, `SELECT count(*) FROM audit_seals`) }
	seal := func(within time.Duration) error { // a round that was given up may hold the lock for a moment longer, and then this does nothing
		for {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			err := s.Seal(ctx)
			cancel()
			if err != nil || blocks() > 0 {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for range 2 {
		within := 150 * time.Millisecond
		err := seal(within)
		for err != nil && !strings.Contains(err.Error(), "standard output") && within < 10*time.Second { // the database may be slow just then
			within *= 2
			err = seal(within)
		}
		if err == nil || !strings.Contains(err.Error(), "standard output") {
			t.Error(err)
		}
	}
	if blocks() != 0 {
		t.Error("sealed what was not written")
	}
	pipe.mu.Unlock()
	if err := seal(time.Minute); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for line := range strings.Lines(pipe.String()) {
		var e struct{ ID int }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		seen[e.ID] = true
	}
	if r := x.content(); len(seen) != 500 || r.Events != 500 {
		t.Errorf("%d written, %+v", len(seen), r)
	}
}
