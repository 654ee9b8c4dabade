-- Marks a session as seen, and moves it to the current key. Called where that is due, which is once in a minute: a
-- data-modifying WITH that does nothing costs a page an eighth of its time in the database (measured).
CREATE FUNCTION sessions_touch(found text, current_token text, background boolean) RETURNS boolean LANGUAGE sql AS $$
    UPDATE sessions SET token = current_token, last_seen_at = CASE WHEN background THEN last_seen_at ELSE now() END
    WHERE token = found
    RETURNING true;
$$;
