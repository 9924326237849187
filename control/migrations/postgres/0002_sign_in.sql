-- What the registry knows of itself, such as the hash of the administrator's password.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Who is signed in: the SHA-256 of what the cookie holds.
CREATE TABLE sessions (
    digest     TEXT PRIMARY KEY CHECK (length(digest) = 64),
    expires_at BIGINT NOT NULL
);
