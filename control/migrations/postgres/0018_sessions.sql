-- Devices that ask to be signed in (RFC 8628), until they expire. Both codes are kept by their SHA-256.
CREATE TABLE device_requests (
    digest     TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    user_code  TEXT NOT NULL UNIQUE CHECK (length(user_code) = 64),
    name       TEXT NOT NULL,
    address    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    pause      BIGINT NOT NULL,
    polled_at  BIGINT,
    decision   TEXT NOT NULL CHECK (decision IN ('pending', 'denied', 'approved')),
    email      TEXT
);

-- Sessions of people on their devices. A refresh token is one of a family, of which the current one alone refreshes. An ended
-- session is kept for as long as a JWT of it may not have expired.
CREATE TABLE device_sessions (
    sid          TEXT PRIMARY KEY NOT NULL,
    email        TEXT NOT NULL,
    name         TEXT NOT NULL,
    address      TEXT NOT NULL,
    family       TEXT NOT NULL UNIQUE CHECK (length(family) = 64),
    latest       TEXT NOT NULL CHECK (length(latest) = 64),
    created_at   BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT
);
CREATE INDEX device_sessions_by_email ON device_sessions (email);
