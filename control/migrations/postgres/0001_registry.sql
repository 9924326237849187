-- Every change takes the next number. One row, so that changes are committed in the order of their numbers.
CREATE TABLE change_sequence (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    value BIGINT NOT NULL
);
INSERT INTO change_sequence (one, value) VALUES (1, 0);

-- Of each key its newest change only, so that the table does not grow with the number of changes.
CREATE TABLE changes (
    kind     TEXT NOT NULL CHECK (kind IN ('token', 'user')),
    key      TEXT NOT NULL,
    sequence BIGINT NOT NULL UNIQUE,
    PRIMARY KEY (kind, key)
);

CREATE TABLE tokens (
    digest        TEXT PRIMARY KEY CHECK (length(digest) = 64),
    ordinal       BIGINT NOT NULL UNIQUE,
    label         TEXT NOT NULL,
    owner         TEXT,
    last4         TEXT NOT NULL,
    providers     TEXT NOT NULL,
    models        TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT,
    rate_requests BIGINT,
    rate_per      BIGINT,
    successor     TEXT,
    retires_at    BIGINT,
    last_used     BIGINT,
    version       BIGINT NOT NULL,
    search        TEXT NOT NULL
);

CREATE TABLE users (
    email         TEXT PRIMARY KEY,
    ordinal       BIGINT NOT NULL UNIQUE,
    label         TEXT,
    providers     TEXT NOT NULL,
    models        TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    created_at    BIGINT NOT NULL,
    rate_requests BIGINT,
    rate_per      BIGINT,
    version       BIGINT NOT NULL,
    search        TEXT NOT NULL
);

-- One theoretical arrival time (GCRA) per key, in nanoseconds since 1970.
CREATE TABLE rate_limits (
    key TEXT PRIMARY KEY,
    tat BIGINT NOT NULL
);
CREATE INDEX rate_limits_by_tat ON rate_limits (tat);

CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
