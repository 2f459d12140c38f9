//! The worker: looks for scopes with something to do, claims them, and goes away in order (04 §3.2).

use crate::error::WorkerError;
use crate::options::WorkerOptions;
use crate::parts::{Shared, WorkerParts};
use crate::progress::Stalled;
use crate::scope::{INBOX, ScopeTask, ToScope};
use crate::watchdog::{self, Verdict};
use async_trait::async_trait;
use open_cowork_contracts::api::workspace::{Heartbeat, ProgressSnapshot};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::executor::{ExecutionError, Executor};
use open_cowork_providers::store::{Scope, SessionKey, StoreError};
use open_cowork_providers::time::iso;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Scopes looked at in one query.
const SURVEY: u32 = 100;
/// Expired leases ended in one query, and queries per look (04 §3.2).
const REAP: (u32, usize) = (100, 10);
/// A sign of life is written that often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Most sessions that a sign of life names.
const HEARTBEAT_SESSIONS: usize = 1000;
/// Waiting time of a command over the bus for a scope that is just leaving.
const HAND_OVER: Duration = Duration::from_millis(20);

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Scopes that were held when it began.
    pub scopes: usize,
    /// True when turns had to be stopped because the grace was over.
    pub forced: bool,
}

/// A worker. Make it inside a Tokio runtime; it works until [`Worker::drain`], whoever still holds it. When the
/// process ends without a drain its leases expire, and its OpenCodes are ended by their launchers.
pub struct Worker {
    itself: Weak<Worker>,
    shared: Arc<Shared>,
    scopes: Mutex<HashMap<Scope, mpsc::Sender<ToScope>>>,
    /// One claim at a time: two askers of this process must not fight for one scope.
    claiming: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    closed: CancellationToken,
    beat: Mutex<Instant>,
}

impl Worker {
    /// Starts looking for work.
    ///
    /// # Errors
    /// [`WorkerError::Options`] with all findings.
    pub fn start(parts: WorkerParts, options: WorkerOptions) -> Result<Arc<Worker>, WorkerError> {
        options.check()?;
        let crate::Isolation::DevelopmentProcess = options.isolation;
        tracing::warn!(
            "agents of different users are separated by processes and folders only (development-process)"
        );
        let shared = Arc::new(Shared::new(parts, options));
        let worker = Arc::new_cyclic(|itself| Worker {
            itself: itself.clone(),
            shared,
            scopes: Mutex::default(),
            claiming: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
            beat: Mutex::new(Instant::now()),
        });
        for task in [Task::Survey, Task::Listen, Task::MakeRoom, Task::Watch] {
            let (own, closed) = (worker.clone(), worker.closed.clone());
            worker.tasks.spawn(async move {
                tokio::select! {
                    () = closed.cancelled() => {}
                    () = own.work(task) => {}
                }
            });
        }
        Ok(worker)
    }

    /// Which runs make progress (04 §3.6).
    pub fn progress(&self) -> ProgressSnapshot {
        self.shared.progress.snapshot()
    }

    /// Time since the last look for work ended; beyond some polls the loop hangs (04 §16 #9).
    pub fn beat_age(&self) -> Duration {
        self.beat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// Scopes that this worker holds.
    pub fn scopes(&self) -> Vec<Scope> {
        self.lock_scopes().keys().cloned().collect()
    }

    /// Runtimes that can still be started.
    pub fn free_runtimes(&self) -> usize {
        self.shared.capacity.free()
    }

    /// Goes away in order (04 §3.2): takes up nothing new, lets turns end for `grace`, then stops them, ends every
    /// runtime and gives all leases back.
    pub async fn drain(&self, grace: Duration) -> DrainReport {
        self.shared.close();
        let deadline = Instant::now() + grace;
        let scopes: Vec<mpsc::Sender<ToScope>> = {
            // A claim that is under way either is in the map or sees that we are closing.
            let _claiming = self.claiming.lock().await;
            self.lock_scopes().values().cloned().collect()
        };
        let report = scopes.len();
        for scope in scopes {
            let _ = scope.send(ToScope::Drain(deadline)).await;
        }
        self.shared.capacity.close();
        while !self.lock_scopes().is_empty() && Instant::now() < deadline {
            tokio::time::sleep(HAND_OVER).await;
        }
        let forced = !self.lock_scopes().is_empty();
        metrics::counter!("open_cowork_cloud_worker_shutdown_drains_total").increment(1);
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        DrainReport {
            scopes: report,
            forced,
        }
    }

    fn lock_scopes(&self) -> std::sync::MutexGuard<'_, HashMap<Scope, mpsc::Sender<ToScope>>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self: Arc<Self>, task: Task) {
        match task {
            Task::Survey => self.survey_forever().await,
            Task::Listen => self.listen().await,
            Task::MakeRoom => self.make_room().await,
            Task::Watch => {
                let own = self.clone();
                watchdog::watch(&self.shared, move |run| own.clone().stop(run)).await;
            }
        }
    }

    /// The way to a scope's task; claims the scope when nobody has it. `None`: another worker has it.
    async fn scope(
        self: &Arc<Self>,
        scope: &Scope,
    ) -> Result<Option<mpsc::Sender<ToScope>>, StoreError> {
        let known = |worker: &Worker| worker.lock_scopes().get(scope).cloned();
        if let Some(task) = known(self) {
            return Ok(Some(task));
        }
        // Held over awaits on purpose.
        let _claiming = self.claiming.lock().await;
        if let Some(task) = known(self) {
            return Ok(Some(task));
        }
        if self.shared.is_closing() {
            return Ok(None);
        }
        let options = &self.shared.options;
        let asked = Instant::now();
        let now = self.shared.now();
        let claimed = self
            .shared
            .parts
            .store
            .claim_scope(scope, &options.worker_id, options.lease_ttl, now)
            .await?;
        let Some(lease) = claimed else {
            metrics::counter!("open_cowork_cloud_worker_lease_denials_total").increment(1);
            return Ok(None);
        };
        metrics::counter!("open_cowork_cloud_worker_lease_claims_total").increment(1);
        let (sender, inbox) = mpsc::channel(INBOX);
        self.lock_scopes().insert(scope.clone(), sender.clone());
        let task = ScopeTask::new(self.shared.clone(), lease, asked);
        let (weak, scope) = (Arc::downgrade(self), scope.clone());
        self.tasks.spawn(async move {
            task.run(inbox).await;
            if let Some(worker) = weak.upgrade() {
                worker.lock_scopes().remove(&scope);
            }
        });
        Ok(Some(sender))
    }

    /// Wakes the scope of a session; waits for what becomes of it when somebody wants to know.
    async fn wake(
        self: &Arc<Self>,
        key: &SessionKey,
        wait: bool,
    ) -> Result<Result<u32, ExecutionError>, StoreError> {
        // A scope that is just leaving drops the message: then the scope is claimed anew.
        for _ in 0..250 {
            let Some(row) = self.shared.parts.store.session(key).await? else {
                return Ok(Ok(0));
            };
            let scope = Scope::of(&row.session);
            let Some(task) = self.scope(&scope).await? else {
                return Ok(Ok(0));
            };
            let (reply, answer) = oneshot::channel();
            let work = ToScope::Work {
                session: Some(key.session_id.clone()),
                reply: wait.then_some(reply),
            };
            if task.send(work).await.is_ok() {
                if !wait {
                    return Ok(Ok(0));
                }
                if let Ok(result) = answer.await {
                    return Ok(result);
                }
            }
            if self.shared.is_closing() {
                return Ok(Ok(0));
            }
            tokio::time::sleep(HAND_OVER).await;
        }
        Ok(Ok(0))
    }

    /// Looks at intervals, whatever wake-ups were lost.
    async fn survey_forever(self: &Arc<Self>) {
        let mut ticks = tokio::time::interval(self.shared.options.poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beaten: Option<Instant> = None;
        loop {
            ticks.tick().await;
            let began = Instant::now();
            if let Err(error) = self.survey().await {
                metrics::counter!("open_cowork_cloud_worker_loop_failures_total").increment(1);
                tracing::warn!(%error, "looking for work failed; trying again");
            }
            if beaten.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
                self.heartbeat().await;
                beaten = Some(Instant::now());
            }
            metrics::histogram!("open_cowork_cloud_worker_loop_duration_ms")
                .record(began.elapsed().as_secs_f64() * 1000.0);
            *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// One look: expired leases, then scopes with something to do.
    async fn survey(self: &Arc<Self>) -> Result<(), StoreError> {
        if self.shared.is_closing() {
            return Ok(());
        }
        let store = &self.shared.parts.store;
        for _ in 0..REAP.1 {
            let reaped = store.reap(REAP.0, self.shared.now()).await?;
            for session in &reaped {
                tracing::info!(session = %session.key, worker = session.worker_id, retried = session.retried.len(), unfinished = session.unfinished, "a worker is gone; its session goes on");
            }
            metrics::counter!("open_cowork_cloud_worker_expired_leases_reaped_total")
                .increment(reaped.len() as u64);
            if reaped.len() < REAP.0 as usize {
                break;
            }
        }
        let runnable = store
            .runnable_scopes(&self.shared.options.worker_id, SURVEY, self.shared.now())
            .await?;
        metrics::gauge!("open_cowork_cloud_command_queue_depth_estimate")
            .set(runnable.scopes.len() as f64);
        for scope in runnable.scopes {
            let Some(task) = self.scope(&scope).await? else {
                continue;
            };
            // Full: it has enough to do, and the next look comes.
            let _ = task.try_send(ToScope::Work {
                session: None,
                reply: None,
            });
        }
        Ok(())
    }

    async fn heartbeat(&self) {
        let held = self.lock_scopes().len();
        let beat = Heartbeat {
            worker_id: self.shared.options.worker_id.clone(),
            role: self.shared.options.role,
            active_session_ids: self.shared.held.ids(HEARTBEAT_SESSIONS),
            last_seen_at: iso(self.shared.now()),
        };
        metrics::gauge!("open_cowork_cloud_runtime_active").set(held as f64);
        if let Err(error) = self.shared.parts.store.heartbeat(&beat).await {
            tracing::warn!(%error, "the sign of life can't be written at the moment");
        }
    }

    /// Wake-ups make the common case quick.
    async fn listen(self: &Arc<Self>) {
        let mut topics = self.shared.parts.bus.subscribe();
        loop {
            match topics.recv().await {
                Ok(Topic::Commands(key)) => {
                    if self.shared.is_closing() {
                        continue;
                    }
                    // Not in a row: a scope with a full inbox must not hold up the others.
                    let (worker, closed) = (self.clone(), self.closed.clone());
                    self.tasks.spawn(async move {
                        let woken = async {
                            if let Err(error) = worker.wake(&key, false).await {
                                tracing::debug!(%error, "a wake-up has to wait for the next look");
                            }
                        };
                        tokio::select! {
                            () = closed.cancelled() => {}
                            () = woken => {}
                        }
                    });
                }
                Ok(Topic::Everything) | Err(RecvError::Lagged(_)) => {
                    if let Err(error) = self.survey().await {
                        tracing::debug!(%error, "looking for work has to wait for the next look");
                    }
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Ends a stalled run, by the task of its scope; without one it is somebody else's by now.
    async fn stop(self: Arc<Self>, run: Stalled) -> Verdict {
        let row = self.shared.parts.store.session(&run.key).await;
        let scope = match row {
            Ok(Some(row)) => Scope::of(&row.session),
            Ok(None) => return Verdict::FencedStale,
            Err(_) => return Verdict::Failed,
        };
        let task = self.lock_scopes().get(&scope).cloned();
        let Some(task) = task else {
            return Verdict::FencedStale;
        };
        let (reply, answer) = oneshot::channel();
        match task.try_send(ToScope::Stop(run, reply)) {
            // A task that leaves meanwhile has ended the run with everything else.
            Ok(()) => answer.await.unwrap_or(Verdict::FencedStale),
            Err(_) => Verdict::Failed,
        }
    }

    /// When all places are taken, idle runtimes make room for whoever waits.
    async fn make_room(self: &Arc<Self>) {
        loop {
            self.shared.capacity.wanted().await;
            let tasks: Vec<mpsc::Sender<ToScope>> = self.lock_scopes().values().cloned().collect();
            for task in tasks {
                let (reply, answer) = oneshot::channel();
                if task.try_send(ToScope::MakeRoom(reply)).is_ok()
                    && answer.await.is_ok_and(|left| left)
                {
                    break;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Task {
    Survey,
    Listen,
    MakeRoom,
    Watch,
}

#[async_trait]
impl Executor for Worker {
    async fn process(&self, key: &SessionKey) -> Result<u32, ExecutionError> {
        let unavailable = |message: String| ExecutionError {
            status: 503,
            code: Some("worker.unavailable".to_owned()),
            message,
        };
        let Some(worker) = self.itself.upgrade() else {
            return Ok(0); // it is going away
        };
        // Not in the caller's task: whoever hangs up doesn't stop the work.
        let key = key.clone();
        let work = self
            .tasks
            .spawn(async move { worker.wake(&key, true).await });
        match work.await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(_) => Err(unavailable(
                "The work on the session ended badly; try again.".to_owned(),
            )),
        }
    }
}
