-- Signed policies. A revision that is there is never changed: taking one back is a revision of its own.
CREATE TABLE policy_revisions (
    name         TEXT NOT NULL,
    revision     INTEGER NOT NULL CHECK (revision > 0),
    bundle       TEXT NOT NULL,
    digest       TEXT NOT NULL CHECK (length(digest) = 64),
    sha256       TEXT NOT NULL CHECK (length(sha256) = 64),
    percent      INTEGER,
    published_at INTEGER NOT NULL,
    published_by TEXT NOT NULL,
    PRIMARY KEY (name, revision)
) STRICT;

-- What data planes last told: the revision in force, and what is wrong with one that was refused.
CREATE TABLE policy_planes (
    name     TEXT NOT NULL,
    plane    TEXT NOT NULL,
    revision INTEGER,
    refused  INTEGER,
    problem  TEXT,
    detail   TEXT,
    seen_at  INTEGER NOT NULL,
    PRIMARY KEY (name, plane)
) STRICT;
