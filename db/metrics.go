package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/jackc/pgx/v5"
)

// hashMetrics are of the queue of passwords, which a process has one of.
var hashMetrics = metrics.NewSet()

// signInOutcomes are the values of a label: the kinds of the audit's refusals, and what else can come of a sign-in. A sign-in
// that confirms a password counts as well.
var signInOutcomes = []string{"granted", "unknown user", "wrong password", "unusable hash", "disabled", "locked", "changed meanwhile", givenUp, refusedThrottled, "busy", "error"}

// meter counts what happens here. Nobody's name or address is in it.
type meter struct {
	set                                *metrics.Set
	signIns                            map[string]*metrics.Counter
	sealFailures, housekeepingFailures *metrics.Counter

	mu     sync.Mutex
	seen   gauges // what the database said last
	seenAt time.Time
}

// gauges are what only the database knows.
type gauges struct {
	up       bool
	Sessions int
	Unsealed float64  // seconds since the oldest event that waits to be sealed, 0 where none does
	LastSeal *float64 // Unix time
}

// What asking the database for its gauges may cost: a scrape must not be felt by those who work.
const (
	gaugesEvery = 5 * time.Second
	gaugesTime  = time.Second
)

func newMeter() *meter {
	m := &meter{set: metrics.NewSet(), signIns: map[string]*metrics.Counter{}}
	for _, outcome := range signInOutcomes {
		m.signIns[outcome] = m.set.NewCounter(fmt.Sprintf("chartroom_sign_ins_total{outcome=%q}", outcome))
	}
	m.sealFailures = m.set.NewCounter("chartroom_audit_seal_failures_total")
	m.housekeepingFailures = m.set.NewCounter("chartroom_housekeeping_failures_total")
	return m
}

// signedIn counts a sign-in by what came of it.
func (m *meter) signedIn(err error) {
	outcome := "error"
	var kind Refused
	switch {
	case err == nil:
		outcome = "granted"
	case errors.Is(err, errGivenUp):
		outcome = givenUp
	case errors.As(err, &kind):
		outcome = kind.Kind
	case errors.As(err, new(Throttled)):
		outcome = refusedThrottled
	case errors.Is(err, ErrBusy):
		outcome = "busy"
	}
	m.signIns[outcome].Inc()
}

// WriteMetrics writes what this process counts and what the database says of itself, as lines of Prometheus' text format. A
// database that does not answer within a second is down, and what only it knows is left out. While all connections are in
// use nobody asks it: whoever waits for one comes first.
func (d *DB) WriteMetrics(ctx context.Context, w io.Writer) {
	hashMetrics.WritePrometheus(w)
	hashing.write(w)
	d.meter.set.WritePrometheus(w)
	d.writePool(w)
	g, known := d.meter.look(ctx, d)
	if !known {
		return
	}
	up := uint64(0)
	if g.up {
		up = 1
	}
	metrics.WriteGaugeUint64(w, "chartroom_database_up", up)
	if !g.up {
		return
	}
	metrics.WriteGaugeUint64(w, "chartroom_sessions", uint64(g.Sessions))
	metrics.WriteGaugeFloat64(w, "chartroom_audit_unsealed_seconds", g.Unsealed)
	if g.LastSeal != nil {
		metrics.WriteGaugeFloat64(w, "chartroom_audit_last_seal_timestamp_seconds", *g.LastSeal)
	}
}

func (q *hashQueue) write(w io.Writer) {
	running, places := len(q.running), len(q.places) // who runs has a place, too
	metrics.WriteGaugeUint64(w, "chartroom_password_hash_running", uint64(running))
	metrics.WriteGaugeUint64(w, "chartroom_password_hash_waiting", uint64(max(0, places-running)))
	metrics.WriteGaugeUint64(w, "chartroom_password_hash_places", uint64(cap(q.places)))
}

func (d *DB) writePool(w io.Writer) {
	s := d.pool.Stat()
	metrics.WriteMetadataIfNeeded(w, "chartroom_database_connections", "gauge")
	fmt.Fprintf(w, "chartroom_database_connections{state=\"idle\"} %d\nchartroom_database_connections{state=\"in use\"} %d\n"+
		"chartroom_database_connections{state=\"opening\"} %d\n", s.IdleConns(), s.AcquiredConns(), s.ConstructingConns())
	metrics.WriteGaugeUint64(w, "chartroom_database_connections_max", uint64(s.MaxConns()))
	metrics.WriteCounterUint64(w, "chartroom_database_connections_opened_total", uint64(s.NewConnsCount()))
	metrics.WriteCounterUint64(w, "chartroom_database_acquires_total", uint64(s.AcquireCount()))
	metrics.WriteCounterUint64(w, "chartroom_database_acquires_waited_total", uint64(s.EmptyAcquireCount()))
	metrics.WriteCounterUint64(w, "chartroom_database_acquires_given_up_total", uint64(s.CanceledAcquireCount()))
	metrics.WriteCounterFloat64(w, "chartroom_database_acquire_wait_seconds_total", s.EmptyAcquireWaitTime().Seconds())
}

// look asks the database, unless it was asked just now. known is false where it could not be asked.
func (m *meter) look(ctx context.Context, d *DB) (g gauges, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.seenAt) < gaugesEvery {
		return m.seen, true
	}
	if s := d.pool.Stat(); s.AcquiredConns() >= s.MaxConns() {
		return gauges{}, false
	}
	// Not ended by the one who asks: the answer is for everybody.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gaugesTime)
	defer cancel()
	seen, err := lookAtGauges(ctx, d)
	seen.up = err == nil
	m.seen, m.seenAt = seen, time.Now()
	return seen, true
}

func lookAtGauges(ctx context.Context, d *DB) (g gauges, err error) {
	err = d.pool.QueryRow(ctx, `
		WITH newest AS (`+newestSeal+`)
		SELECT (SELECT count(*) FROM sessions WHERE expiry > now() AND last_seen_at > now() - @idle::interval),
		       coalesce((SELECT extract(epoch FROM greatest(now() - e.recorded, interval '0')) FROM audit_events e
		                 WHERE e.id > coalesce((SELECT last_id FROM newest), 0) ORDER BY e.id LIMIT 1), 0)::float8,
		       (SELECT extract(epoch FROM sealed)::float8 FROM newest)`, pgx.NamedArgs{"idle": d.idle}).Scan(&g.Sessions, &g.Unsealed, &g.LastSeal)
	return g, err
}
