-- Every change takes the next number. One row, so that changes are committed in the order of their numbers.
CREATE TABLE change_sequence (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO change_sequence (one, value) VALUES (1, 0);

-- Of each key its newest change only, so that the table does not grow with the number of changes.
CREATE TABLE changes (
    kind     TEXT NOT NULL CHECK (kind IN ('token', 'user')),
    key      TEXT NOT NULL,
    sequence INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (kind, key)
) STRICT;

CREATE TABLE tokens (
    digest        TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 64),
    ordinal       INTEGER NOT NULL UNIQUE,
    label         TEXT NOT NULL,
    owner         TEXT,
    last4         TEXT NOT NULL,
    providers     TEXT NOT NULL,
    models        TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    rate_requests INTEGER,
    rate_per      INTEGER,
    successor     TEXT,
    retires_at    INTEGER,
    last_used     INTEGER,
    version       INTEGER NOT NULL,
    search        TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    email         TEXT PRIMARY KEY NOT NULL,
    ordinal       INTEGER NOT NULL UNIQUE,
    label         TEXT,
    providers     TEXT NOT NULL,
    models        TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    created_at    INTEGER NOT NULL,
    rate_requests INTEGER,
    rate_per      INTEGER,
    version       INTEGER NOT NULL,
    search        TEXT NOT NULL
) STRICT;

-- One theoretical arrival time (GCRA) per key, in nanoseconds since 1970.
CREATE TABLE rate_limits (
    key TEXT PRIMARY KEY NOT NULL,
    tat INTEGER NOT NULL
) STRICT;
CREATE INDEX rate_limits_by_tat ON rate_limits (tat);

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
