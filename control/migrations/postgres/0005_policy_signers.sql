-- The public keys that may sign the revisions of a policy. The version grows with every change, so that a signed change
-- is used once.
CREATE TABLE policy_signers (
    name       TEXT NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL CHECK (version > 0),
    keys       TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL
);
