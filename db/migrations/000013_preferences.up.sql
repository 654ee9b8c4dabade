-- How each user wants pages to look. Not in users, which is the predecessor's table and whose updated_at says when an account changed.
CREATE TABLE user_preferences (
    user_id     integer PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    preferences jsonb   NOT NULL CHECK (jsonb_typeof(preferences) = 'object') -- what they are is db.Preferences'
);
