-- The order in which credentials were created: two of one name may be of one second, and the older one is revoked.
ALTER TABLE credentials ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;
