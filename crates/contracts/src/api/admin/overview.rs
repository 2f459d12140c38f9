//! What an organisation may do on this deployment: `GET /api/admin` and `/api/admin/policy` (03 §8.17).

use crate::{OrgId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

names! {
    /// Who may join (03 §6.9).
    SignupMode {
        /// Existing active members only.
        Disabled = "disabled",
        /// Who was invited.
        Invite = "invite",
        /// Who has an address of an allowed domain.
        Domain = "domain",
        /// Anybody whom the identity provider knows.
        Open = "open",
    }
    /// Whether approvals may be answered from elsewhere.
    RemoteApprovals {
        /// No.
        Disabled = "disabled",
        /// By the people of the allow-list.
        Allowlisted = "allowlisted",
    }
    /// A switch in words.
    Availability {
        /// On.
        Enabled = "enabled",
        /// Off.
        Disabled = "disabled",
    }
}

/// `GET /api/admin`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminOverviewAnswer {
    /// The overview.
    pub policy: AdminOverview,
}

/// What an organisation may do on this deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminOverview {
    /// The organisation.
    pub org: OverviewOrg,
    /// Who may join.
    pub signup: OverviewSignup,
    /// The profile of this deployment.
    pub profile: OverviewProfile,
    /// Its features.
    pub features: BTreeMap<String, bool>,
    /// Its agents; null: all.
    pub allowed_agents: Option<Vec<String>>,
    /// Its tools; null: all.
    pub allowed_tools: Option<Vec<String>>,
    /// Its MCP servers; null: all.
    pub allowed_mcps: Option<Vec<String>>,
    /// What the runtime may take from its machine.
    pub runtime: OverviewRuntime,
    /// Project sources.
    pub project_sources: serde_json::Value,
    /// Ways in from chat channels.
    pub gateway: OverviewGateway,
    /// Own provider keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_keys: Option<OverviewProviderKeys>,
}

/// The organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverviewOrg {
    /// Id.
    pub org_id: OrgId,
    /// Tenant.
    pub tenant_id: TenantId,
    /// Name for people.
    pub name: String,
    /// Plan.
    pub plan_key: Option<String>,
    /// Status.
    pub status: String,
}

/// Who may join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverviewSignup {
    /// Mode.
    pub mode: SignupMode,
    /// People may make their own membership.
    pub allow_self_service_signup: bool,
    /// For the mode `domain`.
    pub allowed_email_domains: Vec<String>,
    /// People can be invited.
    pub invites_enabled: bool,
}

/// The profile of this deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverviewProfile {
    /// Key.
    pub name: String,
    /// Name for people.
    pub label: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// What the runtime may take from its machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverviewRuntime {
    /// Always `app`.
    pub config_source: String,
    /// The machine's own configuration.
    pub machine_runtime_config: Availability,
    /// MCP servers over standard input.
    pub local_stdio_mcps: Availability,
    /// Folders of the host.
    pub host_project_directories: Availability,
    /// Approvals from elsewhere.
    pub remote_approval_responses: RemoteApprovals,
}

/// Ways in from chat channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverviewGateway {
    /// Channels.
    pub channels_enabled: bool,
    /// Webhooks.
    pub webhooks_enabled: bool,
}

/// Own provider keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverviewProviderKeys {
    /// Null: any.
    pub allowed_provider_ids: Option<Vec<String>>,
    /// References to a key service may be stored.
    pub kms_refs_enabled: bool,
    /// Some prefix of such references is allowed.
    pub kms_ref_prefixes_configured: bool,
    /// References to the server's environment may be stored.
    pub env_refs_enabled: bool,
}
