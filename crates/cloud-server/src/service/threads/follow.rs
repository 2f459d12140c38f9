//! The task that keeps the index of threads near the log.

use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::store::ControlPlane;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Threads of one call.
const BATCH: u32 = 256;
/// How long wake-ups are gathered, so that a streamed answer is indexed in a few pieces.
const GATHER: Duration = Duration::from_millis(500);
/// How long to wait when nobody says anything: wake-ups may get lost.
const IDLE: Duration = Duration::from_secs(5);
/// The pause after a failure, doubled up to a limit.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Follows the log until `stop`. Any number of processes may follow: each thread is indexed by one at a time.
pub async fn follow(store: Arc<dyn ControlPlane>, bus: Arc<dyn EventBus>, stop: CancellationToken) {
    let mut topics = bus.subscribe();
    let mut pause = PAUSE.0;
    loop {
        let waiting = match store.index_threads(BATCH).await {
            Ok(progress) => {
                pause = PAUSE.0;
                (!progress.more).then_some(None)
            }
            Err(error) => {
                tracing::warn!(%error, "the index of threads can't follow the log now");
                pause = (pause * 2).min(PAUSE.1);
                Some(Some(pause))
            }
        };
        let woken = async {
            match waiting {
                None => tokio::task::yield_now().await,
                Some(Some(pause)) => tokio::time::sleep(pause).await,
                Some(None) => wake_up(&mut topics).await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = woken => {}
        }
    }
}

/// Until a session has new events and others had time to follow, or nobody has said anything for a while.
async fn wake_up(topics: &mut broadcast::Receiver<Topic>) {
    let idle = Instant::now() + IDLE;
    loop {
        match tokio::time::timeout_at(idle, topics.recv()).await {
            Ok(Ok(Topic::Session(_) | Topic::Everything))
            | Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                tokio::time::sleep(GATHER).await;
                return;
            }
            Ok(Ok(_)) => {}
            // Nobody will ever say anything: look now and then.
            Ok(Err(broadcast::error::RecvError::Closed)) => {
                return tokio::time::sleep_until(idle).await;
            }
            Err(_) => return,
        }
    }
}
