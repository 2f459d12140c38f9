//! The engine: opens everything in order, keeps OpenCode running, closes everything in order.

use crate::branding::{Look, look_of};
use crate::config;
use crate::data::DataDir;
use crate::error::DesktopError;
use crate::folder;
use crate::offer::{Offer, default_provider};
use crate::prompt::Sending;
use crate::runtime::{self, Phase};
use crate::settings::{ProviderSettings, SettingsStore};
use crate::sink::LogSink;
use crate::workspace::LocalWorkspace;
use open_cowork_config::load::Loaded;
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::store::{Scope, Store};
use open_cowork_runtime_host::config::RuntimeInputDiagnostics;
use open_cowork_runtime_host::gate::Gate;
use open_cowork_runtime_host::home::RuntimeHome;
use open_cowork_runtime_host::host::{HostOptions, RuntimeHost};
use open_cowork_runtime_host::launch::Launcher;
use open_cowork_runtime_host::memory::MemoryReport;
use open_cowork_runtime_host::watchdog::Limits;
use open_cowork_store::SqliteStore;
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The one tenant of a desktop.
pub(crate) const TENANT: &str = "local";
/// The one user of a desktop.
pub(crate) const USER: &str = "local";

/// How a desktop works.
#[derive(Clone, Debug)]
pub struct DesktopOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// OpenCode's program; absent: `opencode` in `PATH`.
    pub opencode: Option<PathBuf>,
    /// The configuration; absent: the product's own ([`config::product`]).
    pub config: Option<Arc<Loaded>>,
    /// Model endpoint used while no provider is set up: the scripted demo model.
    pub demo_endpoint: Option<String>,
    /// Folder of new chats; absent: the demo workspace of the data folder.
    pub workspace: Option<PathBuf>,
    /// Accept OpenCode versions that were not tested.
    pub allow_untested: bool,
    /// The program between us and OpenCode. The default needs `run_if_launcher` first in `main`.
    pub launcher: Launcher,
    /// Limits of one turn.
    pub limits: Limits,
}

impl DesktopOptions {
    /// The defaults for a data folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        DesktopOptions {
            data_dir: data_dir.into(),
            opencode: None,
            config: None,
            demo_endpoint: None,
            workspace: None,
            allow_untested: false,
            launcher: Launcher::default(),
            limits: Limits::default(),
        }
    }
}

/// What the parts share.
pub(crate) struct Shared {
    pub(crate) options: DesktopOptions,
    /// The configuration in force.
    pub(crate) config: Arc<Loaded>,
    /// What the page looks like by it.
    pub(crate) look: Look,
    pub(crate) data: DataDir,
    pub(crate) home: Arc<RuntimeHome>,
    pub(crate) settings: SettingsStore,
    pub(crate) gate: Arc<Gate>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) log: ThreadLog,
    pub(crate) sink: Arc<LogSink>,
    pub(crate) host: RuntimeHost,
    pub(crate) phase: watch::Sender<Phase>,
    /// Settings changed, or the user wants another try.
    pub(crate) restart: Notify,
    pub(crate) closing: CancellationToken,
    /// Memory of OpenCode, as last measured, and what its compatibility probe said.
    pub(crate) runtime_facts: Mutex<RuntimeFacts>,
    pub(crate) default_directory: PathBuf,
    /// Prompts with a key that are on their way.
    pub(crate) sending: Sending,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RuntimeFacts {
    pub(crate) memory: Option<MemoryReport>,
    pub(crate) remarks: Vec<String>,
    /// What it was given, and why.
    pub(crate) inputs: Option<Arc<RuntimeInputDiagnostics>>,
}

impl Shared {
    pub(crate) fn scope(&self) -> Scope {
        Scope::new(TENANT, USER)
    }

    /// The settings in force: the stored ones, else the demo model, else the configuration's default provider
    /// if it needs nothing from the user.
    pub(crate) fn effective(&self) -> Result<Option<(ProviderSettings, bool)>, DesktopError> {
        if let Some(settings) = self.settings.load()? {
            return Ok(Some((settings, false)));
        }
        let demo = self.options.demo_endpoint.as_ref().map(|endpoint| {
            let settings = ProviderSettings {
                provider: "custom".to_owned(),
                base_url: Some(endpoint.clone()),
                model: "fake-model".to_owned(),
            };
            (settings, true)
        });
        Ok(demo.or_else(|| Some((default_provider(self.config.config())?, false))))
    }
}

/// An open desktop. Close it with [`Desktop::close`]; dropping it leaves the end of OpenCode to its launcher.
pub struct Desktop {
    shared: Arc<Shared>,
    manager: JoinHandle<()>,
}

impl Desktop {
    /// Opens the data folder, its threads and the runtime home, and starts OpenCode in the background. The
    /// page can be served at once; threads whose turn was cut short catch up when OpenCode is there.
    ///
    /// # Errors
    /// One sentence: the folder is in use, read-only, full, or its database is damaged.
    pub async fn open(options: DesktopOptions) -> Result<Desktop, DesktopError> {
        let config = match &options.config {
            Some(config) => config.clone(),
            None => config::product()?,
        };
        let look = look_of(&config, &config::asset_folders());
        for remark in &look.remarks {
            tracing::warn!("{remark}");
        }
        let chosen = options
            .workspace
            .as_deref()
            .map(folder::existing)
            .transpose()?;
        let data = DataDir::open(&options.data_dir)?;
        let settings = SettingsStore::new(data.root(), Offer::of(config.config()));
        settings.load()?;
        let store = Arc::new(SqliteStore::open(data.database(), Default::default()).await?);
        let home = Arc::new(RuntimeHome::open(data.root())?);
        let gate = Arc::new(Gate::open(data.root()));
        let default_directory = match chosen {
            Some(folder) => folder,
            None => data.demo_workspace()?,
        };
        // Keys that are stored now never enter an event, whatever shape they have.
        let redactor = Arc::new(Redactor::new(settings.all_keys()?));
        let dyn_store: Arc<dyn Store> = store.clone();
        let log = ThreadLog::new(
            dyn_store,
            ThreadLogOptions {
                redactor: redactor.clone(),
                ..Default::default()
            },
        );
        let sink = Arc::new(LogSink {
            log: log.clone(),
            redactor,
            alarms: Mutex::default(),
        });
        let host = RuntimeHost::new(
            sink.clone(),
            HostOptions {
                limits: options.limits,
            },
        );
        let shared = Arc::new(Shared {
            options,
            config,
            look,
            data,
            home,
            settings,
            gate,
            store,
            log,
            sink,
            host,
            phase: watch::Sender::new(Phase::Starting),
            restart: Notify::new(),
            closing: CancellationToken::new(),
            runtime_facts: Mutex::default(),
            default_directory,
            sending: Sending::default(),
        });
        let manager = tokio::spawn(runtime::manage(shared.clone()));
        Ok(Desktop { shared, manager })
    }

    /// The workspace, for a renderer or a terminal.
    pub fn workspace(&self) -> Arc<LocalWorkspace> {
        Arc::new(LocalWorkspace::new(self.shared.clone()))
    }

    /// What the page looks like, by the configuration.
    pub fn look(&self) -> &Look {
        &self.shared.look
    }

    /// The host under the workspace, for diagnostics.
    pub fn host(&self) -> &RuntimeHost {
        &self.shared.host
    }

    /// The log under the workspace, for diagnostics.
    pub fn log(&self) -> &ThreadLog {
        &self.shared.log
    }

    /// Stops OpenCode, stores what waits, closes the database.
    pub async fn close(self) {
        self.shared.closing.cancel();
        if let Err(error) = self.manager.await {
            tracing::error!(%error, "the runtime's manager ended badly");
        }
        self.shared.log.close().await;
        self.shared.store.close().await;
    }
}
