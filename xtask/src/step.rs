//! Named steps with progress, timing and a log file each.

use anyhow::{Context as _, bail};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two signs of life of a long step.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Lines of a failed step's log that are shown.
const SHOWN_LINES: usize = 200;

/// Runs steps one after the other and remembers how they went. A failed step does not stop the
/// next ones: one run shows everything that is wrong.
#[derive(Debug)]
pub(crate) struct Steps {
    logs: PathBuf,
    only: Option<String>,
    start: Instant,
    done: usize,
    failed: Vec<&'static str>,
    tests: Counts,
}

/// Passed and failed tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Steps {
    /// Logs go to this folder, one file per step. With `only`, steps whose name doesn't contain
    /// it are left out.
    pub(crate) fn new(logs: PathBuf, only: Option<String>) -> anyhow::Result<Self> {
        fs::create_dir_all(&logs)
            .with_context(|| format!("cannot make the log folder {}", logs.display()))?;
        Ok(Self {
            logs,
            only,
            start: Instant::now(),
            done: 0,
            failed: Vec::new(),
            tests: Counts::default(),
        })
    }

    /// Runs one step; what it returns is shown beside its name.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> anyhow::Result<String>,
    ) {
        if self
            .only
            .as_ref()
            .is_some_and(|part| !name.contains(part.as_str()))
        {
            return;
        }
        println!("     {name}");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs_f64();
        self.done += 1;
        match outcome {
            Ok(note) if note.is_empty() => println!("ok   {name} ({seconds:.1} s)"),
            Ok(note) => println!("ok   {name} ({seconds:.1} s): {note}"),
            Err(error) => {
                println!("FAIL {name} ({seconds:.1} s): {error:#}");
                self.failed.push(name);
            }
        }
    }

    /// Runs a command as a step: quiet while it goes well, its output when it fails.
    pub(crate) fn command(&mut self, name: &'static str, command: &mut Command) {
        let log = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        self.run(name, || logged(name, command, &log).map(|()| String::new()));
    }

    /// As [`Self::command`], for a test runner: adds up what it counted.
    pub(crate) fn tests(&mut self, name: &'static str, command: &mut Command) {
        let log = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        let mut counts = Counts::default();
        self.run(name, || {
            let outcome = logged(name, command, &log);
            counts = counts_in(&fs::read_to_string(&log).unwrap_or_default());
            outcome.map(|()| format!("{} passed", counts.passed))
        });
        self.tests.passed += counts.passed;
        self.tests.failed += counts.failed;
    }

    /// Prints the closing line, and says whether every step was fine.
    pub(crate) fn finish(self) -> bool {
        let Counts { passed, failed } = self.tests;
        let (steps, seconds) = (self.done, self.start.elapsed().as_secs());
        let good = steps - self.failed.len();
        if let Some(only) = self.only.filter(|_| steps == 0) {
            println!("no step's name contains \"{only}\"; `cargo xtask test --help` lists them");
            return false;
        }
        if good < steps {
            println!(
                "failed: {}; logs in {}",
                self.failed.join(", "),
                self.logs.display()
            );
        }
        println!("{passed} passed, {failed} failed; {good} of {steps} steps ok in {seconds} s");
        good == steps
    }
}

/// Runs a command with its output in a file, and shows the end of it when it fails.
fn logged(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let opened = || format!("cannot write {}", log.display());
    let file = File::create(log).with_context(opened)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().with_context(opened)?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("{:?} could not be started", command.get_program()))?;
    let (done, ended) = mpsc::channel::<()>();
    let status = thread::scope(|scope| {
        scope.spawn(move || {
            let start = Instant::now();
            while ended.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let seconds = start.elapsed().as_secs();
                println!("     {name}: {seconds} s, {}", last_line(log));
            }
        });
        let status = child.wait();
        drop(done);
        status
    })
    .context("lost sight of the command")?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        println!("     | {line}");
    }
    bail!("{status}; the whole output is in {}", log.display())
}

fn last_line(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(1024)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("…");
    line.chars().take(100).collect()
}

/// The counts that cargo-nextest (`Summary … 12 passed, 1 failed`) or the built-in harness
/// (`test result: ok. 3 passed; 0 failed`) printed.
fn counts_in(log: &str) -> Counts {
    let mut counts = Counts::default();
    for line in log.lines().map(str::trim) {
        let Some((_, figures)) = line
            .strip_prefix("Summary ")
            .and_then(|rest| rest.split_once(" run: "))
            .or_else(|| {
                line.strip_prefix("test result: ")
                    .and_then(|rest| rest.split_once(". "))
            })
        else {
            continue;
        };
        for figure in figures.split([',', ';']).map(str::trim) {
            let Some((number, word)) = figure.split_once(' ') else {
                continue;
            };
            let number = number.parse().unwrap_or(0);
            match word.split(' ').next() {
                Some("passed") => counts.passed += number,
                // nextest counts a test that ran out of time apart from the failed ones.
                Some("failed" | "timed") => counts.failed += number,
                _ => {}
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_steps_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut steps = Steps::new(folder.path().to_owned(), Some("doc".into())).unwrap();
        steps.run("format", || bail!("must not run"));
        steps.run("doc tests", || Ok(String::new()));
        assert_eq!(steps.done, 1);
        assert!(steps.finish());
        let none = Steps::new(folder.path().to_owned(), Some("typing mistake".into())).unwrap();
        assert!(!none.finish(), "nothing checked is not a success");
    }

    #[test]
    fn both_runners_are_counted() {
        let log = "     Summary [  11.044s] 40 tests run: 37 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n\
                   test result: ok. 3 passed; 0 failed; 1 ignored; finished in 0.1s\n\
                   test result: FAILED. 1 passed; 4 failed; 0 ignored\n\
                   unrelated 9 passed";
        assert_eq!(
            counts_in(log),
            Counts {
                passed: 41,
                failed: 7
            }
        );
    }

    #[test]
    fn a_failing_command_names_its_log_and_does_not_stop_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut steps = Steps::new(folder.path().join("logs"), None).unwrap();
        steps.command(
            "bad one",
            Command::new("sh").args(["-c", "echo why; exit 3"]),
        );
        steps.command("good one", Command::new("sh").args(["-c", "exit 0"]));
        assert_eq!((steps.done, &steps.failed[..]), (2, &["bad one"][..]));
        let log = fs::read_to_string(folder.path().join("logs/bad-one.log")).unwrap();
        assert_eq!(log, "why\n");
    }
}
