ALTER TABLE audit_events DROP CONSTRAINT audit_events_has_month;
DROP INDEX audit_events_id;
DROP TABLE audit_seals;
DROP FUNCTION audit_seals_refuse();
