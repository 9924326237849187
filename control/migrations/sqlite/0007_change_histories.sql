-- A random value for each of the newest changes. Two databases, or two lives of one that was restored from a backup, have
-- different ones from where they parted, whatever their numbers.
CREATE TABLE change_histories (
    sequence INTEGER PRIMARY KEY NOT NULL,
    history  TEXT NOT NULL CHECK (length(history) = 16)
) STRICT;
INSERT INTO change_histories (sequence, history)
    SELECT value, lower(hex(randomblob(8))) FROM change_sequence;
