DROP FUNCTION audit_events_drop(interval);
CREATE OR REPLACE FUNCTION audit_events_make_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
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
ALTER FUNCTION audit_events_make_partitions(integer) SECURITY INVOKER RESET ALL;
GRANT EXECUTE ON FUNCTION audit_events_make_partitions(integer) TO PUBLIC;
DROP FUNCTION audit_events_make_partition(timestamptz);
DROP FUNCTION audit_events_guard(text);
