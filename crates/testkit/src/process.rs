//! Child processes that cannot outlive the test that started them.
//!
//! The child leads a process group of its own. A watcher in the same group reads a pipe whose
//! other end this process holds: when the handle is dropped, or when the test is killed with
//! `kill -9`, the pipe closes and the watcher kills the group. A grandchild that starts a
//! session of its own escapes; the product's own launcher deals with those, a test needn't.

use crate::TestkitError;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Output kept for error messages.
const TAIL_BYTES: usize = 16 * 1024;

/// Runs `"$@"` with a private umask, and kills the group when descriptor 3 reaches its end.
const GUARD: &str = "umask 077; exec 3<&0; \
    (cat <&3; kill -KILL 0) >/dev/null 2>&1 & \
    exec \"$@\" 3<&- </dev/null";

/// A child process whose whole group dies with this handle.
#[derive(Debug)]
pub struct GuardedProcess {
    program: &'static str,
    child: Child,
    pid: Pid,
    output: Output,
    _pipe: Option<ChildStdin>,
    readers: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Output {
    tail: Arc<Mutex<VecDeque<String>>>,
    lines: watch::Sender<u64>,
}

impl GuardedProcess {
    /// Starts a program. `prepare` sets environment and working directory.
    ///
    /// # Errors
    /// [`TestkitError::Command`] when it cannot be started.
    pub fn spawn<A: AsRef<OsStr>>(
        program: &'static str,
        path: &Path,
        arguments: impl IntoIterator<Item = A>,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, TestkitError> {
        let failed = |reason: String| TestkitError::Command {
            command: path.display().to_string(),
            reason,
        };
        let mut command = Command::new("/bin/sh");
        prepare(&mut command);
        command
            .args(["-c", GUARD, "guard"])
            .arg(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| failed("it ended at once".into()))?;
        let output = Output {
            tail: Arc::default(),
            lines: watch::Sender::new(0),
        };
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(output.clone().read(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(output.clone().read(stderr));
        }
        let pipe = child.stdin.take();
        Ok(Self {
            program,
            child,
            pid,
            output,
            _pipe: pipe,
            readers,
        })
    }

    /// The process id, which is also the id of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// The last output, both streams together.
    #[must_use]
    pub fn tail(&self) -> String {
        let tail = self
            .output
            .tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tail.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits for a line of output from which `find` reads something.
    ///
    /// # Errors
    /// [`TestkitError::NotReady`] when the process ends first or the limit passes.
    pub async fn line<T>(
        &mut self,
        limit: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T, TestkitError> {
        let output = self.output.clone();
        let search = || {
            let tail = output.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.iter().find_map(|line| find(line))
        };
        let found = async {
            let mut lines = output.lines.subscribe();
            loop {
                lines.borrow_and_update();
                if let Some(found) = search() {
                    return found;
                }
                if lines.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let reason = tokio::select! {
            found = found => return Ok(found),
            status = self.child.wait() => match status {
                Ok(status) => format!("it ended with {status}"),
                Err(error) => error.to_string(),
            },
            () = tokio::time::sleep(limit) => format!("nothing within {} s", limit.as_secs()),
        };
        // It may have said it with its last breath.
        drain(&mut self.readers).await;
        if let Some(found) = search() {
            return Ok(found);
        }
        Err(TestkitError::NotReady {
            program: self.program,
            reason,
            tail: self.tail(),
        })
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// [`TestkitError::Command`] when the system cannot tell.
    pub async fn wait(&mut self) -> Result<ExitStatus, TestkitError> {
        let status = self.child.wait().await;
        drain(&mut self.readers).await;
        status.map_err(|error| TestkitError::Command {
            command: self.program.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Asks it to end, and kills the group if it hasn't after this long.
    pub async fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        // Already gone is as good as stopped.
        let _ = kill_process(self.pid, Signal::TERM);
        let ended = tokio::time::timeout(grace, self.child.wait()).await;
        self.kill_group();
        match ended {
            Ok(status) => status.ok(),
            Err(_) => self.child.wait().await.ok(),
        }
    }

    /// Kills the whole group at once, as a crash would, and reaps the child.
    pub async fn kill(&mut self) {
        self.kill_group();
        let _ = self.child.wait().await;
    }

    fn kill_group(&self) {
        // The watcher stays in the group until the pipe closes, so the id cannot be another's.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

/// Waits until the output of an ended process is read; a grandchild may keep the pipes open.
async fn drain(readers: &mut JoinSet<()>) {
    let all = async { while readers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
}

impl Drop for GuardedProcess {
    fn drop(&mut self) {
        self.kill_group();
    }
}

impl Output {
    async fn read(self, stream: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.push_back(line);
            let mut bytes: usize = tail.iter().map(String::len).sum();
            while bytes > TAIL_BYTES && tail.len() > 1 {
                bytes -= tail.pop_front().map_or(0, |line| line.len());
            }
            drop(tail);
            self.lines.send_modify(|count| *count += 1);
        }
    }
}

/// Looks a program up in PATH.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> GuardedProcess {
        GuardedProcess::spawn("sh", Path::new("/bin/sh"), ["-c", script], |_| {}).unwrap()
    }

    fn alive(pid: u32) -> bool {
        // A zombie has been killed; its state letter follows the closing bracket of the name.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            !stat
                .rsplit(')')
                .next()
                .unwrap_or("")
                .trim_start()
                .starts_with('Z')
        })
    }

    async fn gone(pid: u32) -> bool {
        tokio::time::timeout(LIMIT, async {
            while alive(pid) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .is_ok()
    }

    #[tokio::test]
    async fn dropping_the_handle_kills_the_grandchildren_too() {
        let mut process = shell("sleep 600 & echo child $!; wait");
        let grandchild: u32 = process
            .line(LIMIT, |line| line.strip_prefix("child ")?.parse().ok())
            .await
            .unwrap();
        assert!(alive(grandchild));
        drop(process);
        assert!(gone(grandchild).await);
    }

    #[tokio::test]
    async fn a_process_that_ends_early_shows_its_last_words() {
        let mut process = shell("echo no such option >&2; exit 3");
        let error = process
            .line(LIMIT, |line| (line == "ready").then_some(()))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_request_to_end_is_killed() {
        let mut process = shell("trap '' TERM; echo up; while :; do sleep 1; done");
        process
            .line(LIMIT, |line| (line == "up").then_some(()))
            .await
            .unwrap();
        let pid = process.pid();
        process.stop(Duration::from_millis(100)).await;
        assert!(gone(pid).await);
    }

    #[tokio::test]
    async fn what_it_writes_is_private() {
        let mut process = shell("umask");
        let mask = process
            .line(LIMIT, |line| Some(line.to_owned()))
            .await
            .unwrap();
        assert_eq!(mask, "0077");
    }
}
