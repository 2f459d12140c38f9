//! [`Frame`]s back to JSON: for recordings, and for the proof that decoding loses nothing
//! (docs/contract/08-opencode.md §7).

use crate::event::{Event, Frame, Kept, Shape};
use crate::model::Extra;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The frame as OpenCode sends it: equal, as a JSON value, to what was decoded, but for the `data` of durable copies,
/// which repeats the plain event and isn't kept. Optional fields of known objects that were `null` are left out.
pub fn encode_frame(frame: &Frame) -> Value {
    let envelope = &frame.envelope;
    let mut inner = Map::new();
    if let Some(id) = &frame.id {
        inner.insert("id".into(), id.as_str().into());
    }
    if !frame.kind.is_empty() {
        inner.insert("type".into(), frame.kind.as_str().into());
    }
    let mut rest = envelope.properties.clone();
    match (envelope.shape, &frame.event) {
        (Shape::V2, _) => {
            inner.insert("data".into(), rest.into());
        }
        (
            Shape::Global,
            Event::Sync {
                aggregate,
                seq,
                event_id,
            },
        ) => {
            rest.insert("seq".into(), (*seq).into());
            rest.insert("aggregateID".into(), aggregate.as_str().into());
            rest.extend(
                event_id
                    .as_ref()
                    .map(|id| ("id".to_owned(), Value::from(id.as_str()))),
            );
            inner.insert("syncEvent".into(), rest.into());
        }
        _ if envelope.kept == Kept::Nothing => {}
        _ if envelope.kept == Kept::Whole => {
            inner.insert("properties".into(), rest.into());
        }
        (_, event) => {
            let mut properties = properties(event);
            properties.extend(rest);
            inner.insert("properties".into(), properties.into());
        }
    }
    inner.extend(envelope.inner.clone());
    if envelope.shape != Shape::Global {
        return inner.into();
    }
    let mut outer = Map::new();
    if let Some(directory) = &frame.directory {
        outer.insert("directory".into(), directory.as_str().into());
    }
    outer.extend(envelope.outer.clone());
    outer.insert("payload".into(), inner.into());
    outer.into()
}

fn properties(event: &Event) -> Extra {
    let value = match event {
        Event::Connected | Event::Heartbeat | Event::Benign => Value::Null,
        // Only `/global/event` has durable copies; elsewhere there is nothing to write.
        Event::Sync { .. } => Value::Null,
        Event::InstanceDisposed { directory } => match directory {
            Some(directory) => json!({ "directory": directory }),
            None => Value::Null,
        },
        Event::SessionCreated(info) | Event::SessionUpdated(info) | Event::SessionDeleted(info) => {
            json!({ "sessionID": info.id, "info": to_value(info) })
        }
        Event::SessionStatus { session, status } => {
            json!({ "sessionID": session, "status": to_value(status) })
        }
        Event::SessionIdle { session } | Event::SessionCompacted { session } => {
            json!({ "sessionID": session })
        }
        Event::SessionError { session, error } => {
            let mut properties = Map::new();
            properties.extend(
                session
                    .as_ref()
                    .map(|session| ("sessionID".to_owned(), Value::from(session.as_str()))),
            );
            properties.extend(
                error
                    .as_ref()
                    .map(|error| ("error".to_owned(), to_value(error))),
            );
            properties.into()
        }
        Event::MessageUpdated(info) => {
            json!({ "sessionID": info.session_id, "info": to_value(info) })
        }
        Event::MessageRemoved { session, message } => {
            json!({ "sessionID": session, "messageID": message })
        }
        Event::PartUpdated(part) => json!({ "sessionID": part.session_id, "part": to_value(part) }),
        Event::PartDelta {
            session,
            message,
            part,
            field,
            delta,
        } => {
            json!({ "sessionID": session, "messageID": message, "partID": part, "field": field, "delta": delta })
        }
        Event::PartRemoved {
            session,
            message,
            part,
        } => {
            json!({ "sessionID": session, "messageID": message, "partID": part })
        }
        Event::PermissionAsked(request) => to_value(request),
        Event::PermissionReplied {
            session,
            request,
            reply,
        } => {
            json!({ "sessionID": session, "requestID": request, "reply": reply })
        }
        Event::QuestionAsked(request) => to_value(request),
        Event::QuestionReplied {
            session,
            request,
            answers,
        } => {
            json!({ "sessionID": session, "requestID": request, "answers": answers })
        }
        Event::QuestionRejected { session, request } => {
            json!({ "sessionID": session, "requestID": request })
        }
        Event::TodoUpdated { session, todos } => json!({ "sessionID": session, "todos": todos }),
        Event::Unknown { properties, .. } => properties.clone().into(),
    };
    match value {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// Model types hold only strings, numbers and JSON, so that this can't fail.
fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
