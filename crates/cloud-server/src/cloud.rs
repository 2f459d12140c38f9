//! What all handlers share.

use crate::governance::Governance;
use crate::http::health::Readiness;
use crate::principal::{Authenticator, LocalOwner};
use crate::service::sessions::Bodies;
use crate::sse::Streams;
use async_trait::async_trait;
use bytes::Bytes;
use open_cowork_config::cloud::EffectiveProfile;
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_contracts::api::capabilities::Capabilities;
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::api::workspace::ProgressSnapshot;
use open_cowork_policy::capability::{self, Features};
use open_cowork_providers::billing::Billing;
use open_cowork_providers::bus::{EventBus, LocalBus};
use open_cowork_providers::executor::Executor;
use open_cowork_providers::objects::ObjectStore;
use open_cowork_providers::secrets::Secrets;
use open_cowork_providers::store::ControlPlane;
use open_cowork_providers::store::execution::QueueLimits;
use open_cowork_providers::time::Timestamp;
use open_cowork_thread_log::ThreadLog;
use secrecy::SecretString;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The cloud of one process. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Cloud(Arc<Shared>);

struct Shared {
    services: Services,
    bodies: Bodies,
    streams: Streams,
    description: OnceLock<Bytes>,
    readiness: Readiness,
    draining: CancellationToken,
}

impl Cloud {
    /// A cloud over these services. Make it inside a Tokio runtime, and [`Cloud::drain`] it at the end.
    pub fn new(services: Services) -> Self {
        let draining = CancellationToken::new();
        let streams = Streams::start(&services, &draining);
        Cloud(Arc::new(Shared {
            bodies: Bodies::default(),
            streams,
            description: OnceLock::new(),
            readiness: Readiness::default(),
            draining,
            services,
        }))
    }

    /// Ends all streams, so that their clients go elsewhere, and makes readiness and new streams say so. Requests
    /// go on. Waits for the tasks of this cloud.
    pub async fn drain(&self) {
        self.0.draining.cancel();
        self.0.streams.stopped().await;
    }

    /// True from [`Cloud::drain`] on.
    pub fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.0.draining
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.0.bodies
    }

    /// The streams of this process.
    pub fn streams(&self) -> &Streams {
        &self.0.streams
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// The OpenAPI document of this cloud, written once.
    pub(crate) fn description(&self) -> Bytes {
        let written = self.0.description.get_or_init(|| {
            let routes = crate::http::routes(&self.options);
            Bytes::from(crate::openapi::document(&routes).to_string())
        });
        written.clone()
    }
}

impl Deref for Cloud {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0.services
    }
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cloud")
    }
}

/// The clock of this process. Injected, so that tests own it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a cloud is made of.
pub struct Services {
    /// Every domain of the control plane.
    pub store: Arc<dyn ControlPlane>,
    /// The threads' log over that store.
    pub log: ThreadLog,
    /// Bytes by key; without one, artifacts are 503.
    pub objects: Option<Arc<dyn ObjectStore>>,
    /// Secrets at rest.
    pub secrets: Arc<dyn Secrets>,
    /// Wake-ups between processes.
    pub bus: Arc<dyn EventBus>,
    /// A worker in this process; `None`: commands wait for one elsewhere.
    pub executor: Option<Arc<dyn Executor>>,
    /// Tells who asks.
    pub authenticator: Arc<dyn Authenticator>,
    /// The time.
    pub clock: Clock,
    /// Asked by readiness, beside the server's own checks.
    pub checks: Vec<Arc<dyn Check>>,
    /// Where the runs of this process are (01 §14); `None`: no watchdog.
    pub progress: Option<Arc<dyn Fn() -> ProgressSnapshot + Send + Sync>>,
    /// Renders the metrics of `GET /api/metrics`.
    pub metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    /// What governance needs beside the store: who may join, how tokens and keys are kept.
    pub governance: Governance,
    /// Whoever bills; `None`: nobody, and nothing is limited by a plan.
    pub billing: Option<Arc<dyn Billing>>,
    /// How it behaves.
    pub options: Options,
}

impl Services {
    /// Services with a local bus, the local owner, the system's clock and default options.
    pub fn new(store: Arc<dyn ControlPlane>, log: ThreadLog, secrets: Arc<dyn Secrets>) -> Self {
        Services {
            store,
            log,
            objects: None,
            secrets,
            bus: Arc::new(LocalBus::default()),
            executor: None,
            authenticator: Arc::new(LocalOwner::default()),
            clock: Arc::new(Timestamp::now),
            checks: Vec::new(),
            progress: None,
            metrics: None,
            governance: Governance::default(),
            billing: None,
            options: Options::default(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The time now as records carry it.
    pub fn now_iso(&self) -> String {
        open_cowork_providers::time::iso(self.now())
    }
}

/// One check of readiness (04 §11).
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// Its name: `billing_adapter`, `auth_config`, `role_dependencies`, `execution_isolation`, ….
    fn name(&self) -> &str;

    /// Nothing, or what is wrong, without a secret.
    ///
    /// # Errors
    /// One sentence.
    async fn run(&self) -> Result<(), String>;
}

/// How a cloud behaves, as plain data (03 §3).
#[derive(Clone, Debug)]
pub struct Options {
    /// What this process does.
    pub role: CloudRole,
    /// The address that the outside uses, without a slash at its end.
    pub public_url: Option<String>,
    /// The one origin that may call from a browser.
    pub cors_origin: Option<String>,
    /// The profile that sessions run under: features, allow-lists.
    pub profile: EffectiveProfile,
    /// Where an identity provider sends a browser back to.
    pub callback_path: String,
    /// The branding that `GET /api/config` shows; null without one.
    pub public_branding: serde_json::Value,
    /// Tools and skills that the configuration offers ([`crate::service::capabilities::catalogue`]).
    pub capabilities: Arc<Capabilities>,
    /// What an organisation may use up.
    pub quotas: Quotas,
    /// Shows that a caller belongs to this deployment (`x-open-cowork-internal-token`); none: nobody does.
    pub internal_token: Option<SecretString>,
    /// Bounds of requests and streams.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let profile = EffectiveProfile {
            name: "full".into(),
            features: capability::default_features(),
            agents: None,
            tools: None,
            mcps: None,
            allow_machine_runtime_config: false,
            allow_local_stdio_mcps: false,
            allow_host_project_directories: false,
            allow_remote_approval_responses: true,
            allowed_local_mcp_names: Vec::new(),
            allowed_host_project_directories: Vec::new(),
        };
        Options {
            role: CloudRole::AllInOne,
            public_url: None,
            cors_origin: None,
            profile,
            callback_path: "/auth/callback".into(),
            public_branding: serde_json::Value::Null,
            capabilities: Arc::default(),
            quotas: Quotas::default(),
            internal_token: None,
            limits: Limits::default(),
        }
    }
}

/// What an organisation may use up (03 §5.3). The default is no limit; a deployment's come from its settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotas {
    /// Threads that are in use ([`crate::service::sessions::IN_USE`]), at once.
    pub concurrent_sessions: Option<u64>,
    /// Prompts of people per hour.
    pub prompts_per_hour: Option<u64>,
    /// Prompts that come through channels, per hour.
    pub gateway_prompts_per_hour: Option<u64>,
    /// Runs of playbooks per hour.
    pub workflow_runs_per_hour: Option<u64>,
    /// Runs of playbooks at once.
    pub concurrent_workflow_runs: Option<u64>,
    /// Deliveries to channels per hour.
    pub gateway_deliveries_per_hour: Option<u64>,
    /// Channels that are not disabled.
    pub gateway_channel_bindings: Option<u64>,
    /// Minutes of workers per hour.
    pub worker_minutes_per_hour: Option<u64>,
    /// Bytes of deliverables per day.
    pub artifact_bytes_per_day: Option<u64>,
    /// Open commands.
    pub queue: QueueLimits,
}

impl Quotas {
    /// The limit of a quota over time.
    #[must_use]
    pub fn limit(&self, key: QuotaKey) -> Option<u64> {
        match key {
            QuotaKey::PromptsHour => self.prompts_per_hour,
            QuotaKey::WorkflowRunsHour => self.workflow_runs_per_hour,
            QuotaKey::GatewayPromptsHour => self.gateway_prompts_per_hour,
            QuotaKey::GatewayDeliveriesHour => self.gateway_deliveries_per_hour,
            QuotaKey::WorkerMinutesHour => self.worker_minutes_per_hour,
            QuotaKey::ArtifactBytesDay => self.artifact_bytes_per_day,
        }
    }
}

impl Options {
    /// The switches of the profile.
    pub fn features(&self) -> &Features {
        &self.profile.features
    }
}

/// Bounds of requests and streams (03 §1.2, §5, §9.5).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of an ordinary JSON body.
    pub body: usize,
    /// Bytes of an import or a buffered upload.
    pub large_body: usize,
    /// Bytes of a webhook.
    pub webhook_body: usize,
    /// Time in which a request must have arrived.
    pub receive: Duration,
    /// Time that a read may wait for the store.
    pub patience: Duration,
    /// Connections of this process.
    pub connections: usize,
    /// Requests per scope and window; `None`: no limit.
    pub requests: Option<RequestRate>,
    /// Streams per organisation in this process.
    pub streams_per_org: usize,
    /// Longest life of a stream.
    pub stream_lifetime: Duration,
    /// Time between two keep-alives of a stream.
    pub keep_alive: Duration,
    /// Time between two looks at what other processes wrote, when no wake-ups arrive.
    pub poll: Duration,
    /// Time between two checks whether a stream's principal may still read.
    pub revalidate: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency: Duration,
}

/// A rate of requests: `max` at once, refilled over `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests of a full bucket.
    pub max: u32,
    /// Time in which an empty bucket fills.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 1024 * 1024,
            large_body: 35 * 1024 * 1024,
            webhook_body: 256 * 1024,
            receive: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            connections: 10_000,
            requests: Some(RequestRate {
                max: 600,
                window: Duration::from_secs(60),
            }),
            streams_per_org: 200,
            stream_lifetime: Duration::from_secs(30 * 60),
            keep_alive: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            revalidate: Duration::from_secs(180),
            idempotency: Duration::from_secs(24 * 60 * 60),
        }
    }
}
