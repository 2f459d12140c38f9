//! The real program as a process: what it says, how it ends, and that it ends.

use crate::support::PROGRAM;
use crate::web::Page;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing takes longer, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A finished run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// One sentence to standard error with these words; never a panic, never a secret.
    #[track_caller]
    pub(crate) fn complains(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let lines: Vec<&str> = self
            .err
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        assert_eq!(lines.len(), 1, "one sentence: {self:#?}");
        assert!(lines[0].starts_with("error: "), "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {self:#?}");
        }
        assert!(
            !self.err.contains("panicked") && !self.err.contains("canary"),
            "{self:#?}"
        );
    }
}

/// The program with these arguments in a command that has no terminal and none of our environment's settings.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_remove("OPEN_COWORK_LOG")
        .env_remove("RUST_BACKTRACE");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Ended {
    finish(command(arguments), b"")
}

/// Runs to the end with that input.
pub(crate) fn finish(mut command: Command, input: &[u8]) -> Ended {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A program that refuses early doesn't read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let read = |stream: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (out, err) = std::thread::scope(|scope| {
        let out = scope.spawn(move || out.as_mut().map(|out| read(out)).unwrap_or_default());
        let err = scope.spawn(move || err.as_mut().map(|err| read(err)).unwrap_or_default());
        wait(&mut child);
        (out.join().unwrap(), err.join().unwrap())
    });
    let code = child.wait().unwrap().code();
    Ended {
        code,
        out,
        err,
        took: begun.elapsed(),
    }
}

/// Waits for the end; a program that doesn't end is killed and fails the test.
pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &pid])
            .status()
            .unwrap()
            .success()
    );
}

/// A data folder that doesn't exist yet, in a folder that goes away.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// A shell script that stands in for OpenCode.
    pub(crate) fn script(&self, lines: &str) -> PathBuf {
        let path = self.path().join("opencode");
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        set_mode(&path, 0o755);
        path
    }

    /// Chats in the database; 0 when there is none.
    pub(crate) fn chats(&self) -> usize {
        let database = self.data().join("threads.sqlite");
        if !database.exists() {
            return 0;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            use open_cowork_providers::store::{Scope, SessionQuery, SessionStore as _};
            let store = open_cowork_store::SqliteStore::open(&database, Default::default())
                .await
                .unwrap();
            let page = store
                .page_sessions(&SessionQuery::new(Scope::new("local", "local")))
                .await
                .unwrap();
            store.close().await;
            page.rows.len()
        })
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A page that is being served; the process is killed when it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) page: Page,
    log: PathBuf,
    _log_folder: tempfile::TempDir,
}

impl Served {
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut serve = command(&["serve", "--data-dir"]);
        serve
            .arg(data)
            .args(arguments)
            .stderr(std::fs::File::create(&log).unwrap());
        let mut child = serve.spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        let url = line
            .trim()
            .strip_prefix("open http://")
            .unwrap_or_else(|| panic!("{line:?} {said}"));
        let page = Page::enter(url);
        Served {
            child,
            page,
            log,
            _log_folder: folder,
        }
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// SIGTERM, and the exit code; within ten seconds.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let begun = Instant::now();
        signal(&self.child, "-TERM");
        let code = wait(&mut self.child);
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it took {:?}",
            begun.elapsed()
        );
        code
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition that must come true.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
