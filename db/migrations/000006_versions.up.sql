-- What a patient was before: nothing that was ever on record is lost, and an import can be taken back.
CREATE TABLE imports (
    id          integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor       text        NOT NULL,
    program     text        NOT NULL DEFAULT '',
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,                     -- NULL while it runs, and when it was cut off
    created     bigint      NOT NULL DEFAULT 0,  -- counts of patients, kept up with each batch
    updated     bigint      NOT NULL DEFAULT 0,
    unchanged   bigint      NOT NULL DEFAULT 0,
    conflicts   bigint      NOT NULL DEFAULT 0,
    rejected    bigint      NOT NULL DEFAULT 0,
    other       bigint      NOT NULL DEFAULT 0,  -- resources of other types
    undone_at   timestamptz,
    undone_by   text
);

ALTER TABLE patients
    ADD COLUMN imported_sha  bytea,                    -- SHA-256 of the resource that an import brought last; NULL when none did
    ADD COLUMN import_id     integer,                  -- imports.id that wrote the current version; NULL when a person did.
                                                       -- No foreign key here and below: each would cost an import a look-up a row
    ADD COLUMN updated_by_id integer,                  -- users.id; NULL for an import
    ADD COLUMN updated_by    text NOT NULL DEFAULT ''; -- the name at that time
UPDATE patients SET imported_sha = resource_sha;

-- Each version that another one has taken the place of; the current one stands in patients and patient_resources.
CREATE TABLE patient_versions (
    patient_id    uuid        NOT NULL,
    version       integer     NOT NULL,
    recorded      timestamptz NOT NULL,            -- when this version came to be
    updated_by_id integer,
    updated_by    text        NOT NULL DEFAULT '',
    import_id     integer,
    resource      json        NOT NULL,
    resource_sha  bytea       NOT NULL,
    imported_sha  bytea,
    PRIMARY KEY (patient_id, version)
);

-- What an import brought for a patient who had been changed here since the import before: it waits for a person.
CREATE TABLE patient_conflicts (
    patient_id   uuid        PRIMARY KEY,
    import_id    integer     NOT NULL,             -- the import that brought it first
    last_id      integer     NOT NULL,             -- and the one that did so last
    received_at  timestamptz NOT NULL DEFAULT now(),
    resource     json        NOT NULL,
    resource_sha bytea       NOT NULL
);
CREATE INDEX patient_conflicts_import ON patient_conflicts (import_id);
CREATE INDEX patient_conflicts_last   ON patient_conflicts (last_id);

-- That later imports brought again what import_id had brought: taking that one back must not take from these. Only the
-- first and the last are kept, so that an import each night takes no more room each night.
CREATE TABLE patient_confirmations (
    patient_id uuid    NOT NULL,
    import_id  integer NOT NULL,
    first_id   integer NOT NULL,
    last_id    integer NOT NULL,
    PRIMARY KEY (patient_id, import_id)
) WITH (fillfactor = 70);

-- Foreign keys to patients would cost an import a look-up and a row lock for each row; this costs nothing until a patient
-- is deleted, which only taking back an import does.
ALTER TABLE patient_resources DROP CONSTRAINT patient_resources_patient_id_fkey;
CREATE OR REPLACE FUNCTION patients_deleted() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    DELETE FROM patient_terms d
    USING old_rows o CROSS JOIN LATERAL patient_terms_of(o.words, o.phone_keys, o.family_key, o.given_key) t
    WHERE d.term = t AND d.family_key = o.family_key AND d.given_key = o.given_key AND d.patient_id = o.id;
    DELETE FROM patient_resources d USING old_rows o WHERE d.patient_id = o.id;
    DELETE FROM patient_versions  d USING old_rows o WHERE d.patient_id = o.id;
    DELETE FROM patient_conflicts d USING old_rows o WHERE d.patient_id = o.id;
    DELETE FROM patient_confirmations d USING old_rows o WHERE d.patient_id = o.id;
    RETURN NULL;
END;
$$;

-- TRUNCATE fires no such trigger, and no foreign key stands in its way any more: it is turned into the DELETE that does.
CREATE FUNCTION patients_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM patients;
    RETURN NULL;
END;
$$;
CREATE TRIGGER patients_truncate BEFORE TRUNCATE ON patients
    FOR EACH STATEMENT EXECUTE FUNCTION patients_truncate();

-- Resources are most of what an import writes, and PostgreSQL's own compression takes longer than all the rest of it. Not
-- every server is built with the other one.
DO $compress$
BEGIN
    ALTER TABLE patient_resources ALTER COLUMN resource SET COMPRESSION lz4;
    ALTER TABLE patient_versions  ALTER COLUMN resource SET COMPRESSION lz4;
    ALTER TABLE patient_conflicts ALTER COLUMN resource SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$compress$;
