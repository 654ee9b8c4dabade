package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Kinds of refusals that strangers can cause as often as they like.
const (
	RefusedSite      = "other site"   // a form that another site sent
	RefusedFormToken = "form token"   // a form that was not made for this session
	RefusedOff       = "sign-in off"  // what is shut while sign-in is switched off
	RefusedLink      = "unknown link" // a link to set a password that is over, used, or made up
	refusedThrottled = "throttled"    // a sign-in before the password was looked at
)

// eventsAMinute is how many of each kind a process records. What else there is, is counted and told by the next event that is
// recorded, so that the audit says what went on and nobody can fill the disk with it.
const eventsAMinute = 30

// bounded says which events of a kind are recorded. Its zero value is ready.
type bounded struct {
	mu    sync.Mutex
	kinds map[string]*boundedKind
}

type boundedKind struct {
	since       time.Time
	n, leftOut  int
	actionOfOne string
}

// allow says whether one more is recorded now, and how many were left out since the last one that was.
func (b *bounded) allow(action, kind string, now time.Time) (leftOut int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kinds == nil {
		b.kinds = map[string]*boundedKind{}
	}
	k := b.kinds[kind]
	if k == nil {
		k = &boundedKind{actionOfOne: action}
		b.kinds[kind] = k
	}
	if now.Sub(k.since) >= time.Minute {
		k.since, k.n = now, 0
	}
	if k.n >= eventsAMinute {
		k.leftOut++
		return 0, false
	}
	k.n++
	leftOut, k.leftOut = k.leftOut, 0
	return leftOut, true
}

// leave counts one that is not recorded for a reason of its own, or again what was to be told and could not.
func (b *bounded) leave(action, kind string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kinds == nil {
		b.kinds = map[string]*boundedKind{}
	}
	if b.kinds[kind] == nil {
		b.kinds[kind] = &boundedKind{actionOfOne: action}
	}
	b.kinds[kind].leftOut += n
}

// rest takes what was left out and not told yet, by action and kind.
func (b *bounded) rest() map[[2]string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[[2]string]int{}
	for kind, k := range b.kinds {
		if k.leftOut > 0 {
			all[[2]string{k.actionOfOne, kind}], k.leftOut = k.leftOut, 0
		}
	}
	return all
}

// RefuseForm records that a form was refused because of where it came from (ASVS 16.3.3); kind is RefusedSite or
// RefusedFormToken. Whose session it was stands in the event where there is one; it is not kept alive by this.
func (d *DB) RefuseForm(ctx context.Context, v Viewer, kind string) error {
	v.Roles, v.Fresh = Roles, false
	return d.refuseBounded(ctx, v, "csrf", kind)
}

// RefuseWhileOff records that something was asked for which is shut while sign-in is switched off.
func (d *DB) RefuseWhileOff(ctx context.Context, v Viewer) error {
	v.Roles, v.Fresh = Roles, false
	return d.refuseBounded(ctx, v, "access", RefusedOff)
}

// refuseLink records that a link to set a password did not open anything.
func (d *DB) refuseLink(ctx context.Context, v Viewer) error {
	v.Token, v.Roles = "", nil
	return d.refuseBounded(ctx, v, "link", RefusedLink)
}

func (d *DB) refuseBounded(ctx context.Context, v Viewer, action, kind string) error {
	leftOut, ok := d.refusals.allow(action, kind, time.Now())
	if !ok {
		return nil
	}
	v.Idle = true
	args := d.viewerArgs(v)
	args["action"], args["kind"], args["left_out"] = action, kind, leftOut
	rows, err := d.pool.Query(ctx, viewerCTE+`, refused AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT v.user_id, coalesce(v.username, ''), v.session_id, @client::inet, @request_id, @program, @action, 'refused', '{}',
		       jsonb_strip_nulls(jsonb_build_object('kind', @kind::text, 'route', nullif(@route, ''), 'left_out', nullif(@left_out::integer, 0)))
		FROM (SELECT 1) once LEFT JOIN viewer v ON true
	)
	SELECT `+whoColumns+` FROM viewer v`, args)
	if err == nil {
		_, err = one[Who](v, rows)
	}
	if errors.Is(err, ErrNoSession) { // it is refused, whoever it was
		err = nil
	}
	if err != nil {
		d.refusals.leave(action, kind, leftOut+1)
		return fmt.Errorf("record a refusal: %w", err)
	}
	return nil
}

// recordLeftOut writes down what was left out and has had no next event to be told by.
func (d *DB) recordLeftOut(ctx context.Context) error {
	var failed error
	for of, n := range d.refusals.rest() {
		_, err := d.pool.Exec(ctx, `
			INSERT INTO audit_events (action, outcome, program, detail)
			VALUES (@action, 'refused', @program, jsonb_build_object('kind', @kind::text, 'left_out', @n::integer))`,
			pgx.NamedArgs{"action": of[0], "kind": of[1], "n": n, "program": d.program})
		if err != nil {
			d.refusals.leave(of[0], of[1], n)
			failed = errors.Join(failed, fmt.Errorf("record what was left out of the audit: %w", err))
		}
	}
	return failed
}

// RecordStart records that a server starts, and the names of the settings that weaken its protection; none of their values
// (ASVS 16.3.4). Without the event it must not serve.
func (d *DB) RecordStart(ctx context.Context, actor string, weakened []string) error {
	_, err := d.pool.Exec(ctx, `
		INSERT INTO audit_events (action, outcome, actor, program, detail)
		VALUES ('start', 'success', @actor, @program, jsonb_build_object('weakened', @weakened::text[]))`,
		pgx.NamedArgs{"actor": actor, "program": d.program, "weakened": append([]string{}, weakened...)})
	if err != nil {
		return fmt.Errorf("record the start in the audit: %w", err)
	}
	return nil
}
