//! A real PostgreSQL server in a folder of its own, from the programs of the machine.
//!
//! ```no_run
//! # async fn example() -> Result<(), open_cowork_testkit::TestkitError> {
//! use open_cowork_testkit::postgres::{Durability, Postgres};
//!
//! let mut server = Postgres::start(Durability::Fast).await?;
//! let url = server.url();
//! server.kill().await; // as a loss of power would
//! server.start_again().await?; // the same data, the same port
//! # Ok(())
//! # }
//! ```

use crate::TestkitError;
use crate::process::{GuardedProcess, find_program, is_executable};
use crate::unprivileged;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Mutex;

/// Whether the server waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `fsync=off`: what is written survives [`Postgres::kill`] only by luck. For tests about anything else.
    #[default]
    Fast,
    /// `fsync=on`: what is committed survives.
    Durable,
}

/// A server of one test, or of several that share it; gone with its data when it is dropped.
///
/// It listens on 127.0.0.1 and on a socket in its folder. The superuser `postgres` needs no password; the
/// role [`Postgres::GUARDED`], which a test may make, needs its own.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder: fields are dropped in this order.
    process: Option<GuardedProcess>,
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    durability: Durability,
}

/// How long a step of the server may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// How often another port is tried when somebody else was faster.
const PORTS: usize = 5;
const INSTALL: &str = "apt-get install postgresql";

impl Postgres {
    /// The name of a role that has to show its password, once it exists.
    pub const GUARDED: &'static str = "guarded";

    /// Makes a cluster and starts its server.
    ///
    /// # Errors
    /// [`TestkitError::ProgramMissing`]; [`TestkitError::Command`] when the cluster can't be made;
    /// [`TestkitError::NotReady`] with the server's last words.
    pub async fn start(durability: Durability) -> Result<Self, TestkitError> {
        let programs = programs()?;
        let folder = tempfile::Builder::new()
            .prefix("open-cowork-postgres-")
            .tempdir()
            .map_err(TestkitError::file(std::env::temp_dir()))?;
        if let Some((user, group)) = account()? {
            chown(folder.path(), Some(user), Some(group))
                .map_err(TestkitError::file(folder.path()))?;
        }
        make_cluster(&programs, folder.path()).await?;
        let mut server = Postgres {
            process: None,
            folder,
            programs,
            port: 0,
            durability,
        };
        let mut attempt = 1;
        loop {
            server.port = free_port()?;
            match server.start_again().await {
                Err(TestkitError::NotReady { .. }) if attempt < PORTS => attempt += 1,
                started => return started.map(|()| server),
            }
        }
    }

    /// The server that all tests of this process share while one of them holds it: to start one takes longer
    /// than most tests. Tests keep apart by schema.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn shared() -> Result<Arc<Self>, TestkitError> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start(Durability::Fast).await?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Starts a server that was stopped or killed: the same data, the same port.
    ///
    /// # Errors
    /// [`TestkitError::NotReady`] with the server's last words.
    pub async fn start_again(&mut self) -> Result<(), TestkitError> {
        let ids = account()?;
        let folder = self.folder.path().to_owned();
        let fsync = match self.durability {
            Durability::Fast => "off",
            Durability::Durable => "on",
        };
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", folder.display()),
            format!("fsync={fsync}"),
            "max_connections=200".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), data(&folder).display().to_string()];
        for setting in settings {
            arguments.extend(["-c".to_owned(), setting]);
        }
        let program = self.programs.join("postgres");
        let mut process = GuardedProcess::spawn("postgres", &program, arguments, |command| {
            command.current_dir(&folder).env("LC_ALL", "C");
            if let Some((user, group)) = ids {
                command.gid(group).uid(user);
            }
        })?;
        let ready = "database system is ready to accept connections";
        process
            .line(LIMIT, |line| line.contains(ready).then_some(()))
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends the server in order, without waiting for its clients.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGTERM waits for clients; SIGINT is the server's fast way, which `pg_ctl stop` sends too.
            if let Some(pid) = i32::try_from(process.pid()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::INT);
            }
            let ended = tokio::time::timeout(LIMIT, process.wait()).await;
            if ended.is_err() {
                process.kill().await;
            }
        }
    }

    /// Kills all processes of the server at once with SIGKILL, and waits until they are gone.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let children = children(process.pid());
            process.kill().await;
            kill_all(&children);
            let gone = async {
                while children.iter().any(|pid| test_kill_process(*pid).is_ok()) {
                    tokio::task::yield_now().await;
                }
            };
            // One that can't be killed keeps the next start from succeeding, which says so.
            let _ = tokio::time::timeout(LIMIT, gone).await;
        }
    }

    /// The address of the database `postgres` for the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same for another role, `name` or `name:password`.
    #[must_use]
    pub fn url_of(&self, role: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// The last lines of the server's log, while it runs.
    #[must_use]
    pub fn log(&self) -> String {
        self.process
            .as_ref()
            .map(GuardedProcess::tail)
            .unwrap_or_default()
    }

    /// The process id of the server, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(GuardedProcess::pid)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let children = children(process.pid());
            drop(process);
            kill_all(&children);
        }
    }
}

/// The server's own processes: each leads a group of its own, so a signal to the server's group misses them.
/// They end by themselves once they notice that the server is gone, which is late for a crash.
fn children(server: u32) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}

fn kill_all(processes: &[Pid]) {
    for pid in processes {
        // Already gone is as good.
        let _ = kill_process(*pid, Signal::KILL);
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The server refuses to run as root; then it runs as this user and group.
fn account() -> Result<Option<(u32, u32)>, TestkitError> {
    if rustix::process::geteuid().is_root() {
        return unprivileged::account().map(Some);
    }
    Ok(None)
}

/// The folder with the server's programs. Debian keeps them outside of PATH, one folder per version; the newest
/// one is taken.
///
/// # Errors
/// [`TestkitError::ProgramMissing`] when there is none.
pub fn programs() -> Result<PathBuf, TestkitError> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter();
    let folders = versions.flatten().flatten().map(|entry| entry.path());
    let version = |folder: &PathBuf| -> Option<u32> { folder.file_name()?.to_str()?.parse().ok() };
    let complete = |folder: &Path| {
        let program = |name| is_executable(&folder.join(name));
        program("initdb") && program("postgres")
    };
    let debian = folders
        .filter(|folder| version(folder).is_some() && complete(&folder.join("bin")))
        .max_by_key(version)
        .map(|folder| folder.join("bin"));
    let elsewhere = || Some(find_program("initdb")?.parent()?.to_owned());
    debian
        .or_else(elsewhere)
        .filter(|folder| complete(folder))
        .ok_or(TestkitError::ProgramMissing {
            program: "postgres",
            install: INSTALL,
        })
}

async fn make_cluster(programs: &Path, folder: &Path) -> Result<(), TestkitError> {
    let initdb = programs.join("initdb");
    let mut command = tokio::process::Command::from(unprivileged::command(&initdb)?);
    let failed = |reason: String| TestkitError::Command {
        command: initdb.display().to_string(),
        reason,
    };
    command
        .args(["--username=postgres", "--auth=trust", "--no-sync"])
        .args(["--encoding=UTF8", "--locale=C", "-D"])
        .arg(data(folder))
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .map_err(|_| failed(format!("nothing within {} s", LIMIT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let rules = format!(
        "local all all trust\nhost all {} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
        Postgres::GUARDED
    );
    let file = data(folder).join("pg_hba.conf");
    std::fs::write(&file, rules).map_err(TestkitError::file(&file))
}

fn free_port() -> Result<u16, TestkitError> {
    let found =
        std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
    found
        .map(|address| address.port())
        .map_err(|error| TestkitError::Network(error.to_string()))
}
