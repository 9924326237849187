-- The objects that callers keep at providers, by the digest of provider and id. The holder is a principal, with the label,
-- the owner and the team that it had when it got the object.
CREATE TABLE objects (
    ordinal    INTEGER PRIMARY KEY AUTOINCREMENT,
    digest     TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
    provider   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    principal  TEXT NOT NULL CHECK (length(principal) = 64),
    is_person  INTEGER NOT NULL CHECK (is_person IN (0, 1)),
    label      TEXT NOT NULL,
    owner      TEXT,
    team       TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX objects_by_principal ON objects (principal, ordinal);
CREATE INDEX objects_by_owner ON objects (owner, ordinal);
CREATE INDEX objects_by_team ON objects (team, ordinal);
CREATE INDEX objects_by_kind ON objects (provider, kind, ordinal);
CREATE INDEX objects_by_expiry ON objects (expires_at) WHERE expires_at IS NOT NULL;

-- The principal that holds a token's objects: the first token of a line of rotations. So a rotation moves no object, and in
-- its grace period both tokens have all of them.
ALTER TABLE tokens ADD COLUMN holder TEXT NOT NULL DEFAULT '';
WITH RECURSIVE line (digest, holder) AS (
    SELECT digest, digest FROM tokens
        WHERE digest NOT IN (SELECT successor FROM tokens WHERE successor IS NOT NULL)
    UNION ALL
    SELECT tokens.successor, line.holder FROM line JOIN tokens ON tokens.digest = line.digest
        WHERE tokens.successor IS NOT NULL
)
UPDATE tokens SET holder = COALESCE((SELECT line.holder FROM line WHERE line.digest = tokens.digest), digest);
CREATE INDEX tokens_by_holder ON tokens (holder);

-- A third kind of change. Removals of objects are many, so old changes of this kind are not kept.
ALTER TABLE changes RENAME TO changes_before;
CREATE TABLE changes (
    kind     TEXT NOT NULL CHECK (kind IN ('token', 'user', 'object')),
    key      TEXT NOT NULL,
    sequence INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (kind, key)
) STRICT;
INSERT INTO changes SELECT kind, key, sequence FROM changes_before;
DROP TABLE changes_before;
