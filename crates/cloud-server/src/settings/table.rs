//! The variables themselves (04 §14). What says "configuration" is read by `open_cowork_config::cloud::resolve`, over
//! the file; the rest is read here.

use super::variable::{Kind, Variable, variables};

const POSITIVE: Kind = Kind::Whole(1, u64::MAX);
const OR_OFF: Kind = Kind::OrOff(u64::MAX);

variables! {
    "What this process is" {
        ROLE: Kind::Choice(&["all-in-one", "web", "worker", "scheduler"]), "all-in-one", "What this process does.";
        PROFILE: Kind::Text, "full", "The profile that new sessions run under.";
        DEPLOYMENT_TIER: Kind::Choice(&["local", "self_host_beta", "private_beta", "public_production"]), "local", "What kind of deployment it is; decides what it refuses to start with.";
        ROOT: Kind::Text, ".open-cowork-cloud", "The folder of everything that it keeps on this machine.";
        HOST: Kind::Text, "", "Where it listens; also as plain HOST, which wins. Unset: 127.0.0.1 without sign-in, else 0.0.0.0.";
        PORT: Kind::Whole(0, 65535), "8787", "The port; also as plain PORT, which wins. 0 takes a free one.";
        PUBLIC_URL: Kind::Text, "", "The address that people use, such as `https://cowork.example.com`.";
        PUBLISHED_ADDR: Kind::Text, "", "The address of the machine that a container's port is published on.";
        CORS_ORIGIN: Kind::Text, "", "The one other web origin that may call the API; https, or loopback.";
        TRUST_PROXY_HEADERS: Kind::Flag, "false", "Whether X-Forwarded-For of a trusted proxy names the client. Without it all people behind a proxy count as one.";
        TRUSTED_PROXY_CIDRS: Kind::List, "", "The networks of those proxies.";
        MAX_CONNECTIONS: Kind::Whole(1, 1_000_000), "10000", "Connections at a time.";
        SHUTDOWN_GRACE_MS: POSITIVE, "30000", "How long requests and turns may take to end after SIGTERM.";
        LIVENESS_PORT: Kind::OrOff(65535), "0", "A port on which a worker or scheduler says that it lives; 0 is off.";
        APP_DIRECTORY: Kind::Text, "", "A folder with a browser renderer, served under /app.";
    }
    "Organisations and sign-in" {
        ORG_MODE: Kind::Choice(&["multi-org", "single-org"]), "multi-org", "Whether everybody belongs to one organisation.";
        SINGLE_ORG_ID: Kind::Text, "default", "Its id.";
        SINGLE_ORG_NAME: Kind::Text, "Default Organization", "Its name.";
        AUTH_MODE: Kind::Choice(&["none", "header", "oidc"]), "none", "How people sign in.";
        ALLOW_INSECURE_AUTH: Kind::Flag, "false", "Lets sign-in `none` listen beyond this machine. Whoever reaches it is the owner.";
        SIGNUP_MODE: Kind::Choice(&["disabled", "invite", "domain", "open"]), "", "Who may join by themselves.";
        ALLOW_SELF_SERVICE_SIGNUP: Kind::Flag, "", "The older switch of the same.";
        ALLOWED_EMAIL_DOMAINS: Kind::List, "", "The domains of sign-up mode `domain`.";
        HEADER_AUTH_SECRET: Kind::Secret, "", "The key that the signing proxy shares.";
        HEADER_AUTH_SECRET_REF: Kind::Reference, "", "Where it is.";
        HEADER_AUTH_ALLOW_UNSIGNED: Kind::Flag, "false", "Whether unsigned headers are believed.";
        HEADER_AUTH_MAX_SIGNATURE_AGE_MS: Kind::Whole(1000, 3_600_000), "300000", "How old a signature may be.";
        OIDC_ISSUER_URL: Kind::Text, "", "The OpenID provider.";
        OIDC_CLIENT_ID: Kind::Text, "", "Our name there.";
        OIDC_CLIENT_SECRET: Kind::Secret, "", "Our secret there.";
        OIDC_CLIENT_SECRET_REF: Kind::Reference, "", "Where it is.";
        OIDC_CALLBACK_PATH: Kind::Text, "/auth/callback", "Where the provider sends people back to.";
        COOKIE_SECRET: Kind::Secret, "", "Signs browser sessions, at least 32 bytes; outside production SECRET_KEY stands in.";
        COOKIE_SECRET_REF: Kind::Reference, "", "Where it is.";
        COOKIE_SECURE: Kind::Flag, "true", "Whether cookies travel over https only.";
        API_TOKEN_DEFAULT_TTL_MS: Kind::Whole(60_000, 31_536_000_000), "7776000000", "How long an API token lives.";
        API_TOKEN_MAX_TTL_MS: Kind::Whole(60_000, 31_536_000_000), "31536000000", "How long it may live.";
        API_TOKEN_ALLOWED_SCOPES: Kind::List, "desktop,gateway,admin,operator", "The scopes that may be asked for.";
        INTERNAL_TOKEN: Kind::Secret, "", "Guards the scheduler's tick over HTTP.";
        INTERNAL_TOKEN_REF: Kind::Reference, "", "Where it is.";
    }
    "Secrets" {
        SECRET_KEY: Kind::Secret, "", "Encrypts what is kept secret, at least 32 random bytes. Unset on one machine: a key of its own is made below ROOT.";
        SECRET_KEY_REF: Kind::Reference, "", "Where it is.";
        SECRET_KEY_PREVIOUS: Kind::Secret, "", "Older keys between commas, which only decrypt.";
        SECRET_KEY_PREVIOUS_REF: Kind::Reference, "", "Where they are, between commas.";
        BYOK_VALIDATION: Kind::Flag, "true", "Whether model providers are asked if a key of the organisation works.";
    }
    "Records" {
        CONTROL_PLANE_URL: Kind::Secret, "", "postgresql://user:password@host/database. Unset: SQLite below ROOT.";
        RUN_MIGRATIONS: Kind::Flag, "true", "Whether the schema is brought up to date at the start; else `open-cowork cloud migrate` does it.";
        ALLOW_EPHEMERAL_STORAGE: Kind::Flag, "false", "Silences the warning about records on one disk.";
        PG_SCHEMA: Kind::Text, "open_cowork", "The schema that holds the tables.";
        PG_POOL_MAX: Kind::Whole(1, 1000), "10", "Connections to PostgreSQL of this process, two for wake-ups among them; it has at least five.";
        PG_CONNECTION_TIMEOUT_MS: POSITIVE, "10000", "How long to try to get one.";
        PG_IDLE_TIMEOUT_MS: OR_OFF, "30000", "How long an unused one is kept; 0 is for ever.";
        PG_STATEMENT_TIMEOUT_MS: OR_OFF, "30000", "How long a statement may take, at the server and for us; 0 is off.";
        PG_IDLE_TX_TIMEOUT_MS: OR_OFF, "120000", "How long a transaction may do nothing; 0 is off.";
        PG_LOCK_TIMEOUT_MS: OR_OFF, "0", "How long to wait for a lock; 0 is off.";
        PG_APP_NAME: Kind::Text, "open-cowork-cloud", "What PostgreSQL calls this program, unless CONTROL_PLANE_URL has an application_name.";
        OBJECT_STORE_KIND: Kind::Choice(&["filesystem", "s3", "gcs", "azure-blob", "digitalocean-spaces", "minio"]), "filesystem", "Where artifacts are kept; this program keeps them below ROOT.";
        OBJECT_STORE_BUCKET: Kind::Text, "", "The bucket.";
        OBJECT_STORE_REGION: Kind::Text, "", "Its region.";
        OBJECT_STORE_ENDPOINT: Kind::Text, "", "Its address.";
        OBJECT_STORE_PREFIX: Kind::Text, "", "The folder in it.";
        OBJECT_STORE_ACCESS_KEY_ID: Kind::Secret, "", "A key of the S3 family.";
        OBJECT_STORE_SECRET_ACCESS_KEY: Kind::Secret, "", "Its secret.";
        OBJECT_STORE_SESSION_TOKEN: Kind::Secret, "", "Its session.";
        OBJECT_STORE_BEARER_TOKEN: Kind::Secret, "", "A token of Google.";
        OBJECT_STORE_SAS_TOKEN: Kind::Secret, "", "A token of Azure.";
        OBJECT_STORE_ACCOUNT_NAME: Kind::Secret, "", "An account of Azure.";
        ARTIFACT_DIRECT_UPLOAD_MODE: Kind::Text, "off", "Uploads around this server: `off` or `enabled`; readiness reports anything else.";
        ARTIFACT_DIRECT_UPLOAD_CLEANUP_BATCH_SIZE: Kind::Whole(1, 100), "100", "Abandoned uploads that one sweep removes.";
        ARTIFACT_DIRECT_UPLOAD_CLEANUP_INTERVAL_MS: Kind::Whole(1, 86_400_000), "60000", "How often it sweeps.";
        CHECKPOINTS_ENABLED: Kind::Flag, "false", "Whether workers save what a session has on disk; they share one ROOT until then, so it does nothing yet.";
    }
    "Running coworkers" {
        AUTO_PROCESS_COMMANDS: Kind::Flag, "true", "Whether all-in-one starts a command before it answers.";
        WORKER_ID: Kind::Text, "", "The name of this worker; unset: one of this start.";
        WORKER_POLL_MS: POSITIVE, "1000", "How often a worker looks for work that nobody told it of.";
        WORKER_SESSION_CONCURRENCY: Kind::Whole(1, 32), "4", "Sessions that a worker starts at a time.";
        WORKER_MAX_COMMANDS_PER_SESSION_PER_TICK: Kind::Whole(1, 10_000), "50", "Commands of one session before others have their turn.";
        WORKER_MAX_LEASES: Kind::Whole(1, 1_000_000), "4096", "Sessions that a worker holds at a time; others wait, and idle ones make room.";
        WORKER_LEASE_TTL_MS: Kind::Whole(1000, 600_000), "10000", "How long a lease lives without a sign of its worker.";
        OPENCODE_BIN: Kind::Text, "", "OpenCode's program; unset: opencode in PATH.";
        RUNTIME_CACHE_MAX_ENTRIES: Kind::Whole(1, 10_000), "100", "Runtimes at a time.";
        RUNTIME_CACHE_IDLE_TTL_MS: POSITIVE, "1800000", "How long an idle one is kept.";
        RUNTIME_ADMISSION_QUEUE_MAX_ENTRIES: Kind::Whole(1, 100_000), "100", "Sessions that may wait for a runtime.";
        RUNTIME_ADMISSION_TIMEOUT_MS: POSITIVE, "30000", "How long they wait.";
        EXECUTION_ISOLATION_MODE: Kind::Choice(&["development-process", "sandbox", "external-provider"]), "development-process", "What separates users; this program knows `development-process`.";
        ISOLATION_ENGINE: Kind::Text, "docker", "The engine of a sandbox.";
        ISOLATION_IMAGE: Kind::Text, "", "Its image.";
        ISOLATION_IMAGE_SHA256: Kind::Text, "", "Its digest.";
        ISOLATION_IMAGE_SIGNATURE: Kind::Text, "", "Its signature.";
        ISOLATION_OPENCODE_BIN: Kind::Text, "", "OpenCode in it; where there is no sandbox the same as OPENCODE_BIN.";
        ISOLATION_NETWORK_POLICY: Kind::Choice(&["deny-all", "restricted"]), "deny-all", "What it may reach.";
        ISOLATION_NETWORK_NAME: Kind::Text, "", "Its network.";
        ISOLATION_EGRESS_POLICY_ID: Kind::Text, "", "The policy of that network.";
        ISOLATION_MEMORY_LIMIT_BYTES: POSITIVE, "2147483648", "Its memory.";
        ISOLATION_CPU_LIMIT: POSITIVE, "2", "Its processors.";
        ISOLATION_PIDS_LIMIT: POSITIVE, "512", "Its processes.";
        KNOWLEDGE_MCP_PATH: Kind::Text, "", "Another program than the bundled knowledge tool; there is none yet, so it does nothing.";
        PROGRESS_WATCHDOG_MODE: Kind::Choice(&["off", "observe", "enforce"]), "off", "Whether runs without progress are reported (`/progressz`, log, audit log), or ended too.";
        PROGRESS_WATCHDOG_SUSPECT_MS: Kind::Whole(1000, 86_400_000), "120000", "When a run is suspect.";
        PROGRESS_WATCHDOG_STALLED_MS: Kind::Whole(2000, 86_400_000), "300000", "When it counts as stalled.";
        PROGRESS_WATCHDOG_SWEEP_MS: Kind::Whole(250, 3_600_000), "5000", "How often it is looked at.";
        PROGRESS_WATCHDOG_MAX_ENTRIES: Kind::Whole(1, 10_000), "100", "Runs that are watched.";
        PROGRESS_WATCHDOG_MAX_SNAPSHOT_ENTRIES: Kind::Whole(1, 100), "50", "Runs that a snapshot lists.";
        PROGRESS_WATCHDOG_OBSERVE_EVIDENCE_REF: Kind::Text, "", "Where it is written that observing was enough; `enforce` needs it.";
        PROGRESS_WATCHDOG_OPERATOR_OWNER: Kind::Text, "", "Who answers for `enforce`; it needs one.";
        PROGRESS_WATCHDOG_ROLLBACK_MODE: Kind::Choice(&["off", "observe"]), "", "What that person goes back to; `enforce` needs it, and names it at the start.";
        SCHEDULER_ID: Kind::Text, "", "The name of this scheduler; unset: one of this start.";
        SCHEDULER_POLL_MS: POSITIVE, "1000", "How often it looks for what is due.";
        CONCURRENCY_RECONCILE_MS: OR_OFF, "0", "How often counters are compared with what they count; here they are counted each time, so it does nothing.";
    }
    "Streams" {
        SSE_POLL_INTERVAL_MS: POSITIVE, "1000", "How often a stream looks when nothing wakes it.";
        SSE_PG_NOTIFY: Kind::Flag, "true", "Whether PostgreSQL wakes streams of other processes.";
        NATS_URL: Kind::Secret, "", "nats://user:password@host:4222 (tls:// encrypts; several between commas): a NATS server wakes other processes in place of PostgreSQL.";
        NATS_URL_REF: Kind::Reference, "", "Where it is.";
        NATS_SUBJECT_PREFIX: Kind::Text, "open-cowork", "The first words of the subject there; one for each deployment.";
        SSE_NOTIFY_BACKSTOP_POLL_MS: POSITIVE, "15000", "How often it looks all the same.";
        SSE_MAX_LIFETIME_MS: POSITIVE, "1800000", "How long a stream lives before its client connects again.";
        MAX_SSE_CONNECTIONS_PER_ORG: Kind::Whole(1, 1_000_000), "200", "Streams of one organisation at a time, in this process.";
    }
    "Limits" {
        ABUSE_ENABLED: Kind::Flag, "true", "Whether limits hold and usage is counted.";
        MAX_CONCURRENT_SESSIONS_PER_ORG: OR_OFF, "100", "Sessions at a time; 0 is unlimited, here and below.";
        MAX_CONCURRENT_WORKFLOW_RUNS_PER_ORG: OR_OFF, "50", "Workflow runs at a time.";
        MAX_ACTIVE_WORKERS_PER_ORG: OR_OFF, "20", "Sessions that workers hold at a time; others wait.";
        MAX_QUEUED_COMMANDS_PER_ORG: OR_OFF, "1000", "Commands that wait.";
        MAX_QUEUE_AGE_MS: OR_OFF, "1800000", "How long the oldest of them may have waited.";
        MAX_PROMPTS_PER_HOUR: OR_OFF, "600", "Prompts.";
        MAX_WORKFLOW_RUNS_PER_HOUR: OR_OFF, "200", "Workflow runs.";
        MAX_GATEWAY_PROMPTS_PER_HOUR: OR_OFF, "300", "Prompts from channels.";
        MAX_WORKER_MINUTES_PER_HOUR: OR_OFF, "1200", "Minutes that coworkers ran.";
        MAX_GATEWAY_DELIVERIES_PER_HOUR: OR_OFF, "1000", "Deliveries to channels.";
        MAX_GATEWAY_CHANNEL_BINDINGS_PER_ORG: OR_OFF, "25", "Channels.";
        MAX_ARTIFACT_BYTES_PER_DAY: OR_OFF, "10737418240", "Bytes of artifacts.";
        HTTP_RATE_LIMIT_ENABLED: Kind::Flag, "true", "Whether requests are limited.";
        HTTP_RATE_LIMIT_WINDOW_MS: POSITIVE, "60000", "In that time";
        HTTP_RATE_LIMIT_MAX_REQUESTS: POSITIVE, "600", "so many.";
        AUTH_BACKOFF_ENABLED: Kind::Flag, "true", "Whether failed sign-ins are slowed down.";
        AUTH_BACKOFF_WINDOW_MS: POSITIVE, "60000", "In that time";
        AUTH_BACKOFF_MAX_FAILURES: POSITIVE, "10", "so many failures";
        AUTH_BACKOFF_MS: POSITIVE, "60000", "mean that long a wait.";
    }
    "Retention" {
        RETENTION_SESSION_EVENT_MS: OR_OFF, "", "How long a thread's events are kept, whose view stays; unset or 0: for ever, here and below.";
        RETENTION_WORKSPACE_EVENT_MS: OR_OFF, "", "How far back the workspace stream is replayed; never further than the events of threads.";
        RETENTION_AUDIT_EVENT_MS: OR_OFF, "", "The audit log.";
        RETENTION_USAGE_EVENT_MS: OR_OFF, "", "Usage.";
        RETENTION_CHANNEL_DELIVERY_MS: OR_OFF, "", "Deliveries to channels; both of channels are needed, and the longer one holds.";
        RETENTION_CHANNEL_INTERACTION_MS: OR_OFF, "", "Interactions of channels.";
        RETENTION_STALE_THROTTLE_MS: OR_OFF, "3600000", "Counters of limits, failed sign-ins and ended browser sessions, once they are of no more use.";
        RETENTION_INTERVAL_MS: POSITIVE, "3600000", "How often old rows are removed.";
        RETENTION_BATCH_SIZE: Kind::Whole(1, 100_000), "500", "Rows of one statement.";
        RETENTION_MAX_BATCHES: Kind::Whole(1, 10_000), "20", "Statements of one round.";
    }
    "Plans" {
        BILLING_ENABLED: Kind::Flag, "false", "Whether an organisation needs a plan.";
        BILLING_PROVIDER: Kind::Choice(&["none", "stub", "stripe"]), "none", "Who bills. stub lets an organisation have any plan for nothing; stripe has no adapter here, and is refused.";
        BILLING_DEFAULT_PLAN: Kind::Text, "self-host", "The plan of a new organisation.";
        ENTITLEMENTS_ENABLED: Kind::Flag, "false", "Whether plans limit.";
        ENTITLEMENTS_PROVIDER: Kind::Choice(&["none", "stripe", "custom"]), "none", "Who knows what a plan allows; this program has no adapter, and refuses one that is enabled.";
        STRIPE_API_KEY: Kind::Secret, "", "A key of Stripe.";
        STRIPE_API_KEY_REF: Kind::Reference, "", "Where it is.";
        STRIPE_WEBHOOK_SECRET: Kind::Secret, "", "The secret of Stripe's webhook.";
        STRIPE_WEBHOOK_SECRET_REF: Kind::Reference, "", "Where it is.";
        STRIPE_PRICE_ID: Kind::Text, "", "The price of the default plan.";
        STRIPE_SUCCESS_URL: Kind::Text, "", "Where a checkout ends.";
        STRIPE_CANCEL_URL: Kind::Text, "", "Where a given-up one ends.";
        STRIPE_PORTAL_RETURN_URL: Kind::Text, "", "Where the portal leads back to.";
    }
    "Logs, metrics, traces" {
        LOG_FORMAT: Kind::Choice(&["json", "pretty", "silent"]), "json", "How it logs, to standard error; on a terminal the default is pretty.";
        LOG_LEVEL: Kind::Text, "info", "What it logs: a level, or a filter such as info,open_cowork_store=debug.";
        SERVICE_NAME: Kind::Text, "open-cowork-cloud", "What traces call this program.";
        SERVICE_VERSION: Kind::Text, "", "Its version there; unset: the program's own.";
        OTLP_ENDPOINT: Kind::Text, "", "The OpenTelemetry collector, such as `http://127.0.0.1:4318`; unset: no traces.";
        OTLP_HEADERS: Kind::Headers, "", "Headers for it, such as {\"authorization\": \"…\"}.";
        OTLP_FLUSH_INTERVAL_MS: Kind::Whole(10, 3_600_000), "30000", "How often it is sent to.";
        OTLP_MAX_QUEUE_SIZE: Kind::Whole(1, 1_000_000), "1000", "Records that may wait; then the oldest is dropped.";
    }
    "Look" {
        PUBLIC_BRANDING_JSON: Kind::Text, "", "The public branding, as a JSON object over the file's.";
        BRAND_NAME: Kind::Text, "Open Cowork Cloud", "The product's name.";
        BRAND_SHORT_NAME: Kind::Text, "OC", "Its short name.";
        BRAND_LOGO_URL: Kind::Text, "", "Its logo; https.";
        SUPPORT_URL: Kind::Text, "", "Where help is; https or mailto.";
        PRIVACY_URL: Kind::Text, "", "The privacy notice; https.";
        SECURITY_URL: Kind::Text, "", "Where to report a hole; https.";
        LEGAL_URL: Kind::Text, "", "The terms; https.";
    }
}
