//! What is done about runs without progress (04 §3.6): `observe` writes them down once, `enforce` ends exactly that
//! run, and only while its scope is ours.

use crate::context::Context;
use crate::parts::Shared;
use crate::progress::Stalled;
use futures::StreamExt as _;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvent};
use open_cowork_contracts::api::workspace::WatchdogMode;
use open_cowork_providers::store::StoreError;
use open_cowork_providers::time::iso;
use serde_json::json;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Runs that are ended at the same time.
const AT_ONCE: usize = 8;
/// The longest pause after a failed try, and the shortest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A run that was told to stop must have ended within that.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// Why a run was stopped, as its thread shows it.
const REASON: &str = "watchdog.no_progress";

/// What became of a stalled run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was written down.
    Observed,
    /// It has ended; the session can be used again.
    Recovered,
    /// It isn't ours any more, or has moved on.
    FencedStale,
    /// It goes on; another try comes.
    Failed,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Observed => "observed",
            Verdict::Recovered => "recovered",
            Verdict::FencedStale => "fenced-stale",
            Verdict::Failed => "failed",
        }
    }
}

/// What was tried with a run.
struct Tried {
    failures: u32,
    /// No other try before that; absent: never again.
    next: Option<Instant>,
}

/// Looks for stalled runs until it is dropped; `stop` ends one.
pub(crate) async fn watch<F, Fut>(shared: &Shared, stop: F)
where
    F: Fn(Stalled) -> Fut,
    Fut: Future<Output = Verdict>,
{
    let watchdog = shared.progress.watchdog();
    let mode = watchdog.mode();
    if mode == WatchdogMode::Off {
        return;
    }
    let mut ticks = tokio::time::interval(watchdog.sweep);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tried: HashMap<Stalled, Tried> = HashMap::new();
    loop {
        ticks.tick().await;
        let stalled = shared.progress.stalled();
        tried.retain(|run, _| stalled.contains(run));
        let now = Instant::now();
        let is_due = |run: &Stalled| match tried.get(run) {
            None => true,
            Some(tried) => tried.next.is_some_and(|next| next <= now),
        };
        let due: Vec<Stalled> = stalled.into_iter().filter(is_due).collect();
        let judged = futures::stream::iter(due)
            .map(|run| async {
                let verdict = match mode {
                    WatchdogMode::Enforce => stop(run.clone()).await,
                    _ => Verdict::Observed,
                };
                write_down(shared, &run, verdict).await;
                (run, verdict)
            })
            .buffer_unordered(AT_ONCE);
        for (run, verdict) in judged.collect::<Vec<_>>().await {
            let failures = tried.get(&run).map_or(0, |tried| tried.failures);
            let again = verdict == Verdict::Failed;
            let next = again.then(|| Instant::now() + pause(watchdog.sweep, failures));
            let failures = failures.saturating_add(1);
            tried.insert(run, Tried { failures, next });
        }
    }
}

/// After so many failures before: doubling, at most a minute.
fn pause(sweep: Duration, failures: u32) -> Duration {
    let (least, most) = PAUSES;
    let factor = 2_u32.saturating_pow(failures.min(16));
    sweep.max(least).saturating_mul(factor).min(most.max(sweep))
}

/// Ends that run on the runtime of its scope, if scope and run are still what they were.
pub(crate) async fn stop(context: &Context, run: &Stalled) -> Verdict {
    let shared = &context.shared;
    let ttl = shared.options.lease_ttl;
    let renewed = shared
        .parts
        .store
        .renew_scope(&context.lease, ttl, shared.now());
    match renewed.await {
        Ok(_) => {}
        Err(StoreError::StaleFence) => return Verdict::FencedStale,
        Err(_) => return Verdict::Failed,
    }
    if context.is_lost() || !shared.progress.is_stalled(run) {
        return Verdict::FencedStale;
    }
    let session = &run.key.session_id;
    let Some(runtime) = context.existing() else {
        return Verdict::Failed;
    };
    if let Err(error) = runtime.host.stop(session, REASON, None).await {
        tracing::warn!(%session, %error, "a run without progress can't be stopped yet");
        return Verdict::Failed;
    }
    let ended = async {
        while shared.progress.is_stalled(run) {
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(ENDS_WITHIN, ended).await {
        Ok(()) => Verdict::Recovered,
        Err(_) => Verdict::Failed,
    }
}

/// In the metrics, the log and the organisation's audit log. What the store can't take now is in the other two.
async fn write_down(shared: &Shared, run: &Stalled, verdict: Verdict) {
    let outcome = verdict.as_str();
    metrics::counter!(
        "open_cowork_cloud_progress_watchdog_decisions_total", "outcome" => outcome, "state" => "stalled"
    )
    .increment(1);
    tracing::warn!(session = %run.key, outcome, "a run makes no progress");
    let (store, now) = (&shared.parts.store, shared.now());
    let org = match store.org(&run.key.tenant_id).await {
        Ok(Some(org)) => org,
        _ => return,
    };
    let worker = &shared.options.worker_id;
    let event = AuditEvent {
        event_id: format!(
            "audit_watchdog_{worker}_{}_{}",
            run.generation,
            now.as_millisecond()
        ),
        org_id: org.org_id,
        account_id: None,
        actor_type: AuditActor::System,
        actor_id: Some("progress-watchdog".to_owned()),
        event_type: "runtime.progress_watchdog.decision".to_owned(),
        target_type: Some("session".to_owned()),
        target_id: Some(run.key.session_id.to_string()),
        metadata: JsonObject::from_iter([
            ("result".to_owned(), json!(outcome)),
            ("state".to_owned(), json!("stalled")),
            ("worker".to_owned(), json!(worker)),
            ("generation".to_owned(), json!(run.generation)),
        ]),
        created_at: iso(now),
    };
    if let Err(error) = store.record_audit(&run.key.tenant_id, &[event]).await {
        tracing::warn!(%error, "a decision of the watchdog is not in the audit log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tries_are_repeated_ever_more_rarely() {
        let seconds =
            |sweep: u64, failures| pause(Duration::from_millis(sweep), failures).as_secs();
        assert_eq!([0, 1, 2, 6].map(|n| seconds(250, n)), [1, 2, 4, 60]);
        assert_eq!([0, 1, 4].map(|n| seconds(5000, n)), [5, 10, 60]);
        assert_eq!(seconds(5000, u32::MAX), 60);
    }
}
