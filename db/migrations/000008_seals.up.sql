CREATE TABLE audit_seals (
    block bigint PRIMARY KEY, sealed timestamptz NOT NULL DEFAULT clock_timestamp(), month date NOT NULL, ids int8multirange NOT NULL,
    events integer NOT NULL, digest bytea NOT NULL, key_id text NOT NULL, seal bytea NOT NULL, last_id bigint NOT NULL, gaps int8multirange NOT NULL);
