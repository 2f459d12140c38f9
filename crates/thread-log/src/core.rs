//! What all threads of a log share: the table of threads, and the way to each one's writer.

use crate::error::LogError;
use crate::feeds::Feeds;
use crate::heads::Heads;
use crate::options::ThreadLogOptions;
use crate::thread::{Shared, Totals};
use crate::writer::{Command, Envelope, Writer};
use open_cowork_providers::store::{SessionKey, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all threads of a log share.
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: ThreadLogOptions,
    pub(crate) feeds: Feeds,
    pub(crate) closed: CancellationToken,
    pub(crate) heads: Heads,
    threads: Mutex<HashMap<SessionKey, Arc<Thread>>>,
    pub(crate) tasks: TaskTracker,
    totals: Arc<Totals>,
    ticks: AtomicU64,
}

/// A thread's shared state with the way to its writer. The writer's task ends when all handles are gone; a
/// queued command holds one, so that a thread never has two writers.
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Sender<Envelope>,
}

/// Commands of one thread that may wait; senders beyond that wait themselves (backpressure).
const COMMAND_QUEUE: usize = 256;

impl Core {
    pub(crate) fn new(store: Arc<dyn Store>, options: ThreadLogOptions) -> Self {
        Core {
            store,
            options,
            feeds: Feeds::default(),
            closed: CancellationToken::new(),
            heads: Heads::default(),
            threads: Mutex::default(),
            tasks: TaskTracker::new(),
            totals: Arc::default(),
            ticks: AtomicU64::new(0),
        }
    }

    /// Threads that somebody follows.
    pub(crate) fn followed(&self) -> Vec<Arc<Thread>> {
        let threads = self.threads();
        let followed = threads
            .values()
            .filter(|thread| thread.shared.is_followed());
        followed.cloned().collect()
    }

    /// The handle of a thread; its writer is started when there is none.
    pub(crate) fn thread(self: &Arc<Self>, key: &SessionKey) -> Result<Arc<Thread>, LogError> {
        let mut threads = self.threads();
        if self.closed.is_cancelled() {
            return Err(LogError::Closed);
        }
        let thread = threads.entry(key.clone()).or_insert_with(|| {
            let (commands, queue) = mpsc::channel(COMMAND_QUEUE);
            let shared = Arc::new(Shared::new(key.clone(), self.totals.clone()));
            self.tasks
                .spawn(Writer::new(self.clone(), shared.clone()).run(queue));
            Arc::new(Thread { shared, commands })
        });
        thread
            .shared
            .touch(self.ticks.fetch_add(1, Ordering::Relaxed));
        Ok(thread.clone())
    }

    pub(crate) fn threads(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Thread>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn send(
        self: &Arc<Self>,
        key: &SessionKey,
        command: Command,
    ) -> Result<(), LogError> {
        let thread = self.thread(key)?;
        let envelope = Envelope {
            command,
            handle: thread.clone(),
        };
        thread
            .commands
            .send(envelope)
            .await
            .map_err(|_| LogError::Closed)
    }

    pub(crate) async fn answered<T>(
        &self,
        answer: oneshot::Receiver<Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let answer = answer.await.map_err(|_| LogError::Closed)?;
        if let Err(LogError::Store(StoreError::NotFound(_))) = &answer {
            self.forget_cold();
        }
        answer
    }

    /// Keeps the views within the bounds: the least recently used threads, `current` excepted, are asked to
    /// store what waits and to drop their view.
    pub(crate) fn trim(&self, current: &SessionKey) {
        let options = &self.options;
        let (mut count, mut bytes) = self.totals.now();
        if count <= options.max_threads && bytes <= options.max_bytes {
            return;
        }
        let mut loaded: Vec<Arc<Thread>> = self
            .threads()
            .values()
            .filter(|thread| thread.shared.bytes() > 0)
            .cloned()
            .collect();
        loaded.sort_by_key(|thread| thread.shared.last_used());
        for thread in loaded.iter().filter(|thread| thread.shared.key != *current) {
            if count <= options.max_threads && bytes <= options.max_bytes {
                break;
            }
            // A full queue means that the thread is in use after all.
            let envelope = Envelope {
                command: Command::Unload,
                handle: (*thread).clone(),
            };
            if thread.commands.try_send(envelope).is_ok() {
                bytes = bytes.saturating_sub(thread.shared.bytes());
                count -= 1;
            }
        }
        drop(loaded);
        self.forget_cold();
    }

    /// Drops handles of cold threads that nobody else holds; their writers end by that. A cold thread has
    /// nothing that waits to be stored.
    fn forget_cold(&self) {
        self.threads()
            .retain(|_, thread| thread.shared.is_loaded() || Arc::strong_count(thread) > 1);
    }
}
