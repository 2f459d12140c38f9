//! The OpenCode of one user: home, process, host (decision 24).
//!
//! A process is started when the first command needs it, started anew at a turn boundary when the organisation's
//! keys or policy changed, and started again when it died with turns open, so that these can be compared with
//! its history and ended.

use crate::capacity::{CapacityError, CapacityReason};
use crate::parts::Shared;
use crate::provision::{self, ProvisionError, SHORTEST_KEY};
use crate::sink::ScopeSink;
use open_cowork_contracts::{SessionId, SessionStatus};
use open_cowork_providers::store::{Scope, SessionRow};
use open_cowork_runtime_host::binary;
use open_cowork_runtime_host::error::HostError;
use open_cowork_runtime_host::home::RuntimeHome;
use open_cowork_runtime_host::host::{HostOptions, LinkState, RuntimeHost, TurnError};
use open_cowork_runtime_host::sink::SinkError;
use open_cowork_runtime_host::supervise::{Exit, LaunchSpec, Running, Supervisor};
use secrecy::ExposeSecret as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at a home that a dying worker still holds.
const HOME_RETRY: Duration = Duration::from_millis(100);
/// Until the event stream of a started OpenCode is open.
const ONLINE_WITHIN: Duration = Duration::from_secs(15);

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Try again in a moment.
    #[error(transparent)]
    Capacity(#[from] CapacityError),
    /// Keys, policy or configuration.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The thread.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why a thread can't be opened on a runtime.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Its folder isn't permitted, or can't be made; trying again won't help.
    #[error("{0}")]
    Folder(String),
    /// The host, OpenCode or the log.
    #[error(transparent)]
    Turn(#[from] TurnError),
}

impl StartError {
    /// Trying the same again in a moment may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            StartError::Capacity(_) => true,
            StartError::Provision(error) => error.is_transient(),
            StartError::Open(OpenError::Turn(_)) => true,
            StartError::Open(OpenError::Folder(_)) => false,
        }
    }
}

impl From<HostError> for StartError {
    fn from(error: HostError) -> Self {
        StartError::Provision(error.into())
    }
}

/// The runtime of a scope.
pub(crate) struct ScopeRuntime {
    shared: Arc<Shared>,
    scope: Scope,
    sink: Arc<ScopeSink>,
    home: Arc<RuntimeHome>,
    supervisor: Supervisor,
    pub(crate) host: RuntimeHost,
    process: Mutex<Process>,
    exits: mpsc::Sender<Exit>,
}

#[derive(Default)]
struct Process {
    running: Option<Running>,
    /// What it was started with.
    stamp: String,
    /// Follows the process to its end.
    watcher: Option<AbortOnDropHandle<()>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl ScopeRuntime {
    /// Takes the home of a scope, for which its lease is needed. `exits` hears of processes that ended.
    pub(crate) async fn open(
        shared: Arc<Shared>,
        scope: Scope,
        sink: Arc<ScopeSink>,
        exits: mpsc::Sender<Exit>,
    ) -> Result<Self, StartError> {
        let permit = shared.capacity.admit().await?;
        let home = open_home(&shared, &scope).await?;
        let host = RuntimeHost::new(
            sink.clone(),
            HostOptions {
                limits: shared.options.turn,
            },
        );
        Ok(ScopeRuntime {
            supervisor: Supervisor::default(),
            host,
            process: Mutex::new(Process {
                permit: Some(permit),
                ..Process::default()
            }),
            shared,
            scope,
            sink,
            home: Arc::new(home),
            exits,
        })
    }

    /// Starts OpenCode unless it runs. With `current`, one that was started with other keys or another policy is
    /// started anew, if no turn runs; else the caller waits for the turn boundary.
    pub(crate) async fn ready(&self, current: bool) -> Result<(), StartError> {
        // Held over awaits on purpose: one start at a time, and whoever needs the process waits for it anyway.
        let mut process = self.process.lock().await;
        if process
            .running
            .as_ref()
            .is_some_and(|running| running.exited().borrow().is_some())
        {
            self.ended(&mut process).await;
        }
        if process.running.is_some() && !current {
            return Ok(());
        }
        let store = &*self.shared.parts.store;
        let grants = provision::grants(store, &self.scope.tenant_id).await?;
        if process.running.is_some() {
            if grants.stamp == process.stamp {
                return Ok(());
            }
            if self.any_turn().await {
                return Err(CapacityError {
                    reason: CapacityReason::CleanupPending,
                }
                .into());
            }
            tracing::info!(tenant = %self.scope.tenant_id, "keys or policy changed; OpenCode is started anew");
            self.end_process(&mut process).await;
        }
        let config =
            provision::config(&self.shared, &self.scope, &grants, self.home.paths()).await?;
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let opencode = binary::resolve(self.shared.options.opencode.as_deref(), &search_path)?;
        let mut spec = LaunchSpec::new(opencode, self.home.clone(), Arc::new(config));
        spec.environment.web_search = spec.config.offers_web_search();
        // What an agent writes into its folder must not become configuration (04 §4.1).
        spec.environment.ignore_project_config = true;
        spec.launcher = self.shared.options.launcher.clone();
        spec.allow_untested = self.shared.options.allow_untested;
        let limit = self.shared.options.runtimes.provision_timeout;
        let began = Instant::now();
        let running = tokio::time::timeout(limit, self.supervisor.start(&spec))
            .await
            .map_err(|_| CapacityError {
                reason: CapacityReason::ProvisionTimeout,
            })??;
        metrics::histogram!("open_cowork_cloud_runtime_creation_duration_ms")
            .record(began.elapsed().as_secs_f64() * 1000.0);
        for remark in &running.verdict().reasons {
            tracing::warn!("{remark}");
        }
        // The agent's shell has it in its environment, and it opens OpenCode's door.
        let password = running.password().expose_secret();
        if password.len() >= SHORTEST_KEY {
            self.shared.parts.redactor.learn([password]);
        }
        process.watcher = Some(self.watch(&running));
        process.stamp = grants.stamp;
        self.host.attach_process(&running);
        process.running = Some(running);
        self.online().await
    }

    /// Waits until the event stream is open.
    async fn online(&self) -> Result<(), StartError> {
        let mut link = self.host.link();
        let online = link.wait_for(|link| *link == LinkState::Online);
        match tokio::time::timeout(ONLINE_WITHIN, online).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(HostError::Start {
                message: "its event stream doesn't open".to_owned(),
                tail: String::new(),
            }
            .into()),
        }
    }

    fn watch(&self, running: &Running) -> AbortOnDropHandle<()> {
        let (mut exited, exits) = (running.exited(), self.exits.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let exit = match exited.wait_for(Option::is_some).await {
                Ok(exit) => exit.clone(),
                Err(_) => None,
            };
            if let Some(exit) = exit {
                let _ = exits.send(exit).await;
            }
        }))
    }

    /// The process has ended by itself.
    pub(crate) async fn note_exit(&self, exit: &Exit) {
        let mut process = self.process.lock().await;
        if process
            .running
            .as_ref()
            .is_some_and(|running| running.exited().borrow().is_none())
        {
            return; // of the one before
        }
        tracing::warn!(tenant = %self.scope.tenant_id, code = ?exit.code, signal = ?exit.signal, "an OpenCode ended by itself");
        self.ended(&mut process).await;
    }

    async fn ended(&self, process: &mut Process) {
        let Some(running) = process.running.take() else {
            return;
        };
        self.host.detach();
        let exit = running.wait().await;
        self.supervisor.note_exit(&exit).await;
        if let Err(error) = self.home.forget_config() {
            tracing::warn!(%error, "the config of an ended OpenCode stays on disk");
        }
    }

    /// True while a turn of this runtime runs.
    async fn any_turn(&self) -> bool {
        for thread in self.host.open_threads() {
            let key = self.sink.key(&thread);
            let running = self
                .sink
                .log()
                .read(&key, |state| state.view.status == SessionStatus::Running);
            if running.await.unwrap_or(true) {
                return true;
            }
        }
        false
    }

    /// Opens a thread on the runtime, binding a new runtime session when there is none or it is lost. What
    /// OpenCode's history has more than the log is appended.
    pub(crate) async fn open_thread(&self, row: &SessionRow) -> Result<(), OpenError> {
        let thread = &row.session.session_id;
        if self.host.is_open(thread) {
            return Ok(());
        }
        let folder = self.folder(row)?;
        let bound = Some(&row.session.opencode_session_id).filter(|session| !session.is_empty());
        let opened = match self.host.open(thread, bound, &folder).await {
            Err(TurnError::SessionLost(_)) => self.host.open(thread, None, &folder).await,
            opened => opened,
        };
        let session = opened?;
        if bound != Some(&session)
            && let Err(error) = self.sink.bind(thread, &session).await
        {
            self.host.close(thread);
            return Err(TurnError::Sink(SinkError(error.to_string())).into());
        }
        Ok(())
    }

    /// The managed folder of a session, or the one that it was made for where the profile permits it.
    fn folder(&self, row: &SessionRow) -> Result<PathBuf, OpenError> {
        let options = &self.shared.options;
        let Some(folder) = row.directory.as_deref().filter(|folder| !folder.is_empty()) else {
            let made = options
                .places
                .workspace(&self.sink.key(&row.session.session_id));
            return made.map_err(|error| {
                OpenError::Folder(format!(
                    "The workspace of this thread can't be made ({error}); check the worker's root folder."
                ))
            });
        };
        let managed = [options.places.workspaces()];
        let permitted = options
            .profile
            .as_ref()
            .is_some_and(|profile| profile.host_directory(folder, &managed));
        match permitted && std::path::Path::new(folder).is_dir() {
            true => Ok(PathBuf::from(folder)),
            false => Err(OpenError::Folder(
                "The folder of this thread is not permitted here, or not there; start a new thread."
                    .to_owned(),
            )),
        }
    }

    /// Marks every open turn as interrupted: OpenCode doesn't come back.
    pub(crate) async fn lost(&self) {
        self.host.lost().await;
    }

    /// Lets a thread go. Its session in OpenCode stays.
    pub(crate) fn close_thread(&self, thread: &SessionId) {
        self.host.close(thread);
    }

    /// Ends OpenCode and everything below it, and gives its place back when nothing of it is left.
    pub(crate) async fn stop(&self) {
        for thread in self.host.open_threads() {
            self.host.close(&thread);
        }
        let mut process = self.process.lock().await;
        self.end_process(&mut process).await;
        process.permit = None;
    }

    async fn end_process(&self, process: &mut Process) {
        process.watcher = None;
        self.host.detach();
        let Some(running) = process.running.take() else {
            return;
        };
        let mut exited = running.exited();
        if let Err(error) = running.stop().await {
            tracing::error!(%error, "an OpenCode did not end in time; its place stays taken until it has");
            metrics::counter!("open_cowork_cloud_runtime_cache_close_failures_total").increment(1);
            let _ = exited.wait_for(Option::is_some).await;
        }
    }
}

/// Opens the home. A worker that is just dying may hold it for a moment.
async fn open_home(shared: &Shared, scope: &Scope) -> Result<RuntimeHome, StartError> {
    let folder = shared.options.places.home(scope);
    let deadline = Instant::now() + shared.options.runtimes.provision_timeout;
    loop {
        let place = folder.clone();
        let opened = tokio::task::spawn_blocking(move || RuntimeHome::open(&place)).await;
        match opened {
            Ok(Ok(home)) => return Ok(home),
            Ok(Err(HostError::HomeLocked { .. })) if Instant::now() < deadline => {
                tokio::time::sleep(HOME_RETRY).await;
            }
            Ok(Err(HostError::HomeLocked { .. })) | Err(_) => {
                return Err(CapacityError {
                    reason: CapacityReason::CleanupPending,
                }
                .into());
            }
            Ok(Err(error)) => return Err(error.into()),
        }
    }
}
