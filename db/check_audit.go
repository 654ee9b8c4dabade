package db

const partitions = `SELECT 'audit_events'::regclass::oid AS oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`

const migrateMends = "`chartroom migrate` with the owner's address in DATABASE_MIGRATE_URL; it runs at each start too"

// auditLines are those on the audit.
func auditLines() []databaseLine {
	return []databaseLine{
		{id: "audit-triggers", what: "audit triggers", stops: true, look: bySQL(CheckFail, "on the audit and all its partitions", "ask who switched them off; then ALTER TABLE ... ENABLE TRIGGER ALL, as the tables' owner",
			`SELECT coalesce(string_agg(DISTINCT 'missing or off on ' || p.oid::regclass, ', '), '')
			FROM (`+partitions+`) p CROSS JOIN unnest(ARRAY['audit_events_append_only', 'audit_events_no_truncate']) n (name)
			WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = p.oid AND t.tgname = n.name AND t.tgenabled IN ('O', 'A'))`)},
		{id: "audit-privileges", what: "audit privileges", look: bySQL(CheckWarn, "none given beyond adding and reading", migrateMends,
			`SELECT coalesce(string_agg(DISTINCT 'the program''s role may ' || n.name || ' on ' || p.oid::regclass, ', '), '')
			FROM (`+partitions+`) p JOIN pg_class c ON c.oid = p.oid CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) n (name)
			WHERE NOT pg_has_role(c.relowner, 'MEMBER') AND has_table_privilege(p.oid, n.name)`)},
		{id: "audit-seals-protection", what: "audit seals' protection", stops: true, look: bySQL(CheckFail, "triggers on, and none may change them", migrateMends+"; triggers: ALTER TABLE audit_seals ENABLE TRIGGER ALL, as the owner",
			`SELECT coalesce(string_agg(what, ', '), '') FROM (
				SELECT n.name || ' is missing or off' AS what FROM unnest(ARRAY['audit_seals_append_only', 'audit_seals_no_truncate']) n (name)
				WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = 'audit_seals'::regclass AND t.tgname = n.name AND t.tgenabled IN ('O', 'A'))
				UNION ALL
				SELECT 'the program''s role may ' || n.name FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) n (name)
				WHERE c.oid = 'audit_seals'::regclass AND NOT pg_has_role(c.relowner, 'MEMBER') AND has_table_privilege(c.oid, n.name)) w`)},
		{id: "audit-functions", what: "audit functions", stops: true, look: bySQL(CheckFail, "nobody else can put functions or operators in their way", "REVOKE CREATE ON SCHEMA ... FROM PUBLIC and from the program's role, as the schema's owner",
			`SELECT CASE WHEN NOT pg_has_role(c.relowner, 'MEMBER') AND has_schema_privilege(c.relnamespace, 'CREATE')
			THEN 'the program''s role may create objects in their schema, and so act as the tables'' owner' ELSE '' END FROM pg_class c WHERE c.oid = 'audit_events'::regclass`)},
		{id: "audit-writable", what: "audit can be written", stops: true, look: bySQL(CheckFail, "yes", migrateMends,
			`SELECT CASE WHEN has_table_privilege('audit_events', 'INSERT') AND has_table_privilege('audit_events', 'SELECT')
			AND has_sequence_privilege('audit_events_id_seq', 'USAGE') THEN '' ELSE 'the program''s role may not add events' END`)},
		{id: "audit-partitions", what: "audit partitions", look: bySQL(CheckWarn, "made for a year or more", "the server makes them every few minutes: its log says why not",
			`SELECT CASE WHEN count(*) = 13 THEN '' ELSE 13 - count(*) || ' of the next 12 months, and this one, have none' END
			FROM generate_series(0, 12) n WHERE to_regclass('audit_events_' || to_char(now() AT TIME ZONE 'UTC' + n * interval '1 month', 'YYYYMM')) IS NOT NULL`)},
		{id: "audit-default-partition", what: "audit default partition", look: bySQL(CheckWarn, "empty", "events of months that have a partition to come are moved by the server; others have a wrong time, or are more than 10,000: see docs/audit.md",
			`SELECT CASE WHEN pg_relation_size('audit_events_other') > 0 THEN 'it is not empty' ELSE '' END`)},
		{id: "audit-seals", what: "audit seals", look: bySQL(CheckWarn, "up to date", "a running server seals within seconds: its log says why not",
			`WITH newest AS (`+newestSeal+`)
			SELECT CASE WHEN EXISTS (SELECT 1 FROM audit_events e LEFT JOIN newest n ON true
			                         WHERE e.recorded < now() - interval '5 minutes' AND (n.last_id IS NULL OR e.id > n.last_id))
			            THEN 'events of more than five minutes ago are not sealed' ELSE '' END`)},
	}
}
