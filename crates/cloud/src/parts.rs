//! Opens the parts that a role needs, in order, and closes them in order (04 §3.1).

use crate::distribution::Adapters;
use crate::nats;
use crate::telemetry::Telemetry;
use crate::told::Told;
use anyhow::Context as _;
use open_cowork_adapters::objects::FolderObjects;
use open_cowork_adapters::oidc::{OidcOptions, OidcProvider};
use open_cowork_adapters::secrets::{self, EnvelopeSecrets};
use open_cowork_adapters::tokens::TokenHasher;
use open_cowork_cloud_server::auth::{SignIn, SignInParts};
use open_cowork_cloud_server::boot::{
    governance, key, liveness, options, providers, readiness, root, sign_in,
};
use open_cowork_cloud_server::pipeline::{self, Renderer, Surfaces};
use open_cowork_cloud_server::server::Bounds;
use open_cowork_cloud_server::service::capabilities;
use open_cowork_cloud_server::service::threads;
use open_cowork_cloud_server::settings::{PostgresSettings, Settings, WatchdogSettings};
use open_cowork_cloud_server::workbench::{self, Look, WorkbenchOptions};
use open_cowork_cloud_server::{Cloud, Services};
use open_cowork_cloud_worker::options::{Isolation, RuntimeLimits, WorkerOptions};
use open_cowork_cloud_worker::parts::WorkerParts;
use open_cowork_cloud_worker::progress::{ProgressLimits, Watchdog};
use open_cowork_cloud_worker::scheduler::{Scheduler, SchedulerOptions, SchedulerParts};
use open_cowork_cloud_worker::worker::Worker;
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_config::model::cloud::auth::{CloudAuth, CloudAuthMode};
use open_cowork_config::source::{Environment, option_files};
use open_cowork_contracts::api::workspace::{ProcessRole, WatchdogMode};
use open_cowork_providers::billing::Billing;
use open_cowork_providers::bus::{EventBus, LocalBus};
use open_cowork_providers::executor::Executor;
use open_cowork_providers::identity_provider::IdentityProvider;
use open_cowork_providers::secrets::Secrets;
use open_cowork_providers::store::{ControlPlane, Store};
use open_cowork_store::clock::{Following, ServerClock};
use open_cowork_store::{
    PostgresBus, PostgresOptions, PostgresStore, RunMigrations, SchemaName, ServerTimeouts,
    SqliteOptions, SqliteStore,
};
use open_cowork_thread_log::options::Clock;
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The folder of artifacts below the root.
const OBJECTS: &str = "objects";
/// The database file below the root.
const DATABASE: &str = "control-plane.db";
/// Requests to the liveness port end quickly.
const LIVENESS: Duration = Duration::from_secs(8);

/// What runs in this process.
pub(crate) struct Parts {
    database: Database,
    log: ThreadLog,
    cloud: Option<Cloud>,
    worker: Option<Arc<Worker>>,
    scheduler: Option<Arc<Scheduler>>,
    /// Keeps the search over threads up to date.
    search: Option<JoinHandle<()>>,
    closing: CancellationToken,
    /// Keeps the clock by the database server's.
    _following: Option<Following>,
}

/// Where this process listens: a server's address, a worker's liveness port, or nowhere.
pub(crate) fn listens_on(settings: &Settings) -> Option<(&str, u16)> {
    let listen = &settings.listen;
    match serves(settings.role) {
        true => Some((&listen.host, listen.port)),
        false if listen.liveness_port > 0 => Some((&listen.host, listen.liveness_port)),
        false => None,
    }
}

fn serves(role: CloudRole) -> bool {
    matches!(role, CloudRole::AllInOne | CloudRole::Web)
}

impl Parts {
    /// Opens what the role needs.
    pub(crate) async fn open(
        told: &Told,
        adapters: Adapters,
        telemetry: &Telemetry,
    ) -> anyhow::Result<Parts> {
        let settings = &told.settings;
        let secret = secret_key(settings)?;
        telemetry
            .redactor
            .learn([secret.expose_secret().to_owned()]);
        let database = Database::open(settings).await?;
        let (clock, following) = database.clock().await;
        let bus = match adapters.bus.clone() {
            Some(bus) => bus,
            None => database.bus(settings)?,
        };
        let store = match &adapters.log {
            Some(wrap) => wrap(database.log()),
            None => database.log(),
        };
        let log = ThreadLog::new(
            store,
            ThreadLogOptions {
                redactor: telemetry.redactor.clone(),
                bus: bus.clone(),
                shared: database.is_shared(),
                poll: settings.streams.poll,
                poll_connected: settings.streams.backstop_poll,
                clock: clock.clone(),
                ..ThreadLogOptions::default()
            },
        );
        let common = Common {
            told,
            telemetry,
            store: database.store(),
            log: log.clone(),
            bus,
            secrets: adapters.secrets.clone().unwrap_or_else(|| {
                Arc::new(EnvelopeSecrets::new(&secret, &settings.keys.previous))
            }),
            hasher: Arc::new(TokenHasher::new(&secret, &settings.keys.previous)),
            secret,
            adapters,
            clock,
        };
        // A wrong key is found now, not when somebody's provider key is needed (04 §7.1).
        secrets::check(&*common.secrets).await?;
        let worker = match settings.role {
            CloudRole::AllInOne | CloudRole::Worker => Some(common.worker()?),
            CloudRole::Web | CloudRole::Scheduler => None,
        };
        let scheduler = match settings.role {
            CloudRole::AllInOne | CloudRole::Scheduler => Some(common.scheduler()),
            CloudRole::Web | CloudRole::Worker => None,
        };
        let closing = CancellationToken::new();
        // Several may do it; where there is no scheduler a server does.
        let search = match settings.role {
            CloudRole::Worker => None,
            _ => Some(tokio::spawn(threads::follow(
                common.store.clone(),
                common.bus.clone(),
                closing.clone(),
            ))),
        };
        let cloud = match serves(settings.role) {
            true => Some(common.cloud(worker.as_ref())?),
            false => None,
        };
        Ok(Parts {
            database,
            log,
            cloud,
            worker,
            scheduler,
            search,
            closing,
            _following: following,
        })
    }

    pub(crate) fn has_api(&self) -> bool {
        self.cloud.is_some()
    }

    /// What is answered: API and workbench, or liveness alone.
    pub(crate) fn router(&self, told: &Told, port: u16) -> axum::Router {
        let settings = &told.settings;
        let Some(cloud) = &self.cloud else {
            return self.liveness(settings);
        };
        let look = Look::of(&told.loaded, &settings.cloud);
        for remark in &look.remarks {
            tracing::warn!("{remark}");
        }
        let form_key = settings.keys.cookie.as_ref();
        let options = WorkbenchOptions {
            origins: options::origins(settings, port),
            form_key: form_key.map(|key| key.expose_secret().as_bytes().into()),
            look,
            config: Arc::new(told.loaded.config().clone()),
        };
        let surfaces = Surfaces {
            workbench: Some(workbench::router(cloud.clone(), options)),
            renderer: settings.http.app_directory.clone().map(|folder| Renderer {
                folder,
                auth_required: settings.auth_mode == CloudAuthMode::Oidc,
            }),
        };
        pipeline::router(cloud.clone(), surfaces)
    }

    fn liveness(&self, settings: &Settings) -> axum::Router {
        let (worker, scheduler) = (self.worker.clone(), self.scheduler.clone());
        let watched = self.worker.clone();
        liveness::router(liveness::Loops {
            beat_ages: Box::new(move || {
                let worker = worker.as_ref().map(|worker| worker.beat_age());
                let scheduler = scheduler.as_ref().map(|scheduler| scheduler.beat_age());
                worker.into_iter().chain(scheduler).collect()
            }),
            limit: liveness::limit(settings.worker.poll.max(settings.scheduler.poll)),
            progress: watched.map(|worker| -> Box<dyn Fn() -> _ + Send + Sync> {
                Box::new(move || worker.progress())
            }),
        })
    }

    /// A server's bounds, or the liveness port's.
    pub(crate) fn bounds(&self, server: Bounds) -> Bounds {
        match self.has_api() {
            true => server,
            false => Bounds {
                connections: liveness::CONNECTIONS,
                head: LIVENESS,
                ..server
            },
        }
    }

    /// Says that the end has come, lets turns end, gives leases back.
    pub(crate) async fn drain(&self, grace: Duration) {
        if let Some(cloud) = &self.cloud {
            cloud.drain().await;
        }
        if let Some(scheduler) = &self.scheduler {
            scheduler.stop().await;
        }
        if let Some(worker) = &self.worker {
            // The rest of the grace is for what comes after.
            let report = worker.drain(grace.mul_f64(0.8)).await;
            let (scopes, forced) = (report.scopes, report.forced);
            tracing::info!(scopes, forced, "the worker has ended");
        }
    }

    /// Stores what waits and closes the database.
    pub(crate) async fn close(self) {
        self.closing.cancel();
        if let Some(search) = self.search {
            let _ = search.await; // its panic has been reported where it happened
        }
        self.log.close().await;
        self.database.close().await;
    }
}

/// What the parts are made of.
struct Common<'a> {
    told: &'a Told,
    telemetry: &'a Telemetry,
    store: Arc<dyn ControlPlane>,
    log: ThreadLog,
    bus: Arc<dyn EventBus>,
    secrets: Arc<dyn Secrets>,
    hasher: Arc<TokenHasher>,
    secret: SecretString,
    adapters: Adapters,
    clock: Clock,
}

impl Common<'_> {
    fn worker(&self) -> anyhow::Result<Arc<Worker>> {
        let settings = &self.told.settings;
        let said = &settings.worker;
        let parts = WorkerParts {
            store: self.store.clone(),
            log: self.log.clone(),
            bus: self.bus.clone(),
            secrets: self.secrets.clone(),
            redactor: self.telemetry.redactor.clone(),
            clock: self.clock.clone(),
        };
        let id = named(said.id.as_deref(), "worker");
        let config = Arc::new(self.told.loaded.config().clone());
        let mut worker = WorkerOptions::new(id, &settings.root, config);
        worker.role = role(settings.role);
        worker.lease_ttl = said.lease_ttl;
        worker.poll = said.poll;
        worker.session_concurrency = said.session_concurrency;
        worker.commands_per_session = said.commands_per_tick as usize;
        worker.opencode.clone_from(&said.opencode);
        worker.isolation = Isolation::parse(said.isolation)?;
        worker.runtimes = RuntimeLimits {
            max_entries: said.runtimes,
            idle_ttl: said.runtime_idle,
            queue: said.admission_queue,
            admission_timeout: said.admission_timeout,
            ..RuntimeLimits::default()
        };
        worker.profile = Some(settings.cloud.profile.clone());
        worker.option_files = option_files(&self.told.loaded, &Environment::of_process());
        worker.billing = self.billing();
        worker.record_usage = options::counts_use(settings);
        worker.worker_minutes_per_hour = options::cloud(settings).quotas.worker_minutes_per_hour;
        worker.max_sessions = said.max_leases;
        worker.active_sessions_per_org = options::active_workers(settings);
        worker.watchdog = watchdog(&said.watchdog);
        Ok(Worker::start(parts, worker)?)
    }

    fn scheduler(&self) -> Arc<Scheduler> {
        let settings = &self.told.settings;
        let parts = SchedulerParts {
            store: self.store.clone(),
            log: self.log.clone(),
            bus: self.bus.clone(),
            redactor: self.telemetry.redactor.clone(),
            clock: self.clock.clone(),
        };
        let id = named(settings.scheduler.id.as_deref(), "scheduler");
        let mut scheduler = SchedulerOptions::new(id);
        scheduler.role = role(settings.role);
        scheduler.poll = settings.scheduler.poll;
        scheduler.limits = options::runs(settings);
        let api = options::cloud(settings);
        scheduler.queue = api.quotas.queue;
        scheduler.billing = self.billing();
        scheduler.profile.clone_from(&api.profile.name);
        scheduler.retention.session_events = settings.retention.session_events;
        scheduler.retention.workspace_events = settings.retention.workspace_events;
        scheduler.retention.audit = settings.retention.audit_events;
        scheduler.retention.usage = settings.retention.usage_events;
        // One cut for all of channels: the longer of the two, so that nothing goes too early.
        let channels = (
            settings.retention.channel_deliveries,
            settings.retention.channel_interactions,
        );
        scheduler.retention.channels = match channels {
            (Some(deliveries), Some(interactions)) => Some(deliveries.max(interactions)),
            _ => None,
        };
        scheduler.retention.throttles = settings.retention.stale_throttles;
        scheduler.retention_interval = settings.retention.interval;
        scheduler.retention_batches = (settings.retention.batch, settings.retention.batches);
        Scheduler::start(parts, scheduler)
    }

    fn cloud(&self, worker: Option<&Arc<Worker>>) -> anyhow::Result<Cloud> {
        let settings = &self.told.settings;
        let mut services =
            Services::new(self.store.clone(), self.log.clone(), self.secrets.clone());
        services.bus = self.bus.clone();
        services.clock = self.clock.clone();
        services.authenticator = Arc::new(self.sign_in()?);
        services.options = options::cloud(settings);
        services.options.capabilities = Arc::new(capabilities::catalogue(
            self.told.loaded.config(),
            &settings.cloud.profile,
        ));
        services.metrics = Some(self.telemetry.render());
        services.objects = Some(match &self.adapters.objects {
            Some(objects) => objects.clone(),
            None => Arc::new(FolderObjects::open(settings.root.join(OBJECTS))?),
        });
        // An adapter that is there knows more than the settings say.
        let known = |name: &str| {
            self.adapters
                .checks
                .iter()
                .any(|check| check.name() == name)
        };
        services.billing = self.billing();
        let brought = readiness::Brought {
            billing: services.billing.is_some(),
            ..readiness::Brought::default()
        };
        services.checks = readiness::checks(settings, brought);
        services.checks.retain(|check| !known(check.name()));
        services.checks.extend(self.adapters.checks.iter().cloned());
        services.governance = governance::governance(settings, self.hasher.clone(), &self.secret);
        let config = self.told.loaded.config();
        let validator = self.adapters.key_validator.clone();
        services.governance.validator =
            validator.or_else(|| providers::key_validator(settings, config));
        if let Some(worker) = worker {
            let (executor, watched) = (worker.clone(), worker.clone());
            let at_once = settings.http.auto_process_commands;
            services.executor = Some(executor as Arc<dyn Executor>).filter(|_| at_once);
            services.progress = Some(Arc::new(move || watched.progress()));
        }
        Ok(Cloud::new(services))
    }

    fn billing(&self) -> Option<Arc<dyn Billing>> {
        let own = self.adapters.billing.clone();
        own.or_else(|| providers::billing(&self.told.settings, self.store.clone()))
    }

    fn sign_in(&self) -> anyhow::Result<SignIn> {
        let settings = &self.told.settings;
        let said = settings.cloud.cloud.auth.as_ref();
        let text = |of: fn(&CloudAuth) -> &Option<String>| {
            said.and_then(|auth| of(auth).clone()).unwrap_or_default()
        };
        let provider: Option<Arc<dyn IdentityProvider>> = match settings.auth_mode {
            CloudAuthMode::Oidc => Some(match &self.adapters.identity_provider {
                Some(provider) => provider.clone(),
                None => Arc::new(OidcProvider::new(OidcOptions {
                    issuer_url: text(|auth| &auth.issuer_url),
                    client_id: text(|auth| &auth.client_id),
                    client_secret: settings.keys.oidc_client.clone(),
                    // Who may join is the sign-up mode's question (02 §6).
                    allowed_email_domains: None,
                })?),
            }),
            CloudAuthMode::None | CloudAuthMode::Header => None,
        };
        let parts = SignInParts {
            store: self.store.clone(),
            bus: self.bus.clone(),
            clock: self.clock.clone(),
            identity_provider: provider,
            tokens: self.hasher.clone(),
        };
        let options = sign_in::auth(settings).map_err(|found| {
            let lines: Vec<_> = found.iter().map(crate::told::line).collect();
            anyhow::anyhow!("{}", lines.join("\n"))
        })?;
        Ok(SignIn::new(options, parts))
    }
}

/// What watches the runs; `enforce` only with what it needs (04 §3.6).
fn watchdog(said: &WatchdogSettings) -> Watchdog {
    let requested = match said.requested {
        "observe" => WatchdogMode::Observe,
        "enforce" => WatchdogMode::Enforce,
        _ => WatchdogMode::Off,
    };
    if requested == WatchdogMode::Enforce && said.may_enforce() {
        tracing::info!(
            evidence = said.evidence,
            owner = said.owner,
            rollback = said.rollback,
            "runs without progress are ended by the watchdog"
        );
    }
    let mut watchdog = Watchdog::new(requested, said.may_enforce());
    watchdog.sweep = said.sweep;
    watchdog.limits = ProgressLimits {
        suspect: said.suspect,
        stalled: said.stalled,
        max_entries: said.max_entries,
        max_samples: said.max_snapshot_entries,
    };
    watchdog
}

/// The same word, as signs of life carry it.
fn role(role: CloudRole) -> ProcessRole {
    match role {
        CloudRole::AllInOne => ProcessRole::AllInOne,
        CloudRole::Web => ProcessRole::Web,
        CloudRole::Worker => ProcessRole::Worker,
        CloudRole::Scheduler => ProcessRole::Scheduler,
    }
}

/// The name that was given, else one of this start.
fn named(given: Option<&str>, what: &str) -> String {
    given.map_or_else(
        || format!("{what}-{}", uuid::Uuid::new_v4().simple()),
        str::to_owned,
    )
}

/// The deployment's key; where none was given, one of its own is made below the root.
fn secret_key(settings: &Settings) -> anyhow::Result<SecretString> {
    match &settings.keys.secret {
        Some(key) => Ok(key.clone()),
        None => Ok(key::own_key(&settings.root)?),
    }
}

/// Whether PostgreSQL wakes other processes; where NATS does, it needn't.
fn notifies(settings: &Settings) -> bool {
    settings.streams.notify && settings.nats.is_none()
}

/// Where records are.
enum Database {
    /// The root is ours as long as its database is open.
    Sqlite(Arc<SqliteStore>, root::RootLock),
    Postgres(Arc<PostgresStore>, Box<PostgresSettings>),
}

impl Database {
    async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let migrations = match settings.records.run_migrations {
            true => RunMigrations::Yes,
            false => RunMigrations::No,
        };
        let Some(postgres) = &settings.records.postgres else {
            let lock = root::take(&settings.root)?;
            let path = settings.root.join(DATABASE);
            let options = SqliteOptions {
                migrations,
                ..SqliteOptions::default()
            };
            let store = SqliteStore::open(&path, options).await?;
            return Ok(Database::Sqlite(Arc::new(store), lock));
        };
        let schema = SchemaName::parse(&postgres.schema)
            .context("OPEN_COWORK_CLOUD_PG_SCHEMA is no name of a schema")?;
        // Of the bus, one tells and one listens.
        let told = if notifies(settings) { 2 } else { 0 };
        let options = PostgresOptions {
            schema,
            connect_timeout: postgres.connect_timeout,
            patience: postgres
                .statement_timeout
                .unwrap_or(Duration::from_secs(3600)),
            idle_timeout: postgres.idle_timeout,
            server: ServerTimeouts {
                statement: postgres.statement_timeout,
                idle_transaction: postgres.idle_transaction_timeout,
                lock: postgres.lock_timeout,
            },
            migrations,
            ..PostgresOptions::default()
        }
        .within(postgres.pool_max.saturating_sub(told));
        let postgres = PostgresSettings {
            url: postgres.named_url(),
            ..postgres.clone()
        };
        let store = PostgresStore::open(&postgres.url, options).await?;
        Ok(Database::Postgres(Arc::new(store), Box::new(postgres)))
    }

    fn bus(&self, settings: &Settings) -> anyhow::Result<Arc<dyn EventBus>> {
        match (self, &settings.nats) {
            (Database::Postgres(..), Some(said)) => nats::bus(said),
            (Database::Postgres(_, postgres), None) if notifies(settings) => {
                Ok(Arc::new(PostgresBus::start(&postgres.url)?))
            }
            _ => Ok(Arc::new(LocalBus::default())),
        }
    }

    /// The time that all processes agree on: the server's, or this machine's where there is no other.
    async fn clock(&self) -> (Clock, Option<Following>) {
        match self {
            Database::Sqlite(..) => (Arc::new(jiff::Timestamp::now), None),
            Database::Postgres(store, _) => {
                let clock = ServerClock::new(jiff::Timestamp::now);
                let following = clock.follow(store.clone()).await;
                (Arc::new(move || clock.now()), Some(following))
            }
        }
    }

    /// Whether other processes write to it.
    fn is_shared(&self) -> bool {
        matches!(self, Database::Postgres(..))
    }

    fn store(&self) -> Arc<dyn ControlPlane> {
        match self {
            Database::Sqlite(store, _) => store.clone(),
            Database::Postgres(store, _) => store.clone(),
        }
    }

    fn log(&self) -> Arc<dyn Store> {
        match self {
            Database::Sqlite(store, _) => store.clone(),
            Database::Postgres(store, _) => store.clone(),
        }
    }

    async fn close(self) {
        match self {
            Database::Sqlite(store, _lock) => store.close().await,
            Database::Postgres(store, _) => store.close().await,
        }
    }
}
