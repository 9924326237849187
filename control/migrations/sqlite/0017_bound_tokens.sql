-- The SHA-256 of the client certificate that a token is bound to (RFC 8705).
ALTER TABLE tokens ADD COLUMN certificate TEXT;
