//! Fence tokens, checkpoints and verdicts (01 §8.1). Data only: validation and evaluation live in the
//! `projection` crate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of fences and checkpoints.
pub const SYNC_VERSION: u32 = 1;

/// What a fence is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FenceScope {
    /// One thread: needs `sessionId`.
    #[default]
    Session,
    /// One workspace: needs `workspaceId`.
    Workspace,
    /// One run of a workflow: needs `workflowId` and `runId`.
    WorkflowRun,
    /// One client: needs `clientId`.
    Client,
}

impl FenceScope {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FenceScope::Session => "session",
            FenceScope::Workspace => "workspace",
            FenceScope::WorkflowRun => "workflow-run",
            FenceScope::Client => "client",
        }
    }
}

/// The ids that a fence, a checkpoint or an automation event can carry. Only those of the scope identify it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncIds {
    /// Tenant; always part of the identity.
    pub tenant_id: String,
    /// Workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// Thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// Run of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// "I have seen at least this": what a command answers and a reader waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FenceToken {
    /// 1.
    pub version: u32,
    /// What it is about.
    pub scope: FenceScope,
    /// Which one.
    #[serde(flatten)]
    pub ids: SyncIds,
    /// The command that advanced the projection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// Event sequence to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Projection version to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection_version: Option<u64>,
    /// Checkpoint version to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_version: Option<u64>,
    /// ISO-8601.
    pub issued_at: String,
    /// ISO-8601; afterwards the fence is void, even when observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// How far a projection is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// 1.
    pub version: u32,
    /// What it is about.
    pub scope: FenceScope,
    /// Which one.
    #[serde(flatten)]
    pub ids: SyncIds,
    /// Sequence of the last event folded in.
    pub sequence: u64,
    /// Version of the projection.
    pub projection_version: u64,
    /// Version of the checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_version: Option<u64>,
    /// ISO-8601.
    pub updated_at: String,
}

/// The result of comparing a fence with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FenceCode {
    /// The checkpoint has reached the fence.
    #[serde(rename = "projection_fence_observed")]
    Observed,
    /// Not yet.
    #[serde(rename = "projection_fence_stale")]
    Stale,
    /// There is no checkpoint yet.
    #[serde(rename = "projection_fence_checkpoint_missing")]
    CheckpointMissing,
    /// The checkpoint is about something else.
    #[serde(rename = "projection_fence_identity_mismatch")]
    IdentityMismatch,
    /// The fence is void.
    #[serde(rename = "projection_fence_expired")]
    Expired,
    /// The budget of a wait is spent.
    #[serde(rename = "projection_fence_timeout")]
    Timeout,
}

impl FenceCode {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FenceCode::Observed => "projection_fence_observed",
            FenceCode::Stale => "projection_fence_stale",
            FenceCode::CheckpointMissing => "projection_fence_checkpoint_missing",
            FenceCode::IdentityMismatch => "projection_fence_identity_mismatch",
            FenceCode::Expired => "projection_fence_expired",
            FenceCode::Timeout => "projection_fence_timeout",
        }
    }

    /// True when waiting can help.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            FenceCode::Stale | FenceCode::CheckpointMissing | FenceCode::Timeout
        )
    }
}

/// Where a synchronisation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncErrorKind {
    /// The runtime.
    Runtime,
    /// The projection.
    Projection,
    /// The connection.
    Transport,
    /// The lease.
    Lease,
    /// A policy.
    Policy,
    /// Anything else.
    Unknown,
}

/// Why a synchronisation failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncError {
    /// Where.
    pub kind: SyncErrorKind,
    /// For programs.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// True when trying again can help.
    pub retryable: bool,
}

/// The answer to "has the projection reached this fence?".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FenceVerdict {
    /// True only for [`FenceCode::Observed`].
    pub ok: bool,
    /// The result.
    pub code: FenceCode,
    /// The fence.
    pub fence: FenceToken,
    /// The last checkpoint that was read.
    pub checkpoint: Option<Checkpoint>,
    /// Present when not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<SyncError>,
    /// Milliseconds spent waiting.
    pub waited_ms: u64,
}
