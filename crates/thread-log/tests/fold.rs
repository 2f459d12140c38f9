//! The view in memory is always the fold of the log: after restarts, from snapshots, after repairs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use open_cowork_contracts::{EventType, RuntimeEvent};
use open_cowork_projection::PROJECTOR_VERSION;
use open_cowork_providers::memory::MemoryStore;
use open_cowork_providers::store::{SessionStore, Snapshot, SnapshotRule, SnapshotStore, Store};
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use world::*;

fn options(snapshot_every: u64) -> ThreadLogOptions {
    ThreadLogOptions {
        snapshot_every,
        ..Default::default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<RuntimeEvent>),
    Flush,
    Restart,
    Repair,
}

fn any_event() -> impl Strategy<Value = RuntimeEvent> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c")];
    let kind = prop_oneof![
        Just("assistant.message"),
        Just("task.message"),
        Just("tool.call"),
        Just("task.run"),
        Just("permission.requested"),
        Just("permission.resolved"),
        Just("question.asked"),
        Just("question.resolved"),
        Just("session.status"),
        Just("session.idle"),
        Just("session.aborted"),
        Just("runtime.error"),
        Just("cost.updated"),
        Just("todos.updated"),
        Just("session.renamed"),
        Just("prompt.submitted"),
    ];
    (kind, id, "[a-z ]{0,8}", any::<bool>(), any::<bool>(), 0u32..1000).prop_map(|(kind, id, text, flag, named, n)| {
        let payload = json!({
            "id": if named { id } else { "" }, "messageId": id, "taskRunId": if flag { Some(id) } else { None },
            "content": text, "mode": if flag { "append" } else { "replace" }, "text": text, "title": text,
            "name": "bash", "status": if flag { "running" } else { "complete" }, "allowed": flag,
            "statusType": if flag { "busy" } else { "idle" }, "cost": f64::from(n) / 7.0, "message": text,
            "questions": [{ "question": "which?" }], "todos": [{ "content": text }], "merge": named,
        });
        let event = RuntimeEvent::new(EventType::parse(kind), payload);
        match n % 5 {
            0 => { let id = format!("{kind}:{}", serde_json::to_string(&event.payload).unwrap()); event.with_id(id) }
            _ => event,
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(any_event(), 1..6).prop_map(Step::Append),
        1 => Just(Step::Flush),
        2 => Just(Step::Restart),
        1 => Just(Step::Repair),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_view_is_the_fold_of_the_log_through_any_restarts(steps in proptest::collection::vec(any_step(), 1..25), every in 1u64..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            store.create_session(new_session("s")).await.unwrap();
            let mut log = ThreadLog::new(store.clone(), options(every));
            for step in steps {
                match step {
                    Step::Append(events) => drop(log.append(&key("s"), events).await.unwrap()),
                    Step::Flush => drop(log.flush(&key("s")).await.unwrap()),
                    Step::Restart => {
                        log.close().await;
                        log = ThreadLog::new(store.clone(), options(every));
                    }
                    Step::Repair => drop(log.repair(&key("s")).await.unwrap()),
                }
                let view = view(&log, "s").await;
                assert_eq!(view, folded(&*store, "s").await);
                let waiting = log.pending_counts(&key("s")).await.unwrap() as usize;
                assert_eq!(waiting, view.pending_approvals.len() + view.pending_questions.len());
                if let Some(snapshot) = store.snapshot(&key("s")).await.unwrap() {
                    assert_eq!(snapshot.projector_version, PROJECTOR_VERSION);
                    assert!(snapshot.sequence <= log.read(&key("s"), |state| state.sequence).await.unwrap());
                }
            }
        });
    }
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("threads.db");
    let before = {
        let store: Arc<dyn Store> = Arc::new(
            SqliteStore::open(&path, SqliteOptions::default())
                .await
                .unwrap(),
        );
        let log = ThreadLog::new(store, options(4));
        log.create_session(new_session("s")).await.unwrap();
        for n in 0..10 {
            log.append(
                &key("s"),
                vec![
                    prompt(&n.to_string()),
                    delta(&format!("m{n}"), "a"),
                    delta(&format!("m{n}"), "b"),
                ],
            )
            .await
            .unwrap();
        }
        let before = view(&log, "s").await;
        // No close: the log, its tasks and the store are simply forgotten.
        std::mem::forget(log);
        before
    };
    let store: Arc<dyn Store> = Arc::new(
        SqliteStore::open(&path, SqliteOptions::default())
            .await
            .unwrap(),
    );
    let log = ThreadLog::new(store.clone(), options(4));
    assert_eq!(view(&log, "s").await, before);
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
}

#[tokio::test]
async fn a_cold_thread_folds_only_what_came_after_its_snapshot() {
    let store = FaultyStore::new();
    store.create_session(new_session("s")).await.unwrap();
    let log = ThreadLog::new(store.clone(), options(100));
    log.append(
        &key("s"),
        (0..2500).map(|n| prompt(&n.to_string())).collect(),
    )
    .await
    .unwrap();
    log.append(&key("s"), vec![prompt("last")]).await.unwrap();
    log.close().await;
    assert_eq!(
        store.snapshot(&key("s")).await.unwrap().unwrap().sequence,
        2500
    );
    let before = store.event_reads.load(Ordering::SeqCst);
    let log = ThreadLog::new(store.clone(), options(100));
    assert_eq!(
        log.read(&key("s"), |state| state.sequence).await.unwrap(),
        2501
    );
    assert_eq!(
        store.event_reads.load(Ordering::SeqCst) - before,
        2,
        "one page and its end, not three"
    );
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
}

async fn with_snapshot(snapshot: Snapshot) -> (Arc<FaultyStore>, ThreadLog) {
    let (store, log) = world().await;
    log.append(&key("s"), vec![prompt("a"), prompt("b")])
        .await
        .unwrap();
    log.close().await;
    store
        .write_snapshot(&key("s"), snapshot, SnapshotRule::Repair)
        .await
        .unwrap();
    let log = ThreadLog::new(store.clone(), ThreadLogOptions::default());
    (store, log)
}

fn damaged(view: &str, projector_version: u32, sequence: u64) -> Snapshot {
    Snapshot {
        sequence,
        projector_version,
        view: view.into(),
        updated_at: String::new(),
    }
}

#[tokio::test]
async fn a_snapshot_of_another_reducer_or_unreadable_or_ahead_of_the_log_is_not_believed() {
    let empty = serde_json::to_string(&open_cowork_contracts::View::default()).unwrap();
    for snapshot in [
        damaged(&empty, PROJECTOR_VERSION + 1, 2),
        damaged("{ not json", PROJECTOR_VERSION, 2),
        damaged(&empty, PROJECTOR_VERSION, 7),
    ] {
        let (store, log) = with_snapshot(snapshot.clone()).await;
        assert_eq!(
            view(&log, "s").await,
            folded(&*store, "s").await,
            "{snapshot:?}"
        );
    }
}

#[tokio::test]
async fn a_repair_mends_a_wrong_view_of_the_same_sequence_and_does_nothing_twice() {
    let wrong = serde_json::to_string(&open_cowork_contracts::View::default()).unwrap();
    let (store, log) = with_snapshot(damaged(&wrong, PROJECTOR_VERSION, 2)).await;
    assert_ne!(
        view(&log, "s").await,
        folded(&*store, "s").await,
        "a stored view is trusted verbatim"
    );
    let report = log.repair(&key("s")).await.unwrap();
    assert!(report.repaired);
    assert_eq!(
        (
            report.event_count,
            report.prior_projection_sequence,
            report.projection_sequence,
            report.lag
        ),
        (2, 2, 2, 0)
    );
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
    assert!(!log.repair(&key("s")).await.unwrap().repaired);
    let status = log.status(&key("s")).await.unwrap();
    assert_eq!(
        (status.event_count, status.projection_sequence, status.lag),
        (2, 2, 0)
    );
}

#[tokio::test]
async fn a_repair_of_an_empty_log_is_all_zeros() {
    let (_store, log) = world().await;
    let report = log.repair(&key("s")).await.unwrap();
    assert_eq!(
        (
            report.repaired,
            report.event_count,
            report.projection_sequence
        ),
        (false, 0, 0)
    );
    assert_eq!(log.snapshot(&key("s")).await.unwrap().projection, None);
}

#[tokio::test]
async fn the_bounds_of_the_cache_hold_and_cost_no_data() {
    let store = FaultyStore::new();
    let log = ThreadLog::new(
        store.clone(),
        ThreadLogOptions {
            max_threads: 3,
            ..options(1)
        },
    );
    for n in 0..20 {
        let session = format!("s{n}");
        log.create_session(new_session(&session)).await.unwrap();
        log.append(&key(&session), vec![delta("m", "a"), delta("m", "b")])
            .await
            .unwrap();
    }
    for n in 0..20 {
        let session = format!("s{n}");
        log.flush(&key(&session)).await.unwrap();
        assert_eq!(view(&log, &session).await.messages[0].content, "ab");
        assert_eq!(view(&log, &session).await, folded(&*store, &session).await);
    }
    let debug = format!("{log:?}");
    let threads: usize = debug
        .chars()
        .filter(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .unwrap();
    assert!(threads <= 5, "{debug}");
}
