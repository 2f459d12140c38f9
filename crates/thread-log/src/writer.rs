//! The task that owns a thread's appends: one at a time, in the order of arrival (01 §11).

use crate::chunk::pieces;
use crate::error::LogError;
use crate::load::{self, Since};
use crate::log::{Core, Receipt, RepairReport, Thread};
use crate::tail::payload_bytes;
use crate::thread::Shared;
use open_cowork_contracts::{EventType, RuntimeEvent};
use open_cowork_projection::PROJECTOR_VERSION;
use open_cowork_projection::coalesce::Coalescer;
use open_cowork_projection::sanitize::sanitize_event;
use open_cowork_providers::store::{
    AppendRequest, Appended, AppendedEvent, NewEvent, Scope, SessionRow, Snapshot, SnapshotRule,
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
        reply: Reply<u64>,
    },
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

/// Attempts of one append, with the same event ids (01 §11.2).
const ATTEMPTS: u32 = 6;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(1);

/// When text that couldn't be stored is tried again, if no append comes before.
const OUTBOX_RETRY: Duration = Duration::from_secs(5);

pub(crate) struct Writer {
    core: Arc<Core>,
    shared: Arc<Shared>,
    /// This task is one thread's, so there is nothing to tell apart.
    coalescer: Coalescer<()>,
    /// Text that was taken over and has left its window, but isn't stored yet: empty but for the time of a
    /// store failure. Nothing new is taken before it is stored, so it is at most one window's.
    outbox: Vec<NewEvent>,
    outbox_retry: Option<Instant>,
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
            Command::Append { events, reply } => drop(reply.send(self.append(events).await)),
            Command::Flush { reply } => drop(reply.send(self.flush().await)),
            Command::Load { reply } => drop(reply.send(self.load().await)),
            Command::RowChanged { reply } => drop(reply.send(self.row_changed().await)),
            Command::Refresh { reply } => drop(reply.send(self.refresh().await)),
            Command::Repair { reply } => drop(reply.send(self.repair().await)),
            Command::Unload => self.unload().await,
        }
        drop(envelope.handle);
        self.snapshot_if_due().await;
    }

    async fn append(&mut self, events: Vec<RuntimeEvent>) -> Result<Receipt, LogError> {
        self.load().await?;
        // Nothing new is taken before what was acknowledged is stored.
        let mut stored = self
            .store(Vec::new())
            .await
            .map_err(|source| LogError::NotAppended {
                accepted: 0,
                source,
            })?;

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

        let own = own.into_iter().map(|event| self.new_event(event)).collect();
        match self.store(own).await {
            Ok(more) => stored.extend(more),
            Err(source) => return Err(LogError::NotAppended { accepted, source }),
        }
        let durable = self.coalescer.deadline().is_none();
        Ok(Receipt {
            sequence: self.sequence(),
            events: stored,
            durable,
        })
    }

    fn sanitized(&self, event: RuntimeEvent) -> RuntimeEvent {
        let payload = sanitize_event(&self.core.options.redactor, &event.kind, event.payload);
        RuntimeEvent { payload, ..event }
    }

    /// Takes text over: from here on it is the log's to store.
    fn take(&mut self, text: Vec<RuntimeEvent>) {
        let text: Vec<NewEvent> = text
            .into_iter()
            .map(|event| self.new_event(event))
            .collect();
        self.outbox.extend(text);
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

    /// Stores the outbox and then `own`, in one transaction; folds and publishes. On an error nothing of `own`
    /// is stored; the outbox is, if only `own` was at fault.
    async fn store(&mut self, own: Vec<NewEvent>) -> Result<Vec<AppendedEvent>, StoreError> {
        if own.is_empty() && self.outbox.is_empty() {
            return Ok(Vec::new());
        }
        let batch: Arc<[NewEvent]> = self.outbox.iter().cloned().chain(own).collect();
        let error = match self.append_with_retries(batch).await {
            Ok(appended) => {
                self.outbox.clear();
                self.outbox_retry = None;
                return Ok(self.take_in(appended).await);
            }
            Err(error) => error,
        };
        if error.is_callers_fault() {
            self.store_one_by_one().await?;
        } else {
            self.outbox_retry = (!self.outbox.is_empty()).then(|| Instant::now() + OUTBOX_RETRY);
        }
        Err(error)
    }

    /// Stores the text of the outbox when the store refused a batch that it was part of. What is refused by
    /// itself (an id of the caller's that was reused, a session that is gone) can never be stored.
    async fn store_one_by_one(&mut self) -> Result<(), StoreError> {
        while let Some(text) = self.outbox.first() {
            match self.append_with_retries(Arc::from([text.clone()])).await {
                Ok(appended) => drop(self.take_in(appended).await),
                Err(error) if error.is_callers_fault() => {
                    tracing::error!(session = %self.shared.key, %error, "streamed text was refused and is dropped");
                }
                Err(error) => return Err(error),
            }
            self.outbox.remove(0);
        }
        self.outbox_retry = None;
        Ok(())
    }

    async fn append_with_retries(&self, events: Arc<[NewEvent]>) -> Result<Appended, StoreError> {
        let mut delay = FIRST_DELAY;
        for _ in 1..ATTEMPTS {
            let request = AppendRequest {
                key: self.shared.key.clone(),
                events: events.clone(),
                fence: None,
            };
            match self.core.store.append(request).await {
                Err(error) if error.is_transient() => {
                    tracing::debug!(session = %self.shared.key, %error, "append failed; trying again");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LAST_DELAY);
                }
                done => return done,
            }
        }
        self.core
            .store
            .append(AppendRequest {
                key: self.shared.key.clone(),
                events,
                fence: None,
            })
            .await
    }

    /// Folds and publishes what an append made durable.
    async fn take_in(&mut self, appended: Appended) -> Vec<AppendedEvent> {
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
        if !complete {
            // Another process appended in between. The events are durable, so a failure here isn't the caller's.
            if let Err(error) = self.refresh().await {
                tracing::warn!(session = %self.shared.key, %error, "can't read another process's events yet");
            }
        }
        appended.events
    }

    async fn load(&mut self) -> Result<(), LogError> {
        if self.shared.is_loaded() {
            return Ok(());
        }
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

    /// Folds what another process has stored.
    async fn refresh(&mut self) -> Result<u64, LogError> {
        self.load().await?;
        loop {
            let events = self
                .core
                .store
                .list_events(&self.shared.key, self.sequence(), 1000)
                .await?;
            if events.is_empty() {
                break;
            }
            if let Some(loaded) = self.shared.state_mut().as_mut() {
                for record in &events {
                    loaded.fold(record);
                }
                self.shared.set_bytes(loaded.bytes);
            }
            self.since_snapshot.events += events.len() as u64;
            self.shared.publish(&events, self.core.options.live_bytes);
        }
        self.row_changed().await?;
        Ok(self.sequence())
    }

    async fn row_changed(&mut self) -> Result<(), LogError> {
        let row = self.core.store.session(&self.shared.key).await?;
        let row =
            row.ok_or_else(|| StoreError::NotFound(self.shared.key.session_id.to_string()))?;
        let scope = Scope::of(&row.session);
        if let Some(loaded) = self.shared.state_mut().as_mut() {
            loaded.row = row.clone();
        }
        self.core.feeds.announce(&scope, 0, Some(Arc::new(row)));
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
        let loaded = load::fold_all(&*self.core.store, &self.shared.key).await?;
        let events = loaded.sequence;
        self.install(loaded);
        let mut report = RepairReport {
            repaired: false,
            event_count: events,
            workspace_event_count: events,
            latest_event_sequence: events,
            prior_projection_sequence: prior,
            projection_sequence: 0,
            lag: 0,
        };
        if events > 0 {
            report.repaired =
                self.write_snapshot(SnapshotRule::Repair).await? == SnapshotWrite::Written;
            report.projection_sequence = events;
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
    fn new_event(&self, event: RuntimeEvent) -> NewEvent {
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
            created_at: self.core.options.now(),
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
