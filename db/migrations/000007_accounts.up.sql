-- What surrounds signing in. Nothing here is needed to read a patient, and nothing of it goes into users.

-- Failed sign-ins that count: by the name that was typed, by the client's address, and for a browser that the user has
-- signed in from before. subject is an HMAC or a hash: people type passwords into the field of the name.
CREATE TABLE sign_in_throttle (
    kind          text        NOT NULL CHECK (kind IN ('name', 'client', 'device')),
    subject       bytea       NOT NULL,
    failures      integer     NOT NULL,              -- in a row
    last_at       timestamptz NOT NULL,              -- of the last attempt that counted
    blocked_until timestamptz NOT NULL,
    noted         boolean     NOT NULL DEFAULT false, -- the audit says that this delay has refused somebody
    user_id       integer,                           -- whose name it is, for unlocking; NULL where nobody has it
    PRIMARY KEY (kind, subject)
);
CREATE INDEX sign_in_throttle_last ON sign_in_throttle (last_at);
CREATE INDEX sign_in_throttle_user ON sign_in_throttle (user_id);

-- How long to wait after so many failures in a row: five are free, then 2 s, 4 s, 8 s, up to 15 minutes. An address
-- is that of a whole clinic often, so that one waits a minute at most.
CREATE FUNCTION sign_in_delay(kind text, failures integer) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN failures < 5 THEN interval '0'
                ELSE least(power(2, least(failures - 4, 12)), CASE kind WHEN 'client' THEN 60 ELSE 900 END) * interval '1 second' END
$$;

-- Counts an attempt before the password is looked at, so that many at once cannot all be the first. Either all subjects
-- take it, or none, and the answer is how long to wait; noted says that this refusal is the first of its delay.
-- locked says that a name, or a known browser, has failed a hundred times in a row (SP 800-63B-4, 3.2.2), which lasts until
-- somebody unlocks it. What else is a day old is forgotten.
CREATE FUNCTION sign_in_attempt(kinds text[], subjects bytea[], account integer, OUT wait interval, OUT noted boolean, OUT locked boolean)
LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz;
BEGIN
    -- In one order, so that two attempts wait for each other and never block each other.
    INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until, user_id)
    SELECT k, s, 0, now(), '-infinity', CASE WHEN k <> 'client' THEN account END FROM unnest(kinds, subjects) t (k, s) ORDER BY k, s
    ON CONFLICT (kind, subject) DO UPDATE SET user_id = EXCLUDED.user_id;
    at := clock_timestamp(); -- of those that waited for a lock, the transaction's time is too early
    UPDATE sign_in_throttle t SET failures = 0, blocked_until = '-infinity'
    FROM unnest(kinds, subjects) n (k, s)
    WHERE t.kind = n.k AND t.subject = n.s AND t.last_at < at - interval '1 day' AND (t.kind = 'client' OR t.failures < 100);

    SELECT coalesce(max(t.blocked_until - at) FILTER (WHERE t.blocked_until > at), interval '0'),
           coalesce(bool_or(NOT t.noted) FILTER (WHERE t.blocked_until > at), false),
           coalesce(bool_or(t.kind <> 'client' AND t.failures >= 100), false)
    INTO wait, noted, locked
    FROM sign_in_throttle t JOIN unnest(kinds, subjects) n (k, s) ON t.kind = n.k AND t.subject = n.s;
    IF wait > interval '0' THEN
        IF noted THEN
            UPDATE sign_in_throttle t SET noted = true FROM unnest(kinds, subjects) n (k, s)
            WHERE t.kind = n.k AND t.subject = n.s AND t.blocked_until > at;
        END IF;
        -- Or each made-up name that an address tries while it waits would leave a row.
        DELETE FROM sign_in_throttle t USING unnest(kinds, subjects) n (k, s) WHERE t.kind = n.k AND t.subject = n.s AND t.failures = 0;
        RETURN;
    END IF;
    UPDATE sign_in_throttle t SET failures = t.failures + 1, last_at = at, noted = false,
           blocked_until = at + sign_in_delay(t.kind, t.failures + 1)
    FROM unnest(kinds, subjects) n (k, s) WHERE t.kind = n.k AND t.subject = n.s;
END;
$$;

-- Browsers that a user has signed in from. What strangers do to the user's name does not keep these out.
CREATE TABLE known_devices (
    device    bytea       NOT NULL,                  -- SHA-256 of the cookie's random part
    user_id   integer     NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    first_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device, user_id)
);
CREATE INDEX known_devices_user ON known_devices (user_id);
CREATE INDEX known_devices_last ON known_devices (last_at);

-- Links by which a user sets a password: one use, one for a user, gone when their time is over.
CREATE TABLE account_links (
    user_id    integer     PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token      bytea       NOT NULL UNIQUE,          -- SHA-256 of what stands in the address
    kind       text        NOT NULL CHECK (kind IN ('invite', 'reset')),
    made_by    text        NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

-- What somebody was typing when their session ended: sealed, for them alone, for an hour.
CREATE TABLE drafts (
    user_id  integer     NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    form     text        NOT NULL,                   -- which form: patients/new, patients/<id>
    sealed   bytea       NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, form)
);
CREATE INDEX drafts_saved ON drafts (saved_at);

-- A user's own sign-ins, and who tried.
CREATE INDEX audit_events_sign_ins ON audit_events (actor_id, recorded) WHERE action = 'sign-in';
