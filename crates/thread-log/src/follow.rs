//! Follows what other processes append: the bus says when to look, a poll makes up for what it lost. One per
//! process; a topic is asked about once, however many streams follow it (04 §9).

use crate::core::{Core, Thread};
use crate::writer::{Command, Envelope};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::store::{Scope, SessionKey, SessionRow, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};

/// Threads or workspaces asked about in one query.
const TOPICS: usize = 500;

/// A shorter poll would only load the store.
const MIN_POLL: Duration = Duration::from_millis(10);

/// Until the log closes or is gone.
pub(crate) fn run(core: &Arc<Core>) -> impl Future<Output = ()> + Send + 'static {
    let mut topics = core.options.bus.subscribe_remote();
    let closed = core.closed.clone();
    let mut ticks = tokio::time::interval(core.options.poll.max(MIN_POLL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let core = Arc::downgrade(core);
    async move {
        let mut polled = Instant::now();
        loop {
            let topic = tokio::select! {
                topic = topics.recv() => Some(topic),
                _ = ticks.tick() => None,
                () = closed.cancelled() => return,
            };
            let Some(core) = core.upgrade() else { return };
            match topic {
                Some(Ok(Topic::Session(key))) => look_at_thread(&core, &key),
                Some(Ok(Topic::Workspace(scope))) => core.feeds.wake(&core, &scope),
                Some(Ok(Topic::Commands(_) | Topic::Credentials(_))) => {}
                // A bus that was dropped leaves the poll.
                Some(Err(RecvError::Closed)) => topics = core.options.bus.subscribe_remote(),
                None if !is_due(&core, polled) => {}
                None | Some(Ok(Topic::Everything) | Err(RecvError::Lagged(_))) => {
                    if let Err(error) = look_at_everything(&core).await {
                        tracing::debug!(%error, "can't ask the store what is new yet");
                    }
                    polled = Instant::now();
                }
            }
        }
    }
}

/// Asked at every tick, so that a bus that was lost shortens the wait that is under way.
fn is_due(core: &Core, polled: Instant) -> bool {
    let options = &core.options;
    let wait = match options.bus.is_connected() {
        true => options.poll_connected,
        false => options.poll,
    };
    polled.elapsed() + options.poll / 2 >= wait
}

fn look_at_thread(core: &Core, key: &SessionKey) {
    let thread = core.threads().get(key).cloned();
    if let Some(thread) = thread.filter(|thread| thread.shared.is_followed()) {
        poke(&thread);
    }
}

/// Asks the writer to look, unless it was asked already.
fn poke(thread: &Arc<Thread>) {
    if !thread.shared.poke() {
        return;
    }
    let envelope = Envelope {
        command: Command::Look,
        handle: thread.clone(),
    };
    // A full queue: the thread is busy here, and its next append or the next poll finds what is new.
    if thread.commands.try_send(envelope).is_err() {
        thread.shared.look();
    }
}

async fn look_at_everything(core: &Arc<Core>) -> Result<(), StoreError> {
    for threads in core.followed().chunks(TOPICS) {
        let keys: Vec<SessionKey> = threads.iter().map(|t| t.shared.key.clone()).collect();
        let rows = core.store.sessions(&keys).await?;
        for (thread, row) in threads.iter().zip(rows) {
            if row.is_some_and(|row| is_behind(thread, &row)) {
                poke(thread);
            }
        }
    }
    for feeds in core.feeds.all_followed().chunks(TOPICS) {
        let scopes: Vec<Scope> = feeds.iter().map(|feed| feed.scope.clone()).collect();
        let stored = core.store.workspace_sequences(&scopes).await?;
        for (feed, stored) in feeds.iter().zip(stored) {
            if stored > feed.latest() {
                feed.advance(core);
            } else if !feed.has_started() {
                feed.start(core).await?;
            }
        }
    }
    Ok(())
}

/// True when the store has what the thread's followers haven't seen.
fn is_behind(thread: &Thread, row: &SessionRow) -> bool {
    row.last_sequence > thread.shared.published()
}
