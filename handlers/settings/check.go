package settings

import (
	"fmt"

	"chartroom/db"
)

// CheckAudit are the lines that the settings alone decide.
func (s Settings) CheckAudit() []db.Check {
	key := db.Check{What: "audit key", Result: db.CheckPass, Found: "AUDIT_KEY is set and long enough"}
	const makeOne = "`openssl rand -hex 32` makes one; keep it for as long as the audit, apart from the database"
	if len(s.AuditKeys) == 0 {
		key = db.Check{What: "audit key", Result: db.CheckWarn, Found: "AUDIT_KEY is not set: whoever can write to the database can seal anew what they changed", Mend: makeOne}
	}
	roles := db.Check{What: "database roles", Result: db.CheckPass, Found: "the program's role is not the one that owns the tables"}
	if one, err := db.OneRole(s.DatabaseURL, s.MigrateURL); err != nil || one {
		roles = db.Check{What: "database roles", Result: db.CheckWarn, Found: "one role owns the tables and serves: it could switch the audit's triggers off",
			Mend: "give DATABASE_MIGRATE_URL the tables' owner, and DATABASE_URL another role; the next start grants it what it needs"}
	}
	retention := db.Check{What: "audit retention", Result: db.CheckPass, Found: fmt.Sprintf("%d days", int(s.Retention.Hours()/24))}
	if s.Retention < db.KeepAudit {
		retention.Result, retention.Mend = db.CheckWarn, "set AUDIT_RETENTION to 2192d (six years) or more"
	}
	return []db.Check{key, roles, retention}
}
