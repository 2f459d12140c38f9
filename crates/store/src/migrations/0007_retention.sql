-- The view that stands for the pruned beginning of a log. Unlike a snapshot it is the only copy.
CREATE TABLE session_bases (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    projector_version BIGINT NOT NULL,
    view_json {text} NOT NULL,
    updated_at {text} NOT NULL,
    PRIMARY KEY (tenant_no, session_no),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

-- Events up to here were pruned. What is left of them in `events` is their ids, and what later deltas are like.
ALTER TABLE sessions ADD COLUMN pruned_sequence BIGINT NOT NULL DEFAULT 0;

-- A user's workspace stream begins after this sequence, and is dense from there on.
ALTER TABLE users ADD COLUMN pruned_workspace BIGINT NOT NULL DEFAULT 0
