package db

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long a link works by which a user sets a password. An invitation waits for somebody's first day.
const (
	InviteLasts = 72 * time.Hour
	ResetLasts  = 24 * time.Hour
)

// Kinds of links.
const (
	LinkInvite = "invite"
	LinkReset  = "reset"
)

// Link is what is shown once: the token of the address, which is stored nowhere.
type Link struct {
	Token    string
	Username string
	Kind     string
	Expires  time.Time
}

// linkHash is what is stored of a link's token, which has 256 random bits.
func linkHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// InviteUser adds an account whose password nobody knows, and makes the link by which its user sets one (ASVS 6.4.1,
// 6.4.6).
func (d *DB) InviteUser(ctx context.Context, by By, n NewUser) (User, Link, error) {
	if err := n.check(); err != nil {
		return User{}, Link{}, err
	}
	if by.Shell == "" { // changing judges it again: this is so that nobody has a hash made who may not
		if _, err := d.Whoami(ctx, by.Viewer); err != nil {
			return User{}, Link{}, err
		}
	}
	nobodys := make([]byte, 32)
	_, _ = rand.Read(nobodys)
	hash, err := hashing.hash(ctx, hex.EncodeToString(nobodys)) // a true hash: the predecessor must be able to read it
	if err != nil {
		return User{}, Link{}, err
	}
	var u User
	var l Link
	err = d.changing(ctx, by, func(tx pgx.Tx, who Who) error {
		if u, err = d.insertUser(ctx, tx, by, who, n, hash); err != nil {
			return err
		}
		l, err = d.makeLink(ctx, tx, u, LinkInvite, InviteLasts, who)
		return err
	})
	return u, l, err
}

// MakeLink makes the link by which a user sets a new password; an earlier one works no longer. The password they have works
// until then.
func (d *DB) MakeLink(ctx context.Context, by By, ref UserRef) (Link, error) {
	var l Link
	err := d.changeUser(ctx, by, ref, "user-reset-link", nil, func(tx pgx.Tx, who Who, u User) (err error) {
		if !u.Active {
			return ErrUserOff
		}
		l, err = d.makeLink(ctx, tx, u, LinkReset, ResetLasts, who)
		return err
	})
	return l, err
}

func (d *DB) makeLink(ctx context.Context, tx pgx.Tx, u User, kind string, lasts time.Duration, who Who) (Link, error) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	l := Link{Token: base64.RawURLEncoding.EncodeToString(b), Username: u.Username, Kind: kind}
	err := tx.QueryRow(ctx, `
		INSERT INTO account_links (user_id, token, kind, made_by, expires_at) VALUES (@id, @token, @kind, @by, now() + @lasts::interval)
		ON CONFLICT (user_id) DO UPDATE SET token = EXCLUDED.token, made_by = EXCLUDED.made_by,
			made_at = now(), expires_at = EXCLUDED.expires_at
		RETURNING kind, expires_at`,
		pgx.NamedArgs{"id": u.ID, "token": linkHash(l.Token), "kind": kind, "by": who.Username, "lasts": lasts}).Scan(&l.Kind, &l.Expires)
	if err != nil {
		return Link{}, fmt.Errorf("make the link: %w", err)
	}
	return l, nil
}

// LinkInfo is what a link says to whoever holds it.
type LinkInfo struct {
	UserID   int
	Username string
	Email    *string
	Kind     string
	Expires  time.Time
}

const linkIsGood = `FROM account_links l JOIN users u ON u.id = l.user_id WHERE l.token = @token AND l.expires_at > now() AND u.is_active`

// OpenLink looks a link up without using it. One that was used, is over or never was is ErrNotFound, and on record.
func (d *DB) OpenLink(ctx context.Context, token string, from Viewer) (LinkInfo, error) {
	l, err := d.openLink(ctx, d.pool, token, "")
	if errors.Is(err, ErrNotFound) {
		if failed := d.refuseLink(ctx, from); failed != nil {
			return l, failed
		}
	}
	return l, err
}

func (d *DB) openLink(ctx context.Context, q querier, token, lock string) (LinkInfo, error) {
	rows, err := q.Query(ctx, `SELECT u.id AS user_id, u.username, u.email, l.kind, l.expires_at AS expires `+linkIsGood+lock,
		pgx.NamedArgs{"token": linkHash(token)})
	if err != nil {
		return LinkInfo{}, fmt.Errorf("look up the link: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[LinkInfo])
	switch {
	case err != nil:
		return LinkInfo{}, fmt.Errorf("look up the link: %w", err)
	case len(found) == 0:
		return LinkInfo{}, ErrNotFound
	}
	return found[0], nil
}

// UseLink sets the password by a link, which then is used up. Signing in with it is a step of its own, so that a link never
// stands for a second factor (ASVS 6.4.3). Words are further ones that the password must not be made of; one that is not
// taken is a PasswordProblem and leaves the link as it is, as ErrBusy does.
func (d *DB) UseLink(ctx context.Context, token, password string, from Viewer, words ...string) error {
	l, err := d.OpenLink(ctx, token, from)
	if err != nil {
		return err
	}
	words = append(words, l.Username, deref(l.Email))
	if err := CheckPassword(password, words...); err != nil {
		return PasswordProblem{err}
	}
	hash, err := hashing.hash(ctx, password)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if err := oneAtATime(ctx, tx); err != nil { // a new link being made holds the same rows in another order
			return err
		}
		l, err := d.openLink(ctx, tx, token, ` FOR NO KEY UPDATE`)
		if err != nil {
			return err
		}
		if err := d.newPassword(ctx, tx, l.UserID, hash, nil); err != nil {
			return err
		}
		by := By{Viewer: from, Shell: l.Username}
		if err := d.record(ctx, tx, by, Who{Username: l.Username}, "password-by-link", l.UserID, map[string]any{"kind": l.Kind}); err != nil {
			return err
		}
		return d.endSessions(ctx, tx, from, l.UserID)
	})
}
