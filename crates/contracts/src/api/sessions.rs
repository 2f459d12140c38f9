//! Sessions, commands, their requests and answers (03 §8.3). The record is [`crate::record::Session`], the
//! view that most answers carry [`SessionEnvelope`].

use crate::api::lenient;
use crate::fence::FenceToken;
use crate::session_view::SessionView;
use crate::{CommandId, JsonObject, SessionId, SessionStatus, TenantId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::record::{Projection, Session, SessionEnvelope};

names! {
    /// What a command does to its session.
    CommandKind {
        /// Prompts; payload `{text, agent}`.
        Prompt = "prompt",
        /// Stops the turn; payload `{}`.
        Abort = "abort",
        /// Answers an approval; payload `{permissionId, response}`.
        PermissionRespond = "permission.respond",
        /// Answers a question; payload `{requestId, answers}`.
        QuestionReply = "question.reply",
        /// Dismisses a question; payload `{requestId}`.
        QuestionReject = "question.reject",
    }
    /// How far a command is (04 §2.4).
    CommandStatus {
        /// It waits for a worker.
        Pending = "pending",
        /// A worker has it.
        Running = "running",
        /// It was applied.
        Acked = "acked",
        /// It failed and is not tried again.
        Failed = "failed",
    }
}

/// A command given to a session (03 §8.3, 04 §2.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Its id; a global key, and the idempotency key of what it does.
    pub command_id: CommandId,
    /// Tenant of the session.
    pub tenant_id: TenantId,
    /// Who gave it.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// What it does.
    pub kind: CommandKind,
    /// Its arguments, by kind.
    pub payload: JsonObject,
    /// Only the worker with this lease may take it; null: any.
    pub target_lease_token: Option<String>,
    /// Its place in the session's queue, from 1.
    pub created_sequence: u64,
    /// ISO-8601.
    pub created_at: String,
    /// How far it is.
    pub status: CommandStatus,
    /// The worker that has it.
    pub claimed_by: Option<String>,
    /// The lease under which it has it.
    pub claimed_lease_token: Option<String>,
    /// How often it was taken.
    pub attempt_count: u32,
    /// ISO-8601: not to be taken before; null: at once.
    pub available_at: Option<String>,
    /// Why the last attempt ended, for programs.
    pub last_error_code: Option<String>,
    /// Why, for people: at most 512 characters, without secrets.
    pub last_error_summary: Option<String>,
    /// ISO-8601: when it was applied.
    pub acked_at: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What every mutation of a session answers with `202` (03 §8.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mutation {
    /// The command, as it is when the answer is written.
    pub command: Command,
    /// How many commands were applied before the answer: 0 or 1.
    pub processed: u64,
    /// The session afterwards. Left out under `Prefer: return=minimal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<SessionEnvelope>,
    /// What to wait for; null unless the command was applied before the answer and moved the view.
    pub projection_fence: Option<FenceToken>,
}

/// Query of `GET /api/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionsQuery {
    /// 1 to 500, 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before, made for the same filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only sessions with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionStatus>,
    /// Only sessions of this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// Part of the title, the ids or the profile, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

/// A page of sessions, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionsPage {
    /// `updatedAt` descending, then `sessionId` ascending.
    pub sessions: Vec<Session>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
    /// Bounded: at most the page's limit and one.
    pub total_estimate: u64,
}

/// Body of `POST /api/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateSession {
    /// Profile, kept verbatim; the server's when absent.
    #[serde(
        default,
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub profile_name: Option<String>,
    /// A git or snapshot source ([`crate::api::project_sources::ProjectSourceInput`]). Open here, since each wrong
    /// form has its own refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_source: Option<Value>,
}

/// Answer of `GET /api/sessions/:id/view`: the envelope and the shape that renderers read (01 §5.8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionViewAnswer {
    /// The row.
    pub session: Session,
    /// Its projection, null before the first event.
    pub projection: Option<Projection>,
    /// The view for renderers.
    pub view: SessionView,
}

/// Answer of `GET /api/sessions/:id/projection-status` (01 §7.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionStatus {
    /// The session.
    pub session_id: SessionId,
    /// Events in its log: those that are retained.
    pub event_count: u64,
    /// Sequence of the last, 0 in an empty log.
    pub latest_event_sequence: u64,
    /// Sequence that the projection is at.
    pub projection_sequence: u64,
    /// Events that the projection lacks.
    pub lag: u64,
    /// ISO-8601, null without a projection.
    pub projection_updated_at: Option<String>,
    /// Additive: events up to here were removed by retention; absent while the log is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sequence: Option<u64>,
}

/// Answer of `POST /api/sessions/:id/projection-repair` (01 §7.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionRepair {
    /// True when the projection moved.
    pub repaired: bool,
    /// Events folded.
    pub event_count: u64,
    /// Workspace events that were missing and are there now.
    pub workspace_event_count: u64,
    /// Sequence of the last event.
    pub latest_event_sequence: u64,
    /// Where the projection was.
    pub prior_projection_sequence: u64,
    /// Where it is.
    pub projection_sequence: u64,
    /// Events that it lacks now.
    pub lag: u64,
    /// Additive: the log was folded from its state here, since retention removed the events up to it; absent while the
    /// log is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sequence: Option<u64>,
}

/// Body of `POST /api/sessions/:id/prompt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptRequest {
    /// What to say; not blank.
    #[serde(deserialize_with = "lenient::required_text")]
    pub text: String,
    /// The agent to say it to; `build` when absent.
    #[serde(
        default,
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub agent: Option<String>,
}

/// Body of `POST /api/sessions/:id/abort`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbortRequest {}

/// Body of `POST /api/sessions/:id/question-reply`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuestionReply {
    /// The ask.
    #[serde(deserialize_with = "lenient::required_text")]
    pub request_id: String,
    /// One answer per question: a list of labels, or text.
    pub answers: Vec<Value>,
}

/// Body of `POST /api/sessions/:id/question-reject`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuestionReject {
    /// The ask.
    #[serde(deserialize_with = "lenient::required_text")]
    pub request_id: String,
}

/// Body of `POST /api/sessions/:id/permission-respond`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionRespond {
    /// The ask.
    #[serde(deserialize_with = "lenient::required_text")]
    pub permission_id: String,
    /// `true`, `{"allowed":true}`, `"allow"` and `"once"` allow once; everything else denies. Absent denies too.
    #[serde(default)]
    pub response: Value,
}

impl PermissionRespond {
    /// The answer of a person.
    pub fn new(permission_id: impl Into<String>, allowed: bool) -> Self {
        PermissionRespond {
            permission_id: permission_id.into(),
            response: serde_json::json!({ "allowed": allowed }),
        }
    }

    /// True when the answer allows, once.
    pub fn allows(&self) -> bool {
        response_allows(&self.response)
    }
}

/// True for the answers that allow (03 §8.3); everything else denies.
pub fn response_allows(response: &Value) -> bool {
    match response {
        Value::Bool(allowed) => *allowed,
        Value::String(word) => matches!(word.as_str(), "allow" | "once"),
        Value::Object(object) => object.get("allowed") == Some(&Value::Bool(true)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_keeps_its_nulls_on_the_wire() {
        let wire = json!({
            "commandId": "c0ffee00-0000-4000-8000-000000000001", "tenantId": "acme", "userId": "u1",
            "sessionId": "s1", "kind": "prompt", "payload": {"text": "hello", "agent": "build"},
            "targetLeaseToken": null, "createdSequence": 4, "createdAt": "2026-01-02T03:04:05.000Z",
            "status": "pending", "claimedBy": null, "claimedLeaseToken": null, "attemptCount": 0,
            "availableAt": null, "lastErrorCode": null, "lastErrorSummary": null, "ackedAt": null, "error": null,
        });
        let command: Command = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(serde_json::to_string(&command).unwrap(), wire.to_string());
    }

    #[test]
    fn only_four_answers_allow() {
        for yes in [
            json!(true),
            json!("allow"),
            json!("once"),
            json!({"allowed": true}),
        ] {
            assert!(response_allows(&yes), "{yes}");
        }
        for no in [
            json!(false),
            json!("always"),
            json!("ALLOW"),
            json!({"allowed": "true"}),
            json!({"allow": true}),
            json!(1),
            json!([true]),
            json!(null),
        ] {
            assert!(!response_allows(&no), "{no}");
        }
    }

    #[test]
    fn an_answer_that_is_absent_denies() {
        let body: PermissionRespond = serde_json::from_value(json!({"permissionId": "p"})).unwrap();
        assert!(!body.allows());
        assert!(PermissionRespond::new("p", true).allows());
        assert!(!PermissionRespond::new("p", false).allows());
    }

    #[test]
    fn a_blank_prompt_is_refused() {
        assert!(serde_json::from_value::<PromptRequest>(json!({"text": "  "})).is_err());
        assert!(serde_json::from_value::<PromptRequest>(json!({"text": ["hi"]})).is_err());
    }
}
