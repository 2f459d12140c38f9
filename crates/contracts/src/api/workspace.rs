//! Config, workspace, runtime status, health (03 §4, §8.1).

use crate::access::BuiltInRole;
use crate::workspace::WorkspacePolicy;
use crate::{JsonObject, TenantId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

names! {
    /// What a process of the cloud does (04 §3.1).
    ProcessRole {
        /// Everything.
        AllInOne = "all-in-one",
        /// Serves the API.
        Web = "web",
        /// Runs threads.
        Worker = "worker",
        /// Starts what is due.
        Scheduler = "scheduler",
    }
    /// How commands of this process reach a worker.
    CommandProcessing {
        /// Applied by the process that answers.
        Inline = "inline",
        /// This process is a worker and takes them from the queue.
        Durable = "durable",
        /// Another process takes them from the queue.
        Delegated = "delegated",
    }
    /// Result of one readiness check.
    CheckStatus {
        /// It works.
        Ok = "ok",
        /// It doesn't.
        Error = "error",
    }
    /// What the progress watchdog does (01 §14).
    WatchdogMode {
        /// Nothing.
        Off = "off",
        /// Reports.
        Observe = "observe",
        /// Reports and acts.
        Enforce = "enforce",
    }
    /// Whether the watchdog's settings were understood.
    WatchdogConfigStatus {
        /// They were.
        Valid = "valid",
        /// They were not; it is off.
        Invalid = "invalid",
        /// They were, and ask for more than may be; it is off.
        Gated = "gated",
    }
}

/// Answer of `GET /api/config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudConfig {
    /// What the answering process does.
    pub role: ProcessRole,
    /// The profile that applies.
    pub profile_name: String,
    /// Switches by name; missing means off.
    pub features: BTreeMap<String, bool>,
    /// Null: any; `[]`: none.
    pub allowed_agents: Option<Vec<String>>,
    /// Null: any; `[]`: none.
    pub allowed_tools: Option<Vec<String>>,
    /// Null: any; `[]`: none.
    pub allowed_mcps: Option<Vec<String>>,
    /// The managed policy as it applies ([`crate::api::policy`]), as an open object.
    pub managed_policy: JsonObject,
    /// How the product calls itself, null without a brand.
    pub public_branding: Option<PublicBranding>,
}

/// The brand as anyone may see it. All values are text; URLs are https (support may be mailto).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicBranding {
    /// Name of the product.
    pub product_name: String,
    /// Short name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_name: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// Icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub favicon_url: Option<String>,
    /// Picture for link previews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub og_image_url: Option<String>,
    /// Help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
    /// Privacy notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_url: Option<String>,
    /// Security contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_url: Option<String>,
    /// Legal notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_url: Option<String>,
    /// Design tokens by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<BTreeMap<String, String>>,
    /// Texts of the dashboard: `title subtitle signInTitle signInBody byokDescription connectionsDescription
    /// gatewayDescription billingDescription usageDescription`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<BTreeMap<String, String>>,
    /// Labels: `desktopToken gatewayToken apiToken cloudUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_org_connection_labels: Option<BTreeMap<String, String>>,
}

/// Answer of `GET /api/workspace`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWorkspace {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its name.
    pub tenant_name: Option<String>,
    /// The organisation; normally equal to the tenant.
    pub org_id: String,
    /// Its name.
    pub org_name: String,
    /// Who asks.
    pub user_id: UserId,
    /// Their account.
    pub account_id: String,
    /// Their address.
    pub email: String,
    /// Their role.
    pub role: BuiltInRole,
    /// The profile that applies.
    pub profile_name: String,
    /// What may be done here.
    pub policy: WorkspacePolicy,
    /// Additive: `cloud:<tenantId>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// Additive: display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// One loop of one process, as it last reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// The loop: in `all-in-one`, `all-in-one-worker` and `all-in-one-scheduler`.
    pub worker_id: String,
    /// What it does.
    pub role: ProcessRole,
    /// Sessions whose lease it holds.
    pub active_session_ids: Vec<String>,
    /// ISO-8601.
    pub last_seen_at: String,
}

/// Answer of `GET /api/workers/heartbeats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeats {
    /// One per loop.
    pub heartbeats: Vec<Heartbeat>,
}

/// Answer of `GET /api/runtime/status`. People who aren't operators read it without `heartbeats` and with `ready`
/// (03 §11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudRuntimeStatus {
    /// What the answering process does.
    pub role: ProcessRole,
    /// The profile that applies.
    pub profile_name: String,
    /// True when this process runs threads.
    pub can_execute: bool,
    /// How commands reach a worker.
    pub command_processing: CommandProcessing,
    /// True when runtimes are checkpointed.
    pub checkpoints: bool,
    /// Loops of all processes; only for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeats: Option<Vec<Heartbeat>>,
    /// Additive: true when a prompt would be taken up now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}

/// Answer of `/livez`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Liveness {
    /// True.
    pub ok: bool,
    /// What the process does.
    pub role: ProcessRole,
    /// The profile that applies.
    pub profile_name: String,
}

/// One check of readiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    /// `control_plane object_store secret_adapter billing_adapter auth_config role_dependencies execution_isolation
    /// artifact_direct_upload`, or alone `draining` or `readiness_config`.
    pub name: String,
    /// Its result.
    pub status: CheckStatus,
    /// What is wrong: at most 512 characters, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Answer of `/readyz`: `200` when all is well, else `503`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// True when every check is.
    pub ok: bool,
    /// What the process does.
    pub role: ProcessRole,
    /// The profile that applies.
    pub profile_name: String,
    /// In their order.
    pub checks: Vec<ReadinessCheck>,
}

/// How many runs are in which state of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressCounts {
    /// They move.
    pub healthy: u64,
    /// A person is asked.
    pub waiting: u64,
    /// They haven't moved for a while.
    pub suspect: u64,
    /// They don't move.
    pub stalled: u64,
}

/// Answer of `/progressz`. Samples never carry the id of a session, run or tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressSnapshot {
    /// What the watchdog does.
    pub mode: WatchdogMode,
    /// What the settings ask for.
    pub requested_mode: WatchdogMode,
    /// Whether the settings were understood.
    pub config_status: WatchdogConfigStatus,
    /// Why the mode is as it is.
    pub config_reason: String,
    /// Runs by state.
    pub counts: ProgressCounts,
    /// Some runs that don't move.
    pub samples: Vec<JsonObject>,
    /// True when there are more than the samples.
    pub truncated: bool,
}

impl Default for ProgressSnapshot {
    fn default() -> Self {
        ProgressSnapshot {
            mode: WatchdogMode::Off,
            requested_mode: WatchdogMode::Off,
            config_status: WatchdogConfigStatus::Valid,
            config_reason: "default_off".to_owned(),
            counts: ProgressCounts::default(),
            samples: Vec::new(),
            truncated: false,
        }
    }
}
