DROP TRIGGER patients_truncate ON patients;
DROP FUNCTION patients_truncate();
DROP TABLE patient_confirmations;
DROP TABLE patient_conflicts;
DROP TABLE patient_versions;
ALTER TABLE patients DROP COLUMN updated_by, DROP COLUMN updated_by_id, DROP COLUMN import_id, DROP COLUMN imported_sha;
DROP TABLE imports;
ALTER TABLE patient_resources ALTER COLUMN resource SET COMPRESSION default;
ALTER TABLE patient_resources ADD FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;
CREATE OR REPLACE FUNCTION patients_deleted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    DELETE FROM patient_terms d
    USING old_rows o CROSS JOIN LATERAL patient_terms_of(o.words, o.phone_keys, o.family_key, o.given_key) t
    WHERE d.term = t AND d.family_key = o.family_key AND d.given_key = o.given_key AND d.patient_id = o.id;
    RETURN NULL;
END;
$$;
