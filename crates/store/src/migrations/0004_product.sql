CREATE TABLE workflows (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    workflow_id {text} NOT NULL,
    user_no BIGINT NOT NULL,
    status {text} NOT NULL,
    next_run_at {text},
    updated_at {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, workflow_id),
    FOREIGN KEY (tenant_no, user_no) REFERENCES users (tenant_no, user_no) ON DELETE CASCADE
);

-- A webhook's address names the workflow and not the tenant.
CREATE UNIQUE INDEX workflows_by_id ON workflows (workflow_id);
CREATE INDEX workflows_by_touch ON workflows (tenant_no, user_no, updated_at DESC, workflow_id);
CREATE INDEX workflows_due ON workflows (next_run_at, workflow_id) WHERE status = 'active' AND next_run_at IS NOT NULL;

CREATE TABLE workflow_runs (
    tenant_no BIGINT NOT NULL,
    run_id {text} NOT NULL,
    workflow_id {text} NOT NULL,
    user_no BIGINT NOT NULL,
    session_id {text} NOT NULL,
    status {text} NOT NULL,
    -- 1 until it has ended.
    is_open BIGINT NOT NULL,
    claimed_by {text},
    claim_token {text},
    claim_expires_at {text},
    attempts BIGINT NOT NULL,
    idempotency_key {text},
    last_error_code {text},
    created_at {text} NOT NULL,
    started_at {text},
    finished_at {text},
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, run_id),
    FOREIGN KEY (tenant_no, workflow_id) REFERENCES workflows (tenant_no, workflow_id) ON DELETE CASCADE
);

-- At most one run of a workflow at a time; a due time starts at most one.
CREATE UNIQUE INDEX workflow_runs_open ON workflow_runs (tenant_no, workflow_id) WHERE is_open = 1;
CREATE UNIQUE INDEX workflow_runs_by_key ON workflow_runs (tenant_no, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workflow_runs_by_session ON workflow_runs (tenant_no, session_id);
CREATE INDEX workflow_runs_newest ON workflow_runs (tenant_no, workflow_id, created_at DESC, run_id);
CREATE INDEX workflow_runs_lately ON workflow_runs (tenant_no, created_at);
CREATE INDEX workflow_runs_waiting ON workflow_runs (created_at, run_id) WHERE is_open = 1;
CREATE INDEX workflow_runs_ended ON workflow_runs (finished_at) WHERE is_open = 0;

CREATE TABLE workflow_secrets (
    tenant_no BIGINT NOT NULL,
    workflow_id {text} NOT NULL,
    trigger_id {text} NOT NULL,
    -- Absent once it is revoked.
    ciphertext {text},
    changed_at {text} NOT NULL,
    PRIMARY KEY (tenant_no, workflow_id),
    FOREIGN KEY (tenant_no, workflow_id) REFERENCES workflows (tenant_no, workflow_id) ON DELETE CASCADE
);

CREATE TABLE workflow_calls (
    tenant_no BIGINT NOT NULL,
    workflow_id {text} NOT NULL,
    digest {text} NOT NULL,
    noted_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_no, workflow_id, digest),
    FOREIGN KEY (tenant_no, workflow_id) REFERENCES workflows (tenant_no, workflow_id) ON DELETE CASCADE
);

CREATE TABLE artifacts (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    artifact_id {text} NOT NULL,
    user_no BIGINT NOT NULL,
    session_id {text} NOT NULL,
    project_id {text},
    task_id {text},
    kind {text} NOT NULL,
    status {text} NOT NULL,
    updated_at {text} NOT NULL,
    object_key {text},
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, session_no, artifact_id),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

CREATE INDEX artifacts_by_touch ON artifacts (tenant_no, user_no, updated_at DESC, session_id, artifact_id);
CREATE INDEX artifacts_by_task ON artifacts (tenant_no, user_no, task_id) WHERE task_id IS NOT NULL;

CREATE TABLE tags (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    tag_id {text} NOT NULL,
    -- The name in lower case.
    folded {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, tag_id),
    UNIQUE (tenant_no, folded)
);

CREATE TABLE session_tags (
    tenant_no BIGINT NOT NULL,
    tag_id {text} NOT NULL,
    session_no BIGINT NOT NULL,
    PRIMARY KEY (tenant_no, tag_id, session_no),
    FOREIGN KEY (tenant_no, tag_id) REFERENCES tags (tenant_no, tag_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

CREATE INDEX session_tags_by_session ON session_tags (tenant_no, session_no);

CREATE TABLE smart_filters (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    filter_id {text} NOT NULL,
    folded {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, filter_id)
);

-- A hint where the follower of the log looks; what counts is `thread_index.sequence`.
ALTER TABLE sessions ADD COLUMN indexed_sequence BIGINT NOT NULL DEFAULT -1;
CREATE INDEX sessions_to_index ON sessions (tenant_no, session_no) WHERE last_sequence > indexed_sequence;

CREATE TABLE thread_index (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    user_no BIGINT NOT NULL,
    -- Sequence of the last event that is indexed.
    sequence BIGINT NOT NULL,
    -- What is known of the thread beside its row, as JSON.
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, session_no),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

-- What took part in a thread: kind is one of project, directory, provider, model, agent, tool, mcp.
CREATE TABLE thread_facets (
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    kind {text} NOT NULL,
    value {text} NOT NULL,
    user_no BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (tenant_no, session_no, kind, value),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

CREATE INDEX thread_facets_by_value ON thread_facets (tenant_no, user_no, kind, value, session_no);

-- One document per message and one per title (message_id is empty). Newer documents have higher numbers.
{sqlite} CREATE TABLE thread_texts (
    text_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    user_no INTEGER NOT NULL,
    role TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    text TEXT NOT NULL,
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

{postgres} CREATE SEQUENCE thread_texts_numbers;

-- Titles and messages apart: how frequent a word is differs much between them, and only with numbers of their own
-- does the planner know whether to walk the newest documents or the words.
{postgres} CREATE TABLE thread_texts (
    text_no BIGINT NOT NULL DEFAULT nextval('thread_texts_numbers'),
    tenant_no BIGINT NOT NULL,
    session_no BIGINT NOT NULL,
    message_id {text} NOT NULL,
    user_no BIGINT NOT NULL,
    role {text} NOT NULL,
    sequence BIGINT NOT NULL,
    text {text} NOT NULL,
    -- The owner and every word (providers::store::threads::words).
    words TSVECTOR NOT NULL,
    PRIMARY KEY (text_no, message_id),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
) PARTITION BY LIST (message_id);

{postgres} CREATE TABLE thread_titles PARTITION OF thread_texts FOR VALUES IN ('');
{postgres} CREATE TABLE thread_messages PARTITION OF thread_texts DEFAULT;

CREATE UNIQUE INDEX thread_texts_by_message ON thread_texts (tenant_no, session_no, message_id);
CREATE INDEX thread_texts_by_user ON thread_texts (tenant_no, user_no, text_no DESC);

-- The same words; the rows have the numbers of `thread_texts`. To this tokenizer every byte that isn't ASCII is
-- part of a word, so it cuts where we did.
{sqlite} CREATE VIRTUAL TABLE thread_words USING fts5 (words, content = '', contentless_delete = 1,
    tokenize = 'ascii', prefix = '3 4');

{postgres} CREATE INDEX thread_texts_by_words ON thread_texts USING GIN (words) WITH (fastupdate = off)
