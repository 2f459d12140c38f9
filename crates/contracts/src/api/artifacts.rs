//! Deliverables of threads (03 §8.5, 07 §13).

use crate::{ArtifactId, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// What a deliverable is.
    ArtifactKind {
        /// Text to read.
        Document = "document",
        /// A picture of numbers.
        Chart = "chart",
        /// Slides.
        Deck = "deck",
        /// Tables.
        Spreadsheet = "spreadsheet",
        /// Anything else.
        Draft = "draft",
    }
    /// How finished it is. The order is the order of the members; it never goes back.
    ArtifactStatus {
        /// Being made.
        Draft = "draft",
        /// Somebody looks at it.
        InReview = "in-review",
        /// Done.
        Final = "final",
    }
    /// How an upload goes.
    UploadTransfer {
        /// Straight to the object store.
        Presigned = "presigned",
        /// Not here: upload it buffered.
        Unsupported = "unsupported",
    }
    /// How far an upload is that was given up.
    UploadState {
        /// Nothing of it is left.
        Cleaned = "cleaned",
        /// What is left goes later.
        CleanupPending = "cleanup_pending",
        /// It was finished before.
        AlreadyFinalized = "already_finalized",
        /// There is no such upload.
        NotFound = "not_found",
    }
}

/// A deliverable as the wire shows it. Where it is stored is never sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// UUID, or the id that a runtime gave.
    pub artifact_id: ArtifactId,
    /// The same.
    pub id: ArtifactId,
    /// `cloud-artifact`.
    pub tool_id: String,
    /// `cloud.artifact`.
    pub tool_name: String,
    /// `cloud-artifact://<id>/<filename>`, both percent-encoded.
    pub file_path: String,
    /// At most 256 characters, without slashes.
    pub filename: String,
    /// Its place in the list that it was read from, from 0.
    pub order: u64,
    /// `cloud`.
    pub source: String,
    /// The same as `id`.
    pub cloud_artifact_id: ArtifactId,
    /// The thread that it belongs to.
    pub session_id: SessionId,
    /// That thread's title.
    pub session_title: Option<String>,
    /// `cloud:<tenant>` in the index, null elsewhere.
    pub workspace_id: Option<String>,
    /// The same as `contentType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Media type.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// How finished it is.
    pub status: ArtifactStatus,
    /// Agent that made it.
    pub author_agent_id: Option<String>,
    /// Project that it belongs to.
    pub project_id: Option<String>,
    /// Task that it belongs to.
    pub task_id: Option<String>,
    /// Who changed its status last.
    pub status_updated_by: Option<String>,
    /// ISO-8601: when.
    pub status_updated_at: Option<String>,
}

/// Query of `GET /api/artifacts`. Different filters are joined by AND.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactsQuery {
    /// Only of this thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Only of this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Only of one of these tasks: at most 128 of at most 512 bytes, repeated or with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_ids: Option<Vec<String>>,
    /// Only of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArtifactKind>,
    /// Only with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ArtifactStatus>,
    /// 1 to 500, 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answer of `GET /api/artifacts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactIndex {
    /// Touched last first.
    pub artifacts: Vec<Artifact>,
    /// At most the page's limit and one.
    pub total: u64,
    /// How many threads they are of.
    pub scanned_sessions: u64,
    /// There are more.
    pub truncated: bool,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Answer of `GET /api/sessions/:id/artifacts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactList {
    /// Touched last first.
    pub artifacts: Vec<Artifact>,
}

/// Query of calls that may go straight to the object store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferQuery {
    /// `presigned`, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
}

/// Body of `POST /api/sessions/:id/artifacts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadArtifact {
    /// At most 256 characters, no slash, backslash or NUL, not `.` or `..`.
    pub filename: String,
    /// Media type; `application/octet-stream` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// At most 25 MiB once decoded.
    pub data_base64: String,
    /// Found out from type and name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArtifactKind>,
    /// `final` for charts, else `draft`, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ArtifactStatus>,
    /// At most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_agent_id: Option<String>,
    /// At most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// At most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// At most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_updated_by: Option<String>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_updated_at: Option<String>,
}

/// Body of `POST …/artifacts/:aid/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateArtifactStatus {
    /// The same or a later one.
    pub status: ArtifactStatus,
    /// At most 512 bytes; null when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// At most 512 bytes; kept when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_agent_id: Option<String>,
    /// At most 512 bytes; kept when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// At most 512 bytes; kept when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Kept when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArtifactKind>,
}

/// Body of `POST …/artifacts/:aid/abort`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbortUpload {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer with one deliverable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactAnswer {
    /// The deliverable.
    pub artifact: Artifact,
}

/// Answer of `GET …/artifacts/:aid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactWithData {
    /// The deliverable and its bytes.
    pub artifact: ArtifactData,
}

/// A deliverable and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactData {
    /// The deliverable.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// The bytes in base64.
    pub data_base64: String,
}

/// Answer of an upload that can't go straight to the object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadAnswer {
    /// Exactly `{transfer: "unsupported"}`: only then may a client upload buffered.
    pub upload: UnsupportedUpload,
}

/// `{transfer: "unsupported"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnsupportedUpload {
    /// `unsupported`.
    pub transfer: UploadTransfer,
}

/// Answer of `POST …/artifacts/:aid/abort`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbortAnswer {
    /// What became of the upload.
    pub upload: AbortedUpload,
}

/// An upload that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AbortedUpload {
    /// Its id.
    pub artifact_id: ArtifactId,
    /// How far it is.
    pub state: UploadState,
}

/// `cloud-artifact://<id>/<filename>`, both encoded as JavaScript's `encodeURIComponent` does; a blank name
/// reads `artifact` (07 §13).
pub fn cloud_path(id: &ArtifactId, filename: &str) -> String {
    let filename = match filename.trim() {
        "" => "artifact",
        name => name,
    };
    let mut path = String::from("cloud-artifact://");
    for (at, part) in [id.as_str(), filename].into_iter().enumerate() {
        if at > 0 {
            path.push('/');
        }
        for byte in part.bytes() {
            match byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                true => path.push(char::from(byte)),
                false => path.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_as_javascript_does() {
        assert_eq!(
            cloud_path(&"a b/1".into(), " é.txt "),
            "cloud-artifact://a%20b%2F1/%C3%A9.txt"
        );
        assert_eq!(cloud_path(&"a".into(), "  "), "cloud-artifact://a/artifact");
    }

    #[test]
    fn a_status_only_goes_forward() {
        assert!(ArtifactStatus::Draft < ArtifactStatus::InReview);
        assert!(ArtifactStatus::InReview < ArtifactStatus::Final);
    }
}
