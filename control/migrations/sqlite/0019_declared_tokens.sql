-- Tokens that a source outside declares, such as the Secrets of a namespace. A token that the source has taken back is disabled
-- since this time, and is enabled again if the source declares it again. Disabling by a person clears the time, so it stays.
ALTER TABLE tokens ADD COLUMN source TEXT;
ALTER TABLE tokens ADD COLUMN withdrawn_at INTEGER;
CREATE INDEX tokens_by_source ON tokens (source) WHERE source IS NOT NULL;

-- The one process that applies a source, until a time.
CREATE TABLE source_leases (
    source     TEXT PRIMARY KEY NOT NULL,
    holder     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
