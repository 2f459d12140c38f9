//! The launcher's own process. Plain threads and blocking calls: it must work when everything else fails.

use super::output::{Lines, Said, Tail, read_line};
use super::protocol::{Boot, FromLauncher, ToLauncher};
use super::{EXEC, descendants, own_program};
use crate::home::open_lock;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From SIGTERM to SIGKILL (08 §1.1).
const GRACE: Duration = Duration::from_secs(2);
/// For killing every descendant.
const SWEEP: Duration = Duration::from_secs(10);
/// For the launcher before us to finish its sweep.
const LOCK_WAIT: Duration = Duration::from_secs(15);

enum Event {
    Said(Said),
    OpenCodeEnded(WaitStatus),
    /// The host asks, is gone, or someone ends the launcher.
    End,
}

/// Runs the launcher; returns its exit code.
pub(super) fn run() -> i32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Err(message) = become_subreaper() {
        say(&FromLauncher::StartupError {
            message,
            stdout_tail: String::new(),
        });
        return 1;
    }
    say(&FromLauncher::SupervisorReady);
    let mut control = std::io::stdin().lock();
    let mut first = String::new();
    if control.read_line(&mut first).unwrap_or(0) == 0 {
        return 0;
    }
    drop(control);
    let Ok(ToLauncher::Boot(boot)) = serde_json::from_str(&first) else {
        say(&FromLauncher::StartupError {
            message: "the launcher got no boot message".into(),
            stdout_tail: String::new(),
        });
        return 1;
    };
    let tail = Arc::new(Mutex::new(Tail::default()));
    let mut drains = Vec::new();
    // Dropped last: the home stays locked until the sweep is done.
    let (ending, _lock) = match wait_for_lock(&boot.lock) {
        Ok(lock) => (supervise(&boot, &tail, &mut drains), Some(lock)),
        Err(message) => (Err(message), None),
    };
    let left = descendants::kill_all(SWEEP);
    if left.is_empty() {
        // Nobody can write any more, so the pipes end: the tail gets the last words.
        drains.into_iter().for_each(|drain| drop(drain.join()));
    }
    let stdout_tail = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
    match ending {
        Ok(status) => say(&FromLauncher::Exited {
            code: status.and_then(WaitStatus::exit_status),
            signal: status.and_then(WaitStatus::terminating_signal),
            stdout_tail,
        }),
        Err(message) => say(&FromLauncher::StartupError {
            message,
            stdout_tail,
        }),
    }
    i32::from(!left.is_empty())
}

#[cfg(target_os = "linux")]
fn become_subreaper() -> Result<(), String> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("the launcher can't adopt orphans ({error})"))
}

#[cfg(not(target_os = "linux"))]
fn become_subreaper() -> Result<(), String> {
    Ok(())
}

/// Starts OpenCode and follows it to its end. `Err`: it never became ready. What is left of it is the sweep's.
fn supervise(
    boot: &Boot,
    tail: &Arc<Mutex<Tail>>,
    drains: &mut Vec<JoinHandle<()>>,
) -> Result<Option<WaitStatus>, String> {
    // Bounded: a handful of events in a launcher's life; a sender that finds it full may wait.
    let (send, events) = sync_channel(64);
    watch_control(send.clone());
    watch_signals(send.clone());
    let opencode = spawn(boot, tail, &send, drains)?;
    reap(opencode, send);
    let ready = wait_until_ready(boot, &events, opencode);
    let url = match ready {
        Ok(url) => url,
        Err(message) => {
            let _ = kill_process_group(opencode, Signal::KILL);
            return Err(message);
        }
    };
    say(&FromLauncher::Ready {
        url,
        pid: opencode.as_raw_nonzero().get(),
    });
    loop {
        match events.recv() {
            Ok(Event::OpenCodeEnded(status)) => return Ok(Some(status)),
            Ok(Event::Said(_)) => {}
            Ok(Event::End) | Err(_) => return Ok(terminate(opencode, &events)),
        }
    }
}

fn wait_until_ready(
    boot: &Boot,
    events: &Receiver<Event>,
    opencode: Pid,
) -> Result<String, String> {
    match events.recv_timeout(Duration::from_millis(boot.timeout_ms)) {
        Ok(Event::Said(Said::Listening(url))) => Ok(url),
        Ok(Event::Said(Said::ListeningNowhere)) => {
            Err("Server printed a readiness line without an address".into())
        }
        Ok(Event::OpenCodeEnded(status)) => {
            Err(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("Server exited with code {code}"),
                (None, signal) => {
                    format!("Server was ended by signal {}", signal.unwrap_or_default())
                }
            })
        }
        Ok(Event::End) => {
            terminate(opencode, events);
            Err("the start was cancelled".into())
        }
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "Timeout waiting for server to start after {}ms",
            boot.timeout_ms
        )),
        Err(RecvTimeoutError::Disconnected) => Err("the launcher lost its threads".into()),
    }
}

/// SIGTERM, a moment, SIGKILL: for the whole group.
fn terminate(opencode: Pid, events: &Receiver<Event>) -> Option<WaitStatus> {
    [Signal::TERM, Signal::KILL].into_iter().find_map(|signal| {
        let _ = kill_process_group(opencode, signal);
        // After SIGKILL it ends at once, unless it sleeps in the kernel; the sweep waits for that.
        wait_for_end(events, GRACE)
    })
}

fn wait_for_end(events: &Receiver<Event>, limit: Duration) -> Option<WaitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::OpenCodeEnded(status)) => return Some(status),
            Ok(Event::Said(_) | Event::End) => {}
            Err(_) => return None,
        }
    }
}

/// Starts the stub that becomes OpenCode. Called on the main thread: the parent-death signal is bound to it.
fn spawn(
    boot: &Boot,
    tail: &Arc<Mutex<Tail>>,
    send: &SyncSender<Event>,
    drains: &mut Vec<JoinHandle<()>>,
) -> Result<Pid, String> {
    let program =
        own_program().map_err(|error| format!("the launcher can't find itself ({error})"))?;
    let mut child = Command::new(program)
        .arg0("open-cowork-launcher")
        .arg(EXEC)
        .arg(std::process::id().to_string())
        .arg(&boot.command)
        .args(&boot.args)
        .env_clear()
        .envs(&boot.env)
        .current_dir(&boot.cwd)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the launcher can't start a process ({error})"))?;
    if let Some(stdout) = child.stdout.take() {
        drains.push(drain(stdout, tail.clone(), Some(send.clone())));
    }
    if let Some(stderr) = child.stderr.take() {
        drains.push(drain(stderr, tail.clone(), None));
    }
    Ok(Pid::from_child(&child))
}

/// Reads a stream to its end, so that OpenCode never blocks on a full pipe.
fn drain(
    mut stream: impl Read + Send + 'static,
    tail: Arc<Mutex<Tail>>,
    send: Option<SyncSender<Event>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut buffer, mut lines) = ([0; 8192], Lines::default());
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            tail.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(&buffer[..count]);
            let Some(send) = &send else { continue };
            for said in lines
                .push(&buffer[..count])
                .iter()
                .filter_map(|line| read_line(line))
            {
                // After readiness nobody needs another line; a full queue must not stop the draining.
                let _ = send.try_send(Event::Said(said));
            }
        }
    })
}

/// Reaps OpenCode and every orphan that was adopted, until there is no child left.
fn reap(opencode: Pid, send: SyncSender<Event>) {
    std::thread::spawn(move || {
        loop {
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == opencode => {
                    let _ = send.send(Event::OpenCodeEnded(status));
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // No child: nothing below us can exist any more.
                Err(_) => return,
            }
        }
    });
}

/// Watches the control pipe; its end is the death of the host.
fn watch_control(send: SyncSender<Event>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line.as_deref().map(serde_json::from_str::<ToLauncher>) {
                Ok(Ok(ToLauncher::Shutdown)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let _ = send.send(Event::End);
    });
}

/// Ends in order when someone ends the launcher itself.
fn watch_signals(send: SyncSender<Event>) {
    use tokio::signal::unix::{SignalKind, signal};
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
        else {
            return;
        };
        let ended = runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).ok()?;
            let mut interrupt = signal(SignalKind::interrupt()).ok()?;
            let mut hangup = signal(SignalKind::hangup()).ok()?;
            tokio::select! { got = terminate.recv() => got, got = interrupt.recv() => got, got = hangup.recv() => got }
        });
        if ended.is_some() {
            let _ = send.send(Event::End);
        }
    });
}

/// Waits for the launcher before us, which may still be killing what its host left.
fn wait_for_lock(path: &Path) -> Result<File, String> {
    let file = open_lock(path).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + LOCK_WAIT;
    while file.try_lock().is_err() {
        if Instant::now() >= deadline {
            return Err("an earlier OpenCode of this home is still running".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(file)
}

/// A message to the host; when it is gone nobody listens.
fn say(message: &FromLauncher) {
    if let Ok(line) = serde_json::to_string(message) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
}

/// The stub between fork and exec: asks for the parent-death signal, then becomes OpenCode.
/// Arguments: pid of the launcher, program, its arguments.
pub(super) fn exec(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let launcher = arguments
        .next()
        .and_then(|pid| pid.to_str()?.parse().ok())
        .and_then(Pid::from_raw);
    let (Some(launcher), Some(program)) = (launcher, arguments.next()) else {
        return 2;
    };
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("the parent-death signal can't be set ({error})");
        return 126;
    }
    // The launcher may have died before we asked: then no signal will ever come.
    if rustix::process::getppid() != Some(launcher) {
        return 126;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!(
        "{} can't be executed ({error})",
        Path::new(&program).display()
    );
    127
}
