//! The desktop program as a child process.

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const NAME: &str = "open-cowork-desktop-example";
/// For the program to say its address.
const START_LIMIT: Duration = Duration::from_secs(30);
/// For the program and its OpenCode to end.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Builds the program as it is shipped and returns its path.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    crate::program::build(NAME, NAME)
}

/// A running desktop. Dropping it ends it.
pub(crate) struct Program {
    child: Child,
    started: Instant,
    url: String,
    announced: Duration,
}

/// Resident memory in bytes, and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// Of that: heap and stacks.
    pub(crate) anonymous: u64,
    /// Of that: the program's own file, mapped.
    pub(crate) file: u64,
    pub(crate) threads: u64,
}

impl Program {
    /// Starts `serve` and waits for its address.
    pub(crate) fn start<A: AsRef<OsStr>>(
        binary: &Path,
        data: &Path,
        arguments: &[A],
    ) -> anyhow::Result<Program> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .arg("serve")
            .arg("--data-dir")
            .arg(data)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} can't be started", binary.display()))?;
        let stdout = child.stdout.take();
        let mut program = Program {
            child,
            started,
            url: String::new(),
            announced: Duration::ZERO,
        };
        let (lines, line) = mpsc::channel();
        // Ends with the program's output.
        std::thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send((line, started.elapsed()));
            }
        });
        loop {
            let (line, at) = match line.recv_timeout(START_LIMIT) {
                Ok(said) => said,
                Err(_) => bail!("{NAME} did not say its address; its own messages stand above"),
            };
            if let Some(url) = line.strip_prefix("open ") {
                program.url = url.to_owned();
                program.announced = at;
                return Ok(program);
            }
        }
    }

    /// The start address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From exec to the line with the address.
    pub(crate) fn announced(&self) -> Duration {
        self.announced
    }

    /// Since exec.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// As the kernel counts it now.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        Ok(Memory::parse(
            &std::fs::read_to_string(&path).with_context(|| format!("{path} can't be read"))?,
        ))
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.terminate();
        let ended = self.child.try_wait()?;
        ensure!(
            ended.is_some_and(|status| status.success()),
            "{NAME} ended with {ended:?}"
        );
        Ok(())
    }

    fn terminate(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
            let deadline = Instant::now() + STOP_LIMIT;
            while Instant::now() < deadline {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.terminate();
    }
}

impl Memory {
    pub(crate) fn parse(status: &str) -> Memory {
        let number = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0)
        };
        Memory {
            resident: number("VmRSS") * 1024,
            anonymous: number("RssAnon") * 1024,
            file: number("RssFile") * 1024,
            threads: number("Threads"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        let status = "Name:\tx\nVmRSS:\t   20480 kB\nRssAnon:\t  8192 kB\nRssFile:\t 12288 kB\nThreads:\t7\n";
        let memory = Memory::parse(status);
        assert_eq!(
            memory,
            Memory {
                resident: 20 << 20,
                anonymous: 8 << 20,
                file: 12 << 20,
                threads: 7
            }
        );
    }
}
