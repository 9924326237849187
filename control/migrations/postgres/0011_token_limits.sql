-- Rate limits in tokens of models, in the period of `rate_per`.
ALTER TABLE tokens ADD COLUMN rate_tokens BIGINT;
ALTER TABLE users ADD COLUMN rate_tokens BIGINT;
