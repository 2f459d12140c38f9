//! Who runs a thread and who owns its state (07 §2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// Kind of a workspace.
    WorkspaceKind {
        /// On this machine.
        Local = "local",
        /// In a cloud.
        Cloud = "cloud",
        /// Behind a standalone gateway.
        Gateway = "gateway",
        /// On another machine, by pairing.
        PairedDesktop = "paired_desktop",
    }
    /// Whether a workspace can be used now.
    WorkspaceStatus {
        /// It answers.
        Online = "online",
        /// It doesn't answer.
        Offline = "offline",
        /// A login is needed.
        AuthRequired = "auth_required",
        /// Switched off.
        Disabled = "disabled",
        /// Broken.
        Error = "error",
    }
    /// Who executes a thread.
    ExecutionAuthority {
        /// The desktop, for itself.
        DesktopLocal = "desktop_local",
        /// A standalone gateway.
        GatewayStandalone = "gateway_standalone",
        /// The desktop, steered from elsewhere.
        DesktopPaired = "desktop_paired",
        /// A worker of the cloud.
        CloudWorker = "cloud_worker",
        /// A channel gateway of the cloud.
        CloudChannelGateway = "cloud_channel_gateway",
    }
    /// Who runs OpenCode.
    RuntimeAuthority {
        /// The desktop.
        DesktopLocal = "desktop_local",
        /// A standalone gateway.
        GatewayStandalone = "gateway_standalone",
        /// A worker of the cloud.
        CloudWorker = "cloud_worker",
    }
    /// Who owns durable state.
    StateOwner {
        /// The store of the desktop.
        DesktopLocalStore = "desktop_local_store",
        /// The control plane of a gateway.
        GatewayControlPlane = "gateway_control_plane",
        /// The control plane of the cloud.
        CloudControlPlane = "cloud_control_plane",
        /// The pairing connector.
        DesktopPairingConnector = "desktop_pairing_connector",
        /// A channel gateway.
        CloudChannelGateway = "cloud_channel_gateway",
        /// Nobody.
        None = "none",
    }
    /// Whether an API is there.
    SupportStatus {
        /// It is.
        Supported = "supported",
        /// Only reading.
        ReadOnly = "read_only",
        /// A policy says no.
        BlockedByPolicy = "blocked_by_policy",
        /// It isn't.
        NotSupported = "not_supported",
        /// Later.
        Deferred = "deferred",
    }
    /// Whether something can be changed.
    MutationSupport {
        /// It can.
        Supported = "supported",
        /// Only read.
        ReadOnly = "read_only",
        /// A policy says no.
        Blocked = "blocked",
        /// It can't.
        NotSupported = "not_supported",
        /// Later.
        Deferred = "deferred",
    }
    /// Which surface a person looks at.
    Surface {
        /// Desktop, local workspace.
        DesktopLocal = "desktop_local",
        /// Desktop, cloud workspace.
        DesktopCloud = "desktop_cloud",
        /// Browser.
        CloudWeb = "cloud_web",
        /// Chat channel of the cloud.
        CloudChannelGateway = "cloud_channel_gateway",
        /// Standalone gateway.
        GatewayStandalone = "gateway_standalone",
        /// Another machine, by pairing.
        DesktopPaired = "desktop_paired",
        /// The operator's console.
        AdminOperator = "admin_operator",
    }
    /// How the bytes of an artifact are reached.
    ArtifactAccess {
        /// A file of this machine.
        LocalFilesystem = "local_filesystem",
        /// The cloud's object store.
        CloudObjectStore = "cloud_object_store",
        /// The gateway's store.
        GatewayArtifactStore = "gateway_artifact_store",
        /// Sent to a channel.
        ChannelDelivery = "channel_delivery",
        /// Name and size only.
        RedactedMetadataOnly = "redacted_metadata_only",
        /// Not at all.
        None = "none",
    }
    /// Who answers approvals and questions.
    InteractionAuthority {
        /// The desktop's user.
        DesktopLocal = "desktop_local",
        /// The gateway's user.
        GatewayStandalone = "gateway_standalone",
        /// The cloud's user.
        CloudControlPlane = "cloud_control_plane",
        /// Whoever the pairing policy allows.
        RemotePairingPolicy = "remote_pairing_policy",
        /// Nobody.
        NotSupported = "not_supported",
    }
    /// How much of a path may be shown.
    PathExposure {
        /// All: it's the user's own machine.
        LocalPrivate = "local_private",
        /// References only.
        CloudSafeRefs = "cloud_safe_refs",
        /// Redacted.
        RedactedRemote = "redacted_remote",
        /// Nothing.
        NotExposed = "not_exposed",
    }
    /// State of a pairing.
    PairingState {
        /// No pairing here.
        NotApplicable = "not_applicable",
        /// Not paired.
        Unpaired = "unpaired",
        /// A pairing is needed.
        PairingRequired = "pairing_required",
        /// Paired and reachable.
        PairedOnline = "paired_online",
        /// Paired, not reachable.
        PairedOffline = "paired_offline",
        /// Withdrawn.
        Revoked = "revoked",
    }
    /// Why an action isn't possible.
    ReasonCode {
        /// A login is needed.
        AuthRequired = "workspace.auth_required",
        /// Offline: only reading.
        OfflineReadOnly = "workspace.offline_read_only",
        /// Only on this machine.
        LocalOnly = "workspace.local_only",
        /// Only in a cloud.
        CloudOnly = "workspace.cloud_only",
        /// A policy switched it off.
        PolicyDisabled = "workspace.policy_disabled",
        /// A quota is used up.
        QuotaDenied = "workspace.quota_denied",
        /// No capacity now.
        CapacityDenied = "workspace.capacity_denied",
        /// Billing says no.
        BillingDenied = "workspace.billing_denied",
        /// It isn't there.
        NotSupported = "workspace.not_supported",
        /// Later.
        Deferred = "workspace.deferred",
        /// A pairing is needed.
        PairingRequired = "workspace.pairing_required",
        /// The paired machine is away.
        PairingOffline = "workspace.pairing_offline",
        /// Another authority owns it.
        AuthorityMismatch = "workspace.authority_mismatch",
        /// A remote approval is needed.
        RemoteApprovalRequired = "workspace.remote_approval_required",
    }
    /// State of a gateway's credential.
    CredentialStatus {
        /// There.
        Available = "available",
        /// Not given.
        Missing = "missing",
        /// The secret store doesn't answer.
        Unavailable = "unavailable",
        /// Can't be read.
        Corrupt = "corrupt",
    }
}

impl From<SupportStatus> for MutationSupport {
    fn from(status: SupportStatus) -> Self {
        match status {
            SupportStatus::Supported => MutationSupport::Supported,
            SupportStatus::ReadOnly => MutationSupport::ReadOnly,
            SupportStatus::BlockedByPolicy => MutationSupport::Blocked,
            SupportStatus::NotSupported => MutationSupport::NotSupported,
            SupportStatus::Deferred => MutationSupport::Deferred,
        }
    }
}

/// Who owns each kind of state of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ownership {
    /// Threads.
    pub sessions: StateOwner,
    /// Their events.
    pub events: StateOwner,
    /// Their views.
    pub projections: StateOwner,
    /// Workflows.
    pub workflows: StateOwner,
    /// Deliverables.
    pub artifacts: StateOwner,
    /// Settings.
    pub settings: StateOwner,
    /// Credentials.
    pub credentials: StateOwner,
    /// Approvals.
    pub approvals: StateOwner,
    /// Questions.
    pub questions: StateOwner,
    /// The audit log.
    pub audit: StateOwner,
}

impl Ownership {
    /// Everything with one owner.
    pub const fn all(owner: StateOwner) -> Self {
        Ownership {
            sessions: owner,
            events: owner,
            projections: owner,
            workflows: owner,
            artifacts: owner,
            settings: owner,
            credentials: owner,
            approvals: owner,
            questions: owner,
            audit: owner,
        }
    }
}

/// What follows from an execution authority (07 §2.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityContract {
    /// The authority.
    pub authority: ExecutionAuthority,
    /// Who runs OpenCode.
    pub runtime_authority: RuntimeAuthority,
    /// Who owns durable state.
    pub durable_state_owner: StateOwner,
    /// Who owns what.
    pub ownership: Ownership,
    /// Surface when none is named.
    pub default_surface: Surface,
    /// Exposure when none is named.
    pub default_path_exposure: PathExposure,
    /// Pairing when none is named.
    pub default_pairing_state: PairingState,
    /// Access when none is named.
    pub default_artifact_access: ArtifactAccess,
    /// Who answers approvals.
    pub default_approvals: InteractionAuthority,
    /// Who answers questions.
    pub default_questions: InteractionAuthority,
    /// Workflows when nothing else is said.
    pub default_workflows: MutationSupport,
}

/// The contract of an authority.
pub fn contract(authority: ExecutionAuthority) -> &'static AuthorityContract {
    match authority {
        ExecutionAuthority::DesktopLocal => &CONTRACTS[0],
        ExecutionAuthority::GatewayStandalone => &CONTRACTS[1],
        ExecutionAuthority::DesktopPaired => &CONTRACTS[2],
        ExecutionAuthority::CloudWorker => &CONTRACTS[3],
        ExecutionAuthority::CloudChannelGateway => &CONTRACTS[4],
    }
}

/// The contracts of all authorities, in the order of [`ExecutionAuthority::ALL`].
pub static CONTRACTS: [AuthorityContract; 5] = [
    AuthorityContract {
        authority: ExecutionAuthority::DesktopLocal,
        runtime_authority: RuntimeAuthority::DesktopLocal,
        durable_state_owner: StateOwner::DesktopLocalStore,
        ownership: Ownership::all(StateOwner::DesktopLocalStore),
        default_surface: Surface::DesktopLocal,
        default_path_exposure: PathExposure::LocalPrivate,
        default_pairing_state: PairingState::NotApplicable,
        default_artifact_access: ArtifactAccess::LocalFilesystem,
        default_approvals: InteractionAuthority::DesktopLocal,
        default_questions: InteractionAuthority::DesktopLocal,
        default_workflows: MutationSupport::Supported,
    },
    AuthorityContract {
        authority: ExecutionAuthority::GatewayStandalone,
        runtime_authority: RuntimeAuthority::GatewayStandalone,
        durable_state_owner: StateOwner::GatewayControlPlane,
        ownership: Ownership::all(StateOwner::GatewayControlPlane),
        default_surface: Surface::GatewayStandalone,
        default_path_exposure: PathExposure::RedactedRemote,
        default_pairing_state: PairingState::NotApplicable,
        default_artifact_access: ArtifactAccess::GatewayArtifactStore,
        default_approvals: InteractionAuthority::GatewayStandalone,
        default_questions: InteractionAuthority::GatewayStandalone,
        default_workflows: MutationSupport::Supported,
    },
    AuthorityContract {
        authority: ExecutionAuthority::DesktopPaired,
        // The paired desktop still runs its own OpenCode: pairing moves answers, not execution.
        runtime_authority: RuntimeAuthority::DesktopLocal,
        durable_state_owner: StateOwner::DesktopLocalStore,
        ownership: Ownership::all(StateOwner::DesktopLocalStore),
        default_surface: Surface::DesktopPaired,
        default_path_exposure: PathExposure::RedactedRemote,
        default_pairing_state: PairingState::PairingRequired,
        default_artifact_access: ArtifactAccess::RedactedMetadataOnly,
        default_approvals: InteractionAuthority::RemotePairingPolicy,
        default_questions: InteractionAuthority::RemotePairingPolicy,
        default_workflows: MutationSupport::Deferred,
    },
    AuthorityContract {
        authority: ExecutionAuthority::CloudWorker,
        runtime_authority: RuntimeAuthority::CloudWorker,
        durable_state_owner: StateOwner::CloudControlPlane,
        ownership: Ownership::all(StateOwner::CloudControlPlane),
        default_surface: Surface::DesktopCloud,
        default_path_exposure: PathExposure::CloudSafeRefs,
        default_pairing_state: PairingState::NotApplicable,
        default_artifact_access: ArtifactAccess::CloudObjectStore,
        default_approvals: InteractionAuthority::CloudControlPlane,
        default_questions: InteractionAuthority::CloudControlPlane,
        default_workflows: MutationSupport::Supported,
    },
    AuthorityContract {
        authority: ExecutionAuthority::CloudChannelGateway,
        // A channel gateway only carries messages: the cloud's workers run OpenCode.
        runtime_authority: RuntimeAuthority::CloudWorker,
        durable_state_owner: StateOwner::CloudControlPlane,
        ownership: Ownership {
            credentials: StateOwner::CloudChannelGateway,
            ..Ownership::all(StateOwner::CloudControlPlane)
        },
        default_surface: Surface::CloudChannelGateway,
        default_path_exposure: PathExposure::RedactedRemote,
        default_pairing_state: PairingState::NotApplicable,
        default_artifact_access: ArtifactAccess::ChannelDelivery,
        default_approvals: InteractionAuthority::CloudControlPlane,
        default_questions: InteractionAuthority::CloudControlPlane,
        default_workflows: MutationSupport::Supported,
    },
];

/// How artifacts of a thread are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactContext {
    /// Names and sizes.
    pub metadata: MutationSupport,
    /// Bytes.
    pub body: ArtifactAccess,
    /// "Show in folder".
    pub reveal: ArtifactAccess,
}

/// Everything a surface must know about the authority behind an API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityContext {
    /// Who executes.
    pub authority: ExecutionAuthority,
    /// Who runs OpenCode.
    pub runtime_authority: RuntimeAuthority,
    /// Where the person looks.
    pub surface: Surface,
    /// Who owns durable state.
    pub durable_state_owner: StateOwner,
    /// Who owns what.
    pub ownership: Ownership,
    /// Whether it can be used now.
    pub online_state: WorkspaceStatus,
    /// Whether it can be changed.
    pub mutation: MutationSupport,
    /// How artifacts are reached.
    pub artifacts: ArtifactContext,
    /// Who answers approvals.
    pub approvals: InteractionAuthority,
    /// Who answers questions.
    pub questions: InteractionAuthority,
    /// Whether workflows run.
    pub workflows: MutationSupport,
    /// How much of a path may be shown.
    pub path_exposure: PathExposure,
    /// State of the pairing.
    pub pairing_state: PairingState,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<ReasonCode>,
}

impl AuthorityContext {
    /// The context of an authority with its defaults (07 §2.3); change fields afterwards as needed.
    pub fn of(authority: ExecutionAuthority, status: SupportStatus) -> Self {
        let contract = contract(authority);
        let mutation = MutationSupport::from(status);
        let workflows = match mutation {
            MutationSupport::Supported => contract.default_workflows,
            other => other,
        };
        AuthorityContext {
            authority,
            runtime_authority: contract.runtime_authority,
            surface: contract.default_surface,
            durable_state_owner: contract.durable_state_owner,
            ownership: contract.ownership,
            online_state: WorkspaceStatus::Online,
            mutation,
            artifacts: ArtifactContext {
                metadata: mutation,
                body: contract.default_artifact_access,
                reveal: contract.default_artifact_access,
            },
            approvals: contract.default_approvals,
            questions: contract.default_questions,
            workflows,
            path_exposure: contract.default_path_exposure,
            pairing_state: contract.default_pairing_state,
            blocked_reason: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authority_has_its_own_contract() {
        let listed: Vec<_> = CONTRACTS.iter().map(|c| c.authority).collect();
        assert_eq!(listed, ExecutionAuthority::ALL);
        for authority in ExecutionAuthority::ALL {
            assert_eq!(contract(*authority).authority, *authority);
        }
    }

    #[test]
    fn pairing_never_moves_execution_off_the_desktop() {
        let paired = contract(ExecutionAuthority::DesktopPaired);
        assert_eq!(paired.runtime_authority, RuntimeAuthority::DesktopLocal);
        assert_eq!(paired.default_workflows, MutationSupport::Deferred);
    }

    #[test]
    fn a_channel_gateway_owns_only_its_credentials() {
        let ownership = contract(ExecutionAuthority::CloudChannelGateway).ownership;
        assert_eq!(ownership.credentials, StateOwner::CloudChannelGateway);
        assert_eq!(ownership.sessions, StateOwner::CloudControlPlane);
    }

    #[test]
    fn a_blocked_context_blocks_workflows_too() {
        let context = AuthorityContext::of(
            ExecutionAuthority::CloudWorker,
            SupportStatus::BlockedByPolicy,
        );
        assert_eq!(context.mutation, MutationSupport::Blocked);
        assert_eq!(context.workflows, MutationSupport::Blocked);
        assert_eq!(context.artifacts.metadata, MutationSupport::Blocked);
        assert_eq!(context.artifacts.body, ArtifactAccess::CloudObjectStore);
    }
}
