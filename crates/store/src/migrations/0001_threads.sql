CREATE TABLE tenants (
    tenant_no {key} PRIMARY KEY,
    tenant_id {text} NOT NULL UNIQUE
);

CREATE TABLE users (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    user_no BIGINT NOT NULL,
    user_id {text} NOT NULL,
    workspace_sequence BIGINT NOT NULL,
    PRIMARY KEY (tenant_no, user_no),
    UNIQUE (tenant_no, user_id)
);

CREATE TABLE sessions (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    session_no BIGINT NOT NULL,
    session_id {text} NOT NULL,
    user_no BIGINT NOT NULL,
    runtime_id {text} NOT NULL,
    profile_name {text} NOT NULL,
    status {text} NOT NULL,
    title {text},
    directory {text},
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    search {text} NOT NULL,
    last_sequence BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    PRIMARY KEY (tenant_no, session_no),
    UNIQUE (tenant_no, session_id),
    FOREIGN KEY (tenant_no, user_no) REFERENCES users (tenant_no, user_no)
);

CREATE INDEX sessions_by_touch ON sessions (tenant_no, user_no, updated_at DESC, session_id);

-- Across tenants on purpose: routing inside the process (04 §2.2 "find").
CREATE INDEX sessions_by_runtime ON sessions (runtime_id) WHERE runtime_id <> '';

-- One row is a session event and its workspace event. Rows lie in the order of arrival, so that the table
-- grows at its end, whichever thread writes.
CREATE TABLE events (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    user_no BIGINT NOT NULL,
    workspace_sequence BIGINT NOT NULL,
    -- Compact form; null stands for the default id, which follows from the sequence.
    event_id {bytes},
    -- A streamed delta is mostly the same as the one before: then `like_sequence` is an event of this session
    -- that is stored in full, `kind` is null, and `payload` is the text alone, as a JSON string.
    like_sequence BIGINT,
    kind {text},
    payload {text} NOT NULL,
    -- One of the two: milliseconds since 1970 for the usual form of a time, else the text.
    created_ms BIGINT,
    created_text {text}
);

CREATE UNIQUE INDEX events_by_session ON events (tenant_no, session_no, sequence);
CREATE UNIQUE INDEX events_by_workspace ON events (tenant_no, user_no, workspace_sequence);
CREATE UNIQUE INDEX events_by_id ON events (tenant_no, session_no, event_id) WHERE event_id IS NOT NULL;

CREATE TABLE open_asks (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    kind {text} NOT NULL,
    ask_id {text} NOT NULL,
    PRIMARY KEY (tenant_no, session_no, kind, ask_id),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

CREATE TABLE snapshots (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    projector_version BIGINT NOT NULL,
    view_json {text} NOT NULL,
    updated_at {text} NOT NULL,
    PRIMARY KEY (tenant_no, session_no),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
)
