-- The table and its rows stay: they belong to the clinic, and the predecessor works on them.
ALTER TABLE users DROP COLUMN IF EXISTS session_epoch, DROP COLUMN IF EXISTS role;
