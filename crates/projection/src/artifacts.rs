//! Deliverables (01 §5.6).

use crate::coerce;
use crate::index::IdIndex;
use crate::projector::Event;
use open_cowork_contracts::view::SessionArtifact;
use open_cowork_contracts::{JsNumber, JsonObject, View};
use std::fmt::Write;

const KINDS: [&str; 5] = ["document", "chart", "deck", "spreadsheet", "draft"];
const STATUSES: [&str; 3] = ["draft", "in-review", "final"];

/// `artifact.created`, `artifact.updated`; ignored without an id.
pub(crate) fn upsert(view: &mut View, index: &mut IdIndex, e: Event<'_>) {
    let Some(mut artifact) = from_fields(e.payload, e.sequence.into()) else {
        return;
    };
    match index.find(&view.artifacts, &artifact.id) {
        Some(at) => {
            let known = &mut view.artifacts[at];
            artifact.order = known.order;
            // The size survives an update that omits it; the other optional fields vanish (01 §5.6).
            artifact.size = artifact.size.or(known.size);
            *known = artifact;
        }
        None => {
            index.push(&mut view.artifacts, artifact);
        }
    }
}

/// An artifact from a payload or a stored view; `None` without an id.
pub(crate) fn from_fields(fields: &JsonObject, default_order: JsNumber) -> Option<SessionArtifact> {
    let id = coerce::id_of(fields, &["artifactId", "cloudArtifactId", "id"])?;
    let filename = coerce::text_or(fields.get("filename"), "artifact");
    let member = |key: &str, members: &[&str]| {
        let word = fields.get(key)?.as_str()?;
        members.contains(&word).then(|| word.to_owned())
    };
    let verbatim = |key: &str| coerce::text(fields.get(key)).map(str::to_owned);
    let trimmed = |key: &str| coerce::trimmed_owned(fields.get(key));
    Some(SessionArtifact {
        id: id.to_owned(),
        tool_id: coerce::text_or(fields.get("toolId"), "cloud-artifact"),
        tool_name: coerce::text_or(fields.get("toolName"), "cloud.artifact"),
        file_path: verbatim("filePath").unwrap_or_else(|| default_path(id, &filename)),
        filename,
        order: coerce::number(fields.get("order")).map_or(default_order, JsNumber),
        source: "cloud".to_owned(),
        cloud_artifact_id: id.to_owned(),
        task_run_id: trimmed("taskRunId"),
        mime: verbatim("mime").or_else(|| verbatim("contentType")),
        size: coerce::number(fields.get("size")).map(JsNumber),
        created_at: verbatim("createdAt"),
        updated_at: verbatim("updatedAt"),
        kind: member("kind", &KINDS),
        status: member("status", &STATUSES),
        author_agent_id: trimmed("authorAgentId"),
        project_id: trimmed("projectId"),
        task_id: trimmed("taskId"),
        status_updated_by: trimmed("statusUpdatedBy"),
        status_updated_at: trimmed("statusUpdatedAt"),
    })
}

fn default_path(id: &str, filename: &str) -> String {
    let mut path = String::from("cloud-artifact://");
    encode_component(&mut path, id);
    path.push('/');
    encode_component(&mut path, coerce::js_trim(filename));
    path
}

/// `encodeURIComponent` of JavaScript.
fn encode_component(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_encoded_as_javascript_does() {
        let mut out = String::new();
        encode_component(&mut out, "a b/1-_.!~*'()é");
        assert_eq!(out, "a%20b%2F1-_.!~*'()%C3%A9");
    }
}
