package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Roles are all values of users.role, the least first.
var Roles = []string{RoleViewer, RoleClinician, RoleAdmin}

// User is an account as user administration shows it; never with its hash.
type User struct {
	ID        int        `json:"id"`
	Username  string     `json:"username"`
	Email     *string    `json:"email"`
	Role      string     `json:"role"`
	Active    bool       `json:"active"`
	CreatedAt *time.Time `json:"created_at"` // without a zone, as the predecessor's table has it
}

// By is who changes an account: an administrator at the site, or somebody at the server's shell.
type By struct {
	Viewer Viewer // counts when Shell is empty
	Shell  string // the name of who typed the command
}

// UserRef names an account, by one of the two; 0 and "" name none.
type UserRef struct {
	ID   int
	Name string
}

// What administrators are told, as sentences at the shell; pages have words of their own.
var (
	ErrLastAdmin = errors.New("this is the last administrator: make another user one first")
	ErrUserTaken = errors.New("there is already a user with this name or e-mail address")
	ErrUserEmail = errors.New("that is no e-mail address, such as name@clinic.example")
	ErrUserRole  = fmt.Errorf("the role must be one of %s", strings.Join(Roles, ", "))
	ErrUserOff   = errors.New("this user is disabled: enable them first")
	ErrUserName  = errors.New("the user name cannot be one") // what every nameProblem is
)

// nameProblem says why a user name cannot be one. It is an ErrUserName.
type nameProblem string

func (p nameProblem) Error() string        { return string(p) }
func (p nameProblem) Is(target error) bool { return target == ErrUserName }

// Why a user name cannot be one.
const (
	ErrUserNameLength = nameProblem("the user name must have 1 to 255 bytes")
	ErrUserNameText   = nameProblem("the user name holds characters that cannot be typed")
	ErrUserNameSpaces = nameProblem("the user name begins or ends with a space, which nobody would see")
)

// changing runs do in one transaction after it has judged who asks. Changes of accounts wait for each other, and an
// administrator is judged after the wait, so that nobody acts by a role that was just taken from them, and two cannot
// take it from each other (ASVS 2.3.4).
func (d *DB) changing(ctx context.Context, by By, do func(tx pgx.Tx, who Who) error) error {
	tx, err := d.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("change an account: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := oneAtATime(ctx, tx); err != nil {
		return err
	}
	who := Who{Username: by.Shell}
	if by.Shell == "" {
		if who, err = d.whoami(ctx, tx, by.Viewer); err != nil {
			if errors.Is(err, ErrForbidden) { // which is on record
				return errors.Join(err, tx.Commit(ctx))
			}
			return err
		}
	}
	if err := do(tx, who); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("change an account: %w", err)
	}
	return nil
}

// oneAtATime waits until nobody else changes an account.
func oneAtATime(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('chartroom accounts'))`); err != nil {
		return fmt.Errorf("change an account: %w", err)
	}
	return nil
}

// record writes the event of a change to an account.
func (d *DB) record(ctx context.Context, tx pgx.Tx, by By, who Who, action string, userID int, detail map[string]any) error {
	all := map[string]any{"user_id": userID}
	for k, v := range detail {
		all[k] = v
	}
	args := pgx.NamedArgs{"actor_id": nil, "actor": who.Username, "session": nil, "client": clientText(by.Viewer.Client),
		"request_id": by.Viewer.RequestID, "program": d.program, "action": action, "detail": all}
	if by.Shell == "" {
		args["actor_id"], args["session"] = who.UserID, who.SessionID
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO audit_events (`+auditColumns+`)
		VALUES (@actor_id::integer, @actor, @session::uuid, @client::inet, @request_id, @program, @action, 'success', '{}', @detail::jsonb)`, args)
	if err != nil {
		return fmt.Errorf("record the change of an account: %w", err)
	}
	return nil
}

// NewUser is what CreateUser and InviteUser need. Role "" is clinician, but admin for the first user of an empty table.
type NewUser struct {
	Username, Email, Role, Password string
}

func (n NewUser) check() error {
	if err := checkUsername(n.Username); err != nil {
		return err
	}
	if n.Email != "" && !isEmail(n.Email) {
		return ErrUserEmail
	}
	if n.Role != "" && !slices.Contains(Roles, n.Role) {
		return ErrUserRole
	}
	return nil
}

func isEmail(text string) bool {
	name, host, ok := strings.Cut(text, "@")
	return ok && name != "" && host != "" && len(text) <= 255 && utf8.ValidString(text) && !strings.ContainsAny(host, "@") &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// CreateUser adds an account with a password. Errors are sentences for whoever typed the values.
func (d *DB) CreateUser(ctx context.Context, by By, n NewUser) (User, error) {
	if err := n.check(); err != nil {
		return User{}, err
	}
	hash, err := HashPassword(n.Password, n.Username, n.Email)
	if err != nil {
		return User{}, err
	}
	var u User
	err = d.changing(ctx, by, func(tx pgx.Tx, who Who) error {
		u, err = d.insertUser(ctx, tx, by, who, n, hash)
		return err
	})
	return u, err
}

func (d *DB) insertUser(ctx context.Context, tx pgx.Tx, by By, who Who, n NewUser, hash string) (User, error) {
	rows, err := tx.Query(ctx, `
		INSERT INTO users (username, email, password_hash, role)
		VALUES (@username, nullif(@email, ''), @hash,
		        coalesce(nullif(@role, ''), CASE WHEN EXISTS (SELECT 1 FROM users) THEN 'clinician' ELSE 'admin' END))
		RETURNING `+userColumns,
		pgx.NamedArgs{"username": n.Username, "email": n.Email, "hash": hash, "role": n.Role})
	if err != nil {
		return User{}, fmt.Errorf("create the user: %w", err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[User])
	if refused(err) == uniqueViolation {
		return User{}, ErrUserTaken
	}
	if err != nil {
		return User{}, fmt.Errorf("create the user: %w", err)
	}
	return u, d.record(ctx, tx, by, who, "user-create", u.ID, map[string]any{"role": u.Role})
}

const userColumns = `id, username, email, role, coalesce(is_active, false) AS active, created_at`

// typable says whether text can be a user name for PostgreSQL.
func typable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsRune(name, 0) && len(name) <= 1020
}

func checkUsername(name string) error {
	switch {
	case name == "" || len(name) > 255:
		return ErrUserNameLength
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return ErrUserNameText
	case strings.TrimSpace(name) != name:
		return ErrUserNameSpaces
	}
	return nil
}

// ListUsers gives all accounts by name, to the shell.
func (d *DB) ListUsers(ctx context.Context) ([]User, error) {
	rows, err := d.pool.Query(ctx, `SELECT `+userColumns+` FROM users ORDER BY username`)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[User])
}

// HasAdmin says whether an active administrator exists.
func (d *DB) HasAdmin(ctx context.Context) (has bool, err error) {
	err = d.pool.QueryRow(ctx, hasAdminSQL).Scan(&has)
	return has, err
}

const hasAdminSQL = `SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND is_active)`

// DisableUser shuts an account and ends its sessions at once; requests under way get no further data. The last
// administrator stays (ErrLastAdmin).
func (d *DB) DisableUser(ctx context.Context, by By, ref UserRef) error {
	return d.changeUser(ctx, by, ref, "user-disable", nil, func(tx pgx.Tx, who Who, u User) error {
		if err := keepsAdmin(ctx, tx, u); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE account_links SET expires_at = now() WHERE user_id = @id`, pgx.NamedArgs{"id": u.ID}); err != nil {
			return fmt.Errorf("take the user's link back: %w", err)
		}
		return d.update(ctx, tx, u.ID, `is_active = false, session_epoch = session_epoch + 1`, nil)
	})
}

// EnableUser opens an account again. Its earlier sessions stay ended.
func (d *DB) EnableUser(ctx context.Context, by By, ref UserRef) error {
	return d.changeUser(ctx, by, ref, "user-enable", nil, func(tx pgx.Tx, who Who, u User) error {
		return d.update(ctx, tx, u.ID, `is_active = true, session_epoch = session_epoch + 1`, nil)
	})
}

// SetRole changes what a user may do, from their next request on. The last administrator stays one (ErrLastAdmin).
func (d *DB) SetRole(ctx context.Context, by By, ref UserRef, role string) error {
	if !slices.Contains(Roles, role) {
		return ErrUserRole
	}
	return d.changeUser(ctx, by, ref, "user-set-role", map[string]any{"role": role}, func(tx pgx.Tx, who Who, u User) error {
		if role != RoleAdmin {
			if err := keepsAdmin(ctx, tx, u); err != nil {
				return err
			}
		}
		return d.update(ctx, tx, u.ID, `role = @role`, pgx.NamedArgs{"role": role})
	})
}

// SetPassword gives an account a new password and ends its sessions, also those of sign-ins that are under way with
// the old one. It is for the shell: an administrator at the site never knows a user's password (MakeLink).
func (d *DB) SetPassword(ctx context.Context, by By, ref UserRef, password string) error {
	hash, err := HashPassword(password, ref.Name)
	if err != nil {
		return err
	}
	return d.changeUser(ctx, by, ref, "user-set-password", nil, func(tx pgx.Tx, who Who, u User) error {
		return d.newPassword(ctx, tx, u.ID, hash, nil)
	})
}

// newPassword stores one; with the old one go the sessions, all browsers but the one that it came from, open links, and
// what was counted of failures.
func (d *DB) newPassword(ctx context.Context, tx pgx.Tx, id int, hash string, device []byte) error {
	if err := d.update(ctx, tx, id, `password_hash = @hash, session_epoch = session_epoch + 1`, pgx.NamedArgs{"hash": hash}); err != nil {
		return err
	}
	for _, forget := range []string{
		`DELETE FROM known_devices WHERE user_id = @id AND device IS DISTINCT FROM @device::bytea`,
		`DELETE FROM account_links WHERE user_id = @id`,
		`DELETE FROM sign_in_throttle WHERE user_id = @id`,
	} {
		if _, err := tx.Exec(ctx, forget, pgx.NamedArgs{"id": id, "device": device}); err != nil {
			return fmt.Errorf("forget what the old password allowed: %w", err)
		}
	}
	return nil
}

// SignOutUser ends all sessions of an account, also of sign-ins that are under way.
func (d *DB) SignOutUser(ctx context.Context, by By, ref UserRef) error {
	return d.changeUser(ctx, by, ref, "user-sign-out", nil, func(tx pgx.Tx, who Who, u User) error {
		return d.update(ctx, tx, u.ID, `session_epoch = session_epoch + 1`, nil)
	})
}

// UnlockUser forgets the failed sign-ins that were counted for an account's name and browsers.
func (d *DB) UnlockUser(ctx context.Context, by By, ref UserRef) error {
	return d.changeUser(ctx, by, ref, "user-unlock", nil, func(tx pgx.Tx, who Who, u User) error {
		_, err := tx.Exec(ctx, `DELETE FROM sign_in_throttle WHERE user_id = @id`, pgx.NamedArgs{"id": u.ID})
		return err
	})
}

// keepsAdmin refuses what would leave nobody to manage the accounts. Who was invited and has no password yet does not count.
func keepsAdmin(ctx context.Context, tx pgx.Tx, u User) error {
	var another bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND is_active AND id <> @id
		AND NOT EXISTS (SELECT 1 FROM account_links l WHERE l.user_id = users.id AND l.kind = 'invite'))`, pgx.NamedArgs{"id": u.ID}).Scan(&another)
	switch {
	case err != nil:
		return fmt.Errorf("count the administrators: %w", err)
	case u.Role == RoleAdmin && u.Active && !another:
		return ErrLastAdmin
	}
	return nil
}

func (d *DB) update(ctx context.Context, tx pgx.Tx, id int, set string, args pgx.NamedArgs) error {
	all := pgx.NamedArgs{"id": id}
	for k, v := range args {
		all[k] = v
	}
	if _, err := tx.Exec(ctx, `UPDATE users SET `+set+` WHERE id = @id`, all); err != nil {
		return fmt.Errorf("change the user: %w", err)
	}
	return nil
}

// changeUser changes one account, records it, and removes the sessions that the change has ended. An account that is not
// there is ErrNotFound at the site, and a sentence at the shell.
func (d *DB) changeUser(ctx context.Context, by By, ref UserRef, action string, detail map[string]any,
	change func(tx pgx.Tx, who Who, u User) error) error {
	return d.changing(ctx, by, func(tx pgx.Tx, who Who) error {
		rows, err := tx.Query(ctx, `SELECT `+userColumns+` FROM users WHERE CASE WHEN @name = '' THEN id = nullif(@id, 0) ELSE username = @name END FOR NO KEY UPDATE`,
			pgx.NamedArgs{"id": ref.ID, "name": ref.Name})
		if err != nil {
			return fmt.Errorf("look up the user: %w", err)
		}
		u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[User])
		switch {
		case errors.Is(err, pgx.ErrNoRows) && by.Shell != "":
			return fmt.Errorf("there is no user %q: `chartroom user list` shows all", ref.Name)
		case errors.Is(err, pgx.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return fmt.Errorf("look up the user: %w", err)
		}
		if err := change(tx, who, u); err != nil {
			return err
		}
		if err := d.record(ctx, tx, by, who, action, u.ID, detail); err != nil {
			return err
		}
		return d.endSessions(ctx, tx, by.Viewer, u.ID)
	})
}

// endSessions removes the sessions that users.session_epoch says have ended.
func (d *DB) endSessions(ctx context.Context, tx pgx.Tx, v Viewer, id int) error {
	_, err := tx.Exec(ctx, endCTE+`
		DELETE FROM sessions s USING note, users u WHERE u.id = @id AND s.user_id = u.id AND s.epoch <> u.session_epoch`,
		endArgs(endNote{"session-ended", clientText(v.Client), v.RequestID}, d.program, pgx.NamedArgs{"id": id}))
	if err != nil {
		return fmt.Errorf("end the user's sessions: %w", err)
	}
	return nil
}
