-- The pages of tokens and users show the newest changes of their subject, and the log only grows.
CREATE INDEX audit_by_subject ON audit (subject, id);
