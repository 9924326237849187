-- The public keys that may sign the revisions of a policy. The version grows with every change, so that a signed change
-- is used once.
CREATE TABLE policy_signers (
    name       TEXT NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL CHECK (version > 0),
    keys       TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL
) STRICT;
