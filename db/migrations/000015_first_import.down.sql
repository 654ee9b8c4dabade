DO $$
DECLARE
    d text;
BEGIN
    FOR d IN DELETE FROM patients_indexes_deferred RETURNING definition LOOP
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
