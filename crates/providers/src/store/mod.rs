//! The store's traits, split by domain, and the rules that all implementations share.
//!
//! Semantics live in three places: the docs of each method, the pure functions of [`append`] that every
//! implementation calls, and the `conformance` suite that proves them.
//!
//! Rules for all methods (docs/contract/04-control-plane.md §2.1):
//!
//! - A record of another tenant behaves as missing.
//! - *Idempotent* means: same id and equal content returns the stored record, other content is an error.
//! - Times are ISO-8601, UTC, milliseconds; the caller owns the clock.
//! - A method that returns `Ok` is durable: it survives `kill -9` and loss of power (decision 17).

pub mod append;
pub mod artifacts;
pub mod asks;
pub mod browser;
pub mod channels;
mod error;
pub mod execution;
pub mod governance;
pub mod identity;
pub mod keyset;
pub mod page;
pub mod retention;
mod rows;
pub mod stamp;
pub mod threads;
pub mod workflows;

pub use artifacts::ArtifactStore;
pub use browser::BrowserStore;
pub use channels::ChannelStore;
pub use execution::ExecutionStore;
pub use governance::GovernanceStore;
pub use identity::IdentityStore;
pub use keyset::Page;
pub use threads::ThreadIndexStore;
pub use workflows::WorkflowStore;

pub use append::{AppendRequest, Appended, AppendedEvent, NewEvent};
pub use error::{QuotaDenial, StoreError};
pub use page::{SessionPage, SessionQuery};
pub use retention::{OldSessions, PruneStep, RetentionStore};
pub use rows::{
    CreatedSession, EventStats, InUse, LeaseFence, LeaseToken, NewSession, Scope, SessionKey,
    SessionRow, SessionUpdate, Snapshot, SnapshotRule, SnapshotWrite, WorkspaceCursor,
};
pub use stamp::{Actor, Stamp};

use async_trait::async_trait;
use open_cowork_contracts::{
    RuntimeSessionId, SessionEventRecord, SessionId, WorkspaceEventRecord,
};
use std::sync::Arc;

/// Most events of one page, and the size of a replay batch (01 §1).
pub const EVENT_PAGE: u32 = 1000;

/// A page of events ends early once its payloads pass this many bytes of JSON.
pub const EVENT_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Threads (04 §2.2).
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Makes a session. Idempotent by (tenant, session): an existing row of the same user comes back
    /// unchanged with `created: false`; one of another user is a [`StoreError::Conflict`] that reveals nothing.
    async fn create_session(&self, new: NewSession) -> Result<CreatedSession, StoreError> {
        self.create_session_within(new, None).await
    }

    /// The same, for a session that doesn't exist only while fewer than [`InUse::most`] of the tenant are in use;
    /// else [`StoreError::Quota`] with `quota.concurrent_sessions_exceeded`. Counted in the same transaction.
    async fn create_session_within(
        &self,
        new: NewSession,
        limit: Option<InUse>,
    ) -> Result<CreatedSession, StoreError>;

    /// The row, or `None` when the tenant has no such session.
    async fn session(&self, key: &SessionKey) -> Result<Option<SessionRow>, StoreError>;

    /// The rows of many sessions, in the order of the keys; `None` where [`SessionStore::session`] gives it.
    async fn sessions(&self, keys: &[SessionKey]) -> Result<Vec<Option<SessionRow>>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.push(self.session(key).await?);
        }
        Ok(rows)
    }

    /// The row if it belongs to that user; the session of another user behaves as missing.
    async fn session_of(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> Result<Option<SessionRow>, StoreError> {
        let key = SessionKey {
            tenant_id: scope.tenant_id.clone(),
            session_id: id.clone(),
        };
        let row = self.session(&key).await?;
        Ok(row.filter(|row| row.session.user_id == scope.user_id))
    }

    /// One page of a user's sessions, `updatedAt` descending, then `sessionId` ascending. The cursor is a
    /// key, not an offset: rows that are inserted or touched meanwhile neither repeat nor hide others.
    /// [`StoreError::InvalidCursor`] when the cursor is malformed or belongs to another filter.
    async fn page_sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError>;

    /// The session that is bound to a runtime session, across tenants. For routing inside the process only;
    /// when several are bound to it, the one touched last, and of those touched together the first key.
    async fn find_by_runtime(
        &self,
        id: &RuntimeSessionId,
    ) -> Result<Option<SessionRow>, StoreError>;

    /// Binds the runtime session and touches the row. Binding another id replaces the old one.
    /// [`StoreError::NotFound`], [`StoreError::StaleFence`].
    async fn bind_runtime(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError>;

    /// Sets status and/or title and touches the row; absent fields stay. Events do this by themselves
    /// ([`append::effect`]); this is for changes that no event stands for, such as closing.
    /// [`StoreError::NotFound`], [`StoreError::StaleFence`].
    async fn update_session(
        &self,
        key: &SessionKey,
        update: SessionUpdate,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError>;
}

/// The event log and the workspace stream (01 §7, 04 §2.3).
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Appends a batch to one session in **one transaction**: all events or none.
    ///
    /// - New events get dense sequences from 1 per session, and one workspace event each, dense from 1 per
    ///   (tenant, user). A reader that sees sequence n sees every lower one.
    /// - An `event_id` that exists in the session with the same type and equal JSON payload is reused:
    ///   `created` is false, nothing changes, no status effect happens again. With other content it is
    ///   [`StoreError::EventIdReused`].
    /// - Status, title and open asks of the row follow in the same transaction ([`append::effect`], [`asks`]).
    /// - `fence`: absent means not fenced; any token must equal the current unexpired lease of the session,
    ///   else [`StoreError::StaleFence`].
    ///
    /// Also [`StoreError::NotFound`], [`StoreError::UnsupportedEventType`], [`StoreError::ReservedEventId`],
    /// [`StoreError::Full`], [`StoreError::ReadOnly`], [`StoreError::Unavailable`].
    async fn append(&self, request: AppendRequest) -> Result<Appended, StoreError>;

    /// Events with `sequence > after`, ascending: at most `limit` (capped at [`EVENT_PAGE`]) and at most
    /// about [`EVENT_PAGE_BYTES`], but at least one if there is one. So an **empty** page is the end, a short
    /// one isn't. Empty for an unknown session. What was pruned ([`RetentionStore`]) isn't listed: a first event
    /// beyond `after + 1` means that the ones between are gone.
    async fn list_events(
        &self,
        key: &SessionKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<SessionEventRecord>>, StoreError>;

    /// Count and first sequence of what is retained, and the last sequence that was given out; zeros for an unknown
    /// session.
    async fn event_stats(&self, key: &SessionKey) -> Result<EventStats, StoreError>;

    /// Workspace events of a user with `sequence > after`, ascending, paged like [`EventStore::list_events`].
    async fn list_workspace_events(
        &self,
        scope: &Scope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError>;

    /// First retained and last workspace sequence of a user.
    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError>;

    /// Last workspace sequences of many users, in their order; 0 for an unknown one.
    async fn workspace_sequences(&self, scopes: &[Scope]) -> Result<Vec<u64>, StoreError> {
        let mut sequences = Vec::with_capacity(scopes.len());
        for scope in scopes {
            sequences.push(self.workspace_cursor(scope).await?.latest_sequence);
        }
        Ok(sequences)
    }
}

/// Stored views: at most one per session, the newest (01 §7.1, decision 13).
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// The newest snapshot, or `None`.
    async fn snapshot(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError>;

    /// Writes a snapshot under [`SnapshotRule::Advance`] (see there for the errors) or replaces whatever is
    /// stored under [`SnapshotRule::Repair`]. [`StoreError::NotFound`] for an unknown session.
    async fn write_snapshot(
        &self,
        key: &SessionKey,
        snapshot: Snapshot,
        rule: SnapshotRule,
    ) -> Result<SnapshotWrite, StoreError>;
}

/// Everything that the thread log needs of a store.
pub trait Store: SessionStore + EventStore + SnapshotStore + RetentionStore {}

impl<T: SessionStore + EventStore + SnapshotStore + RetentionStore> Store for T {}

/// Everything that a cloud needs of a store; split by domain so that an adapter author can see each.
pub trait ControlPlane:
    Store
    + ArtifactStore
    + BrowserStore
    + ChannelStore
    + ExecutionStore
    + GovernanceStore
    + IdentityStore
    + ThreadIndexStore
    + WorkflowStore
{
}

impl<T> ControlPlane for T where
    T: Store
        + ArtifactStore
        + BrowserStore
        + ChannelStore
        + ExecutionStore
        + GovernanceStore
        + IdentityStore
        + ThreadIndexStore
        + WorkflowStore
{
}
