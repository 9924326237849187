-- What waits for signatures, one of a kind for each name: the next revision of a policy, or a change of its keys. All that
-- is told of it is read from the signed text.
CREATE TABLE policy_proposals (
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('revision', 'signers')),
    jws         TEXT NOT NULL,
    proposed_at INTEGER NOT NULL,
    proposed_by TEXT NOT NULL,
    PRIMARY KEY (name, kind)
) STRICT;
