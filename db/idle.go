package db

import (
	"context"
	"fmt"
	"time"
)

// SessionLeft is how long a session still lasts, by the database's clock.
type SessionLeft struct {
	Who
	Idle time.Duration // until it ends for want of a person's action
	Ends time.Duration // until it ends in any case
}

// IdleTimeout is how long a session lasts without a person's action. sure is what is left of that, at least, right after
// one: not every action is written down, see touchEvery.
func (d *DB) IdleTimeout() (limit, sure time.Duration) { return d.idle, d.idle - touchEvery(d.idle) }

// SessionLeft answers how long the session lasts if nobody does anything. Asking does not keep it alive.
func (d *DB) SessionLeft(ctx context.Context, v Viewer) (SessionLeft, error) {
	v.Idle = true
	return d.sessionLeft(ctx, v, touchEvery(d.idle))
}

// StaySignedIn is a person's wish to go on: it counts from now, however short a time ago the action before was.
func (d *DB) StaySignedIn(ctx context.Context, v Viewer) (SessionLeft, error) {
	v.Idle = false
	return d.sessionLeft(ctx, v, 0)
}

// sessionLeft computes what the row will say: a statement does not see what it writes itself.
func (d *DB) sessionLeft(ctx context.Context, v Viewer, touch time.Duration) (SessionLeft, error) {
	args := d.viewerArgs(v)
	args["touch_every"] = touch
	rows, err := d.pool.Query(ctx, viewerCTE+`
	SELECT `+whoColumns+`, CASE WHEN @background THEN v.last_seen_at ELSE now() END + @idle::interval - now() AS idle,
	       v.session_ends - now() AS ends
	FROM viewer v`, args)
	if err != nil {
		return SessionLeft{}, fmt.Errorf("look up the session: %w", err)
	}
	left, err := one[SessionLeft](v, rows)
	if err != nil {
		return SessionLeft{}, fmt.Errorf("look up the session: %w", err)
	}
	return left, left.check()
}
