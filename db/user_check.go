package db

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// What keeps a user from signing in, as UserCheck.Reasons has it.
const (
	WhyUnknown   = "unknown"
	WhyDisabled  = "disabled"
	WhyHash      = "unusable hash"
	WhyInvited   = "invited"
	WhyThrottled = "throttled"
	WhyLocked    = "locked"
)

// Reason is why a user cannot sign in, or what else is worth knowing, as a sentence's part, and the command that mends it.
type Reason struct {
	Kind string `json:"kind"`
	Says string `json:"says"`
	Mend string `json:"mend,omitempty"`
}

// UserCheck says whether somebody could sign in with the right password now, from a browser that nobody knows.
type UserCheck struct {
	Username  string     `json:"username"`
	CanSignIn bool       `json:"can_sign_in"`
	Role      string     `json:"role,omitempty"`
	Sessions  int        `json:"sessions"` // open now
	Until     *time.Time `json:"throttled_until,omitempty"`
	Reasons   []Reason   `json:"reasons"`
	Notes     []Reason   `json:"notes"` // what does not keep the user out
}

// userState is what is known of an account, but for its password's hash, which goes no further than CheckUser.
type userState struct {
	Username     string
	Role         string
	PasswordHash string
	IsActive     *bool
	Link         *string    // LinkInvite or LinkReset, while it is open
	Invited      bool       // and has set no password yet
	Until        *time.Time // strangers' browsers must wait
	Locked       bool
	Devices      int // browsers that must wait although they are known
	Sessions     int
}

const userStateSQL = `
	SELECT u.username, u.role, u.password_hash, u.is_active,
		(SELECT l.kind FROM account_links l WHERE l.user_id = u.id AND l.expires_at > now()) AS link,
		EXISTS (SELECT 1 FROM account_links l WHERE l.user_id = u.id AND l.kind = 'invite') AS invited,
		(SELECT max(t.blocked_until) FROM sign_in_throttle t WHERE t.user_id = u.id AND t.kind = 'name' AND t.blocked_until > now()) AS until,
		EXISTS (SELECT 1 FROM sign_in_throttle t WHERE t.user_id = u.id AND t.kind = 'name' AND t.failures >= 100) AS locked,
		(SELECT count(*) FROM sign_in_throttle t WHERE t.user_id = u.id AND t.kind = 'device' AND (t.blocked_until > now() OR t.failures >= 100)) AS devices,
		(SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.epoch = u.session_epoch AND u.is_active
			AND s.expiry > now() AND s.last_seen_at > now() - @idle::interval) AS sessions
	FROM users u WHERE u.username = @username`

// CheckUser says why a user cannot sign in, to the shell. It needs no password, and changes and records nothing, as ListUsers.
func (d *DB) CheckUser(ctx context.Context, username string) (UserCheck, error) {
	c := UserCheck{Username: username, Reasons: []Reason{}, Notes: []Reason{}}
	if !typable(username) {
		c.add(WhyUnknown, "no user name can be written like this", "`chartroom user list` shows all")
		return c, nil
	}
	rows, err := d.pool.Query(ctx, userStateSQL, pgx.NamedArgs{"username": username, "idle": d.idle})
	if err != nil {
		return c, fmt.Errorf("look up the user: %w", err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[userState])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, d.checkUnknown(ctx, &c)
	}
	if err != nil {
		return c, fmt.Errorf("look up the user: %w", err)
	}
	c.Role, c.Sessions, c.Until = u.Role, u.Sessions, u.Until
	c.judge(u)
	c.note(u)
	c.CanSignIn = len(c.Reasons) == 0
	return c, nil
}

func (c *UserCheck) add(kind, says, mend string) {
	c.Reasons = append(c.Reasons, Reason{kind, says, mend})
}

func (c *UserCheck) judge(u userState) {
	name := shellWord(u.Username)
	if u.IsActive == nil {
		c.add(WhyDisabled, "the account is disabled: is_active is NULL, which counts as no", "`chartroom user enable "+name+"`")
	} else if !*u.IsActive {
		c.add(WhyDisabled, "the account is disabled", "`chartroom user enable "+name+"`")
	}
	if why := hashProblem(u.PasswordHash); why != "" {
		c.add(WhyHash, why, "`chartroom user set-password "+name+"`, or `chartroom user invite "+name+"` for a link by which they set one")
	} else if u.Invited && u.Link != nil {
		c.add(WhyInvited, "the invitation was not used yet, so there is no password", "let them open the link that they were given, or make a new one: `chartroom user invite "+name+"`")
	} else if u.Invited {
		c.add(WhyInvited, "the invitation was not used and is over, so there is no password", "`chartroom user invite "+name+"` makes a new link")
	}
	if u.Locked {
		c.add(WhyLocked, "a hundred sign-ins in a row have failed: browsers that the user has not signed in from are refused", "`chartroom user unlock "+name+"`, once it is known who tried")
	} else if u.Until != nil {
		c.add(WhyThrottled, "too many sign-ins have failed: browsers that the user has not signed in from must wait until "+u.Until.UTC().Format("2006-01-02 15:04:05 UTC"),
			"wait, or `chartroom user unlock "+name+"`")
	}
}

func (c *UserCheck) note(u userState) {
	name := shellWord(u.Username)
	note := func(kind, says, mend string) { c.Notes = append(c.Notes, Reason{kind, says, mend}) }
	if u.Sessions > 0 {
		note("sessions", fmt.Sprintf("signed in now, in %d sessions", u.Sessions), "`chartroom user sign-out "+name+"` ends them")
	}
	if u.Devices > 0 {
		note("devices", fmt.Sprintf("%d of the user's own browsers must wait after failed sign-ins", u.Devices), "`chartroom user unlock "+name+"`")
	}
	if u.Link != nil && !u.Invited {
		note("link", "a link for a new password is open; the old password counts until it is used", "")
	}
	if older(u.PasswordHash) {
		note("older password", "the password was set before Chartroom, by rules that asked for less; it counts, and whoever signs in with a weak one is asked to change it", "")
	}
	if strings.TrimSpace(u.Username) != u.Username {
		note("spaces", "the name begins or ends with a space, which has to be typed too", "")
	}
}

// older says that a password was not set here: the predecessor's hashes have another letter or a lower cost.
func older(hash string) bool {
	m := usable.FindStringSubmatch(hash)
	return m != nil && (strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$") || m[1] < strconv.Itoa(todaysCost))
}

// checkUnknown looks for names that somebody may have meant: names match exactly.
func (d *DB) checkUnknown(ctx context.Context, c *UserCheck) error {
	rows, err := d.pool.Query(ctx, `SELECT username::text FROM users
		WHERE lower(regexp_replace(username, '\s', '', 'g')) = lower(regexp_replace(@username, '\s', '', 'g'))
			OR lower(email) = lower(trim(@username)) ORDER BY username LIMIT 3`, pgx.NamedArgs{"username": c.Username})
	if err != nil {
		return fmt.Errorf("look for names that are alike: %w", err)
	}
	alike, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for names that are alike: %w", err)
	}
	if len(alike) > 0 {
		c.add(WhyUnknown, "there is no user of this name; names match exactly, with capitals and spaces, and there is "+quoteFew(alike), "sign in with that name")
		return nil
	}
	c.add(WhyUnknown, "there is no user of this name", "`chartroom user list` shows all; `chartroom user create --username "+shellWord(c.Username)+"` makes one")
	return nil
}

// shellWord writes a name as a shell takes it.
func shellWord(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@", r)
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) && name[0] != '-' {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
