-- What the list's search, filters and sorts walk. No query here sorts or counts more than it shows: each order has an
-- index that ends in the tie-breaker, and names are looked up in a dictionary of words, which is small.
DROP INDEX patients_words;
DROP INDEX patients_birth;
DROP INDEX patients_updated;

ALTER TABLE patients
    ADD COLUMN status text COLLATE "C" NOT NULL GENERATED ALWAYS AS
        (CASE WHEN deceased THEN 'deceased' WHEN active = false THEN 'inactive' ELSE 'active' END) STORED,
    ADD COLUMN phone_keys text COLLATE "C" NOT NULL DEFAULT ''; -- digits of every phone backwards, each with a space before
-- From the resources, as an import does it, but for digits of other scripts and for resources with an escape that
-- PostgreSQL cannot read as text: those have only the shown phone until they are next written.
WITH phones AS (
    SELECT r.patient_id, reverse(regexp_replace(t.value->>'value', '[^0-9]', '', 'g')) AS digits, t.nth
    FROM (SELECT patient_id, resource FROM patient_resources
          WHERE resource::text !~* '\\u(0000|d[89a-f])' AND resource::text LIKE '%telecom%' OFFSET 0) r
    CROSS JOIN LATERAL json_array_elements(CASE WHEN json_typeof(r.resource->'telecom') = 'array' THEN r.resource->'telecom' ELSE '[]' END)
        WITH ORDINALITY t (value, nth)
    WHERE json_typeof(t.value) = 'object' AND t.value->>'system' IN ('phone', 'sms') AND t.value->>'use' IS DISTINCT FROM 'old' AND t.nth <= 20
    UNION ALL
    SELECT id, reverse(regexp_replace(phone, '[^0-9]', '', 'g')), 99 FROM patients WHERE phone IS NOT NULL
)
UPDATE patients p SET phone_keys = k.keys
FROM (
    SELECT patient_id, string_agg(' ' || digits, '' ORDER BY nth) AS keys
    FROM (SELECT DISTINCT ON (patient_id, digits) * FROM phones WHERE length(digits) BETWEEN 4 AND 200 ORDER BY patient_id, digits, nth) d
    GROUP BY patient_id
) k WHERE p.id = k.patient_id;

CREATE INDEX patients_given   ON patients (given_key, family_key, id);
-- The status stands in the index, so that a filter by it skips entries without visiting their rows: the oldest patients
-- are mostly the deceased ones.
CREATE INDEX patients_birth   ON patients (birth_key, status, id);
CREATE INDEX patients_updated ON patients (updated_at, status, id);
-- Few patients are not active, and where they stand in these two orders is no matter of chance.
CREATE INDEX patients_gone_birth   ON patients (status, birth_key, id) WHERE status <> 'active';
CREATE INDEX patients_gone_updated ON patients (status, updated_at, id) WHERE status <> 'active';
-- Hardly any are neither female nor male, and with another condition one would look at all patients to find them.
CREATE INDEX patients_odd ON patients (gender, status, birth_key, id) WHERE gender IS NULL OR gender IN ('other', 'unknown');

-- What a patient is found by besides the first word of the family name and of the given names, which patients_name and
-- patients_given find: further words of all names, old ones too, and '#' with each phone's digits backwards.
CREATE TABLE patient_terms (
    term       text COLLATE "C" NOT NULL,
    family_key text COLLATE "C" NOT NULL,
    given_key  text COLLATE "C" NOT NULL,
    patient_id uuid NOT NULL
);
CREATE INDEX patient_terms_term ON patient_terms (term, family_key, given_key, patient_id);

-- The dictionary: every word that any name ever had. It only grows; a word that nobody has any more finds nobody.
CREATE TABLE name_words (word text COLLATE "C" PRIMARY KEY);
CREATE INDEX name_words_part ON name_words USING gin (word gin_trgm_ops);

-- Each word of 3 to 24 letters, and what is left of it without any one of its letters. A word that was typed with one
-- letter dropped, doubled, swapped or mistaken meets the right one here (the symmetric delete method).
CREATE TABLE name_typos (
    typo text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL,
    PRIMARY KEY (typo, word)
);

CREATE FUNCTION patient_terms_of(words text, phone_keys text, family_key text, given_key text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE AS $$
    SELECT w FROM unnest(string_to_array(words, ' ')) w
    WHERE w <> '' AND w <> split_part(family_key, ' ', 1) AND w <> split_part(given_key, ' ', 1)
    UNION ALL
    SELECT '#' || k FROM unnest(string_to_array(phone_keys, ' ')) k WHERE k <> ''
$$;

-- The database itself keeps terms and dictionary right, whoever writes patients and however. By statement, because an
-- import writes thousands of rows with one. Words go in sorted, so that two writers wait for each other and never block
-- each other. Row by row through the indexes, whatever the planner believes: it knows nothing of how many rows a statement
-- wrote, and would read all terms for each batch.
CREATE FUNCTION name_words_add(words text[]) RETURNS void LANGUAGE sql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH fresh AS (
        INSERT INTO name_words (word)
        SELECT w FROM (SELECT DISTINCT unnest(words) COLLATE "C" AS w) all_words
        WHERE w <> ''
        ORDER BY w
        ON CONFLICT DO NOTHING RETURNING word
    ), mistyped AS (
        SELECT word AS typo, word FROM fresh
        UNION
        SELECT left(word, i - 1) || substr(word, i + 1), word FROM fresh, generate_series(1, length(word)) i
    )
    INSERT INTO name_typos (typo, word)
    SELECT typo, word FROM mistyped WHERE length(word) BETWEEN 3 AND 24 ORDER BY typo, word
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION patients_inserted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO patient_terms (term, family_key, given_key, patient_id)
    SELECT t, n.family_key, n.given_key, n.id
    FROM new_rows n CROSS JOIN LATERAL patient_terms_of(n.words, n.phone_keys, n.family_key, n.given_key) t;
    PERFORM name_words_add(ARRAY(SELECT unnest(string_to_array(words, ' ')) FROM new_rows));
    RETURN NULL;
END;
$$;
CREATE TRIGGER patients_inserted AFTER INSERT ON patients REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION patients_inserted();

CREATE FUNCTION patients_updated() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    DELETE FROM patient_terms d
    USING old_rows o JOIN new_rows n USING (id) CROSS JOIN LATERAL patient_terms_of(o.words, o.phone_keys, o.family_key, o.given_key) t
    WHERE d.term = t AND d.family_key = o.family_key AND d.given_key = o.given_key AND d.patient_id = o.id
      AND (o.words, o.phone_keys, o.family_key, o.given_key) <> (n.words, n.phone_keys, n.family_key, n.given_key);
    INSERT INTO patient_terms (term, family_key, given_key, patient_id)
    SELECT t, n.family_key, n.given_key, n.id
    FROM old_rows o JOIN new_rows n USING (id) CROSS JOIN LATERAL patient_terms_of(n.words, n.phone_keys, n.family_key, n.given_key) t
    WHERE (o.words, o.phone_keys, o.family_key, o.given_key) <> (n.words, n.phone_keys, n.family_key, n.given_key);
    PERFORM name_words_add(ARRAY(SELECT unnest(string_to_array(n.words, ' ')) FROM old_rows o JOIN new_rows n USING (id) WHERE o.words <> n.words));
    RETURN NULL;
END;
$$;
CREATE TRIGGER patients_updated AFTER UPDATE ON patients REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION patients_updated();

CREATE FUNCTION patients_deleted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    DELETE FROM patient_terms d
    USING old_rows o CROSS JOIN LATERAL patient_terms_of(o.words, o.phone_keys, o.family_key, o.given_key) t
    WHERE d.term = t AND d.family_key = o.family_key AND d.given_key = o.given_key AND d.patient_id = o.id;
    RETURN NULL;
END;
$$;
CREATE TRIGGER patients_deleted AFTER DELETE ON patients REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION patients_deleted();

INSERT INTO patient_terms (term, family_key, given_key, patient_id)
SELECT t, p.family_key, p.given_key, p.id
FROM patients p CROSS JOIN LATERAL patient_terms_of(p.words, p.phone_keys, p.family_key, p.given_key) t;
SELECT name_words_add(ARRAY(SELECT DISTINCT unnest(string_to_array(words, ' ')) FROM patients));
