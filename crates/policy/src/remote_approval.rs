//! Who may answer an approval or a question from where: the remote approval policy, version 1 (05 §3, 07 §7).

use serde::{Deserialize, Serialize};

/// Where the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// This desktop.
    DesktopLocal,
    /// A desktop that shows a cloud.
    DesktopCloud,
    /// A browser.
    CloudWeb,
    /// A channel of the cloud.
    CloudChannelGateway,
    /// A standalone gateway.
    StandaloneGateway,
    /// Somewhere else, for this desktop.
    PairedDesktop,
}

/// What is answered. It doesn't change the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interaction {
    /// An approval.
    PermissionApproval,
    /// An answer to a question.
    QuestionReply,
    /// A question dismissed.
    QuestionReject,
}

/// What is known about whoever answers. Unknown is no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Where from.
    pub authority: Authority,
    /// What.
    pub interaction: Interaction,
    /// We know who it is.
    pub actor_authenticated: bool,
    /// A member of the workspace.
    #[serde(default)]
    pub actor_workspace_member: bool,
    /// Somebody switched remote approval on.
    #[serde(default)]
    pub explicit_remote_approval_enabled: bool,
    /// The user sits at this machine.
    #[serde(default)]
    pub local_user_present: bool,
}

/// How an answer is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not at all: it is refused.
    Blocked,
    /// The local user confirms.
    LocalConfirmation,
    /// The local user confirms what came from elsewhere.
    PairedLocalConfirmation,
    /// By membership of the workspace.
    CloudRbac,
    /// By the rank of the person in the channel.
    GatewayActorRbac,
}

/// The gate that decided; also named when it let the answer through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names are the contract's words
pub enum Gate {
    ActorNotAuthenticated,
    DesktopLocalUserConfirmationRequired,
    DesktopLocalUserNotPresent,
    PairedDesktopLocalConfirmationRequired,
    PairedDesktopRemoteApprovalDisabled,
    CloudRbacWorkspaceMembershipRequired,
    CloudRemoteApprovalDisabled,
    GatewayActorRbacRequired,
    GatewayRemoteApprovalDisabled,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// 1.
    pub version: u32,
    /// The answer counts.
    pub allowed: bool,
    /// How it is checked.
    pub mode: Mode,
    /// The gate.
    pub reason_code: Gate,
    /// Always true.
    pub requires_audit: bool,
    /// The local user must confirm.
    pub requires_local_confirmation: bool,
}

/// Decides. The code depends on the switch alone (for the desktop: on presence), so an allowed answer still
/// names what it rested on.
#[must_use]
pub fn decide(request: &Request) -> Decision {
    let enabled = request.explicit_remote_approval_enabled;
    let (allowed, mode, reason_code, requires_local_confirmation) = if !request.actor_authenticated
    {
        (false, Mode::Blocked, Gate::ActorNotAuthenticated, true)
    } else {
        match request.authority {
            Authority::DesktopLocal => (
                request.local_user_present,
                Mode::LocalConfirmation,
                match request.local_user_present {
                    true => Gate::DesktopLocalUserConfirmationRequired,
                    false => Gate::DesktopLocalUserNotPresent,
                },
                true,
            ),
            Authority::PairedDesktop => (
                request.local_user_present && enabled,
                Mode::PairedLocalConfirmation,
                match enabled {
                    true => Gate::PairedDesktopLocalConfirmationRequired,
                    false => Gate::PairedDesktopRemoteApprovalDisabled,
                },
                true,
            ),
            Authority::DesktopCloud | Authority::CloudWeb => (
                enabled && request.actor_workspace_member,
                Mode::CloudRbac,
                match enabled {
                    true => Gate::CloudRbacWorkspaceMembershipRequired,
                    false => Gate::CloudRemoteApprovalDisabled,
                },
                false,
            ),
            Authority::CloudChannelGateway | Authority::StandaloneGateway => (
                enabled && request.actor_workspace_member,
                Mode::GatewayActorRbac,
                match enabled {
                    true => Gate::GatewayActorRbacRequired,
                    false => Gate::GatewayRemoteApprovalDisabled,
                },
                false,
            ),
        }
    };
    Decision {
        version: 1,
        allowed,
        mode,
        reason_code,
        requires_audit: true,
        requires_local_confirmation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITIES: [Authority; 6] = [
        Authority::DesktopLocal,
        Authority::DesktopCloud,
        Authority::CloudWeb,
        Authority::CloudChannelGateway,
        Authority::StandaloneGateway,
        Authority::PairedDesktop,
    ];

    /// Every input once: authority, and four facts.
    fn all() -> impl Iterator<Item = Request> {
        AUTHORITIES.into_iter().flat_map(|authority| {
            (0..16).map(move |bits| Request {
                authority,
                interaction: Interaction::PermissionApproval,
                actor_authenticated: bits & 1 != 0,
                actor_workspace_member: bits & 2 != 0,
                explicit_remote_approval_enabled: bits & 4 != 0,
                local_user_present: bits & 8 != 0,
            })
        })
    }

    #[test]
    fn whom_we_do_not_know_answers_nothing() {
        for request in all().filter(|request| !request.actor_authenticated) {
            let decision = decide(&request);
            assert!(!decision.allowed);
            assert_eq!(decision.reason_code, Gate::ActorNotAuthenticated);
            assert!(decision.requires_local_confirmation);
        }
    }

    #[test]
    fn taking_a_fact_away_never_allows_more() {
        for request in all() {
            let fewer = [
                Request {
                    actor_authenticated: false,
                    ..request
                },
                Request {
                    actor_workspace_member: false,
                    ..request
                },
                Request {
                    explicit_remote_approval_enabled: false,
                    ..request
                },
                Request {
                    local_user_present: false,
                    ..request
                },
            ];
            for less in fewer {
                assert!(
                    decide(&request).allowed || !decide(&less).allowed,
                    "{request:?}"
                );
            }
        }
    }

    #[test]
    fn the_interaction_does_not_matter_and_everything_is_audited() {
        for request in all() {
            for interaction in [Interaction::QuestionReply, Interaction::QuestionReject] {
                assert_eq!(
                    decide(&Request {
                        interaction,
                        ..request
                    }),
                    decide(&request)
                );
            }
            assert!(decide(&request).requires_audit);
        }
    }

    #[test]
    fn every_row_of_the_contracts_table_holds() {
        for request in all().filter(|request| request.actor_authenticated) {
            let (enabled, present) = (
                request.explicit_remote_approval_enabled,
                request.local_user_present,
            );
            let member = request.actor_workspace_member;
            let wire = serde_json::to_value(decide(&request)).unwrap();
            let (allowed, mode, code, confirm) = match request.authority {
                Authority::DesktopLocal if present => (
                    true,
                    "local-confirmation",
                    "desktop-local-user-confirmation-required",
                    true,
                ),
                Authority::DesktopLocal => (
                    false,
                    "local-confirmation",
                    "desktop-local-user-not-present",
                    true,
                ),
                Authority::PairedDesktop if enabled => (
                    present,
                    "paired-local-confirmation",
                    "paired-desktop-local-confirmation-required",
                    true,
                ),
                Authority::PairedDesktop => (
                    false,
                    "paired-local-confirmation",
                    "paired-desktop-remote-approval-disabled",
                    true,
                ),
                Authority::DesktopCloud | Authority::CloudWeb if enabled => (
                    member,
                    "cloud-rbac",
                    "cloud-rbac-workspace-membership-required",
                    false,
                ),
                Authority::DesktopCloud | Authority::CloudWeb => {
                    (false, "cloud-rbac", "cloud-remote-approval-disabled", false)
                }
                _ if enabled => (
                    member,
                    "gateway-actor-rbac",
                    "gateway-actor-rbac-required",
                    false,
                ),
                _ => (
                    false,
                    "gateway-actor-rbac",
                    "gateway-remote-approval-disabled",
                    false,
                ),
            };
            assert_eq!(
                wire,
                serde_json::json!({
                    "version": 1, "allowed": allowed, "mode": mode, "reasonCode": code,
                    "requiresAudit": true, "requiresLocalConfirmation": confirm
                })
            );
        }
    }
}
