//! What a cloud process is told: the configuration file, the environment over it, and what follows from both
//! (docs/contract/04-control-plane-operations.md §14).
//!
//! Pure: [`Settings::read`] takes a loaded configuration and a map of variables. Everything that is wrong is
//! reported at once, with the variable's name and the way out, never with a value of a secret.

mod idle;
mod parts;
mod reader;
pub mod table;
pub mod variable;

use open_cowork_config::cloud::CloudSettings;
use open_cowork_config::load::Loaded;
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_config::model::cloud::auth::CloudAuthMode;
use open_cowork_config::model::cloud::storage::ObjectStoreKind;
use open_cowork_contracts::finding::Finding;
use parts::Parts;
use reader::Reader;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a cloud process is told, as plain data.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Document and environment: profile, sign-in, limits, branding.
    pub cloud: CloudSettings,
    /// What this process does.
    pub role: CloudRole,
    /// How people sign in.
    pub auth_mode: CloudAuthMode,
    /// Whether the way to sign up was written by somebody.
    pub signup_is_explicit: bool,
    /// Where it listens.
    pub listen: Listen,
    /// The folder of everything that it keeps on this machine.
    pub root: PathBuf,
    /// The one organisation of everybody, if there is only one.
    pub single_org: Option<SingleOrg>,
    /// HTTP.
    pub http: Http,
    /// Event streams.
    pub streams: Streams,
    /// A NATS server that wakes other processes in place of PostgreSQL.
    pub nats: Option<NatsSettings>,
    /// Keys.
    pub keys: Keys,
    /// Where records are kept.
    pub records: Records,
    /// Running coworkers.
    pub worker: WorkerSettings,
    /// Starting what is due.
    pub scheduler: SchedulerSettings,
    /// When old rows go.
    pub retention: Retention,
    /// Logs, metrics, traces.
    pub telemetry: Telemetry,
    /// Switches that make it less safe.
    pub permits: Permits,
    /// What deserves a look.
    pub warnings: Vec<Finding>,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// An address or a name.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
    /// The port of the liveness server; 0 is none.
    pub liveness_port: u16,
    /// The address that a container's port is published on, where the platform tells.
    pub published: Option<String>,
}

impl Listen {
    /// Whether only this machine reaches it: the host, and the published address where there is one.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host) && self.published.as_deref().is_none_or(is_loopback)
    }
}

/// Whether a host name or address, with or without a port, is this machine's own.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    bare(host) || host.rsplit_once(':').is_some_and(|(host, _)| bare(host))
}

/// The one organisation of `single-org` (03 §6.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleOrg {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// HTTP (03 §1.2, §3).
#[derive(Clone, Debug)]
pub struct Http {
    /// The one other web origin that may call.
    pub cors_origin: Option<String>,
    /// Whether cookies travel over https only.
    pub cookie_secure: bool,
    /// Whether a trusted proxy names the client.
    pub trust_proxy_headers: bool,
    /// Their networks, as written.
    pub trusted_proxy_cidrs: Vec<String>,
    /// Connections at a time.
    pub max_connections: usize,
    /// How long requests may take to end at shutdown.
    pub shutdown_grace: Duration,
    /// A browser renderer that is served under `/app`.
    pub app_directory: Option<PathBuf>,
    /// Whether all-in-one starts a command before it answers.
    pub auto_process_commands: bool,
    /// Uploads around this server, as written.
    pub direct_upload_mode: String,
}

/// Event streams (03 §9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// How often to look when nothing wakes.
    pub poll: Duration,
    /// Whether PostgreSQL wakes.
    pub notify: bool,
    /// How often to look all the same.
    pub backstop_poll: Duration,
    /// Until the client connects again.
    pub max_lifetime: Duration,
    /// Of one organisation at a time, in this process.
    pub max_per_org: usize,
}

/// Wake-ups through NATS (04 §9). `Debug` shows no address.
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// `nats://…` or `tls://…`, with a password; several between commas.
    pub url: SecretString,
    /// The first words of the subject, as written.
    pub subject_prefix: String,
}

/// Keys. `Debug` shows none.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Encrypts what is kept secret.
    pub secret: Option<SecretString>,
    /// Older ones.
    pub previous: Vec<SecretString>,
    /// Signs browser sessions; `None` when not even a secret key stands in.
    pub cookie: Option<SecretString>,
    /// Whether the cookie's key is one of its own.
    pub cookie_is_own: bool,
    /// Shared with the signing proxy.
    pub header: Option<SecretString>,
    /// Ours at the OpenID provider.
    pub oidc_client: Option<SecretString>,
    /// Guards the scheduler's tick.
    pub internal: Option<SecretString>,
    /// Model providers are asked whether keys of organisations work.
    pub asks_providers: bool,
}

/// Where records are kept.
#[derive(Clone, Debug)]
pub struct Records {
    /// PostgreSQL; else SQLite below the root.
    pub postgres: Option<PostgresSettings>,
    /// Whether the schema is brought up to date at the start.
    pub run_migrations: bool,
    /// Where artifacts are.
    pub objects: ObjectStoreKind,
}

/// PostgreSQL. `Debug` shows no address.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// `postgresql://…`, with a password.
    pub url: SecretString,
    /// The schema of the tables.
    pub schema: String,
    /// Connections.
    pub pool_max: u32,
    /// To get one.
    pub connect_timeout: Duration,
    /// An unused one is kept.
    pub idle_timeout: Option<Duration>,
    /// One statement.
    pub statement_timeout: Option<Duration>,
    /// A transaction that does nothing.
    pub idle_transaction_timeout: Option<Duration>,
    /// For a lock.
    pub lock_timeout: Option<Duration>,
    /// What PostgreSQL calls this program.
    pub application_name: String,
}

impl PostgresSettings {
    /// The address with the name that PostgreSQL shows for our connections, unless it says one itself.
    #[must_use]
    pub fn named_url(&self) -> SecretString {
        const NAME: &str = "application_name";
        let Ok(mut url) = url::Url::parse(self.url.expose_secret()) else {
            return self.url.clone();
        };
        if !url.query_pairs().any(|(key, _)| key == NAME) {
            url.query_pairs_mut()
                .append_pair(NAME, &self.application_name);
        }
        SecretString::from(String::from(url))
    }
}

/// Running coworkers (04 §3.2, §4.2).
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The name of this worker, if it has one of its own.
    pub id: Option<String>,
    /// How often to look for work.
    pub poll: Duration,
    /// Sessions at a time.
    pub session_concurrency: usize,
    /// Commands of one session before others have their turn.
    pub commands_per_tick: u32,
    /// Sessions that it holds.
    pub max_leases: usize,
    /// How long a lease lives.
    pub lease_ttl: Duration,
    /// OpenCode's program; absent: `opencode` in `PATH`.
    pub opencode: Option<PathBuf>,
    /// Runtimes at a time.
    pub runtimes: usize,
    /// How long an idle one is kept.
    pub runtime_idle: Duration,
    /// Sessions that may wait for one.
    pub admission_queue: usize,
    /// How long they wait.
    pub admission_timeout: Duration,
    /// What separates users.
    pub isolation: &'static str,
    /// Whether what a session has on disk is saved.
    pub checkpoints: bool,
    /// Runs without progress.
    pub watchdog: WatchdogSettings,
}

/// The watchdog of progress (04 §3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogSettings {
    /// What was asked for: `off`, `observe`, `enforce`.
    pub requested: &'static str,
    /// When a run is suspect.
    pub suspect: Duration,
    /// When it is stalled.
    pub stalled: Duration,
    /// How often it is looked at.
    pub sweep: Duration,
    /// Runs that are watched.
    pub max_entries: usize,
    /// Runs that a snapshot lists.
    pub max_snapshot_entries: usize,
    /// Where it is written that observing was enough.
    pub evidence: Option<String>,
    /// Who answers for `enforce`.
    pub owner: Option<String>,
    /// What that person goes back to.
    pub rollback: Option<&'static str>,
}

impl WatchdogSettings {
    /// Whether `enforce` has what it needs: evidence, an owner, a way back.
    #[must_use]
    pub fn may_enforce(&self) -> bool {
        self.evidence.is_some() && self.owner.is_some() && self.rollback.is_some()
    }
}

/// Starting what is due (04 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// Its name, if it has one of its own.
    pub id: Option<String>,
    /// How often it looks.
    pub poll: Duration,
    /// How often counters are compared with what they count.
    pub reconcile: Option<Duration>,
}

/// How long rows are kept; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events of sessions.
    pub session_events: Option<Duration>,
    /// Events of the workspace stream.
    pub workspace_events: Option<Duration>,
    /// The audit log.
    pub audit_events: Option<Duration>,
    /// Usage.
    pub usage_events: Option<Duration>,
    /// Deliveries to channels.
    pub channel_deliveries: Option<Duration>,
    /// Interactions of channels.
    pub channel_interactions: Option<Duration>,
    /// Counters that nothing counts in anymore.
    pub stale_throttles: Option<Duration>,
    /// How often.
    pub interval: Duration,
    /// Rows of one statement.
    pub batch: u32,
    /// Statements of one round.
    pub batches: u32,
}

/// How it logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One object per line.
    Json,
    /// For people.
    Pretty,
    /// Nothing.
    Silent,
}

/// Logs and traces.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// `None`: pretty on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
    /// A filter.
    pub log_level: String,
    /// What traces call this program.
    pub service_name: String,
    /// Its version there.
    pub service_version: Option<String>,
    /// The collector.
    pub otlp_endpoint: Option<String>,
    /// Headers for it.
    pub otlp_headers: BTreeMap<String, SecretString>,
    /// How often it is sent to.
    pub otlp_flush: Duration,
    /// Records that may wait.
    pub otlp_queue: usize,
}

/// Switches that make it less safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permits {
    /// Sign-in `none` beyond this machine.
    pub insecure_auth: bool,
    /// Records on one disk.
    pub ephemeral_storage: bool,
}

impl Settings {
    /// Reads an environment over a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with either, at once.
    pub fn read(loaded: &Loaded, vars: &BTreeMap<String, String>) -> Result<Self, Vec<Finding>> {
        match Self::examine(loaded, vars) {
            (Some(settings), errors) if errors.is_empty() => Ok(settings),
            (_, errors) => Err(errors),
        }
    }

    /// The same, and as much as was understood in spite of the errors, so that whoever comes next can tell what else
    /// stands against a start. What couldn't be understood is as if it were unset.
    pub fn examine(
        loaded: &Loaded,
        vars: &BTreeMap<String, String>,
    ) -> (Option<Self>, Vec<Finding>) {
        let mut read = Reader::new(vars);
        read.strangers();
        idle::tell(&mut read);
        let (cloud, mut errors) = match open_cowork_config::cloud::resolve(loaded, vars) {
            Ok(cloud) => (Some(cloud), Vec::new()),
            Err(found) => {
                let wrong = |name: &String| found.iter().any(|finding| finding.path == **name);
                let others = vars.iter().filter(|(name, _)| !wrong(name));
                let others = others.map(|(name, value)| (name.clone(), value.clone()));
                let cloud = open_cowork_config::cloud::resolve(loaded, &others.collect());
                (cloud.ok(), found)
            }
        };
        let settings = Parts::read(&mut read, cloud.as_ref());
        let Reader {
            errors: own,
            mut warnings,
            ..
        } = read;
        // A variable that both read is wrong once.
        let known: Vec<_> = errors.iter().map(|finding| finding.path.clone()).collect();
        errors.extend(own.into_iter().filter(|found| !known.contains(&found.path)));
        let Some(cloud) = cloud else {
            return (None, errors);
        };
        warnings.splice(0..0, cloud.warnings.iter().cloned());
        let role = cloud.cloud.role.unwrap_or(CloudRole::AllInOne);
        let auth = cloud.cloud.auth.as_ref();
        let signup_is_explicit = vars.contains_key("OPEN_COWORK_CLOUD_SIGNUP_MODE")
            || loaded.written()["cloud"]["auth"]["signupMode"].is_string();
        let settings = Settings {
            role,
            auth_mode: auth
                .and_then(|auth| auth.mode)
                .unwrap_or(CloudAuthMode::None),
            signup_is_explicit,
            listen: settings.listen,
            root: settings.root,
            single_org: settings.single_org,
            http: settings.http,
            streams: settings.streams,
            nats: settings.nats,
            keys: settings.keys,
            records: settings.records,
            worker: settings.worker,
            scheduler: settings.scheduler,
            retention: settings.retention,
            telemetry: settings.telemetry,
            permits: settings.permits,
            warnings,
            cloud,
        };
        (Some(settings), errors)
    }

    /// The address that people open: the public one, else where it listens.
    #[must_use]
    pub fn link(&self, port: u16) -> String {
        if let Some(url) = &self.cloud.public_url {
            return format!("{url}/");
        }
        let host = match self.listen.host.as_str() {
            "0.0.0.0" | "::" | "[::]" => "127.0.0.1",
            host => host,
        };
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("http://[{ip}]:{port}/"),
            _ => format!("http://{host}:{port}/"),
        }
    }
}

#[cfg(test)]
mod tests;
