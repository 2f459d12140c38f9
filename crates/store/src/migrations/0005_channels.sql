-- Channels (04 §2.6). The columns are copies of what the body says, for keys, order and filters.
CREATE TABLE channel_agents (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    agent_id {text} NOT NULL,
    updated_at {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, agent_id)
);

CREATE INDEX channel_agents_by_touch ON channel_agents (tenant_no, updated_at DESC, agent_id DESC);

CREATE TABLE channel_bindings (
    tenant_no BIGINT NOT NULL,
    binding_id {text} NOT NULL,
    agent_id {text} NOT NULL,
    -- 0 when it is disabled: only the others count.
    counts BIGINT NOT NULL,
    updated_at {text} NOT NULL,
    -- Where its credential is; never the credential.
    credential_ref {text},
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, binding_id),
    FOREIGN KEY (tenant_no, agent_id) REFERENCES channel_agents (tenant_no, agent_id) ON DELETE CASCADE
);

CREATE INDEX channel_bindings_by_touch ON channel_bindings (tenant_no, updated_at DESC, binding_id DESC);

CREATE TABLE channel_identities (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    -- Made of provider, workspace and person, so it is their uniqueness too.
    identity_id {text} NOT NULL,
    provider {text} NOT NULL,
    workspace {text},
    role {text} NOT NULL,
    status {text} NOT NULL,
    updated_at {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, identity_id)
);

CREATE INDEX channel_identities_by_touch ON channel_identities (tenant_no, updated_at DESC, identity_id DESC);

CREATE TABLE channel_sessions (
    tenant_no BIGINT NOT NULL,
    -- Made of provider, workspace, chat and thread, so it is their uniqueness too.
    binding_id {text} NOT NULL,
    session_no BIGINT NOT NULL,
    user_id {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, binding_id),
    FOREIGN KEY (tenant_no, session_no) REFERENCES sessions (tenant_no, session_no) ON DELETE CASCADE
);

CREATE INDEX channel_sessions_by_session ON channel_sessions (tenant_no, session_no);

CREATE TABLE channel_interactions (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    interaction_id {text} NOT NULL,
    provider {text} NOT NULL,
    -- Empty without one.
    channel_id {text} NOT NULL,
    external_id {text},
    status {text} NOT NULL,
    expires_at {text} NOT NULL,
    token_hash {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, interaction_id)
);

CREATE UNIQUE INDEX channel_interactions_by_external
    ON channel_interactions (tenant_no, provider, external_id, channel_id) WHERE external_id IS NOT NULL;
CREATE INDEX channel_interactions_by_end ON channel_interactions (expires_at);

CREATE TABLE channel_deliveries (
    tenant_no BIGINT NOT NULL,
    binding_id {text} NOT NULL,
    delivery_id {text} NOT NULL,
    status {text} NOT NULL,
    -- When it may be claimed: its next attempt, or the end of its claim; absent once it has ended.
    ready_at {text},
    next_attempt_at {text} NOT NULL,
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    -- The credential that claimed it last.
    holder {text},
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, binding_id, delivery_id),
    FOREIGN KEY (tenant_no, binding_id) REFERENCES channel_bindings (tenant_no, binding_id) ON DELETE CASCADE
);

CREATE INDEX channel_deliveries_due ON channel_deliveries
    (tenant_no, next_attempt_at, created_at, delivery_id, binding_id) WHERE ready_at IS NOT NULL;
CREATE INDEX channel_deliveries_by_id ON channel_deliveries (tenant_no, delivery_id);
CREATE INDEX channel_deliveries_by_touch ON channel_deliveries
    (tenant_no, updated_at DESC, delivery_id DESC, binding_id DESC);
CREATE INDEX channel_deliveries_ended ON channel_deliveries (updated_at) WHERE ready_at IS NULL;

CREATE TABLE channel_provider_events (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    -- Made of everything that says which event it is.
    event_id {text} NOT NULL,
    updated_at {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, event_id)
);

CREATE INDEX channel_provider_events_by_touch ON channel_provider_events (updated_at)
