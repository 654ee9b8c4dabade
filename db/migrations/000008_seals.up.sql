-- The audit's events are sealed in blocks, each over the one before (db/seal.go). A block names its events exactly, because
-- ids are given at insertion, transactions commit in another order, and those rolled back leave gaps.
CREATE TABLE audit_seals (
    block   bigint         PRIMARY KEY,                          -- 1, 2, 3, …
    sealed  timestamptz    NOT NULL DEFAULT clock_timestamp(),
    month   date           NOT NULL,                             -- first day of the UTC month of all its events
    ids     int8multirange NOT NULL,                             -- audit_events.id
    events  integer        NOT NULL,                             -- how many
    digest  bytea          NOT NULL,                             -- SHA-256 over the events
    key_id  text           NOT NULL,                             -- of the key in AUDIT_KEY; empty when not keyed
    seal    bytea          NOT NULL,                             -- over all of this and the seal before
    last_id bigint         NOT NULL,                             -- the highest id that was sealed so far
    gaps    int8multirange NOT NULL                              -- ids below it that may still turn up
);
CREATE INDEX audit_seals_sealed ON audit_seals (sealed);

CREATE FUNCTION audit_seals_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit seals are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END;
$$;
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION audit_seals_refuse();
CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION audit_seals_refuse();

-- Events are sealed, and looked up again, by their ids.
CREATE INDEX audit_events_id ON audit_events (id);
-- A time that has no month could not be sealed.
ALTER TABLE audit_events ADD CONSTRAINT audit_events_has_month
    CHECK (recorded >= '0001-01-01 00:00:00Z' AND recorded < '10000-01-01 00:00:00Z') NOT VALID;
