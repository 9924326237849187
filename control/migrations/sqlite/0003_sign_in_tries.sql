-- When somebody tried to sign in, in milliseconds since 1970; a minute later it is forgotten.
CREATE TABLE sign_in_tries (
    client TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_tries_by_client ON sign_in_tries (client, at);
CREATE INDEX sign_in_tries_by_time ON sign_in_tries (at);
