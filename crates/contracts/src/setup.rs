//! What can be set up and what is checked for it, as data (07 §6.1, §6.2). Evaluating is `policy::health`.

use crate::authority::Surface;
use schemars::JsonSchema;
use serde::Serialize;

names! {
    /// What somebody wants to set up.
    IntentId {
        /// Open Cowork on this machine. The default of a first run.
        DesktopLocal = "desktop-local",
        /// A gateway that executes on its own.
        GatewayOnly = "gateway-only",
        /// A cloud, from the desktop or the browser.
        CloudConnect = "cloud-connect",
        /// A desktop that is steered from elsewhere.
        DesktopPairing = "desktop-pairing",
        /// Everything together.
        FullHybrid = "full-hybrid",
    }
    /// One thing that must be in order.
    CheckId {
        /// OpenCode runs.
        DesktopRuntimeReady = "desktop.runtime.ready",
        /// A provider can be used.
        DesktopCredentialsConfigured = "desktop.credentials.configured",
        /// Every thread has one owner.
        WorkspaceAuthorityDeclared = "workspace.authority.declared",
        /// The cloud knows us.
        WorkspaceCloudAuthenticated = "workspace.cloud.authenticated",
        /// The cloud answers.
        WorkspaceCloudSyncReachable = "workspace.cloud.sync.reachable",
        /// The gateway's OpenCode runs, and nobody else reaches it.
        GatewayPrivateOpencodeReachable = "gateway.private_opencode.reachable",
        /// The chat provider accepts us.
        GatewayProviderHealthy = "gateway.provider.healthy",
        /// The gateway's operator has a token.
        GatewayOperatorAuthConfigured = "gateway.operator_auth.configured",
        /// The cloud's database has this version's tables.
        CloudDatabaseMigrated = "cloud.database.migrated",
        /// The cloud's object store works.
        CloudObjectStoreConfigured = "cloud.object_store.configured",
        /// Backups are made and were restored once.
        CloudBackupPostureConfigured = "cloud.backup_posture.configured",
        /// The pairing is up.
        PairingConnectionActive = "pairing.connection.active",
        /// Approvals and questions stay with the local user.
        PairingRemotePolicyScoped = "pairing.remote_policy.scoped",
    }
    /// Who owns what an intent or a check is about. `mixed` is legal here and nowhere else (07 §2.1).
    SetupAuthority {
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
        /// Several of them.
        Mixed = "mixed",
    }
    /// Which programs take part.
    TopologyProfile {
        /// The desktop alone.
        DesktopOnly = "desktop-only",
        /// A gateway alone.
        GatewayOnly = "gateway-only",
        /// A cloud alone.
        CloudOnly = "cloud-only",
        /// Desktop and gateway.
        DesktopGateway = "desktop-gateway",
        /// All of them.
        FullHybrid = "full-hybrid",
    }
    /// How it stands with a check, an intent or everything. `unknown`: nobody looked.
    HealthStatus {
        /// In order.
        Ready = "ready",
        /// Somebody has to do something.
        ActionRequired = "action_required",
        /// It works, but not well.
        Degraded = "degraded",
        /// It doesn't answer.
        Offline = "offline",
        /// Nobody looked, or the answer was unclear.
        Unknown = "unknown",
    }
}

/// Something that can be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetupIntent {
    /// Which.
    pub id: IntentId,
    /// Name for people.
    pub label: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Who owns the result.
    pub authority: SetupAuthority,
    /// Where people will look.
    pub surfaces: &'static [Surface],
    /// Which programs take part.
    pub topology_profile: TopologyProfile,
    /// Where to read on.
    pub primary_docs: &'static [&'static str],
    /// The one command to start with.
    pub primary_command: Option<&'static str>,
    /// Commands that prove it.
    pub validation_commands: &'static [&'static str],
    /// Ready when all of these are.
    pub ready_when: &'static [CheckId],
    /// What to do next, two steps.
    pub next_actions: &'static [&'static str],
}

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Which.
    pub id: CheckId,
    /// Name for people.
    pub label: &'static str,
    /// Who can evaluate it: only the owner has the evidence.
    pub authority: SetupAuthority,
    /// What it means when it isn't met; never `ready` or `unknown`.
    pub severity_when_missing: HealthStatus,
    /// What to do then.
    pub recovery_action: &'static str,
    /// Where to read on.
    pub docs: &'static [&'static str],
}

/// The intent of an id.
pub fn intent(id: IntentId) -> &'static SetupIntent {
    match id {
        IntentId::DesktopLocal => &INTENTS[0],
        IntentId::GatewayOnly => &INTENTS[1],
        IntentId::CloudConnect => &INTENTS[2],
        IntentId::DesktopPairing => &INTENTS[3],
        IntentId::FullHybrid => &INTENTS[4],
    }
}

/// The check of an id.
pub fn check(id: CheckId) -> &'static HealthCheck {
    &CHECKS[id as usize]
}

/// Every intent, in the order of [`IntentId::ALL`].
pub static INTENTS: [SetupIntent; 5] = [
    SetupIntent {
        id: IntentId::DesktopLocal,
        label: "Run Desktop locally",
        summary: "Threads, files and OpenCode stay on this machine.",
        authority: SetupAuthority::DesktopLocal,
        surfaces: &[Surface::DesktopLocal],
        topology_profile: TopologyProfile::DesktopOnly,
        primary_docs: &["docs/configuration.md"],
        primary_command: None,
        validation_commands: &["open-cowork config validate", "cargo xtask test"],
        ready_when: &[
            CheckId::DesktopRuntimeReady,
            CheckId::DesktopCredentialsConfigured,
            CheckId::WorkspaceAuthorityDeclared,
        ],
        next_actions: &[
            "Choose a provider and a model in the settings.",
            "Test the connection, then start a chat.",
        ],
    },
    SetupIntent {
        id: IntentId::GatewayOnly,
        label: "Deploy Gateway",
        summary: "A gateway answers in chat channels and runs its own private OpenCode.",
        authority: SetupAuthority::GatewayStandalone,
        surfaces: &[Surface::GatewayStandalone],
        topology_profile: TopologyProfile::GatewayOnly,
        primary_docs: &["docs/architecture.md"],
        primary_command: Some("open-cowork standalone-gateway setup"),
        validation_commands: &[
            "open-cowork standalone-gateway validate",
            "open-cowork standalone-gateway smoke",
        ],
        ready_when: &[
            CheckId::GatewayPrivateOpencodeReachable,
            CheckId::GatewayProviderHealthy,
            CheckId::GatewayOperatorAuthConfigured,
        ],
        next_actions: &[
            "Set an operator token and the channel's credentials.",
            "Start the gateway on a private address and send a test message.",
        ],
    },
    SetupIntent {
        id: IntentId::CloudConnect,
        label: "Connect Cloud",
        summary: "Threads run in a cloud; the desktop and the browser show them.",
        authority: SetupAuthority::CloudWorker,
        surfaces: &[Surface::DesktopCloud, Surface::CloudWeb],
        topology_profile: TopologyProfile::CloudOnly,
        primary_docs: &["docs/architecture.md"],
        primary_command: Some("open-cowork deploy validate"),
        validation_commands: &["open-cowork deploy validate", "open-cowork ops validate"],
        ready_when: &[
            CheckId::WorkspaceCloudAuthenticated,
            CheckId::WorkspaceCloudSyncReachable,
            CheckId::CloudDatabaseMigrated,
            CheckId::CloudObjectStoreConfigured,
        ],
        next_actions: &[
            "Add the cloud's address and sign in.",
            "Validate the deployment with its operator.",
        ],
    },
    SetupIntent {
        id: IntentId::DesktopPairing,
        label: "Pair Desktop",
        summary: "This desktop keeps executing; another surface may look and, within limits, steer.",
        authority: SetupAuthority::DesktopPaired,
        surfaces: &[Surface::DesktopPaired],
        topology_profile: TopologyProfile::DesktopGateway,
        primary_docs: &["docs/architecture.md"],
        primary_command: None,
        validation_commands: &["open-cowork deploy validate", "cargo xtask test"],
        ready_when: &[
            CheckId::PairingConnectionActive,
            CheckId::PairingRemotePolicyScoped,
            CheckId::DesktopRuntimeReady,
        ],
        next_actions: &[
            "Create a pairing and choose which chats it may see.",
            "Keep approvals on local confirmation.",
        ],
    },
    SetupIntent {
        id: IntentId::FullHybrid,
        label: "Connect all surfaces",
        summary: "Desktop, cloud, gateway and pairing side by side, each thread with one owner.",
        authority: SetupAuthority::Mixed,
        surfaces: &[
            Surface::DesktopLocal,
            Surface::DesktopCloud,
            Surface::CloudWeb,
            Surface::CloudChannelGateway,
            Surface::GatewayStandalone,
            Surface::DesktopPaired,
        ],
        topology_profile: TopologyProfile::FullHybrid,
        primary_docs: &["docs/architecture.md"],
        primary_command: Some("open-cowork deploy launch validate"),
        validation_commands: &[
            "cargo xtask test",
            "open-cowork deploy validate",
            "open-cowork ops validate",
        ],
        ready_when: &[
            CheckId::WorkspaceAuthorityDeclared,
            CheckId::WorkspaceCloudSyncReachable,
            CheckId::GatewayProviderHealthy,
            CheckId::CloudBackupPostureConfigured,
            CheckId::PairingRemotePolicyScoped,
        ],
        next_actions: &[
            "Set up each part by its own intent first.",
            "Check that every workspace names its authority.",
        ],
    },
];

/// Every check, in the order of [`CheckId::ALL`].
pub static CHECKS: [HealthCheck; 13] = [
    HealthCheck {
        id: CheckId::DesktopRuntimeReady,
        label: "OpenCode runs on this desktop",
        authority: SetupAuthority::DesktopLocal,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Restart OpenCode and check the provider's key.",
        docs: &["docs/configuration.md"],
    },
    HealthCheck {
        id: CheckId::DesktopCredentialsConfigured,
        label: "A provider is configured",
        authority: SetupAuthority::DesktopLocal,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Go through the first run, or choose provider, key and model in the settings.",
        docs: &["docs/configuration.md"],
    },
    HealthCheck {
        id: CheckId::WorkspaceAuthorityDeclared,
        label: "Every workspace names its authority",
        authority: SetupAuthority::Mixed,
        severity_when_missing: HealthStatus::Degraded,
        recovery_action: "Choose a topology; every thread has exactly one authority.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::WorkspaceCloudAuthenticated,
        label: "Signed in to the cloud",
        authority: SetupAuthority::CloudWorker,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Sign in again, or renew the desktop's token.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::WorkspaceCloudSyncReachable,
        label: "The cloud answers",
        authority: SetupAuthority::CloudWorker,
        severity_when_missing: HealthStatus::Offline,
        recovery_action: "Check the address, the network, the token and the cloud's `/readyz`.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::GatewayPrivateOpencodeReachable,
        label: "The gateway reaches its private OpenCode",
        authority: SetupAuthority::GatewayStandalone,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Run the gateway's doctor; keep OpenCode on a private address.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::GatewayProviderHealthy,
        label: "The chat provider accepts the gateway",
        authority: SetupAuthority::GatewayStandalone,
        severity_when_missing: HealthStatus::Degraded,
        recovery_action: "Check the provider's token, the signing secret and the webhook address.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::GatewayOperatorAuthConfigured,
        label: "The gateway's operator endpoints need a token",
        authority: SetupAuthority::GatewayStandalone,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Set an operator token before any endpoint is reachable from outside.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::CloudDatabaseMigrated,
        label: "The cloud's database is migrated",
        authority: SetupAuthority::CloudWorker,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Validate the deployment and run the migrations.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::CloudObjectStoreConfigured,
        label: "The cloud's object store is configured",
        authority: SetupAuthority::CloudWorker,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Configure the object store.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::CloudBackupPostureConfigured,
        label: "Backups are made and were restored once",
        authority: SetupAuthority::CloudWorker,
        severity_when_missing: HealthStatus::Degraded,
        recovery_action: "Follow the runbook for backup and restore, and drill it.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::PairingConnectionActive,
        label: "The pairing is connected",
        authority: SetupAuthority::DesktopPaired,
        severity_when_missing: HealthStatus::Offline,
        recovery_action: "Connect the pairing again, or make a new one.",
        docs: &["docs/architecture.md"],
    },
    HealthCheck {
        id: CheckId::PairingRemotePolicyScoped,
        label: "Approvals stay with the local user",
        authority: SetupAuthority::DesktopPaired,
        severity_when_missing: HealthStatus::ActionRequired,
        recovery_action: "Keep approvals and questions on local confirmation.",
        docs: &["docs/architecture.md"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_find_their_rows() {
        for id in IntentId::ALL {
            assert_eq!(intent(*id).id, *id);
        }
        for id in CheckId::ALL {
            assert_eq!(check(*id).id, *id);
        }
        assert_eq!(CheckId::parse("desktop.coffee.ready"), None);
    }

    #[test]
    fn every_check_is_needed_by_some_intent_and_every_intent_has_two_next_actions() {
        let needed: BTreeSet<CheckId> = INTENTS
            .iter()
            .flat_map(|intent| intent.ready_when.iter().copied())
            .collect();
        assert_eq!(needed.len(), CHECKS.len());
        assert!(INTENTS.iter().all(|intent| intent.next_actions.len() == 2));
    }

    #[test]
    fn a_missing_check_is_never_ready_or_unknown() {
        for check in &CHECKS {
            assert!(
                !matches!(
                    check.severity_when_missing,
                    HealthStatus::Ready | HealthStatus::Unknown
                ),
                "{}",
                check.id
            );
        }
    }

    #[test]
    fn only_the_hybrid_intent_and_the_declaration_are_mixed() {
        let mixed = |authority| authority == SetupAuthority::Mixed;
        let intents: Vec<_> = INTENTS.iter().filter(|i| mixed(i.authority)).collect();
        let checks: Vec<_> = CHECKS.iter().filter(|c| mixed(c.authority)).collect();
        assert_eq!((intents.len(), intents[0].id), (1, IntentId::FullHybrid));
        assert_eq!(
            (checks.len(), checks[0].id),
            (1, CheckId::WorkspaceAuthorityDeclared)
        );
        assert!(!INTENTS[4].surfaces.contains(&Surface::AdminOperator));
    }
}
