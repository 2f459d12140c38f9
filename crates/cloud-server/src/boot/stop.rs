//! SIGTERM and Ctrl-C: the first one ends the process in order, the second one at once.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a process ends that was told to stop twice.
pub const IMPATIENT: u8 = 130;

/// Cancelled at the first signal. A second one ends the process at once: what was acknowledged is stored, and OpenCode
/// ends with its launcher.
///
/// # Errors
/// When the system gives no signals.
pub fn stop() -> io::Result<CancellationToken> {
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("told to stop; a second signal ends the process at once");
        stop.cancel();
        signals.next().await;
        std::process::exit(i32::from(IMPATIENT));
    });
    Ok(token)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
