DO $$
DECLARE
    d text;
BEGIN
    FOR d IN SELECT definition FROM patients_indexes_deferred ORDER BY nth LOOP
        EXECUTE d;
    END LOOP;
END
$$;
DROP FUNCTION patients_index_make(text);
DROP FUNCTION patients_indexes_defer();
DROP TABLE patients_indexes_deferred;

CREATE OR REPLACE FUNCTION patients_inserted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    fresh text[];
BEGIN
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

ALTER TABLE patients ALTER display_name SET STATISTICS -1, ALTER family SET STATISTICS -1, ALTER given SET STATISTICS -1, ALTER mrn SET STATISTICS -1,
    ALTER phone SET STATISTICS -1, ALTER email SET STATISTICS -1, ALTER city SET STATISTICS -1, ALTER birth_date SET STATISTICS -1,
    ALTER resource_sha SET STATISTICS -1, ALTER imported_sha SET STATISTICS -1;
DO $compress$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT 'audit_events'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s ALTER patients SET COMPRESSION default', part);
    END LOOP;
END
$compress$;
