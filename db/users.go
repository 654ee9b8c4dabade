package db

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// UserRow is an account in the administrators' list.
type UserRow struct {
	ID       int        `json:"id"`
	Username string     `json:"username"`
	Email    *string    `json:"email"`
	Role     string     `json:"role"`
	Active   bool       `json:"active"`
	LastIn   *time.Time `json:"last_in"`  // last sign-in
	Sessions int        `json:"sessions"` // alive now
	Locked   bool       `json:"locked"`   // strangers' browsers are refused, see UnlockUser
	Link     *string    `json:"link"`     // LinkInvite or LinkReset, while one is open
}

// UserList is a page of accounts by name.
type UserList struct {
	Who
	Users []UserRow
	More  bool // there are further ones
}

const usersOnPage = 100

const userRowColumns = `u.id, u.username, u.email, u.role, coalesce(u.is_active, false) AS active,
	(SELECT max(e.recorded) FROM audit_events e WHERE e.action = 'sign-in' AND e.actor_id = u.id AND e.outcome = 'success') AS last_in,
	(SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.epoch = u.session_epoch AND u.is_active
		AND s.expiry > now() AND s.last_seen_at > now() - @idle::interval) AS sessions,
	EXISTS (SELECT 1 FROM sign_in_throttle t WHERE t.user_id = u.id AND t.failures >= 100) AS locked,
	(SELECT l.kind FROM account_links l WHERE l.user_id = u.id AND l.expires_at > now()) AS link`

// Users lists accounts whose name or e-mail address holds text, those after a name; for administrators.
func (d *DB) Users(ctx context.Context, v Viewer, text, after string) (UserList, error) {
	if !typable(text) || !typable(after) {
		return UserList{}, ErrListQuery
	}
	args := d.viewerArgs(v)
	args["text"], args["after"], args["limit"] = "%"+likeEscape.Replace(text)+"%", after, usersOnPage+1
	rows, err := d.pool.Query(ctx, viewerCTE+`
		SELECT `+whoColumns+`, (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.username COLLATE "C"), '[]') FROM (
			SELECT `+userRowColumns+` FROM users u
			WHERE v.allowed AND (u.username ILIKE @text OR u.email ILIKE @text) AND u.username COLLATE "C" > @after
			ORDER BY u.username COLLATE "C" LIMIT @limit
		) r) AS users, false AS more FROM viewer v`, args)
	if err != nil {
		return UserList{}, fmt.Errorf("list users: %w", err)
	}
	l, err := one[UserList](v, rows)
	if err != nil {
		return UserList{}, fmt.Errorf("list users: %w", err)
	}
	if len(l.Users) > usersOnPage {
		l.Users, l.More = l.Users[:usersOnPage], true
	}
	return l, l.check()
}

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// UserPage is an account as administrators see it.
type UserPage struct {
	Who
	User     *UserRow
	Alive    []SessionInfo // its sessions, the newest first
	SignIns  []SignInEvent
	LinkEnds *time.Time   // of the open link
	Did      []AuditEvent `db:"-"` // the latest of the user's events
}

// OpenUser gives one account; for administrators. One that is not there is ErrNotFound.
func (d *DB) OpenUser(ctx context.Context, v Viewer, id int) (UserPage, error) {
	args := d.viewerArgs(v)
	args["id"] = id
	rows, err := d.pool.Query(ctx, viewerCTE+`
		SELECT `+whoColumns+`, (SELECT to_jsonb(r) FROM (SELECT `+userRowColumns+` FROM users u WHERE u.id = nullif(@id, 0) AND v.allowed) r) AS "user",
		       CASE WHEN v.allowed THEN `+aliveSessions("@id", "v.session_id")+` ELSE '[]' END AS alive,
		       CASE WHEN v.allowed THEN `+signInsOf("@id")+` ELSE '[]' END AS sign_ins,
		       (SELECT expires_at FROM account_links WHERE user_id = @id AND v.allowed AND expires_at > now()) AS link_ends
		FROM viewer v`, args)
	if err != nil {
		return UserPage{}, fmt.Errorf("open a user: %w", err)
	}
	p, err := one[UserPage](v, rows)
	switch {
	case err != nil:
		return UserPage{}, fmt.Errorf("open a user: %w", err)
	case p.check() != nil:
		return UserPage{}, p.check()
	case p.User == nil:
		return UserPage{}, ErrNotFound
	}
	if p.Did, err = d.seen(ctx, v, AuditQuery{Users: []int{id}}); err != nil {
		return UserPage{}, fmt.Errorf("open a user: %w", err)
	}
	return p, nil
}
