//! Reads each part of the settings and says what its numbers and words must be together (04 §14).

use super::idle;
use super::reader::Reader;
use super::table as v;
use super::variable::Variable;
use super::{
    Http, Keys, Listen, LogFormat, NatsSettings, Permits, PostgresSettings, Records, Retention,
    SchedulerSettings, SingleOrg, Streams, Telemetry, WatchdogSettings, WorkerSettings,
    is_loopback,
};
use open_cowork_config::cloud::{CloudSettings, ControlPlane};
use open_cowork_config::model::cloud::auth::CloudAuthMode;
use open_cowork_config::model::cloud::storage::ObjectStoreKind;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;
use std::path::PathBuf;

/// What is read here; [`Settings`] adds what the configuration resolved.
pub(super) struct Parts {
    pub(super) listen: Listen,
    pub(super) root: PathBuf,
    pub(super) single_org: Option<SingleOrg>,
    pub(super) http: Http,
    pub(super) streams: Streams,
    pub(super) nats: Option<NatsSettings>,
    pub(super) keys: Keys,
    pub(super) records: Records,
    pub(super) worker: WorkerSettings,
    pub(super) scheduler: SchedulerSettings,
    pub(super) retention: Retention,
    pub(super) telemetry: Telemetry,
    pub(super) permits: Permits,
}

impl Parts {
    pub(super) fn read(read: &mut Reader<'_>, cloud: Option<&CloudSettings>) -> Self {
        let (worker, retention) = (worker(read), retention(read));
        idle::tell_of_parts(read, &retention, &worker.watchdog, cloud);
        Parts {
            listen: listen(read, cloud),
            root: PathBuf::from(read.text(&v::ROOT).unwrap_or_default()),
            single_org: single_org(read),
            http: http(read),
            streams: streams(read),
            nats: nats(read),
            keys: keys(read, cloud),
            records: records(read, cloud),
            worker,
            scheduler: SchedulerSettings {
                id: id(read, &v::SCHEDULER_ID),
                poll: match read.set(&v::SCHEDULER_POLL_MS) {
                    Some(_) => read.millis(&v::SCHEDULER_POLL_MS),
                    None => read.millis(&v::WORKER_POLL_MS),
                },
                reconcile: read.millis_or_off(&v::CONCURRENCY_RECONCILE_MS),
            },
            retention,
            telemetry: telemetry(read),
            permits: Permits {
                insecure_auth: read.flag(&v::ALLOW_INSECURE_AUTH),
                ephemeral_storage: read.flag(&v::ALLOW_EPHEMERAL_STORAGE),
            },
        }
    }
}

/// The plain names win (04 §14). Without sign-in the default is this machine only: the contract's 0.0.0.0 would be
/// refused right away (04 §15).
fn listen(read: &mut Reader<'_>, cloud: Option<&CloudSettings>) -> Listen {
    let signs_in = cloud
        .and_then(|cloud| cloud.cloud.auth.as_ref()?.mode)
        .is_some_and(|mode| mode != CloudAuthMode::None);
    let default = if signs_in { "0.0.0.0" } else { "127.0.0.1" };
    let host = read.plain("HOST").or_else(|| read.set(&v::HOST));
    let host = host.unwrap_or(default);
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if bare.parse::<IpAddr>().is_err() && !bare.bytes().all(name) {
        read.note(
            &v::HOST.full_name(),
            "is no address and no name",
            "Write an address such as 127.0.0.1, or unset it.",
        );
    }
    let port = match read.plain("PORT") {
        None => read.small(&v::PORT),
        Some(text) => Reader::digits(text).unwrap_or_else(|| {
            read.note(
                "PORT",
                "holds something that can't be understood",
                "Write a whole number from 0 to 65535, or unset it.",
            );
            0
        }),
    };
    let published = read.text(&v::PUBLISHED_ADDR);
    // An address, perhaps with a port; one of IPv6 alone has no scheme of its own.
    let is_place = |text: &String| {
        text.parse::<IpAddr>().is_ok()
            || url::Url::parse(&format!("http://{text}/"))
                .is_ok_and(|url| url.path() == "/" && url.username().is_empty())
    };
    if published.as_ref().is_some_and(|text| !is_place(text)) {
        read.note(
            &v::PUBLISHED_ADDR.full_name(),
            "is no address",
            "Write an address such as 127.0.0.1 or 127.0.0.1:8787, or unset it.",
        );
    }
    Listen {
        host: bare,
        port,
        liveness_port: read.small(&v::LIVENESS_PORT),
        published,
    }
}

fn single_org(read: &mut Reader<'_>) -> Option<SingleOrg> {
    let (id, name) = (read.text(&v::SINGLE_ORG_ID), read.text(&v::SINGLE_ORG_NAME));
    (read.choice(&v::ORG_MODE) == "single-org").then(|| SingleOrg {
        id: id.unwrap_or_default(),
        name: name.unwrap_or_default(),
    })
}

fn http(read: &mut Reader<'_>) -> Http {
    let cors_origin = read.text(&v::CORS_ORIGIN);
    if cors_origin
        .as_deref()
        .is_some_and(|origin| !is_cors_origin(origin))
    {
        read.note(
            &v::CORS_ORIGIN.full_name(),
            "is no origin that may be let in",
            "Write one origin of https such as https://app.example.com, or of this machine over http; never *.",
        );
    }
    let cidrs = read.list(&v::TRUSTED_PROXY_CIDRS);
    if cidrs.iter().any(|network| !is_network(network)) {
        read.note(
            &v::TRUSTED_PROXY_CIDRS.full_name(),
            "holds something that is no network",
            "Write networks such as 10.0.0.0/8, separated by commas.",
        );
    }
    let trust_proxy_headers = read.flag(&v::TRUST_PROXY_HEADERS);
    if trust_proxy_headers && cidrs.is_empty() {
        read.note(
            &v::TRUSTED_PROXY_CIDRS.full_name(),
            "is not set, so no proxy is trusted",
            "Write the networks of your proxies, or turn TRUST_PROXY_HEADERS off.",
        );
    }
    Http {
        cors_origin,
        cookie_secure: read.flag(&v::COOKIE_SECURE),
        trust_proxy_headers,
        trusted_proxy_cidrs: cidrs,
        max_connections: read.small(&v::MAX_CONNECTIONS),
        shutdown_grace: read.millis(&v::SHUTDOWN_GRACE_MS),
        app_directory: read.text(&v::APP_DIRECTORY).map(PathBuf::from),
        auto_process_commands: read.flag(&v::AUTO_PROCESS_COMMANDS),
        direct_upload_mode: read
            .text(&v::ARTIFACT_DIRECT_UPLOAD_MODE)
            .unwrap_or_default(),
    }
}

/// `https://host[:port]`, or `http` on loopback (03 §2.3).
fn is_cors_origin(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    let shaped = !host.is_empty() && host.bytes().all(plain) && url::Url::parse(origin).is_ok();
    shaped && (scheme == "https" || (scheme == "http" && is_loopback(host)))
}

fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    address.parse::<IpAddr>().is_ok_and(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.is_empty() || bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

fn streams(read: &mut Reader<'_>) -> Streams {
    Streams {
        poll: read.millis(&v::SSE_POLL_INTERVAL_MS),
        notify: read.flag(&v::SSE_PG_NOTIFY),
        backstop_poll: read.millis(&v::SSE_NOTIFY_BACKSTOP_POLL_MS),
        max_lifetime: read.millis(&v::SSE_MAX_LIFETIME_MS),
        max_per_org: read.small(&v::MAX_SSE_CONNECTIONS_PER_ORG),
    }
}

fn nats(read: &mut Reader<'_>) -> Option<NatsSettings> {
    let subject_prefix = read.text(&v::NATS_SUBJECT_PREFIX).unwrap_or_default();
    let url = read.secret(&v::NATS_URL, &v::NATS_URL_REF)?;
    let is_nats = |entry: &str| {
        let scheme = entry.trim().split("://").next();
        matches!(scheme, Some("nats" | "tls"))
    };
    if !url.expose_secret().split(',').all(is_nats) {
        read.note(
            &v::NATS_URL.full_name(),
            "is not the address of a NATS server",
            "Write nats://user:password@host:4222, several between commas, or unset it; in user and password @ : / and \
             the comma are percent-encoded.",
        );
    }
    Some(NatsSettings {
        url,
        subject_prefix,
    })
}

fn keys(read: &mut Reader<'_>, cloud: Option<&CloudSettings>) -> Keys {
    let secret = read.secret(&v::SECRET_KEY, &v::SECRET_KEY_REF);
    let own = |name: &str| format!("cloud.auth.{name}");
    let cookie = cloud.and_then(|cloud| cloud.cookie_secret.as_ref());
    let cookie = read.source(cookie, &own("cookieSecretRef"));
    let header = cloud.and_then(|cloud| cloud.header_secret.as_ref());
    let client = cloud.and_then(|cloud| cloud.oidc_client_secret.as_ref());
    Keys {
        previous: read.secrets(&v::SECRET_KEY_PREVIOUS, &v::SECRET_KEY_PREVIOUS_REF),
        cookie_is_own: cookie.is_some(),
        cookie: cookie.or_else(|| secret.clone()),
        header: read.source(header, &own("headerSecretRef")),
        oidc_client: read.source(client, &own("clientSecretRef")),
        internal: read.secret(&v::INTERNAL_TOKEN, &v::INTERNAL_TOKEN_REF),
        asks_providers: read.flag(&v::BYOK_VALIDATION),
        secret,
    }
}

fn records(read: &mut Reader<'_>, cloud: Option<&CloudSettings>) -> Records {
    let url = match cloud.map(|cloud| &cloud.control_plane) {
        Some(ControlPlane::Postgres(source)) => {
            read.source(Some(source), "cloud.storage.controlPlane.urlRef")
        }
        _ => None,
    };
    // Told here, because the driver connects to whatever host stands there, with the password.
    let is_postgres = |url: &SecretString| {
        let scheme = url.expose_secret().split("://").next();
        let scheme = matches!(scheme, Some("postgres" | "postgresql"));
        scheme && url::Url::parse(url.expose_secret()).is_ok()
    };
    if url.as_ref().is_some_and(|url| !is_postgres(url)) {
        read.note(
            &v::CONTROL_PLANE_URL.full_name(),
            "is not the address of a PostgreSQL database",
            "Write postgresql://user:password@host/database, or unset it for SQLite below ROOT.",
        );
    }
    let schema = read.text(&v::PG_SCHEMA).unwrap_or_default();
    let objects = cloud
        .and_then(|cloud| cloud.cloud.storage.as_ref()?.object_store.as_ref()?.kind)
        .unwrap_or(ObjectStoreKind::Filesystem);
    let elsewhere = read
        .set(&v::OBJECT_STORE_KIND)
        .is_some_and(|kind| kind != ObjectStoreKind::Filesystem.as_str());
    if elsewhere || objects != ObjectStoreKind::Filesystem {
        read.note(
            &v::OBJECT_STORE_KIND.full_name(),
            "names an object store that this program has no adapter for",
            "Unset it to keep artifacts below ROOT, or build a program with that adapter.",
        );
    }
    // Read in any case, so that a wrong number is told before somebody switches to PostgreSQL.
    let postgres = PostgresSettings {
        url: url.clone().unwrap_or_default(),
        schema,
        pool_max: read.small(&v::PG_POOL_MAX),
        connect_timeout: read.millis(&v::PG_CONNECTION_TIMEOUT_MS),
        idle_timeout: read.millis_or_off(&v::PG_IDLE_TIMEOUT_MS),
        statement_timeout: read.millis_or_off(&v::PG_STATEMENT_TIMEOUT_MS),
        idle_transaction_timeout: read.millis_or_off(&v::PG_IDLE_TX_TIMEOUT_MS),
        lock_timeout: read.millis_or_off(&v::PG_LOCK_TIMEOUT_MS),
        application_name: read.text(&v::PG_APP_NAME).unwrap_or_default(),
    };
    Records {
        postgres: url.map(|_| postgres),
        run_migrations: read.flag(&v::RUN_MIGRATIONS),
        objects,
    }
}

fn worker(read: &mut Reader<'_>) -> WorkerSettings {
    let suspect = read.millis(&v::PROGRESS_WATCHDOG_SUSPECT_MS);
    let stalled = read.millis(&v::PROGRESS_WATCHDOG_STALLED_MS);
    if stalled <= suspect {
        read.note(
            &v::PROGRESS_WATCHDOG_STALLED_MS.full_name(),
            "is not above PROGRESS_WATCHDOG_SUSPECT_MS",
            "A run is suspect before it is stalled; raise it.",
        );
    }
    let isolation = read.choice(&v::EXECUTION_ISOLATION_MODE);
    if isolation != "development-process" {
        read.note(
            &v::EXECUTION_ISOLATION_MODE.full_name(),
            "names an isolation that this program has no adapter for",
            "Write development-process, and let only people in who may share one machine account.",
        );
    }
    WorkerSettings {
        id: id(read, &v::WORKER_ID),
        poll: read.millis(&v::WORKER_POLL_MS),
        session_concurrency: read.small(&v::WORKER_SESSION_CONCURRENCY),
        commands_per_tick: read.small(&v::WORKER_MAX_COMMANDS_PER_SESSION_PER_TICK),
        max_leases: read.small(&v::WORKER_MAX_LEASES),
        lease_ttl: read.millis(&v::WORKER_LEASE_TTL_MS),
        // The contract's name is that of a container; a path that somebody wrote there means the same here.
        opencode: read
            .set(&v::OPENCODE_BIN)
            .or_else(|| read.set(&v::ISOLATION_OPENCODE_BIN))
            .map(PathBuf::from),
        runtimes: read.small(&v::RUNTIME_CACHE_MAX_ENTRIES),
        runtime_idle: read.millis(&v::RUNTIME_CACHE_IDLE_TTL_MS),
        admission_queue: read.small(&v::RUNTIME_ADMISSION_QUEUE_MAX_ENTRIES),
        admission_timeout: read.millis(&v::RUNTIME_ADMISSION_TIMEOUT_MS),
        isolation,
        checkpoints: read.flag(&v::CHECKPOINTS_ENABLED),
        watchdog: WatchdogSettings {
            requested: read.choice(&v::PROGRESS_WATCHDOG_MODE),
            suspect,
            stalled,
            sweep: read.millis(&v::PROGRESS_WATCHDOG_SWEEP_MS),
            max_entries: read.small(&v::PROGRESS_WATCHDOG_MAX_ENTRIES),
            max_snapshot_entries: read.small(&v::PROGRESS_WATCHDOG_MAX_SNAPSHOT_ENTRIES),
            evidence: read.text(&v::PROGRESS_WATCHDOG_OBSERVE_EVIDENCE_REF),
            owner: read.text(&v::PROGRESS_WATCHDOG_OPERATOR_OWNER),
            rollback: Some(read.choice(&v::PROGRESS_WATCHDOG_ROLLBACK_MODE))
                .filter(|mode| !mode.is_empty()),
        },
    }
}

/// A worker's or scheduler's name (04 §4.3).
fn id(read: &mut Reader<'_>, variable: &Variable) -> Option<String> {
    let id = read.text(variable)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = id.len() <= 128
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(plain);
    if !fits {
        read.note(
            &variable.full_name(),
            "is no name of a process",
            "Write at most 128 letters, digits and ._- that begin with a letter or digit.",
        );
    }
    Some(id)
}

fn retention(read: &mut Reader<'_>) -> Retention {
    Retention {
        session_events: read.millis_or_off(&v::RETENTION_SESSION_EVENT_MS),
        workspace_events: read.millis_or_off(&v::RETENTION_WORKSPACE_EVENT_MS),
        audit_events: read.millis_or_off(&v::RETENTION_AUDIT_EVENT_MS),
        usage_events: read.millis_or_off(&v::RETENTION_USAGE_EVENT_MS),
        channel_deliveries: read.millis_or_off(&v::RETENTION_CHANNEL_DELIVERY_MS),
        channel_interactions: read.millis_or_off(&v::RETENTION_CHANNEL_INTERACTION_MS),
        stale_throttles: read.millis_or_off(&v::RETENTION_STALE_THROTTLE_MS),
        interval: read.millis(&v::RETENTION_INTERVAL_MS),
        batch: read.small(&v::RETENTION_BATCH_SIZE),
        batches: read.small(&v::RETENTION_MAX_BATCHES),
    }
}

fn telemetry(read: &mut Reader<'_>) -> Telemetry {
    let log_format = read
        .set(&v::LOG_FORMAT)
        .map(|_| match read.choice(&v::LOG_FORMAT) {
            "pretty" => LogFormat::Pretty,
            "silent" => LogFormat::Silent,
            _ => LogFormat::Json,
        });
    let otlp_endpoint = read.text(&v::OTLP_ENDPOINT);
    let is_http = |text: &String| {
        let scheme = text.starts_with("http://") || text.starts_with("https://");
        scheme && url::Url::parse(text).is_ok()
    };
    if otlp_endpoint.as_ref().is_some_and(|text| !is_http(text)) {
        read.note(
            &v::OTLP_ENDPOINT.full_name(),
            "is no address",
            "Write http://127.0.0.1:4318 or another address of http or https.",
        );
    }
    Telemetry {
        log_format,
        log_level: read.text(&v::LOG_LEVEL).unwrap_or_default(),
        service_name: read.text(&v::SERVICE_NAME).unwrap_or_default(),
        service_version: read.text(&v::SERVICE_VERSION),
        otlp_endpoint: otlp_endpoint.map(|text| text.trim_end_matches('/').to_owned()),
        otlp_headers: read.headers(&v::OTLP_HEADERS),
        otlp_flush: read.millis(&v::OTLP_FLUSH_INTERVAL_MS),
        otlp_queue: read.small(&v::OTLP_MAX_QUEUE_SIZE),
    }
}
