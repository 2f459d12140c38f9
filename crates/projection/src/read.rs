//! What a client accepts of a stored envelope (01 §5.7, "client-side read").

use open_cowork_contracts::{JsonObject, Session, View};
use serde_json::Value;

/// `readCloudSessionProjection`: the view of an envelope `{session, projection}`, or `None` when there is no
/// projection, its view is no object, or the view has no string `sessionId` or no list `messages`.
///
/// Stricter than [`normalize`](crate::normalize()) about elements: those without their minimal shape are
/// dropped. An unknown status reads as idle, an empty `lastError` as null.
pub fn read_projection(envelope: &Value) -> Option<View> {
    let projection = envelope.get("projection")?.as_object()?;
    let view = projection.get("view")?.as_object()?;
    view.get("sessionId")?.as_str()?;
    view.get("messages")?.as_array()?;
    let updated_at = projection
        .get("updatedAt")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // The session of the envelope is not consulted: a client shows what was projected, or nothing.
    let session = Session {
        updated_at: updated_at.to_owned(),
        ..Session::default()
    };
    let mut read = crate::normalize(
        &Value::Object(with_minimal_shapes(view)),
        &session,
        updated_at,
    );
    read.last_error = read.last_error.filter(|message| !message.is_empty());
    Some(read)
}

fn with_minimal_shapes(view: &JsonObject) -> JsonObject {
    let mut view = view.clone();
    for (list, has_shape) in SHAPES {
        if let Some(Value::Array(items)) = view.get_mut(*list) {
            items.retain(|item| item.as_object().is_some_and(has_shape));
        }
    }
    view
}

type Shape = (&'static str, fn(&JsonObject) -> bool);

const SHAPES: &[Shape] = &[
    ("messages", |f| strings(f, &["id", "role", "content"])),
    ("toolCalls", |f| {
        strings(f, &["id", "name"]) && member(f, &["running", "complete", "error"])
    }),
    ("taskRuns", |f| {
        strings(f, &["id", "title"]) && member(f, &["queued", "running", "complete", "error"])
    }),
    ("pendingApprovals", |f| {
        strings(f, &["id", "sessionId", "tool"])
    }),
    ("pendingQuestions", |f| {
        strings(f, &["id", "sessionId"]) && list(f, "questions")
    }),
    ("resolvedApprovals", |f| {
        strings(f, &["id", "sessionId", "tool"]) && boolean(f, "allowed")
    }),
    ("resolvedQuestions", |f| {
        strings(f, &["id", "sessionId"]) && list(f, "questions") && boolean(f, "rejected")
    }),
    ("artifacts", |f| strings(f, &["id", "filePath", "filename"])),
    ("todos", |f| strings(f, &["content"])),
    ("errors", |f| strings(f, &["id", "message"])),
];

fn strings(fields: &JsonObject, keys: &[&str]) -> bool {
    keys.iter()
        .all(|key| fields.get(*key).is_some_and(Value::is_string))
}

fn member(fields: &JsonObject, members: &[&str]) -> bool {
    fields
        .get("status")
        .and_then(Value::as_str)
        .is_some_and(|status| members.contains(&status))
}

fn list(fields: &JsonObject, key: &str) -> bool {
    fields.get(key).is_some_and(Value::is_array)
}

fn boolean(fields: &JsonObject, key: &str) -> bool {
    fields.get(key).is_some_and(Value::is_boolean)
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::json;

    fn envelope(view: Value) -> Value {
        json!({"session": {"sessionId": "s1"}, "projection": {"sessionId": "s1", "sequence": 1, "view": view, "updatedAt": "t"}})
    }

    #[test]
    fn without_a_view_there_is_nothing_to_read() {
        for nothing in [
            json!({}),
            json!({"projection": null}),
            envelope(json!([])),
            envelope(json!({"messages": []})),
            envelope(json!({"sessionId": "s1"})),
            envelope(json!({"sessionId": 1, "messages": []})),
        ] {
            assert_eq!(read_projection(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn elements_without_their_minimal_shape_are_dropped() {
        let view = read_projection(&envelope(json!({
            "sessionId": "s1", "status": "odd", "lastError": "",
            "messages": [{"id": "m", "role": "user", "content": "x"}, {"id": "n", "role": "user"}],
            "toolCalls": [{"id": "a", "name": "read", "status": "odd"}, {"id": "b", "name": "read", "status": "error"}],
            "resolvedApprovals": [{"id": "a", "sessionId": "s1", "tool": "t"}],
            "errors": [{"id": "e"}, {"id": "f", "message": "m"}]
        })))
        .unwrap();
        assert_eq!(view.messages.len(), 1);
        assert_eq!(view.tool_calls.len(), 1);
        assert_eq!(view.resolved_approvals.len(), 0);
        assert_eq!(view.errors.len(), 1);
        assert_eq!(view.status.as_str(), "idle");
        assert_eq!(view.last_error, None);
    }
}
