-- How long audit events are kept, and what nobody but the tables' owner may do for it. Both functions act as the owner, so
-- that the program's role needs no DDL; what they may do is narrow, and what they did is an event.

-- Makes the partitions from this month to that many months ahead; safe to run at any time, by any number at once. Events
-- that had to go into the default partition, because their month had none, are moved into their months': the default is
-- taken out whole, and its events are put in again as they are, so that nothing is deleted and no trigger is switched off.
-- The writers wait meanwhile, so that of very many events it leaves the hands, and of those that a wrong clock gave another age.
CREATE OR REPLACE FUNCTION audit_events_make_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    first_day timestamptz;
    made integer := 0;
    ahead timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') + (months_ahead + 1) * interval '1 month') AT TIME ZONE 'UTC';
    back timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '24 months') AT TIME ZONE 'UTC';
    moving boolean := false;
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 0 AND 240 THEN
        RAISE EXCEPTION 'partitions are made for 240 months at most' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_events_make_partitions'));
    IF EXISTS (SELECT 1 FROM audit_events_other WHERE recorded >= back AND recorded < ahead)
       AND (SELECT count(*) FROM (SELECT 1 FROM audit_events_other LIMIT 10001) few) <= 10000 THEN
        ALTER TABLE audit_events DETACH PARTITION audit_events_other;
        ALTER TABLE audit_events_other RENAME TO audit_events_moving;
        CREATE TABLE audit_events_other PARTITION OF audit_events DEFAULT;
        PERFORM audit_events_guard('audit_events_other');
        moving := true;
    END IF;
    FOR first_day IN
        SELECT date_trunc('month', now() AT TIME ZONE 'UTC' + n * interval '1 month') AT TIME ZONE 'UTC' FROM generate_series(0, months_ahead) n
    LOOP
        made := made + audit_events_make_partition(first_day);
    END LOOP;
    IF moving THEN
        FOR first_day IN
            SELECT DISTINCT date_trunc('month', recorded AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' FROM audit_events_moving WHERE recorded >= back AND recorded < ahead
        LOOP
            made := made + audit_events_make_partition(first_day);
        END LOOP;
        INSERT INTO audit_events SELECT * FROM audit_events_moving;
        DROP TABLE audit_events_moving;
    END IF;
    RETURN made;
END;
$$;

-- One month's, unless it is there.
CREATE FUNCTION audit_events_make_partition(first_day timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    name text := 'audit_events_' || to_char(first_day AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN 0;
    END IF;
    BEGIN
        EXECUTE format('CREATE TABLE %I PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)',
            name, first_day, (first_day AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
    EXCEPTION WHEN check_violation THEN
        RAISE NOTICE 'audit partition % not made: the default partition holds events of that month', name;
        RETURN 0;
    END;
    PERFORM audit_events_guard(name);
    RETURN 1;
END;
$$;

-- What a partition needs that it does not get from its parent: a trigger against TRUNCATE, and that nobody but the owner may do
-- anything with it directly, whatever privileges new tables get here by default.
CREATE FUNCTION audit_events_guard(partition text) RETURNS void LANGUAGE plpgsql AS $$
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

-- Drops the months that ended more than keep ago, the oldest first, and records each. It stops at one that holds an event
-- which is not sealed yet: what was never provable must not go. Less than six years (45 CFR 164.316(b)(2)(i)) only the owner
-- may ask for. The seals stay, so that the chain can be verified after it.
CREATE FUNCTION audit_events_drop(keep interval) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET lock_timeout = '2s' SET timezone = 'UTC' AS $$
DECLARE
    part record;
    sealed int8multirange;
    unsealed boolean;
    due text[] := '{}';
    months text[] := '{}';
    counts bigint[] := '{}';
    n bigint;
    highest bigint;
BEGIN
    IF keep IS NULL OR keep < interval '1 day' OR keep < interval '2192 days' AND NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
        RAISE EXCEPTION 'audit events are kept for six years (2192 days) at least' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_events_make_partitions'));
    FOR part IN
        SELECT * FROM (
            SELECT c.oid::regclass::text AS name, substring(b.bounds FROM 'FROM \(''([^'']+)''\)')::timestamptz AS begins,
                   substring(b.bounds FROM 'TO \(''([^'']+)''\)')::timestamptz AS ends
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) b (bounds)
            WHERE i.inhparent = 'audit_events'::regclass
        ) p WHERE ends <= now() - keep ORDER BY ends
    LOOP
        -- Nobody writes into a month that is over; this makes sure.
        EXECUTE 'LOCK TABLE ' || part.name || ' IN SHARE ROW EXCLUSIVE MODE';
        SELECT range_agg(r) INTO sealed FROM audit_seals s CROSS JOIN LATERAL unnest(s.ids) r
        WHERE s.month = (part.begins AT TIME ZONE 'UTC')::date;
        EXECUTE 'SELECT count(*), coalesce(bool_or(NOT coalesce($1 @> id, false)), false), max(id) FROM ' || part.name
            INTO n, unsealed, highest USING sealed;
        EXIT WHEN unsealed;
        -- Ids grow with time, whatever a clock said: an event with a higher id than one that is kept is not that old.
        CONTINUE WHEN highest > (SELECT min(id) FROM audit_events WHERE recorded > now() - keep);
        due := due || part.name;
        months := months || to_char(part.begins, 'YYYY-MM');
        counts := counts || n;
    END LOOP;
    -- From here on everybody waits who writes an event, so that all that takes time comes before.
    FOR i IN 1..cardinality(due) LOOP
        EXECUTE 'DROP TABLE ' || due[i];
        INSERT INTO audit_events (action, outcome, program, detail)
        VALUES ('audit-drop', 'success', coalesce(current_setting('chartroom.program', true), ''),
                jsonb_build_object('month', months[i], 'events', counts[i]));
    END LOOP;
    RETURN cardinality(due);
END;
$$;

-- A search_path that nobody else can write to, or somebody could have these functions call theirs, as the owner.
DO $own$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['audit_events_make_partitions(integer)', 'audit_events_drop(interval)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    END LOOP;
END
$own$;
REVOKE ALL ON FUNCTION audit_events_make_partitions(integer), audit_events_make_partition(timestamptz), audit_events_guard(text), audit_events_drop(interval) FROM PUBLIC;
