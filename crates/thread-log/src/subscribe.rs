//! Resumable streams. A subscription is a cursor over the log; what it is told is only when to look again.

use crate::core::{Core, Thread};
use crate::feeds::Feed;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use open_cowork_contracts::{SessionEventRecord, WorkspaceEventRecord};
use open_cowork_providers::store::{EVENT_PAGE, Scope, SessionRow};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

/// An item of a thread's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The next event; it is folded into the view already.
    Event(Arc<SessionEventRecord>),
    /// The cursor doesn't fit the log (it is ahead of it, or events before it are gone): re-read the thread,
    /// whose state is at `sequence` or later. The stream goes on after `sequence`.
    Reset {
        /// Sequence that the stream continues from.
        sequence: u64,
    },
}

/// An item of a workspace's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceUpdate {
    /// The next event of the user's workspace.
    Event(Arc<WorkspaceEventRecord>),
    /// As [`Update::Reset`].
    Reset {
        /// Workspace sequence that the stream continues from.
        sequence: u64,
    },
}

/// An item of the thread list's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionChange {
    /// A session appeared, or its title, status, asks or binding changed; this is its row now.
    Row(Arc<SessionRow>),
    /// Changes were missed: read the list again.
    Resync,
}

/// The stream of one thread; see [`crate::ThreadLog::subscribe`]. It ends when the log closes.
pub struct Subscription {
    updates: BoxStream<'static, Update>,
}

impl Stream for Subscription {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        self.updates.poll_next_unpin(context)
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription")
    }
}

/// Pause before a failed read is tried again, doubling.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// The stream of a loaded thread.
pub(crate) fn thread(core: Arc<Core>, thread: Arc<Thread>, after: u64) -> Subscription {
    struct Cursor {
        core: Arc<Core>,
        thread: Arc<Thread>,
        published: watch::Receiver<u64>,
        after: u64,
        first: bool,
        ready: VecDeque<Arc<SessionEventRecord>>,
    }
    let published = thread.shared.follow();
    let cursor = Cursor {
        core,
        thread,
        published,
        after,
        first: true,
        ready: VecDeque::new(),
    };
    let updates = stream::unfold(cursor, async |mut cursor| {
        let mut pause = RETRY_FIRST;
        loop {
            if let Some(record) = cursor.ready.pop_front() {
                if record.sequence <= cursor.after {
                    continue;
                }
                if record.sequence > cursor.after + 1 {
                    let sequence = *cursor.published.borrow();
                    cursor.ready.clear();
                    cursor.after = sequence.max(record.sequence);
                    return Some((
                        Update::Reset {
                            sequence: cursor.after,
                        },
                        cursor,
                    ));
                }
                cursor.after = record.sequence;
                return Some((Update::Event(record), cursor));
            }
            if cursor.core.closed.is_cancelled() {
                return None;
            }

            let published = *cursor.published.borrow_and_update();
            if std::mem::take(&mut cursor.first) && cursor.after > published {
                cursor.after = published;
                return Some((
                    Update::Reset {
                        sequence: published,
                    },
                    cursor,
                ));
            }
            if cursor.after < published {
                let live = cursor
                    .thread
                    .shared
                    .tail()
                    .since(cursor.after)
                    .filter(|live| !live.is_empty());
                match live {
                    Some(live) => cursor.ready.extend(live),
                    None => {
                        let key = &cursor.thread.shared.key;
                        match cursor
                            .core
                            .store
                            .list_events(key, cursor.after, EVENT_PAGE)
                            .await
                        {
                            Ok(page) if page.is_empty() => {
                                cursor.after = published;
                                return Some((
                                    Update::Reset {
                                        sequence: published,
                                    },
                                    cursor,
                                ));
                            }
                            // What is stored but not folded yet comes with the next hint.
                            Ok(page) => cursor
                                .ready
                                .extend(page.into_iter().filter(|e| e.sequence <= published)),
                            Err(error) => {
                                tracing::warn!(session = %key, %error, "a stream can't read its backlog; trying again");
                                pause_or_close(&cursor.core, &mut pause).await;
                            }
                        }
                    }
                }
                continue;
            }
            let closed = cursor.core.closed.clone();
            tokio::select! {
                changed = cursor.published.changed() => if changed.is_err() { return None },
                () = closed.cancelled() => return None,
            }
        }
    });
    Subscription {
        updates: updates.boxed(),
    }
}

/// The stream of a user's workspace: a hint, then what is new.
pub(crate) fn workspace(
    core: Arc<Core>,
    scope: &Scope,
    after: u64,
) -> BoxStream<'static, WorkspaceUpdate> {
    struct Cursor {
        core: Arc<Core>,
        feed: Arc<Feed>,
        latest: watch::Receiver<u64>,
        after: u64,
        first: bool,
        ready: VecDeque<Arc<WorkspaceEventRecord>>,
    }
    let (feed, latest) = core.feeds.follow_events(scope);
    let cursor = Cursor {
        core,
        feed,
        latest,
        after,
        first: true,
        ready: VecDeque::new(),
    };
    let updates = stream::unfold(cursor, async |mut cursor| {
        let mut pause = RETRY_FIRST;
        loop {
            if let Some(event) = cursor.ready.pop_front() {
                if event.sequence <= cursor.after {
                    continue;
                }
                if event.sequence > cursor.after + 1 {
                    let sequence = cursor
                        .ready
                        .back()
                        .map_or(event.sequence, |last| last.sequence);
                    cursor.ready.clear();
                    cursor.after = sequence;
                    return Some((WorkspaceUpdate::Reset { sequence }, cursor));
                }
                cursor.after = event.sequence;
                return Some((WorkspaceUpdate::Event(event), cursor));
            }
            if cursor.core.closed.is_cancelled() {
                return None;
            }

            let latest = *cursor.latest.borrow_and_update();
            if cursor.first {
                match cursor.feed.start(&cursor.core).await {
                    Ok(latest) => {
                        cursor.first = false;
                        if cursor.after > latest {
                            cursor.after = latest;
                            return Some((WorkspaceUpdate::Reset { sequence: latest }, cursor));
                        }
                    }
                    Err(_) => pause_or_close(&cursor.core, &mut pause).await,
                }
                continue;
            }
            if cursor.after < latest {
                match cursor.feed.since(&cursor.core, cursor.after).await {
                    // They were there and are gone.
                    Ok(page) if page.is_empty() => {
                        cursor.after = latest;
                        return Some((WorkspaceUpdate::Reset { sequence: latest }, cursor));
                    }
                    Ok(page) => cursor.ready.extend(page),
                    Err(error) => {
                        tracing::warn!(user = %cursor.feed.scope.user_id, %error, "a stream can't read its backlog; trying again");
                        pause_or_close(&cursor.core, &mut pause).await;
                    }
                }
                continue;
            }
            let closed = cursor.core.closed.clone();
            tokio::select! {
                changed = cursor.latest.changed() => if changed.is_err() { return None },
                () = closed.cancelled() => return None,
            }
        }
    });
    updates.boxed()
}

async fn pause_or_close(core: &Core, pause: &mut Duration) {
    tokio::select! {
        () = tokio::time::sleep(*pause) => {}
        () = core.closed.cancelled() => {}
    }
    *pause = (*pause * 2).min(RETRY_LAST);
}
