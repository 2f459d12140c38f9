//! The projected view of one thread (01 §4). All fields are always present; additive ones are marked.

use crate::{JsNumber, JsonObject, SessionId, SessionStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// `CloudSessionProjectionView`: what every surface shows of a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// The session.
    pub session_id: SessionId,
    /// Title, `New session` until one is known.
    pub title: String,
    /// Status of the thread.
    pub status: SessionStatus,
    /// Profile of the session.
    pub profile_name: String,
    /// True while the assistant works and nobody is asked.
    pub is_generating: bool,
    /// Prompts and answers.
    pub messages: Vec<Message>,
    /// Tool calls of the root agent.
    pub tool_calls: Vec<ToolCall>,
    /// Sub-agent runs.
    pub task_runs: Vec<TaskRun>,
    /// Approvals that wait.
    pub pending_approvals: Vec<PendingApproval>,
    /// Questions that wait.
    pub pending_questions: Vec<PendingQuestion>,
    /// Approvals that were answered or withdrawn.
    pub resolved_approvals: Vec<ResolvedApproval>,
    /// Questions that were answered or dismissed.
    pub resolved_questions: Vec<ResolvedQuestion>,
    /// Deliverables.
    pub artifacts: Vec<SessionArtifact>,
    /// The todo list.
    pub todos: Vec<Todo>,
    /// Errors, oldest first.
    pub errors: Vec<ViewError>,
    /// Sum of costs, USD.
    pub session_cost: JsNumber,
    /// Sum of tokens.
    pub session_tokens: Tokens,
    /// Input tokens of the last settlement.
    pub last_input_tokens: JsNumber,
    /// Message of the last error, null when recovered.
    pub last_error: Option<String>,
    /// Where an imported thread came from.
    pub origin: Option<Origin>,
    /// The bound source.
    pub project_source: Option<ProjectSource>,
    /// Time of the last handled event.
    pub updated_at: String,
    /// Additive: turns that were stopped or cut short, oldest first; absent while there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<TurnStop>,
}

/// A turn that was stopped or cut short: a `session.aborted` with a reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnStop {
    /// `user`, `interrupted`, `aborted`, `watchdog.steps`, …
    pub reason: String,
    /// One sentence for people, where the reason alone doesn't say enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Sequence of the event.
    pub order: JsNumber,
    /// ISO-8601.
    pub stopped_at: String,
}

/// Role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Neither; hidden in transcripts.
    System,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Message id.
    pub id: String,
    /// Who speaks.
    pub role: Role,
    /// The whole text.
    pub content: String,
    /// ISO-8601.
    pub created_at: String,
    /// Files that came with it; elements are kept as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
    /// Additive: sequence of the event that created it; one sort restores the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<JsNumber>,
}

/// An attachment of a tool call, after the limits of 01 §6.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// MIME type, lower case.
    pub mime: String,
    /// A `data:` URL.
    pub url: String,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// State of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolStatus {
    /// It runs or waits.
    Running,
    /// It ended well.
    Complete,
    /// It failed.
    Error,
}

/// One tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolCall {
    /// Call id.
    pub id: String,
    /// Tool name.
    pub name: String,
    /// Sanitized input.
    pub input: JsonObject,
    /// State.
    pub status: ToolStatus,
    /// Sanitized output; present and null is not the same as absent.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub output: Option<Value>,
    /// Files of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Attachment>>,
    /// Agent that called.
    #[serde(default)]
    pub agent: Option<String>,
    /// Runtime session that called, for sub-agents.
    #[serde(default)]
    pub source_session_id: Option<String>,
    /// Sequence of the first event of this call.
    pub order: JsNumber,
    /// Additive: why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Additive: the exact action in one line, only secrets removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Additive: ISO-8601 of the first and the terminal event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Additive: see `started_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// State of a sub-agent run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// It hasn't begun.
    Queued,
    /// It runs.
    Running,
    /// It ended well.
    Complete,
    /// It failed.
    Error,
}

/// One sub-agent run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRun {
    /// `child:<runtime session>`.
    pub id: String,
    /// What it was asked to do.
    pub title: String,
    /// Its agent.
    pub agent: Option<String>,
    /// State.
    pub status: TaskStatus,
    /// Its runtime session.
    pub source_session_id: Option<String>,
    /// The runtime session that started it.
    #[serde(default)]
    pub parent_session_id: Option<String>,
    /// Its text: the transcript joined with blank lines.
    pub content: String,
    /// Pieces `{id, content, order}`; foreign views may hold anything here.
    pub transcript: Vec<Value>,
    /// Reasoning pieces of foreign views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Vec<Value>>,
    /// Its tool calls.
    pub tool_calls: Vec<ToolCall>,
    /// Compaction notices of foreign views.
    pub compactions: Vec<Value>,
    /// Its todo list.
    pub todos: Vec<Todo>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its cost, USD.
    pub session_cost: JsNumber,
    /// Its tokens.
    pub session_tokens: Tokens,
    /// Sequence of its first event.
    pub order: JsNumber,
    /// ISO-8601.
    #[serde(default)]
    pub started_at: Option<String>,
    /// ISO-8601.
    #[serde(default)]
    pub finished_at: Option<String>,
}

/// An approval that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    /// Ask id.
    pub id: String,
    /// The product session.
    pub session_id: String,
    /// The runtime session that asks, for sub-agents.
    #[serde(default)]
    pub source_session_id: Option<String>,
    /// The sub-agent run that asks.
    #[serde(default)]
    pub task_run_id: Option<String>,
    /// Tool or permission name.
    pub tool: String,
    /// Sanitized input.
    pub input: JsonObject,
    /// One line for people.
    pub description: String,
    /// Sequence of the ask.
    pub order: JsNumber,
    /// Additive: the exact action, only secrets removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Additive: the patterns that the runtime matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Vec<String>>,
    /// Additive: the tool call that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Additive: ISO-8601 of the ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<String>,
}

/// An approval that was answered or withdrawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedApproval {
    /// Ask id.
    pub id: String,
    /// The product session.
    pub session_id: String,
    /// The sub-agent run that asked.
    pub task_run_id: Option<String>,
    /// Tool or permission name.
    pub tool: String,
    /// One line for people.
    pub description: String,
    /// True: allowed once.
    pub allowed: bool,
    /// Sequence of the answer.
    pub order: JsNumber,
    /// ISO-8601.
    pub resolved_at: String,
    /// Additive: the exact action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Additive: why it was denied or withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Additive: the tool call that waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// One option of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuestionOption {
    /// What is chosen.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// One question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuestionPrompt {
    /// Short heading.
    pub header: String,
    /// The question.
    pub question: String,
    /// Choices.
    pub options: Vec<QuestionOption>,
    /// Several choices allowed.
    #[serde(default)]
    pub multiple: bool,
    /// A free answer is allowed.
    #[serde(default)]
    pub custom: bool,
}

/// The tool call behind a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuestionTool {
    /// Message of the call.
    pub message_id: String,
    /// Call id.
    pub call_id: String,
}

/// A question that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingQuestion {
    /// Ask id.
    pub id: String,
    /// The product session.
    pub session_id: String,
    /// The runtime session that asks, for sub-agents.
    #[serde(default)]
    pub source_session_id: Option<String>,
    /// The questions.
    pub questions: Vec<QuestionPrompt>,
    /// The tool call behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<QuestionTool>,
    /// Additive: sequence of the ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<JsNumber>,
}

/// A question that was answered or dismissed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedQuestion {
    /// Ask id.
    pub id: String,
    /// The product session.
    pub session_id: String,
    /// The runtime session that asked.
    pub source_session_id: Option<String>,
    /// The questions.
    pub questions: Vec<QuestionPrompt>,
    /// The answers, as given.
    pub answers: Vec<Value>,
    /// True: dismissed or withdrawn.
    pub rejected: bool,
    /// Sequence of the answer.
    pub order: JsNumber,
    /// ISO-8601.
    pub resolved_at: String,
}

/// A deliverable. Fields marked optional in 01 §5.6 vanish when an update omits them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionArtifact {
    /// Artifact id.
    pub id: String,
    /// Producing call.
    pub tool_id: String,
    /// Producing tool.
    pub tool_name: String,
    /// A path or a `cloud-artifact://` URL.
    pub file_path: String,
    /// Display name.
    pub filename: String,
    /// Place in the timeline.
    pub order: JsNumber,
    /// Always `cloud` in this view.
    pub source: String,
    /// Same as `id`.
    pub cloud_artifact_id: String,
    /// Producing sub-agent run.
    pub task_run_id: Option<String>,
    /// MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<JsNumber>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// `document chart deck spreadsheet draft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `draft in-review final`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Authoring agent.
    pub author_agent_id: Option<String>,
    /// Project.
    pub project_id: Option<String>,
    /// Task of the project.
    pub task_id: Option<String>,
    /// Who moved the status.
    pub status_updated_by: Option<String>,
    /// When.
    pub status_updated_at: Option<String>,
}

/// One todo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Todo {
    /// What is to be done.
    pub content: String,
    /// `pending`, `in_progress`, `completed`, `cancelled` or any other word.
    pub status: String,
    /// `high`, `medium`, `low` or any other word.
    pub priority: String,
    /// Id, if the runtime gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewError {
    /// Error id.
    pub id: String,
    /// The product session.
    pub session_id: Option<String>,
    /// What failed.
    pub message: String,
    /// Sequence.
    pub order: JsNumber,
}

/// Token sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// Prompt tokens, cached ones excluded.
    pub input: JsNumber,
    /// Answer tokens.
    pub output: JsNumber,
    /// Reasoning tokens.
    pub reasoning: JsNumber,
    /// Tokens read from a cache.
    pub cache_read: JsNumber,
    /// Tokens written to a cache.
    pub cache_write: JsNumber,
}

/// Where an imported thread came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// `local-session-import`.
    pub kind: String,
    /// Digest of the source.
    pub source_fingerprint: String,
    /// ISO-8601.
    pub imported_at: String,
    /// Numbers of imported things.
    pub item_counts: JsonObject,
}

/// A bound source (01 §3.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum ProjectSource {
    /// A git repository.
    Git {
        /// Clone URL.
        repository_url: String,
        /// Branch, tag or commit.
        #[serde(rename = "ref")]
        reference: Option<String>,
        /// Folder inside the repository.
        subdirectory: Option<String>,
        /// Name of a stored credential.
        credential_ref: Option<String>,
    },
    /// An uploaded snapshot.
    Snapshot {
        /// Snapshot id.
        snapshot_id: String,
        /// Object-store key.
        object_key: String,
        /// Files in it.
        file_count: JsNumber,
        /// Bytes in it.
        byte_count: JsNumber,
        /// Display title.
        title: Option<String>,
    },
}

/// Keeps "present and null" apart from "absent".
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
