//! What a scheduler forgets of threads, and what not (04 §2.11, §3.5).

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use open_cowork_cloud_worker::{Retention, Scheduler, SchedulerOptions, SchedulerParts};
use open_cowork_contracts::{EventType, RuntimeEvent, View};
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::bus::LocalBus;
use open_cowork_providers::store::{ControlPlane, NewSession, Scope, SessionKey, Snapshot};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName, SqliteOptions, SqliteStore};
use open_cowork_testkit::postgres::Postgres;
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store, its log, and the time.
struct World {
    store: Arc<dyn ControlPlane>,
    log: ThreadLog,
    hour: Arc<AtomicI64>,
}

impl World {
    fn over(store: Arc<impl ControlPlane>) -> World {
        let hour: Arc<AtomicI64> = Arc::default();
        let clock = clock(&hour);
        let options = ThreadLogOptions {
            clock,
            ..ThreadLogOptions::default()
        };
        World {
            log: ThreadLog::new(store.clone(), options),
            store,
            hour,
        }
    }

    async fn sqlite() -> World {
        let store = SqliteStore::in_memory(SqliteOptions::default()).await;
        World::over(Arc::new(store.unwrap()))
    }

    /// A thread of that many quiet prompts, one per hour.
    async fn thread(&self, session: &str, prompts: u32) -> SessionKey {
        let new = NewSession {
            tenant_id: "t".into(),
            user_id: "u".into(),
            session_id: session.into(),
            profile_name: "default".into(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            ..NewSession::default()
        };
        self.store.create_session(new).await.unwrap();
        let key = SessionKey::new("t", session);
        self.say(&key, prompts).await;
        key
    }

    async fn say(&self, key: &SessionKey, prompts: u32) {
        for n in 0..prompts {
            self.hour.fetch_add(1, Ordering::SeqCst);
            let prompt =
                RuntimeEvent::new(EventType::PromptSubmitted, json!({ "text": n.to_string() }));
            self.log.append(key, vec![prompt]).await.unwrap();
        }
    }

    /// A scheduler that keeps the events of threads for a day.
    fn scheduler(&self, batches: (u32, u32)) -> Scheduler {
        let keeps = Retention {
            session_events: Some(DAY),
            ..Retention::default()
        };
        self.scheduler_that(keeps, batches)
    }

    fn scheduler_that(&self, keeps: Retention, batches: (u32, u32)) -> Scheduler {
        let parts = SchedulerParts {
            store: self.store.clone(),
            log: self.log.clone(),
            bus: Arc::new(LocalBus::default()),
            redactor: Arc::new(Redactor::default()),
            clock: clock(&self.hour),
        };
        let mut options = SchedulerOptions::new("scheduler");
        options.retention = keeps;
        options.retention_batches = batches;
        options.retention_interval = Duration::ZERO;
        Scheduler::idle(parts, options)
    }

    async fn kept(&self, key: &SessionKey) -> u64 {
        self.store.event_stats(key).await.unwrap().count
    }

    async fn view(&self, key: &SessionKey) -> View {
        self.log
            .read(key, |state| state.view.clone())
            .await
            .unwrap()
    }
}

fn clock(hour: &Arc<AtomicI64>) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let hour = hour.clone();
    Arc::new(move || {
        Timestamp::from_second(1_800_000_000 + 3600 * hour.load(Ordering::SeqCst)).unwrap()
    })
}

#[tokio::test]
async fn a_round_removes_what_is_older_than_the_window_and_views_stay() {
    let world = World::sqlite().await;
    let old = world.thread("old", 10).await;
    let young = world.thread("young", 5).await;
    let views = (world.view(&old).await, world.view(&young).await);
    let scheduler = world.scheduler((500, 20));
    assert_eq!(scheduler.tick().await.pruned, 0);
    world.hour.fetch_add(21, Ordering::SeqCst);
    let report = scheduler.tick().await;
    assert_eq!((report.pruned, report.failed), (12 - 1, vec![]));
    assert_eq!((world.kept(&old).await, world.kept(&young).await), (0, 4));
    assert_eq!((world.view(&old).await, world.view(&young).await), views);
    assert_eq!(scheduler.tick().await.pruned, 0, "nothing happens twice");
    // A thread goes on after all of it was removed.
    world.say(&old, 1).await;
    assert_eq!(world.view(&old).await.messages.len(), 11);
}

#[tokio::test]
async fn a_round_is_bounded_and_the_next_goes_on() {
    let world = World::sqlite().await;
    let mut keys = Vec::new();
    for n in 0..6 {
        keys.push(world.thread(&format!("s{n}"), 5).await);
    }
    world.hour.fetch_add(100, Ordering::SeqCst);
    let scheduler = world.scheduler((4, 3));
    for expected in [12, 12, 6, 0] {
        assert_eq!(scheduler.tick().await.pruned, expected);
    }
    for key in &keys {
        assert_eq!(world.kept(key).await, 0);
        assert_eq!(world.view(key).await.messages.len(), 5);
    }
}

#[tokio::test]
async fn a_thread_that_cannot_be_pruned_holds_up_nobody() {
    let world = World::sqlite().await;
    let broken = world.thread("a-broken", 4).await;
    let other = world.thread("b", 4).await;
    world.hour.fetch_add(100, Ordering::SeqCst);
    let before = clock(&world.hour)();
    let step = world.store.plan_prune(&broken, before, 2).await.unwrap();
    let step = step.unwrap();
    let base = Snapshot {
        sequence: step.through,
        projector_version: 1,
        view: "garbage".into(),
        updated_at: String::new(),
    };
    world.store.prune_events(&broken, step, base).await.unwrap();
    let report = world.scheduler((500, 20)).tick().await;
    assert_eq!((report.pruned, report.failed), (4, vec![]));
    assert_eq!(
        (world.kept(&broken).await, world.kept(&other).await),
        (2, 0)
    );
}

#[tokio::test]
async fn the_workspace_window_alone_removes_no_event() {
    let world = World::sqlite().await;
    let key = world.thread("s", 6).await;
    world.hour.fetch_add(100, Ordering::SeqCst);
    let keeps = Retention {
        workspace_events: Some(DAY),
        ..Retention::default()
    };
    let scheduler = world.scheduler_that(keeps, (2, 2));
    assert_eq!(scheduler.tick().await.pruned, 4);
    assert_eq!(scheduler.tick().await.pruned, 2);
    let cursor = world
        .store
        .workspace_cursor(&Scope::new("t", "u"))
        .await
        .unwrap();
    assert_eq!(
        (cursor.earliest_sequence, cursor.latest_sequence),
        (None, 6)
    );
    assert_eq!(world.kept(&key).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_at_once_prune_once_while_threads_go_on() {
    let server = Postgres::shared().await.unwrap();
    let options = PostgresOptions {
        schema: SchemaName::parse("retention").unwrap(),
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&server.url().into(), options).await;
    let world = World::over(Arc::new(store.unwrap()));
    let mut keys = Vec::new();
    for n in 0..4 {
        keys.push(world.thread(&format!("s{n}"), 30).await);
    }
    world.hour.fetch_add(200, Ordering::SeqCst);
    let (one, other) = (world.scheduler((7, 100)), world.scheduler((7, 100)));
    let writing = async {
        for key in &keys {
            world.say(key, 5).await;
        }
    };
    let all = futures::future::join3(one.tick(), other.tick(), writing);
    let (one, other, ()) = Box::pin(all).await;
    assert_eq!((one.failed, other.failed), (vec![], vec![]));
    assert!(one.pruned + other.pruned <= 4 * 30);
    let last = world.scheduler((7, 100)).tick().await;
    assert_eq!(one.pruned + other.pruned + last.pruned, 4 * 30);
    for key in &keys {
        assert_eq!(world.kept(key).await, 5);
        let fresh = ThreadLog::new(world.store.clone(), ThreadLogOptions::default());
        let cold = fresh.read(key, |state| state.view.clone()).await.unwrap();
        assert_eq!(cold, world.view(key).await);
        assert_eq!(cold.messages.len(), 35);
        fresh.close().await;
    }
}
