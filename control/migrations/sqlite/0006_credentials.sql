-- Credentials of data planes and of introspection clients, by their SHA-256. A revoked one is deleted; the audit log has it.
CREATE TABLE credentials (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('data_plane', 'introspection')),
    created_at INTEGER NOT NULL,
    last_seen  INTEGER
) STRICT;
