package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"
)

// SessionInfo is a session as its user and administrators see it.
type SessionInfo struct {
	ID        string    `json:"id"`
	Client    *string   `json:"client"`
	UserAgent string    `json:"user_agent"`
	Begun     time.Time `json:"begun"`
	LastSeen  time.Time `json:"last_seen"` // coarse: within a minute
	This      bool      `json:"this"`
}

// SignInEvent is an attempt to sign in, from the audit.
type SignInEvent struct {
	At      time.Time `json:"at"`
	Client  *string   `json:"client"`
	Granted bool      `json:"granted"`
	Kind    *string   `json:"kind"` // why it was refused
}

// Account is a user's own account.
type Account struct {
	Who
	Sessions []SessionInfo // the newest first
	SignIns  []SignInEvent // the newest first, at most recentSignIns
	Failures int           // refused ones since the sign-in before this session's
}

const recentSignIns = 20

// aliveSessions and signInsOf are lists as JSON, of the user with this id.
func aliveSessions(id, this string) string {
	return `(SELECT coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'client', d.j->>'client', 'user_agent', coalesce(d.j->>'user_agent', ''),
			'begun', s.created_at, 'last_seen', s.last_seen_at, 'this', s.id = ` + this + `) ORDER BY s.created_at DESC, s.id), '[]')
		FROM sessions s CROSS JOIN LATERAL (SELECT convert_from(s.data, 'UTF8')::jsonb AS j) d JOIN users su ON su.id = s.user_id
		WHERE s.user_id = ` + id + ` AND s.epoch = su.session_epoch AND s.expiry > now() AND s.last_seen_at > now() - @idle::interval)`
}

func signInsOf(id string) string {
	return fmt.Sprintf(`(SELECT coalesce(jsonb_agg(jsonb_build_object('at', e.recorded, 'client', host(e.client), 'granted', e.outcome = 'success',
			'kind', e.detail->>'kind') ORDER BY e.recorded DESC), '[]')
		FROM (SELECT recorded, client, outcome, detail FROM audit_events WHERE action = 'sign-in' AND actor_id = %s
			ORDER BY recorded DESC LIMIT %d) e)`, id, recentSignIns)
}

// Account gives the viewer's own account.
func (d *DB) Account(ctx context.Context, v Viewer) (Account, error) {
	rows, err := d.pool.Query(ctx, viewerCTE+`
		SELECT `+whoColumns+`, `+aliveSessions("v.user_id", "v.session_id")+` AS sessions, `+signInsOf("v.user_id")+` AS sign_ins,
		       (SELECT count(*) FROM audit_events e WHERE e.action = 'sign-in' AND e.actor_id = v.user_id AND e.outcome = 'refused'
		        AND e.recorded > coalesce((SELECT max(l.recorded) FROM audit_events l WHERE l.action = 'sign-in' AND l.actor_id = v.user_id
		                                   AND l.outcome = 'success' AND l.recorded < v.signed_in_at), '-infinity')) AS failures
		FROM viewer v`, d.viewerArgs(v))
	if err != nil {
		return Account{}, fmt.Errorf("open the account: %w", err)
	}
	a, err := one[Account](v, rows)
	if err != nil {
		return Account{}, fmt.Errorf("open the account: %w", err)
	}
	return a, a.check()
}

// ErrSamePassword is a change that changes nothing.
var ErrSamePassword = errors.New("the new password is the one you have: choose another one")

// PasswordChange is what a user's change of their own password brings.
type PasswordChange struct {
	Current, New string
	Device       string // the device cookie's value
	UserAgent    string
	Words        []string // further ones that the password must not be made of
}

// ChangePassword changes the viewer's own password. The current one is verified like a sign-in, and counts as one (ErrRefused,
// Throttled, ErrBusy). All sessions end; what is given back is for a new one.
func (d *DB) ChangePassword(ctx context.Context, v Viewer, c PasswordChange) (SignedIn, error) {
	who, err := d.Whoami(ctx, v)
	if err != nil {
		return SignedIn{}, err
	}
	if err := CheckPassword(c.New, append(c.Words, who.Username, deref(who.Email))...); err != nil {
		return SignedIn{}, PasswordProblem{err}
	}
	in, err := d.Confirm(ctx, v, c.Current, c.Device, c.UserAgent)
	switch {
	case err != nil:
		return SignedIn{}, err
	case norm.NFC.String(c.New) == norm.NFC.String(c.Current):
		return SignedIn{}, PasswordProblem{ErrSamePassword}
	}
	hash, err := hashing.hash(ctx, c.New)
	if err != nil {
		return SignedIn{}, err
	}
	err = d.changing(ctx, By{Viewer: v}, func(tx pgx.Tx, who Who) error {
		var epoch int
		if err := tx.QueryRow(ctx, `SELECT session_epoch FROM users WHERE id = @id FOR NO KEY UPDATE`, pgx.NamedArgs{"id": who.UserID}).Scan(&epoch); err != nil {
			return fmt.Errorf("change the password: %w", err)
		}
		if epoch != in.Epoch {
			return ErrNoSession // somebody changed it, or signed the user out, meanwhile
		}
		if err := d.newPassword(ctx, tx, who.UserID, hash, deviceHash(d.sessions.device(in.Device))); err != nil {
			return err
		}
		in.Epoch++
		if err := d.record(ctx, tx, By{Viewer: v}, who, "password-change", who.UserID, nil); err != nil {
			return err
		}
		return d.endSessions(ctx, tx, v, who.UserID)
	})
	in.Weak = nil
	return in, err
}

// PasswordProblem says why a new password is not taken.
type PasswordProblem struct{ Why error }

func (p PasswordProblem) Error() string { return p.Why.Error() }
func (p PasswordProblem) Unwrap() error { return p.Why }

// Confirm verifies the viewer's password again, as a sign-in (ErrRefused, Throttled, ErrBusy), and gives what a new session
// in place of this one needs.
func (d *DB) Confirm(ctx context.Context, v Viewer, password, device, userAgent string) (SignedIn, error) {
	who, err := d.Whoami(ctx, v)
	if err != nil {
		return SignedIn{}, err
	}
	in, err := d.SignIn(ctx, SignInForm{Username: who.Username, Password: password, Device: device, From: v, UserAgent: userAgent})
	if err == nil && in.UserID != who.UserID {
		return SignedIn{}, ErrNoSession
	}
	return in, err
}

// ChangeEmail changes the viewer's own e-mail address; "" removes it.
func (d *DB) ChangeEmail(ctx context.Context, v Viewer, email string) error {
	if email != "" && !isEmail(email) {
		return ErrUserEmail
	}
	return d.changing(ctx, By{Viewer: v}, func(tx pgx.Tx, who Who) error {
		_, err := tx.Exec(ctx, `UPDATE users SET email = nullif(@email, '') WHERE id = @id`, pgx.NamedArgs{"email": email, "id": who.UserID})
		if refused(err) == uniqueViolation {
			return ErrUserTaken
		}
		if err != nil {
			return fmt.Errorf("change the e-mail address: %w", err)
		}
		return d.record(ctx, tx, By{Viewer: v}, who, "email-change", who.UserID, nil)
	})
}

// EndOwnSession ends one of the viewer's sessions; another user's is ErrNotFound.
func (d *DB) EndOwnSession(ctx context.Context, v Viewer, id string) error {
	if !isUUID(id) {
		return ErrNotFound
	}
	n, err := d.endOwn(ctx, v, `s.id = @id::uuid`, id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// EndOtherSessions ends all of the viewer's sessions but this one, and says how many.
func (d *DB) EndOtherSessions(ctx context.Context, v Viewer) (int, error) {
	return d.endOwn(ctx, v, `s.id <> @id::uuid`, "")
}

func (d *DB) endOwn(ctx context.Context, v Viewer, which, id string) (n int, err error) {
	err = d.changing(ctx, By{Viewer: v}, func(tx pgx.Tx, who Who) error {
		if id == "" {
			id = who.SessionID
		}
		done, err := tx.Exec(ctx, endCTE+`DELETE FROM sessions s USING note WHERE s.user_id = @user AND `+which,
			endArgs(endNote{"session-ended", clientText(v.Client), v.RequestID}, d.program, pgx.NamedArgs{"user": who.UserID, "id": id}))
		if err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		n = int(done.RowsAffected())
		return nil
	})
	return n, err
}
