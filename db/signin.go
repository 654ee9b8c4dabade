package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrRefused is every reason for which a sign-in is not granted. Which one it was stands in the audit and in the log, see Refused.
var ErrRefused = errors.New("wrong user name or password")

// Refused is an ErrRefused with its reason, for the log. Whoever signs in must not learn it.
type Refused struct {
	Kind   string // as the audit has it
	UserID int    // 0 where nobody has the name
}

func (Refused) Error() string        { return ErrRefused.Error() }
func (Refused) Is(target error) bool { return target == ErrRefused }

// SignInForm is what a sign-in brings.
type SignInForm struct {
	Username, Password string
	Device             string // the device cookie's value, if there is one
	From               Viewer
	UserAgent          string
}

// SignedIn is a sign-in that was granted.
type SignedIn struct {
	Session
	Device string // the device cookie's value from now on
	Weak   error  // why the password would not be taken as a new one
}

// SignIn verifies a user name and a password and gives the Session to store. Refusals are ErrRefused, always after the same
// work, and Throttled, always before it; ErrBusy is neither. All are audited, but of those that wait for the same delay
// only the first. A hash weaker than today's is replaced; nothing else is written to users.
func (d *DB) SignIn(ctx context.Context, f SignInForm) (SignedIn, error) {
	in, err := d.signIn(ctx, f)
	d.meter.signedIn(err)
	return in, err
}

func (d *DB) signIn(ctx context.Context, f SignInForm) (SignedIn, error) {
	device := d.sessions.device(f.Device)
	counted := d.sessions.subjects(f.Username, f.From.Client, device)
	args := counted.args(f.Username, device)
	if wait, err := d.mustWait(ctx, args); err != nil {
		return SignedIn{}, fmt.Errorf("look up failed sign-ins: %w", err)
	} else if wait > 0 {
		d.refusals.leave("sign-in", refusedThrottled, 1)
		return SignedIn{}, Throttled{After: wait}
	}
	leave, err := hashing.enter()
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	// Who hangs up from here on has had their guess: it is counted, and recorded, all the same.
	certain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	a, err := d.try(certain, args)
	if err != nil {
		return SignedIn{}, fmt.Errorf("look up the account: %w", err)
	}
	if a.Wait > 0 {
		if err := d.auditThrottled(certain, a, f.From); err != nil {
			return SignedIn{}, err
		}
		return SignedIn{}, Throttled{After: a.Wait}
	}
	var right, rehash bool
	if err := hashing.run(ctx, func() { right, rehash = verifyPassword(deref(a.PasswordHash), f.Password) }); err != nil {
		return SignedIn{}, errors.Join(errGivenUp, err, d.auditRefusal(certain, a, f.From, givenUp))
	}
	kind := ""
	switch {
	case a.ID == nil:
		kind = "unknown user"
	case !right && hashProblem(deref(a.PasswordHash)) != "":
		kind = "unusable hash"
	case !right:
		kind = "wrong password"
	case a.IsActive == nil || !*a.IsActive:
		kind = "disabled"
	case a.Locked:
		kind = "locked"
	}
	if kind != "" {
		return SignedIn{}, d.refuse(certain, a, f.From, kind)
	}
	in := SignedIn{Weak: CheckPassword(f.Password, *a.Username, deref(a.Email)),
		Session: Session{UserID: *a.ID, Epoch: *a.SessionEpoch, Methods: []string{"pwd"}, Client: clientText(f.From.Client),
			UserAgent: clip(f.UserAgent, 200), RequestID: f.From.RequestID, Program: d.program}}
	if rehash {
		if err := d.upgradeHash(certain, *a.ID, *a.PasswordHash, f.Password); err != nil {
			return SignedIn{}, err
		}
	}
	if device == nil {
		in.Device = d.sessions.newDevice()
		device = d.sessions.device(in.Device)
	} else {
		in.Device = d.sessions.signDevice(device)
	}
	same, err := d.succeeded(certain, a, counted, device)
	if err != nil {
		return SignedIn{}, err
	}
	if !same {
		return SignedIn{}, d.refuse(certain, a, f.From, "changed meanwhile")
	}
	return in, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// refuse is ErrRefused, once that is on record.
func (d *DB) refuse(ctx context.Context, a attempt, from Viewer, kind string) error {
	if err := d.auditRefusal(ctx, a, from, kind); err != nil {
		return err
	}
	refused := Refused{Kind: kind}
	if a.ID != nil {
		refused.UserID = *a.ID
	}
	return refused
}

// errGivenUp is for who has left before their turn to have a password verified.
var errGivenUp = errors.New("the sign-in was given up")

const givenUp = "given up"

// auditRefusal never says the name that was typed, when nobody has it: people type passwords into that field.
func (d *DB) auditRefusal(ctx context.Context, a attempt, from Viewer, kind string) error {
	return d.auditRefusalWith(ctx, a, from, kind, 0)
}

func (d *DB) auditRefusalWith(ctx context.Context, a attempt, from Viewer, kind string, leftOut int) error {
	_, err := d.pool.Exec(ctx, `
		INSERT INTO audit_events (action, outcome, actor_id, actor, client, request_id, program, detail)
		VALUES ('sign-in', 'refused', @id, @username, @client::inet, @request_id, @program,
		        jsonb_strip_nulls(jsonb_build_object('kind', @kind::text, 'left_out', nullif(@left_out::integer, 0))))`,
		pgx.NamedArgs{"id": a.ID, "username": deref(a.Username), "client": clientText(from.Client),
			"request_id": from.RequestID, "program": d.program, "kind": kind, "left_out": leftOut})
	if err != nil {
		return fmt.Errorf("record a refused sign-in: %w", err)
	}
	return nil
}

// auditThrottled records the first refusal of each delay, within what a minute takes, and counts the others.
func (d *DB) auditThrottled(ctx context.Context, a attempt, from Viewer) error {
	if !a.Noted {
		d.refusals.leave("sign-in", refusedThrottled, 1)
		return nil
	}
	leftOut, ok := d.refusals.allow("sign-in", refusedThrottled, time.Now())
	if !ok {
		return nil
	}
	err := d.auditRefusalWith(ctx, a, from, refusedThrottled, leftOut)
	if err != nil {
		d.refusals.leave("sign-in", refusedThrottled, leftOut+1)
	}
	return err
}

// upgradeHash replaces a hash by today's, unless somebody changed it meanwhile. A password that is shorter than the
// rule for new ones keeps its hash: the rule is for its next change, not for keeping people out.
func (d *DB) upgradeHash(ctx context.Context, id int, old, password string) error {
	hash, err := "", error(nil)
	if busy := hashing.run(ctx, func() { hash, err = hashAt(bcryptCost, password) }); busy != nil {
		return busy
	}
	if err != nil {
		return nil
	}
	_, err = d.pool.Exec(ctx, `UPDATE users SET password_hash = @new WHERE id = @id AND password_hash = @old`,
		pgx.NamedArgs{"id": id, "old": old, "new": hash})
	if err != nil {
		return fmt.Errorf("renew a password hash: %w", err)
	}
	return nil
}

func clip(s string, bytes int) string {
	s = strings.ToValidUTF8(s[:min(len(s), bytes)], "")
	return strings.ReplaceAll(s, "\x00", "")
}
