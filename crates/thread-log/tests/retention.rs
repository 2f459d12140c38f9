//! Whatever is pruned, the view is the fold of everything that was ever appended (04 §2.11).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use futures::StreamExt;
use open_cowork_contracts::{EventType, RuntimeEvent, Session, SessionEventRecord, View};
use open_cowork_projection::{PROJECTOR_VERSION, Projector};
use open_cowork_providers::memory::MemoryStore;
use open_cowork_providers::store::{Snapshot, SnapshotRule, Store, StoreError};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{LogError, ThreadLog, ThreadLogOptions, Update, WorkspaceUpdate};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use world::*;

/// A clock that the test moves.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// One of several processes over a store.
fn process(store: Arc<dyn Store>, hand: &Hand, snapshot_every: u64) -> ThreadLog {
    let hand = hand.clone();
    let never = Duration::from_secs(1 << 30);
    let options = ThreadLogOptions {
        clock: Arc::new(move || hand.now()),
        snapshot_every,
        shared: true,
        poll: never,
        poll_connected: never,
        ..ThreadLogOptions::default()
    };
    ThreadLog::new(store, options)
}

/// Everything that was ever appended.
#[derive(Default)]
struct Mirror(BTreeMap<u64, Arc<SessionEventRecord>>);

impl Mirror {
    async fn look(&mut self, store: &dyn Store) {
        for event in stored(store, "s").await {
            self.0.insert(event.sequence, event);
        }
    }

    async fn fold(&self, store: &dyn Store) -> View {
        let row = store.session(&key("s")).await.unwrap().unwrap().session;
        let start = Session {
            status: open_cowork_contracts::SessionStatus::Idle,
            updated_at: row.created_at.clone(),
            ..row
        };
        let mut projector = Projector::new(&start);
        for (expected, (sequence, event)) in (1..).zip(&self.0) {
            assert_eq!(*sequence, expected, "the mirror has seen all");
            projector.apply(&start, event);
        }
        projector.into_view()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// By one of two processes.
    Append(bool, Vec<RuntimeEvent>),
    /// What is older than so many seconds, in steps of so many events.
    Prune(bool, i64, u32),
    PruneWorkspace(i64),
    Restart(bool),
    Repair(bool),
    /// A snapshot that no reducer of ours made.
    Damage,
}

fn any_event() -> impl Strategy<Value = RuntimeEvent> {
    let id = prop_oneof![Just("a"), Just("b")];
    let kind = prop_oneof![
        4 => Just("assistant.message"),
        1 => Just("task.message"),
        1 => Just("tool.call"),
        1 => Just("task.run"),
        1 => Just("permission.requested"),
        1 => Just("permission.resolved"),
        1 => Just("session.status"),
        3 => Just("session.idle"),
        1 => Just("runtime.error"),
        2 => Just("cost.updated"),
        1 => Just("session.renamed"),
        1 => Just("prompt.submitted"),
        1 => Just("artifact.created"),
    ];
    (kind, id, "[a-z ]{0,8}", any::<bool>(), 0u32..30).prop_map(|(kind, id, text, flag, n)| {
        let payload = json!({
            "id": id, "messageId": id, "taskRunId": if flag { Some(id) } else { None },
            "content": text, "mode": if flag { "append" } else { "replace" }, "text": text, "title": text,
            "name": "bash", "status": if flag { "running" } else { "complete" }, "allowed": flag,
            "statusType": if flag { "busy" } else { "idle" }, "cost": f64::from(n) / 7.0, "message": text,
            "filename": text, "merge": flag,
        });
        let event = RuntimeEvent::new(EventType::parse(kind), payload);
        match n % 3 {
            // Comes again, perhaps after its first time was pruned.
            0 => {
                let id = format!("{kind}:{}", serde_json::to_string(&event.payload).unwrap());
                event.with_id(id)
            }
            _ => event,
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let by = any::<bool>;
    prop_oneof![
        8 => (by(), proptest::collection::vec(any_event(), 1..6)).prop_map(|(by, events)| Step::Append(by, events)),
        4 => (by(), 0i64..6, 1u32..12).prop_map(|(by, age, limit)| Step::Prune(by, age, limit)),
        1 => (0i64..6).prop_map(Step::PruneWorkspace),
        2 => by().prop_map(Step::Restart),
        1 => by().prop_map(Step::Repair),
        1 => Just(Step::Damage),
    ]
}

async fn whatever_happens_the_view_is_the_fold(
    store: Arc<dyn Store>,
    steps: Vec<Step>,
    every: u64,
) {
    store.create_session(new_session("s")).await.unwrap();
    let (hand, mut mirror) = (Hand::default(), Mirror::default());
    let start = || process(store.clone(), &hand, every);
    let mut processes = [start(), start()];
    let mut pruned = 0;
    for step in steps {
        hand.forward(1);
        match step {
            Step::Append(by, events) => {
                let log = &processes[usize::from(by)];
                log.append(&key("s"), events).await.unwrap();
            }
            Step::Prune(by, age, limit) => {
                let before = hand.now() - Duration::from_secs(age.unsigned_abs());
                let log = &processes[usize::from(by)];
                pruned += log.prune(&key("s"), before, limit).await.unwrap();
            }
            Step::PruneWorkspace(age) => {
                let before = hand.now() - Duration::from_secs(age.unsigned_abs());
                store.prune_workspaces(before, 5).await.unwrap();
            }
            Step::Restart(by) => {
                let log = &mut processes[usize::from(by)];
                log.close().await;
                *log = start();
            }
            Step::Repair(by) => {
                let report = processes[usize::from(by)].repair(&key("s")).await.unwrap();
                assert_eq!(report.base_sequence, pruned);
            }
            Step::Damage => {
                let garbage = Snapshot {
                    sequence: mirror.0.len() as u64 / 2,
                    projector_version: PROJECTOR_VERSION + 1,
                    view: "garbage".into(),
                    updated_at: String::new(),
                };
                let s = key("s");
                let written = store.write_snapshot(&s, garbage, SnapshotRule::Repair);
                written.await.unwrap();
            }
        }
        for log in &processes {
            log.flush(&key("s")).await.unwrap();
        }
        mirror.look(&*store).await;
        let expected = mirror.fold(&*store).await;
        for log in &processes {
            assert_eq!(view(log, "s").await, expected);
        }
        let stats = store.event_stats(&key("s")).await.unwrap();
        let all = mirror.0.len() as u64;
        assert_eq!((stats.count, stats.latest_sequence), (all - pruned, all));
        let workspace = store.workspace_cursor(&scope()).await.unwrap();
        assert_eq!(workspace.latest_sequence, all);
        let listed = store.list_workspace_events(&scope(), 0, 1000).await;
        let listed: Vec<u64> = listed.unwrap().iter().map(|e| e.sequence).collect();
        let first = workspace.earliest_sequence.unwrap_or(all + 1);
        assert_eq!(listed, (first..=all).collect::<Vec<_>>());
        assert!(first > pruned, "what is gone isn't replayed");
    }
    for log in processes {
        log.close().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_view_is_the_fold_of_all_that_was_appended(steps in proptest::collection::vec(any_step(), 1..30), every in 1u64..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(whatever_happens_the_view_is_the_fold(Arc::new(MemoryStore::new()), steps, every));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_on_a_database(steps in proptest::collection::vec(any_step(), 1..40), every in 1u64..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::in_memory(SqliteOptions::default()).await.unwrap();
            whatever_happens_the_view_is_the_fold(Arc::new(store), steps, every).await;
        });
    }
}

/// A store with the session `s`, its log, and a clock.
async fn fresh() -> (Arc<dyn Store>, ThreadLog, Hand) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    store.create_session(new_session("s")).await.unwrap();
    let hand = Hand::default();
    let log = process(store.clone(), &hand, 1 << 40);
    (store, log, hand)
}

/// Prompts of one second each.
async fn say(log: &ThreadLog, hand: &Hand, texts: std::ops::Range<u32>) {
    for n in texts {
        hand.forward(1);
        log.append(&key("s"), vec![prompt(&n.to_string())])
            .await
            .unwrap();
    }
}

async fn prune_all(log: &ThreadLog, hand: &Hand, limit: u32) -> u64 {
    hand.forward(1);
    log.prune(&key("s"), hand.now(), limit).await.unwrap()
}

#[tokio::test]
async fn a_cold_thread_is_loaded_from_its_base() {
    let (store, log, hand) = fresh().await;
    say(&log, &hand, 0..8).await;
    let before = view(&log, "s").await;
    assert_eq!(prune_all(&log, &hand, 5).await, 5);
    assert_eq!(store.snapshot(&key("s")).await, Ok(None));
    let cold = process(store.clone(), &hand, 1 << 40);
    assert_eq!(view(&cold, "s").await, before);
    // A snapshot from before the base is no beginning any more.
    let base = store.base(&key("s")).await.unwrap().unwrap();
    let old = Snapshot {
        sequence: 2,
        ..base.clone()
    };
    store
        .write_snapshot(&key("s"), old, SnapshotRule::Advance)
        .await
        .unwrap();
    for left in [3, 0] {
        assert_eq!(store.event_stats(&key("s")).await.unwrap().count, left);
        let cold = process(store.clone(), &hand, 1 << 40);
        assert_eq!(view(&cold, "s").await, before);
        let status = cold.status(&key("s")).await.unwrap();
        assert_eq!(
            (status.event_count, status.latest_event_sequence),
            (left, 8)
        );
        assert_eq!(status.base_sequence, 8 - left);
        assert_eq!(status.projection_sequence, 8 - left);
        assert_eq!(status.earliest_event_sequence, (left > 0).then_some(6));
        prune_all(&log, &hand, 5).await;
    }
}

#[tokio::test]
async fn a_base_of_another_reducer_is_taken_as_it_is() {
    let (store, log, hand) = fresh().await;
    say(&log, &hand, 0..4).await;
    let whole = view(&log, "s").await;
    hand.forward(1);
    let step = store.plan_prune(&key("s"), hand.now(), 3).await.unwrap();
    let of_another = |view: &View| Snapshot {
        sequence: 3,
        projector_version: PROJECTOR_VERSION + 7,
        view: serde_json::to_string(view).unwrap(),
        updated_at: view.updated_at.clone(),
    };
    let mut at_three = whole.clone();
    at_three.messages.pop();
    at_three.title = "as the other reducer saw it".into();
    let base = of_another(&at_three);
    store
        .prune_events(&key("s"), step.unwrap(), base)
        .await
        .unwrap();
    let cold = process(store.clone(), &hand, 1 << 40);
    let seen = view(&cold, "s").await;
    assert_eq!(seen.title, at_three.title);
    assert_eq!(seen.messages, whole.messages);
    let report = cold.repair(&key("s")).await.unwrap();
    assert_eq!((report.base_sequence, report.event_count), (3, 1));
    assert_eq!(view(&cold, "s").await, seen);
}

#[tokio::test]
async fn a_base_that_cannot_be_read_is_an_error_and_never_an_empty_view() {
    let (store, log, hand) = fresh().await;
    say(&log, &hand, 0..4).await;
    hand.forward(1);
    let step = store.plan_prune(&key("s"), hand.now(), 3).await.unwrap();
    let base = Snapshot {
        sequence: 3,
        projector_version: PROJECTOR_VERSION,
        view: "garbage".into(),
        updated_at: String::new(),
    };
    store
        .prune_events(&key("s"), step.unwrap(), base)
        .await
        .unwrap();
    let cold = process(store.clone(), &hand, 1 << 40);
    let error = cold.snapshot(&key("s")).await.unwrap_err();
    let LogError::Store(StoreError::Backend(text)) = error else {
        panic!("{error}");
    };
    assert!(text.contains("base of the log of t/s"), "{text}");
    assert!(log.prune(&key("s"), hand.now(), 3).await.is_err());
}

#[tokio::test]
async fn a_repair_folds_from_the_base_and_says_so() {
    let (store, log, hand) = fresh().await;
    say(&log, &hand, 0..6).await;
    let whole = view(&log, "s").await;
    prune_all(&log, &hand, 4).await;
    let damaged = Snapshot {
        sequence: 6,
        projector_version: PROJECTOR_VERSION,
        view: serde_json::to_string(&View::default()).unwrap(),
        updated_at: String::new(),
    };
    store
        .write_snapshot(&key("s"), damaged, SnapshotRule::Repair)
        .await
        .unwrap();
    let cold = process(store.clone(), &hand, 1 << 40);
    assert_ne!(view(&cold, "s").await, whole);
    let report = cold.repair(&key("s")).await.unwrap();
    assert!(report.repaired);
    assert_eq!((report.base_sequence, report.event_count), (4, 2));
    assert_eq!(report.latest_event_sequence, 6);
    assert_eq!(view(&cold, "s").await, whole);
    assert!(!cold.repair(&key("s")).await.unwrap().repaired);
}

#[tokio::test]
async fn a_process_that_slept_through_a_pruning_catches_up() {
    for limit in [7, 100] {
        let (store, log, hand) = fresh().await;
        let sleeper = process(store.clone(), &hand, 1 << 40);
        say(&log, &hand, 0..3).await;
        assert_eq!(view(&sleeper, "s").await.messages.len(), 3);
        let mut stream = sleeper.subscribe(&key("s"), 3).await.unwrap();
        say(&log, &hand, 3..10).await;
        prune_all(&log, &hand, limit).await;
        assert_eq!(view(&sleeper, "s").await, view(&log, "s").await);
        let Some(Update::Reset { sequence }) = stream.next().await else {
            panic!("events that are gone can't be streamed");
        };
        assert_eq!(sequence, 10);
        say(&log, &hand, 10..11).await;
        sleeper.refresh(&key("s")).await.unwrap();
        assert_eq!(next_events(&mut stream, 1).await[0].sequence, 11);
    }
}

/// What one plans, the other does in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_prune_at_once_do_it_once() {
    let (store, log, hand) = fresh().await;
    say(&log, &hand, 0..200).await;
    let whole = view(&log, "s").await;
    hand.forward(1);
    let prune = async |log: ThreadLog| {
        let mut pruned = 0;
        while store.event_stats(&key("s")).await.unwrap().count > 0 {
            pruned += log.prune(&key("s"), hand.now(), 3).await.unwrap();
        }
        pruned
    };
    let processes = (0..4).map(|_| process(store.clone(), &hand, 1 << 40));
    let pruning = futures::future::join_all(processes.map(prune));
    let pruned = tokio::time::timeout(Duration::from_secs(60), pruning).await;
    assert_eq!(pruned.unwrap().iter().sum::<u64>(), 200);
    let cold = process(store.clone(), &hand, 1 << 40);
    assert_eq!(view(&cold, "s").await, whole);
}

#[tokio::test]
async fn a_stream_before_the_beginning_is_told_once_and_goes_on() {
    let (_store, log, hand) = fresh().await;
    say(&log, &hand, 0..6).await;
    prune_all(&log, &hand, 4).await;
    let mut behind = log.subscribe(&key("s"), 1).await.unwrap();
    let mut workspace = log.subscribe_workspace(&scope(), 1);
    let mut at_the_edge = log.subscribe(&key("s"), 4).await.unwrap();
    assert_eq!(behind.next().await, Some(Update::Reset { sequence: 6 }));
    let reset = WorkspaceUpdate::Reset { sequence: 6 };
    assert_eq!(workspace.next().await, Some(reset));
    let edge = next_events(&mut at_the_edge, 2).await;
    assert_eq!((edge[0].sequence, edge[1].sequence), (5, 6));
    say(&log, &hand, 6..7).await;
    assert_eq!(next_events(&mut behind, 1).await[0].sequence, 7);
    let Some(WorkspaceUpdate::Event(event)) = workspace.next().await else {
        panic!("the stream goes on");
    };
    assert_eq!(event.sequence, 7);
}

#[tokio::test]
async fn what_recovery_brings_again_adds_nothing_after_its_events_are_pruned() {
    let (store, log, hand) = fresh().await;
    let cost = || {
        let payload = json!({ "id": "p1", "cost": 0.25, "tokens": { "input": 10 } });
        RuntimeEvent::new(EventType::CostUpdated, payload).with_id("opencode:ses:msg:prt:cost")
    };
    let submitted = || {
        let payload = json!({ "commandId": "c1", "messageId": "c1:user", "text": "hi" });
        RuntimeEvent::new(EventType::PromptSubmitted, payload)
            .with_id("s:command:c1:prompt-submitted")
    };
    let first = vec![submitted(), cost()];
    log.append(&key("s"), first).await.unwrap();
    let before = view(&log, "s").await;
    assert_eq!(prune_all(&log, &hand, 10).await, 2);
    for log in [&log, &process(store.clone(), &hand, 1)] {
        let again = log.append(&key("s"), vec![cost(), submitted()]).await;
        let again = again.unwrap();
        assert!(again.events.iter().all(|event| !event.created));
        assert_eq!(again.sequence, 2);
        assert_eq!(view(log, "s").await, before);
    }
    let stats = store.event_stats(&key("s")).await.unwrap();
    assert_eq!((stats.count, stats.latest_sequence), (0, 2));
}
