//! The public surface of the log.

use crate::answer::{ImportedEvent, ProjectionStatus, Receipt, RepairReport, ThreadState};
use crate::core::{Core, Thread};
use crate::error::LogError;
use crate::feeds;
use crate::follow;
use crate::heads::Heads;
use crate::options::ThreadLogOptions;
use crate::prune;
use crate::subscribe::{self, SessionChange, Subscription, WorkspaceUpdate};
use crate::writer::Command;
use futures::stream::BoxStream;
use open_cowork_contracts::record::{Projection, SessionEnvelope};
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, RuntimeSessionId, SessionStatus};
use open_cowork_providers::store::{
    CreatedSession, InUse, LeaseToken, NewSession, Scope, SessionKey, SessionPage, SessionQuery,
    SessionRow, SessionUpdate, Store, StoreError,
};
use open_cowork_providers::time::Timestamp;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The one append service of a process. Cheap to clone; all clones are the same log.
///
/// Make it inside a Tokio runtime and [`ThreadLog::close`] it at the end: deltas that wait for their window
/// are stored then. Without a close (a crash) at most one window of streamed text per thread is lost, none
/// of which was acknowledged as durable.
#[derive(Clone)]
pub struct ThreadLog {
    core: Arc<Core>,
}

impl ThreadLog {
    /// A log over a store.
    pub fn new(store: Arc<dyn Store>, options: ThreadLogOptions) -> Self {
        let core = Arc::new(Core::new(store, options));
        if core.options.shared {
            core.tasks.spawn(follow::run(&core));
        }
        ThreadLog { core }
    }

    /// Makes a session and its first event, `session.created` with `{title, runtimePending: true}` (04 §2.2).
    /// Idempotent by id: an existing session comes back as it is.
    pub async fn create_session(&self, new: NewSession) -> Result<CreatedSession, LogError> {
        self.create_session_within(new, None).await
    }

    /// The same, for a session that doesn't exist only while the tenant has fewer than that many in use; else `Quota`.
    pub async fn create_session_within(
        &self,
        new: NewSession,
        limit: Option<InUse>,
    ) -> Result<CreatedSession, LogError> {
        let title = new.title.as_deref().unwrap_or("New session");
        let mut payload = JsonObject::new();
        payload.insert("title".to_owned(), json!(title));
        payload.insert("runtimePending".to_owned(), json!(true));
        let created = self.core.store.create_session_within(new, limit).await?;
        self.announce(created, payload).await
    }

    /// The same with a payload of the caller's for `session.created`, such as where the session comes from.
    pub async fn create_session_with(
        &self,
        new: NewSession,
        payload: JsonObject,
    ) -> Result<CreatedSession, LogError> {
        let created = self.core.store.create_session(new).await?;
        self.announce(created, payload).await
    }

    async fn announce(
        &self,
        mut created: CreatedSession,
        payload: JsonObject,
    ) -> Result<CreatedSession, LogError> {
        let session = &created.row.session;
        if created.row.last_sequence > 0 {
            return Ok(created);
        }
        // A crash between row and event heals here: the id makes the event happen once.
        let event = RuntimeEvent::new(EventType::SessionCreated, payload.into())
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
        self.bind(key, id, None).await
    }

    /// The same under a session's lease; [`StoreError::StaleFence`] when it is lost (04 §2.3).
    pub async fn bind_runtime_fenced(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        lease: &LeaseToken,
    ) -> Result<SessionRow, LogError> {
        self.bind(key, id, Some(lease)).await
    }

    async fn bind(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        lease: Option<&LeaseToken>,
    ) -> Result<SessionRow, LogError> {
        let at = self.core.options.now();
        let fence = lease.map(|lease| self.core.options.fence(lease));
        let store = &self.core.store;
        let row = store.bind_runtime(key, id, &at, fence.as_ref()).await?;
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
        self.enter(key, events, None).await
    }

    /// [`ThreadLog::append`] under a session's lease, which is checked in the transaction that stores the
    /// events (04 §2.3). [`StoreError::StaleFence`] when it is lost: stop what made the events. Text keeps the
    /// lease under which it was taken over; what a lost lease leaves is dropped with a line in the program's log.
    pub async fn append_fenced(
        &self,
        key: &SessionKey,
        events: Vec<RuntimeEvent>,
        lease: &LeaseToken,
    ) -> Result<Receipt, LogError> {
        self.enter(key, events, Some(lease.clone())).await
    }

    /// Appends what happened before, each with its own time: one transaction, nothing joined.
    pub async fn import(
        &self,
        key: &SessionKey,
        events: Vec<ImportedEvent>,
    ) -> Result<Receipt, LogError> {
        let (reply, answer) = oneshot::channel();
        self.core
            .send(key, Command::Import { events, reply })
            .await?;
        let receipt = self.core.answered(answer).await?;
        self.core.trim(key);
        Ok(receipt)
    }

    async fn enter(
        &self,
        key: &SessionKey,
        events: Vec<RuntimeEvent>,
        fence: Option<LeaseToken>,
    ) -> Result<Receipt, LogError> {
        let (reply, answer) = oneshot::channel();
        let append = Command::Append {
            events,
            fence,
            reply,
        };
        self.core.send(key, append).await?;
        let receipt = self.core.answered(answer).await?;
        self.core.trim(key);
        Ok(receipt)
    }

    /// Calls `read` once with the thread's current state, without copying it. `read` runs under a short lock
    /// that the thread's writer waits for: be quick, and don't call the log from within.
    ///
    /// The state is never older than what was committed before the call, whichever process committed it.
    pub async fn read<R>(
        &self,
        key: &SessionKey,
        read: impl FnOnce(ThreadState<'_>) -> R,
    ) -> Result<R, LogError> {
        self.catch_up(key).await?;
        loop {
            let thread = self.core.thread(key)?;
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
    /// live, for as long as it is polled. A cursor beyond the log, or before its beginning, gives one [`crate::Update::Reset`] first. An
    /// event is yielded after it was folded, so that [`ThreadLog::read`] shows it.
    pub async fn subscribe(&self, key: &SessionKey, after: u64) -> Result<Subscription, LogError> {
        self.catch_up(key).await?;
        self.load(key).await?;
        Ok(subscribe::thread(
            self.core.clone(),
            self.core.thread(key)?,
            after,
        ))
    }

    /// Every workspace event of a user after `after`, in order, without a gap or a duplicate.
    pub fn subscribe_workspace(
        &self,
        scope: &Scope,
        after: u64,
    ) -> BoxStream<'static, WorkspaceUpdate> {
        subscribe::workspace(self.core.clone(), scope, after)
    }

    /// The row of a user's session whenever one appeared or its title, status, asks or binding changed. For a
    /// thread list: nothing is sent for mere text. Starts with now; a subscriber that is too slow gets
    /// [`SessionChange::Resync`].
    pub fn subscribe_sessions(&self, scope: &Scope) -> BoxStream<'static, SessionChange> {
        feeds::sessions(&self.core, scope)
    }

    /// Makes deltas that wait for the window durable.
    pub async fn flush(&self, key: &SessionKey) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.core.send(key, Command::Flush { reply }).await?;
        self.core.answered(answer).await
    }

    /// Flushes every thread that is in memory; the first error, after all were tried.
    pub async fn flush_all(&self) -> Result<(), LogError> {
        let keys: Vec<SessionKey> = self.core.threads().keys().cloned().collect();
        let flushed = futures::future::join_all(keys.iter().map(|key| self.flush(key))).await;
        flushed
            .into_iter()
            .find_map(Result::err)
            .map_or(Ok(()), Err)
    }

    /// Another process appended to the thread: fold and publish what the store has. Returns the last sequence.
    pub async fn refresh(&self, key: &SessionKey) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.core
            .send(key, Command::Refresh { seen: None, reply })
            .await?;
        self.core.answered(answer).await
    }

    /// Folds the whole log anew and stores the result, whatever was stored (01 §7.2; an operator's tool). A log that
    /// was pruned is folded from its base, and the report says so. Running it twice changes nothing.
    pub async fn repair(&self, key: &SessionKey) -> Result<RepairReport, LogError> {
        let (reply, answer) = oneshot::channel();
        self.core.send(key, Command::Repair { reply }).await?;
        self.core.answered(answer).await
    }

    /// How far the stored snapshot is behind the log. A base that is newer stands for the snapshot.
    pub async fn status(&self, key: &SessionKey) -> Result<ProjectionStatus, LogError> {
        self.session(key).await?;
        let store = &self.core.store;
        let stats = store.event_stats(key).await?;
        let (snapshot, base) = (store.snapshot(key).await?, store.base(key).await?);
        let base_sequence = base.as_ref().map_or(0, |base| base.sequence);
        let newest = [snapshot, base].into_iter().flatten();
        let newest = newest.max_by_key(|view| view.sequence);
        let projection_sequence = newest.as_ref().map_or(0, |view| view.sequence);
        Ok(ProjectionStatus {
            event_count: stats.count,
            earliest_event_sequence: stats.earliest_sequence,
            latest_event_sequence: stats.latest_sequence,
            base_sequence,
            projection_sequence,
            lag: stats.latest_sequence.saturating_sub(projection_sequence),
            projection_updated_at: newest.map(|view| view.updated_at),
        })
    }

    /// Takes one step of retention: events at the beginning of a log that are all older than `before`, `limit` at
    /// most, are folded into the log's base and are gone. Gives their number; 0 when there is nothing to prune, a
    /// turn is unfinished, or another process does it. Views, snapshots and streams go on as before; a stream whose
    /// cursor is before the new beginning gets one [`crate::Update::Reset`].
    pub async fn prune(
        &self,
        key: &SessionKey,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, LogError> {
        prune::step(&*self.core.store, key, before, limit).await
    }

    /// Stores what waits, writes due snapshots, ends all streams and waits for the tasks. Appends after it are
    /// [`LogError::Closed`]. The store stays open; it belongs to the caller.
    pub async fn close(&self) {
        let threads: Vec<Arc<Thread>> = {
            let mut threads = self.core.threads();
            self.core.closed.cancel();
            threads.drain().map(|(_, thread)| thread).collect()
        };
        drop(threads);
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    /// Folds what other processes have appended, if any can.
    async fn catch_up(&self, key: &SessionKey) -> Result<(), LogError> {
        if !self.core.options.shared || !self.core.thread(key)?.shared.is_loaded() {
            // A thread that isn't in memory is read from the store anyway.
            return Ok(());
        }
        let row = Heads::ask(&self.core, key).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(key.session_id.to_string()))?;
        let thread = self.core.thread(key)?;
        if thread
            .shared
            .state()
            .as_ref()
            .is_some_and(|loaded| loaded.is_as(&row))
        {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let seen = Some(row);
        self.core
            .send(key, Command::Refresh { seen, reply })
            .await?;
        self.core.answered(answer).await.map(drop)
    }

    async fn load(&self, key: &SessionKey) -> Result<(), LogError> {
        if self.core.thread(key)?.shared.is_loaded() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.core.send(key, Command::Load { reply }).await?;
        self.core.answered(answer).await?;
        self.core.trim(key);
        Ok(())
    }

    async fn row_changed(&self, key: &SessionKey, row: SessionRow) -> Result<SessionRow, LogError> {
        let (reply, answer) = oneshot::channel();
        self.core.send(key, Command::RowChanged { reply }).await?;
        self.core.answered(answer).await?;
        Ok(row)
    }
}

impl std::fmt::Debug for ThreadLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadLog")
            .field("threads", &self.core.threads().len())
            .finish_non_exhaustive()
    }
}
