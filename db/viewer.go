package db

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// Roles a user can have, from users.role.
const (
	RoleViewer    = "viewer"    // reads patients
	RoleClinician = "clinician" // reads and writes patients
	RoleAdmin     = "admin"     // also manages users and reads the audit
)

// Viewer is a caller's credential as it came with a request. Nothing in it is believed until the statement of the
// method that takes it has found a living session and a fitting role.
type Viewer struct {
	Token     string     // the session cookie's value
	Roles     []string   // who may do what is asked
	Client    netip.Addr // zero when unknown
	RequestID string
	Idle      bool // the request is no person's action (a poll): it must not keep the session alive
}

// Who is what a statement found about its Viewer.
type Who struct {
	UserID      int
	Username    string
	Email       *string
	Role        string
	SessionID   string // UUID
	SignedInAt  time.Time
	SessionEnds time.Time // absolute end, whatever happens
	Allowed     bool      // the role is among Viewer.Roles
}

// viewerCTE opens every statement made for a Viewer. It judges the session (alive, not idle for too long, its user
// active and not signed out everywhere since) and the role, and marks the session as seen. The user's state is read
// each time, so that a disabling or a changed role counts at the next request.
const viewerCTE = `
WITH viewer AS MATERIALIZED (
	SELECT s.token, s.id AS session_id, s.user_id, s.created_at AS signed_in_at, s.expiry AS session_ends, s.last_seen_at,
	       u.username, u.email, u.role, u.role = ANY (@roles::text[]) AS allowed
	FROM sessions s JOIN users u ON u.id = s.user_id
	WHERE s.token = ANY (@tokens::text[]) AND s.expiry > now() AND s.last_seen_at > now() - @idle::interval
	  AND u.is_active AND u.session_epoch = s.epoch
	LIMIT 1
), touched AS (
	UPDATE sessions s SET last_seen_at = now() FROM viewer v
	WHERE s.token = v.token AND NOT @background AND v.last_seen_at <= now() - @touch_every::interval
)`

// whoColumns are Who's fields, for the SELECT that closes such a statement.
const whoColumns = `v.user_id, v.username, v.email, v.role, v.session_id::text, v.signed_in_at, v.session_ends, v.allowed`

// auditColumns and auditValues are the part that every event of a Viewer shares; action, outcome, patients and detail
// follow.
const (
	auditColumns = `actor_id, actor, session_id, client, request_id, program, action, outcome, patients, detail`
	auditValues  = `v.user_id, v.username, v.session_id, @client::inet, @request_id, @program`
)

// touchEvery is how stale last_seen_at may be: a write for every request would cost more than the page (measured, 3 ×).
func touchEvery(idle time.Duration) time.Duration { return min(time.Minute, idle/10) }

func (d *DB) viewerArgs(v Viewer) pgx.NamedArgs {
	return pgx.NamedArgs{
		"tokens": d.sessions.stored(v.Token), "roles": v.Roles, "background": v.Idle,
		"idle": d.idle, "touch_every": touchEvery(d.idle),
		"client": clientText(v.Client), "request_id": v.RequestID, "program": d.program,
	}
}

func clientText(a netip.Addr) *string {
	if !a.IsValid() {
		return nil
	}
	s := a.Unmap().WithZone("").String()
	return &s
}

// check turns what was found into the error that the caller acts on.
func (w Who) check() error {
	if !w.Allowed {
		return ErrForbidden
	}
	return nil
}

// Whoami answers who is signed in, for pages that show nothing else from the database. A refused role is audited.
func (d *DB) Whoami(ctx context.Context, v Viewer) (Who, error) {
	rows, err := d.pool.Query(ctx, viewerCTE+`, audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'access', 'refused', '{}', '{}' FROM viewer v WHERE NOT v.allowed
	)
	SELECT `+whoColumns+` FROM viewer v`, d.viewerArgs(v))
	if err != nil {
		return Who{}, fmt.Errorf("look up the session: %w", err)
	}
	who, err := one[Who](rows)
	if err != nil {
		return Who{}, fmt.Errorf("look up the session: %w", err)
	}
	return who, who.check()
}

// one collects the single row of a Viewer's statement; none means that there is no such session.
func one[T any](rows pgx.Rows) (T, error) {
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err == nil && len(all) == 0 {
		err = ErrNoSession
	}
	if err != nil {
		var none T
		return none, err
	}
	return all[0], nil
}
