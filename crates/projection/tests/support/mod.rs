//! The session and the clock of the check vectors (01 §15).

#![allow(dead_code, clippy::unwrap_used, clippy::needless_pass_by_value)] // each test file uses its part of this module

use open_cowork_contracts::{EventType, RuntimeEvent, Session, SessionEventRecord, View};
use open_cowork_projection::Projector;
use serde_json::Value;

/// The session's `updatedAt`.
pub(crate) const T0: &str = "2026-01-01T00:00:00.000Z";

/// The creation time of the event with that sequence.
pub(crate) fn time(sequence: u64) -> String {
    format!(
        "2026-01-01T00:00:{:02}.{:03}Z",
        sequence / 1000 % 60,
        sequence % 1000
    )
}

/// `{sessionId:"s1", status:"idle", title:null, profileName:"p", updatedAt:T0}`.
pub(crate) fn session() -> Session {
    Session {
        session_id: "s1".into(),
        profile_name: "p".to_owned(),
        updated_at: T0.to_owned(),
        ..Session::default()
    }
}

/// An event with its place in the log.
pub(crate) fn record(sequence: u64, kind: &str, payload: Value) -> SessionEventRecord {
    let event = RuntimeEvent::new(EventType::parse(kind), payload);
    SessionEventRecord {
        tenant_id: None,
        session_id: None,
        event_id: None,
        sequence,
        kind: event.kind,
        payload: event.payload,
        created_at: time(sequence),
        extra: Default::default(),
    }
}

/// A projector after these events, with sequences from 1.
pub(crate) fn projector(events: &[(&str, Value)]) -> Projector {
    let mut projector = Projector::new(&session());
    for ((kind, payload), sequence) in events.iter().zip(1..) {
        projector.apply(&session(), &record(sequence, kind, payload.clone()));
    }
    projector
}

/// The view after these events.
pub(crate) fn fold(events: &[(&str, Value)]) -> View {
    projector(events).into_view()
}

/// The same as JSON.
pub(crate) fn view_json(events: &[(&str, Value)]) -> Value {
    serde_json::to_value(fold(events)).unwrap()
}
