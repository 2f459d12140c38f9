-- One organisation per tenant, so everything of it is keyed by the tenant's number. `body` holds the record
-- that clients see; columns are what is looked up, ordered, filtered or kept unique.
CREATE TABLE orgs (
    tenant_no BIGINT NOT NULL PRIMARY KEY REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    org_id {text} NOT NULL UNIQUE,
    body {text} NOT NULL
);

-- People, above the tenants.
CREATE TABLE accounts (
    account_id {text} NOT NULL PRIMARY KEY,
    idp_subject {text} UNIQUE,
    email {text} NOT NULL UNIQUE,
    display_name {text},
    -- Address and name, folded, for the search among members.
    search {text} NOT NULL,
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL
);

CREATE TABLE memberships (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    account_id {text} NOT NULL REFERENCES accounts (account_id),
    role {text} NOT NULL,
    custom_role_key {text},
    status {text} NOT NULL,
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    PRIMARY KEY (tenant_no, account_id)
);

CREATE INDEX memberships_by_touch ON memberships (tenant_no, updated_at DESC, account_id);
CREATE INDEX memberships_by_role ON memberships (tenant_no, custom_role_key) WHERE custom_role_key IS NOT NULL;

CREATE TABLE custom_roles (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    role_key {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, role_key)
);

-- Keyed by its id alone: whoever presents a token doesn't say whose it is.
CREATE TABLE api_tokens (
    token_id {text} NOT NULL PRIMARY KEY,
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    account_id {text} NOT NULL,
    hash {text} NOT NULL,
    created_at {text} NOT NULL,
    revoked_at {text},
    -- Milliseconds since 1970.
    last_used_ms BIGINT,
    body {text} NOT NULL
);

CREATE INDEX api_tokens_by_age ON api_tokens (tenant_no, created_at DESC, token_id);
CREATE INDEX api_tokens_by_account ON api_tokens (tenant_no, account_id) WHERE revoked_at IS NULL;

CREATE TABLE token_grants (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    token_id {text} NOT NULL REFERENCES api_tokens (token_id) ON DELETE CASCADE,
    binding_id {text} NOT NULL,
    created_at {text} NOT NULL,
    PRIMARY KEY (tenant_no, token_id, binding_id)
);

CREATE TABLE single_sign_on (
    tenant_no BIGINT NOT NULL PRIMARY KEY REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    body {text} NOT NULL,
    oidc_client_secret {text},
    saml_idp_certificate {text},
    scim_token_hash {text}
);

CREATE TABLE managed_policies (
    tenant_no BIGINT NOT NULL PRIMARY KEY REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    body {text} NOT NULL
);

CREATE TABLE provider_keys (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    secret_id {text} NOT NULL,
    provider_id {text} NOT NULL,
    -- Counts the keys of a provider, from 1: the highest is the newest.
    revision BIGINT NOT NULL,
    status {text} NOT NULL,
    ciphertext {text},
    kms_ref {text},
    created_by {text},
    rotated_from {text},
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, secret_id),
    UNIQUE (tenant_no, provider_id, revision)
);

CREATE UNIQUE INDEX provider_keys_active ON provider_keys (tenant_no, provider_id) WHERE status = 'active';

CREATE TABLE audit_events (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    event_id {text} NOT NULL,
    created_at {text} NOT NULL,
    account_id {text},
    actor_type {text} NOT NULL,
    actor_id {text},
    event_type {text} NOT NULL,
    target_type {text},
    target_id {text},
    result {text},
    metadata {text} NOT NULL,
    PRIMARY KEY (tenant_no, event_id)
);

CREATE INDEX audit_events_by_age ON audit_events (tenant_no, created_at DESC, event_id DESC);
-- Across tenants on purpose: retention.
CREATE INDEX audit_events_to_prune ON audit_events (created_at);

CREATE TABLE usage_events (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    event_id {text} NOT NULL,
    created_at {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, event_id)
);

CREATE INDEX usage_events_by_age ON usage_events (tenant_no, created_at DESC, event_id DESC);
-- Across tenants on purpose: retention.
CREATE INDEX usage_events_to_prune ON usage_events (created_at);

CREATE TABLE quotas (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    quota_key {text} NOT NULL,
    slices {text} NOT NULL,
    PRIMARY KEY (tenant_no, quota_key)
);

CREATE TABLE subscriptions (
    tenant_no BIGINT NOT NULL PRIMARY KEY REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    body {text} NOT NULL
);

CREATE TABLE settings (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    user_id {text} NOT NULL,
    setting_key {text} NOT NULL,
    updated_at {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (tenant_no, user_id, setting_key)
);

-- The hash of an id that only the browser knows. Times are milliseconds since 1970 from here on.
CREATE TABLE browser_sessions (
    session_hash {text} NOT NULL PRIMARY KEY,
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    account_id {text} NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    ends_ms BIGINT NOT NULL,
    body {text} NOT NULL
);

CREATE INDEX browser_sessions_by_account ON browser_sessions (tenant_no, account_id);
CREATE INDEX browser_sessions_to_prune ON browser_sessions (expires_ms);

CREATE TABLE idempotency_keys (
    tenant_no BIGINT NOT NULL REFERENCES tenants (tenant_no) ON DELETE CASCADE,
    principal {text} NOT NULL,
    route {text} NOT NULL,
    client_key {text} NOT NULL,
    fingerprint {text} NOT NULL,
    -- Random: whoever was too slow can't finish another one's work.
    reservation BIGINT NOT NULL,
    reserved_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    -- Null until it is done.
    status BIGINT,
    content_type {text},
    body {bytes},
    PRIMARY KEY (tenant_no, principal, route, client_key)
);

CREATE INDEX idempotency_keys_to_prune ON idempotency_keys (expires_ms);

-- A bucket is one number: when it will be full again.
CREATE TABLE rate_buckets (
    bucket {text} NOT NULL PRIMARY KEY,
    full_at_us BIGINT NOT NULL
);

CREATE INDEX rate_buckets_to_prune ON rate_buckets (full_at_us);

CREATE TABLE sign_in_failures (
    scope {text} NOT NULL PRIMARY KEY,
    window_ms BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until_ms BIGINT NOT NULL,
    forget_ms BIGINT NOT NULL
);

CREATE INDEX sign_in_failures_to_prune ON sign_in_failures (forget_ms)
