CREATE OR REPLACE FUNCTION patients_inserted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO patient_terms (term, family_key, given_key, patient_id)
    SELECT t, n.family_key, n.given_key, n.id
    FROM new_rows n CROSS JOIN LATERAL patient_terms_of(n.words, n.phone_keys, n.family_key, n.given_key) t;
    PERFORM name_words_add(ARRAY(SELECT unnest(string_to_array(words, ' ')) FROM new_rows));
    RETURN NULL;
END;
$$;
