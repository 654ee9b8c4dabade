-- Every page of the site writes an event, and waits for it. What reading the audit needs besides is made apart from that, by
-- the process that seals; docs/decisions.md has what each part of an event costs.

-- Whom events concerned: a row for those of a user's lists, or other events, that had the same patients. It is no record, and can be
-- made again from the events at any time; the program's role can only read it, or it could hide there what it cannot change there.
CREATE TABLE audit_patients (
    listed   boolean       NOT NULL, -- these are lists of patients
    actor_id integer,                -- audit_events.actor_id
    newest   timestamptz   NOT NULL, -- the greatest of times
    times    timestamptz[] NOT NULL, -- audit_events.recorded and id of each event, in the same order
    ids      bigint[]      NOT NULL,
    patients uuid[]        NOT NULL
);
-- Two, because a patient who is first in the alphabet is in nearly every list, and who opened or changed them must be found
-- without going through those.
CREATE INDEX audit_patients_listed ON audit_patients USING gin (patients) WHERE listed;
CREATE INDEX audit_patients_concerned ON audit_patients USING gin (patients) WHERE NOT listed;
CREATE INDEX audit_patients_newest ON audit_patients (newest);
ALTER TABLE audit_patients ALTER times SET STATISTICS 0, ALTER ids SET STATISTICS 0, ALTER patients SET STATISTICS 0;
ALTER TABLE audit_seals ALTER ids SET STATISTICS 0, ALTER gaps SET STATISTICS 0, ALTER digest SET STATISTICS 0, ALTER seal SET STATISTICS 0;

-- One row: up to where it is made. Where the seal is not that block's, the chain is another one, and all is made again.
CREATE TABLE audit_patients_made (
    block   bigint NOT NULL, -- of audit_seals; the events of it and those before are in audit_patients
    seal    bytea  NOT NULL,
    last_id bigint NOT NULL  -- all events up to this id that there were then
);
INSERT INTO audit_patients_made VALUES (0, '', 0);

-- Goes on with the blocks that were sealed since, for about five thousand events, and says whether there are more. Blocks name
-- their events exactly, those included that were committed late; what else is there between them is entered too, so that a block
-- that somebody made up leaves nothing out (and an event that comes with a later block as well is there twice).
CREATE FUNCTION audit_patients_make() RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET plan_cache_mode = 'force_generic_plan' AS $$ -- over all months, plans take longer than what they are for
DECLARE
    was audit_patients_made;
    upto bigint;
    upto_seal bytea;
    given bigint := coalesce(pg_sequence_last_value('audit_events_id_seq'), 0); -- no higher id is an event's
    sealed int8multirange;
    highest bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('audit_patients_make')) THEN
        RETURN false;
    END IF;
    SELECT * INTO STRICT was FROM audit_patients_made;
    IF was.block > 0 AND NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.block = was.block AND s.seal = was.seal) THEN
        DELETE FROM audit_patients;
        was := (0, ''::bytea, 0);
    END IF;
    SELECT s.block, s.seal INTO upto, upto_seal FROM (
        SELECT block, seal, sum(events) OVER (ORDER BY block) - events AS before FROM audit_seals
        WHERE block > was.block ORDER BY block LIMIT 5000
    ) s WHERE s.before < 5000 ORDER BY s.block DESC LIMIT 1;
    IF upto IS NULL THEN
        UPDATE audit_patients_made SET block = was.block, seal = was.seal, last_id = was.last_id WHERE seal <> was.seal;
        RETURN false;
    END IF;
    SELECT coalesce(range_agg(i), '{}') INTO sealed FROM audit_seals s CROSS JOIN LATERAL unnest(s.ids) i WHERE s.block > was.block AND s.block <= upto;
    highest := greatest(was.last_id, least(coalesce(upper(sealed) - 1, 0), given));
    INSERT INTO audit_patients (listed, actor_id, newest, times, ids, patients)
    SELECT e.action = 'patient-list', e.actor_id, max(e.recorded), array_agg(e.recorded), array_agg(e.id), e.patients
    FROM unnest(sealed + int8multirange(int8range(was.last_id + 1, highest + 1))) r
    CROSS JOIN LATERAL (SELECT * FROM audit_events e WHERE e.id >= lower(r) AND e.id < upper(r) AND e.id <= given OFFSET 0) e
    WHERE e.patients <> '{}' GROUP BY 1, e.actor_id, e.patients;
    UPDATE audit_patients_made SET block = upto, seal = upto_seal, last_id = highest;
    DELETE FROM audit_patients WHERE newest < (SELECT min(recorded) FROM audit_events); -- their months were dropped
    RETURN EXISTS (SELECT 1 FROM audit_seals WHERE block > upto);
END;
$$;

-- As of the other functions that act as the owner: a search_path that nobody else can write to.
DO $own$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_patients_make() SET search_path = %I, pg_temp', current_schema());
END
$own$;
REVOKE ALL ON FUNCTION audit_patients_make() FROM PUBLIC;

DROP INDEX audit_events_listed;
DROP INDEX audit_events_concerned;
DROP INDEX audit_events_sign_ins; -- audit_events_actor_action leads to the same events

-- A check is parsed again for each row that is written alone, which is a seventh of what an event costs. Times are checked
-- where they can be wrong, in the partition for what no month takes; the program's statements write no other outcome.
ALTER TABLE audit_events DROP CONSTRAINT audit_events_has_month, DROP CONSTRAINT audit_events_outcome_check;

CREATE OR REPLACE FUNCTION audit_events_guard(partition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    who oid;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(partition) AND tgname = 'audit_events_no_truncate') THEN
        EXECUTE format('CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()', partition);
    END IF;
    IF partition = 'audit_events_other' AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(partition) AND conname = 'audit_events_has_month') THEN
        -- A time that has no month could not be sealed.
        ALTER TABLE audit_events_other ADD CONSTRAINT audit_events_has_month
            CHECK (recorded >= '0001-01-01 00:00:00Z' AND recorded < '10000-01-01 00:00:00Z') NOT VALID;
    END IF;
    -- No plan here rests on what events hold, and to look at arrays for it is a fifth of the database's work when many are written.
    EXECUTE format('ALTER TABLE %I ALTER id SET STATISTICS 10, ALTER recorded SET STATISTICS 10, ALTER action SET STATISTICS 10, ALTER outcome SET STATISTICS 10, '
        'ALTER actor_id SET STATISTICS 10, ALTER actor SET STATISTICS 10, ALTER session_id SET STATISTICS 0, ALTER client SET STATISTICS 0, '
        'ALTER request_id SET STATISTICS 0, ALTER program SET STATISTICS 0, ALTER patients SET STATISTICS 0, ALTER detail SET STATISTICS 0', partition);
    FOR who IN SELECT DISTINCT a.grantee FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass(partition) AND a.grantee <> c.relowner LOOP
        EXECUTE format('REVOKE ALL ON %I FROM %s', partition, CASE who WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(who)) END);
    END LOOP;
END;
$$;
SELECT audit_events_guard(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass;
