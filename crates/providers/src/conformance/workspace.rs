//! Cases about the workspace stream and the walls between tenants (01 §7.1 step 4).

use super::{
    T0, TENANT, USER, append, create, event, idle, key, new_session, scope, text, with_id,
};
use crate::store::append::workspace_event;
use crate::store::{AppendRequest, Scope, SessionKey, Store};
use open_cowork_contracts::EventType;
use open_cowork_contracts::record::Operation;
use serde_json::{Value, json};
use std::sync::Arc;

/// One counter per (tenant, user), over all sessions.
pub async fn workspace_sequences_are_dense_per_user(store: &Arc<dyn Store>) {
    create(store, "a").await;
    create(store, "b").await;
    store
        .create_session(new_session(TENANT, "u2", "c", T0))
        .await
        .unwrap();
    for session in ["a", "c", "b", "a", "c"] {
        append(store, session, vec![text("x")]).await.unwrap();
    }
    let events = store.list_workspace_events(&scope(), 0, 10).await.unwrap();
    let found: Vec<_> = events
        .iter()
        .map(|e| (e.sequence, e.session_id.clone().unwrap().to_string()))
        .collect();
    assert_eq!(found, [(1, "a".into()), (2, "b".into()), (3, "a".into())]);
    let other = store
        .workspace_cursor(&Scope::new(TENANT, "u2"))
        .await
        .unwrap();
    assert_eq!(
        (other.earliest_sequence, other.latest_sequence),
        (Some(1), 2)
    );
    let nobody = store
        .workspace_cursor(&Scope::new(TENANT, "u3"))
        .await
        .unwrap();
    assert_eq!(
        (nobody.earliest_sequence, nobody.latest_sequence),
        (None, 0)
    );
}

/// What is listed is what was returned, and what the rules derive.
pub async fn workspace_events_derive_from_session_events(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let artifact = event(
        EventType::ArtifactCreated,
        json!({ "artifactId": "a1", "filename": "f" }),
    );
    let prompt = with_id(
        "s:prompt",
        event(EventType::PromptSubmitted, json!({ "text": "hi" })),
    );
    let error = event(EventType::RuntimeError, json!({}));
    let appended = append(
        store,
        "s",
        vec![artifact, prompt, error, with_id("i", idle())],
    )
    .await
    .unwrap();
    let listed = store.list_workspace_events(&scope(), 0, 10).await.unwrap();
    let derived: Vec<_> = appended
        .events
        .iter()
        .map(|event| {
            workspace_event(
                &appended.row.session,
                &event.record,
                event.workspace_sequence,
            )
        })
        .collect();
    assert_eq!(
        listed
            .iter()
            .map(|event| (**event).clone())
            .collect::<Vec<_>>(),
        derived
    );
    assert_eq!(
        (listed[0].entity_type.as_str(), listed[0].entity_id.as_str()),
        ("artifact", "a1")
    );
    assert_eq!(
        (listed[0].event_id.as_str(), listed[0].operation),
        ("s:1", Operation::Create)
    );
    assert_eq!(
        (listed[1].event_id.as_str(), listed[1].operation),
        ("s:prompt", Operation::Create)
    );
    assert_eq!(
        (listed[3].event_id.as_str(), listed[3].projection_version),
        ("s:i", 4)
    );
    assert_eq!(
        listed[3].payload.get("preserveError"),
        Some(&Value::Bool(true))
    );
}

/// Equal ids in two tenants are two worlds.
pub async fn tenants_do_not_see_each_others_events(store: &Arc<dyn Store>) {
    create(store, "s").await;
    store
        .create_session(new_session("t2", USER, "s", T0))
        .await
        .unwrap();
    append(store, "s", vec![with_id("e", text("mine"))])
        .await
        .unwrap();
    let other = SessionKey::new("t2", "s");
    assert!(store.list_events(&other, 0, 10).await.unwrap().is_empty());
    let request = AppendRequest {
        key: other.clone(),
        events: vec![with_id("e", text("theirs"))].into(),
        fence: None,
    };
    let appended = store.append(request).await.unwrap();
    assert_eq!(
        (
            appended.events[0].created,
            appended.events[0].workspace_sequence
        ),
        (true, 1)
    );
    let theirs = store
        .list_workspace_events(&Scope::new("t2", USER), 0, 10)
        .await
        .unwrap();
    assert_eq!((theirs.len(), theirs[0].tenant_id.as_str()), (1, "t2"));
    assert_eq!(
        store.list_events(&key("s"), 0, 10).await.unwrap()[0].payload["content"],
        "mine"
    );
}

/// The same answers as one by one, in the order of the questions.
pub async fn rows_and_cursors_of_many_come_in_their_order(store: &Arc<dyn Store>) {
    super::create(store, "a").await;
    super::create(store, "b").await;
    super::append(store, "b", vec![super::idle(), super::idle()])
        .await
        .unwrap();
    let keys = [
        super::key("b"),
        SessionKey::new("t2", "a"),
        super::key("a"),
        super::key("b"),
    ];
    let rows = store.sessions(&keys).await.unwrap();
    for (key, row) in keys.iter().zip(&rows) {
        assert_eq!(*row, store.session(key).await.unwrap());
    }
    assert_eq!(rows[0].as_ref().map(|row| row.last_sequence), Some(2));
    assert_eq!(rows[1], None);
    let scopes = [Scope::new("t1", "nobody"), super::scope()];
    assert_eq!(store.workspace_sequences(&scopes).await, Ok(vec![0, 2]));
    assert_eq!(store.sessions(&[]).await, Ok(vec![]));
}
