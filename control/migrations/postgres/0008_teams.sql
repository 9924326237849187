-- The team of a token or a user: a name, to which a policy may bind a credential. No value means no team.
ALTER TABLE tokens ADD COLUMN team TEXT;
ALTER TABLE users ADD COLUMN team TEXT;
