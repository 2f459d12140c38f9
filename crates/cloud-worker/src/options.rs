//! How a worker behaves. The defaults are the contract's (04 §3.2, §4.2, §14).

use crate::error::WorkerError;
use crate::place::Places;
use crate::progress::Watchdog;
use open_cowork_config::cloud::EffectiveProfile;
use open_cowork_config::model::Config;
use open_cowork_contracts::api::workspace::ProcessRole;
use open_cowork_providers::billing::Billing;
use open_cowork_runtime_host::launch::Launcher;
use open_cowork_runtime_host::watchdog::Limits;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What stands between two users' agents (04 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A process and a home per user, nothing else: whatever an allowed command may read, it can read of others
    /// too. For development and for people who trust each other. It must be chosen explicitly.
    DevelopmentProcess,
}

impl Isolation {
    /// The mode of that name.
    ///
    /// # Errors
    /// [`WorkerError::Isolation`] for a mode that this version doesn't have; nothing weaker is ever chosen instead.
    pub fn parse(mode: &str) -> Result<Self, WorkerError> {
        match mode {
            "development-process" => Ok(Isolation::DevelopmentProcess),
            other => Err(WorkerError::Isolation(
                other.chars().filter(|c| !c.is_control()).take(64).collect(),
            )),
        }
    }

    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::DevelopmentProcess => "development-process",
        }
    }
}

/// How many runtimes, and for how long (04 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeLimits {
    /// Most OpenCode processes of this worker at a time; a hard cap.
    pub max_entries: usize,
    /// A runtime that nobody used for so long is stopped.
    pub idle_ttl: Duration,
    /// Most scopes that may wait for a runtime.
    pub queue: usize,
    /// Longest wait for a runtime.
    pub admission_timeout: Duration,
    /// Longest start, the wait for the home of a worker that is just dying included.
    pub provision_timeout: Duration,
}

impl Default for RuntimeLimits {
    fn default() -> Self {
        RuntimeLimits {
            max_entries: 100,
            idle_ttl: Duration::from_secs(30 * 60),
            queue: 100,
            admission_timeout: Duration::from_secs(30),
            provision_timeout: Duration::from_secs(120),
        }
    }
}

/// How a worker behaves.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Names this worker among all (04 §4.3).
    pub worker_id: String,
    /// What the process does, for the heartbeat.
    pub role: ProcessRole,
    /// Life of a lease without renewal. A dead worker's scopes are taken over after it.
    pub lease_ttl: Duration,
    /// How often is looked for work when no wake-up says so.
    pub poll: Duration,
    /// Sessions whose commands are executed at the same time.
    pub session_concurrency: usize,
    /// Most commands of one session in a row before others get their turn.
    pub commands_per_session: usize,
    /// Most sessions that this worker holds at a time; beyond, others wait and idle ones are let go.
    pub max_sessions: usize,
    /// Most sessions of one organisation that all workers hold at a time; absent: unlimited (04 §2.9).
    pub active_sessions_per_org: Option<u32>,
    /// Where homes and workspaces live.
    pub places: Places,
    /// OpenCode's program; absent: `opencode` in `PATH`.
    pub opencode: Option<PathBuf>,
    /// The program between us and OpenCode.
    pub launcher: Launcher,
    /// Accept OpenCode versions that were not tested.
    pub allow_untested: bool,
    /// What stands between users.
    pub isolation: Isolation,
    /// How many runtimes.
    pub runtimes: RuntimeLimits,
    /// Limits of one turn.
    pub turn: Limits,
    /// What is done about runs without progress.
    pub watchdog: Watchdog,
    /// The product's configuration.
    pub config: Arc<Config>,
    /// Where the files are that the options of its providers name, by the path as written
    /// ([`open_cowork_config::source::option_files`]); they are read at each start of a runtime.
    pub option_files: BTreeMap<String, PathBuf>,
    /// The profile that runtimes are started under; absent: nothing is restricted.
    pub profile: Option<EffectiveProfile>,
    /// Minutes that turns of one organisation may run per hour; absent: unlimited. Beyond, prompts wait.
    pub worker_minutes_per_hour: Option<u64>,
    /// Whoever bills; absent: nobody. Where it says no, prompts wait.
    pub billing: Option<Arc<dyn Billing>>,
    /// Uses are recorded (off with `abuse.enabled=false`, 04 §2.9).
    pub record_usage: bool,
    /// Model endpoint used while no provider has a key: the scripted demo model.
    pub demo_endpoint: Option<String>,
}

impl WorkerOptions {
    /// The defaults of the contract for that worker, root and configuration.
    #[must_use]
    pub fn new(
        worker_id: impl Into<String>,
        root: impl Into<PathBuf>,
        config: Arc<Config>,
    ) -> Self {
        WorkerOptions {
            worker_id: worker_id.into(),
            role: ProcessRole::AllInOne,
            lease_ttl: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            session_concurrency: 4,
            commands_per_session: 50,
            max_sessions: 4096,
            active_sessions_per_org: None,
            places: Places::new(root),
            opencode: None,
            launcher: Launcher::default(),
            allow_untested: false,
            isolation: Isolation::DevelopmentProcess,
            runtimes: RuntimeLimits::default(),
            turn: Limits::default(),
            watchdog: Watchdog::default(),
            config,
            option_files: BTreeMap::new(),
            profile: None,
            worker_minutes_per_hour: None,
            billing: None,
            record_usage: true,
            demo_endpoint: None,
        }
    }

    /// Every finding at once.
    pub(crate) fn check(&self) -> Result<(), WorkerError> {
        let mut findings = Vec::new();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let id = &self.worker_id;
        if id.is_empty()
            || id.len() > 128
            || !id.chars().all(plain)
            || !id.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            findings.push(
                "The worker id must be 1 to 128 letters, digits, '.', '_' or '-', and begin with a letter or digit."
                    .to_owned(),
            );
        }
        if self.lease_ttl < Duration::from_secs(1) {
            findings.push("The lease must live for at least one second.".to_owned());
        }
        if self.poll.is_zero() {
            findings.push("The poll interval must not be zero.".to_owned());
        }
        if !(1..=32).contains(&self.session_concurrency) {
            findings.push("1 to 32 sessions can be worked on at the same time.".to_owned());
        }
        if self.max_sessions == 0 {
            findings.push("At least one session must be allowed.".to_owned());
        }
        if self.watchdog.sweep.is_zero() {
            findings.push("The watchdog's interval must not be zero.".to_owned());
        }
        if self.runtimes.max_entries == 0 {
            findings.push("At least one runtime must be allowed.".to_owned());
        }
        match findings.is_empty() {
            true => Ok(()),
            false => Err(WorkerError::Options(findings)),
        }
    }
}

impl fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("worker_id", &self.worker_id)
            .field("role", &self.role)
            .field("lease_ttl", &self.lease_ttl)
            .field("isolation", &self.isolation)
            .field("runtimes", &self.runtimes)
            .finish_non_exhaustive()
    }
}
