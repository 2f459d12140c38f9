-- Tells one database from another that is put in its place: one row, made by the first stream. Whoever restores a
-- backup deletes it, and followers read their state anew.
CREATE TABLE stream_epoch (
    only_one BIGINT NOT NULL PRIMARY KEY CHECK (only_one = 1),
    epoch {text} NOT NULL
)
