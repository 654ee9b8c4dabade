DROP TABLE sessions;
DROP TABLE ended_sessions;
DROP FUNCTION sessions_fill();
DROP FUNCTION sessions_begin();
DROP FUNCTION sessions_end();
DROP FUNCTION sessions_truncate();
