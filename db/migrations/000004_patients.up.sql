CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- What the list, the search and the sorts need of a FHIR R4 Patient. The resource itself, whole and as it came,
-- stands in patient_resources, off the path that every list walks.
-- The *_key columns are computed in Go (db/fhir.Key) and compare by code point. U+10FFFD, which sorts after every letter,
-- stands for what is missing, so that keyset pages need no special case for NULL; only a missing given name is empty,
-- so that a family name alone comes before the same one with given names.
CREATE TABLE patients (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(), -- random: it stands in addresses
    import_key   text        COLLATE "C" UNIQUE, -- the FHIR id, or what stands for it where there is none
    display_name text        NOT NULL,
    family       text,
    given        text,
    mrn          text,                           -- may be missing and may repeat
    birth_date   text        COLLATE "C"         -- a FHIR date, with the precision it came in
                 CHECK (birth_date ~ '^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$'),
    gender       text        CHECK (gender IN ('male', 'female', 'other', 'unknown')),
    phone        text,
    email        text,
    city         text,
    active       boolean,                        -- NULL is FHIR's "not said"
    deceased     boolean     NOT NULL DEFAULT false,
    family_key   text        COLLATE "C" NOT NULL,
    given_key    text        COLLATE "C" NOT NULL,
    mrn_key      text        COLLATE "C" NOT NULL,
    birth_key    text        COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(birth_date, U&'\+10FFFD')) STORED,
    words        text        COLLATE "C" NOT NULL, -- every word of every name, each with a space before it
    resource_sha bytea       NOT NULL,           -- SHA-256 of the resource as it came
    version      integer     NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX patients_name    ON patients (family_key, given_key, id);
CREATE INDEX patients_mrn     ON patients (mrn_key, id);
CREATE INDEX patients_birth   ON patients (birth_key, id);
CREATE INDEX patients_updated ON patients (updated_at, id);
CREATE INDEX patients_words   ON patients USING gin (words gin_trgm_ops);

-- json, not jsonb: the order of keys, the writing of numbers and every escape stay as they came.
CREATE TABLE patient_resources (
    patient_id uuid PRIMARY KEY REFERENCES patients (id) ON DELETE CASCADE,
    resource   json NOT NULL
);
