-- A random value for each of the newest changes. Two databases, or two lives of one that was restored from a backup, have
-- different ones from where they parted, whatever their numbers.
CREATE TABLE change_histories (
    sequence BIGINT PRIMARY KEY,
    history  TEXT NOT NULL CHECK (length(history) = 16)
);
INSERT INTO change_histories (sequence, history)
    SELECT value, substr(md5(gen_random_uuid()::text), 1, 16) FROM change_sequence;
