//! The adapter passes the public suite of stores, and the auditor hears what was stored.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_contracts::{EventType, JsonObject};
use open_cowork_downstream_example::audit::{AuditLine, AuditedStore, Auditor};
use open_cowork_providers::conformance::Subject;
use open_cowork_providers::memory::MemoryStore;
use open_cowork_providers::store::{
    AppendRequest, EventStore as _, NewEvent, NewSession, SessionKey, SessionStore as _,
};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Lines(Mutex<Vec<AuditLine>>);

impl Auditor for Lines {
    fn take(&self, line: AuditLine) {
        self.0.lock().unwrap().push(line);
    }
}

async fn fresh() -> Subject {
    Subject::new(AuditedStore::new(
        Arc::new(MemoryStore::new()),
        Arc::new(Lines::default()),
    ))
}

open_cowork_providers::store_conformance!(fresh);

#[tokio::test]
async fn the_auditor_hears_of_every_durable_event_and_of_no_text() {
    let lines = Arc::new(Lines::default());
    let store = AuditedStore::new(Arc::new(MemoryStore::new()), lines.clone());
    let key = SessionKey::new("tenant", "one");
    let payload: JsonObject = serde_json::from_str(r#"{"text": "a private matter"}"#).unwrap();
    let event = NewEvent {
        event_id: Some("once".into()),
        kind: EventType::PromptSubmitted,
        payload,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
    };
    let request = AppendRequest {
        key: key.clone(),
        events: Arc::new([event]),
        fence: None,
    };
    store.append(request.clone()).await.unwrap_err();
    assert!(lines.0.lock().unwrap().is_empty(), "nothing was stored");

    let session = NewSession {
        tenant_id: "tenant".into(),
        user_id: "user".into(),
        session_id: "one".into(),
        profile_name: "full".into(),
        title: None,
        directory: None,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
    };
    store.create_session(session).await.unwrap();
    store.append(request.clone()).await.unwrap();
    store.append(request).await.unwrap();
    let heard = lines.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 1, "a retry is heard once");
    assert_eq!(
        (heard[0].sequence, &heard[0].kind),
        (1, &EventType::PromptSubmitted)
    );
    assert!(!format!("{heard:?}").contains("private"));
}
