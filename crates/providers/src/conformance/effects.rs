//! Cases about what an event does to its session's row (01 §3.3, decisions 3 and 6).

use super::{T0, append, create, event, idle, key, text, with_id};
use crate::store::{NewEvent, Store};
use open_cowork_contracts::{EventType, SessionStatus};
use serde_json::{Value, json};
use std::sync::Arc;

async fn status(store: &Arc<dyn Store>, session: &str) -> SessionStatus {
    store
        .session(&key(session))
        .await
        .unwrap()
        .unwrap()
        .session
        .status
}

fn session_status(name: &str) -> NewEvent {
    event(EventType::SessionStatus, json!({ "statusType": name }))
}

/// 01 §3.3.
pub async fn an_idle_after_an_error_keeps_the_error(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", vec![session_status("busy")])
        .await
        .unwrap();
    assert_eq!(status(store, "s").await, SessionStatus::Running);
    let failed = vec![
        event(EventType::RuntimeError, json!({ "message": "m" })),
        idle(),
        session_status("idle"),
    ];
    let appended = append(store, "s", failed).await.unwrap();
    assert_eq!(appended.row.session.status, SessionStatus::Errored);
    let preserved: Vec<_> = appended
        .events
        .iter()
        .map(|e| e.record.payload.get("preserveError").cloned())
        .collect();
    assert_eq!(
        preserved,
        [None, Some(Value::Bool(true)), Some(Value::Bool(true))]
    );
    let appended = append(
        store,
        "s",
        vec![session_status("retry"), session_status("running"), idle()],
    )
    .await
    .unwrap();
    assert_eq!(appended.row.session.status, SessionStatus::Idle);
    assert!(appended.events[2].record.payload.is_empty());
}

/// The caller repeats what it sent, not what the store added.
pub async fn the_original_of_a_preserved_idle_is_a_replay(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(
        store,
        "s",
        vec![
            event(EventType::RuntimeError, json!({})),
            with_id("i", idle()),
        ],
    )
    .await
    .unwrap();
    let replay = append(store, "s", vec![with_id("i", idle())])
        .await
        .unwrap();
    assert!(!replay.events[0].created);
    append(
        store,
        "s",
        vec![session_status("busy"), with_id("j", idle())],
    )
    .await
    .unwrap();
    append(store, "s", vec![event(EventType::RuntimeError, json!({}))])
        .await
        .unwrap();
    let replay = append(store, "s", vec![with_id("j", idle())])
        .await
        .unwrap();
    assert!(
        !replay.events[0].created,
        "an idle that preserved nothing, repeated while errored"
    );
    assert_eq!(status(store, "s").await, SessionStatus::Errored);
}

/// A late repetition of an old event doesn't turn the status back.
pub async fn a_replay_has_no_effects(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(
        store,
        "s",
        vec![with_id("i", idle()), session_status("busy")],
    )
    .await
    .unwrap();
    let before = store.session(&key("s")).await.unwrap();
    append(store, "s", vec![with_id("i", idle())])
        .await
        .unwrap();
    assert_eq!(store.session(&key("s")).await.unwrap(), before);
}

/// Decisions 3 and 6.
pub async fn an_abort_sets_idle_and_a_rename_the_title(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let renamed = event(EventType::SessionRenamed, json!({ "title": "Plan" }));
    append(store, "s", vec![session_status("busy"), renamed])
        .await
        .unwrap();
    append(
        store,
        "s",
        vec![event(EventType::SessionAborted, json!({}))],
    )
    .await
    .unwrap();
    let session = store.session(&key("s")).await.unwrap().unwrap().session;
    assert_eq!(
        (session.status, session.title.as_deref()),
        (SessionStatus::Idle, Some("Plan"))
    );
}

/// The thread list says "waiting" without loading a thread.
pub async fn open_asks_are_counted_on_the_row(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let asked = |id: &str| {
        event(
            EventType::PermissionRequested,
            json!({ "permissionId": id }),
        )
    };
    let answered = |id: &str| {
        event(
            EventType::PermissionResolved,
            json!({ "permissionId": id, "allowed": true }),
        )
    };
    let question = |id: &str| event(EventType::QuestionAsked, json!({ "requestId": id }));
    let dismissed = |id: &str| {
        event(
            EventType::QuestionResolved,
            json!({ "requestId": id, "rejected": true }),
        )
    };
    let mut waiting = Vec::new();
    for events in [
        vec![asked("p"), asked("q"), asked("p")],
        vec![question("p")],
        vec![answered("p"), answered("unknown")],
        vec![event(EventType::SessionIdle, json!({}))],
        vec![
            answered("q"),
            dismissed("p"),
            asked("late"),
            answered("late"),
        ],
    ] {
        let appended = append(store, "s", events).await.unwrap();
        assert_eq!(
            store.session(&key("s")).await.unwrap(),
            Some(appended.row.clone())
        );
        waiting.push(appended.row.waiting);
    }
    assert_eq!(waiting, [2, 3, 2, 2, 0]);
}

/// `updatedAt` is the time of the newest event, and never goes back.
pub async fn an_append_touches_the_session(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let later = "2026-01-02T00:00:00.000Z";
    append(
        store,
        "s",
        vec![NewEvent {
            created_at: later.into(),
            ..text("a")
        }],
    )
    .await
    .unwrap();
    append(
        store,
        "s",
        vec![NewEvent {
            created_at: "2025-01-01T00:00:00.000Z".into(),
            ..text("b")
        }],
    )
    .await
    .unwrap();
    let session = store.session(&key("s")).await.unwrap().unwrap().session;
    assert_eq!(
        (session.updated_at.as_str(), session.created_at.as_str()),
        (later, T0)
    );
    let events = store.list_events(&key("s"), 1, 1).await.unwrap();
    assert_eq!(events[0].created_at, "2025-01-01T00:00:00.000Z");
}
