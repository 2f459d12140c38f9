//! The host's end of the launcher's pipes.

use crate::error::HostError;
use crate::home::HomePaths;
use crate::launch::protocol::{FromLauncher, ToLauncher};
use crate::launch::{LAUNCH, Launcher};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// A message of the launcher is a tail of 16 KiB at most, escaped as JSON.
const MESSAGE_BYTES: u64 = 256 * 1024;

/// The launcher, in its own process group: a Ctrl-C in the host's terminal must not race with an orderly end.
pub(super) fn spawn_launcher(
    launcher: &Launcher,
    home: &HomePaths,
) -> Result<(ChildStdin, ChildStdout), HostError> {
    let program = launcher
        .program()
        .map_err(HostError::io("found", "the launcher"))?;
    let mut child = Command::new(&program)
        .arg0("open-cowork-launcher")
        .arg(LAUNCH)
        .env_clear()
        .current_dir(home.root())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(HostError::io("started", &program))?;
    // tokio reaps the child when its handle is dropped; the pipes are how we follow it.
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok((stdin, stdout)),
        _ => Err(HostError::Start {
            message: "its launcher has no pipes".to_owned(),
            tail: String::new(),
        }),
    }
}

pub(super) async fn send(control: &mut ChildStdin, message: &ToLauncher) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    control.write_all(&line).await?;
    control.flush().await
}

/// Reads the launcher's messages until its pipe closes.
pub(super) async fn read_messages(stdout: ChildStdout, messages: mpsc::Sender<FromLauncher>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match (&mut stdout)
            .take(MESSAGE_BYTES)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let message = match serde_json::from_slice(&line) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%error, "a message of the launcher was not understood");
                continue;
            }
        };
        if messages.send(message).await.is_err() {
            return;
        }
    }
}

pub(super) async fn first_answer(inbox: &mut mpsc::Receiver<FromLauncher>) -> Option<FromLauncher> {
    loop {
        match inbox.recv().await? {
            FromLauncher::SupervisorReady => {}
            answer => return Some(answer),
        }
    }
}
