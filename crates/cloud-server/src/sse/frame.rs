//! Frames as they go over the wire (03 §9.3). A frame of an event is written once for all its readers.

use bytes::Bytes;
use open_cowork_contracts::{EventType, JsonObject, SessionEventRecord, WorkspaceEventRecord};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// One frame, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(pub Bytes);

impl Frame {
    /// A frame of one event. `data` becomes one line: JSON has no raw line ends.
    pub fn new<T: Serialize>(id: Option<&str>, event: &str, data: &T) -> Option<Frame> {
        let data = serde_json::to_vec(data).ok()?;
        let mut text = Vec::with_capacity(data.len() + event.len() + 48);
        if let Some(id) = id {
            text.extend_from_slice(b"id: ");
            text.extend_from_slice(id.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"event: ");
        text.extend_from_slice(event.as_bytes());
        text.extend_from_slice(b"\ndata: ");
        text.extend_from_slice(&data);
        text.extend_from_slice(b"\n\n");
        Some(Frame(Bytes::from(text)))
    }
}

/// What a client is told when its cursor doesn't fit the log (03 §9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) reason: &'static str,
    pub(crate) after: u64,
    pub(crate) earliest: u64,
    pub(crate) latest: u64,
}

impl Gap {
    /// Events between cursor and log are gone.
    pub(crate) const RETENTION: &'static str = "event_retention_gap";
    /// The log ends before the cursor: it was restored, or another log.
    pub(crate) const AHEAD: &'static str = "cursor_ahead";

    /// The frame. Its id is the latest sequence, so that a client that comes back by `Last-Event-ID` is past the
    /// gap; in the data stands the client's old cursor (03 §12 #3).
    pub(crate) fn frame(self, session: Option<&str>, at: &str) -> Option<Frame> {
        let mut data = json!({
            "eventId": format!("snapshot-required:{}", self.after),
            "sequence": self.after,
            "type": EventType::SnapshotRequired.as_str(),
            "entityType": if session.is_some() { "session" } else { "workspace" },
            "entityId": session.unwrap_or("workspace"),
            "operation": "snapshot_required",
            "projectionVersion": self.after,
            "payload": {
                "reason": self.reason,
                "afterSequence": self.after,
                "earliestSequence": self.earliest,
                "latestSequence": self.latest,
            },
            "createdAt": at,
        });
        if let (Some(session), Value::Object(data)) = (session, &mut data) {
            data.insert("sessionId".into(), json!(session));
        }
        let kind = EventType::SnapshotRequired;
        Frame::new(Some(&self.latest.to_string()), kind.as_str(), &data)
    }
}

/// Frames of the newest events, so that a thousand readers of one thread cost one writing.
pub(crate) struct Frames {
    kept: Vec<Mutex<Option<Written>>>,
}

/// An event and its frame.
type Written = (Arc<SessionEventRecord>, Frame);

/// Frames that are kept, and the largest of them.
const KEPT: usize = 128;
const KEPT_BYTES: usize = 32 * 1024;

impl Default for Frames {
    fn default() -> Self {
        Frames {
            kept: (0..KEPT).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Frames {
    /// The frame of a session event; `None` for what clients don't know.
    pub(crate) fn session(&self, record: &Arc<SessionEventRecord>) -> Option<Frame> {
        let place = (Arc::as_ptr(record) as usize / 64) % KEPT;
        let mut kept = self.kept[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((known, frame)) = &*kept
            && Arc::ptr_eq(known, record)
        {
            return Some(frame.clone());
        }
        let frame = session_frame(record)?;
        if frame.0.len() <= KEPT_BYTES {
            *kept = Some((record.clone(), frame.clone()));
        }
        Some(frame)
    }
}

fn session_frame(record: &SessionEventRecord) -> Option<Frame> {
    if !record.kind.is_known() {
        return None;
    }
    let id = record.sequence.to_string();
    match public(&record.kind, &record.payload) {
        Cow::Borrowed(_) => Frame::new(Some(&id), record.kind.as_str(), record),
        Cow::Owned(payload) => {
            let record = SessionEventRecord {
                payload,
                ..record.clone()
            };
            Frame::new(Some(&id), record.kind.as_str(), &record)
        }
    }
}

/// The frame of a workspace event; `None` for what clients don't know.
pub(crate) fn workspace(record: &WorkspaceEventRecord) -> Option<Frame> {
    if !record.kind.is_known() {
        return None;
    }
    let id = record.sequence.to_string();
    match public(&record.kind, &record.payload) {
        Cow::Borrowed(_) => Frame::new(Some(&id), record.kind.as_str(), record),
        Cow::Owned(payload) => {
            let record = WorkspaceEventRecord {
                payload,
                ..record.clone()
            };
            Frame::new(Some(&id), record.kind.as_str(), &record)
        }
    }
}

/// A payload without what is the server's own: storage keys of artifacts, references of project sources.
fn public<'a>(kind: &EventType, payload: &'a JsonObject) -> Cow<'a, JsonObject> {
    match kind {
        EventType::ArtifactCreated | EventType::ArtifactUpdated
            if payload.contains_key("key") || payload.contains_key("objectKey") =>
        {
            let mut payload = payload.clone();
            payload.shift_remove("key");
            payload.shift_remove("objectKey");
            Cow::Owned(payload)
        }
        EventType::ProjectSourceBound => {
            let mut payload = payload.clone();
            if let Some(Value::Object(source)) = payload.get_mut("projectSource") {
                source.shift_remove("credentialRef");
                source.shift_remove("objectKey");
            }
            Cow::Owned(payload)
        }
        _ => Cow::Borrowed(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: EventType, payload: Value) -> Arc<SessionEventRecord> {
        let Value::Object(payload) = payload else {
            panic!("no object")
        };
        Arc::new(SessionEventRecord {
            tenant_id: Some("t1".into()),
            session_id: Some("s1".into()),
            event_id: Some("e42".into()),
            sequence: 42,
            kind,
            payload,
            created_at: "2026-01-02T03:04:05.678Z".into(),
            extra: JsonObject::new(),
        })
    }

    fn text(frame: &Frame) -> String {
        String::from_utf8(frame.0.to_vec()).unwrap()
    }

    #[test]
    fn a_frame_is_the_contracts() {
        let payload = json!({"messageId": "m1", "content": "hi\nthere", "mode": "append"});
        let record = record(EventType::AssistantMessage, payload);
        let frames = Frames::default();
        let expected = "id: 42\nevent: assistant.message\ndata: {\"tenantId\":\"t1\",\"sessionId\":\"s1\",\
             \"eventId\":\"e42\",\"sequence\":42,\"type\":\"assistant.message\",\"payload\":{\"messageId\":\"m1\",\
             \"content\":\"hi\\nthere\",\"mode\":\"append\"},\"createdAt\":\"2026-01-02T03:04:05.678Z\"}\n\n";
        assert_eq!(text(&frames.session(&record).unwrap()), expected);
        let again = frames.session(&record).unwrap();
        assert_eq!(
            again.0.as_ptr(),
            frames.session(&record).unwrap().0.as_ptr()
        );
    }

    #[test]
    fn the_servers_own_keys_stay_here() {
        let artifact = record(
            EventType::ArtifactCreated,
            json!({"artifactId": "a", "key": "tenants/x/a"}),
        );
        assert!(!text(&session_frame(&artifact).unwrap()).contains("tenants/x"));
        let source = record(
            EventType::ProjectSourceBound,
            json!({"projectSource": {"kind": "git", "credentialRef": "secret-ref:x"}}),
        );
        assert!(!text(&session_frame(&source).unwrap()).contains("secret-ref"));
    }

    #[test]
    fn a_type_that_clients_do_not_know_has_no_frame() {
        let later = record(EventType::parse("later.type"), json!({}));
        assert_eq!(session_frame(&later), None);
    }

    #[test]
    fn the_id_of_a_gap_is_past_it_and_its_data_names_the_old_cursor() {
        let gap = Gap {
            reason: Gap::AHEAD,
            after: 90,
            earliest: 1,
            latest: 7,
        };
        let frame = text(&gap.frame(Some("s1"), "2026-01-02T03:04:05.678Z").unwrap());
        assert!(
            frame.starts_with("id: 7\nevent: snapshot.required\n"),
            "{frame}"
        );
        let data = frame
            .lines()
            .nth(2)
            .unwrap()
            .strip_prefix("data: ")
            .unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["sequence"], 90);
        assert_eq!(data["sessionId"], "s1");
        assert_eq!(data["payload"]["latestSequence"], 7);
        let workspace = text(&gap.frame(None, "").unwrap());
        assert!(!workspace.contains("sessionId"), "{workspace}");
    }
}
