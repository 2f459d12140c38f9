//! Appends of a worker: under its lease, or not at all. And what an import keeps.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use open_cowork_providers::store::execution::{ScopeLease, SessionLease};
use open_cowork_providers::store::{ExecutionStore, SessionStore, StoreError};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{ImportedEvent, LogError, ThreadLog, ThreadLogOptions};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use world::*;

const TTL: Duration = Duration::from_secs(10);

/// A log whose clock the test owns.
struct World {
    store: Arc<SqliteStore>,
    log: ThreadLog,
    seconds: Arc<AtomicU64>,
}

fn at(seconds: u64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start + Duration::from_secs(seconds)
}

impl World {
    async fn new() -> Self {
        let store = SqliteStore::in_memory(SqliteOptions::default()).await;
        let store = Arc::new(store.unwrap());
        store.create_session(new_session("s")).await.unwrap();
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = seconds.clone();
        let options = ThreadLogOptions {
            clock: Arc::new(move || at(clock.load(Ordering::SeqCst))),
            window: Duration::from_secs(3600),
            ..ThreadLogOptions::default()
        };
        World {
            log: ThreadLog::new(store.clone(), options),
            store,
            seconds,
        }
    }

    fn now(&self) -> Timestamp {
        at(self.seconds.load(Ordering::SeqCst))
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn lease(&self) -> (ScopeLease, SessionLease) {
        let scope = self.store.claim_scope(&scope(), "w", TTL, self.now()).await;
        let scope = scope.unwrap().unwrap();
        let session = self
            .store
            .claim_session(&scope, &"s".into(), self.now())
            .await;
        (scope, session.unwrap().unwrap())
    }
}

fn is_stale(error: &LogError) -> bool {
    error.store_error() == Some(&StoreError::StaleFence)
}

#[tokio::test]
async fn a_worker_appends_under_its_lease() {
    let world = World::new().await;
    let (scope, lease) = world.lease().await;
    let key = key("s");
    world
        .log
        .append_fenced(&key, vec![prompt("a")], &lease.token)
        .await
        .unwrap();
    world.pass(9);
    let renewed = world.store.renew_scope(&scope, TTL, world.now()).await;
    renewed.unwrap();
    world.pass(9);
    world
        .log
        .append_fenced(&key, vec![prompt("b")], &lease.token)
        .await
        .unwrap();
    let bound = world
        .log
        .bind_runtime_fenced(&key, &"ses".into(), &lease.token)
        .await;
    assert_eq!(bound.unwrap().session.opencode_session_id.as_str(), "ses");
    assert_eq!(stored_texts(&*world.store, "s").await, ["a", "b"]);
}

#[tokio::test]
async fn a_stale_lease_cannot_append() {
    let world = World::new().await;
    let (_, lease) = world.lease().await;
    world.pass(10);
    let key = key("s");
    let refused = world
        .log
        .append_fenced(&key, vec![prompt("late")], &lease.token)
        .await;
    assert!(is_stale(&refused.unwrap_err()));
    let refused = world
        .log
        .bind_runtime_fenced(&key, &"ses".into(), &lease.token)
        .await;
    assert!(is_stale(&refused.unwrap_err()));
    world
        .log
        .append(&key, vec![prompt("product")])
        .await
        .unwrap();
    assert_eq!(stored_texts(&*world.store, "s").await, ["product"]);
}

#[tokio::test]
async fn text_of_a_lost_lease_is_dropped_and_hinders_nobody() {
    let world = World::new().await;
    let (_, old) = world.lease().await;
    let key = key("s");
    let deltas = vec![delta("m", "first"), delta("m", " lost")];
    let receipt = world
        .log
        .append_fenced(&key, deltas, &old.token)
        .await
        .unwrap();
    assert!(!receipt.durable, "the second delta waits for its window");
    world.pass(10);
    let (_, new) = world.lease().await;
    let done = world
        .log
        .append_fenced(&key, vec![prompt("new")], &new.token)
        .await;
    assert_eq!(done.unwrap().sequence, 2);
    assert_eq!(stored_texts(&*world.store, "s").await, ["first", "new"]);
    let late = world
        .log
        .append_fenced(&key, vec![prompt("late")], &old.token)
        .await;
    assert!(is_stale(&late.unwrap_err()));
    assert_eq!(world.log.flush(&key).await.unwrap(), 2);
}

#[tokio::test]
async fn a_flush_tells_that_the_lease_of_the_text_is_lost() {
    let world = World::new().await;
    let (_, lease) = world.lease().await;
    let key = key("s");
    let deltas = vec![delta("m", "first"), delta("m", " lost")];
    world
        .log
        .append_fenced(&key, deltas, &lease.token)
        .await
        .unwrap();
    world.pass(10);
    assert!(is_stale(&world.log.flush(&key).await.unwrap_err()));
    assert_eq!(world.log.flush(&key).await.unwrap(), 1);
}

#[tokio::test]
async fn text_of_a_worker_and_events_of_the_product_stay_apart_and_in_order() {
    let world = World::new().await;
    let (_, lease) = world.lease().await;
    let key = key("s");
    let deltas = vec![delta("m", "a"), delta("m", "b")];
    world
        .log
        .append_fenced(&key, deltas, &lease.token)
        .await
        .unwrap();
    world.log.append(&key, vec![prompt("c")]).await.unwrap();
    world
        .log
        .append_fenced(&key, vec![delta("m", "d")], &lease.token)
        .await
        .unwrap();
    world.log.flush(&key).await.unwrap();
    assert_eq!(stored_texts(&*world.store, "s").await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn an_import_keeps_its_times_and_adds_nothing_twice() {
    let world = World::new().await;
    let imported = |n: u32| ImportedEvent {
        event: prompt(&n.to_string()).with_id(format!("import:{n}")),
        created_at: format!("2020-01-0{n}T00:00:00.000Z"),
    };
    let key = key("s");
    for _ in 0..2 {
        let receipt = world.log.import(&key, vec![imported(1), imported(2)]).await;
        assert_eq!(receipt.unwrap().sequence, 2);
    }
    let events = stored(&*world.store, "s").await;
    let times: Vec<_> = events
        .iter()
        .map(|event| event.created_at.as_str())
        .collect();
    assert_eq!(
        times,
        ["2020-01-01T00:00:00.000Z", "2020-01-02T00:00:00.000Z"]
    );
    assert_eq!(
        view(&world.log, "s").await,
        folded(&*world.store, "s").await
    );
}

#[tokio::test]
async fn a_session_is_created_with_the_callers_payload() {
    let world = World::new().await;
    let payload = json!({ "title": "Copied", "runtimePending": true, "origin": "import" });
    let payload = payload.as_object().cloned().unwrap();
    for _ in 0..2 {
        let created = world
            .log
            .create_session_with(new_session("copy"), payload.clone())
            .await;
        assert_eq!(created.unwrap().row.last_sequence, 1);
    }
    let first = stored(&*world.store, "copy").await.remove(0);
    assert_eq!(first.payload["origin"], "import");
}
