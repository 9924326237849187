-- Keys of programs for the administration, by their SHA-256. A revoked one is deleted; the audit log has it.
CREATE TABLE api_keys (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    last_seen  INTEGER
) STRICT;

-- Sessions of people that a provider signed in, apart from those of the password: a server of an older release, which takes
-- every session for the administrator's, does not know them. The settings are a digest of those under which the role was given.
CREATE TABLE person_sessions (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    settings   TEXT NOT NULL CHECK (length(settings) = 64),
    expires_at INTEGER NOT NULL
) STRICT;

-- Sign-ins at a provider that came back, until they would be too old anyway: each comes back once.
CREATE TABLE ended_sign_ins (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    expires_at INTEGER NOT NULL
) STRICT;
