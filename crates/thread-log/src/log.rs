//! The public surface of the log.

use crate::error::LogError;
use crate::options::ThreadLogOptions;
use crate::subscribe::{self, Feeds, SessionChange, Subscription, WorkspaceUpdate};
use crate::thread::{Shared, Totals};
use crate::writer::{Command, Envelope, Writer};
use futures::stream::BoxStream;
use open_cowork_contracts::record::{Projection, SessionEnvelope};
use open_cowork_contracts::{EventType, RuntimeEvent, RuntimeSessionId, SessionStatus, View};
use open_cowork_providers::store::{
    AppendedEvent, CreatedSession, NewSession, Scope, SessionKey, SessionPage, SessionQuery,
    SessionRow, SessionUpdate, Store, StoreError,
};
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The one append service of a process. Cheap to clone; all clones are the same log.
///
/// Make it inside a Tokio runtime and [`ThreadLog::close`] it at the end: deltas that wait for their window
/// are stored then. Without a close (a crash) at most one window of streamed text per thread is lost, none
/// of which was acknowledged as durable.
#[derive(Clone)]
pub struct ThreadLog {
    core: Arc<Core>,
}

/// What all threads of a log share.
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: ThreadLogOptions,
    pub(crate) feeds: Feeds,
    pub(crate) closed: CancellationToken,
    threads: Mutex<HashMap<SessionKey, Arc<Thread>>>,
    tasks: TaskTracker,
    totals: Arc<Totals>,
    ticks: AtomicU64,
}

/// A thread's shared state with the way to its writer. The writer's task ends when all handles are gone; a
/// queued command holds one, so that a thread never has two writers.
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    commands: mpsc::Sender<Envelope>,
}

/// Commands of one thread that may wait; senders beyond that wait themselves (backpressure).
const COMMAND_QUEUE: usize = 256;

/// What an append did.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Sequence of the thread's last durable event.
    pub sequence: u64,
    /// Events that this call made durable, in order. Text that waited before may come first, and deltas of
    /// one message are one event. An id that was known with equal content has `created: false`.
    pub events: Vec<AppendedEvent>,
    /// False while deltas wait for the window. They are durable at the next boundary, flush or tick.
    pub durable: bool,
}

/// A thread while it is read.
#[derive(Clone, Copy, Debug)]
pub struct ThreadState<'a> {
    /// The row: session, folder, open asks.
    pub row: &'a SessionRow,
    /// The folded view.
    pub view: &'a View,
    /// Sequence of the last event in the view.
    pub sequence: u64,
}

/// How far a stored projection is behind its log (01 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Events in the log.
    pub event_count: u64,
    /// Last sequence of the log.
    pub latest_event_sequence: u64,
    /// Sequence of the stored snapshot, 0 without one.
    pub projection_sequence: u64,
    /// Difference of the two; ours folds the rest on load, so a lag is normal.
    pub lag: u64,
    /// Time of the last event in the snapshot.
    pub projection_updated_at: Option<String>,
}

/// What a repair did (01 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// True when what is stored had to change.
    pub repaired: bool,
    /// Events folded.
    pub event_count: u64,
    /// Workspace events of this session; ours are written with the event and derived from it, so none can be missing.
    pub workspace_event_count: u64,
    /// Last sequence of the log.
    pub latest_event_sequence: u64,
    /// Sequence of the snapshot before.
    pub prior_projection_sequence: u64,
    /// Sequence of the snapshot after.
    pub projection_sequence: u64,
    /// Difference of the two; 0 after a repair.
    pub lag: u64,
}

impl ThreadLog {
    /// A log over a store.
    pub fn new(store: Arc<dyn Store>, options: ThreadLogOptions) -> Self {
        let core = Core {
            store,
            options,
            feeds: Feeds::default(),
            closed: CancellationToken::new(),
            threads: Mutex::default(),
            tasks: TaskTracker::new(),
            totals: Arc::default(),
            ticks: AtomicU64::new(0),
        };
        ThreadLog {
            core: Arc::new(core),
        }
    }

    /// Makes a session and its first event, `session.created` with `{title, runtimePending: true}` (04 §2.2).
    /// Idempotent by id: an existing session comes back as it is.
    pub async fn create_session(&self, new: NewSession) -> Result<CreatedSession, LogError> {
        let mut created = self.core.store.create_session(new).await?;
        let session = &created.row.session;
        if created.row.last_sequence > 0 {
            return Ok(created);
        }
        // A crash between row and event heals here: the id makes the event happen once.
        let title = session
            .title
            .clone()
            .unwrap_or_else(|| "New session".to_owned());
        let event = RuntimeEvent::new(
            EventType::SessionCreated,
            json!({ "title": title, "runtimePending": true }),
        )
        .with_id(format!("{}:session.created", session.session_id));
        let key = SessionKey::of(session);
        self.append(&key, vec![event]).await?;
        created.row = self.session(&key).await?;
        Ok(created)
    }

    /// The row of a session, as stored.
    pub async fn session(&self, key: &SessionKey) -> Result<SessionRow, LogError> {
        let row = self.core.store.session(key).await?;
        row.ok_or_else(|| StoreError::NotFound(key.session_id.to_string()).into())
    }

    /// A page of a user's sessions.
    pub async fn page_sessions(&self, query: &SessionQuery) -> Result<SessionPage, LogError> {
        Ok(self.core.store.page_sessions(query).await?)
    }

    /// The session that a runtime session is bound to; routing inside the process only.
    pub async fn find_by_runtime(
        &self,
        id: &RuntimeSessionId,
    ) -> Result<Option<SessionRow>, LogError> {
        Ok(self.core.store.find_by_runtime(id).await?)
    }

    /// Binds the runtime session.
    pub async fn bind_runtime(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
    ) -> Result<SessionRow, LogError> {
        let at = self.core.options.now();
        let row = self.core.store.bind_runtime(key, id, &at, None).await?;
        self.row_changed(key, row).await
    }

    /// Sets the stored status where no event stands for it (closing and reopening). Titles change by a
    /// `session.renamed` event, statuses of a turn by its own events.
    pub async fn set_status(
        &self,
        key: &SessionKey,
        status: SessionStatus,
    ) -> Result<SessionRow, LogError> {
        let update = SessionUpdate {
            status: Some(status),
            title: None,
        };
        let at = self.core.options.now();
        let row = self
            .core
            .store
            .update_session(key, update, &at, None)
            .await?;
        self.row_changed(key, row).await
    }

    /// Appends a batch to a thread: sanitized, coalesced, stored, folded, published.
    ///
    /// Deltas (`assistant.message` and `task.message` with mode `append`) are taken over at once: the first of
    /// a message is stored at once, the others wait for the window (decision 12). Any other event is a
    /// boundary: it first flushes the deltas, and from the first boundary on the rest of the batch is stored
    /// in one transaction, all or nothing, before this returns.
    ///
    /// Store failures that may pass are retried for about 1.5 s under one event id (01 §11.2); then
    /// [`LogError::NotAppended`] says how many events were taken over all the same. Cancelling the call
    /// doesn't stop the append.
    pub async fn append(
        &self,
        key: &SessionKey,
        events: Vec<RuntimeEvent>,
    ) -> Result<Receipt, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(key, Command::Append { events, reply }).await?;
        let receipt = self.answered(answer).await?;
        self.trim(key);
        Ok(receipt)
    }

    /// Calls `read` once with the thread's current state, without copying it. `read` runs under a short lock
    /// that the thread's writer waits for: be quick, and don't call the log from within.
    pub async fn read<R>(
        &self,
        key: &SessionKey,
        read: impl FnOnce(ThreadState<'_>) -> R,
    ) -> Result<R, LogError> {
        loop {
            let thread = self.thread(key)?;
            if let Some(loaded) = thread.shared.state().as_ref() {
                return Ok(read(ThreadState {
                    row: &loaded.row,
                    view: loaded.view(),
                    sequence: loaded.sequence,
                }));
            }
            self.load(key).await?;
        }
    }

    /// A copy of the thread as clients fetch it (01 §7.3); its cursor is `projection.sequence`.
    pub async fn snapshot(&self, key: &SessionKey) -> Result<SessionEnvelope, LogError> {
        self.read(key, |state| {
            let mut session = state.row.session.clone();
            session.project_source = state.view.project_source.clone();
            let projection = (state.sequence > 0).then(|| Projection {
                tenant_id: session.tenant_id.clone(),
                session_id: session.session_id.clone(),
                sequence: state.sequence,
                view: state.view.clone(),
                updated_at: state.view.updated_at.clone(),
            });
            SessionEnvelope {
                session,
                projection,
            }
        })
        .await
    }

    /// How many approvals and questions of a thread wait for an answer. Exact for cold threads too, and
    /// doesn't load them; a page of sessions carries the same number per row.
    pub async fn pending_counts(&self, key: &SessionKey) -> Result<u32, LogError> {
        Ok(self.session(key).await?.waiting)
    }

    /// Every event of a thread after `after`, in order, without a gap or a duplicate: first the backlog, then
    /// live, for as long as it is polled. A cursor beyond the log gives one [`crate::Update::Reset`] first. An
    /// event is yielded after it was folded, so that [`ThreadLog::read`] shows it.
    pub async fn subscribe(&self, key: &SessionKey, after: u64) -> Result<Subscription, LogError> {
        self.load(key).await?;
        Ok(subscribe::thread(
            self.core.clone(),
            self.thread(key)?,
            after,
        ))
    }

    /// Every workspace event of a user after `after`, in order, without a gap or a duplicate.
    pub fn subscribe_workspace(
        &self,
        scope: &Scope,
        after: u64,
    ) -> BoxStream<'static, WorkspaceUpdate> {
        subscribe::workspace(self.core.clone(), scope.clone(), after)
    }

    /// The row of a user's session whenever one appeared or its title, status, asks or binding changed. For a
    /// thread list: nothing is sent for mere text. Starts with now; a subscriber that is too slow gets
    /// [`SessionChange::Resync`].
    pub fn subscribe_sessions(&self, scope: &Scope) -> BoxStream<'static, SessionChange> {
        subscribe::sessions(&self.core, scope)
    }

    /// Makes deltas that wait for the window durable.
    pub async fn flush(&self, key: &SessionKey) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(key, Command::Flush { reply }).await?;
        self.answered(answer).await
    }

    /// Flushes every thread that is in memory; the first error, after all were tried.
    pub async fn flush_all(&self) -> Result<(), LogError> {
        let keys: Vec<SessionKey> = self.threads().keys().cloned().collect();
        let flushed = futures::future::join_all(keys.iter().map(|key| self.flush(key))).await;
        flushed
            .into_iter()
            .find_map(Result::err)
            .map_or(Ok(()), Err)
    }

    /// Another process appended to the thread: fold and publish what the store has. Returns the last sequence.
    pub async fn refresh(&self, key: &SessionKey) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(key, Command::Refresh { reply }).await?;
        self.answered(answer).await
    }

    /// Folds the whole log anew and stores the result, whatever was stored (01 §7.2; an operator's tool).
    /// Running it twice changes nothing.
    pub async fn repair(&self, key: &SessionKey) -> Result<RepairReport, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(key, Command::Repair { reply }).await?;
        self.answered(answer).await
    }

    /// How far the stored snapshot is behind the log.
    pub async fn status(&self, key: &SessionKey) -> Result<ProjectionStatus, LogError> {
        self.session(key).await?;
        let stats = self.core.store.event_stats(key).await?;
        let snapshot = self.core.store.snapshot(key).await?;
        let projection_sequence = snapshot.as_ref().map_or(0, |snapshot| snapshot.sequence);
        Ok(ProjectionStatus {
            event_count: stats.count,
            latest_event_sequence: stats.latest_sequence,
            projection_sequence,
            lag: stats.latest_sequence.saturating_sub(projection_sequence),
            projection_updated_at: snapshot.map(|snapshot| snapshot.updated_at),
        })
    }

    /// Stores what waits, writes due snapshots, ends all streams and waits for the tasks. Appends after it are
    /// [`LogError::Closed`]. The store stays open; it belongs to the caller.
    pub async fn close(&self) {
        let threads: Vec<Arc<Thread>> = {
            let mut threads = self.threads();
            self.core.closed.cancel();
            threads.drain().map(|(_, thread)| thread).collect()
        };
        drop(threads);
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    /// The handle of a thread; its writer is started when there is none.
    fn thread(&self, key: &SessionKey) -> Result<Arc<Thread>, LogError> {
        let mut threads = self.threads();
        if self.core.closed.is_cancelled() {
            return Err(LogError::Closed);
        }
        let thread = threads.entry(key.clone()).or_insert_with(|| {
            let (commands, queue) = mpsc::channel(COMMAND_QUEUE);
            let shared = Arc::new(Shared::new(key.clone(), self.core.totals.clone()));
            self.core
                .tasks
                .spawn(Writer::new(self.core.clone(), shared.clone()).run(queue));
            Arc::new(Thread { shared, commands })
        });
        thread
            .shared
            .touch(self.core.ticks.fetch_add(1, Ordering::Relaxed));
        Ok(thread.clone())
    }

    fn threads(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Thread>>> {
        self.core
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, key: &SessionKey) -> Result<(), LogError> {
        if self.thread(key)?.shared.is_loaded() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.send(key, Command::Load { reply }).await?;
        self.answered(answer).await?;
        self.trim(key);
        Ok(())
    }

    async fn row_changed(&self, key: &SessionKey, row: SessionRow) -> Result<SessionRow, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(key, Command::RowChanged { reply }).await?;
        self.answered(answer).await?;
        Ok(row)
    }

    async fn send(&self, key: &SessionKey, command: Command) -> Result<(), LogError> {
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

    async fn answered<T>(
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
    fn trim(&self, current: &SessionKey) {
        let options = &self.core.options;
        let (mut count, mut bytes) = self.core.totals.now();
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

impl std::fmt::Debug for ThreadLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadLog")
            .field("threads", &self.threads().len())
            .finish_non_exhaustive()
    }
}
