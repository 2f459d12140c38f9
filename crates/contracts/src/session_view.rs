//! `SessionView`: the shape that renderers of the wire read (01 §5.8).

use crate::JsNumber;
use crate::view::{
    PendingApproval, PendingQuestion, Role, SessionArtifact, TaskRun, Todo, Tokens, ToolCall,
    ViewError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known about the model's context window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContextState {
    /// Nothing yet.
    #[default]
    Idle,
    /// Its size was reported.
    Measured,
    /// It is being compacted.
    Compacting,
    /// It was compacted.
    Compacted,
}

/// One visible message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionMessage {
    /// Message id.
    pub id: String,
    /// `user` or `assistant`.
    pub role: Role,
    /// The whole text.
    pub content: String,
    /// Files that came with it; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// 1-based place in the stored list, hidden messages counted.
    pub order: JsNumber,
}

/// One thread as a renderer shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Messages of the user and the assistant.
    pub messages: Vec<SessionMessage>,
    /// Tool calls of the root agent.
    pub tool_calls: Vec<ToolCall>,
    /// Sub-agent runs.
    pub task_runs: Vec<TaskRun>,
    /// Compaction notices; empty from a projection.
    pub compactions: Vec<Value>,
    /// Approvals that wait.
    pub pending_approvals: Vec<PendingApproval>,
    /// Questions that wait.
    pub pending_questions: Vec<PendingQuestion>,
    /// Deliverables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<SessionArtifact>>,
    /// Errors.
    pub errors: Vec<ViewError>,
    /// The todo list.
    pub todos: Vec<Todo>,
    /// Derived todo list of sub-agent runs; empty from a projection.
    pub execution_plan: Vec<Todo>,
    /// Sum of costs, USD.
    pub session_cost: JsNumber,
    /// Sum of tokens.
    pub session_tokens: Tokens,
    /// Input tokens of the last settlement.
    pub last_input_tokens: JsNumber,
    /// State of the context window; idle from a projection.
    pub context_state: ContextState,
    /// Number of compactions; 0 from a projection.
    pub compaction_count: u64,
    /// ISO-8601 or null.
    pub last_compacted_at: Option<String>,
    /// Agent at work; null from a projection.
    pub active_agent: Option<String>,
    /// True after a tool; false from a projection.
    pub last_item_was_tool: bool,
    /// Sequence of the projection.
    pub revision: JsNumber,
    /// Sequence of the projection.
    pub last_event_at: JsNumber,
    /// The assistant works and nobody is asked (01 §5.4).
    pub is_generating: bool,
    /// An approval waits.
    pub is_awaiting_permission: bool,
    /// A question waits.
    pub is_awaiting_question: bool,
}
