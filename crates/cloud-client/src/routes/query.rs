//! Queries that are only written, never read by a cloud as a whole.

use serde::Serialize;

/// How much of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageQuery {
    /// Rows; the route's own default when absent.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Which members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MembersQuery {
    /// Part of the address or the name.
    pub q: Option<String>,
    /// Rows, at most 500.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditQuery {
    /// Who did it.
    pub actor_id: Option<String>,
    /// `user api_token system`.
    pub actor_type: Option<String>,
    /// Beginning of the event type.
    pub action: Option<String>,
    /// Kind of what it was done to.
    pub target_type: Option<String>,
    /// Id of what it was done to.
    pub target_id: Option<String>,
    /// `success failure denied`.
    pub result: Option<String>,
    /// ISO-8601: not before.
    pub from: Option<String>,
    /// ISO-8601: before.
    pub to: Option<String>,
    /// Rows, at most 500.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Which bindings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingsQuery {
    /// Of this coworker.
    pub agent_id: Option<String>,
    /// Rows.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Which people of channels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentitiesQuery {
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// With this role.
    pub role: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Rows.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// A chat, as its provider names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatQuery {
    /// The provider.
    pub provider: String,
    /// Its workspace.
    pub external_workspace_id: Option<String>,
    /// Its chat.
    pub external_chat_id: String,
    /// Its thread in the chat.
    pub external_thread_id: String,
}

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryListQuery {
    /// This one.
    pub delivery_id: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Of this binding.
    pub channel_binding_id: Option<String>,
    /// Rows, at most 200.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}
