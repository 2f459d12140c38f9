-- A worker's hold on all sessions of a user (decision 24).
CREATE TABLE scope_leases (
    tenant_no BIGINT NOT NULL,
    user_no BIGINT NOT NULL,
    worker_id {text} NOT NULL,
    token {text} NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_no, user_no),
    FOREIGN KEY (tenant_no, user_no) REFERENCES users (tenant_no, user_no) ON DELETE CASCADE
);

-- The token of that lease once more. An append locks this row, so it sees who has the scope now.
ALTER TABLE users ADD COLUMN lease_token {text};

CREATE INDEX scope_leases_by_end ON scope_leases (expires_ms);

-- Lives as long as the scope's lease, so it has no end of its own, and a renewal changes one row.
CREATE TABLE session_leases (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    user_no BIGINT NOT NULL,
    token {text} NOT NULL,
    PRIMARY KEY (tenant_no, session_no),
    FOREIGN KEY (tenant_no, user_no) REFERENCES scope_leases (tenant_no, user_no) ON DELETE CASCADE,
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

CREATE INDEX session_leases_by_scope ON session_leases (tenant_no, user_no);

-- Turns whose end isn't written; without a lease they wait for a worker that writes it.
CREATE INDEX sessions_running ON sessions (tenant_no, user_no) WHERE status = 'running';

CREATE TABLE commands (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    created_sequence BIGINT NOT NULL,
    -- The owner of the session: the scope that it runs in.
    user_no BIGINT NOT NULL,
    -- 0: aborts and answers, 1: prompts.
    lane BIGINT NOT NULL,
    -- 1 while it is pending or running.
    is_open BIGINT NOT NULL,
    status {text} NOT NULL,
    -- Not to be taken before; 0: at once.
    available_ms BIGINT NOT NULL,
    command_id {text} NOT NULL,
    given_by {text} NOT NULL,
    kind {text} NOT NULL,
    payload {text} NOT NULL,
    traceparent {text},
    claimed_by {text},
    claimed_token {text},
    attempts BIGINT NOT NULL,
    -- Attempts that don't count as executions.
    spared BIGINT NOT NULL,
    created_at {text} NOT NULL,
    ended_ms BIGINT,
    error_code {text},
    error_summary {text},
    error {text},
    PRIMARY KEY (tenant_no, session_no, created_sequence),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

-- A command's id is a key over all tenants (04 §2.4).
CREATE UNIQUE INDEX commands_by_id ON commands (command_id);
CREATE INDEX commands_open ON commands (tenant_no, user_no, session_no, lane, created_sequence) WHERE is_open = 1;
CREATE INDEX commands_ended ON commands (ended_ms) WHERE is_open = 0;

CREATE TABLE worker_heartbeats (
    worker_id {text} NOT NULL PRIMARY KEY,
    body {text} NOT NULL,
    last_seen_at {text} NOT NULL
);

CREATE INDEX worker_heartbeats_by_time ON worker_heartbeats (last_seen_at)
