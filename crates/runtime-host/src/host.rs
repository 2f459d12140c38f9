//! The host of a running OpenCode: one event stream per process, one owned task per thread.
//!
//! ```text
//!   OpenCode ══ one /global/event ══► router ──► thread task ──► translator ──► sink (the caller's log)
//!                                        ▲            │
//!             commands ──────────────────┼────────────┴──► calls
//!   process exits, stream breaks ────────┘ connect again, every thread recovers
//! ```

use crate::sink::{SinkError, ThreadSink};
use crate::supervise::Running;
use crate::thread::{Command, ThreadActor, ThreadHandle, TurnPrompt};
use crate::translate::StopRequest;
use crate::watchdog::Limits;
use futures::StreamExt as _;
use open_cowork_contracts::{CommandId, RuntimeSessionId, SessionId};
use open_cowork_opencode::event::{Event, Frame};
use open_cowork_opencode::{
    Backoff, Directory, Error as OpenCodeError, NewSession, Observed, OpenCodeRuntime, SeqTracker,
    StreamItem,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

/// Frames that may wait for one thread; more are dropped and the thread recovers.
const FRAME_QUEUE: usize = 4_096;
/// Commands that may wait for one thread.
const COMMAND_QUEUE: usize = 64;

/// How a host works.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Limits of one turn.
    pub limits: Limits,
}

/// Connection to OpenCode's event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// No process, or it is being started.
    Starting,
    /// Every event arrives.
    Online,
    /// The stream broke; it is being opened again. Nothing is lost.
    Reconnecting,
}

/// What can go wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// No OpenCode runs at the moment. Wait, or start it.
    #[error(
        "OpenCode isn't running at the moment; it is started again by itself, try once more in a moment"
    )]
    NotRunning,
    /// The thread isn't open on this host: open it.
    #[error("thread {0} isn't open; open it first")]
    NotOpen(SessionId),
    /// The ask was answered, expired or withdrawn before. Read the thread again.
    #[error("{0} doesn't wait for an answer any more")]
    NotPending(String),
    /// OpenCode doesn't know the thread's session any more. Bind a new one.
    #[error(
        "OpenCode has lost the session of thread {0}; what was shown is kept, the next prompt starts a new one"
    )]
    SessionLost(SessionId),
    /// The log can't take events.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// OpenCode refused or didn't answer.
    #[error(transparent)]
    OpenCode(#[from] OpenCodeError),
}

/// What thread tasks share.
pub(crate) struct Shared {
    pub(crate) sink: Arc<dyn ThreadSink>,
    pub(crate) options: HostOptions,
    runtime: watch::Sender<Option<Arc<dyn OpenCodeRuntime>>>,
    link: watch::Sender<LinkState>,
    /// Runtime session (root or child) → thread.
    routes: Mutex<HashMap<String, SessionId>>,
    threads: Mutex<HashMap<SessionId, ThreadHandle>>,
    opening: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(crate) fn runtime(&self) -> Result<Arc<dyn OpenCodeRuntime>, TurnError> {
        self.runtime.borrow().clone().ok_or(TurnError::NotRunning)
    }

    pub(crate) fn route(&self, session: &str, thread: &SessionId) {
        lock(&self.routes).insert(session.to_owned(), thread.clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host. Dropping it ends its tasks; OpenCode itself belongs to whoever started it.
pub struct RuntimeHost {
    shared: Arc<Shared>,
    _router: AbortOnDropHandle<()>,
}

impl RuntimeHost {
    /// A host without a process: see [`RuntimeHost::attach`].
    pub fn new(sink: Arc<dyn ThreadSink>, options: HostOptions) -> Self {
        let shared = Arc::new(Shared {
            sink,
            options,
            runtime: watch::Sender::new(None),
            link: watch::Sender::new(LinkState::Starting),
            routes: Mutex::default(),
            threads: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        });
        let router = AbortOnDropHandle::new(tokio::spawn(route_frames(shared.clone())));
        RuntimeHost {
            shared,
            _router: router,
        }
    }

    /// Uses that OpenCode from now on: at start, and after each restart. Open threads recover on it.
    pub fn attach(&self, runtime: Arc<dyn OpenCodeRuntime>) {
        self.shared.runtime.send_replace(Some(runtime));
    }

    /// Uses that process from now on.
    pub fn attach_process(&self, running: &Running) {
        self.attach(Arc::new(running.client().clone()));
    }

    /// The process is gone. Open turns are marked when it is back, or by [`RuntimeHost::lost`].
    pub fn detach(&self) {
        self.shared.runtime.send_replace(None);
        self.shared.link.send_replace(LinkState::Starting);
    }

    /// The process doesn't come back by itself: every open turn is marked as interrupted now.
    pub async fn lost(&self) {
        let handles: Vec<_> = lock(&self.shared.threads)
            .values()
            .map(|thread| thread.commands.clone())
            .collect();
        for commands in handles {
            let (done, wait) = oneshot::channel();
            if commands.send(Command::Lost(done)).await.is_ok() {
                let _ = wait.await;
            }
        }
    }

    /// State of the event stream; changes are sent.
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.shared.link.subscribe()
    }

    /// The OpenCode in use.
    pub fn runtime(&self) -> Result<Arc<dyn OpenCodeRuntime>, TurnError> {
        self.shared.runtime()
    }

    /// Opens a thread: binds it to its runtime session, or to a new one, and catches up with OpenCode's
    /// history. Opening an open thread only catches up.
    ///
    /// # Errors
    /// [`TurnError::SessionLost`] when OpenCode doesn't know the session: open again without one.
    pub async fn open(
        &self,
        thread: &SessionId,
        runtime_session: Option<&RuntimeSessionId>,
        directory: &Path,
    ) -> Result<RuntimeSessionId, TurnError> {
        let runtime = self.shared.runtime()?;
        let directory = &Directory::open(directory)?;
        // Held over awaits on purpose: two callers at once must not bind a thread to two sessions.
        let single_flight = self.shared.opening.lock().await;
        let open = lock(&self.shared.threads)
            .get(thread)
            .map(|handle| handle.session.clone());
        let session = match (open, runtime_session.filter(|session| !session.is_empty())) {
            (Some(session), _) => session,
            (None, Some(session)) => session.clone(),
            (None, None) => {
                let new = runtime.create_session(directory, NewSession::default());
                new.await?.id.into()
            }
        };
        self.shared.route(session.as_str(), thread);
        lock(&self.shared.threads)
            .entry(thread.clone())
            .or_insert_with(|| self.spawn(thread, &session, directory.clone()));
        drop(single_flight);
        match self.send(thread, |done| Command::Recover(Some(done))).await {
            Ok(()) => Ok(session),
            Err(error) => {
                if matches!(error, TurnError::SessionLost(_)) {
                    self.close(thread);
                }
                Err(error)
            }
        }
    }

    fn spawn(
        &self,
        thread: &SessionId,
        session: &RuntimeSessionId,
        directory: Directory,
    ) -> ThreadHandle {
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (frames, frame_queue) = mpsc::channel(FRAME_QUEUE);
        let overflow = Arc::new(AtomicBool::new(false));
        let actor = ThreadActor::new(
            self.shared.clone(),
            thread.clone(),
            session.as_str(),
            directory,
            overflow.clone(),
            frame_queue,
        );
        let task = AbortOnDropHandle::new(tokio::spawn(actor.run(command_queue)));
        ThreadHandle {
            session: session.clone(),
            commands,
            frames,
            overflow,
            task,
        }
    }

    /// Ends a thread's task. A turn that runs goes on in OpenCode; opening the thread again catches up.
    pub fn close(&self, thread: &SessionId) {
        if let Some(handle) = lock(&self.shared.threads).remove(thread) {
            handle.task.abort();
        }
        lock(&self.shared.routes).retain(|_, routed| routed != thread);
    }

    /// Threads that have a task.
    pub fn open_threads(&self) -> Vec<SessionId> {
        lock(&self.shared.threads).keys().cloned().collect()
    }

    /// True when the thread has a task.
    pub fn is_open(&self, thread: &SessionId) -> bool {
        lock(&self.shared.threads).contains_key(thread)
    }

    /// Starts a turn, or adds to the running one. The prompt is durable when this returns, also with an
    /// error; then the thread shows the error.
    pub async fn prompt(&self, thread: &SessionId, prompt: TurnPrompt) -> Result<(), TurnError> {
        self.send(thread, |done| Command::Prompt(prompt, done))
            .await
    }

    /// Stops the running turn; nothing when none runs. Returns when OpenCode was told; the ending follows.
    pub async fn stop(
        &self,
        thread: &SessionId,
        reason: &str,
        command: Option<&CommandId>,
    ) -> Result<(), TurnError> {
        let stop = StopRequest {
            reason: reason.to_owned(),
            message: None,
            command: command.map(|command| command.as_str().to_owned()),
        };
        self.send(thread, |done| Command::Stop(stop, done)).await
    }

    /// Allows an action once, or denies it. With a reason the agent reads it and goes on; without one the
    /// turn ends (08 §9.3).
    pub async fn answer_permission(
        &self,
        thread: &SessionId,
        id: &str,
        allow: bool,
        reason: Option<String>,
        command: Option<CommandId>,
    ) -> Result<(), TurnError> {
        let id = id.to_owned();
        self.send(thread, |done| Command::Permission {
            id,
            allow,
            reason,
            command,
            done,
        })
        .await
    }

    /// Answers a question (`None`: dismisses it, and the turn ends, 08 §9.4).
    pub async fn answer_question(
        &self,
        thread: &SessionId,
        id: &str,
        answers: Option<Vec<Vec<String>>>,
        command: Option<CommandId>,
    ) -> Result<(), TurnError> {
        let id = id.to_owned();
        self.send(thread, |done| Command::Question {
            id,
            answers,
            command,
            done,
        })
        .await
    }

    /// Compares with OpenCode's history now.
    pub async fn recover(&self, thread: &SessionId) -> Result<(), TurnError> {
        self.send(thread, |done| Command::Recover(Some(done))).await
    }

    async fn send(
        &self,
        thread: &SessionId,
        command: impl FnOnce(oneshot::Sender<Result<(), TurnError>>) -> Command,
    ) -> Result<(), TurnError> {
        let commands = lock(&self.shared.threads)
            .get(thread)
            .map(|handle| handle.commands.clone());
        let commands = commands.ok_or_else(|| TurnError::NotOpen(thread.clone()))?;
        let (done, wait) = oneshot::channel();
        commands
            .send(command(done))
            .await
            .map_err(|_| TurnError::NotOpen(thread.clone()))?;
        wait.await.map_err(|_| TurnError::NotOpen(thread.clone()))?
    }
}

impl Drop for RuntimeHost {
    /// Thread tasks hold what they share with the host: only this ends them.
    fn drop(&mut self) {
        lock(&self.shared.threads).clear();
    }
}

/// Reads the stream of whatever process is attached and hands frames to the threads.
async fn route_frames(shared: Arc<Shared>) {
    let mut runtimes = shared.runtime.subscribe();
    let mut backoff = Backoff::default();
    loop {
        let Some(runtime) = runtimes.borrow_and_update().clone() else {
            if runtimes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let mut stream = runtime.events();
        let mut sequences = SeqTracker::default();
        loop {
            let item = tokio::select! {
                item = stream.next() => item,
                changed = runtimes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
            };
            match item {
                Some(StreamItem::Connected) => {
                    shared.link.send_replace(LinkState::Online);
                    recover_all(&shared);
                }
                Some(StreamItem::Frame(frame)) => {
                    backoff.reset();
                    route(&shared, &mut sequences, frame);
                }
                Some(StreamItem::Broken(reason)) => {
                    tracing::info!(%reason, "OpenCode's event stream broke; connecting again");
                    break;
                }
                None => break,
            }
        }
        shared.link.send_if_modified(|link| {
            let was_online = *link == LinkState::Online;
            if was_online {
                *link = LinkState::Reconnecting;
            }
            was_online
        });
        let delay = backoff.next_delay(jitter());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = runtimes.changed() => {}
        }
    }
}

fn route(shared: &Shared, sequences: &mut SeqTracker, frame: Frame) {
    if let Event::Sync { aggregate, seq, .. } = &frame.event {
        if let Observed::Gap { expected, got } = sequences.observe(aggregate, *seq) {
            tracing::warn!(session = %aggregate, expected, got, "events are missing; recovering");
            if let Some(thread) = lock(&shared.routes).get(aggregate) {
                ask_recovery(shared, thread);
            }
        }
        return;
    }
    let Some(session) = frame.event.session() else {
        return;
    };
    let mut routes = lock(&shared.routes);
    if let Event::SessionCreated(info) = &frame.event
        && let Some(thread) = info
            .parent_id
            .as_ref()
            .and_then(|parent| routes.get(parent))
            .cloned()
    {
        routes.insert(info.id.clone(), thread);
    }
    let Some(thread) = routes.get(session).cloned() else {
        return;
    };
    drop(routes);
    let threads = lock(&shared.threads);
    let Some(handle) = threads.get(&thread) else {
        return;
    };
    if handle.frames.try_send(frame).is_err() {
        handle.overflow.store(true, Ordering::Release);
    }
}

fn recover_all(shared: &Shared) {
    for handle in lock(&shared.threads).values() {
        if handle.commands.try_send(Command::Recover(None)).is_err() {
            handle.overflow.store(true, Ordering::Release);
        }
    }
}

fn ask_recovery(shared: &Shared, thread: &SessionId) {
    if let Some(handle) = lock(&shared.threads).get(thread)
        && handle.commands.try_send(Command::Recover(None)).is_err()
    {
        handle.overflow.store(true, Ordering::Release);
    }
}

/// A random number from 0 to 1.
fn jitter() -> f64 {
    let mut bytes = [0_u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
