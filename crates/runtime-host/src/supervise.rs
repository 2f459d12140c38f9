//! Starts one OpenCode, proves that it is ready, follows it to its end (05 §5, 08 §1, §15.2).
//!
//! Ready means: it printed its address, it answers its health with a version that we can work with, it refuses
//! a call without the password, it has the routes that we rely on, and its event stream has begun. A listening
//! socket alone is not readiness.

mod link;
mod ready;

use crate::breaker::{Breaker, BreakerLimits, StartVerdict};
use crate::config::ComposedConfig;
use crate::environment::{self, EnvironmentOptions};
use crate::error::HostError;
use crate::home::RuntimeHome;
use crate::launch::protocol::{Boot, FromLauncher, ToLauncher};
use crate::launch::{Launcher, stray};
use crate::memory::{self, MemoryReport};
use crate::probe::{Verdict, VerdictLevel};
use base64::Engine;
use open_cowork_opencode::{Client, ClientConfig};
use secrecy::{ExposeSecret, SecretString};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::ChildStdin;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use link::{first_answer, read_messages, send, spawn_launcher};
use ready::prove_ready;

/// User name of the server (05 §5.1).
pub const USERNAME: &str = "opencode";
/// For the launcher to end everything: SIGTERM, 2 s, SIGKILL, sweep.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// How much OpenCode writes into its log. It also decides what it prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Milestones.
    Info,
    /// Odd things.
    Warn,
    /// Failures only.
    #[default]
    Error,
}

impl LogLevel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// How to start OpenCode.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// OpenCode's program, from [`crate::binary::resolve`].
    pub opencode: PathBuf,
    /// The program between us and OpenCode.
    pub launcher: Launcher,
    /// The home, held as long as anything runs in it.
    pub home: Arc<RuntimeHome>,
    /// The composed config.
    pub config: Arc<ComposedConfig>,
    /// Environment of the host, filtered before anything of it is passed on: usually `std::env::vars_os()`.
    pub host_environment: Vec<(OsString, OsString)>,
    /// Consents that change the environment.
    pub environment: EnvironmentOptions,
    /// OpenCode's log level.
    pub log_level: LogLevel,
    /// Until the readiness line. Default 30 s (08 §1.1).
    pub start_timeout: Duration,
    /// Accept versions that were not tested (decision 20).
    pub allow_untested: bool,
    /// Planned memory.
    pub memory_budget_bytes: u64,
}

impl LaunchSpec {
    /// The defaults: this program as launcher, its environment, 30 s, tested versions only.
    #[must_use]
    pub fn new(opencode: PathBuf, home: Arc<RuntimeHome>, config: Arc<ComposedConfig>) -> Self {
        Self {
            opencode,
            launcher: Launcher::default(),
            home,
            config,
            host_environment: std::env::vars_os().collect(),
            environment: EnvironmentOptions::default(),
            log_level: LogLevel::default(),
            start_timeout: Duration::from_secs(30),
            allow_untested: false,
            memory_budget_bytes: memory::DEFAULT_BUDGET_BYTES,
        }
    }
}

/// How OpenCode ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// End of its output, secrets removed.
    pub tail: String,
    /// We asked for it.
    pub requested: bool,
}

/// Starts OpenCode again and again, with a breaker in between. One start at a time.
#[derive(Debug)]
pub struct Supervisor {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    last_failure: String,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new(BreakerLimits::default())
    }
}

impl Supervisor {
    /// A supervisor whose breaker is closed.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            state: Mutex::new(State {
                breaker: Breaker::new(limits),
                last_failure: String::new(),
            }),
        }
    }

    /// Starts OpenCode and waits until it is ready. After failures it first waits for the backoff; with the
    /// breaker open it fails at once with [`HostError::BreakerOpen`].
    ///
    /// A failed start counts in the breaker if trying again could help ([`HostError::is_retryable`]); the
    /// caller reports unexpected exits with [`Supervisor::note_exit`]. Starts are serialised: a second caller
    /// waits for the first.
    pub async fn start(&self, spec: &LaunchSpec) -> Result<Running, HostError> {
        // Held over awaits on purpose: it is what makes starts single flight; nothing else waits for it.
        let mut state = self.state.lock().await;
        match state.breaker.verdict(now()) {
            StartVerdict::Now => {}
            StartVerdict::After(delay) => tokio::time::sleep(delay).await,
            StartVerdict::Open { failures } => {
                let minutes = state.breaker.limits().window.as_secs().div_ceil(60);
                return Err(HostError::BreakerOpen {
                    failures,
                    minutes,
                    last: state.last_failure.clone(),
                });
            }
        }
        let started = start(spec).await;
        if let Err(error) = &started {
            // Nothing runs that could read it, and it holds the key.
            if let Err(error) = spec.home.forget_config() {
                tracing::warn!(%error, "the config of a failed start stays on disk");
            }
            if error.is_retryable() {
                state.breaker.failed(now());
                state.last_failure = error.to_string();
            }
        }
        started
    }

    /// Notes that OpenCode ended; an exit that nobody asked for counts as a failure.
    pub async fn note_exit(&self, exit: &Exit) {
        if !exit.requested {
            let mut state = self.state.lock().await;
            state.breaker.failed(now());
            state.last_failure = describe(exit);
        }
    }

    /// The user asked to try again: closes the breaker.
    pub async fn reset(&self) {
        self.state.lock().await.breaker.reset();
    }
}

/// tokio's clock, so that a test can own it.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

fn describe(exit: &Exit) -> String {
    let how = match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("OpenCode was ended by signal {signal}"),
        (Some(code), None) => format!("OpenCode exited with code {code}"),
        (None, None) => "the launcher of OpenCode was lost".to_owned(),
    };
    match exit.tail.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how} ({line})"),
        None => how,
    }
}

/// A ready OpenCode. Dropping it ends the process and everything below it, without waiting.
#[derive(Debug)]
pub struct Running {
    base_url: String,
    password: SecretString,
    client: Client,
    version: String,
    verdict: Verdict,
    pid: i32,
    memory_budget_bytes: u64,
    /// Its end is the launcher's order to end everything.
    control: Option<ChildStdin>,
    stopping: watch::Sender<bool>,
    exit: watch::Receiver<Option<Exit>>,
    home: Arc<RuntimeHome>,
    _pump: AbortOnDropHandle<()>,
}

impl Running {
    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// User name of the server.
    #[must_use]
    pub fn username(&self) -> &str {
        USERNAME
    }

    /// Password of this process; it dies with it.
    #[must_use]
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// A client of this process.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its version, as it says itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the compatibility probe said: `Ok` or `Warn`.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Process id of OpenCode.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Resident memory of OpenCode and its tools. Reads `/proc`: a few milliseconds.
    #[must_use]
    pub fn memory(&self) -> MemoryReport {
        memory::measure(self.pid, self.memory_budget_bytes)
    }

    /// Becomes `Some` exactly once, when nothing of OpenCode is left (05 §5.1).
    #[must_use]
    pub fn exited(&self) -> watch::Receiver<Option<Exit>> {
        self.exit.clone()
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        wait(self.exit.clone()).await
    }

    /// Ends OpenCode and everything below it: SIGTERM, 2 s, SIGKILL. Returns when nothing is left, and removes
    /// the config with its key.
    pub async fn stop(mut self) -> Result<Exit, HostError> {
        self.stopping.send_replace(true);
        if let Some(mut control) = self.control.take() {
            // The launcher may be gone; then its end is what we wait for anyway.
            let _ = send(&mut control, &ToLauncher::Shutdown).await;
        }
        let exit = tokio::time::timeout(STOP_LIMIT, self.wait())
            .await
            .map_err(|_| HostError::Start {
                message: "it does not end; end its processes by hand".to_owned(),
                tail: String::new(),
            })?;
        self.home.forget_config()?;
        Ok(exit)
    }
}

async fn wait(mut exit: watch::Receiver<Option<Exit>>) -> Exit {
    match exit
        .wait_for(Option::is_some)
        .await
        .map(|exit| exit.clone())
    {
        Ok(Some(exit)) => exit,
        _ => Exit {
            code: None,
            signal: None,
            tail: String::new(),
            requested: false,
        },
    }
}

/// One start, without a breaker.
async fn start(spec: &LaunchSpec) -> Result<Running, HostError> {
    let paths = spec.home.paths();
    spec.config.write(&paths.opencode_config_dir())?;
    end_strays(spec).await;

    let password = new_password()?;
    let hide = Hide::new(&password, &spec.config);
    let (mut control, stdout) = spawn_launcher(&spec.launcher, paths)?;
    let (messages, mut inbox) = mpsc::channel(8);
    let reader = AbortOnDropHandle::new(tokio::spawn(read_messages(stdout, messages)));
    let boot = Boot {
        command: spec.opencode.clone(),
        args: vec![
            "serve".to_owned(),
            "--hostname=127.0.0.1".to_owned(),
            "--port=0".to_owned(),
            format!("--log-level={}", spec.log_level.as_str()),
        ],
        env: environment::compose(
            spec.host_environment.clone(),
            paths,
            USERNAME,
            &password,
            spec.environment,
        ),
        cwd: paths.root().to_owned(),
        timeout_ms: u64::try_from(spec.start_timeout.as_millis()).unwrap_or(u64::MAX),
        lock: paths.launcher_lock(),
    };
    send(&mut control, &ToLauncher::Boot(boot))
        .await
        .map_err(HostError::io("written", "the launcher's pipe"))?;

    // The launcher has its own limit; ours is for a launcher that hangs.
    let limit = spec.start_timeout + Duration::from_secs(30);
    let (base_url, pid) = match tokio::time::timeout(limit, first_answer(&mut inbox)).await {
        Ok(Some(FromLauncher::Ready { url, pid })) => (url, pid),
        Ok(Some(FromLauncher::StartupError {
            message,
            stdout_tail,
        })) => {
            return Err(HostError::Start {
                message: hide.text(&message),
                tail: hide.text(&stdout_tail),
            });
        }
        Ok(_) => {
            return Err(HostError::Start {
                message:
                    "its launcher ended; the program must call `run_if_launcher` first in `main`"
                        .to_owned(),
                tail: String::new(),
            });
        }
        Err(_) => {
            return Err(HostError::Start {
                message: "its launcher does not answer".to_owned(),
                tail: String::new(),
            });
        }
    };

    let (exited, exit) = watch::channel(None);
    let (stopping, requested) = watch::channel(false);
    let pump = tokio::spawn(follow(inbox, reader, exited, requested, hide));
    let mut running = Running {
        client: Client::new(ClientConfig {
            username: USERNAME.to_owned(),
            ..ClientConfig::new(&base_url, password.clone())
        })?,
        base_url,
        password,
        version: String::new(),
        verdict: Verdict {
            level: VerdictLevel::Ok,
            reasons: Vec::new(),
        },
        pid,
        memory_budget_bytes: spec.memory_budget_bytes,
        control: Some(control),
        stopping,
        exit,
        home: spec.home.clone(),
        _pump: AbortOnDropHandle::new(pump),
    };
    let ready = tokio::select! {
        ready = prove_ready(&running.client, spec.allow_untested) => ready,
        exit = wait(running.exited()) => Err(HostError::Start { message: describe(&exit), tail: exit.tail }),
    };
    match ready {
        Ok((version, verdict)) => {
            running.version = version;
            running.verdict = verdict;
            Ok(running)
        }
        Err(error) => {
            if let Err(also) = running.stop().await {
                tracing::warn!(%also, "an OpenCode that is not usable could not be ended");
            }
            Err(error)
        }
    }
}

/// Ends what a killed launcher left (05 §5.6).
async fn end_strays(spec: &LaunchSpec) {
    let home = spec.home.clone();
    match tokio::task::spawn_blocking(move || stray::end(home.paths())).await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(
            count,
            "ended processes that an earlier OpenCode left behind"
        ),
        Err(error) => tracing::warn!(%error, "the search for stray processes failed"),
    }
}

/// Waits for the end and tells it once.
async fn follow(
    mut inbox: mpsc::Receiver<FromLauncher>,
    _reader: AbortOnDropHandle<()>,
    exited: watch::Sender<Option<Exit>>,
    requested: watch::Receiver<bool>,
    hide: Hide,
) {
    let mut ended = (None, None, String::new());
    while let Some(message) = inbox.recv().await {
        if let FromLauncher::Exited {
            code,
            signal,
            stdout_tail,
        } = message
        {
            ended = (code, signal, hide.text(&stdout_tail));
        }
    }
    let (code, signal, tail) = ended;
    let requested = *requested.borrow();
    exited.send_replace(Some(Exit {
        code,
        signal,
        tail,
        requested,
    }));
}

/// 32 random bytes, as base64url (05 §5.1).
fn new_password() -> Result<SecretString, HostError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| HostError::Start {
        message: format!("the system has no random numbers ({error})"),
        tail: String::new(),
    })?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(bytes)
        .into())
}

/// Removes secrets from OpenCode's output before anyone sees it.
struct Hide(Vec<SecretString>);

impl Hide {
    fn new(password: &SecretString, config: &ComposedConfig) -> Self {
        Self(
            config
                .secrets()
                .iter()
                .cloned()
                .chain([password.clone()])
                .collect(),
        )
    }

    fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), "[hidden]")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_gets_its_own_strong_password() {
        let (one, two) = (new_password().unwrap(), new_password().unwrap());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[tokio::test(start_paused = true)]
    async fn an_exit_that_was_asked_for_is_no_failure() {
        let supervisor = Supervisor::default();
        let exit = |requested| Exit {
            code: None,
            signal: Some(9),
            tail: "a\nlast words\n\n".into(),
            requested,
        };
        supervisor.note_exit(&exit(true)).await;
        assert_eq!(
            supervisor.state.lock().await.breaker.verdict(now()),
            StartVerdict::Now
        );
        supervisor.note_exit(&exit(false)).await;
        let mut state = supervisor.state.lock().await;
        assert!(matches!(
            state.breaker.verdict(now()),
            StartVerdict::After(_)
        ));
        assert_eq!(
            state.last_failure,
            "OpenCode was ended by signal 9 (last words)"
        );
    }
}
