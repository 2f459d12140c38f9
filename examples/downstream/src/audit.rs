//! A store with an audit trail: any store of the public traits, wrapped.
//!
//! It changes no rule of the store it wraps, which the public suite proves; it copies nothing of ours. A
//! distribution writes its adapters in this way.

use async_trait::async_trait;
use open_cowork_contracts::{
    EventType, RuntimeSessionId, SessionEventRecord, SessionId, TenantId, WorkspaceEventRecord,
};
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, EventStats, EventStore, InUse, LeaseFence, NewSession,
    OldSessions, PruneStep, RetentionStore, Scope, SessionKey, SessionPage, SessionQuery,
    SessionRow, SessionStore, SessionUpdate, Snapshot, SnapshotRule, SnapshotStore, SnapshotWrite,
    Store, StoreError, WorkspaceCursor,
};
use open_cowork_providers::time::Timestamp;
use std::sync::Arc;

/// What an auditor learns: that something happened, never what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which thread.
    pub session_id: SessionId,
    /// The place in its log.
    pub sequence: u64,
    /// What kind of event.
    pub kind: EventType,
    /// When, ISO-8601.
    pub at: String,
}

/// Where lines go. It is called after the events are durable and must not block for long.
pub trait Auditor: Send + Sync + 'static {
    /// Takes one line.
    fn take(&self, line: AuditLine);
}

/// A store that reports every durable append.
pub struct AuditedStore {
    inner: Arc<dyn Store>,
    auditor: Arc<dyn Auditor>,
}

impl AuditedStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>, auditor: Arc<dyn Auditor>) -> Self {
        AuditedStore { inner, auditor }
    }
}

#[async_trait]
impl EventStore for AuditedStore {
    async fn append(&self, request: AppendRequest) -> Result<Appended, StoreError> {
        let key = request.key.clone();
        let appended = self.inner.append(request).await?;
        // A retry of what is stored already happened once.
        for event in appended.events.iter().filter(|event| event.created) {
            self.auditor.take(AuditLine {
                tenant_id: key.tenant_id.clone(),
                session_id: key.session_id.clone(),
                sequence: event.record.sequence,
                kind: event.record.kind.clone(),
                at: event.record.created_at.clone(),
            });
        }
        Ok(appended)
    }

    async fn list_events(
        &self,
        key: &SessionKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<SessionEventRecord>>, StoreError> {
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
        self.inner.list_workspace_events(scope, after, limit).await
    }

    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError> {
        self.inner.workspace_cursor(scope).await
    }
}

#[async_trait]
impl SessionStore for AuditedStore {
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
impl SnapshotStore for AuditedStore {
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
impl RetentionStore for AuditedStore {
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
