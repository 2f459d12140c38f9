//! Workspaces as lists show them, and what may be done in them (07 §2.3).

use crate::authority::{
    AuthorityContext, CredentialStatus, ExecutionAuthority, ReasonCode, SupportStatus,
    WorkspaceKind, WorkspaceStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workspace as lists show it. Never carries a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceInfo {
    /// Workspace id (07 §2.4).
    pub id: String,
    /// Kind.
    pub kind: WorkspaceKind,
    /// Who executes its threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<ExecutionAuthority>,
    /// Display name.
    pub label: String,
    /// Whether it can be used now.
    pub status: WorkspaceStatus,
    /// True for the one in use.
    pub active: bool,
    /// Tenant, for clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// User, for clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Normalised URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<String>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only for gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_credential_status: Option<CredentialStatus>,
}

/// Whether something of this machine may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalAccess {
    /// It may.
    Enabled,
    /// It may not.
    Disabled,
    /// Only what a list names.
    Allowlisted,
}

/// What a workspace allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspacePolicy {
    /// Switches by name.
    pub features: BTreeMap<String, bool>,
    /// Null: any; `[]`: none.
    pub allowed_agents: Option<Vec<String>>,
    /// Null: any; `[]`: none.
    pub allowed_tools: Option<Vec<String>>,
    /// Null: any; `[]`: none.
    pub allowed_mcps: Option<Vec<String>>,
    /// Local files.
    pub local_files: LocalAccess,
    /// MCP servers started as processes.
    pub local_stdio_mcps: LocalAccess,
    /// The machine's own runtime configuration.
    pub machine_runtime_config: LocalAccess,
}

/// Whether one action is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceActionVerdict {
    /// True: go ahead.
    pub allowed: bool,
    /// One sentence, null when allowed.
    pub reason: Option<String>,
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_code: Option<String>,
    /// Additive: always a code of the closed list when the action isn't allowed, also where the wire's
    /// `policyCode` is a status or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<ReasonCode>,
}

/// Whether one API of a workspace is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceApiSupport {
    /// Name of the API.
    pub api: String,
    /// Whether it is there.
    pub status: SupportStatus,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<WorkspaceActionVerdict>,
    /// Under which authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<AuthorityContext>,
}
