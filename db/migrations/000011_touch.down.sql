DROP FUNCTION sessions_touch(text, text, boolean);
