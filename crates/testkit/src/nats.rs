//! A real NATS server, from the program of the machine.
//!
//! ```no_run
//! # async fn example() -> Result<(), open_cowork_testkit::TestkitError> {
//! use open_cowork_testkit::nats::Nats;
//!
//! let mut server = Nats::start("").await?;
//! let url = server.url();
//! server.kill().await;
//! server.start_again().await?; // the same port
//! # Ok(())
//! # }
//! ```

use crate::TestkitError;
use crate::process::{GuardedProcess, find_program, is_executable};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long the start may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
const INSTALL: &str = "apt-get install nats-server";

/// A server of one test on 127.0.0.1; gone when it is dropped.
#[derive(Debug)]
pub struct Nats {
    process: Option<GuardedProcess>,
    folder: TempDir,
    program: PathBuf,
    config: String,
    /// 0 until the server has chosen one.
    port: u16,
}

impl Nats {
    /// Starts a server. `config` is added to its configuration file, such as
    /// `authorization { user: u, password: "p" }`.
    ///
    /// # Errors
    /// [`TestkitError::ProgramMissing`]; [`TestkitError::NotReady`] with the server's last words.
    pub async fn start(config: &str) -> Result<Self, TestkitError> {
        let folder = tempfile::Builder::new()
            .prefix("open-cowork-nats-")
            .tempdir()
            .map_err(TestkitError::file(std::env::temp_dir()))?;
        let mut server = Nats {
            process: None,
            folder,
            program: program()?,
            config: config.to_owned(),
            port: 0,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// Starts a server that was killed: the same port.
    ///
    /// # Errors
    /// [`TestkitError::NotReady`] with the server's last words.
    pub async fn start_again(&mut self) -> Result<(), TestkitError> {
        let file = self.folder.path().join("server.conf");
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let config = format!("listen: \"127.0.0.1:{port}\"\n{}\n", self.config);
        std::fs::write(&file, config).map_err(TestkitError::file(&file))?;
        let arguments = [Path::new("-c"), &file];
        let folder = self.folder.path().to_owned();
        let mut process =
            GuardedProcess::spawn("nats-server", &self.program, arguments, |command| {
                command.current_dir(&folder);
            })?;
        let listens = "Listening for client connections on 127.0.0.1:";
        let port = process
            .line(LIMIT, |line| {
                line.split_once(listens)?.1.trim().parse().ok()
            })
            .await?;
        // The line about the port comes before the last preparations.
        process
            .line(LIMIT, |line| line.contains("Server is ready").then_some(()))
            .await?;
        self.port = port;
        self.process = Some(process);
        Ok(())
    }

    /// Kills the server at once, as a crash would.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Stops the process without ending it: its connections stand and carry nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().map(GuardedProcess::pid);
        if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) {
            // A server that is gone is noticed by whoever talks to it.
            let _ = kill_process(pid, signal);
        }
    }

    /// Its address, without a user.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The same for `user:password`, or for a token.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        format!("nats://{user}@127.0.0.1:{}", self.port)
    }

    /// The last lines of the server's log, while it runs.
    #[must_use]
    pub fn log(&self) -> String {
        self.process
            .as_ref()
            .map(GuardedProcess::tail)
            .unwrap_or_default()
    }
}

/// The server's program; Debian keeps it in a folder that is in root's PATH only.
///
/// # Errors
/// [`TestkitError::ProgramMissing`] when there is none.
pub fn program() -> Result<PathBuf, TestkitError> {
    let debian = || Some(PathBuf::from("/usr/sbin/nats-server")).filter(|file| is_executable(file));
    find_program("nats-server")
        .or_else(debian)
        .ok_or(TestkitError::ProgramMissing {
            program: "nats-server",
            install: INSTALL,
        })
}
