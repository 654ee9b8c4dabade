-- What the predecessor leaves behind: its table as its guide makes it, and users whose hashes came from Python's
-- bcrypt 3.2.2: "correct horse battery", "short" (cost 10) for Grace, 72 times "x" for long.
CREATE TABLE IF NOT EXISTS users (
    id SERIAL PRIMARY KEY,
    username VARCHAR(255) UNIQUE NOT NULL,
    email VARCHAR(255) UNIQUE,
    password_hash VARCHAR(255) NOT NULL,
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_users_username ON users(username);
CREATE INDEX IF NOT EXISTS idx_users_email ON users(email);
CREATE UNIQUE INDEX IF NOT EXISTS idx_users_username_unique ON users(username);
CREATE UNIQUE INDEX IF NOT EXISTS idx_users_email_unique ON users(email) WHERE email IS NOT NULL;
CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END;
$$ language 'plpgsql';
DROP TRIGGER IF EXISTS update_users_updated_at ON users;
CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

INSERT INTO users (username, email, password_hash, is_active, created_at, updated_at) VALUES
    ('ada.predecessor', 'ada@clinic.example', '$2b$12$YeYPWvM5t8/w1ThnoDA1.OIVAPV4LUQ2zjKy7U8h.l9hxc6UtXp8C', TRUE, '2024-03-01 09:00:00.123456', '2024-05-02 10:30:00'),
    ('Grace', NULL, '$2b$10$4KVFrvj8Qle5UonzQicPKedUj0DKEMQgjE8ogiHQ5Q.a1/sdfzryO', TRUE, '2024-03-02 09:00:00', '2024-03-02 09:00:00'),
    ('long', 'long@clinic.example', '$2b$12$qkoDZY9bodOMRfpAOXK88eq1pwW.rcxIfLyad2g.8hXcFgcaaxFnm', TRUE, '2024-03-03 09:00:00', '2024-03-03 09:00:00'),
    ('gone', 'gone@clinic.example', '$2b$12$YeYPWvM5t8/w1ThnoDA1.OIVAPV4LUQ2zjKy7U8h.l9hxc6UtXp8C', FALSE, '2024-03-04 09:00:00', '2024-03-04 09:00:00'),
    ('null.state', NULL, '$2b$12$YeYPWvM5t8/w1ThnoDA1.OIVAPV4LUQ2zjKy7U8h.l9hxc6UtXp8C', NULL, '2024-03-05 09:00:00', NULL);
