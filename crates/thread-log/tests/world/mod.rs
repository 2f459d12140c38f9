//! A log over a store that can be told to fail.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]

use async_trait::async_trait;
use futures::StreamExt;
use open_cowork_contracts::{
    EventType, RuntimeEvent, RuntimeSessionId, Session, SessionEventRecord, SessionStatus, View,
    WorkspaceEventRecord,
};
use open_cowork_projection::Projector;
use open_cowork_providers::memory::MemoryStore;
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, EventStats, EventStore, InUse, LeaseFence, NewSession,
    OldSessions, PruneStep, RetentionStore, Scope, SessionKey, SessionPage, SessionQuery,
    SessionRow, SessionStore, SessionUpdate, Snapshot, SnapshotRule, SnapshotStore, SnapshotWrite,
    Store, StoreError, WorkspaceCursor,
};
use open_cowork_providers::time::Timestamp;
use open_cowork_thread_log::{Subscription, ThreadLog, ThreadLogOptions, Update};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What happens to one append.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing is stored.
    Before(StoreError),
    /// It is stored, but the answer is lost.
    After(StoreError),
}

/// A store whose appends fail as scripted.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    pub faults: Mutex<VecDeque<Fault>>,
    pub appends: AtomicUsize,
    pub event_reads: AtomicUsize,
    pub row_reads: AtomicUsize,
    pub workspace_reads: AtomicUsize,
}

impl FaultyStore {
    pub fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(FaultyStore {
            inner,
            faults: Mutex::default(),
            appends: AtomicUsize::new(0),
            event_reads: AtomicUsize::new(0),
            row_reads: AtomicUsize::new(0),
            workspace_reads: AtomicUsize::new(0),
        })
    }

    pub fn new() -> Arc<Self> {
        Self::over(Arc::new(MemoryStore::new()))
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }
}

pub fn unavailable() -> StoreError {
    StoreError::Unavailable("away".into())
}

pub fn full() -> StoreError {
    StoreError::Full {
        path: "threads.db".into(),
    }
}

#[async_trait]
impl SessionStore for FaultyStore {
    async fn create_session_within(
        &self,
        new: NewSession,
        limit: Option<InUse>,
    ) -> Result<CreatedSession, StoreError> {
        self.inner.create_session_within(new, limit).await
    }
    async fn session(&self, key: &SessionKey) -> Result<Option<SessionRow>, StoreError> {
        self.inner.session(key).await
    }
    async fn sessions(&self, keys: &[SessionKey]) -> Result<Vec<Option<SessionRow>>, StoreError> {
        self.row_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.sessions(keys).await
    }
    async fn page_sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        self.inner.page_sessions(query).await
    }
    async fn find_by_runtime(
        &self,
        id: &RuntimeSessionId,
    ) -> Result<Option<SessionRow>, StoreError> {
        self.inner.find_by_runtime(id).await
    }
    async fn bind_runtime(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError> {
        self.inner.bind_runtime(key, id, at, fence).await
    }
    async fn update_session(
        &self,
        key: &SessionKey,
        update: SessionUpdate,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError> {
        self.inner.update_session(key, update, at, fence).await
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn append(&self, request: AppendRequest) -> Result<Appended, StoreError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => self.inner.append(request).await.and(Err(error)),
            None => self.inner.append(request).await,
        }
    }
    async fn list_events(
        &self,
        key: &SessionKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<SessionEventRecord>>, StoreError> {
        self.event_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.list_events(key, after, limit).await
    }
    async fn event_stats(&self, key: &SessionKey) -> Result<EventStats, StoreError> {
        self.inner.event_stats(key).await
    }
    async fn list_workspace_events(
        &self,
        scope: &Scope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError> {
        self.workspace_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.list_workspace_events(scope, after, limit).await
    }
    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError> {
        self.inner.workspace_cursor(scope).await
    }
}

#[async_trait]
impl SnapshotStore for FaultyStore {
    async fn snapshot(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(key).await
    }
    async fn write_snapshot(
        &self,
        key: &SessionKey,
        snapshot: Snapshot,
        rule: SnapshotRule,
    ) -> Result<SnapshotWrite, StoreError> {
        self.inner.write_snapshot(key, snapshot, rule).await
    }
}

#[async_trait]
impl RetentionStore for FaultyStore {
    async fn base(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        self.inner.base(key).await
    }
    async fn old_sessions(
        &self,
        before: Timestamp,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<OldSessions, StoreError> {
        self.inner.old_sessions(before, cursor, limit).await
    }
    async fn plan_prune(
        &self,
        key: &SessionKey,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<PruneStep>, StoreError> {
        self.inner.plan_prune(key, before, limit).await
    }
    async fn prune_events(
        &self,
        key: &SessionKey,
        step: PruneStep,
        base: Snapshot,
    ) -> Result<u64, StoreError> {
        self.inner.prune_events(key, step, base).await
    }
    async fn prune_workspaces(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.prune_workspaces(before, limit).await
    }
}

pub fn key(session: &str) -> SessionKey {
    SessionKey::new("t", session)
}

pub fn scope() -> Scope {
    Scope::new("t", "u")
}

pub fn new_session(session: &str) -> NewSession {
    NewSession {
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: session.into(),
        profile_name: "default".into(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        ..NewSession::default()
    }
}

/// A log over a faulty store with one bare session `s` (no events).
pub async fn world() -> (Arc<FaultyStore>, ThreadLog) {
    let store = FaultyStore::new();
    store.create_session(new_session("s")).await.unwrap();
    let log = ThreadLog::new(store.clone(), ThreadLogOptions::default());
    (store, log)
}

pub fn delta(message: &str, content: &str) -> RuntimeEvent {
    let payload = json!({ "messageId": message, "content": content, "mode": "append" });
    RuntimeEvent::new(EventType::AssistantMessage, payload)
}

pub fn prompt(text: &str) -> RuntimeEvent {
    RuntimeEvent::new(EventType::PromptSubmitted, json!({ "text": text }))
}

pub fn event(kind: &str, payload: Value) -> RuntimeEvent {
    RuntimeEvent::new(EventType::parse(kind), payload)
}

/// All stored texts of a session, in order.
pub async fn stored_texts(store: &dyn Store, session: &str) -> Vec<String> {
    let texts = stored(store, session).await;
    texts.iter().map(|event| text_of(event)).collect()
}

pub fn text_of(record: &SessionEventRecord) -> String {
    let text = record
        .payload
        .get("content")
        .or_else(|| record.payload.get("text"));
    text.and_then(Value::as_str)
        .unwrap_or_else(|| record.kind.as_str())
        .to_owned()
}

/// The whole log of a session.
pub async fn stored(store: &dyn Store, session: &str) -> Vec<Arc<SessionEventRecord>> {
    let mut events: Vec<Arc<SessionEventRecord>> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.sequence);
        let page = store.list_events(&key(session), after, 1000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// The view that the log means, folded by the pure reducer.
pub async fn folded(store: &dyn Store, session: &str) -> View {
    let row = store.session(&key(session)).await.unwrap().unwrap().session;
    let start = Session {
        status: SessionStatus::Idle,
        updated_at: row.created_at.clone(),
        ..row
    };
    let mut projector = Projector::new(&start);
    for event in stored(store, session).await {
        projector.apply(&start, &event);
    }
    projector.into_view()
}

pub async fn view(log: &ThreadLog, session: &str) -> View {
    log.read(&key(session), |state| state.view.clone())
        .await
        .unwrap()
}

/// The next `count` events of a subscription.
pub async fn next_events(
    subscription: &mut Subscription,
    count: usize,
) -> Vec<Arc<SessionEventRecord>> {
    let mut events = Vec::new();
    while events.len() < count {
        match subscription.next().await {
            Some(Update::Event(event)) => events.push(event),
            other => panic!("expected an event, got {other:?}"),
        }
    }
    events
}
