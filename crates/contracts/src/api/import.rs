//! Importing a local thread (03 §8.4).

use crate::JsonObject;
use crate::api::lenient;
use crate::view::{Todo, Tokens};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

names! {
    /// Where an import comes from.
    ImportSourceKind {
        /// A thread of a desktop.
        LocalSession = "local-session",
    }
    /// Who speaks in an imported message.
    ImportRole {
        /// The person.
        User = "user",
        /// The model.
        Assistant = "assistant",
    }
    /// How serious a warning is.
    ImportSeverity {
        /// Good to know.
        Info = "info",
        /// Something may be missing.
        Warning = "warning",
        /// Something is missing.
        Error = "error",
    }
}

/// Where an import comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSource {
    /// Its kind.
    pub kind: ImportSourceKind,
    /// Digest of the source.
    #[serde(deserialize_with = "lenient::required_text")]
    pub fingerprint: String,
    /// Its title.
    #[serde(
        default,
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub title: Option<String>,
}

/// What of it was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSelection {
    /// Messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_messages: Option<bool>,
    /// Deliverables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_artifacts: Option<bool>,
    /// Attachments of messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_attachments: Option<bool>,
    /// The project source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_project_source: Option<bool>,
    /// Only these deliverables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_ids: Option<Vec<String>>,
    /// Only these attachments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_ids: Option<Vec<String>>,
}

/// Something that people should know about an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportWarning {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// How serious.
    pub severity: ImportSeverity,
}

/// Things of one kind that were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportExcluded {
    /// Their kind.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// An imported message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportMessage {
    /// Its id.
    pub id: String,
    /// Who speaks.
    pub role: ImportRole,
    /// At most 1 000 000 characters.
    pub content: String,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Its place.
    pub order: f64,
    /// Files that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
}

/// An imported deliverable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportArtifact {
    /// Its id in the source.
    pub id: String,
    /// Its name.
    pub filename: String,
    /// MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its bytes, base64.
    pub data_base64: String,
    /// Its place.
    pub order: f64,
    /// Producing call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_id: Option<String>,
    /// Producing tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// `document chart deck spreadsheet draft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `draft in-review final`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Authoring agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_agent_id: Option<String>,
    /// Project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Task of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Who moved the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_updated_by: Option<String>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_updated_at: Option<String>,
}

/// Body of `POST /api/import/sessions`; only `source` is required.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSession {
    /// Where it comes from.
    pub source: ImportSource,
    /// At most 512 characters; the source's title when absent.
    #[serde(
        default,
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub title: Option<String>,
    /// Profile; the server's when absent.
    #[serde(
        default,
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub profile_name: Option<String>,
    /// What was chosen.
    #[serde(default)]
    pub selection: ImportSelection,
    /// Numbers by kind: `messages artifacts attachments projectSource excluded`.
    #[serde(default)]
    pub item_counts: JsonObject,
    /// What people should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ImportWarning>,
    /// What was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<ImportExcluded>,
    /// At most 2000.
    #[serde(default)]
    pub messages: Vec<ImportMessage>,
    /// At most 25.
    #[serde(default)]
    pub artifacts: Vec<ImportArtifact>,
    /// At most 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todos: Option<Vec<Todo>>,
    /// USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_cost: Option<f64>,
    /// Token sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_tokens: Option<Tokens>,
}
