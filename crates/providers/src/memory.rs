//! The reference implementation of the log's traits (sessions, events, snapshots): plain maps behind one lock.
//! It keeps nothing. There are no leases in it, so any fence is stale, and it is no
//! [`ControlPlane`](crate::store::ControlPlane): for that take SQLite in memory.

use crate::store::append::{self, StoredEvent, workspace_event};
use crate::store::asks::AskKind;
use crate::store::page::search_text;
use crate::store::{
    AppendRequest, Appended, CreatedSession, EVENT_PAGE, EventStats, EventStore, LeaseFence,
    NewSession, Scope, SessionKey, SessionPage, SessionQuery, SessionRow, SessionStore,
    SessionUpdate, Snapshot, SnapshotRule, SnapshotStore, SnapshotWrite, StoreError,
    WorkspaceCursor,
};
use async_trait::async_trait;
use open_cowork_contracts::{
    EventId, RuntimeSessionId, Session, SessionEventRecord, SessionStatus, WorkspaceEventRecord,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store in memory, for tests and demos. It passes the conformance suite and is never durable.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    threads: BTreeMap<SessionKey, Thread>,
    workspaces: HashMap<Scope, Vec<Arc<WorkspaceEventRecord>>>,
}

#[derive(Debug)]
struct Thread {
    row: SessionRow,
    events: Vec<StoredEvent>,
    by_id: HashMap<EventId, usize>,
    asks: BTreeSet<(AskKind, String)>,
    snapshot: Option<Snapshot>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The maps. A panic elsewhere can't leave them half-changed: every change is made after its checks.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn thread(&mut self, key: &SessionKey) -> Result<&mut Thread, StoreError> {
        self.threads
            .get_mut(key)
            .ok_or_else(|| StoreError::NotFound(key.session_id.to_string()))
    }
}

/// There are no leases here, so no token can be the current one.
fn refuse_fence(fence: Option<&LeaseFence>) -> Result<(), StoreError> {
    if fence.is_some() {
        Err(StoreError::StaleFence)
    } else {
        Ok(())
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create_session(&self, new: NewSession) -> Result<CreatedSession, StoreError> {
        let mut state = self.state();
        let key = SessionKey {
            tenant_id: new.tenant_id.clone(),
            session_id: new.session_id.clone(),
        };
        if let Some(thread) = state.threads.get(&key) {
            if thread.row.session.user_id != new.user_id {
                return Err(StoreError::Conflict(format!(
                    "The session id {} is taken; choose another.",
                    new.session_id
                )));
            }
            return Ok(CreatedSession {
                row: thread.row.clone(),
                created: false,
            });
        }
        let session = Session {
            tenant_id: new.tenant_id,
            user_id: new.user_id,
            session_id: new.session_id,
            profile_name: new.profile_name,
            status: SessionStatus::Idle,
            title: new.title,
            updated_at: new.created_at.clone(),
            created_at: new.created_at,
            ..Session::default()
        };
        let row = SessionRow {
            session,
            directory: new.directory,
            waiting: 0,
            last_sequence: 0,
        };
        let thread = Thread {
            row: row.clone(),
            events: Vec::new(),
            by_id: HashMap::new(),
            asks: BTreeSet::new(),
            snapshot: None,
        };
        state.threads.insert(key, thread);
        Ok(CreatedSession { row, created: true })
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<SessionRow>, StoreError> {
        Ok(self
            .state()
            .threads
            .get(key)
            .map(|thread| thread.row.clone()))
    }

    async fn page_sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let start = query.start()?;
        let needle = query.needle();
        let matches = |row: &&SessionRow| {
            let session = &row.session;
            Scope::of(session) == query.scope
                && query.status.is_none_or(|status| session.status == status)
                && query
                    .profile_name
                    .as_ref()
                    .is_none_or(|profile| session.profile_name == *profile)
                && needle
                    .as_ref()
                    .is_none_or(|needle| search_text(session).contains(needle))
        };
        let state = self.state();
        let mut rows: Vec<&SessionRow> = state
            .threads
            .values()
            .map(|thread| &thread.row)
            .filter(matches)
            .collect();
        rows.sort_by(|a, b| {
            let newest_first = b.session.updated_at.cmp(&a.session.updated_at);
            newest_first.then_with(|| a.session.session_id.cmp(&b.session.session_id))
        });
        let after_start = |row: &&SessionRow| {
            start.as_ref().is_none_or(|start| {
                let session = &row.session;
                session.updated_at < start.updated_at
                    || (session.updated_at == start.updated_at
                        && session.session_id > start.session_id)
            })
        };
        let page = rows
            .into_iter()
            .filter(after_start)
            .take(query.page_size() + 1)
            .cloned()
            .collect();
        Ok(query.page(page))
    }

    async fn find_by_runtime(
        &self,
        id: &RuntimeSessionId,
    ) -> Result<Option<SessionRow>, StoreError> {
        let state = self.state();
        let bound = state
            .threads
            .values()
            .map(|thread| &thread.row)
            .filter(|row| !id.is_empty() && row.session.opencode_session_id == *id);
        // Of several maxima the last one wins, hence the reverse: the first key.
        Ok(bound
            .rev()
            .max_by(|a, b| a.session.updated_at.cmp(&b.session.updated_at))
            .cloned())
    }

    async fn bind_runtime(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError> {
        let mut state = self.state();
        let thread = state.thread(key)?;
        refuse_fence(fence)?;
        thread.row.session.opencode_session_id = id.clone();
        touch(&mut thread.row.session, at);
        Ok(thread.row.clone())
    }

    async fn update_session(
        &self,
        key: &SessionKey,
        update: SessionUpdate,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError> {
        let mut state = self.state();
        let thread = state.thread(key)?;
        refuse_fence(fence)?;
        let session = &mut thread.row.session;
        session.status = update.status.unwrap_or(session.status);
        if update.title.is_some() {
            session.title = update.title;
        }
        touch(session, at);
        Ok(thread.row.clone())
    }
}

fn touch(session: &mut Session, at: &str) {
    if at > session.updated_at.as_str() {
        session.updated_at = at.to_owned();
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, request: AppendRequest) -> Result<Appended, StoreError> {
        let mut state = self.state();
        let state = &mut *state;
        let thread = state
            .threads
            .get_mut(&request.key)
            .ok_or_else(|| StoreError::NotFound(request.key.session_id.to_string()))?;
        refuse_fence(request.fence.as_ref())?;
        let workspace = state
            .workspaces
            .entry(Scope::of(&thread.row.session))
            .or_default();
        let stored = |id: &EventId| {
            thread
                .by_id
                .get(id)
                .map(|index| thread.events[*index].clone())
        };
        let mut plan = append::plan(
            thread.row.clone(),
            workspace.len() as u64,
            &request.events,
            stored,
        )?;

        for event in plan.events.iter().filter(|event| event.created) {
            if let Some(id) = &event.record.event_id {
                thread.by_id.insert(id.clone(), thread.events.len());
            }
            workspace.push(Arc::new(workspace_event(
                &plan.row.session,
                &event.record,
                event.workspace_sequence,
            )));
            let stored = StoredEvent {
                record: event.record.clone(),
                workspace_sequence: event.workspace_sequence,
            };
            thread.events.push(stored);
        }
        for ask in std::mem::take(&mut plan.asks) {
            match ask.open {
                true => thread.asks.insert((ask.kind, ask.id)),
                false => thread.asks.remove(&(ask.kind, ask.id)),
            };
        }
        plan.row.waiting = thread.asks.len() as u32;
        thread.row = plan.row.clone();
        Ok(Appended {
            row: plan.row,
            events: plan.events,
        })
    }

    async fn list_events(
        &self,
        key: &SessionKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<SessionEventRecord>>, StoreError> {
        let state = self.state();
        let Some(thread) = state.threads.get(key) else {
            return Ok(Vec::new());
        };
        let rest = thread
            .events
            .iter()
            .skip(usize::try_from(after).unwrap_or(usize::MAX));
        Ok(rest
            .take(limit.min(EVENT_PAGE) as usize)
            .map(|event| event.record.clone())
            .collect())
    }

    async fn event_stats(&self, key: &SessionKey) -> Result<EventStats, StoreError> {
        let state = self.state();
        let count = state
            .threads
            .get(key)
            .map_or(0, |thread| thread.events.len() as u64);
        Ok(EventStats {
            count,
            earliest_sequence: (count > 0).then_some(1),
            latest_sequence: count,
        })
    }

    async fn list_workspace_events(
        &self,
        scope: &Scope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError> {
        let state = self.state();
        let Some(events) = state.workspaces.get(scope) else {
            return Ok(Vec::new());
        };
        let rest = events
            .iter()
            .skip(usize::try_from(after).unwrap_or(usize::MAX));
        Ok(rest.take(limit.min(EVENT_PAGE) as usize).cloned().collect())
    }

    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError> {
        let latest_sequence = self
            .state()
            .workspaces
            .get(scope)
            .map_or(0, |events| events.len() as u64);
        Ok(WorkspaceCursor {
            earliest_sequence: (latest_sequence > 0).then_some(1),
            latest_sequence,
        })
    }
}

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn snapshot(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        Ok(self
            .state()
            .threads
            .get(key)
            .and_then(|thread| thread.snapshot.clone()))
    }

    async fn write_snapshot(
        &self,
        key: &SessionKey,
        snapshot: Snapshot,
        rule: SnapshotRule,
    ) -> Result<SnapshotWrite, StoreError> {
        let mut state = self.state();
        let thread = state.thread(key)?;
        let write = rule.decide(thread.snapshot.as_ref(), &snapshot)?;
        if write == SnapshotWrite::Written {
            thread.snapshot = Some(snapshot);
        }
        Ok(write)
    }
}
