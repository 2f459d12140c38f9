//! The task that owns a thread's appends: one at a time, in the order of arrival (01 §11).

use crate::answer::{ImportedEvent, Receipt, RepairReport};
use crate::chunk::pieces;
use crate::core::{Core, Thread};
use crate::error::LogError;
use crate::load::{self, Since};
use crate::outbox::Text;
use crate::tail::payload_bytes;
use crate::thread::Shared;
use open_cowork_contracts::{EventType, RuntimeEvent};
use open_cowork_projection::PROJECTOR_VERSION;
use open_cowork_projection::coalesce::Coalescer;
use open_cowork_projection::sanitize::sanitize_event;
use open_cowork_providers::bus::Topic;
use open_cowork_providers::store::{
    Appended, AppendedEvent, LeaseToken, NewEvent, Scope, SessionRow, Snapshot, SnapshotRule,
    SnapshotWrite, StoreError,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// What a thread's writer can be asked for.
pub(crate) enum Command {
    Append {
        events: Vec<RuntimeEvent>,
        fence: Option<LeaseToken>,
        reply: Reply<Receipt>,
    },
    Import {
        events: Vec<ImportedEvent>,
        reply: Reply<Receipt>,
    },
    Flush {
        reply: Reply<u64>,
    },
    Load {
        reply: Reply<()>,
    },
    RowChanged {
        reply: Reply<()>,
    },
    Refresh {
        /// What the store was seen to have; absent: whatever it has.
        seen: Option<Arc<SessionRow>>,
        reply: Reply<u64>,
    },
    /// Somebody has heard that there is more.
    Look,
    Repair {
        reply: Reply<RepairReport>,
    },
    Unload,
}

type Reply<T> = oneshot::Sender<Result<T, LogError>>;

/// A command on its way. It keeps the thread's handle alive until it is done.
pub(crate) struct Envelope {
    pub(crate) command: Command,
    pub(crate) handle: Arc<Thread>,
}

pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    pub(crate) shared: Arc<Shared>,
    /// This task is one thread's, so there is nothing to tell apart.
    coalescer: Coalescer<()>,
    /// The lease under which the coalescer's text was accepted.
    pub(crate) fence: Option<LeaseToken>,
    /// Text that was taken over and has left its window, but isn't stored yet: empty but for the time of a
    /// store failure. Nothing new is taken before it is stored, so it is at most one window's.
    pub(crate) outbox: Vec<Text>,
    pub(crate) outbox_retry: Option<Instant>,
    since_snapshot: Since,
    at_rest: bool,
    started: Instant,
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>, shared: Arc<Shared>) -> Self {
        let coalescer = Coalescer::new(millis(core.options.window));
        Writer {
            core,
            shared,
            coalescer,
            fence: None,
            outbox: Vec::new(),
            outbox_retry: None,
            since_snapshot: Since::default(),
            at_rest: false,
            started: Instant::now(),
        }
    }

    /// Works until all handles are gone or the log closes; then stores what waits.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Envelope>) {
        let closed = self.core.closed.clone();
        loop {
            let deadline = self.deadline();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                envelope = queue.recv() => match envelope {
                    Some(envelope) => self.obey(envelope).await,
                    None => break,
                },
                () = timer => self.window_ended().await,
                () = closed.cancelled() => {
                    queue.close();
                    while let Some(envelope) = queue.recv().await {
                        self.obey(envelope).await;
                    }
                    break;
                }
            }
        }
        self.unload().await;
    }

    async fn obey(&mut self, envelope: Envelope) {
        // A caller that is gone doesn't want the answer.
        match envelope.command {
            Command::Append {
                events,
                fence,
                reply,
            } => drop(reply.send(self.append(events, fence).await)),
            Command::Import { events, reply } => drop(reply.send(self.import(events).await)),
            Command::Flush { reply } => drop(reply.send(self.flush().await)),
            Command::Load { reply } => drop(reply.send(self.load().await)),
            Command::RowChanged { reply } => drop(reply.send(self.row_changed().await)),
            Command::Refresh { seen, reply } => drop(reply.send(self.refresh(seen).await)),
            Command::Look => self.look().await,
            Command::Repair { reply } => drop(reply.send(self.repair().await)),
            Command::Unload => self.unload().await,
        }
        drop(envelope.handle);
        self.snapshot_if_due().await;
    }

    async fn append(
        &mut self,
        events: Vec<RuntimeEvent>,
        fence: Option<LeaseToken>,
    ) -> Result<Receipt, LogError> {
        let mut stored = self.make_ready(fence).await?;
        let mut events = events.into_iter().enumerate().flat_map(|(index, event)| {
            let pieces = pieces(event).into_iter();
            pieces.map(move |piece| (index, piece))
        });
        let mut accepted = 0;
        let mut own = Vec::new();
        for (index, event) in events.by_ref() {
            let event = self.sanitized(event);
            let is_text = is_text(&event);
            let mut routed = self.coalescer.push(self.now(), &(), event);
            let boundary = if is_text { None } else { routed.pop() };
            self.take(routed);
            if boundary.is_some() {
                own.extend(boundary);
                break;
            }
            accepted = index + 1;
        }
        // A batch with a boundary is durable as a whole: what follows it is joined among itself and stands or
        // falls with it.
        let mut rest = Coalescer::new(u64::MAX);
        for (_, event) in events {
            own.extend(rest.push(0, &(), self.sanitized(event)));
        }
        own.extend(rest.flush(&()));

        let own = own.into_iter().map(|event| self.new_event(event, None));
        match self.store(own.collect()).await {
            Ok(more) => stored.extend(more),
            Err(source) => return Err(LogError::NotAppended { accepted, source }),
        }
        Ok(self.receipt(stored))
    }

    /// Appends what happened before, as it is.
    async fn import(&mut self, events: Vec<ImportedEvent>) -> Result<Receipt, LogError> {
        let mut stored = self.make_ready(None).await?;
        let waiting = self.coalescer.flush(&());
        self.take(waiting);
        let mut own = Vec::with_capacity(events.len());
        for imported in events {
            for piece in pieces(imported.event) {
                let at = Some(imported.created_at.clone());
                own.push(self.new_event(self.sanitized(piece), at));
            }
        }
        stored.extend(self.store(own).await?);
        Ok(self.receipt(stored))
    }

    /// Loads the thread and stores what was acknowledged; nothing new is taken before that. Text that waits
    /// under another lease leaves its window.
    async fn make_ready(
        &mut self,
        fence: Option<LeaseToken>,
    ) -> Result<Vec<AppendedEvent>, LogError> {
        self.load().await?;
        if self.fence != fence {
            let waiting = self.coalescer.flush(&());
            self.take(waiting);
            self.fence = fence;
        }
        let stored = self.store(Vec::new()).await;
        stored.map_err(|source| LogError::NotAppended {
            accepted: 0,
            source,
        })
    }

    fn receipt(&self, events: Vec<AppendedEvent>) -> Receipt {
        Receipt {
            sequence: self.sequence(),
            events,
            durable: self.coalescer.deadline().is_none(),
        }
    }

    fn sanitized(&self, event: RuntimeEvent) -> RuntimeEvent {
        let payload = sanitize_event(&self.core.options.redactor, &event.kind, event.payload);
        RuntimeEvent { payload, ..event }
    }

    /// Takes text over: from here on it is the log's to store.
    fn take(&mut self, text: Vec<RuntimeEvent>) {
        for event in text {
            self.outbox.push(Text {
                event: self.new_event(event, None),
                fence: self.fence.clone(),
            });
        }
    }

    async fn flush(&mut self) -> Result<u64, LogError> {
        let waiting = self.coalescer.flush(&());
        self.take(waiting);
        self.store(Vec::new()).await?;
        Ok(self.sequence())
    }

    async fn window_ended(&mut self) {
        let due = self.coalescer.tick(self.now());
        self.take(due.into_iter().map(|((), event)| event).collect());
        self.outbox_retry = None;
        if let Err(error) = self.store(Vec::new()).await {
            tracing::warn!(session = %self.shared.key, %error, "streamed text can't be saved yet; it is kept and tried again");
        }
        self.snapshot_if_due().await;
    }

    /// Folds and publishes what an append made durable.
    pub(crate) async fn take_in(&mut self, appended: Appended) -> Vec<AppendedEvent> {
        let mut folded = Vec::with_capacity(appended.events.len());
        let mut complete = true;
        let mut changed = None;
        if let Some(loaded) = self.shared.state_mut().as_mut() {
            for event in &appended.events {
                let before = loaded.sequence;
                complete &= loaded.fold(&event.record);
                if loaded.sequence > before {
                    folded.push(event.record.clone());
                }
            }
            changed =
                list_changed(&loaded.row, &appended.row).then(|| Arc::new(appended.row.clone()));
            loaded.row = appended.row.clone();
            self.shared.set_bytes(loaded.bytes);
        }
        self.since_snapshot.events += folded.len() as u64;
        self.since_snapshot.bytes += folded
            .iter()
            .map(|record| payload_bytes(&record.payload))
            .sum::<usize>();
        if let Some(last) = folded.last() {
            self.at_rest = matches!(
                last.kind,
                EventType::SessionIdle | EventType::SessionAborted | EventType::RuntimeError
            );
        }
        self.shared.publish(&folded, self.core.options.live_bytes);
        let scope = Scope::of(&appended.row.session);
        let workspace = appended
            .events
            .iter()
            .map(|event| event.workspace_sequence)
            .max()
            .unwrap_or_default();
        self.core.feeds.announce(&scope, workspace, changed);
        if appended.events.iter().any(|event| event.created) {
            let bus = &self.core.options.bus;
            bus.publish(Topic::Session(self.shared.key.clone()));
            bus.publish(Topic::Workspace(scope));
        }
        if !complete {
            // Another process appended in between. The events are durable, so a failure here isn't the caller's.
            if let Err(error) = self.refresh(None).await {
                tracing::warn!(session = %self.shared.key, %error, "can't read another process's events yet");
            }
        }
        appended.events
    }

    async fn load(&mut self) -> Result<(), LogError> {
        if self.shared.is_loaded() {
            return Ok(());
        }
        self.load_anew().await
    }

    async fn load_anew(&mut self) -> Result<(), LogError> {
        let (loaded, snapshot_sequence) = load::load(&*self.core.store, &self.shared.key).await?;
        self.since_snapshot = Since {
            events: loaded.sequence - snapshot_sequence,
            bytes: 0,
        };
        self.install(loaded);
        Ok(())
    }

    fn install(&self, loaded: crate::thread::Loaded) {
        let sequence = loaded.sequence;
        self.shared.set_bytes(loaded.bytes);
        *self.shared.state_mut() = Some(loaded);
        self.shared.announce(sequence);
    }

    /// Folds what another process has stored. Nothing to do when the thread is as it was `seen` in the store.
    async fn refresh(&mut self, seen: Option<Arc<SessionRow>>) -> Result<u64, LogError> {
        self.load().await?;
        let is_up_to_date = |seen: &SessionRow| {
            let state = self.shared.state();
            state.as_ref().is_some_and(|loaded| loaded.is_as(seen))
        };
        if seen.is_some_and(|seen| is_up_to_date(&seen)) {
            return Ok(self.sequence());
        }
        loop {
            let after = self.sequence();
            let store = &self.core.store;
            let events = store.list_events(&self.shared.key, after, 1000).await?;
            if events.is_empty() {
                break;
            }
            let mut complete = true;
            if let Some(loaded) = self.shared.state_mut().as_mut() {
                complete = events.iter().all(|record| loaded.fold(record));
                self.shared.set_bytes(loaded.bytes);
            }
            if !complete {
                // What comes next here was pruned there: the log's base has it.
                self.load_anew().await?;
                continue;
            }
            self.since_snapshot.events += events.len() as u64;
            self.shared.publish(&events, self.core.options.live_bytes);
        }
        let row = self.row().await?;
        if row.last_sequence > self.sequence() {
            // Nothing of it is left, or it has just come.
            self.load_anew().await?;
        }
        let mut changed = false;
        if let Some(loaded) = self.shared.state_mut().as_mut() {
            changed = list_changed(&loaded.row, &row) || bound_otherwise(&loaded.row, &row);
            loaded.row = row.clone();
        }
        if changed {
            let scope = Scope::of(&row.session);
            self.core.feeds.announce(&scope, 0, Some(Arc::new(row)));
        }
        Ok(self.sequence())
    }

    /// Shows the followers what another process has stored.
    async fn look(&mut self) {
        self.shared.look();
        let looked = match self.shared.is_loaded() {
            true => self.refresh(None).await.map(drop),
            // Whoever reads the view loads it; the followers read the store.
            false => self.row().await.map(|row| {
                self.shared.announce(row.last_sequence);
            }),
        };
        if let Err(error) = looked {
            tracing::warn!(session = %self.shared.key, %error, "can't read another process's events yet");
        }
    }

    async fn row(&self) -> Result<SessionRow, LogError> {
        let row = self.core.store.session(&self.shared.key).await?;
        row.ok_or_else(|| StoreError::NotFound(self.shared.key.session_id.to_string()).into())
    }

    async fn row_changed(&mut self) -> Result<(), LogError> {
        let row = self.row().await?;
        let scope = Scope::of(&row.session);
        if let Some(loaded) = self.shared.state_mut().as_mut() {
            loaded.row = row.clone();
        }
        self.core.feeds.announce(&scope, 0, Some(Arc::new(row)));
        let topic = Topic::Session(self.shared.key.clone());
        self.core.options.bus.publish(topic);
        Ok(())
    }

    async fn repair(&mut self) -> Result<RepairReport, LogError> {
        self.load().await?;
        self.flush().await?;
        let prior = self
            .core
            .store
            .snapshot(&self.shared.key)
            .await?
            .map_or(0, |snapshot| snapshot.sequence);
        let (loaded, base) = load::fold_all(&*self.core.store, &self.shared.key).await?;
        let last = loaded.sequence;
        self.install(loaded);
        let mut report = RepairReport {
            repaired: false,
            event_count: last - base,
            base_sequence: base,
            workspace_event_count: last - base,
            latest_event_sequence: last,
            prior_projection_sequence: prior,
            projection_sequence: 0,
            lag: 0,
        };
        if last > 0 {
            report.repaired =
                self.write_snapshot(SnapshotRule::Repair).await? == SnapshotWrite::Written;
            report.projection_sequence = last;
        }
        Ok(report)
    }

    /// Stores what waits and drops the view. If that fails the thread stays in memory.
    async fn unload(&mut self) {
        if !self.shared.is_loaded() {
            return;
        }
        if let Err(error) = self.flush().await {
            tracing::error!(session = %self.shared.key, %error, "streamed text can't be saved");
            return;
        }
        self.at_rest = true;
        self.snapshot_if_due().await;
        *self.shared.state_mut() = None;
        self.shared.set_bytes(0);
        self.shared.tail().clear();
    }

    async fn snapshot_if_due(&mut self) {
        let due = self.since_snapshot.is_due(
            self.sequence(),
            self.shared.bytes(),
            self.at_rest,
            &self.core.options,
        );
        if !due {
            return;
        }
        match self.write_snapshot(SnapshotRule::Advance).await {
            Ok(_) => {}
            // The log holds everything, so a snapshot is never worth an error; the next one comes after the
            // same distance.
            Err(error) => {
                tracing::warn!(session = %self.shared.key, %error, "can't write a snapshot")
            }
        }
        self.since_snapshot = Since::default();
    }

    async fn write_snapshot(&self, rule: SnapshotRule) -> Result<SnapshotWrite, LogError> {
        let shared = self.shared.clone();
        // A long view takes a while to write out; this task is the only writer, so it can't change meanwhile.
        let snapshot = tokio::task::spawn_blocking(move || {
            let state = shared.state();
            let loaded = state.as_ref()?;
            let view = serde_json::to_string(loaded.view()).ok()?;
            Some(Snapshot {
                sequence: loaded.sequence,
                projector_version: PROJECTOR_VERSION,
                view,
                updated_at: loaded.view().updated_at.clone(),
            })
        });
        let Ok(Some(snapshot)) = snapshot.await else {
            return Err(LogError::Closed);
        };
        Ok(self
            .core
            .store
            .write_snapshot(&self.shared.key, snapshot, rule)
            .await?)
    }

    fn sequence(&self) -> u64 {
        self.shared
            .state()
            .as_ref()
            .map_or(0, |loaded| loaded.sequence)
    }

    /// Gives an event its time, and an id before its first attempt, so that a retry can't store it twice.
    fn new_event(&self, event: RuntimeEvent, created_at: Option<String>) -> NewEvent {
        let mint = || {
            format!(
                "runtime:{}:{}",
                self.shared.key.session_id,
                uuid::Uuid::new_v4()
            )
            .into()
        };
        NewEvent {
            event_id: Some(event.event_id.unwrap_or_else(mint)),
            kind: event.kind,
            payload: event.payload,
            created_at: created_at.unwrap_or_else(|| self.core.options.now()),
        }
    }

    /// Milliseconds since the writer started, as the coalescer counts time.
    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn deadline(&self) -> Option<Instant> {
        let window = self
            .coalescer
            .deadline()
            .map(|at| self.started + Duration::from_millis(at));
        match (window, self.outbox_retry) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// True for text that may wait for the window: a delta of a message (01 §11.1).
fn is_text(event: &RuntimeEvent) -> bool {
    matches!(
        event.kind,
        EventType::AssistantMessage | EventType::TaskMessage
    ) && event
        .payload
        .get("mode")
        .is_some_and(|mode| mode == "append")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// True when the thread list shows the row otherwise.
fn list_changed(old: &SessionRow, new: &SessionRow) -> bool {
    let shown = |row: &SessionRow| (row.session.status, row.waiting, row.last_sequence > 0);
    shown(old) != shown(new) || old.session.title != new.session.title
}

fn bound_otherwise(old: &SessionRow, new: &SessionRow) -> bool {
    old.session.opencode_session_id != new.session.opencode_session_id
}
