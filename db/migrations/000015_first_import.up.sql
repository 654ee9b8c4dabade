-- An import writes the terms of those whom it brings by itself, and sees beforehand that their words are in the dictionary: it says
-- so by the setting, and the trigger leaves them alone. Whoever else writes patients, an older program's import too, has the trigger.
CREATE OR REPLACE FUNCTION patients_inserted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    fresh text[];
BEGIN
    IF current_setting('chartroom.terms', true) = 'written' THEN
        RETURN NULL;
    END IF;
    INSERT INTO patient_terms (term, family_key, given_key, patient_id)
    SELECT t, n.family_key, n.given_key, n.id
    FROM new_rows n CROSS JOIN LATERAL patient_terms_of(n.words, n.phone_keys, n.family_key, n.given_key) t
    ORDER BY 1, 2, 3;
    fresh := ARRAY(
        SELECT w FROM (SELECT DISTINCT unnest(string_to_array(words, ' ')) COLLATE "C" AS w FROM new_rows) all_words
        WHERE w <> '' AND NOT EXISTS (SELECT FROM name_words k WHERE k.word = w));
    IF cardinality(fresh) > 0 THEN
        PERFORM name_words_add(fresh);
    END IF;
    RETURN NULL;
END;
$$;

-- A first import of many leaves out the indexes that only lists, searches and a patient's page need, and has them made when all is in:
-- each patient put into them alone takes half of its time. What is left out stands here as PostgreSQL writes it, so that it is made as
-- it was, whoever makes it. Nobody but the owner may write here: what stands here is executed in the owner's name.
CREATE TABLE patients_indexes_deferred (
    nth        integer PRIMARY KEY,     -- the order in which it is begun: what takes longest first
    alone      boolean NOT NULL,        -- when all before it is done
    definition text    NOT NULL UNIQUE
);

-- Not where there is much to make again, whoever asks: until it is made lists are scans. The server's own care of the tables rests
-- meanwhile: it looks at them again and again while they grow, for a fifth of the time, and the import's end does it once.
CREATE FUNCTION patients_indexes_defer() RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    i record;
BEGIN
    LOCK TABLE patients, patient_terms, patient_resources, name_words, name_typos IN ACCESS EXCLUSIVE MODE;
    IF pg_relation_size('patients') > 128 * 1024 * 1024 THEN
        RETURN false;
    END IF;
    FOR i IN
        WITH tables AS (
            SELECT oid, oid::regclass AS name, array_to_string(reloptions, ' ') ~ 'autovacuum_enabled' AS told
            FROM pg_class WHERE oid IN ('patients'::regclass, 'patient_terms'::regclass, 'patient_resources'::regclass,
                                        'name_words'::regclass, 'name_typos'::regclass)
        ), every AS (
            SELECT -indnatts AS turn, false AS alone, format('DROP INDEX %s', indexrelid::regclass) AS leave,
                   pg_get_indexdef(indexrelid) AS make
            FROM pg_index WHERE indrelid IN ('patients'::regclass, 'patient_terms'::regclass) AND NOT indisunique
              AND indpred IS NULL -- those of the few stay: to look through all for them takes longer than to put them in
            UNION ALL
            -- A key is made in two steps, so that those who read are kept out for a moment only.
            SELECT unnest(ARRAY[-1, 1]), unnest(ARRAY[false, true]),
                   unnest(ARRAY[format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname), NULL]),
                   unnest(ARRAY[pg_get_indexdef(conindid), format('ALTER TABLE %s ADD CONSTRAINT %I PRIMARY KEY USING INDEX %2$I', conrelid::regclass, conname)])
            FROM pg_constraint WHERE conrelid IN ('patient_resources'::regclass, 'name_typos'::regclass) AND contype = 'p'
            UNION ALL
            SELECT 2, true, format('ALTER TABLE %s SET (autovacuum_enabled = false)', name), format('ALTER TABLE %s RESET (autovacuum_enabled)', name)
            FROM tables WHERE told IS NOT true
        )
        SELECT row_number() OVER (ORDER BY turn, make) AS nth, * FROM every ORDER BY 1
    LOOP
        INSERT INTO patients_indexes_deferred VALUES (i.nth, i.alone, i.make);
        IF i.leave IS NOT NULL THEN
            EXECUTE i.leave;
        END IF;
    END LOOP;
    RETURN true;
END;
$$;

-- Makes one of those. Of two that make the same one the second finds nothing to do.
CREATE FUNCTION patients_index_make(deferred text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET lock_timeout = '2s' AS $$
BEGIN
    DELETE FROM patients_indexes_deferred WHERE definition = deferred;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE deferred;
    RETURN true;
EXCEPTION WHEN unique_violation THEN
    -- A word that somebody took out of the dictionary meanwhile came back, and its typing errors were there still.
    DELETE FROM name_typos a USING name_typos b WHERE a.typo = b.typo AND a.word = b.word AND a.ctid < b.ctid;
    DELETE FROM patients_indexes_deferred WHERE definition = deferred;
    EXECUTE deferred;
    RETURN true;
END;
$$;

-- As of the other functions that act as the owner: a search_path that nobody else can write to.
DO $own$
BEGIN
    EXECUTE format('ALTER FUNCTION patients_indexes_defer() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION patients_index_make(text) SET search_path = %I, pg_temp', current_schema());
END
$own$;
REVOKE ALL ON FUNCTION patients_indexes_defer(), patients_index_make(text) FROM PUBLIC;

-- Half of what it takes to count afresh for the planner went to columns that it need not know, since no condition names them.
ALTER TABLE patients ALTER display_name SET STATISTICS 0, ALTER family SET STATISTICS 0, ALTER given SET STATISTICS 0, ALTER mrn SET STATISTICS 0,
    ALTER phone SET STATISTICS 0, ALTER email SET STATISTICS 0, ALTER city SET STATISTICS 0, ALTER birth_date SET STATISTICS 0,
    ALTER resource_sha SET STATISTICS 0, ALTER imported_sha SET STATISTICS 0;

-- The ids of a batch are random: there is hardly anything to compress, and PostgreSQL's own way looks long for it.
DO $compress$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT 'audit_events'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s ALTER patients SET COMPRESSION lz4', part);
    END LOOP;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$compress$;
