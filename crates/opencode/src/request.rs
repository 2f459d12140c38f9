//! What calls take (docs/contract/08-opencode.md §6).

use serde::Serialize;

/// A new session. Everything may be left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewSession {
    /// Title; without one OpenCode asks the small model for it at the first prompt (§3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Rules after those of the agent and the configuration; the last match wins (§11).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permission: Vec<PermissionRule>,
    /// Parent session; OpenCode doesn't check that it exists (§4.3).
    #[serde(rename = "parentID", skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// One permission rule (§11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionRule {
    /// Permission name: a tool, `edit`, `external_directory`, `doom_loop`, …
    pub permission: String,
    /// Wildcard pattern.
    pub pattern: String,
    /// What happens on a match.
    pub action: RuleAction,
}

/// What a permission rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Runs without asking.
    Allow,
    /// Never runs; with the pattern `*` the tool isn't even offered (§9.14).
    Deny,
    /// Asks.
    Ask,
}

/// A provider and one of its models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelChoice {
    /// Provider id.
    #[serde(rename = "providerID")]
    pub provider: String,
    /// Model id.
    #[serde(rename = "modelID")]
    pub model: String,
}

/// A prompt for [`prompt_async`](crate::OpenCodeRuntime::prompt_async).
///
/// Agent and model must be checked before: OpenCode accepts unknown ones with 204 and fails later (§4.3).
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Starts with `msg`. **Not idempotent:** a repeated id appends the parts to the message that has it and starts
    /// no answer (§6). Look the message up before sending again.
    pub message_id: String,
    /// One text part each.
    pub texts: Vec<String>,
    /// Agent of this turn.
    pub agent: Option<String>,
    /// Model of this turn.
    pub model: Option<ModelChoice>,
    /// Appended to the system prompt of this turn.
    pub system: Option<String>,
}

impl Prompt {
    /// A prompt of one text, with the session's agent and model.
    pub fn text(message_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            message_id: message_id.into(),
            texts: vec![text.into()],
            agent: None,
            model: None,
            system: None,
        }
    }
}

/// Answer to a permission. There is no `always`: in OpenCode it would hold for every session of the directory and be
/// forgotten at restart, so lasting grants belong to the product (§11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Allows this one call.
    Once,
    /// Denies it, and with it **every** pending permission of the session (§9.3).
    Reject {
        /// With a message the turn goes on and the model reads it; without one the turn ends.
        message: Option<String>,
    },
}
