//! The launcher against programs that misbehave. Shell scripts stand in for OpenCode, so that the misbehaviour is
//! certain; the real OpenCode has its turn in `real_process.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test stops at what it does not expect

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

struct Launcher {
    child: Child,
    control: Option<ChildStdin>,
    messages: BufReader<ChildStdout>,
}

impl Launcher {
    /// Starts a launcher whose OpenCode is this script.
    fn start(dir: &Path, script: &str, timeout_ms: u64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_open-cowork-launcher"))
            .arg("__open-cowork-launch")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut control = child.stdin.take().unwrap();
        let boot = json!({
            "type": "boot", "command": "/bin/sh", "args": ["-c", script], "cwd": dir, "timeoutMs": timeout_ms,
            "env": {"PATH": std::env::var("PATH").unwrap(), "ONLY": "this"}, "lock": dir.join("lock"),
        });
        writeln!(control, "{boot}").unwrap();
        let messages = BufReader::new(child.stdout.take().unwrap());
        let mut launcher = Self {
            child,
            control: Some(control),
            messages,
        };
        assert_eq!(launcher.next().unwrap()["type"], "supervisor-ready");
        launcher
    }

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.messages.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// Closes the control pipe, as the death of the host does.
    fn host_dies(&mut self) {
        self.control = None;
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.control = None;
        let _ = self.child.wait();
    }
}

fn alive(pid: i64) -> bool {
    // A zombie is dead: only its parent has not looked yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .starts_with('Z')
    })
}

fn pid_in(path: &Path) -> Option<i64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const READY: &str = "echo 'opencode server listening on http://127.0.0.1:1'";

#[test]
fn a_dead_host_leaves_nothing_behind_not_even_shells_with_a_session_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    // Ignores SIGTERM, and leaves: a shell in its own session, one that was orphaned, and one that clears its
    // environment and ignores signals.
    let script = format!(
        "trap '' TERM
         setsid sh -c 'echo $$ > one; exec sleep 1000' &
         (setsid sh -c 'echo $$ > two; sleep 1000; true' &)
         env -i setsid sh -c 'trap \"\" TERM HUP; echo $$ > three; while :; do sleep 1000; done' &
         while [ ! -s one ] || [ ! -s two ] || [ ! -s three ]; do sleep 0.01; done
         {READY}; while :; do sleep 1000; done"
    );
    let mut launcher = Launcher::start(dir.path(), &script, 20_000);
    let ready = launcher.next().unwrap();
    assert_eq!(
        (&ready["type"], &ready["url"]),
        (&json!("ready"), &json!("http://127.0.0.1:1"))
    );
    let mut pids = vec![ready["pid"].as_i64().unwrap()];
    pids.extend(["one", "two", "three"].map(|name| pid_in(&dir.path().join(name)).unwrap()));
    assert!(pids.iter().all(|pid| alive(*pid)));

    launcher.host_dies();
    let exited = launcher.next().unwrap();
    assert_eq!(
        (&exited["type"], &exited["signal"]),
        (&json!("exited"), &json!(9))
    );
    assert_eq!(launcher.next(), None);
    let left: Vec<&i64> = pids.iter().filter(|pid| alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(launcher.child.wait().unwrap().success());
}

#[test]
fn a_killed_launcher_takes_its_server_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut launcher = Launcher::start(
        dir.path(),
        &format!("trap '' TERM HUP; {READY}; exec sleep 1000"),
        20_000,
    );
    let server = launcher.next().unwrap()["pid"].as_i64().unwrap();
    assert!(alive(server));
    launcher.child.kill().unwrap();
    launcher.child.wait().unwrap();
    wait_until("the server outlived its launcher", || !alive(server));
}

#[test]
fn an_ended_launcher_ends_everything_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "setsid sh -c 'echo $$ > shell; exec sleep 1000' & while [ ! -s shell ]; do sleep 0.01; done; {READY}; wait"
    );
    let mut launcher = Launcher::start(dir.path(), &script, 20_000);
    assert_eq!(launcher.next().unwrap()["type"], "ready");
    let shell = pid_in(&dir.path().join("shell")).unwrap();
    let pid = rustix::process::Pid::from_child(&launcher.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(launcher.next().unwrap()["type"], "exited");
    assert!(!alive(shell));
}

#[test]
fn a_server_that_crashes_takes_its_shells_along_and_leaves_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "setsid sh -c 'echo $$ > shell; exec sleep 1000' & while [ ! -s shell ]; do sleep 0.01; done
         {READY}; while [ ! -e crash ]; do sleep 0.01; done; echo 'last words' >&2; exit 3"
    );
    let mut launcher = Launcher::start(dir.path(), &script, 20_000);
    assert_eq!(launcher.next().unwrap()["type"], "ready");
    std::fs::write(dir.path().join("crash"), "").unwrap();
    let exited = launcher.next().unwrap();
    assert_eq!(
        (&exited["type"], &exited["code"]),
        (&json!("exited"), &json!(3))
    );
    assert!(
        exited["stdoutTail"]
            .as_str()
            .unwrap()
            .ends_with("last words\n"),
        "{exited}"
    );
    assert!(!alive(pid_in(&dir.path().join("shell")).unwrap()));
}

#[test]
fn a_start_that_fails_says_why() {
    let dir = tempfile::tempdir().unwrap();
    for (script, timeout_ms, message) in [
        (
            "echo no such luck >&2; exit 7",
            20_000,
            "Server exited with code 7",
        ),
        ("kill -9 $$", 20_000, "Server was ended by signal 9"),
        (
            "exec sleep 1000",
            50,
            "Timeout waiting for server to start after 50ms",
        ),
        (
            "printf 'opencode server listening on http://127.0.0.1:1'; exec sleep 1000",
            300,
            "Timeout waiting for server to start after 300ms",
        ),
        (
            "echo opencode server listening; exec sleep 1000",
            20_000,
            "Server printed a readiness line without an address",
        ),
    ] {
        let mut launcher = Launcher::start(dir.path(), script, timeout_ms);
        let failed = launcher.next().unwrap();
        assert_eq!(
            (&failed["type"], &failed["message"]),
            (&json!("startup-error"), &json!(message)),
            "{script}"
        );
        assert_eq!(launcher.next(), None);
    }
}

#[test]
fn the_server_gets_exactly_the_given_environment_a_tight_umask_and_a_group_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "tr '\\0' '\\n' < /proc/$$/environ; umask; ps -o pgid= -p $$ | tr -d ' '; echo $$; exit 1";
    let mut launcher = Launcher::start(dir.path(), script, 20_000);
    let tail = launcher.next().unwrap()["stdoutTail"]
        .as_str()
        .unwrap()
        .to_owned();
    let lines: Vec<&str> = tail.lines().collect();
    let [only, path, umask, group, pid] = lines[..] else {
        panic!("{tail}")
    };
    assert_eq!((only, umask), ("ONLY=this", "0077"));
    assert!(path.starts_with("PATH="));
    assert_eq!(group, pid);
}

#[test]
fn two_servers_never_share_a_home_even_while_the_first_is_being_ended() {
    let dir = tempfile::tempdir().unwrap();
    // Takes the whole two seconds of grace to end.
    let mut first = Launcher::start(
        dir.path(),
        &format!("trap '' TERM; {READY}; while :; do sleep 1000; done"),
        20_000,
    );
    let server = first.next().unwrap()["pid"].as_i64().unwrap();
    first.host_dies();
    let mut second = Launcher::start(
        dir.path(),
        &format!("[ -e /proc/{server}/exe ] && exit 9; {READY}; exec sleep 1000"),
        20_000,
    );
    assert_eq!(second.next().unwrap()["type"], "ready");
    assert!(!alive(server));
}

#[test]
fn the_helper_does_nothing_when_started_by_hand() {
    let output = Command::new(env!("CARGO_BIN_EXE_open-cowork-launcher"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}
