-- Who did what to whose record, and when: HIPAA 164.312(b). Append-only, a partition a month.
-- Column names follow FHIR's AuditEvent where it has one.
CREATE SEQUENCE audit_events_id_seq;
CREATE TABLE audit_events (
    id         bigint      NOT NULL DEFAULT nextval('audit_events_id_seq'),
    recorded   timestamptz NOT NULL DEFAULT clock_timestamp(),
    action     text        NOT NULL,
    outcome    text        NOT NULL CHECK (outcome IN ('success', 'refused')),
    actor_id   integer,                             -- users.id; no foreign key, an event outlives its user
    actor      text        NOT NULL DEFAULT '',     -- the name at that time; empty when nobody known
    session_id uuid,                                -- sessions.id, never the token
    client     inet,
    request_id text        NOT NULL DEFAULT '',
    program    text        NOT NULL DEFAULT '',     -- version of the program that wrote it
    patients   uuid[]      NOT NULL DEFAULT '{}',   -- patients.id of every row that was shown or changed
    detail     jsonb       NOT NULL DEFAULT '{}',   -- kinds and counts; never a name, a search text or a secret
    PRIMARY KEY (recorded, id)
) PARTITION BY RANGE (recorded);
ALTER SEQUENCE audit_events_id_seq OWNED BY audit_events.id;

-- Where no month's partition takes an event, this one does: a missing partition must never take the clinic down.
CREATE TABLE audit_events_other PARTITION OF audit_events DEFAULT;

CREATE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END;
$$;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_refuse();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events_other
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse();

-- Makes the partitions from this month to that many months ahead; safe to run at any time, by any number at once.
-- A month for which events already stand in the default partition stays there.
CREATE FUNCTION audit_events_make_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamptz;
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_events_make_partitions'));
    FOR n IN 0..months_ahead LOOP
        first_day := date_trunc('month', now() AT TIME ZONE 'UTC' + n * interval '1 month') AT TIME ZONE 'UTC';
        name := 'audit_events_' || to_char(first_day AT TIME ZONE 'UTC', 'YYYYMM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)',
                name, first_day, (first_day AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON %I '
                'FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()', name);
            made := made + 1;
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE 'audit partition % not made: the default partition holds events of that month', name;
        END;
    END LOOP;
    RETURN made;
END;
$$;
SELECT audit_events_make_partitions(24);
