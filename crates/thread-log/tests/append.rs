//! What an append does, and what a failing store does to it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use open_cowork_contracts::SessionStatus;
use open_cowork_providers::store::{EventStore, SessionStore, StoreError};
use open_cowork_thread_log::{LogError, ThreadLog, ThreadLogOptions};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use world::*;

#[tokio::test(start_paused = true)]
async fn the_first_delta_is_stored_at_once_and_later_ones_at_the_end_of_the_window() {
    let (store, log) = world().await;
    let first = log
        .append(&key("s"), vec![delta("m", "Hel")])
        .await
        .unwrap();
    assert_eq!((first.sequence, first.durable), (1, true));
    for text in ["lo", ", ", "world"] {
        assert!(
            !log.append(&key("s"), vec![delta("m", text)])
                .await
                .unwrap()
                .durable
        );
    }
    assert_eq!(stored_texts(&*store, "s").await, ["Hel"]);
    tokio::time::sleep(Duration::from_millis(61)).await;
    assert_eq!(stored_texts(&*store, "s").await, ["Hel", "lo, world"]);
    assert_eq!(view(&log, "s").await.messages[0].content, "Hello, world");
}

#[tokio::test(start_paused = true)]
async fn a_boundary_stores_the_waiting_text_first_and_in_one_transaction() {
    let (store, log) = world().await;
    log.append(
        &key("s"),
        vec![delta("m", "a"), delta("m", "b"), delta("m", "c")],
    )
    .await
    .unwrap();
    let before = store.appends.load(Ordering::SeqCst);
    let receipt = log
        .append(&key("s"), vec![event("session.idle", json!({}))])
        .await
        .unwrap();
    assert_eq!(store.appends.load(Ordering::SeqCst) - before, 1);
    assert_eq!(
        stored_texts(&*store, "s").await,
        ["a", "bc", "session.idle"]
    );
    let texts: Vec<_> = receipt
        .events
        .iter()
        .map(|event| text_of(&event.record))
        .collect();
    assert_eq!(
        (texts, receipt.durable),
        (vec!["bc".into(), "session.idle".into()], true)
    );
}

#[tokio::test]
async fn a_batch_with_a_boundary_is_durable_as_a_whole() {
    let (store, log) = world().await;
    let batch = vec![
        prompt("hi"),
        delta("m", "a"),
        delta("m", "b"),
        delta("m", "c"),
        event("session.idle", json!({})),
    ];
    assert!(log.append(&key("s"), batch).await.unwrap().durable);
    assert_eq!(
        stored_texts(&*store, "s").await,
        ["hi", "a", "bc", "session.idle"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_answer_was_lost_is_stored_once() {
    let (store, log) = world().await;
    store.fail([
        Fault::After(unavailable()),
        Fault::Before(unavailable()),
        Fault::After(unavailable()),
    ]);
    let receipt = log
        .append(&key("s"), vec![prompt("one"), prompt("two")])
        .await
        .unwrap();
    assert_eq!(receipt.sequence, 2);
    assert_eq!(stored_texts(&*store, "s").await, ["one", "two"]);
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
    assert_eq!(view(&log, "s").await.messages.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn six_attempts_then_the_caller_hears_of_it() {
    let (store, log) = world().await;
    store.fail((0..6).map(|_| Fault::Before(unavailable())));
    let started = tokio::time::Instant::now();
    let error = log.append(&key("s"), vec![prompt("x")]).await.unwrap_err();
    assert_eq!(
        error,
        LogError::NotAppended {
            accepted: 0,
            source: unavailable()
        }
    );
    assert_eq!(store.appends.load(Ordering::SeqCst), 6);
    let waited = started.elapsed().as_millis();
    assert!(
        (1550..1600).contains(&waited),
        "50 + 100 + 200 + 400 + 800 ms, not {waited}"
    );
    log.append(&key("s"), vec![prompt("y")]).await.unwrap();
    assert_eq!(
        stored_texts(&*store, "s").await,
        ["y"],
        "a refused event doesn't come back"
    );
}

#[tokio::test]
async fn an_error_that_will_not_pass_is_not_retried() {
    let (store, log) = world().await;
    store.fail([Fault::Before(full())]);
    let error = log.append(&key("s"), vec![prompt("x")]).await.unwrap_err();
    assert_eq!(error.store_error(), Some(&full()));
    assert_eq!(store.appends.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn text_that_was_taken_over_survives_a_full_disk() {
    let (store, log) = world().await;
    log.append(&key("s"), vec![delta("m", "a")]).await.unwrap();
    log.append(&key("s"), vec![delta("m", "b")]).await.unwrap();
    store.fail([Fault::Before(full()), Fault::Before(full())]);
    tokio::time::sleep(Duration::from_millis(70)).await;
    let refused = log
        .append(&key("s"), vec![prompt("too early")])
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        LogError::NotAppended {
            accepted: 0,
            source: full()
        }
    );
    log.append(&key("s"), vec![prompt("later")]).await.unwrap();
    assert_eq!(stored_texts(&*store, "s").await, ["a", "b", "later"]);
}

#[tokio::test(start_paused = true)]
async fn text_that_was_taken_over_is_tried_again_without_a_further_append() {
    let (store, log) = world().await;
    store.fail([Fault::Before(full())]);
    let error = log
        .append(&key("s"), vec![delta("m", "a")])
        .await
        .unwrap_err();
    assert_eq!(
        error,
        LogError::NotAppended {
            accepted: 1,
            source: full()
        },
        "taken, but not stored yet"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(stored_texts(&*store, "s").await, ["a"]);
}

#[tokio::test]
async fn a_refused_boundary_takes_the_rest_of_its_batch_along_but_not_the_text_before_it() {
    let (store, log) = world().await;
    log.append(
        &key("s"),
        vec![event("cost.updated", json!({ "cost": 1 })).with_id("e")],
    )
    .await
    .unwrap();
    let reused = event("cost.updated", json!({ "cost": 2 })).with_id("e");
    let error = log
        .append(
            &key("s"),
            vec![delta("m", "a"), delta("m", "b"), reused, prompt("x")],
        )
        .await
        .unwrap_err();
    assert_eq!(
        error,
        LogError::NotAppended {
            accepted: 2,
            source: StoreError::EventIdReused("e".into())
        }
    );
    assert_eq!(stored_texts(&*store, "s").await, ["cost.updated", "a", "b"]);
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
}

#[tokio::test]
async fn one_reused_id_among_waiting_text_costs_only_that_text() {
    let (store, log) = world().await;
    log.append(&key("s"), vec![delta("m", "a").with_id("e")])
        .await
        .unwrap();
    log.flush(&key("s")).await.unwrap();
    let error = log
        .append(
            &key("s"),
            vec![delta("n", "b").with_id("e"), delta("o", "c")],
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.store_error(),
        Some(&StoreError::EventIdReused("e".into()))
    );
    assert_eq!(stored_texts(&*store, "s").await, ["a", "c"]);
}

#[tokio::test]
async fn the_same_event_id_twice_is_one_event() {
    let (store, log) = world().await;
    let tool = event(
        "tool.call",
        json!({ "id": "c", "name": "read", "status": "complete" }),
    )
    .with_id("tool:c");
    assert!(
        log.append(&key("s"), vec![tool.clone()])
            .await
            .unwrap()
            .events[0]
            .created
    );
    let again = log.append(&key("s"), vec![tool]).await.unwrap();
    assert!(!again.events[0].created);
    assert_eq!(again.sequence, 1);
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appenders_each_keep_their_order() {
    let (store, log) = world().await;
    store.create_session(new_session("other")).await.unwrap();
    let appenders = (0..8).map(|appender| {
        let log = log.clone();
        tokio::spawn(async move {
            let session = if appender % 2 == 0 { "s" } else { "other" };
            for n in 0..50 {
                log.append(&key(session), vec![prompt(&format!("{appender} {n}"))])
                    .await
                    .unwrap();
            }
        })
    });
    for appender in futures::future::join_all(appenders).await {
        appender.unwrap();
    }
    for session in ["s", "other"] {
        let events = stored(&*store, session).await;
        assert!(events.iter().map(|event| event.sequence).eq(1..=200));
        for appender in 0..8 {
            let prefix = format!("{appender} ");
            let own: Vec<String> = events
                .iter()
                .filter_map(|e| text_of(e).strip_prefix(&prefix).map(str::to_owned))
                .collect();
            let expected = if (appender % 2 == 0) == (session == "s") {
                50
            } else {
                0
            };
            assert_eq!(
                own,
                (0..expected).map(|n| n.to_string()).collect::<Vec<_>>()
            );
        }
        assert_eq!(view(&log, session).await, folded(&*store, session).await);
    }
}

#[tokio::test]
async fn an_append_of_another_process_in_between_is_folded_too() {
    let (store, log) = world().await;
    let second = ThreadLog::new(store.clone(), ThreadLogOptions::default());
    log.append(&key("s"), vec![prompt("1")]).await.unwrap();
    second.append(&key("s"), vec![prompt("2")]).await.unwrap();
    log.append(&key("s"), vec![prompt("3")]).await.unwrap();
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
    assert_eq!(second.refresh(&key("s")).await.unwrap(), 3);
    assert_eq!(view(&second, "s").await, folded(&*store, "s").await);
}

#[tokio::test]
async fn secrets_never_reach_the_store() {
    let (store, log) = world().await;
    let secret = format!("hf_{}", "aB3".repeat(10));
    let call = event(
        "tool.call",
        json!({ "id": "c", "name": "bash", "output": format!("key {secret}") }),
    );
    log.append(&key("s"), vec![call]).await.unwrap();
    let stored = serde_json::to_string(&*stored(&*store, "s").await[0]).unwrap();
    assert!(
        !stored.contains(&secret) && stored.contains("[REDACTED_TOKEN]"),
        "{stored}"
    );
}

#[tokio::test]
async fn an_unknown_session_is_not_found_and_costs_nothing() {
    let (_store, log) = world().await;
    let unknown = LogError::Store(StoreError::NotFound("nobody".into()));
    assert_eq!(
        log.append(&key("nobody"), vec![prompt("x")])
            .await
            .unwrap_err(),
        unknown
    );
    assert_eq!(log.read(&key("nobody"), |_| ()).await.unwrap_err(), unknown);
    assert_eq!(log.subscribe(&key("nobody"), 0).await.unwrap_err(), unknown);
}

#[tokio::test]
async fn creating_a_session_makes_its_first_event_once_even_after_a_crash_between_the_two() {
    let (store, log) = world().await;
    let created = log.create_session(new_session("n")).await.unwrap();
    assert!(created.created);
    assert_eq!(created.row.last_sequence, 1);
    log.append(
        &key("n"),
        vec![event("session.renamed", json!({ "title": "Trip" }))],
    )
    .await
    .unwrap();
    let again = log.create_session(new_session("n")).await.unwrap();
    assert_eq!(
        (again.created, again.row.session.title.as_deref()),
        (false, Some("Trip"))
    );
    assert_eq!(
        stored_texts(&*store, "n").await,
        ["session.created", "session.renamed"]
    );
    // `s` has a row and no event, as after a crash.
    let healed = log.create_session(new_session("s")).await.unwrap();
    assert_eq!((healed.created, healed.row.last_sequence), (false, 1));
    let first = &stored(&*store, "s").await[0];
    assert_eq!(
        serde_json::to_value(&first.payload).unwrap(),
        json!({ "title": "New session", "runtimePending": true })
    );
}

#[tokio::test]
async fn the_row_in_memory_follows_the_stored_one() {
    let (store, log) = world().await;
    log.append(
        &key("s"),
        vec![event("session.status", json!({ "statusType": "busy" }))],
    )
    .await
    .unwrap();
    log.bind_runtime(&key("s"), &"ses_1".into()).await.unwrap();
    let row = log
        .read(&key("s"), |state| state.row.clone())
        .await
        .unwrap();
    assert_eq!(row.session.status, SessionStatus::Running);
    assert_eq!(row.session.opencode_session_id.as_str(), "ses_1");
    assert_eq!(Some(row), store.session(&key("s")).await.unwrap());
    log.set_status(&key("s"), SessionStatus::Closed)
        .await
        .unwrap();
    assert_eq!(
        log.snapshot(&key("s")).await.unwrap().session.status,
        SessionStatus::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn closing_stores_what_waits_and_refuses_the_rest() {
    let (store, log) = world().await;
    log.append(&key("s"), vec![delta("m", "a"), delta("m", "b")])
        .await
        .unwrap();
    log.close().await;
    assert_eq!(stored_texts(&*store, "s").await, ["a", "b"]);
    assert_eq!(
        log.append(&key("s"), vec![prompt("x")]).await.unwrap_err(),
        LogError::Closed
    );
    assert_eq!(
        log.read(&key("s"), |_| ()).await.unwrap_err(),
        LogError::Closed
    );
}

#[tokio::test]
async fn flushing_all_threads_makes_their_text_durable() {
    let (store, log) = world().await;
    store.create_session(new_session("other")).await.unwrap();
    for session in ["s", "other"] {
        log.append(&key(session), vec![delta("m", "a"), delta("m", "b")])
            .await
            .unwrap();
    }
    log.flush_all().await.unwrap();
    for session in ["s", "other"] {
        assert_eq!(store.event_stats(&key(session)).await.unwrap().count, 2);
    }
    let _: Arc<FaultyStore> = store;
}

#[tokio::test]
async fn a_long_final_answer_is_not_cut() {
    let (store, log) = world().await;
    let answer = "line of a long answer\n".repeat(20_000);
    let payload = json!({ "messageId": "m", "content": answer, "mode": "replace" });
    let replace = event("assistant.message", payload).with_id("final");
    log.append(&key("s"), vec![delta("m", "line"), replace.clone()])
        .await
        .unwrap();
    assert!(view(&log, "s").await.messages[0].content == answer);
    let stored = stored(&*store, "s").await.len();
    log.append(&key("s"), vec![replace]).await.unwrap();
    assert_eq!(
        store.event_stats(&key("s")).await.unwrap().count,
        stored as u64,
        "replayed piece by piece"
    );
}
