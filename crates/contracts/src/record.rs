//! Durable records (01 §3): sessions, workspace events, projections. Session events: [`crate::session_event`].

pub use crate::session_event::SessionEventRecord;
use crate::view::{ProjectSource, View};
use crate::{EventId, EventType, JsonObject, RuntimeSessionId, SessionId, TenantId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stored status of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// Nothing runs.
    #[default]
    Idle,
    /// A turn runs.
    Running,
    /// Archived; never produced by an event.
    Closed,
    /// The last turn failed.
    Errored,
}

impl SessionStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionStatus::Idle => "idle",
            SessionStatus::Running => "running",
            SessionStatus::Closed => "closed",
            SessionStatus::Errored => "errored",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<SessionStatus> {
        Some(match name {
            "idle" => SessionStatus::Idle,
            "running" => SessionStatus::Running,
            "closed" => SessionStatus::Closed,
            "errored" => SessionStatus::Errored,
            _ => return None,
        })
    }
}

/// A thread (01 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Owner's tenant.
    #[serde(default)]
    pub tenant_id: TenantId,
    /// Owner.
    #[serde(default)]
    pub user_id: UserId,
    /// Our id.
    pub session_id: SessionId,
    /// OpenCode's id, empty until bound.
    #[serde(default)]
    pub opencode_session_id: RuntimeSessionId,
    /// The profile (set of policies) that the thread runs under.
    #[serde(default)]
    pub profile_name: String,
    /// Stored status.
    #[serde(default)]
    pub status: SessionStatus,
    /// Title, null until one is known.
    #[serde(default)]
    pub title: Option<String>,
    /// ISO-8601, UTC, milliseconds.
    #[serde(default)]
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    #[serde(default)]
    pub updated_at: String,
    /// Public summary of the bound source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_source: Option<ProjectSource>,
}

/// One row of a user's workspace stream (01 §3.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceEventRecord {
    /// Tenant of the user.
    pub tenant_id: TenantId,
    /// The user.
    pub user_id: UserId,
    /// The session that it is about, if any.
    pub session_id: Option<SessionId>,
    /// Idempotency id.
    pub event_id: EventId,
    /// Dense per (tenant, user), from 1.
    pub sequence: u64,
    /// `session`, `artifact` or `workspace`.
    pub entity_type: String,
    /// Id of that entity.
    pub entity_id: String,
    /// What was done to the entity.
    pub operation: Operation,
    /// Sequence of the session event that it stands for.
    pub projection_version: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The open payload.
    pub payload: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
}

/// What a workspace event did to its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is new.
    Create,
    /// It changed.
    Update,
    /// It is gone.
    Delete,
}

impl Operation {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }

    /// Derived from the words of the event type (01 §7.1 step 4).
    pub fn of(kind: &EventType) -> Operation {
        let mut words = kind.as_str().split(|c: char| !c.is_ascii_alphanumeric());
        words
            .find_map(|word| match word {
                "created" | "submitted" | "uploaded" | "started" => Some(Operation::Create),
                "deleted" | "removed" | "archived" => Some(Operation::Delete),
                _ => None,
            })
            .unwrap_or(Operation::Update)
    }
}

/// The stored projection of a thread (01 §3.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// Tenant of the session.
    #[serde(default)]
    pub tenant_id: TenantId,
    /// The session.
    pub session_id: SessionId,
    /// Sequence of the last event folded in.
    pub sequence: u64,
    /// The view.
    pub view: View,
    /// Creation time of that event.
    pub updated_at: String,
}

/// A thread as clients fetch it (01 §3.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnvelope {
    /// The row.
    pub session: Session,
    /// Its projection, null before the first event.
    pub projection: Option<Projection>,
}
