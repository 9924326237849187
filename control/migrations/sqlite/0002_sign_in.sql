-- What the registry knows of itself, such as the hash of the administrator's password.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;

-- Who is signed in: the SHA-256 of what the cookie holds.
CREATE TABLE sessions (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    expires_at INTEGER NOT NULL
) STRICT;
