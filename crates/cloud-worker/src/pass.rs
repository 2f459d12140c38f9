//! A pass over a session: take it, work through what waits for it, store what became of each command.

use crate::context::Context;
use crate::execute::{self, Outcome};
use open_cowork_contracts::SessionId;
use open_cowork_providers::executor::ExecutionError;
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::execution::{Lanes, SessionLease};
use open_cowork_thread_log::LogError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument as _;

/// A session that can't be taken over yet is tried again so often; then its turn is marked as interrupted.
const TAKE_OVER_TRIES: u32 = 10;

/// What a pass did.
pub(crate) struct Pass {
    pub(crate) session: SessionId,
    pub(crate) lease: Option<SessionLease>,
    /// Tries to take it over; absent: done.
    pub(crate) tries: Option<u32>,
    pub(crate) result: Result<u32, ExecutionError>,
    /// There was more than fits into one pass.
    pub(crate) more: bool,
    pub(crate) stale: bool,
}

impl Pass {
    /// Something else was done than to work on a session.
    pub(crate) fn nothing() -> Self {
        Pass {
            session: SessionId::default(),
            lease: None,
            tries: None,
            result: Ok(0),
            more: false,
            stale: false,
        }
    }
}

/// Works through what waits for a session.
pub(crate) async fn pass(
    context: Arc<Context>,
    session: SessionId,
    seat: Option<(SessionLease, Option<u32>)>,
    control_only: bool,
) -> Pass {
    let mut done = Pass {
        session: session.clone(),
        lease: None,
        tries: None,
        result: Ok(0),
        more: false,
        stale: false,
    };
    let (lease, tries) = match seat {
        Some(seat) => seat,
        None => match claim(&context, &session).await {
            Ok(Some(lease)) => (lease, Some(0)),
            Ok(None) => return done,
            Err(error) => {
                done.stale = crate::error::is_stale(&error);
                tracing::debug!(%session, %error, "a session can't be taken");
                return done;
            }
        },
    };
    context.sink.hold(&session, lease.token.clone());
    done.lease = Some(lease.clone());
    if let Some(tries) = tries {
        match welcome(&context, &lease, tries + 1 >= TAKE_OVER_TRIES).await {
            Ok(true) => {}
            Ok(false) => {
                done.tries = Some(tries + 1);
                return done;
            }
            Err(error) => {
                tracing::warn!(%session, %error, "a session can't be taken over at the moment");
                done.stale = error.store_error().is_some_and(crate::error::is_stale);
                done.tries = Some(tries + 1);
                return done;
            }
        }
    }
    let store = &context.shared.parts.store;
    let mut applied = 0_u32;
    let mut failed = None;
    for count in 0.. {
        if count >= context.shared.options.commands_per_session {
            done.more = true;
            break;
        }
        // Judged before the claim: what can't run now is left in the queue as it is (04 §16 #5).
        let only_control = control_only
            || context.shared.is_closing()
            || context.is_active(&session).await
            || !context.may_work().await;
        let lanes = match only_control {
            true => Lanes::Control,
            false => Lanes::All,
        };
        let claimed = match store
            .claim_command(&lease, lanes, context.shared.now())
            .await
        {
            Ok(Some(claimed)) => claimed,
            Ok(None) => break,
            Err(error) => {
                done.stale = crate::error::is_stale(&error);
                tracing::debug!(%session, %error, "no command can be claimed");
                break;
            }
        };
        let trace = open_cowork_providers::trace::Trace::incoming(claimed.traceparent.as_deref());
        context.sink.follow(&session, trace);
        let kind = claimed.command.kind.as_str();
        let span = open_cowork_providers::trace::span!(trace, "cloud.command", kind);
        let began = Instant::now();
        let execution = execute::execute(&context, &lease, &claimed);
        let outcome = open_cowork_providers::trace::with(trace, execution)
            .instrument(span)
            .await;
        metrics::histogram!("open_cowork_cloud_worker_command_duration_ms")
            .record(began.elapsed().as_secs_f64() * 1000.0);
        let id = &claimed.command.command_id;
        let stored = match &outcome {
            Outcome::Applied => {
                applied += 1;
                settle(|now| store.ack_command(&lease, id, now), &context).await
            }
            Outcome::Failed(failure, _) => {
                settle(|now| store.fail_command(&lease, id, failure, now), &context).await
            }
            Outcome::Deferred(deferral) => {
                tracing::info!(%session, code = deferral.code, "a command has to wait");
                settle(
                    |now| store.defer_command(&lease, id, deferral, now),
                    &context,
                )
                .await
            }
            Outcome::Lost => {
                done.stale = context.is_lost();
                break;
            }
        };
        if let Outcome::Failed(_, error) = outcome {
            failed.get_or_insert(error);
        }
        metrics::counter!("open_cowork_cloud_worker_commands_processed_total").increment(1);
        if let Err(error) = stored {
            done.stale = crate::error::is_stale(&error);
            tracing::warn!(%session, %error, "what became of a command can't be stored");
            break;
        }
    }
    done.result = failed.map_or(Ok(applied), Err);
    done
}

/// Stores what became of a command; what may pass is tried again while the lease lives.
async fn settle<F, Fut, T>(store: F, context: &Context) -> Result<T, StoreError>
where
    F: Fn(open_cowork_providers::time::Timestamp) -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    let mut wait = Duration::from_millis(50);
    loop {
        match store(context.shared.now()).await {
            Err(error) if error.is_transient() && !context.is_lost() => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            }
            result => return result,
        }
    }
}

/// `None`: it is taken, or there are as many as this worker or the organisation may have. What waits for it stays in
/// the queue, and idle sessions make room.
async fn claim(context: &Context, session: &SessionId) -> Result<Option<SessionLease>, StoreError> {
    let (shared, key) = (&context.shared, context.sink.key(session));
    if !shared.held.reserve(&key, shared.options.max_sessions) {
        tracing::info!(%session, "the worker holds as many sessions as it may; this one has to wait");
        return Ok(None);
    }
    let most = shared.options.active_sessions_per_org;
    let claimed = shared
        .parts
        .store
        .claim_session_within(&context.lease, session, most, shared.now())
        .await;
    if !matches!(claimed, Ok(Some(_))) {
        shared.held.remove(&key);
    }
    match claimed {
        Err(StoreError::Quota(denial)) => {
            tracing::info!(%session, code = denial.code, "a session has to wait");
            metrics::counter!("open_cowork_cloud_quota_rejections_total").increment(1);
            shared.crowd.tell(&context.scope.tenant_id);
            Ok(None)
        }
        claimed => claimed,
    }
}

/// A session comes here, perhaps from a worker that died. False: not yet.
async fn welcome(context: &Context, lease: &SessionLease, last: bool) -> Result<bool, LogError> {
    let log = context.sink.log();
    // Whatever other processes appended.
    log.refresh(&lease.key).await?;
    let row = log.session(&lease.key).await?;
    execute::take_over(context, &row, last).await
}
