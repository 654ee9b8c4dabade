package db

import (
	"context"
	"errors"
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
	Route     string // pattern of the route that is asked for, for the audit
	Idle      bool   // the request is no person's action (a poll): it must not keep the session alive
	StandIn   bool   // nobody has signed in, and sign-in may be off; see SignInOff
	Fresh     bool   // what is asked needs a password that was given within the last ConfirmedFor
	Found     *Who   // where the statement notes whose session it found, for the log and the language of an answer; nil: nowhere
}

// ConfirmedFor is how long a password that was given counts for what needs it again (ASVS 7.5).
const ConfirmedFor = 10 * time.Minute

// ErrConfirm says that the role allows it, but that the user's password must be asked for first.
var ErrConfirm = errors.New("the password must be given again")

// Who is what a statement found about its Viewer.
type Who struct {
	UserID      int
	Username    string
	Email       *string
	Role        string
	SessionID   string // UUID
	SignedInAt  time.Time
	SessionEnds time.Time    // absolute end, whatever happens
	Allowed     bool         // the role is among Viewer.Roles, and the sign-in is fresh where Viewer.Fresh asks for it
	Stale       bool         // only the latter is missing
	Preferences *Preferences // nil where the user has none
}

// viewerCTE opens every statement made for a Viewer. It judges the session (alive, not idle for too long, its user
// active and not signed out everywhere since) and the role, marks the session as seen, and moves it to the current key.
// The user's state is read each time, so that a disabling or a changed role counts at the next request. A role that may
// not is recorded here, once for all statements; what follows records only what a role that may has asked for. Both are
// functions, called when that is due: a data-modifying WITH that does nothing costs a page a tenth of its time (measured).
const viewerCTE = `
WITH viewer AS MATERIALIZED (
	SELECT s.token, s.id AS session_id, s.user_id, s.created_at AS signed_in_at, s.expiry AS session_ends, s.last_seen_at,
	       u.username, u.email, u.role, pr.preferences, u.role = ANY (@roles::text[]) AND s.created_at > now() - @fresh_for::interval AS allowed,
	       u.role = ANY (@roles::text[]) AND s.created_at <= now() - @fresh_for::interval AS stale,
	       CASE WHEN s.token <> @token OR NOT @background AND s.last_seen_at <= now() - @touch_every::interval
	       THEN sessions_touch(s.token, @token, @background) END AS touched,
	       CASE WHEN (u.role = ANY (@roles::text[])) IS NOT TRUE
	       THEN access_refused(u.id, u.username::text, s.id, @client::inet, @request_id::text, @program::text, @route::text) END AS denied
	FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN user_preferences pr ON pr.user_id = s.user_id
	WHERE s.token = ANY (@tokens::text[]) AND s.expiry > now() AND s.last_seen_at > now() - @idle::interval
	  AND u.is_active AND u.session_epoch = s.epoch
	LIMIT 1
)`

// whoColumns are Who's fields, for the SELECT that closes such a statement.
const whoColumns = `v.user_id, v.username, v.email, v.role, v.session_id::text, v.signed_in_at, v.session_ends, v.allowed, v.stale, v.preferences`

// auditColumns and auditValues are the part that every event of a Viewer shares; action, outcome, patients and detail
// follow.
const (
	auditColumns = `actor_id, actor, session_id, client, request_id, program, action, outcome, patients, detail`
	auditValues  = `v.user_id, v.username, v.session_id, @client::inet, @request_id, @program`
)

// touchEvery is how stale last_seen_at may be: a write for every request would cost more than the page (measured, 3 ×).
func touchEvery(idle time.Duration) time.Duration { return min(time.Minute, idle/10) }

func (d *DB) viewerArgs(v Viewer) pgx.NamedArgs {
	stored := d.sessions.stored(v.Token)
	fresh := 100 * 365 * 24 * time.Hour
	if v.Fresh {
		fresh = ConfirmedFor
	}
	return pgx.NamedArgs{
		"tokens": stored, "token": stored[0], "fresh_for": fresh, "roles": v.Roles, "background": v.Idle,
		"idle": d.idle, "touch_every": touchEvery(d.idle),
		"client": clientText(v.Client), "request_id": v.RequestID, "route": v.Route, "program": d.program,
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
	switch {
	case w.Stale:
		return ErrConfirm
	case !w.Allowed:
		return ErrForbidden
	}
	return nil
}

// Whoami answers who is signed in, for pages that show nothing else from the database. A refused role is audited.
func (d *DB) Whoami(ctx context.Context, v Viewer) (Who, error) { return d.whoami(ctx, d.pool, v) }

func (d *DB) whoami(ctx context.Context, q querier, v Viewer) (Who, error) {
	open, args := d.opening(v)
	rows, err := q.Query(ctx, open.cte+`
	SELECT `+whoColumns+` FROM viewer v`, args)
	if err != nil {
		return Who{}, fmt.Errorf("look up the session: %w", err)
	}
	who, err := one[Who](v, rows)
	if err != nil {
		return Who{}, fmt.Errorf("look up the session: %w", err)
	}
	return who, who.check()
}

// found notes whose session it was.
func (v Viewer) found(w Who) {
	if v.Found != nil {
		*v.Found = w
	}
}

func (w Who) who() Who { return w }

// one collects the single row of a Viewer's statement; none means that there is no such session.
func one[T interface{ who() Who }](v Viewer, rows pgx.Rows) (T, error) {
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err == nil && len(all) == 0 {
		err = ErrNoSession
	}
	if err != nil {
		var none T
		return none, err
	}
	v.found(all[0].who())
	return all[0], nil
}
