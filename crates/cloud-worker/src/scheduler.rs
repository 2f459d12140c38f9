//! The scheduler: starts what is due, takes back what is stuck, ends what has ended, forgets what is old (04 §3.5).
//!
//! Several may run: every claim is atomic. Each job stands for itself; one that fails doesn't keep the others from
//! their turn (03 §12 #15).

use crate::parts::Clock;
use crate::runs;
use open_cowork_contracts::api::workspace::{Heartbeat, ProcessRole};
use open_cowork_projection::sanitize::{Redaction, Redactor};
use open_cowork_providers::billing::{Billing, BillingAction, BillingDenial, BillingWish};
use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::store::execution::QueueLimits;
use open_cowork_providers::store::workflows::{ClaimedRun, RunLimits, RunOutcome};
use open_cowork_providers::store::{ControlPlane, StoreError};
use open_cowork_providers::time::iso;
use open_cowork_thread_log::run::{DEFAULT_PROFILE, start_run_in};
use open_cowork_thread_log::{LogError, ThreadLog};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs started in one tick at most (04 §3.5).
const STARTS: usize = 200;
/// Expired claims taken back in one query, and queries per tick.
const REAP: (u32, usize) = (100, 10);
/// A run is looked at by the backstop when it was started that long ago.
const SETTLE_AFTER: Duration = Duration::from_secs(10);
/// Runs settled per tick.
const SETTLE: u32 = 100;
/// Longest time for one job of a tick.
const JOB: Duration = Duration::from_secs(60);
/// Threads looked at in one query when old events are searched.
const WALK: u32 = 1000;
/// Longest time that one round removes events of threads, well within [`JOB`].
const ROUND: Duration = Duration::from_secs(30);
/// A sign of life is written that often.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What a scheduler is given.
#[derive(Clone)]
pub struct SchedulerParts {
    /// The control plane.
    pub store: Arc<dyn ControlPlane>,
    /// The log over the same store.
    pub log: ThreadLog,
    /// Wake-ups.
    pub bus: Arc<dyn EventBus>,
    /// Removes secrets from errors.
    pub redactor: Arc<Redactor>,
    /// The time.
    pub clock: Clock,
}

/// How long things are kept; absent: for ever (04 §14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events of threads; the view of a thread stays (04 §2.11).
    pub session_events: Option<Duration>,
    /// Events of workspace streams, which are the threads' own seen from another side: older ones aren't replayed.
    pub workspace_events: Option<Duration>,
    /// Entries of the audit log.
    pub audit: Option<Duration>,
    /// Uses.
    pub usage: Option<Duration>,
    /// Commands that ended, and signs of life.
    pub commands: Option<Duration>,
    /// Runs that ended.
    pub runs: Option<Duration>,
    /// Channels' deliveries that ended, expired asks, settled events of providers.
    pub channels: Option<Duration>,
    /// Ended sessions of browsers, expired idempotency keys, full buckets, forgotten failures.
    pub throttles: Option<Duration>,
}

/// How a scheduler behaves.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Names it among all.
    pub scheduler_id: String,
    /// What the process does, for the heartbeat.
    pub role: ProcessRole,
    /// How often it looks.
    pub poll: Duration,
    /// Limits of runs.
    pub limits: RunLimits,
    /// What the queue of commands may hold.
    pub queue: QueueLimits,
    /// Whoever bills; absent: nobody. Where it says no, a due run fails, and the schedule goes on.
    pub billing: Option<Arc<dyn Billing>>,
    /// Profile of the sessions of runs.
    pub profile: String,
    /// How long things are kept.
    pub retention: Retention,
    /// How often is forgotten.
    pub retention_interval: Duration,
    /// Rows forgotten in one query, and queries per table.
    pub retention_batches: (u32, u32),
}

impl SchedulerOptions {
    /// The defaults of the contract.
    #[must_use]
    pub fn new(scheduler_id: impl Into<String>) -> Self {
        SchedulerOptions {
            scheduler_id: scheduler_id.into(),
            role: ProcessRole::AllInOne,
            poll: Duration::from_secs(1),
            limits: RunLimits::default(),
            queue: QueueLimits::default(),
            billing: None,
            profile: DEFAULT_PROFILE.to_owned(),
            retention: Retention {
                commands: Some(Duration::from_secs(7 * 24 * 3600)),
                throttles: Some(Duration::from_secs(3600)),
                ..Retention::default()
            },
            retention_interval: Duration::from_secs(3600),
            retention_batches: (500, 20),
        }
    }
}

/// What a tick did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickReport {
    /// Runs that were started.
    pub started: Vec<ClaimedRun>,
    /// Runs that could not be started and are failed.
    pub refused: usize,
    /// Claims that were taken back.
    pub released: u32,
    /// Runs whose end had been missed.
    pub settled: usize,
    /// Rows that were forgotten.
    pub pruned: u64,
    /// Jobs that failed, by name; each is tried again at the next tick.
    pub failed: Vec<&'static str>,
}

/// A scheduler; it works until [`Scheduler::stop`].
pub struct Scheduler {
    parts: SchedulerParts,
    options: SchedulerOptions,
    tasks: TaskTracker,
    closed: CancellationToken,
    beat: Mutex<Instant>,
    pruned: Mutex<Option<Instant>>,
    /// Where the walk over the threads goes on.
    walk: Mutex<Option<String>>,
}

impl Scheduler {
    /// Starts looking.
    pub fn start(parts: SchedulerParts, options: SchedulerOptions) -> Arc<Scheduler> {
        let scheduler = Arc::new(Scheduler::idle(parts, options));
        let own = scheduler.clone();
        scheduler.tasks.spawn(async move {
            let closed = own.closed.clone();
            tokio::select! {
                () = closed.cancelled() => {}
                () = own.forever() => {}
            }
        });
        scheduler
    }

    /// One that does nothing by itself: its ticks are the caller's.
    #[must_use]
    pub fn idle(parts: SchedulerParts, options: SchedulerOptions) -> Scheduler {
        Scheduler {
            parts,
            options,
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
            beat: Mutex::new(Instant::now()),
            pruned: Mutex::default(),
            walk: Mutex::default(),
        }
    }

    /// Time since the last tick ended.
    pub fn beat_age(&self) -> Duration {
        self.beat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// Stops looking; what is half done is taken up by another scheduler, or by the next start.
    pub async fn stop(&self) {
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn forever(&self) {
        let mut ticks = tokio::time::interval(self.options.poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beaten: Option<Instant> = None;
        loop {
            ticks.tick().await;
            self.tick().await;
            if beaten.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
                self.heartbeat().await;
                beaten = Some(Instant::now());
            }
        }
    }

    /// One look at everything.
    pub async fn tick(&self) -> TickReport {
        let began = Instant::now();
        let mut report = TickReport::default();
        if let Some(released) = job("reap", &mut report.failed, self.reap()).await {
            report.released = released;
        }
        if let Some((started, refused)) = job("start", &mut report.failed, self.start_due()).await {
            report.started = started;
            report.refused = refused;
        }
        if let Some(settled) = job("settle", &mut report.failed, self.settle()).await {
            report.settled = settled;
        }
        if self.is_retention_due() {
            let mut failed = Vec::new();
            for (name, count) in [
                (
                    "retain commands",
                    job("retain commands", &mut failed, self.prune_commands()).await,
                ),
                (
                    "retain runs",
                    job("retain runs", &mut failed, self.prune_runs()).await,
                ),
                (
                    "retain audit",
                    job("retain audit", &mut failed, self.prune_governance()).await,
                ),
                (
                    "retain channels",
                    job("retain channels", &mut failed, self.prune_channels()).await,
                ),
                (
                    "retain threads",
                    job("retain threads", &mut failed, self.prune_threads()).await,
                ),
                (
                    "retain workspaces",
                    job("retain workspaces", &mut failed, self.prune_workspaces()).await,
                ),
                (
                    "retain sign-in",
                    job("retain sign-in", &mut failed, self.prune_sign_in()).await,
                ),
            ] {
                tracing::debug!(name, ?count, "forgotten");
                report.pruned += count.unwrap_or_default();
            }
            report.failed.extend(failed);
        }
        metrics::histogram!("open_cowork_cloud_scheduler_loop_duration_ms")
            .record(began.elapsed().as_secs_f64() * 1000.0);
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        report
    }

    async fn reap(&self) -> Result<u32, LogError> {
        let mut released = 0;
        for _ in 0..REAP.1 {
            let reaped = self
                .parts
                .store
                .reap_claims(REAP.0, (self.parts.clock)())
                .await?;
            for run in &reaped.failed {
                tracing::warn!(run = %run.run.id, workflow = %run.run.workflow_id, "a run could not be started and is failed; its schedule goes on");
            }
            released += reaped.released;
            let count = reaped.released as usize + reaped.failed.len();
            metrics::counter!("open_cowork_cloud_scheduler_expired_claims_reaped_total")
                .increment(count as u64);
            if count < REAP.0 as usize {
                break;
            }
        }
        Ok(released)
    }

    async fn start_due(&self) -> Result<(Vec<ClaimedRun>, usize), LogError> {
        let (mut started, mut refused) = (Vec::new(), 0);
        for _ in 0..STARTS {
            let now = (self.parts.clock)();
            let claimed = self
                .parts
                .store
                .claim_due(&self.options.scheduler_id, self.options.limits, now)
                .await?;
            let Some(claimed) = claimed else { break };
            metrics::counter!("open_cowork_cloud_scheduler_claims_total").increment(1);
            if let Some(denial) = self.denied(&claimed).await? {
                let outcome = RunOutcome::Failed {
                    error: denial.message.to_owned(),
                    code: Some(denial.code.to_owned()),
                };
                let run = claimed.run.key();
                self.parts.store.finish_run(&run, outcome, now).await?;
                refused += 1;
                continue;
            }
            match start_run_in(
                &self.parts.log,
                &*self.parts.store,
                &claimed,
                &self.options.profile,
                self.options.queue,
                now,
            )
            .await
            {
                Ok(_) => {
                    let session = claimed.run.session();
                    self.parts.bus.publish(Topic::Commands(session));
                    started.push(claimed);
                }
                Err(error) => {
                    metrics::counter!("open_cowork_cloud_scheduler_failures_total").increment(1);
                    if self.refuse(&claimed, &error).await? {
                        refused += 1;
                    }
                }
            }
        }
        Ok((started, refused))
    }

    /// What the organisation's plan says against the prompt of a run (04 §8).
    async fn denied(&self, claimed: &ClaimedRun) -> Result<Option<BillingDenial>, StoreError> {
        let Some(billing) = &self.options.billing else {
            return Ok(None);
        };
        let standing = billing.standing(&claimed.run.scope.tenant_id).await?;
        let wish = BillingWish {
            profile: Some(&self.options.profile),
            ..BillingWish::to(BillingAction::PromptEnqueue)
        };
        Ok(standing.check(&wish).err())
    }

    /// A start that no repetition will help fails the run; anything else waits for its claim to expire.
    async fn refuse(&self, claimed: &ClaimedRun, error: &LogError) -> Result<bool, StoreError> {
        let Some(cause) = error.store_error().filter(|cause| {
            matches!(cause, StoreError::Quota(_))
                || (cause.is_callers_fault() && !crate::error::is_stale(cause))
        }) else {
            tracing::warn!(run = %claimed.run.run.id, %error, "a run can't be started at the moment");
            return Ok(false);
        };
        let code = match cause {
            StoreError::Quota(denial) => Some(denial.code.to_string()),
            _ => None,
        };
        let text = cause.to_string();
        let error = self.parts.redactor.redact(&text, Redaction::Full);
        let outcome = RunOutcome::Failed {
            error: error.into_owned(),
            code,
        };
        let now = (self.parts.clock)();
        self.parts
            .store
            .finish_run(&claimed.run.key(), outcome, now)
            .await?;
        Ok(true)
    }

    /// Somebody died between the end of a turn and the end of its run.
    async fn settle(&self) -> Result<usize, LogError> {
        let now = (self.parts.clock)();
        let before = now - SETTLE_AFTER;
        let mut settled = 0;
        for run in self.parts.store.unsettled_runs(before, SETTLE).await? {
            let done = runs::settle(
                &*self.parts.store,
                &self.parts.log,
                &self.parts.redactor,
                &run.session(),
                now,
            )
            .await;
            match done {
                Ok(Some(_)) => settled += 1,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(run = %run.run.id, %error, "a run can't be ended at the moment");
                }
            }
        }
        Ok(settled)
    }

    fn is_retention_due(&self) -> bool {
        let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        let due = pruned.is_none_or(|at| at.elapsed() >= self.options.retention_interval);
        if due {
            *pruned = Some(Instant::now());
        }
        due
    }

    async fn prune_commands(&self) -> Result<u64, LogError> {
        let Some(keep) = self.options.retention.commands else {
            return Ok(0);
        };
        let before = (self.parts.clock)() - keep;
        let store = &self.parts.store;
        self.batches(|limit| store.prune_execution(before, limit))
            .await
    }

    async fn prune_runs(&self) -> Result<u64, LogError> {
        let Some(keep) = self.options.retention.runs else {
            return Ok(0);
        };
        let before = (self.parts.clock)() - keep;
        let store = &self.parts.store;
        self.batches(|limit| store.prune_runs(before, limit)).await
    }

    async fn prune_governance(&self) -> Result<u64, LogError> {
        let retention = self.options.retention;
        if retention.audit.is_none() && retention.usage.is_none() {
            return Ok(0);
        }
        let now = (self.parts.clock)();
        let (audit, usage) = (
            retention.audit.map(|keep| now - keep),
            retention.usage.map(|keep| now - keep),
        );
        let store = &self.parts.store;
        self.batches(|limit| store.prune_governance(audit, usage, limit))
            .await
    }

    async fn prune_channels(&self) -> Result<u64, LogError> {
        let Some(keep) = self.options.retention.channels else {
            return Ok(0);
        };
        let before = (self.parts.clock)() - keep;
        let store = &self.parts.store;
        self.batches(|limit| store.prune_channels(before, limit))
            .await
    }

    /// Old events of threads, one thread after the other over all rounds, so that a few that can't be pruned hold up
    /// nobody. A step is a transaction of its own; what a round doesn't get through is the next one's.
    async fn prune_threads(&self) -> Result<u64, LogError> {
        let Some(keep) = self.options.retention.session_events else {
            return Ok(0);
        };
        let before = (self.parts.clock)() - keep;
        let (size, count) = self.options.retention_batches;
        let most = u64::from(size) * u64::from(count);
        let ends = Instant::now() + ROUND;
        let mut cursor = self.walk().take();
        let mut pruned = 0;
        'round: while Instant::now() < ends {
            let old = self
                .parts
                .store
                .old_sessions(before, cursor.as_deref(), WALK);
            let old = old.await?;
            for key in old.keys {
                loop {
                    if pruned >= most || Instant::now() >= ends {
                        tracing::info!(
                            pruned,
                            "more threads have old events than one round removes"
                        );
                        break 'round;
                    }
                    let limit = u64::from(size).min(most - pruned);
                    let limit = u32::try_from(limit).unwrap_or(size);
                    match self.parts.log.prune(&key, before, limit).await {
                        Ok(events) => {
                            pruned += events;
                            metrics::counter!("open_cowork_cloud_scheduler_retention_pruned_total")
                                .increment(events);
                            if events < u64::from(limit) {
                                break;
                            }
                        }
                        // One thread's own trouble; the database's is everybody's.
                        Err(error) if is_one_threads(&error) => {
                            tracing::warn!(session = %key, %error, "a thread's old events can't be removed now");
                            break;
                        }
                        Err(error) => {
                            *self.walk() = cursor;
                            return Err(error);
                        }
                    }
                }
            }
            cursor = old.next;
            if cursor.is_none() {
                break;
            }
        }
        *self.walk() = cursor;
        Ok(pruned)
    }

    fn walk(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prune_workspaces(&self) -> Result<u64, LogError> {
        let Some(keep) = self.options.retention.workspace_events else {
            return Ok(0);
        };
        let before = (self.parts.clock)() - keep;
        let store = &self.parts.store;
        self.batches(|limit| store.prune_workspaces(before, limit))
            .await
    }

    /// What of sign-in and limits is of no more use, for so long already.
    async fn prune_sign_in(&self) -> Result<u64, LogError> {
        let Some(keep) = self.options.retention.throttles else {
            return Ok(0);
        };
        let before = (self.parts.clock)() - keep;
        let store = &self.parts.store;
        self.batches(|limit| store.prune_browser(before, limit))
            .await
    }

    async fn batches<F, Fut>(&self, prune: F) -> Result<u64, LogError>
    where
        F: Fn(u32) -> Fut,
        Fut: Future<Output = Result<u64, StoreError>>,
    {
        let (size, count) = self.options.retention_batches;
        let mut pruned = 0;
        for _ in 0..count {
            let batch = prune(size).await?;
            pruned += batch;
            if batch < u64::from(size) {
                break;
            }
        }
        metrics::counter!("open_cowork_cloud_scheduler_retention_pruned_total").increment(pruned);
        Ok(pruned)
    }

    async fn heartbeat(&self) {
        let beat = Heartbeat {
            worker_id: self.options.scheduler_id.clone(),
            role: self.options.role,
            active_session_ids: Vec::new(),
            last_seen_at: iso((self.parts.clock)()),
        };
        if let Err(error) = self.parts.store.heartbeat(&beat).await {
            tracing::warn!(%error, "the sign of life can't be written at the moment");
        }
    }
}

/// True when the next thread may fare better.
fn is_one_threads(error: &LogError) -> bool {
    matches!(
        error.store_error(),
        Some(
            StoreError::Backend(_)
                | StoreError::NotFound(_)
                | StoreError::Conflict(_)
                | StoreError::Invalid(_)
        )
    )
}

/// Runs one job within its time; what it can't do is said and left to the next tick.
async fn job<T>(
    name: &'static str,
    failed: &mut Vec<&'static str>,
    work: impl Future<Output = Result<T, LogError>>,
) -> Option<T> {
    match tokio::time::timeout(JOB, work).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::warn!(job = name, %error, "a job of the scheduler failed; it is tried again");
            failed.push(name);
            None
        }
        Err(_) => {
            tracing::warn!(
                job = name,
                "a job of the scheduler takes too long; it is tried again"
            );
            failed.push(name);
            None
        }
    }
}
