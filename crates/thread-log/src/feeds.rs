//! What the followers of one user's workspace share: hints when to look, the newest events, changed rows.

use crate::core::Core;
use crate::subscribe::SessionChange;
use crate::tail::Tail;
use futures::stream::{self, BoxStream, StreamExt};
use open_cowork_contracts::{EventType, SessionId, WorkspaceEventRecord};
use open_cowork_providers::store::{EVENT_PAGE, Scope, SessionKey, SessionRow, StoreError};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// Rows that a slow follower of the thread list may lag behind.
const SESSION_CHANGES: usize = 256;

/// The feeds of all workspaces that somebody follows.
#[derive(Default)]
pub(crate) struct Feeds {
    scopes: Mutex<HashMap<Scope, Arc<Feed>>>,
}

/// One workspace.
pub(crate) struct Feed {
    pub(crate) scope: Scope,
    /// The highest workspace sequence that is known to be stored.
    latest: watch::Sender<u64>,
    rows: broadcast::Sender<SessionChange>,
    /// The newest events, read once for all followers.
    tail: Mutex<Tail<WorkspaceEventRecord>>,
    /// One reads what is new, the others wait for it.
    reader: tokio::sync::Semaphore,
    /// Up to where the rows that events have changed were announced; absent until somebody has asked how far
    /// the store is.
    announced: Mutex<Option<u64>>,
    /// A task advances the feed; it is to look once more.
    advancing: AtomicBool,
    again: AtomicBool,
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Arc<Feed>>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a workspace with `follow`, which subscribes to the feed: under the lock, so that a feed that has
    /// followers is always the one in the table.
    fn join<R>(&self, scope: &Scope, follow: impl FnOnce(&Feed) -> R) -> (Arc<Feed>, R) {
        let mut scopes = self.lock();
        let new = || {
            Arc::new(Feed {
                scope: scope.clone(),
                latest: watch::Sender::new(0),
                rows: broadcast::Sender::new(SESSION_CHANGES),
                tail: Mutex::default(),
                reader: tokio::sync::Semaphore::new(1),
                announced: Mutex::default(),
                advancing: AtomicBool::new(false),
                again: AtomicBool::new(false),
            })
        };
        let feed = scopes.entry(scope.clone()).or_insert_with(new).clone();
        let joined = follow(&feed);
        (feed, joined)
    }

    pub(crate) fn follow_events(&self, scope: &Scope) -> (Arc<Feed>, watch::Receiver<u64>) {
        self.join(scope, |feed| feed.latest.subscribe())
    }

    /// The feed, if somebody follows it; one that nobody follows is forgotten.
    fn followed(&self, scope: &Scope) -> Option<Arc<Feed>> {
        let mut scopes = self.lock();
        let feed = scopes.get(scope)?;
        if feed.has_followers() {
            return Some(feed.clone());
        }
        scopes.remove(scope);
        None
    }

    /// Feeds that somebody follows.
    pub(crate) fn all_followed(&self) -> Vec<Arc<Feed>> {
        let mut scopes = self.lock();
        scopes.retain(|_, feed| feed.has_followers());
        scopes.values().cloned().collect()
    }

    /// Tells a user's followers that a workspace event is stored, and the row if the list shows it otherwise.
    pub(crate) fn announce(
        &self,
        scope: &Scope,
        workspace_sequence: u64,
        row: Option<Arc<SessionRow>>,
    ) {
        let Some(feed) = self.followed(scope) else {
            return;
        };
        feed.reached(workspace_sequence);
        if let Some(row) = row {
            // Nobody listens: fine, whoever comes later reads the list.
            let _ = feed.rows.send(SessionChange::Row(row));
        }
    }

    /// Another process has appended to a workspace: nobody knows how far.
    pub(crate) fn wake(&self, core: &Arc<Core>, scope: &Scope) {
        if let Some(feed) = self.followed(scope) {
            feed.advance(core);
        }
    }
}

impl Feed {
    fn has_followers(&self) -> bool {
        self.latest.receiver_count() > 0 || self.rows.receiver_count() > 0
    }

    pub(crate) fn latest(&self) -> u64 {
        *self.latest.borrow()
    }

    /// Events up to that sequence are stored.
    pub(crate) fn reached(&self, sequence: u64) {
        self.latest.send_if_modified(|latest| {
            let higher = sequence > *latest;
            *latest = sequence.max(*latest);
            higher
        });
    }

    /// The events after `after`: from memory, else from the store. Threads commit in any order, so an event is
    /// never taken from an append: only the store knows that none is missing.
    pub(crate) async fn since(
        &self,
        core: &Core,
        after: u64,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError> {
        if let Some(known) = self.known(after) {
            return Ok(known);
        }
        let is_new = self.tail().last().is_none_or(|last| after >= last);
        if !is_new {
            // A backlog, which is one follower's own.
            return core
                .store
                .list_workspace_events(&self.scope, after, EVENT_PAGE)
                .await;
        }
        // Nobody closes it. A permit, not a lock: it orders readers of the store and guards no data.
        let turn = self.reader.acquire().await;
        if let Some(known) = self.known(after) {
            return Ok(known);
        }
        let page = core
            .store
            .list_workspace_events(&self.scope, after, EVENT_PAGE)
            .await?;
        {
            let mut tail = self.tail();
            for event in &page {
                tail.push(event, core.options.live_bytes);
            }
        }
        drop(turn);
        if let Some(last) = page.last() {
            self.reached(last.sequence);
        }
        Ok(page)
    }

    fn known(&self, after: u64) -> Option<Vec<Arc<WorkspaceEventRecord>>> {
        self.tail().since(after).filter(|known| !known.is_empty())
    }

    fn tail(&self) -> MutexGuard<'_, Tail<WorkspaceEventRecord>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announced(&self) -> MutexGuard<'_, Option<u64>> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_started(&self) -> bool {
        self.announced().is_some()
    }

    /// How far the store is; from there on the feed follows.
    pub(crate) async fn start(&self, core: &Core) -> Result<u64, StoreError> {
        let stored = core.store.workspace_cursor(&self.scope).await?;
        let latest = stored.latest_sequence;
        self.announced().get_or_insert(latest);
        self.reached(latest);
        Ok(latest)
    }

    /// Other processes have appended: looks how far, once for all followers.
    pub(crate) fn advance(self: &Arc<Self>, core: &Arc<Core>) {
        self.again.store(true, Ordering::Release);
        if !self.advancing.swap(true, Ordering::AcqRel) {
            let feed = self.clone();
            let core = core.clone();
            let tasks = core.tasks.clone();
            tasks.spawn(async move { feed.advance_until_told(&core).await });
        }
    }

    async fn advance_until_told(&self, core: &Core) {
        loop {
            while self.again.swap(false, Ordering::AcqRel) {
                if let Err(error) = self.look(core).await {
                    tracing::debug!(user = %self.scope.user_id, %error, "can't read a workspace yet");
                }
            }
            self.advancing.store(false, Ordering::Release);
            // A hint between the two would be lost.
            let told = self.again.load(Ordering::Acquire);
            if !told || self.advancing.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    async fn look(&self, core: &Core) -> Result<(), StoreError> {
        let Some(announced) = *self.announced() else {
            // Whoever asks how far the store is will see it.
            return Ok(());
        };
        let shows_rows = self.rows.receiver_count() > 0;
        let mut after = if shows_rows { announced } else { self.latest() };
        let mut changed: BTreeSet<SessionId> = BTreeSet::new();
        loop {
            let events = self.since(core, after).await?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            let shown = events.iter().filter(|event| changes_the_list(&event.kind));
            changed.extend(shown.filter_map(|event| event.session_id.clone()));
        }
        if shows_rows {
            self.announce_rows(core, changed).await?;
        }
        *self.announced() = Some(after);
        Ok(())
    }

    async fn announce_rows(
        &self,
        core: &Core,
        changed: BTreeSet<SessionId>,
    ) -> Result<(), StoreError> {
        let keys = changed.into_iter().map(|session_id| SessionKey {
            tenant_id: self.scope.tenant_id.clone(),
            session_id,
        });
        let keys: Vec<SessionKey> = keys.collect();
        if keys.len() > SESSION_CHANGES {
            let _ = self.rows.send(SessionChange::Resync);
            return Ok(());
        }
        for row in core.store.sessions(&keys).await?.into_iter().flatten() {
            let _ = self.rows.send(SessionChange::Row(Arc::new(row)));
        }
        Ok(())
    }
}

/// True when the thread list may show a session otherwise after such an event.
fn changes_the_list(kind: &EventType) -> bool {
    !matches!(
        kind,
        EventType::AssistantMessage
            | EventType::ToolCall
            | EventType::TaskRun
            | EventType::TaskMessage
            | EventType::TaskTodos
            | EventType::TodosUpdated
            | EventType::CostUpdated
    )
}

/// The stream of a user's thread list.
pub(crate) fn sessions(core: &Arc<Core>, scope: &Scope) -> BoxStream<'static, SessionChange> {
    let (feed, rows) = core.feeds.join(scope, |feed| feed.rows.subscribe());
    if core.options.shared {
        let (feed, core) = (feed.clone(), core.clone());
        let tasks = core.tasks.clone();
        tasks.spawn(async move {
            if let Err(error) = feed.start(&core).await {
                // The next poll asks again.
                tracing::debug!(user = %feed.scope.user_id, %error, "can't read a workspace's cursor yet");
            }
        });
    }
    let state = (feed, rows, core.closed.clone());
    let updates = stream::unfold(state, async |(feed, mut rows, closed)| {
        let received = tokio::select! {
            received = rows.recv() => received,
            () = closed.cancelled() => return None,
        };
        let change = match received {
            Ok(change) => change,
            Err(broadcast::error::RecvError::Lagged(_)) => SessionChange::Resync,
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((change, (feed, rows, closed)))
    });
    updates.boxed()
}
