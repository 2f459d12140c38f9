//! The reference implementation of the log's traits (sessions, events, snapshots): plain maps behind one lock.
//! It keeps nothing. There are no leases in it, so any fence is stale, and it is no
//! [`ControlPlane`](crate::store::ControlPlane): for that take SQLite in memory.

use crate::store::append::{self, StoredEvent, is_minted, workspace_event};
use crate::store::asks::AskKind;
use crate::store::page::search_text;
use crate::store::retention::{is_old, leading_old};
use crate::store::{
    AppendRequest, Appended, CreatedSession, EVENT_PAGE, EventStats, EventStore, InUse, LeaseFence,
    NewSession, OldSessions, PruneStep, RetentionStore, Scope, SessionKey, SessionPage,
    SessionQuery, SessionRow, SessionStore, SessionUpdate, Snapshot, SnapshotRule, SnapshotStore,
    SnapshotWrite, StoreError, WorkspaceCursor,
};
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::{
    EventId, JsonObject, RuntimeSessionId, Session, SessionEventRecord, SessionStatus,
    WorkspaceEventRecord,
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
    workspaces: BTreeMap<Scope, Workspace>,
}

#[derive(Debug)]
struct Thread {
    row: SessionRow,
    /// Those after the base.
    events: Vec<StoredEvent>,
    by_id: HashMap<EventId, u64>,
    /// What is left of pruned events, by their sequence.
    pruned: HashMap<u64, StoredEvent>,
    asks: BTreeSet<(AskKind, String)>,
    snapshot: Option<Snapshot>,
    base: Option<Snapshot>,
}

impl Thread {
    /// Sequence of the base.
    fn begins_after(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.sequence)
    }

    fn by_id(&self, id: &EventId) -> Option<StoredEvent> {
        let sequence = *self.by_id.get(id)?;
        match self.place(sequence) {
            Some(index) => self.events.get(index).cloned(),
            None => self.pruned.get(&sequence).cloned(),
        }
    }

    /// Where the event of that sequence is among the retained ones; `None` when it was pruned.
    fn place(&self, sequence: u64) -> Option<usize> {
        let place = sequence.checked_sub(self.begins_after() + 1)?;
        usize::try_from(place).ok()
    }

    fn times(&self) -> impl Iterator<Item = &str> {
        self.events
            .iter()
            .map(|event| event.record.created_at.as_str())
    }

    fn has_unfinished_turn(&self) -> bool {
        self.row.session.status == SessionStatus::Running
    }
}

/// A user's stream.
#[derive(Debug, Default)]
struct Workspace {
    /// Sequence of the last event that isn't shown any more.
    begins_after: u64,
    /// Those after it.
    events: Vec<Arc<WorkspaceEventRecord>>,
}

impl Workspace {
    fn latest(&self) -> u64 {
        self.begins_after + self.events.len() as u64
    }

    /// Forgets the events up to a sequence.
    fn begin_after(&mut self, sequence: u64) {
        let gone = sequence.saturating_sub(self.begins_after);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX);
        self.events.drain(..gone.min(self.events.len()));
        self.begins_after = self.begins_after.max(sequence);
    }
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
    async fn create_session_within(
        &self,
        new: NewSession,
        limit: Option<InUse>,
    ) -> Result<CreatedSession, StoreError> {
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
        if let Some(limit) = limit {
            let rows = state.threads.values().map(|thread| &thread.row.session);
            let used = rows
                .filter(|row| row.tenant_id == new.tenant_id)
                .filter(|row| {
                    let lately =
                        row.updated_at >= limit.since && row.status != SessionStatus::Closed;
                    lately || row.status == SessionStatus::Running
                });
            let used = used.count() as u64;
            if used >= limit.most {
                return Err(limit.exceeded(used));
            }
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
            pruned: HashMap::new(),
            asks: BTreeSet::new(),
            snapshot: None,
            base: None,
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
        let mut plan = append::plan(
            thread.row.clone(),
            workspace.latest(),
            &request.events,
            |id| thread.by_id(id),
        )?;

        for event in plan.events.iter().filter(|event| event.created) {
            if let Some(id) = &event.record.event_id {
                thread.by_id.insert(id.clone(), event.record.sequence);
            }
            workspace.events.push(Arc::new(workspace_event(
                &plan.row.session,
                &event.record,
                event.workspace_sequence,
            )));
            let stored = StoredEvent {
                record: event.record.clone(),
                workspace_sequence: event.workspace_sequence,
                pruned: false,
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
        let skip = after.saturating_sub(thread.begins_after());
        let rest = thread
            .events
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX));
        Ok(rest
            .take(limit.min(EVENT_PAGE) as usize)
            .map(|event| event.record.clone())
            .collect())
    }

    async fn event_stats(&self, key: &SessionKey) -> Result<EventStats, StoreError> {
        let state = self.state();
        let Some(thread) = state.threads.get(key) else {
            return Ok(EventStats::default());
        };
        let count = thread.events.len() as u64;
        Ok(EventStats {
            count,
            earliest_sequence: (count > 0).then_some(thread.begins_after() + 1),
            latest_sequence: thread.row.last_sequence,
        })
    }

    async fn list_workspace_events(
        &self,
        scope: &Scope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError> {
        let state = self.state();
        let Some(workspace) = state.workspaces.get(scope) else {
            return Ok(Vec::new());
        };
        let skip = after.saturating_sub(workspace.begins_after);
        let rest = workspace
            .events
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX));
        Ok(rest.take(limit.min(EVENT_PAGE) as usize).cloned().collect())
    }

    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError> {
        let state = self.state();
        let Some(workspace) = state.workspaces.get(scope) else {
            return Ok(WorkspaceCursor::default());
        };
        let earliest = workspace.begins_after + 1;
        Ok(WorkspaceCursor {
            earliest_sequence: (!workspace.events.is_empty()).then_some(earliest),
            latest_sequence: workspace.latest(),
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

#[async_trait]
impl RetentionStore for MemoryStore {
    async fn base(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        Ok(self
            .state()
            .threads
            .get(key)
            .and_then(|thread| thread.base.clone()))
    }

    async fn old_sessions(
        &self,
        before: Timestamp,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<OldSessions, StoreError> {
        let after = cursor
            .map(|cursor| {
                let (tenant, session) = serde_json::from_str::<(String, String)>(cursor)
                    .map_err(|_| StoreError::InvalidCursor)?;
                Ok(SessionKey::new(tenant, session))
            })
            .transpose()?;
        let state = self.state();
        let walked: Vec<(&SessionKey, &Thread)> = state
            .threads
            .iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .take(limit.max(1) as usize)
            .collect();
        let next = walked
            .last()
            .filter(|_| walked.len() == limit.max(1) as usize)
            .map(|(key, _)| {
                let place = (key.tenant_id.as_str(), key.session_id.as_str());
                serde_json::to_string(&place).unwrap_or_default()
            });
        let old = walked.into_iter().filter(|(_, thread)| {
            let first = thread.times().next();
            !thread.has_unfinished_turn() && first.is_some_and(|time| is_old(time, before))
        });
        Ok(OldSessions {
            keys: old.map(|(key, _)| key.clone()).collect(),
            next,
        })
    }

    async fn plan_prune(
        &self,
        key: &SessionKey,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<PruneStep>, StoreError> {
        let state = self.state();
        let thread = state.threads.get(key);
        let Some(thread) = thread.filter(|thread| !thread.has_unfinished_turn()) else {
            return Ok(None);
        };
        let after = thread.begins_after();
        let old = leading_old(thread.times().take(limit as usize), before);
        Ok((old > 0).then_some(PruneStep {
            after,
            through: after + old,
        }))
    }

    async fn prune_events(
        &self,
        key: &SessionKey,
        step: PruneStep,
        base: Snapshot,
    ) -> Result<u64, StoreError> {
        step.check(&base)?;
        let mut state = self.state();
        let state = &mut *state;
        let thread = state
            .threads
            .get_mut(key)
            .ok_or_else(|| StoreError::NotFound(key.session_id.to_string()))?;
        let session = thread.row.session.clone();
        let is_next =
            step.after == thread.begins_after() && step.through <= thread.row.last_sequence;
        if !is_next || thread.has_unfinished_turn() {
            return Ok(0);
        }
        let count = usize::try_from(step.events()).unwrap_or(usize::MAX);
        let gone: Vec<StoredEvent> = thread
            .events
            .drain(..count.min(thread.events.len()))
            .collect();
        let workspace = state.workspaces.entry(Scope::of(&session)).or_default();
        for event in gone {
            workspace.begin_after(event.workspace_sequence);
            let id = event.record.event_id.clone().unwrap_or_default();
            if is_minted(&session.session_id, &id) {
                thread.by_id.remove(&id);
                continue;
            }
            let left = StoredEvent {
                record: Arc::new(SessionEventRecord {
                    payload: JsonObject::new(),
                    ..(*event.record).clone()
                }),
                pruned: true,
                ..event
            };
            thread.pruned.insert(event.record.sequence, left);
        }
        thread.base = Some(base);
        Ok(step.events())
    }

    async fn prune_workspaces(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut left = u64::from(limit);
        for workspace in state.workspaces.values_mut() {
            let times = workspace
                .events
                .iter()
                .map(|event| event.created_at.as_str());
            let old = leading_old(
                times.take(usize::try_from(left).unwrap_or(usize::MAX)),
                before,
            );
            workspace.begin_after(workspace.begins_after + old);
            left -= old;
        }
        Ok(u64::from(limit) - left)
    }
}
