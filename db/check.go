package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// What a line of `chartroom check` can come to.
const (
	CheckPass = "pass"
	CheckWarn = "warn" // it works, and should not stay so
	CheckFail = "fail" // not with patients' data
)

// Check is a line of `chartroom check`.
type Check struct {
	What   string `json:"what"`
	Result string `json:"result"`         // CheckPass, CheckWarn or CheckFail
	Found  string `json:"found"`          // a sentence's part
	Mend   string `json:"mend,omitempty"` // what to do, unless it passed
}

// OneRole says whether two addresses name the same database role. Neither is connected to.
func OneRole(appURL, migrateURL string) (bool, error) {
	app, err := pgx.ParseConfig(appURL)
	if err != nil {
		return false, hideAddress(err)
	}
	owner, err := pgx.ParseConfig(migrateURL)
	if err != nil {
		return false, hideAddress(err)
	}
	return app.User == owner.User, nil
}

// auditCheck is a line that one statement answers: what is wrong, "" when nothing is.
type auditCheck struct {
	what, sql, good, mend string
	result                string // when something is wrong
}

const partitions = `SELECT 'audit_events'::regclass::oid AS oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`

const migrateMends = "`chartroom migrate` with the owner's address in DATABASE_MIGRATE_URL; it runs at each start too"

var auditChecks = []auditCheck{
	{what: "audit triggers", good: "on the audit and all its partitions", result: CheckFail, mend: "ask who switched them off; then ALTER TABLE ... ENABLE TRIGGER ALL, as the tables' owner",
		sql: `SELECT coalesce(string_agg(DISTINCT 'missing or off on ' || p.oid::regclass, ', '), '')
			FROM (` + partitions + `) p CROSS JOIN unnest(ARRAY['audit_events_append_only', 'audit_events_no_truncate']) n (name)
			WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = p.oid AND t.tgname = n.name AND t.tgenabled IN ('O', 'A'))`},
	{what: "audit privileges", good: "none given beyond adding and reading", result: CheckWarn, mend: migrateMends,
		sql: `SELECT coalesce(string_agg(DISTINCT 'the program''s role may ' || n.name || ' on ' || p.oid::regclass, ', '), '')
			FROM (` + partitions + `) p JOIN pg_class c ON c.oid = p.oid CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) n (name)
			WHERE NOT pg_has_role(c.relowner, 'MEMBER') AND has_table_privilege(p.oid, n.name)`},
	{what: "audit seals' protection", good: "triggers on, and none may change them", result: CheckFail, mend: migrateMends + "; triggers: ALTER TABLE audit_seals ENABLE TRIGGER ALL, as the owner",
		sql: `SELECT coalesce(string_agg(what, ', '), '') FROM (
				SELECT n.name || ' is missing or off' AS what FROM unnest(ARRAY['audit_seals_append_only', 'audit_seals_no_truncate']) n (name)
				WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = 'audit_seals'::regclass AND t.tgname = n.name AND t.tgenabled IN ('O', 'A'))
				UNION ALL
				SELECT 'the program''s role may ' || n.name FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) n (name)
				WHERE c.oid = 'audit_seals'::regclass AND NOT pg_has_role(c.relowner, 'MEMBER') AND has_table_privilege(c.oid, n.name)) w`},
	{what: "audit functions", good: "nobody else can put functions or operators in their way", result: CheckFail, mend: "REVOKE CREATE ON SCHEMA ... FROM PUBLIC and from the program's role, as the schema's owner",
		sql: `SELECT CASE WHEN NOT pg_has_role(c.relowner, 'MEMBER') AND has_schema_privilege(c.relnamespace, 'CREATE')
			THEN 'the program''s role may create objects in their schema, and so act as the tables'' owner' ELSE '' END FROM pg_class c WHERE c.oid = 'audit_events'::regclass`},
	{what: "audit can be written", good: "yes", result: CheckFail, mend: migrateMends,
		sql: `SELECT CASE WHEN has_table_privilege('audit_events', 'INSERT') AND has_table_privilege('audit_events', 'SELECT')
			AND has_sequence_privilege('audit_events_id_seq', 'USAGE') THEN '' ELSE 'the program''s role may not add events' END`},
	{what: "audit partitions", good: "made for a year or more", result: CheckWarn, mend: "the server makes them every few minutes: its log says why not",
		sql: `SELECT CASE WHEN count(*) = 13 THEN '' ELSE 13 - count(*) || ' of the next 12 months, and this one, have none' END
			FROM generate_series(0, 12) n WHERE to_regclass('audit_events_' || to_char(now() AT TIME ZONE 'UTC' + n * interval '1 month', 'YYYYMM')) IS NOT NULL`},
	{what: "audit default partition", good: "empty", result: CheckWarn, mend: "events of months that have a partition to come are moved by the server; others have a wrong time, or are more than 10,000: see docs/audit.md",
		sql: `SELECT CASE WHEN pg_relation_size('audit_events_other') > 0 THEN 'it is not empty' ELSE '' END`},
	{what: "audit seals", good: "up to date", result: CheckWarn, mend: "a running server seals within seconds: its log says why not",
		sql: `WITH newest AS (SELECT last_id, gaps FROM audit_seals ORDER BY block DESC LIMIT 1)
			SELECT CASE WHEN EXISTS (SELECT 1 FROM audit_events e LEFT JOIN newest n ON true
			                         WHERE e.recorded < now() - interval '5 minutes' AND (n.last_id IS NULL OR e.id > n.last_id))
			            THEN 'events of more than five minutes ago are not sealed' ELSE '' END`},
}

// CheckAudit looks whether the audit is as it should be, with the rights of the program's own role and without changing anything. What
// cannot be looked at is a failure.
func (d *DB) CheckAudit(ctx context.Context) (lines []Check) {
	for _, c := range auditChecks {
		line := Check{What: c.what, Result: CheckPass, Found: c.good}
		var wrong string
		err := d.pool.QueryRow(ctx, c.sql).Scan(&wrong)
		switch {
		case err != nil:
			line.Result, line.Found, line.Mend = CheckFail, fmt.Sprintf("this could not be looked at (%s)", refused(err)), migrateMends
		case wrong != "":
			line.Result, line.Found, line.Mend = c.result, wrong, c.mend
		}
		lines = append(lines, line)
	}
	return lines
}
