//! A store, a log, a scripted model and workers of this process or of their own.

use open_cowork_adapters::secrets::EnvelopeSecrets;
use open_cowork_cloud_worker::{Worker, WorkerOptions, WorkerParts};
use open_cowork_config::model::Config;
use open_cowork_config::{defaults, merge};
use open_cowork_contracts::api::sessions::{Command, CommandKind, CommandStatus};
use open_cowork_contracts::view::Role;
use open_cowork_contracts::{CommandId, EventType, SessionEventRecord, SessionId, View};
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::bus::{EventBus, LocalBus, Topic};
use open_cowork_providers::executor::Executor as _;
use open_cowork_providers::secrets::Secrets;
use open_cowork_providers::store::execution::{NewCommand, QueueLimits};
use open_cowork_providers::store::{ControlPlane, NewSession, SessionKey};
use open_cowork_providers::time::{Timestamp, iso};
use open_cowork_runtime_host::launch::Launcher;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Also the launcher of OpenCode.
pub(crate) const LAUNCHER: &str = env!("CARGO_BIN_EXE_open-cowork-cloud-worker-launcher");
/// Nothing in these tests takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const TENANT: &str = "acme";
const MASTER_KEY: &str = "Zx81-hV3!pQ9_mL7#tR2+wK6=bN4~yC5";

pub(crate) fn opencode() -> PathBuf {
    open_cowork_testkit::opencode::provision().expect("the pinned OpenCode can be provisioned")
}

pub(crate) fn config(changes: &Value) -> Arc<Config> {
    let mut document = defaults::document();
    merge::merge(&mut document, changes);
    Arc::new(Config::from_value(&document).unwrap())
}

pub(crate) fn secrets() -> Arc<dyn Secrets> {
    Arc::new(EnvelopeSecrets::new(&SecretString::from(MASTER_KEY), &[]))
}

/// Options of a worker below that folder.
pub(crate) fn options(id: &str, root: &Path, endpoint: Option<String>) -> WorkerOptions {
    let mut options = WorkerOptions::new(id, root, config(&json!({})));
    options.opencode = Some(opencode());
    options.launcher = Launcher::Program(LAUNCHER.into());
    options.demo_endpoint = endpoint;
    options
}

/// What a worker of this process and the test share.
pub(crate) struct World {
    pub(crate) store: Arc<dyn ControlPlane>,
    pub(crate) log: ThreadLog,
    pub(crate) bus: Arc<LocalBus>,
    pub(crate) redactor: Arc<Redactor>,
}

impl World {
    /// A control plane in that file.
    pub(crate) async fn open(database: &Path) -> World {
        let store = SqliteStore::open(database, SqliteOptions::default())
            .await
            .unwrap();
        let store: Arc<dyn ControlPlane> = Arc::new(store);
        let redactor = Arc::new(Redactor::default());
        let bus = Arc::new(LocalBus::default());
        let log = ThreadLog::new(
            store.clone(),
            ThreadLogOptions {
                redactor: redactor.clone(),
                // Two processes of a test may share the file.
                shared: true,
                bus: bus.clone(),
                ..ThreadLogOptions::default()
            },
        );
        World {
            store,
            log,
            bus,
            redactor,
        }
    }

    pub(crate) fn parts(&self) -> WorkerParts {
        WorkerParts {
            store: self.store.clone(),
            log: self.log.clone(),
            bus: self.bus.clone(),
            secrets: secrets(),
            redactor: self.redactor.clone(),
            clock: Arc::new(Timestamp::now),
        }
    }

    pub(crate) async fn session(&self, user: &str) -> SessionKey {
        let id = SessionId::new(format!("s-{}", unique()));
        let new = NewSession {
            tenant_id: TENANT.into(),
            user_id: user.into(),
            session_id: id.clone(),
            profile_name: "full".to_owned(),
            title: None,
            directory: None,
            created_at: iso(Timestamp::now()),
        };
        self.log.create_session(new).await.unwrap();
        SessionKey::new(TENANT, id)
    }

    /// Queues a command and says so.
    pub(crate) async fn queue(
        &self,
        key: &SessionKey,
        kind: CommandKind,
        payload: Value,
    ) -> CommandId {
        let row = self.log.session(key).await.unwrap();
        let id = CommandId::new(unique());
        let Value::Object(payload) = payload else {
            panic!("a payload is an object")
        };
        let new = NewCommand {
            command_id: id.clone(),
            key: key.clone(),
            user_id: row.session.user_id.clone(),
            kind,
            payload,
            traceparent: None,
        };
        self.store
            .enqueue(new, QueueLimits::default(), Timestamp::now())
            .await
            .unwrap();
        self.bus.publish(Topic::Commands(key.clone()));
        id
    }

    /// A provider key of the organisation, valid at once.
    pub(crate) async fn key(&self, provider: &str, key: &str) {
        use open_cowork_contracts::api::byok::{ByokSecret, ByokStatus, CredentialKind};
        use open_cowork_providers::store::governance::{ByokVerdict, StoredByok, byok_context};
        use open_cowork_providers::store::{Actor, Stamp};
        let tenant = TENANT.into();
        let org = self.store.org(&tenant).await.unwrap().unwrap();
        let now = Timestamp::now();
        let stamp =
            |word: &str| Stamp::new(Actor::system("test"), now, format!("{word}-{}", unique()));
        let secret_id = format!("byok_{}", unique());
        let context = byok_context(org.org_id.as_str(), provider, &secret_id);
        let ciphertext = secrets()
            .protect(&SecretString::from(key), &context)
            .await
            .unwrap();
        let secret = StoredByok {
            secret: ByokSecret {
                secret_id: secret_id.clone(),
                provider_id: provider.to_owned(),
                status: ByokStatus::PendingValidation,
                credential_kind: CredentialKind::Plaintext,
                last4: "0000".to_owned(),
                key_fingerprint: "0".repeat(24),
                last_validated_at: None,
                validation_error: None,
                created_at: iso(now),
                updated_at: iso(now),
            },
            ciphertext: Some(ciphertext),
            kms_ref: None,
            created_by: None,
            rotated_from: None,
        };
        self.store
            .add_byok(&tenant, &secret, &stamp("add"))
            .await
            .unwrap();
        let verdict = ByokVerdict {
            status: ByokStatus::Active,
            validated: true,
            note: None,
            event_type: "byok_secret.validated",
        };
        self.store
            .judge_byok(&tenant, &secret_id, &verdict, &stamp("judge"))
            .await
            .unwrap();
    }

    /// The tenant, its organisation and this user, as a sign-in makes them.
    pub(crate) async fn person(&self, user: &str) {
        use open_cowork_providers::store::identity::Bootstrap;
        use open_cowork_providers::store::{Actor, Stamp};
        let stamp = Stamp::new(Actor::system("test"), Timestamp::now(), unique());
        let person = Bootstrap {
            tenant_id: TENANT.into(),
            org_id: None,
            tenant_name: "Acme".to_owned(),
            account_id: user.into(),
            idp_subject: None,
            email: format!("{user}@example.test"),
            display_name: None,
            role: open_cowork_contracts::access::BuiltInRole::Owner,
            create_membership: true,
            accept_invite: false,
        };
        self.store.bootstrap(&person, &stamp).await.unwrap();
    }

    pub(crate) async fn prompt(&self, key: &SessionKey, text: &str) -> CommandId {
        self.queue(key, CommandKind::Prompt, json!({ "text": text }))
            .await
    }

    pub(crate) async fn command(&self, key: &SessionKey, id: &CommandId) -> Command {
        self.store.command(key, id).await.unwrap().unwrap()
    }

    pub(crate) async fn view(&self, key: &SessionKey) -> View {
        self.log.refresh(key).await.unwrap();
        self.log
            .read(key, |state| state.view.clone())
            .await
            .unwrap()
    }

    /// Waits until the view says so.
    pub(crate) async fn view_when(
        &self,
        key: &SessionKey,
        what: &str,
        mut condition: impl FnMut(&View) -> bool,
    ) -> View {
        let wait = async {
            loop {
                let view = self.view(key).await;
                if condition(&view) {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(view) => view,
            Err(_) => panic!("{what}: {:#?}", self.view(key).await),
        }
    }

    pub(crate) async fn command_when(
        &self,
        key: &SessionKey,
        id: &CommandId,
        status: CommandStatus,
    ) {
        let wait = async {
            while self.command(key, id).await.status != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("not {status:?}: {:#?}", self.command(key, id).await);
        }
    }

    pub(crate) async fn events(&self, key: &SessionKey) -> Vec<Arc<SessionEventRecord>> {
        let mut events: Vec<Arc<SessionEventRecord>> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.sequence);
            let page = self.store.list_events(key, after, 1000).await.unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }

    /// The view equals the fold of its log, and the log has no gap.
    pub(crate) async fn assert_fold(&self, key: &SessionKey) {
        let view = self.view(key).await;
        let status = self.log.status(key).await.unwrap();
        assert_eq!(status.event_count, status.latest_event_sequence, "dense");
        self.log.repair(key).await.unwrap();
        assert_eq!(
            self.view(key).await,
            view,
            "the view is the fold of the log"
        );
    }
}

/// A world with one worker of this process.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) worker: Arc<Worker>,
    _model: ScriptedModel,
    pub(crate) root: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Rig {
        Rig::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut WorkerOptions)) -> Rig {
        let model = ScriptedModel::start().await.unwrap();
        let root = tempfile::tempdir().unwrap();
        let world = World::open(&root.path().join("control-plane.db")).await;
        let mut options = options("w1", root.path(), Some(model.base_url()));
        change(&mut options);
        let worker = Worker::start(world.parts(), options).unwrap();
        Rig {
            world,
            worker,
            _model: model,
            root,
        }
    }

    /// Runs what is queued, as the HTTP side does.
    pub(crate) async fn process(&self, key: &SessionKey) -> u32 {
        self.worker.process(key).await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.worker.drain(Duration::from_secs(5)).await;
        self.world.log.close().await;
        assert_eq!(
            processes_of(self.root.path()),
            Vec::<(u32, String)>::new(),
            "nothing of the worker is left"
        );
    }
}

pub(crate) fn answers(view: &View) -> Vec<&str> {
    let messages = view.messages.iter();
    messages
        .filter(|message| message.role == Role::Assistant)
        .map(|message| message.content.as_str())
        .collect()
}

pub(crate) fn count(events: &[Arc<SessionEventRecord>], kind: &EventType) -> usize {
    events.iter().filter(|event| event.kind == *kind).count()
}

pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (pid, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{pid:08x}-0000-4000-8000-{n:012x}")
}

/// Processes of this machine whose environment or arguments name that folder, as an OpenCode home does.
pub(crate) fn processes_of(root: &Path) -> Vec<(u32, String)> {
    let needle = root.canonicalize().unwrap().to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let read =
                |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            let ours = arguments.contains(&needle) || environment.contains(&needle);
            ours.then_some((pid, arguments))
        })
        .collect()
}

/// Process ids of the running OpenCodes below that folder.
pub(crate) fn opencodes_of(root: &Path) -> Vec<u32> {
    let serving = |(pid, arguments): (u32, String)| {
        let name = arguments.split(' ').next().unwrap_or_default();
        (name.ends_with("opencode") && arguments.contains(" serve ")).then_some(pid)
    };
    processes_of(root).into_iter().filter_map(serving).collect()
}
