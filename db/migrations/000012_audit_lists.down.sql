CREATE OR REPLACE FUNCTION audit_events_guard(partition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    who oid;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(partition) AND tgname = 'audit_events_no_truncate') THEN
        EXECUTE format('CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()', partition);
    END IF;
    FOR who IN SELECT DISTINCT a.grantee FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass(partition) AND a.grantee <> c.relowner LOOP
        EXECUTE format('REVOKE ALL ON %I FROM %s', partition, CASE who WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(who)) END);
    END LOOP;
END;
$$;
ALTER TABLE audit_events_other DROP CONSTRAINT audit_events_has_month;
ALTER TABLE audit_events
    ADD CONSTRAINT audit_events_outcome_check CHECK (outcome IN ('success', 'refused')) NOT VALID,
    ADD CONSTRAINT audit_events_has_month CHECK (recorded >= '0001-01-01 00:00:00Z' AND recorded < '10000-01-01 00:00:00Z') NOT VALID;
CREATE INDEX audit_events_sign_ins ON audit_events (actor_id, recorded) WHERE action = 'sign-in';
CREATE INDEX audit_events_listed ON audit_events USING gin (patients) WITH (gin_pending_list_limit = 256) WHERE action = 'patient-list';
DROP FUNCTION audit_lists_make();
DROP TABLE audit_lists_made;
DROP TABLE audit_lists;
