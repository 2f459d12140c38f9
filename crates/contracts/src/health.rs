//! What health pages, diagnostics and the command show: results of checks, where each capability came from,
//! which source won, and the runtime's status (07 §6.3, 05 §11).
//!
//! Redaction: no keys, tokens, commands, environments or absolute paths; evidence is metadata only.

use crate::JsonObject;
use crate::setup::{CheckId, HealthStatus, IntentId, SetupAuthority};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// Kind of a capability.
    CapabilityKind {
        /// A model provider.
        Provider = "provider",
        /// A model.
        Model = "model",
        /// An MCP server.
        Mcp = "mcp",
        /// A skill.
        Skill = "skill",
        /// A coworker.
        Agent = "agent",
        /// A tool.
        Tool = "tool",
        /// A playbook.
        Workflow = "workflow",
        /// A plugin of OpenCode.
        OpencodePlugin = "opencode-plugin",
    }
    /// How it stands with a capability.
    CapabilityStatus {
        /// In use.
        Active = "active",
        /// Could be used.
        Available = "available",
        /// Switched off.
        Disabled = "disabled",
        /// A policy forbids it.
        Blocked = "blocked",
        /// Named, but not there.
        Missing = "missing",
        /// A sign-in is needed.
        AuthPending = "auth-pending",
        /// It was started and failed.
        RuntimeFailure = "runtime-failure",
        /// Not in this product mode.
        Unsupported = "unsupported",
        /// Only after asking.
        AskGated = "ask-gated",
        /// Nobody looked.
        Unknown = "unknown",
    }
    /// Why a capability stands as it does, or why a source won (05 §11.3): a closed set.
    CapabilityReason {
        /// The user chose the provider.
        ProviderSettings = "provider.settings",
        /// The config's default provider.
        ProviderDefault = "provider.default",
        /// Neither; what was left.
        ProviderFallback = "provider.fallback",
        /// No provider at all.
        ProviderMissing = "provider.missing",
        /// The user chose the model.
        ModelSettings = "model.settings",
        /// The config's default model.
        ModelDefault = "model.default",
        /// Neither; what was left.
        ModelFallback = "model.fallback",
        /// No model at all.
        ModelMissing = "model.missing",
        /// A server of the config.
        McpConfigured = "mcp.configured",
        /// The user switched it off.
        McpDisabledByUser = "mcp.disabled-by-user",
        /// It needs a sign-in with Google.
        McpNotSignedInGoogle = "mcp.not-signed-in-google",
        /// It needs the user's consent first.
        McpAwaitingOauthOptIn = "mcp.awaiting-oauth-opt-in",
        /// A required credential is missing.
        McpNotConfigured = "mcp.not-configured",
        /// Its program isn't installed.
        McpCommandNotInstalled = "mcp.command-not-installed",
        /// Its entry is not usable.
        McpInvalid = "mcp.invalid",
        /// The permission policy denies MCP tools, or the managed policy own servers.
        McpPolicyDenied = "mcp.policy-denied",
        /// The stdio policy refuses its command.
        McpStdioPolicyBlocked = "mcp.stdio-policy-blocked",
        /// An own server that is started as a process.
        McpCustomStdioConfigured = "mcp.custom-stdio-configured",
        /// The URL policy refuses its address.
        McpUrlPolicyBlocked = "mcp.url-policy-blocked",
        /// An own server that is reached by HTTP.
        McpCustomHttpConfigured = "mcp.custom-http-configured",
        /// An own server took a built-in one's place.
        McpCustomOverridesBuiltin = "mcp.custom-overrides-builtin",
        /// A skill of the product.
        SkillBuiltin = "skill.builtin",
        /// An own skill.
        SkillCustom = "skill.custom",
        /// The config names a skill that isn't there.
        SkillConfiguredMissing = "skill.configured-missing",
        /// The managed policy forbids own skills.
        SkillCustomDisabledByPolicy = "skill.custom-disabled-by-policy",
        /// An own skill took a managed one's place.
        SkillCustomOverridesManaged = "skill.custom-overrides-managed",
        /// The plugin doesn't run in this product mode.
        PluginProductModeUnsupported = "plugin.product-mode-unsupported",
        /// The registry lists the plugin as supported.
        PluginSupported = "plugin.supported",
        /// The registry lists it as made to fit.
        PluginShim = "plugin.shim",
        /// The registry says that it relies on something private.
        PluginPrivateAssumption = "plugin.private-assumption",
        /// The registry lists it as blocked.
        PluginBlocked = "plugin.blocked",
        /// The registry doesn't know.
        PluginUnknown = "plugin.unknown",
        /// A coworker of the config.
        AgentConfigured = "agent.configured",
        /// A sub-agent may do at most what its parent may.
        AgentDelegationParentPermissionGated = "agent.delegation-parent-permission-gated",
        /// The provider comes from this source and not from another.
        ProviderSourceConflictWinner = "provider.source-conflict-winner",
        /// The model comes from this source and not from another.
        ModelSourceConflictWinner = "model.source-conflict-winner",
    }
    /// A step of starting the runtime (05 §11.1).
    RuntimePhase {
        /// The process's environment is made.
        Environment = "environment",
        /// The config is composed.
        ConfigBuild = "config-build",
        /// Credentials are taken out of what may be shown.
        CredentialRedaction = "credential-redaction",
        /// OpenCode's program is found.
        SidecarResolution = "sidecar-resolution",
        /// It is started.
        ProcessLaunch = "process-launch",
        /// Its storage is brought up to date.
        StorageMigration = "storage-migration",
        /// It answers, and refuses strangers.
        HealthAuth = "health-auth",
        /// The event stream is open.
        EventStream = "event-stream",
        /// Tools and skills are connected.
        McpSkillBridge = "mcp-skill-bridge",
        /// Playbooks can run.
        WorkflowService = "workflow-service",
        /// The connector to a cloud gateway.
        CloudGatewayConnector = "cloud-gateway-connector",
        /// It can be used.
        Ready = "ready",
        /// It failed.
        Error = "error",
    }
    /// How a phase went.
    PhaseOutcome {
        /// It began.
        Started = "started",
        /// It is done.
        Passed = "passed",
        /// It failed.
        Failed = "failed",
        /// It wasn't needed.
        Skipped = "skipped",
    }
    /// How bad a failed runtime check is.
    RuntimeSeverity {
        /// For information.
        Info = "info",
        /// Worth a look.
        Warning = "warning",
        /// It doesn't work.
        Error = "error",
    }
    /// How a runtime check went.
    RuntimeCheckStatus {
        /// Not yet.
        Pending = "pending",
        /// In order.
        Pass = "pass",
        /// Not in order.
        Fail = "fail",
        /// Not looked at.
        Skipped = "skipped",
    }
    /// What a page shows while the runtime starts (05 §11.1).
    LoadingPhase {
        /// Not started.
        Idle = "idle",
        /// Beginning.
        Starting = "starting",
        /// Composing the config.
        Config = "config",
        /// Starting OpenCode.
        ManagedServer = "managed-server",
        /// Opening the event stream.
        ConnectingEvents = "connecting-events",
        /// Connecting tools.
        Mcp = "mcp",
        /// It can be used.
        Ready = "ready",
        /// It failed.
        Error = "error",
    }
}

/// Where one capability came from and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityRow {
    /// Id within its kind.
    pub id: String,
    /// Kind.
    pub kind: CapabilityKind,
    /// How it stands.
    pub status: CapabilityStatus,
    /// Why.
    pub reason_code: CapabilityReason,
    /// Who brought it: `builtin`, `custom:<scope>`, `settings` and the like; never a path.
    pub source: String,
    /// The product mode, such as `desktop-local`; several joined by `,`.
    pub product_mode: String,
    /// Metadata that supports it; never a value of a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<JsonObject>,
    /// Always true.
    pub redacted: bool,
}

/// Two sources named the same thing; one of them won.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictRow {
    /// Id of what both named.
    pub id: String,
    /// Its kind.
    pub kind: CapabilityKind,
    /// Whose it is now.
    pub winner_source: String,
    /// Whose it is not.
    pub loser_sources: Vec<String>,
    /// Why.
    pub reason_code: CapabilityReason,
    /// Always true.
    pub redacted: bool,
}

/// One entry of the runtime's timeline; the last 80 are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry {
    /// Which phase.
    pub phase: RuntimePhase,
    /// How it went.
    pub status: PhaseOutcome,
    /// One sentence, at most 2000 characters, without secrets.
    pub message: String,
    /// Stable code; `runtime.<phase with _>` when nothing more precise is known.
    pub code: String,
    /// ISO-8601.
    pub timestamp: String,
}

/// One check of the runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeCheck {
    /// Stable code; unique in a status, which is sorted by it.
    pub code: String,
    /// How bad.
    pub severity: RuntimeSeverity,
    /// How it went.
    pub status: RuntimeCheckStatus,
    /// One sentence.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<JsonObject>,
    /// ISO-8601.
    pub updated_at: String,
}

/// The runtime's status (05 §11.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeStatus {
    /// It can be used.
    pub ready: bool,
    /// Why not, in one sentence.
    pub error: Option<String>,
    /// Where it is.
    pub phase: RuntimePhase,
    /// ISO-8601.
    pub updated_at: String,
    /// How it got there.
    pub timeline: Vec<TimelineEntry>,
    /// What was checked.
    pub checks: Vec<RuntimeCheck>,
    /// Versions of its parts; null when nobody verified them.
    pub components: Option<JsonObject>,
}

/// The result of one check for one object, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Which check.
    pub id: CheckId,
    /// Which workspace, gateway or pairing it is about; absent for this installation as a whole. One
    /// object's result says nothing about another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// How it stands; `ready` only with evidence.
    pub status: HealthStatus,
    /// Who can evaluate it.
    pub authority: SetupAuthority,
    /// One sentence: what was seen, or why nobody looked.
    pub evidence: String,
    /// When it was seen, ISO-8601; absent when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// What to do; absent when it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_action: Option<String>,
}

/// How far an intent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntentReadiness {
    /// Which intent.
    pub id: IntentId,
    /// True when every check that it needs is ready for every object.
    pub ready: bool,
    /// The worst of its checks.
    pub status: HealthStatus,
    /// The checks that are not ready, in the intent's order.
    pub missing: Vec<CheckId>,
}

/// Whether everything that is in use is in order (07 §6.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Nothing stands in the way.
    pub ready: bool,
    /// What does, one sentence each.
    pub blockers: Vec<String>,
}

/// What `open-cowork health` prints and a health page shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// 1.
    pub schema_version: u32,
    /// When it was made, ISO-8601.
    pub generated_at: String,
    /// Overall.
    pub overall: Readiness,
    /// Every check at least once, in the contract's order.
    pub checks: Vec<CheckResult>,
    /// Every intent.
    pub intents: Vec<IntentReadiness>,
    /// Always true.
    pub redacted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_codes_start_with_their_kind() {
        let kinds = ["provider", "model", "mcp", "skill", "plugin", "agent"];
        for reason in CapabilityReason::ALL {
            let kind = reason.as_str().split('.').next().unwrap();
            assert!(kinds.contains(&kind), "{reason}");
        }
    }
}
