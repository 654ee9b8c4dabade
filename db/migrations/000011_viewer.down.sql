DROP FUNCTION access_refused(integer, text, uuid, inet, text, text, text);
DROP FUNCTION sessions_touch(text, text, boolean);
