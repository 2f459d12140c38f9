//! How long a scheduler keeps what limits and sign-in have left behind (04 §14).

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use open_cowork_cloud_worker::{Scheduler, SchedulerOptions, SchedulerParts};
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::bus::LocalBus;
use open_cowork_providers::store::ControlPlane;
use open_cowork_providers::store::browser::{BrowserStore as _, RateClaim};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use std::sync::Arc;
use std::time::Duration;

/// Rows that a scheduler forgets `after` a bucket was used that is full again a minute later.
async fn forgotten(keep: Option<Duration>, after: Duration) -> u64 {
    let store = SqliteStore::in_memory(SqliteOptions::default()).await;
    let store = Arc::new(store.unwrap());
    let claim = RateClaim {
        bucket: "ip:1".to_owned(),
        capacity: 1,
        window_ms: 60_000,
        cost: 1,
    };
    let begin = Timestamp::UNIX_EPOCH;
    store.take_tokens(&[claim], begin).await.unwrap();
    let parts = SchedulerParts {
        log: ThreadLog::new(store.clone(), ThreadLogOptions::default()),
        store: store as Arc<dyn ControlPlane>,
        bus: Arc::new(LocalBus::default()),
        redactor: Arc::new(Redactor::default()),
        clock: Arc::new(move || begin + after),
    };
    let mut options = SchedulerOptions::new("s");
    options.retention.throttles = keep;
    let report = Scheduler::idle(parts, options).tick().await;
    assert_eq!(report.failed, [""; 0]);
    report.pruned
}

#[tokio::test]
async fn counters_are_kept_for_the_time_that_is_set() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let keep = Some(minutes(10));
    assert_eq!(forgotten(keep, minutes(10)).await, 0);
    assert_eq!(forgotten(keep, minutes(12)).await, 1);
    assert_eq!(forgotten(None, minutes(100_000)).await, 0, "for ever");
    let usual = SchedulerOptions::new("s").retention.throttles;
    assert_eq!(usual, Some(minutes(60)));
}
