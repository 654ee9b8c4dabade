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

-- A first import of many leaves out the indexes that only lists and searches need, and has them made when all is in: each patient
-- put into nine indexes alone takes half of its time. What is left out stands here as PostgreSQL writes it, so that it is made as
-- it was, whoever makes it. Nobody but the owner may write here: what stands here is executed in the owner's name.
CREATE TABLE patients_indexes_deferred (definition text PRIMARY KEY);

-- Not where there is much to make again, whoever asks: until it is made lists are scans.
CREATE FUNCTION patients_indexes_defer() RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    i record;
BEGIN
    LOCK TABLE patients, patient_terms IN ACCESS EXCLUSIVE MODE;
    IF pg_relation_size('patients') > 128 * 1024 * 1024 THEN
        RETURN false;
    END IF;
    FOR i IN SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
             WHERE indrelid IN ('patients'::regclass, 'patient_terms'::regclass) AND NOT indisunique LOOP
        INSERT INTO patients_indexes_deferred VALUES (i.definition);
        EXECUTE format('DROP INDEX %s', i.name);
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
