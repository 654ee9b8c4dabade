package db

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// ErrRefused is every reason for which a sign-in is not granted. Which one it was stands in the audit only.
var ErrRefused = errors.New("wrong user name or password")

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

// hashing bounds how many bcrypts run at once: without a bound a flood of sign-ins takes every core and the pages of
// those who work stand still (measured).
var hashing = make(chan struct{}, max(1, runtime.NumCPU()-1))

// SignIn verifies a user name and a password and gives the Session to store. A refusal is ErrRefused, always after the
// same work, and is audited. A hash weaker than today's is replaced; nothing else is written to users.
func (d *DB) SignIn(ctx context.Context, username, password string, from Viewer, userAgent string) (Session, error) {
	type account struct {
		ID           int
		Username     string
		PasswordHash string
		IsActive     *bool
		SessionEpoch int
	}
	var found []account
	if known := utf8.ValidString(username) && !strings.ContainsRune(username, 0) && len(username) <= 1020; known {
		rows, err := d.pool.Query(ctx, `
			SELECT id, username, password_hash, is_active, session_epoch FROM users WHERE username = @username`,
			pgx.NamedArgs{"username": username})
		if err != nil {
			return Session{}, fmt.Errorf("look up the account: %w", err)
		}
		if found, err = pgx.CollectRows(rows, pgx.RowToStructByName[account]); err != nil {
			return Session{}, fmt.Errorf("look up the account: %w", err)
		}
	}
	a := account{}
	if len(found) == 1 {
		a = found[0]
	}

	select {
	case hashing <- struct{}{}:
	case <-ctx.Done():
		return Session{}, fmt.Errorf("wait to verify a password: %w", ctx.Err())
	}
	right, rehash := func() (bool, bool) {
		defer func() { <-hashing }()
		return verifyPassword(a.PasswordHash, password)
	}()
	// Who hangs up now has had their guess: it is recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()

	kind := ""
	switch {
	case a.ID == 0:
		kind = "unknown user"
	case !right:
		kind = "wrong password"
	case a.IsActive == nil || !*a.IsActive:
		kind = "disabled"
	}
	if kind != "" {
		// Not the name that was typed, when nobody has it: people type passwords into that field.
		_, err := d.pool.Exec(ctx, `
			INSERT INTO audit_events (action, outcome, actor_id, actor, client, request_id, program, detail)
			VALUES ('sign-in', 'refused', nullif(@id, 0), @username, @client::inet, @request_id, @program, jsonb_build_object('kind', @kind::text))`,
			pgx.NamedArgs{"id": a.ID, "username": a.Username, "client": clientText(from.Client),
				"request_id": from.RequestID, "program": d.program, "kind": kind})
		if err != nil {
			return Session{}, fmt.Errorf("record a refused sign-in: %w", err)
		}
		return Session{}, ErrRefused
	}
	if rehash {
		if err := d.upgradeHash(ctx, a.ID, a.PasswordHash, password); err != nil {
			return Session{}, err
		}
	}
	return Session{UserID: a.ID, Epoch: a.SessionEpoch, Methods: []string{"pwd"}, Client: clientText(from.Client),
		UserAgent: clip(userAgent, 200), RequestID: from.RequestID, Program: d.program}, nil
}

// upgradeHash replaces a hash by today's, unless somebody changed it meanwhile. A password that is shorter than the
// rule for new ones keeps its hash: the rule is for its next change, not for keeping people out.
func (d *DB) upgradeHash(ctx context.Context, id int, old, password string) error {
	hash, err := hashAt(bcryptCost, password)
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

// NewUser is what CreateUser needs. Role "" is clinician, but admin for the first user of an empty table.
type NewUser struct {
	Username, Email, Role, Password string
}

// CreateUser adds an account and returns it. Errors are sentences for whoever typed the values.
func (d *DB) CreateUser(ctx context.Context, actor string, n NewUser) (User, error) {
	if err := checkUsername(n.Username); err != nil {
		return User{}, err
	}
	if n.Email != "" && (len(n.Email) > 255 || strings.Count(n.Email, "@") != 1 || strings.ContainsAny(n.Email, " \t\r\n\x00")) {
		return User{}, errors.New("the e-mail address is not one")
	}
	if n.Role != "" && !slices.Contains(Roles, n.Role) {
		return User{}, fmt.Errorf("the role must be one of %s", strings.Join(Roles, ", "))
	}
	hash, err := HashPassword(n.Password, n.Username, n.Email)
	if err != nil {
		return User{}, err
	}
	rows, err := d.pool.Query(ctx, `
		WITH made AS (
			INSERT INTO users (username, email, password_hash, role)
			VALUES (@username, nullif(@email, ''), @hash,
			        coalesce(nullif(@role, ''), CASE WHEN EXISTS (SELECT 1 FROM users) THEN 'clinician' ELSE 'admin' END))
			RETURNING `+userColumns+`
		), audited AS (
			INSERT INTO audit_events (action, outcome, actor, program, detail)
			SELECT 'user-create', 'success', @actor, @program, jsonb_build_object('user_id', id, 'role', role) FROM made
		)
		SELECT * FROM made`,
		pgx.NamedArgs{"username": n.Username, "email": n.Email, "hash": hash, "role": n.Role, "actor": actor, "program": d.program})
	if err != nil {
		return User{}, fmt.Errorf("create the user: %w", err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[User])
	if refused(err) == "23505" { // unique_violation
		return User{}, errors.New("there is already a user with this name or e-mail address")
	}
	if err != nil {
		return User{}, fmt.Errorf("create the user: %w", err)
	}
	return u, nil
}

const userColumns = `id, username, email, role, coalesce(is_active, false) AS active, created_at`

func checkUsername(name string) error {
	switch {
	case name == "" || len(name) > 255:
		return errors.New("the user name must have 1 to 255 bytes")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the user name holds characters that cannot be typed")
	case strings.TrimSpace(name) != name:
		return errors.New("the user name begins or ends with a space, which nobody would see")
	}
	return nil
}

// ListUsers gives all accounts by name.
func (d *DB) ListUsers(ctx context.Context) ([]User, error) {
	rows, err := d.pool.Query(ctx, `SELECT `+userColumns+` FROM users ORDER BY username`)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[User])
}

// HasAdmin says whether an active administrator exists.
func (d *DB) HasAdmin(ctx context.Context) (has bool, err error) {
	err = d.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND is_active)`).Scan(&has)
	return has, err
}

// DisableUser shuts an account and ends its sessions at once; requests under way get no further data.
func (d *DB) DisableUser(ctx context.Context, actor, username string) error {
	return d.changeUser(ctx, actor, "user-disable", username, `is_active = false, session_epoch = session_epoch + 1`, nil)
}

// EnableUser opens an account again. Its earlier sessions stay ended.
func (d *DB) EnableUser(ctx context.Context, actor, username string) error {
	return d.changeUser(ctx, actor, "user-enable", username, `is_active = true`, nil)
}

// SetPassword gives an account a new password and ends its sessions, also those of sign-ins that are under way with
// the old one.
func (d *DB) SetPassword(ctx context.Context, actor, username, password string) error {
	hash, err := HashPassword(password, username)
	if err != nil {
		return err
	}
	return d.changeUser(ctx, actor, "user-set-password", username,
		`password_hash = @hash, session_epoch = session_epoch + 1`, pgx.NamedArgs{"hash": hash})
}

// changeUser updates one account, audits it, and removes the sessions that the change has ended.
func (d *DB) changeUser(ctx context.Context, actor, action, username, set string, args pgx.NamedArgs) error {
	all := endArgs(endNote{action: "session-ended"}, d.program,
		pgx.NamedArgs{"username": username, "actor": actor, "action": action})
	for k, v := range args {
		all[k] = v
	}
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		changed, err := tx.Exec(ctx, `
			WITH changed AS (
				UPDATE users SET `+set+` WHERE username = @username RETURNING id
			)
			INSERT INTO audit_events (action, outcome, actor, program, detail)
			SELECT @action, 'success', @actor, @program, jsonb_build_object('user_id', id) FROM changed`,
			withProgram(all, d.program))
		if err != nil {
			return fmt.Errorf("change the user: %w", err)
		}
		if changed.RowsAffected() == 0 {
			return fmt.Errorf("there is no user %q: `chartroom user list` shows all", username)
		}
		_, err = tx.Exec(ctx, endCTE+`
			DELETE FROM sessions s USING note, users u
			WHERE u.username = @username AND s.user_id = u.id AND s.epoch <> u.session_epoch`, all)
		if err != nil {
			return fmt.Errorf("end the user's sessions: %w", err)
		}
		return nil
	})
}

func withProgram(args pgx.NamedArgs, program string) pgx.NamedArgs {
	args["program"] = program
	return args
}
