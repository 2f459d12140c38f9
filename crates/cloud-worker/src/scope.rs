//! One task per user whose sessions run here (decision 24): it owns the scope's lease, the sessions' leases and the
//! runtime, wakes a session when there is something to do for it, and lets go of what nobody uses.
//!
//! ```text
//!   wake ─► scope task ─┬─► pass over a session: claim, execute, ack … until nothing is left
//!                       ├─► pass over another one, at the same time
//!   lease lost ─────────┴─► everything stops, nothing more is appended
//! ```

use crate::context::Context;
use crate::execute;
use crate::lease::Renewal;
use crate::parts::Shared;
use crate::pass::{Pass, pass};
use crate::progress::Stalled;
use crate::runs;
use crate::sink::{ScopeSink, Told};
use crate::usage::Metered;
use crate::watchdog::{self, Verdict};
use futures::future::join_all;
use open_cowork_contracts::SessionId;
use open_cowork_contracts::api::usage::{QuotaKey, UsageEventType};
use open_cowork_providers::executor::ExecutionError;
use open_cowork_providers::store::execution::{ScopeLease, SessionLease};
use open_cowork_providers::store::governance::QuotaClaim;
use open_cowork_runtime_host::supervise::Exit;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Messages that may wait for a scope's task; whoever finds it full is served by the next look.
pub(crate) const INBOX: usize = 256;
/// A session without anything to do is let go after that, its lease with it.
const SESSION_IDLE: Duration = Duration::from_secs(60);
/// A scope that never got a runtime is let go after that.
const SCOPE_IDLE: Duration = Duration::from_secs(5);
/// How often idleness is looked at.
const TIDY: Duration = Duration::from_secs(1);
/// A session that can't be taken over yet is tried again after that.
const TAKE_OVER: Duration = Duration::from_secs(1);
/// After a stop that a shutdown asked for, turns must have ended within that.
const STOP_WITHIN: Duration = Duration::from_secs(6);

/// What a scope's task is asked.
#[derive(Debug)]
pub(crate) enum ToScope {
    /// There may be something to do.
    Work {
        /// Where; absent: wherever the store says.
        session: Option<SessionId>,
        /// Who waits for what becomes of it.
        reply: Option<oneshot::Sender<Result<u32, ExecutionError>>>,
    },
    /// Another scope needs the place of an idle runtime.
    MakeRoom(oneshot::Sender<bool>),
    /// A run makes no progress and is to be ended.
    Stop(Stalled, oneshot::Sender<Verdict>),
    /// This worker is going away: running turns may end until then.
    Drain(Instant),
}

/// A session that is worked on here.
struct Seat {
    lease: SessionLease,
    /// Tries to take over what a dead worker left; absent: done.
    tries: Option<u32>,
    used: Instant,
}

type Waiter = oneshot::Sender<Result<u32, ExecutionError>>;

/// State of the passes over one session.
#[derive(Default)]
struct Turnstile {
    /// A pass runs.
    busy: bool,
    /// Something came while it ran.
    again: bool,
    /// Whoever waits for the running pass, and for the next.
    waiting: Vec<Waiter>,
    next: Vec<Waiter>,
}

pub(crate) struct ScopeTask {
    context: Arc<Context>,
    renewal: Renewal,
    told: mpsc::UnboundedReceiver<Told>,
    exited: mpsc::Receiver<Exit>,
    seats: HashMap<SessionId, Seat>,
    stiles: HashMap<SessionId, Turnstile>,
    passes: JoinSet<Pass>,
    draining: Option<Instant>,
    born: Instant,
}

impl ScopeTask {
    /// A task for a scope that was just claimed; `asked` is when the claim was asked for.
    pub(crate) fn new(shared: Arc<Shared>, lease: ScopeLease, asked: Instant) -> Self {
        let (sink, told) = ScopeSink::new(
            shared.parts.log.clone(),
            shared.parts.redactor.clone(),
            lease.scope.tenant_id.as_str(),
            shared.progress.clone(),
            shared.held.clone(),
        );
        let (exits, exited) = mpsc::channel(4);
        let renewal = Renewal::start(
            shared.parts.store.clone(),
            lease.clone(),
            shared.options.lease_ttl,
            asked,
            shared.parts.clock.clone(),
        );
        let context = Context::new(shared, lease, sink, exits);
        ScopeTask {
            context: Arc::new(context),
            renewal,
            told,
            exited,
            seats: HashMap::new(),
            stiles: HashMap::new(),
            passes: JoinSet::new(),
            draining: None,
            born: Instant::now(),
        }
    }

    /// Works until the scope is lost, released or drained. The lease is given back, unless it was lost.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<ToScope>) {
        let mut tidy = tokio::time::interval(TIDY);
        tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.look().await;
        let lost = loop {
            tokio::select! {
                biased;
                () = self.renewal.lost() => break true,
                Some(told) = self.told.recv() => match told {
                    Told::Ended(session, metered) => self.turn_ended(session, metered),
                    Told::Stale => break true,
                },
                Some(pass) = self.passes.join_next(), if !self.passes.is_empty() => {
                    match pass {
                        Ok(pass) if pass.stale => break true,
                        Ok(pass) => self.passed(pass),
                        // Which session it was is unknown, and its command counts as running. As if the worker
                        // had died: the lease ends, and a command that does it again is given up in the end.
                        Err(error) => {
                            tracing::error!(%error, "work on a session ended badly; its scope is taken up anew");
                            break true;
                        }
                    }
                }
                Some(exit) = self.exited.recv() => self.exited(exit),
                message = inbox.recv() => match message {
                    Some(ToScope::Work { session: Some(session), reply }) => self.wake(session, reply),
                    Some(ToScope::Work { session: None, .. }) => self.look().await,
                    Some(ToScope::MakeRoom(reply)) => {
                        let idle = self.is_idle().await;
                        let _ = reply.send(idle);
                        if idle {
                            break false;
                        }
                    }
                    Some(ToScope::Stop(run, reply)) => {
                        let context = self.context.clone();
                        self.passes.spawn(async move {
                            let _ = reply.send(watchdog::stop(&context, &run).await);
                            Pass::nothing()
                        });
                    }
                    Some(ToScope::Drain(deadline)) => self.draining = Some(deadline),
                    // The worker is gone.
                    None => self.draining = Some(Instant::now()),
                },
                _ = tidy.tick() => {
                    if self.is_over().await {
                        break false;
                    }
                }
            }
        };
        match lost {
            true => self.lose().await,
            false => self.leave().await,
        }
    }

    /// Looks what the store says.
    async fn look(&mut self) {
        let store = &self.context.shared.parts.store;
        let now = self.context.shared.now();
        match store.sessions_with_work(&self.context.scope, now).await {
            Ok(work) => {
                for work in work {
                    // While a turn runs here, a prompt waits for its end and not for a look.
                    if work.control || work.unfinished || work.prompt {
                        self.wake(work.session_id, None);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "a scope's work can't be read at the moment"),
        }
    }

    /// Starts a pass, or has the running one followed by another.
    fn wake(&mut self, session: SessionId, reply: Option<Waiter>) {
        let stile = self.stiles.entry(session.clone()).or_default();
        if stile.busy {
            stile.again = true;
            stile.next.extend(reply);
            return;
        }
        stile.busy = true;
        stile.waiting.extend(reply);
        self.enter(session, Duration::ZERO);
    }

    fn enter(&mut self, session: SessionId, after: Duration) {
        let seat = self
            .seats
            .get(&session)
            .map(|seat| (seat.lease.clone(), seat.tries));
        let control_only = self.draining.is_some();
        let context = self.context.clone();
        self.passes.spawn(async move {
            tokio::time::sleep(after).await;
            pass(context, session, seat, control_only).await
        });
    }

    fn passed(&mut self, pass: Pass) {
        if let Some(lease) = pass.lease {
            let seat = Seat {
                lease,
                tries: pass.tries,
                used: Instant::now(),
            };
            self.seats.insert(pass.session.clone(), seat);
        }
        if pass.tries.is_some() && self.draining.is_none() {
            // Whoever waits for a command of it waits on.
            return self.enter(pass.session, TAKE_OVER);
        }
        let Some(stile) = self.stiles.get_mut(&pass.session) else {
            return;
        };
        let failed = pass.result.is_err();
        for waiter in stile.waiting.drain(..) {
            let _ = waiter.send(pass.result.clone());
        }
        stile.busy = false;
        if std::mem::take(&mut stile.again) || pass.more {
            stile.waiting = std::mem::take(&mut stile.next);
            self.wake(pass.session, None);
        } else {
            self.stiles.remove(&pass.session);
            if failed {
                // Its turn has ended before its command had.
                self.settle_run(&pass.session);
            }
        }
    }

    /// Prompts that waited for the end of the turn go on.
    fn turn_ended(&mut self, session: SessionId, metered: Option<Metered>) {
        self.context.touch();
        let shared = &self.context.shared;
        if let Some(metered) = metered {
            let id = format!("worker:{}:minutes", metered.command);
            let tenant = &self.context.scope.tenant_id;
            let minute = UsageEventType::WorkerMinute;
            shared
                .usage
                .record(tenant, minute, id, metered.minutes, shared.now());
            self.count_minutes(metered.minutes);
        }
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.used = Instant::now();
        }
        self.settle_run(&session);
        self.wake(session, None);
    }

    fn count_minutes(&mut self, minutes: u64) {
        let options = &self.context.shared.options;
        if options.worker_minutes_per_hour.is_none() && options.billing.is_none() {
            return;
        }
        let context = self.context.clone();
        self.passes.spawn(async move {
            let claim = QuotaClaim {
                key: QuotaKey::WorkerMinutesHour,
                amount: minutes,
                limit: None, // they were run
            };
            let store = &context.shared.parts.store;
            let tenant = &context.scope.tenant_id;
            if let Err(error) = store
                .consume_quota(tenant, &claim, context.shared.now())
                .await
            {
                tracing::warn!(%error, "the minutes of a turn could not be counted");
            }
            Pass::nothing()
        });
    }

    /// A workflow's run ends with the turn. What fails here is made up for by the scheduler.
    fn settle_run(&mut self, session: &SessionId) {
        let (context, key) = (self.context.clone(), self.context.sink.key(session));
        self.passes.spawn(async move {
            let parts = &context.shared.parts;
            let settled = runs::settle(
                &*parts.store,
                &parts.log,
                &parts.redactor,
                &key,
                context.shared.now(),
            );
            if let Err(error) = settled.await {
                tracing::warn!(session = %key, %error, "a run can't be ended yet; the scheduler will");
            }
            Pass::nothing()
        });
    }

    /// OpenCode ended by itself. Open turns are compared with its history by a new one, or marked.
    fn exited(&mut self, exit: Exit) {
        let context = self.context.clone();
        // Not in this task: a new start takes its time.
        self.passes.spawn(async move {
            if let Some(runtime) = context.existing() {
                runtime.note_exit(&exit).await;
                let mut any = false;
                for thread in &runtime.host.open_threads() {
                    any = any || context.is_active(thread).await;
                }
                // Else it is started again when it is needed.
                if any && let Err(error) = runtime.ready(false).await {
                    tracing::warn!(%error, "an OpenCode that died can't be started again; its turns are marked");
                    runtime.lost().await;
                }
            }
            Pass::nothing()
        });
    }

    /// Nothing runs and nothing waits.
    async fn is_idle(&self) -> bool {
        if !self.passes.is_empty() {
            return false;
        }
        for session in self.seats.keys() {
            if self.context.is_active(session).await {
                return false;
            }
        }
        true
    }

    /// Lets sessions go that nobody uses; true when the whole scope may be let go.
    async fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if let Some(deadline) = self.draining {
            return now >= deadline || self.is_idle().await;
        }
        let patience = match self.context.is_crowded() {
            true => Duration::ZERO,
            false => SESSION_IDLE,
        };
        let quiet: Vec<SessionId> = self
            .seats
            .iter()
            .filter(|(session, seat)| {
                now.duration_since(seat.used) >= patience && !self.stiles.contains_key(*session)
            })
            .map(|(session, _)| session.clone())
            .collect();
        for session in quiet {
            if !self.context.is_active(&session).await {
                self.release(&session).await;
            }
        }
        if !self.seats.is_empty() || !self.passes.is_empty() {
            return false;
        }
        match self.context.existing() {
            Some(_) => {
                now.duration_since(self.context.last_used())
                    >= self.context.shared.options.runtimes.idle_ttl
            }
            None => now.duration_since(self.born.max(self.context.last_used())) >= SCOPE_IDLE,
        }
    }

    async fn release(&mut self, session: &SessionId) {
        let Some(seat) = self.seats.remove(session) else {
            return;
        };
        if let Some(runtime) = self.context.existing() {
            runtime.close_thread(session);
        }
        let key = self.context.sink.key(session);
        if let Err(error) = self.context.sink.log().flush(&key).await {
            tracing::warn!(%session, %error, "a session is let go with text that is not stored yet");
        }
        self.context.sink.let_go(session);
        let now = self.context.shared.now();
        let store = &self.context.shared.parts.store;
        if let Err(error) = store.release_session(&seat.lease, now).await {
            tracing::warn!(%session, %error, "a session's lease can't be given back; it ends by itself");
        }
    }

    /// Lets everything go in order.
    async fn leave(mut self) {
        self.passes.shutdown().await;
        if self.draining.is_some() {
            self.stop_turns().await;
        }
        for session in &self.context.sink.sessions() {
            let key = self.context.sink.key(session);
            if let Err(error) = self.context.sink.log().flush(&key).await {
                tracing::warn!(%session, %error, "text of a session is not stored yet");
            }
        }
        self.context.stop_runtime().await;
        self.context.sink.revoke();
        let now = self.context.shared.now();
        let store = &self.context.shared.parts.store;
        if let Err(error) = store.release_scope(&self.context.lease, now).await {
            tracing::warn!(%error, "a scope's lease can't be given back; it ends by itself");
        }
        for waiter in self
            .stiles
            .into_values()
            .flat_map(|stile| stile.waiting.into_iter().chain(stile.next))
        {
            let _ = waiter.send(Ok(0));
        }
    }

    /// The grace is over: turns that still run end as interrupted, by us and now.
    async fn stop_turns(&mut self) {
        let Some(runtime) = self.context.existing() else {
            return;
        };
        // Not the seats: a session whose first pass was still under way has none yet.
        let mut open: Vec<SessionId> = Vec::new();
        for session in runtime.host.open_threads() {
            if self.context.is_active(&session).await {
                open.push(session);
            }
        }
        let stops = open.iter().map(|session| {
            let stopped = runtime.host.stop(session, "interrupted", None);
            tokio::time::timeout(STOP_WITHIN, stopped)
        });
        join_all(stops).await;
        let ended = async {
            for session in &open {
                while self.context.is_active(session).await {
                    tokio::select! {
                        _ = self.told.recv() => {}
                        () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    }
                }
            }
        };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            let _ = tokio::time::timeout(STOP_WITHIN, runtime.lost()).await;
        }
        for session in &open {
            if self.context.is_active(session).await {
                // Its thread hangs, or the machine is too slow: what the log shows as running is ended without it.
                runtime.close_thread(session);
                let log = self.context.sink.log();
                let marked = async {
                    let row = log.session(&self.context.sink.key(session)).await?;
                    execute::interrupted(&self.context, &row, "interrupted").await
                };
                if let Err(error) = marked.await {
                    tracing::warn!(%session, %error, "a turn that was cut short is marked by the next worker");
                }
            }
        }
    }

    /// The lease is gone: whatever runs is stopped at once, and nothing more is said.
    async fn lose(mut self) {
        self.context.lose();
        self.passes.abort_all();
        metrics::counter!("open_cowork_cloud_worker_stale_owner_rejections_total").increment(1);
        self.context.stop_runtime().await;
        self.passes.shutdown().await;
    }
}
