//! What OpenCode's classic routes and events carry (docs/contract/08-opencode.md §6, §8). Fields that we
//! don't name are kept in `extra`, so that a decoded value encodes to an equal JSON value.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Unknown fields of an object, in their order.
pub type Extra = Map<String, Value>;

/// A session (§6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// `ses_…`.
    pub id: String,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The session that started this one.
    #[serde(rename = "parentID", default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The prompt.
    User,
    /// The model.
    Assistant,
}

/// Times in milliseconds since 1970. Any of them may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<serde_json::Number>,
    /// Last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<serde_json::Number>,
    /// End of an assistant message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<serde_json::Number>,
    /// Start of a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<serde_json::Number>,
    /// End of a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<serde_json::Number>,
    /// The rest.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A structured error (§8): `{name, data}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// `APIError`, `MessageAbortedError`, …
    pub name: String,
    /// `message` and more; may hold provider headers and bodies: never forward it whole.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// The rest.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A message without its parts (§6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageInfo {
    /// `msg_…`.
    pub id: String,
    /// Its session.
    #[serde(rename = "sessionID")]
    pub session_id: String,
    /// Who wrote it.
    pub role: Role,
    /// The prompt that an answer belongs to.
    #[serde(rename = "parentID", default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Why an answer ended: `stop`, `tool-calls`, `length`, `content-filter`, `unknown`, `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Why an answer failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// `true` on the answer that holds a compaction's summary; an object on prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Value>,
    /// Times.
    #[serde(default)]
    pub time: Times,
    /// The rest (model, cost, tokens, …).
    #[serde(flatten)]
    pub extra: Extra,
}

impl MessageInfo {
    /// True for the answer that holds a compaction's summary.
    pub fn is_summary(&self) -> bool {
        self.summary == Some(Value::Bool(true))
    }
}

/// A part of a message: its three ids and what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `prt_…`.
    pub id: String,
    /// Its session.
    #[serde(rename = "sessionID")]
    pub session_id: String,
    /// Its message.
    #[serde(rename = "messageID")]
    pub message_id: String,
    /// What it is.
    #[serde(flatten)]
    pub body: PartBody,
}

/// What a part is (§6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "tool calls are the bulk of the parts: a box would only cost"
)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum PartBody {
    /// Text of a prompt or an answer.
    Text {
        /// The text; empty while it streams.
        text: String,
        /// Made by OpenCode, not by the user or the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        synthetic: Option<bool>,
        /// Not sent to the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ignored: Option<bool>,
        /// `end` is set when the text is final.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<Times>,
        /// The rest.
        #[serde(flatten)]
        extra: Extra,
    },
    /// Thinking.
    Reasoning {
        /// The text; empty while it streams.
        text: String,
        /// `end` is set when it is final.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<Times>,
        /// The rest.
        #[serde(flatten)]
        extra: Extra,
    },
    /// A tool call. The name of one part may change to `invalid`.
    Tool {
        /// Tool name.
        tool: String,
        /// Call id, from the model.
        #[serde(rename = "callID")]
        call_id: String,
        /// State.
        state: ToolState,
        /// The rest.
        #[serde(flatten)]
        extra: Extra,
    },
    /// End of a model call.
    StepFinish {
        /// Finish reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// USD.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<serde_json::Number>,
        /// `{input, output, reasoning, cache{read, write}}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<Value>,
        /// The rest.
        #[serde(flatten)]
        extra: Extra,
    },
    /// Start of a model call.
    StepStart {
        /// The rest.
        #[serde(flatten)]
        extra: Extra,
    },
    /// A compaction marker on a prompt.
    Compaction {
        /// The rest (`auto`, `overflow`).
        #[serde(flatten)]
        extra: Extra,
    },
    /// Anything else: file, patch, agent, subtask, retry, snapshot, later kinds.
    #[serde(untagged)]
    Other(Extra),
}

/// State of a tool call (§6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolState {
    /// `pending`, `running`, `completed`, `error`.
    pub status: String,
    /// Arguments, `{}` while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Final output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Tool's own details; a `task` has `sessionId` here, a running `bash` its cumulative `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The rest (`title`, `time`, `raw`, `attachments`).
    #[serde(flatten)]
    pub extra: Extra,
}

/// Status of a session (§8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusInfo {
    /// `busy`, `idle`, `retry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rest (`attempt`, `message`, `next`).
    #[serde(flatten)]
    pub extra: Extra,
}

/// The tool call behind an ask.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolRef {
    /// Message of the call.
    #[serde(rename = "messageID")]
    pub message_id: String,
    /// Call id.
    #[serde(rename = "callID")]
    pub call_id: String,
    /// The rest.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A pending permission (§8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermissionRequest {
    /// `per_…`.
    pub id: String,
    /// The session that asks, possibly a child.
    #[serde(rename = "sessionID")]
    pub session_id: String,
    /// Permission name.
    pub permission: String,
    /// What exactly it wants.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// Tool's details.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The call that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolRef>,
    /// The rest (`always`).
    #[serde(flatten)]
    pub extra: Extra,
}

/// A pending question (§8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionRequest {
    /// `que_…`.
    pub id: String,
    /// The session that asks, possibly a child.
    #[serde(rename = "sessionID")]
    pub session_id: String,
    /// `{question, header, options, multiple?, custom?}` each.
    #[serde(default)]
    pub questions: Vec<Value>,
    /// The call that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolRef>,
    /// The rest.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A message with its parts, as `GET /session/{id}/message` lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageWithParts {
    /// The message.
    pub info: MessageInfo,
    /// Its parts in order.
    pub parts: Vec<Part>,
}
