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
DO $statistics$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s ALTER id SET STATISTICS -1, ALTER recorded SET STATISTICS -1, ALTER action SET STATISTICS -1, ALTER outcome SET STATISTICS -1, '
            'ALTER actor_id SET STATISTICS -1, ALTER actor SET STATISTICS -1, ALTER session_id SET STATISTICS -1, ALTER client SET STATISTICS -1, '
            'ALTER request_id SET STATISTICS -1, ALTER program SET STATISTICS -1, ALTER patients SET STATISTICS -1, ALTER detail SET STATISTICS -1', part);
    END LOOP;
END
$statistics$;
ALTER TABLE audit_seals ALTER ids SET STATISTICS -1, ALTER gaps SET STATISTICS -1, ALTER digest SET STATISTICS -1, ALTER seal SET STATISTICS -1;
ALTER TABLE audit_events_other DROP CONSTRAINT audit_events_has_month;
ALTER TABLE audit_events
    ADD CONSTRAINT audit_events_outcome_check CHECK (outcome IN ('success', 'refused')) NOT VALID,
    ADD CONSTRAINT audit_events_has_month CHECK (recorded >= '0001-01-01 00:00:00Z' AND recorded < '10000-01-01 00:00:00Z') NOT VALID;
CREATE INDEX audit_events_sign_ins ON audit_events (actor_id, recorded) WHERE action = 'sign-in';
CREATE INDEX audit_events_listed ON audit_events USING gin (patients) WITH (gin_pending_list_limit = 256) WHERE action = 'patient-list';
CREATE INDEX audit_events_concerned ON audit_events USING gin (patients) WITH (gin_pending_list_limit = 256) WHERE action <> 'patient-list';
DROP FUNCTION audit_patients_make();
DROP TABLE audit_patients_made;
DROP TABLE audit_patients;
