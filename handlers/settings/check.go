package settings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"chartroom/db"
)

// How mild a warning is, and how grave a danger, depends on where it is found: production has real patients.
func (s Settings) grave() string {
	if s.Production() {
		return db.CheckFail
	}
	return db.CheckWarn
}

// makeKey is how a key is made.
const makeKey = "`openssl rand -hex 32` makes a good one"

// lineOf are the settings that have a line of their own, which a problem with them turns into a fail; problems with others stand in the
// line "settings". What is wrong with an address is judged by db.CheckDatabase.
var lineOf = map[string]string{"ENVIRONMENT": "environment", "SESSION_SECRET_KEY": "session-key", "AUDIT_KEY": "audit-key", "SESSION_SECURE": "session-secure",
	"SESSION_IDLE_TIMEOUT": "session-times", "SESSION_LIFETIME": "session-times", "CLINIC_TIMEZONE": "timezone", "TRUSTED_PROXY_HOPS": "proxy",
	"SESSION_AUTH_ENABLED": "sign-in", "SESSION_AUTH_DISABLED_UNTIL": "sign-in", "SESSION_AUTH_DISABLED_ALLOW": "sign-in",
	"AUDIT_RETENTION": "audit-retention", "DATABASE_URL": "database-tls", "DATABASE_MIGRATE_URL": "database-tls"}

// Check gives the lines that the settings alone decide. problems are those that Read has found.
func (s Settings) Check(problems []string) []db.Check {
	lines := []db.Check{s.checkEnvironment(), s.checkSettings(problems), s.checkSessionKey(), s.checkKeysApart(), s.checkSecure(), s.checkTimes(), s.CheckSignIn(),
		s.checkProxy(), s.checkZone(), s.checkHelp(), s.checkRoles(), s.checkAuditKey(), s.checkRetention()}
	for _, p := range problems {
		for i := range lines {
			if lines[i].ID == lineOf[settingOf(p)] {
				lines[i].Result, lines[i].Found, lines[i].Mend = failed(p)
			}
		}
	}
	return lines
}

// settingOf is the name that a problem begins with.
func settingOf(problem string) string {
	name := strings.FieldsFunc(problem, func(r rune) bool { return r == ' ' || r == '=' || r == ':' })
	if len(name) == 0 {
		return ""
	}
	return name[0]
}

// failed takes a problem apart into what was found and what mends it.
func failed(problem string) (result, found, mend string) {
	found, mend, ok := strings.Cut(problem, ": ")
	if !ok {
		mend = "set it so, or leave it out for its default; `chartroom serve --help` explains each"
	}
	return db.CheckFail, found, mend
}

func pass(id, what, format string, args ...any) db.Check {
	return db.Check{ID: id, What: what, Result: db.CheckPass, Found: fmt.Sprintf(format, args...)}
}

func (s Settings) checkEnvironment() db.Check {
	c := pass("environment", "environment", "production")
	if !s.Production() {
		c.Result, c.Found, c.Mend = db.CheckWarn, "ENVIRONMENT is "+s.Environment+": much that production refuses is only a warning", "set ENVIRONMENT=production where real patients are"
	}
	return c
}

func (s Settings) checkSettings(problems []string) db.Check {
	c := pass("settings", "settings", "all can be read")
	others := func(all []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(all), func(p string) bool { return lineOf[settingOf(p)] != "" }), "; ")
	}
	if wrong := others(problems); wrong != "" {
		c.Result, c.Found, c.Mend = db.CheckFail, wrong, "set each so, or leave it out for its default; `chartroom serve --help` explains each"
	} else if wrong := others(s.Warnings); wrong != "" {
		c.Result, c.Found, c.Mend = db.CheckWarn, wrong, "`chartroom serve --help` explains each"
	}
	return c
}

func (s Settings) checkSessionKey() db.Check {
	c := pass("session-key", "session key", "SESSION_SECRET_KEY is set, long enough and no placeholder")
	if s.KeyMadeUp {
		c.Result, c.Found, c.Mend = s.grave(), "SESSION_SECRET_KEY is not set: one is made up at each start, which signs everybody out", makeKey
	} else if why := weakKey(s.SessionKeys); why != "" {
		c.Result, c.Found, c.Mend = s.grave(), "SESSION_SECRET_KEY "+why, makeKey
	}
	return c
}

func weakKey(keys []string) string {
	for _, k := range keys {
		switch {
		case placeholder(k):
			return "is a placeholder, or made of words that stand in guides"
		case entropy(k) < leastEntropy:
			return "is too regular to be random"
		}
	}
	return ""
}

func (s Settings) checkKeysApart() db.Check {
	c := pass("keys-apart", "keys apart", "no key is used twice")
	if s.KeyMadeUp {
		return c
	}
	seen := map[string]string{}
	for name, keys := range map[string][]string{"SESSION_SECRET_KEY": s.SessionKeys, "AUDIT_KEY": s.AuditKeys} {
		for _, k := range keys {
			if other := seen[k]; other != "" {
				c.Result, c.Found = s.grave(), "SESSION_SECRET_KEY and AUDIT_KEY have a key in common: whoever learns one has both"
				if other == name {
					c.Result, c.Found = db.CheckWarn, name+" has the same key twice"
				}
				c.Mend = "put a new key in front of SESSION_SECRET_KEY, and take the shared one out (everybody signs in once more); " + makeKey
			}
			seen[k] = name
		}
	}
	return c
}

func (s Settings) checkSecure() db.Check {
	c := pass("session-secure", "secure cookies", "SESSION_SECURE is true: cookies travel over HTTPS alone")
	if !s.Secure {
		c.Result, c.Found, c.Mend = s.grave(), "SESSION_SECURE is false: cookies travel without encryption too", "serve over HTTPS and set SESSION_SECURE=true"
	}
	return c
}

// The times are those of the product (15 minutes, 12 hours), within which SP 800-63B-4 stays for AAL3.
func (s Settings) checkTimes() db.Check {
	c := pass("session-times", "session times", "%s without an action, %s in any case", s.Idle, s.Lifetime)
	switch {
	case s.Idle > 15*time.Minute || s.Lifetime > 12*time.Hour:
		c.Result, c.Found, c.Mend = db.CheckWarn, fmt.Sprintf("SESSION_IDLE_TIMEOUT is %s, SESSION_LIFETIME %s: longer than a room with patients in it bears", s.Idle, s.Lifetime),
			"15m and 12h at most"
	case s.Idle >= s.Lifetime:
		c.Result, c.Found, c.Mend = db.CheckWarn, "SESSION_LIFETIME is not longer than SESSION_IDLE_TIMEOUT", "15m and 12h at most, the first shorter than the second"
	}
	return c
}

func (s Settings) checkProxy() db.Check {
	c := pass("proxy", "proxies in front", "%d are trusted", s.Hops)
	if s.Production() && s.Hops == 0 {
		c.Result, c.Found = db.CheckWarn, "TRUSTED_PROXY_HOPS is 0, so that all clients seem to come from the proxy which ends HTTPS: they share its limit of failed sign-ins, and the audit names it"
		c.Mend = "set it to how many proxies add to X-Forwarded-For (2 on Aptible, mostly 1 elsewhere); then sign in, and the audit must name your own address"
	}
	return c
}

func (s Settings) checkZone() db.Check {
	name := "UTC"
	if s.Zone != nil {
		name = s.Zone.String()
	}
	c := pass("timezone", "time zone", "%s", name)
	if s.Production() && name == "UTC" {
		c.Result, c.Found, c.Mend = db.CheckWarn, "CLINIC_TIMEZONE is UTC, which is no clinic's own time", "set the clinic's, such as America/New_York (Etc/UTC if UTC is meant)"
	}
	return c
}

func (s Settings) checkHelp() db.Check {
	c := pass("help", "whom to ask", "CLINIC_HELP is on every page")
	if s.Help == "" {
		c.Result, c.Found, c.Mend = db.CheckWarn, "CLINIC_HELP is not set: nobody who is locked out learns whom to ask", "set it to a telephone number or an office"
	}
	return c
}

func (s Settings) checkRoles() db.Check {
	c := pass("roles", "database roles", "the program's role is not the one that owns the tables")
	if one, err := db.OneRole(s.DatabaseURL, s.MigrateURL); err != nil {
		c.Result, c.Found, c.Mend = db.CheckFail, "this could not be looked at: an address cannot be read", "mend what the line \"database encryption\" says"
	} else if one {
		c.Result, c.Found, c.Mend = db.CheckWarn, "one role owns the tables and serves: it could switch the audit's triggers off",
			"give DATABASE_MIGRATE_URL the tables' owner, and DATABASE_URL another role; the next start grants it what it needs"
	}
	return c
}

func (s Settings) checkAuditKey() db.Check {
	c := pass("audit-key", "audit key", "AUDIT_KEY is set and long enough")
	const keep = "; keep it for as long as the audit, apart from the database"
	if len(s.AuditKeys) == 0 {
		c.Result, c.Found, c.Mend = db.CheckWarn, "AUDIT_KEY is not set: whoever can write to the database can seal anew what they changed", makeKey+keep
	} else if why := weakKey(s.AuditKeys); why != "" {
		c.Result, c.Found, c.Mend = s.grave(), "AUDIT_KEY "+why, makeKey+keep
	}
	return c
}

func (s Settings) checkRetention() db.Check {
	c := pass("audit-retention", "audit retention", "%d days", int(s.Retention.Hours()/24))
	if s.Retention < db.KeepAudit {
		c.Result, c.Found, c.Mend = db.CheckWarn, "AUDIT_RETENTION is less than six years", "set AUDIT_RETENTION to 2192d (six years) or more"
	}
	return c
}
