//! The audit log (03 §8.17, 04 §2.11).

use crate::{AccountId, JsonObject, OrgId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// Who did it.
    AuditActor {
        /// A person.
        User = "user",
        /// A token.
        ApiToken = "api_token",
        /// The cloud itself.
        System = "system",
    }
    /// How it ended; kept as `metadata.result`.
    AuditResult {
        /// Done.
        Success = "success",
        /// Tried.
        Failure = "failure",
        /// Refused.
        Denied = "denied",
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Idempotency id.
    pub event_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// Who it counts for.
    pub account_id: Option<AccountId>,
    /// Kind of actor.
    pub actor_type: AuditActor,
    /// Which one.
    pub actor_id: Option<String>,
    /// What happened, such as `api_token.created`.
    pub event_type: String,
    /// Kind of what it happened to.
    pub target_type: Option<String>,
    /// Which one.
    pub target_id: Option<String>,
    /// Redacted: no secret, no nested object.
    pub metadata: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
}

/// `GET /api/admin/audit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvents {
    /// Newest first.
    pub events: Vec<AuditEvent>,
    /// Cursor of the next page.
    pub next_cursor: Option<String>,
}
