//! Resumable streams: from any cursor, in order, no gap, no duplicate, whatever the speed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use futures::{FutureExt, StreamExt};
use open_cowork_providers::store::SessionStore;
use open_cowork_thread_log::{SessionChange, ThreadLog, ThreadLogOptions, Update, WorkspaceUpdate};
use serde_json::json;
use std::sync::atomic::Ordering;
use world::*;

fn sequences(events: &[std::sync::Arc<open_cowork_contracts::SessionEventRecord>]) -> Vec<u64> {
    events.iter().map(|event| event.sequence).collect()
}

#[tokio::test]
async fn a_stream_gives_the_backlog_and_then_what_comes() {
    let (_store, log) = world().await;
    for n in 0..3 {
        log.append(&key("s"), vec![prompt(&n.to_string())])
            .await
            .unwrap();
    }
    let mut stream = log.subscribe(&key("s"), 1).await.unwrap();
    assert_eq!(sequences(&next_events(&mut stream, 2).await), [2, 3]);
    assert!(stream.next().now_or_never().is_none(), "nothing new yet");
    log.append(&key("s"), vec![prompt("live"), prompt("too")])
        .await
        .unwrap();
    assert_eq!(sequences(&next_events(&mut stream, 2).await), [4, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_from_every_cursor_agree_while_others_append() {
    const EVENTS: u64 = 300;
    let (_store, log) = world().await;
    let writer = {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..EVENTS {
                log.append(&key("s"), vec![prompt(&n.to_string())])
                    .await
                    .unwrap();
            }
        })
    };
    let readers = (0..6).map(|reader| {
        let log = log.clone();
        tokio::spawn(async move {
            // Reconnects every few events, as a client with a bad line would.
            let mut cursor = 0;
            while cursor < EVENTS {
                let mut stream = log.subscribe(&key("s"), cursor).await.unwrap();
                let count = (reader * 7 + 1).min(EVENTS - cursor);
                let events = next_events(&mut stream, count as usize).await;
                assert_eq!(
                    sequences(&events),
                    (cursor + 1..=cursor + count).collect::<Vec<_>>()
                );
                let folded = log.read(&key("s"), |state| state.sequence).await.unwrap();
                assert!(
                    folded >= cursor + count,
                    "an event is folded before it is shown"
                );
                cursor += count;
            }
        })
    });
    for reader in futures::future::join_all(readers).await {
        reader.unwrap();
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_subscriber_that_keeps_up_never_reads_the_store() {
    let (store, log) = world().await;
    log.append(&key("s"), vec![prompt("0")]).await.unwrap();
    let mut stream = log.subscribe(&key("s"), 1).await.unwrap();
    let before = store.event_reads.load(Ordering::SeqCst);
    for n in 2..50 {
        log.append(&key("s"), vec![prompt("x")]).await.unwrap();
        assert_eq!(sequences(&next_events(&mut stream, 1).await), [n]);
    }
    assert_eq!(store.event_reads.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn a_slow_subscriber_is_served_from_the_store_and_loses_nothing() {
    let store = FaultyStore::new();
    store.create_session(new_session("s")).await.unwrap();
    let log = ThreadLog::new(
        store.clone(),
        ThreadLogOptions {
            live_bytes: 300,
            ..Default::default()
        },
    );
    log.append(&key("s"), vec![prompt("0")]).await.unwrap();
    let mut slow = log.subscribe(&key("s"), 0).await.unwrap();
    assert_eq!(sequences(&next_events(&mut slow, 1).await), [1]);
    for _ in 0..2500 {
        log.append(&key("s"), vec![prompt("x")]).await.unwrap();
    }
    let before = store.event_reads.load(Ordering::SeqCst);
    assert_eq!(
        sequences(&next_events(&mut slow, 2500).await),
        (2..=2501).collect::<Vec<_>>()
    );
    assert_eq!(
        store.event_reads.load(Ordering::SeqCst) - before,
        3,
        "pages of 1000"
    );
}

#[tokio::test]
async fn a_cursor_ahead_of_the_log_is_reset() {
    let (_store, log) = world().await;
    log.append(&key("s"), vec![prompt("0")]).await.unwrap();
    let mut stream = log.subscribe(&key("s"), 9).await.unwrap();
    assert_eq!(stream.next().await, Some(Update::Reset { sequence: 1 }));
    log.append(&key("s"), vec![prompt("1")]).await.unwrap();
    assert_eq!(sequences(&next_events(&mut stream, 1).await), [2]);
}

#[tokio::test]
async fn a_stream_outlives_the_eviction_of_its_thread() {
    let store = FaultyStore::new();
    for session in ["s", "a", "b", "c"] {
        store.create_session(new_session(session)).await.unwrap();
    }
    let log = ThreadLog::new(
        store.clone(),
        ThreadLogOptions {
            max_threads: 1,
            ..Default::default()
        },
    );
    log.append(&key("s"), vec![prompt("0")]).await.unwrap();
    let mut stream = log.subscribe(&key("s"), 1).await.unwrap();
    for session in ["a", "b", "c", "a", "b", "c"] {
        log.append(&key(session), vec![prompt("x")]).await.unwrap();
    }
    log.append(&key("s"), vec![prompt("1")]).await.unwrap();
    assert_eq!(sequences(&next_events(&mut stream, 1).await), [2]);
    assert_eq!(view(&log, "s").await, folded(&*store, "s").await);
}

#[tokio::test]
async fn streams_end_when_the_log_closes() {
    let (_store, log) = world().await;
    let mut thread = log.subscribe(&key("s"), 0).await.unwrap();
    let mut workspace = log.subscribe_workspace(&scope(), 0);
    let mut sessions = log.subscribe_sessions(&scope());
    log.close().await;
    assert_eq!(thread.next().await, None);
    assert_eq!(workspace.next().await, None);
    assert_eq!(sessions.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_stream_has_every_event_of_every_thread_once_and_in_order() {
    let (store, log) = world().await;
    for session in ["a", "b", "c"] {
        store.create_session(new_session(session)).await.unwrap();
    }
    let appenders = ["a", "b", "c"].map(|session| {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                log.append(&key(session), vec![prompt(&n.to_string())])
                    .await
                    .unwrap();
            }
        })
    });
    let mut seen = 0;
    while seen < 300 {
        let mut stream = log.subscribe_workspace(&scope(), seen);
        for _ in 0..37.min(300 - seen) {
            let Some(WorkspaceUpdate::Event(event)) = stream.next().await else {
                panic!("an event")
            };
            seen += 1;
            assert_eq!(event.sequence, seen);
        }
    }
    for appender in appenders {
        appender.await.unwrap();
    }
    let mut ahead = log.subscribe_workspace(&scope(), 301);
    assert_eq!(
        ahead.next().await,
        Some(WorkspaceUpdate::Reset { sequence: 300 })
    );
}

#[tokio::test]
async fn the_thread_list_hears_of_title_status_and_asks_but_not_of_text() {
    let (_store, log) = world().await;
    let mut list = log.subscribe_sessions(&scope());
    let mut shown = Vec::new();
    for event in [
        event("session.created", json!({ "title": "T" })),
        delta("m", "text"),
        event("session.renamed", json!({ "title": "Trip" })),
        event("tool.call", json!({ "id": "c", "name": "bash" })),
        event("session.status", json!({ "statusType": "busy" })),
        event("permission.requested", json!({ "id": "p", "tool": "bash" })),
        event("permission.requested", json!({ "id": "p", "tool": "bash" })),
        event("permission.resolved", json!({ "id": "p", "allowed": true })),
        event("session.idle", json!({})),
    ] {
        log.append(&key("s"), vec![event]).await.unwrap();
        while let Some(Some(change)) = list.next().now_or_never() {
            let SessionChange::Row(row) = change else {
                panic!("no lag here")
            };
            shown.push((
                row.session.title.clone().unwrap_or_default(),
                row.session.status.as_str(),
                row.waiting,
            ));
        }
    }
    let expected = [
        ("", "idle", 0),
        ("Trip", "idle", 0),
        ("Trip", "running", 0),
        ("Trip", "running", 1),
        ("Trip", "running", 0),
        ("Trip", "idle", 0),
    ];
    assert_eq!(
        shown,
        expected.map(|(title, status, waiting)| (title.to_owned(), status, waiting))
    );
}

#[tokio::test]
async fn a_thread_list_that_lags_is_told_to_read_again() {
    let (_store, log) = world().await;
    let mut list = log.subscribe_sessions(&scope());
    for n in 0..300 {
        log.append(
            &key("s"),
            vec![event("session.renamed", json!({ "title": n.to_string() }))],
        )
        .await
        .unwrap();
    }
    assert_eq!(list.next().await, Some(SessionChange::Resync));
    assert!(matches!(list.next().await, Some(SessionChange::Row(_))));
}
