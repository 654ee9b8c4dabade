-- token, data and expiry are what scs's pgxstore reads and writes; the other columns are filled from data by trigger,
-- because pgxstore writes no more than its three.
CREATE TABLE sessions (
    token        text        PRIMARY KEY,           -- HMAC-SHA-256 of the cookie's value, base64url
    data         bytea       NOT NULL,              -- JSON, see db.Session
    expiry       timestamptz NOT NULL,              -- absolute; idleness is judged by last_seen_at
    id           uuid        NOT NULL UNIQUE,       -- public name of the session, for audit and lists
    user_id      integer     NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    epoch        integer     NOT NULL,              -- users.session_epoch when the user signed in
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now() -- last action of a person; coarse, see db.touchEvery
);
CREATE INDEX sessions_expiry ON sessions (expiry);
CREATE INDEX sessions_user ON sessions (user_id);

-- A session that has ended leaves a tombstone until it would have expired, so that a request that was under way
-- and saves the session after its end is refused by the database itself, whoever ended it and however.
CREATE TABLE ended_sessions (
    token  text        PRIMARY KEY,
    id     uuid        NOT NULL,                    -- the same under every key of a rotation, unlike the token
    expiry timestamptz NOT NULL
);
CREATE INDEX ended_sessions_id ON ended_sessions (id);
CREATE INDEX ended_sessions_expiry ON ended_sessions (expiry);

CREATE FUNCTION sessions_fill() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    d jsonb := convert_from(NEW.data, 'UTF8')::jsonb;
BEGIN
    IF TG_OP = 'UPDATE' AND (d->>'user_id')::integer <> OLD.user_id THEN
        RAISE EXCEPTION 'a session cannot change its user: make a new one';
    END IF;
    NEW.id := (d->>'id')::uuid;
    NEW.user_id := (d->>'user_id')::integer;
    NEW.epoch := (d->>'epoch')::integer;
    RETURN NEW;
END;
$$;
CREATE TRIGGER sessions_fill BEFORE INSERT OR UPDATE OF data ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_fill();

-- After the row, not before it: an INSERT that met a DELETE not yet committed waits for it inside the unique index,
-- and only what runs afterwards sees the tombstone.
CREATE FUNCTION sessions_begin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    d jsonb := convert_from(NEW.data, 'UTF8')::jsonb;
BEGIN
    IF EXISTS (SELECT 1 FROM ended_sessions WHERE token = NEW.token OR id = NEW.id) THEN
        RAISE EXCEPTION 'this session has ended' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO audit_events (action, outcome, actor_id, actor, session_id, client, request_id, program, detail)
    SELECT 'sign-in', 'success', u.id, u.username, NEW.id, (d->>'client')::inet, coalesce(d->>'request_id', ''),
           coalesce(d->>'program', ''), jsonb_build_object('methods', d->'methods')
    FROM users u WHERE u.id = NEW.user_id;
    RETURN NULL;
END;
$$;
CREATE TRIGGER sessions_begin AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION sessions_begin();

-- What ended it comes in transaction-local settings, when the program did it; otherwise it was done by hand.
CREATE FUNCTION sessions_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    action text := coalesce(nullif(current_setting('chartroom.end_action', true), ''), 'session-removed');
BEGIN
    INSERT INTO ended_sessions (token, id, expiry) VALUES (OLD.token, OLD.id, OLD.expiry) ON CONFLICT DO NOTHING;
    INSERT INTO audit_events (action, outcome, actor_id, actor, session_id, client, request_id, program)
    VALUES (action, 'success', OLD.user_id, coalesce((SELECT username FROM users WHERE id = OLD.user_id), ''), OLD.id,
            nullif(current_setting('chartroom.client', true), '')::inet,
            coalesce(current_setting('chartroom.request_id', true), ''),
            coalesce(current_setting('chartroom.program', true), ''));
    RETURN NULL;
END;
$$;
CREATE TRIGGER sessions_end AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION sessions_end();

-- TRUNCATE fires no row triggers, so it is turned into the DELETE that does.
CREATE FUNCTION sessions_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sessions;
    RETURN NULL;
END;
$$;
CREATE TRIGGER sessions_truncate BEFORE TRUNCATE ON sessions
    FOR EACH STATEMENT EXECUTE FUNCTION sessions_truncate();
