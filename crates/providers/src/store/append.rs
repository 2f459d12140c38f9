//! The rules of an append, as pure functions: every store plans a request with [`plan`] inside its
//! transaction and then writes what the plan says, so that all stores mean the same (01 §3.3, §7.1).

use super::asks::{self, AskChange, first_id};
use super::{LeaseFence, SessionKey, SessionRow, StoreError};
use open_cowork_contracts::record::Operation;
use open_cowork_contracts::{
    EventId, EventType, JsonObject, Session, SessionEventRecord, SessionId, SessionStatus,
    WorkspaceEventRecord,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A batch for one session; all or nothing.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The session.
    pub key: SessionKey,
    /// Events in order; shared, so that a retry copies nothing.
    pub events: Arc<[NewEvent]>,
    /// Proof of the lease; absent: not fenced.
    pub fence: Option<LeaseFence>,
}

/// An event without its place in the log. Sanitizing is the caller's job (01 §6).
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Idempotency id; absent: `<session>:<sequence>`.
    pub event_id: Option<EventId>,
    /// What happened.
    pub kind: EventType,
    /// The payload, sanitized.
    pub payload: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
}

/// Result of an append.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The row after it.
    pub row: SessionRow,
    /// One per event of the request, in its order.
    pub events: Vec<AppendedEvent>,
}

/// One event of the request with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendedEvent {
    /// The stored record.
    pub record: Arc<SessionEventRecord>,
    /// Sequence of its workspace event; see [`workspace_event`].
    pub workspace_sequence: u64,
    /// False: the id was known with equal content, nothing happened. Its workspace event is created with it.
    pub created: bool,
}

/// What a store found under an event id.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The record; of a pruned event the payload is unknown.
    pub record: Arc<SessionEventRecord>,
    /// Its workspace sequence.
    pub workspace_sequence: u64,
    /// Only the id is left ([`super::retention`]): its repetition is known by id and type, and answered with the
    /// payload that it brings.
    pub pruned: bool,
}

impl StoredEvent {
    /// What a repetition with that payload is answered with.
    fn repeated(self, payload: &JsonObject) -> AppendedEvent {
        let record = match self.pruned {
            true => Arc::new(SessionEventRecord {
                payload: payload.clone(),
                ..(*self.record).clone()
            }),
            false => self.record,
        };
        AppendedEvent {
            record,
            workspace_sequence: self.workspace_sequence,
            created: false,
        }
    }
}

/// What a store has to write: the events that are `created`, the row, the asks in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The row after the append. `waiting` is still as it was: the store counts while it applies `asks`.
    pub row: SessionRow,
    /// Last workspace sequence of the owner after the append.
    pub workspace_last: u64,
    /// One per event of the request.
    pub events: Vec<AppendedEvent>,
    /// Changes of the set of open asks.
    pub asks: Vec<AskChange>,
}

impl Plan {
    /// True when something has to be written.
    pub fn writes(&self) -> bool {
        self.events.iter().any(|event| event.created)
    }
}

/// Plans a request against the session's row and the owner's last workspace sequence. `stored` looks an
/// explicit event id up in this session. Nothing is to be written on an error.
pub fn plan(
    mut row: SessionRow,
    mut workspace_last: u64,
    events: &[NewEvent],
    mut stored: impl FnMut(&EventId) -> Option<StoredEvent>,
) -> Result<Plan, StoreError> {
    let mut planned: Vec<AppendedEvent> = Vec::with_capacity(events.len());
    let mut ids: HashMap<EventId, usize> = HashMap::new();
    let mut asks = Vec::new();
    for event in events {
        refuse_unprojected(&event.kind)?;
        let sequence = row.last_sequence + 1;
        if let Some(id) = &event.event_id {
            let known = match ids.get(id) {
                Some(index) => Some(planned[*index].clone()),
                None => stored(id).map(|found| found.repeated(&event.payload)),
            };
            if let Some(known) = known {
                if !is_replay(&known.record, &event.kind, &event.payload) {
                    return Err(StoreError::EventIdReused(id.clone()));
                }
                planned.push(AppendedEvent {
                    created: false,
                    ..known
                });
                continue;
            }
            match sequence_of_default_id(&row.session.session_id, id) {
                Some(later) if later > sequence => {
                    return Err(StoreError::ReservedEventId(id.clone()));
                }
                _ => ids.insert(id.clone(), planned.len()),
            };
        }

        let NewEvent {
            event_id,
            kind,
            mut payload,
            created_at,
        } = event.clone();
        let effect = effect(&kind, &payload, row.session.status);
        if effect.preserve_error {
            payload.insert(PRESERVE_ERROR.into(), Value::Bool(true));
        }
        row.session.status = effect.status.unwrap_or(row.session.status);
        if effect.title.is_some() {
            row.session.title = effect.title;
        }
        if created_at > row.session.updated_at {
            row.session.updated_at.clone_from(&created_at);
        }
        asks.extend(asks::change(
            &row.session.session_id,
            sequence,
            &kind,
            &payload,
        ));
        row.last_sequence = sequence;
        workspace_last += 1;
        let id = event_id.unwrap_or_else(|| default_event_id(&row.session.session_id, sequence));
        planned.push(AppendedEvent {
            record: Arc::new(SessionEventRecord {
                tenant_id: Some(row.session.tenant_id.clone()),
                session_id: Some(row.session.session_id.clone()),
                event_id: Some(id),
                sequence,
                kind,
                payload,
                created_at,
                extra: JsonObject::new(),
            }),
            workspace_sequence: workspace_last,
            created: true,
        });
    }
    Ok(Plan {
        row,
        workspace_last,
        events: planned,
        asks,
    })
}

/// What an event does to the session's row, in the same transaction (01 §3.3, decisions 3 and 6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// New status.
    pub status: Option<SessionStatus>,
    /// New title.
    pub title: Option<String>,
    /// The error stays: the payload gains `preserveError: true`.
    pub preserve_error: bool,
}

/// The side effects of 01 §3.3; `status` is the row's status before the event.
pub fn effect(kind: &EventType, payload: &JsonObject, status: SessionStatus) -> Effect {
    let set = |status| Effect {
        status: Some(status),
        ..Effect::default()
    };
    let idle = || match status {
        SessionStatus::Errored => Effect {
            preserve_error: true,
            ..Effect::default()
        },
        _ => set(SessionStatus::Idle),
    };
    let text = |key: &str| payload.get(key).and_then(Value::as_str);
    match kind {
        EventType::SessionIdle => idle(),
        EventType::SessionStatus => match text("statusType") {
            Some("busy" | "running") => set(SessionStatus::Running),
            Some("idle") => idle(),
            _ => Effect::default(),
        },
        EventType::SessionAborted => set(SessionStatus::Idle),
        EventType::RuntimeError => set(SessionStatus::Errored),
        EventType::SessionRenamed => {
            let title = text("title").filter(|title| !asks::is_blank(title));
            Effect {
                title: title.map(str::to_owned),
                ..Effect::default()
            }
        }
        _ => Effect::default(),
    }
}

/// The workspace event that stands for a session event (01 §7.1 step 4). Stores keep its sequence only; the
/// rest is derived, so that no payload is stored twice.
pub fn workspace_event(
    session: &Session,
    record: &SessionEventRecord,
    sequence: u64,
) -> WorkspaceEventRecord {
    let sid = &session.session_id;
    let event_id = match &record.event_id {
        Some(id) => id.clone(),
        None => default_event_id(sid, record.sequence),
    };
    let own = event_id
        .as_str()
        .strip_prefix(sid.as_str())
        .is_some_and(|rest| rest.starts_with(':'));
    let artifact = match record.kind {
        EventType::ArtifactCreated | EventType::ArtifactUpdated => {
            first_id(&record.payload, &["artifactId", "cloudArtifactId", "id"])
        }
        _ => None,
    };
    let (entity_type, entity_id) = match artifact {
        Some(id) => ("artifact", id),
        None => ("session", sid.as_str()),
    };
    WorkspaceEventRecord {
        tenant_id: session.tenant_id.clone(),
        user_id: session.user_id.clone(),
        session_id: Some(sid.clone()),
        event_id: if own {
            event_id
        } else {
            format!("{sid}:{event_id}").into()
        },
        sequence,
        entity_type: entity_type.into(),
        entity_id: entity_id.into(),
        operation: Operation::of(&record.kind),
        projection_version: record.sequence,
        kind: record.kind.clone(),
        payload: record.payload.clone(),
        created_at: record.created_at.clone(),
    }
}

/// The id of an event that was given none.
pub fn default_event_id(session: &SessionId, sequence: u64) -> EventId {
    format!("{session}:{sequence}").into()
}

/// The sequence in an id of the form `<session>:<sequence>`. Stores needn't keep such ids.
pub fn sequence_of_default_id(session: &SessionId, id: &EventId) -> Option<u64> {
    let digits = id
        .as_str()
        .strip_prefix(session.as_str())?
        .strip_prefix(':')?;
    let canonical = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { digits.parse().ok() } else { None }
}

/// True for an id that the log made up for an event that came without one: `runtime:<session>:<uuid>`. It is random,
/// so only the append that made it can repeat it.
pub fn is_minted(session: &SessionId, id: &EventId) -> bool {
    let uuid = id
        .as_str()
        .strip_prefix("runtime:")
        .and_then(|rest| rest.strip_prefix(session.as_str()))
        .and_then(|rest| rest.strip_prefix(':'));
    uuid.is_some_and(|uuid| {
        uuid.len() == 36
            && uuid.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

/// Equal as canonical JSON: key order doesn't matter, `1` and `1.0` are the same number.
pub fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || ((x.is_f64() || y.is_f64()) && x.as_f64() == y.as_f64())
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_json(x, y))
        }
        (Value::Object(x), Value::Object(y)) => same_object(x, y),
        _ => a == b,
    }
}

fn same_object(a: &JsonObject, b: &JsonObject) -> bool {
    a.len() == b.len()
        && a.iter()
            .all(|(key, value)| b.get(key).is_some_and(|other| same_json(value, other)))
}

const PRESERVE_ERROR: &str = "preserveError";

/// True when an event under a known id is that event again. `preserveError` is the store's own addition, so
/// it doesn't count: the caller repeats the original.
fn is_replay(stored: &SessionEventRecord, kind: &EventType, payload: &JsonObject) -> bool {
    if stored.kind != *kind {
        return false;
    }
    if !matches!(kind, EventType::SessionIdle | EventType::SessionStatus) {
        return same_object(&stored.payload, payload);
    }
    let bare = |payload: &JsonObject| {
        let mut payload = payload.clone();
        if payload.get(PRESERVE_ERROR) == Some(&Value::Bool(true)) {
            payload.shift_remove(PRESERVE_ERROR);
        }
        payload
    };
    same_object(&bare(&stored.payload), &bare(payload))
}

/// Transport-only types and types that neither list knows never enter the log (01 §2, decision 4).
fn refuse_unprojected(kind: &EventType) -> Result<(), StoreError> {
    match kind {
        EventType::SnapshotRequired | EventType::ChannelDelivery | EventType::Other(_) => {
            Err(StoreError::UnsupportedEventType(kind.as_str().to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> JsonObject {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn the_table_of_status_effects_is_the_contracts() {
        use SessionStatus::{Errored, Idle, Running};
        let of = |kind, payload, before| {
            let effect = effect(&kind, &object(payload), before);
            (effect.status, effect.preserve_error)
        };
        assert_eq!(of(EventType::SessionIdle, json!({}), Errored), (None, true));
        assert_eq!(
            of(EventType::SessionIdle, json!({}), Running),
            (Some(Idle), false)
        );
        let status = |name: &str, before| {
            of(
                EventType::SessionStatus,
                json!({ "statusType": name }),
                before,
            )
        };
        assert_eq!(status("busy", Errored), (Some(Running), false));
        assert_eq!(status("running", Idle), (Some(Running), false));
        assert_eq!(status("idle", Errored), (None, true));
        assert_eq!(status("idle", Running), (Some(Idle), false));
        assert_eq!(status("retry", Running), (None, false));
        assert_eq!(
            of(EventType::RuntimeError, json!({}), Running),
            (Some(Errored), false)
        );
        assert_eq!(
            of(EventType::SessionAborted, json!({}), Errored),
            (Some(Idle), false)
        );
        assert_eq!(
            of(EventType::PromptSubmitted, json!({}), Idle),
            (None, false)
        );
    }

    #[test]
    fn a_blank_rename_changes_nothing() {
        let of = |title: &str| {
            effect(
                &EventType::SessionRenamed,
                &object(json!({ "title": title })),
                SessionStatus::Idle,
            )
            .title
        };
        assert_eq!(of("Plan the trip"), Some("Plan the trip".into()));
        assert_eq!(of(" \u{feff} "), None);
    }

    #[test]
    fn equality_ignores_key_order_and_how_a_number_is_written() {
        assert!(same_json(
            &json!({ "a": 1, "b": [1.5] }),
            &json!({ "b": [1.5], "a": 1.0 })
        ));
        assert!(!same_json(
            &json!({ "a": 1 }),
            &json!({ "a": 1, "b": null })
        ));
        assert!(!same_json(&json!([1, 2]), &json!([2, 1])));
        assert!(!same_json(
            &json!(9007199254740993u64),
            &json!(9007199254740992u64)
        ));
    }

    #[test]
    fn a_workspace_event_names_its_entity_operation_and_id() {
        let session = Session {
            session_id: "s".into(),
            user_id: "u".into(),
            ..Session::default()
        };
        let of = |kind: EventType, id: &str, payload: Value| {
            let record = SessionEventRecord {
                tenant_id: None,
                session_id: None,
                event_id: Some(id.into()),
                sequence: 4,
                kind,
                payload: object(payload),
                created_at: String::new(),
                extra: JsonObject::new(),
            };
            workspace_event(&session, &record, 9)
        };
        let artifact = of(
            EventType::ArtifactUpdated,
            "x",
            json!({ "artifactId": " ", "id": "a1" }),
        );
        assert_eq!(
            (artifact.entity_type.as_str(), artifact.entity_id.as_str()),
            ("artifact", "a1")
        );
        assert_eq!(
            (artifact.event_id.as_str(), artifact.operation),
            ("s:x", Operation::Update)
        );
        assert_eq!((artifact.sequence, artifact.projection_version), (9, 4));
        let prompt = of(EventType::PromptSubmitted, "s:p", json!({}));
        assert_eq!(
            (prompt.event_id.as_str(), prompt.operation),
            ("s:p", Operation::Create)
        );
        assert_eq!(prompt.entity_type, "session");
        assert_eq!(
            of(EventType::SessionIdle, "sx:p", json!({}))
                .event_id
                .as_str(),
            "s:sx:p"
        );
    }

    #[test]
    fn only_canonical_numbers_make_a_default_id() {
        let of = |id: &str| sequence_of_default_id(&"s".into(), &id.into());
        assert_eq!(of("s:12"), Some(12));
        for other in [
            "s:012",
            "s:",
            "s:+1",
            "s:1x",
            "t:1",
            "s12",
            "s:99999999999999999999",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
