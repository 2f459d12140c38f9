//! The 87 actions of the cloud's API, in the contract's order (07 §4.3). Everything about access derives from
//! this table: routes, decisions, sections of the administration, documentation.

use open_cowork_contracts::access::{BuiltInRole, CloudAction, Feature, Permission, TokenScope};
use serde::Serialize;

/// A credential that opens one action and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Special {
    /// A managed worker's credential.
    Worker,
    /// A signed workflow webhook.
    WorkflowWebhook,
    /// A coworker's knowledge token.
    KnowledgeAgent,
    /// The billing provider's webhook.
    BillingWebhook,
}

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The action.
    pub action: CloudAction,
    /// Method and path; `:x` stands for one segment. Paths are below `/api` unless they begin with `/`.
    pub routes: &'static [&'static str],
    /// All of these must be on, in this order.
    pub features: &'static [Feature],
    /// At least one of these must be on, if any is named.
    pub any_features: &'static [Feature],
    /// Scopes of API tokens that may.
    pub scopes: &'static [TokenScope],
    /// A token's account must also be owner or admin, or have a custom role with one of the permissions.
    pub org_admin: bool,
    /// People may: any active member, unless roles or permissions are named.
    pub human: bool,
    /// Built-in roles that may.
    pub roles: &'static [BuiltInRole],
    /// Permissions of which one suffices, for custom roles and where no role is named.
    pub permissions: &'static [Permission],
    /// The server's own machine may, although people may not.
    pub local: bool,
    /// The credential that opens it.
    pub special: Option<Special>,
    /// A gateway token must prove its channel binding.
    pub binding: bool,
}

/// The row of an action.
#[must_use]
pub fn row(action: CloudAction) -> &'static Row {
    &ACTIONS[action as usize]
}

const RANKED: &[BuiltInRole] = &[BuiltInRole::Owner, BuiltInRole::Admin];
const DESKTOP: &[TokenScope] = &[TokenScope::Desktop];
const DESKTOP_ADMIN: &[TokenScope] = &[TokenScope::Desktop, TokenScope::Admin];
const GATEWAY: &[TokenScope] = &[TokenScope::Gateway];
const GATEWAY_ADMIN: &[TokenScope] = &[TokenScope::Gateway, TokenScope::Admin];
const ADMIN: &[TokenScope] = &[TokenScope::Admin];
const ADMIN_OPERATOR: &[TokenScope] = &[TokenScope::Admin, TokenScope::Operator];
const OPERATOR: &[TokenScope] = &[TokenScope::Operator];
const OPERATION: &[TokenScope] = &[TokenScope::Operator, TokenScope::WorkerInternal];
const INTERNAL: &[TokenScope] = &[TokenScope::WorkerInternal];
const ORG: &[Permission] = &[Permission::OrgManage];

type Features = &'static [Feature];
type Routes = &'static [&'static str];

const CHAT: Features = &[Feature::Chat];
const ARTIFACTS: Features = &[Feature::Artifacts];
const WORKFLOWS: Features = &[Feature::Workflows];
const WEBHOOKS: Features = &[Feature::Workflows, Feature::Webhooks];
const CHANNELS: Features = &[Feature::Channels];
const CHANNELS_ARTIFACTS: Features = &[Feature::Channels, Feature::Artifacts];
const SETTINGS: Features = &[Feature::Settings];
const THREADS: Features = &[Feature::ThreadIndex];
const KNOWLEDGE: Features = &[Feature::Knowledge];
const BYOK: Features = &[Feature::Byok];

/// Any active member, and a desktop's token.
const fn member(action: CloudAction, features: Features, routes: Routes) -> Row {
    Row {
        action,
        routes,
        features,
        any_features: &[],
        scopes: DESKTOP,
        org_admin: false,
        human: true,
        roles: &[],
        permissions: &[],
        local: false,
        special: None,
        binding: false,
    }
}

/// Any active member, and a desktop's or administrator's token.
const fn overview(action: CloudAction, routes: Routes) -> Row {
    Row {
        scopes: DESKTOP_ADMIN,
        ..member(action, &[], routes)
    }
}

/// Owner, admin, or a custom role with one of the permissions; tokens of such accounts.
const fn ranked(
    action: CloudAction,
    features: Features,
    scopes: &'static [TokenScope],
    permissions: &'static [Permission],
    routes: Routes,
) -> Row {
    Row {
        scopes,
        org_admin: true,
        roles: RANKED,
        permissions,
        ..member(action, features, routes)
    }
}

/// Whoever has one of the permissions, by whatever role; tokens of such accounts.
const fn permitted(
    action: CloudAction,
    features: Features,
    permissions: &'static [Permission],
    routes: Routes,
) -> Row {
    Row {
        roles: &[],
        ..ranked(action, features, ADMIN, permissions, routes)
    }
}

/// Tokens only, and the server's own machine.
const fn service(
    action: CloudAction,
    features: Features,
    scopes: &'static [TokenScope],
    permissions: &'static [Permission],
    routes: Routes,
) -> Row {
    Row {
        scopes,
        org_admin: true,
        human: false,
        permissions,
        local: true,
        ..member(action, features, routes)
    }
}

/// A gateway's token with a proven binding, and the server's own machine.
const fn channel(action: CloudAction, features: Features, routes: Routes) -> Row {
    Row {
        binding: true,
        ..service(action, features, GATEWAY, &[], routes)
    }
}

/// One special credential.
const fn special(action: CloudAction, features: Features, by: Special, routes: Routes) -> Row {
    Row {
        scopes: &[],
        human: false,
        special: Some(by),
        ..member(action, features, routes)
    }
}

const fn bound(row: Row) -> Row {
    Row {
        binding: true,
        ..row
    }
}

use CloudAction as A;
use Permission as P;

/// All actions, in the order of [`CloudAction::ALL`].
pub static ACTIONS: [Row; 87] = [
    member(A::WorkspaceRead, &[], &["GET config", "GET workspace"]),
    member(A::WorkspaceEvents, CHAT, &["GET events"]),
    member(
        A::ProjectSourcesValidate,
        CHAT,
        &["POST project-sources/validate"],
    ),
    member(
        A::ProjectSourcesUpload,
        CHAT,
        &["POST project-sources/snapshots"],
    ),
    member(A::SessionsImport, CHAT, &["POST import/sessions"]),
    member(A::SessionsList, CHAT, &["GET sessions"]),
    member(A::SessionsCreate, CHAT, &["POST sessions"]),
    member(A::SessionsGet, CHAT, &["GET sessions/:id"]),
    member(A::SessionsActivate, CHAT, &["POST sessions/:id/activate"]),
    member(A::SessionsView, CHAT, &["GET sessions/:id/view"]),
    member(A::SessionsEvents, CHAT, &["GET sessions/:id/events"]),
    member(A::SessionsPrompt, CHAT, &["POST sessions/:id/prompt"]),
    member(A::SessionsAbort, CHAT, &["POST sessions/:id/abort"]),
    member(
        A::SessionsQuestionReply,
        CHAT,
        &["POST sessions/:id/question-reply"],
    ),
    member(
        A::SessionsQuestionReject,
        CHAT,
        &["POST sessions/:id/question-reject"],
    ),
    member(
        A::SessionsPermissionRespond,
        CHAT,
        &["POST sessions/:id/permission-respond"],
    ),
    service(
        A::SessionsProjectionRead,
        &[],
        OPERATION,
        &[],
        &["GET sessions/:id/projection-status"],
    ),
    service(
        A::SessionsProjectionRepair,
        &[],
        OPERATION,
        &[],
        &["POST sessions/:id/projection-repair"],
    ),
    member(A::ArtifactsIndex, ARTIFACTS, &["GET artifacts"]),
    member(A::ArtifactsList, ARTIFACTS, &["GET sessions/:id/artifacts"]),
    member(
        A::ArtifactsUpload,
        ARTIFACTS,
        &[
            "POST sessions/:id/artifacts",
            "PUT sessions/:id/artifacts/:aid/content",
        ],
    ),
    member(
        A::ArtifactsRead,
        ARTIFACTS,
        &[
            "GET sessions/:id/artifacts/:aid",
            "GET sessions/:id/artifacts/:aid/content",
        ],
    ),
    member(
        A::ArtifactsFinalize,
        ARTIFACTS,
        &["POST sessions/:id/artifacts/:aid/finalize"],
    ),
    member(
        A::ArtifactsAbort,
        ARTIFACTS,
        &["POST sessions/:id/artifacts/:aid/abort"],
    ),
    member(
        A::ArtifactsUpdate,
        ARTIFACTS,
        &["POST sessions/:id/artifacts/:aid/status"],
    ),
    member(A::WorkflowsList, WORKFLOWS, &["GET workflows"]),
    member(A::WorkflowsCreate, WORKFLOWS, &["POST workflows"]),
    member(A::WorkflowsGet, WORKFLOWS, &["GET workflows/:id"]),
    // By body: `POST workflows` with a webhook trigger, see `route::create_workflow`.
    member(A::WorkflowsCreateWebhook, WEBHOOKS, &[]),
    member(A::WorkflowsRun, WORKFLOWS, &["POST workflows/:id/run"]),
    member(A::WorkflowsPause, WORKFLOWS, &["POST workflows/:id/pause"]),
    member(
        A::WorkflowsResume,
        WORKFLOWS,
        &["POST workflows/:id/resume"],
    ),
    member(
        A::WorkflowsArchive,
        WORKFLOWS,
        &["POST workflows/:id/archive"],
    ),
    member(
        A::WorkflowsRotateWebhookSecret,
        WEBHOOKS,
        &["POST workflows/:id/rotate-webhook-secret"],
    ),
    Row {
        scopes: INTERNAL,
        human: false,
        ..member(
            A::WorkflowsSchedulerTick,
            WORKFLOWS,
            &["POST workflows/scheduler/tick"],
        )
    },
    special(
        A::WorkflowsWebhookInvoke,
        WEBHOOKS,
        Special::WorkflowWebhook,
        &["POST /webhooks/workflows/:id"],
    ),
    ranked(
        A::ChannelsDirectoryRead,
        CHANNELS,
        DESKTOP_ADMIN,
        ORG,
        &["GET channels/providers", "GET channels/identities"],
    ),
    ranked(
        A::ChannelsManageRead,
        CHANNELS,
        DESKTOP_ADMIN,
        ORG,
        &["GET channels/agents", "GET channels/bindings"],
    ),
    ranked(
        A::ChannelsManageWrite,
        CHANNELS,
        DESKTOP_ADMIN,
        ORG,
        &[
            "POST channels/agents",
            "POST channels/bindings",
            "PATCH channels/agents/:id",
            "PATCH channels/bindings/:id",
        ],
    ),
    bound(ranked(
        A::ChannelsServiceIdentity,
        CHANNELS,
        GATEWAY_ADMIN,
        ORG,
        &["POST channels/identities/resolve"],
    )),
    channel(
        A::ChannelsServiceSession,
        CHANNELS,
        &[
            "POST channels/sessions/bind",
            "POST channels/sessions/prompt",
            "GET channels/sessions/by-thread",
            "GET channels/sessions/:id/snapshot",
            "GET channels/sessions/:id/events",
        ],
    ),
    channel(
        A::ChannelsServiceArtifact,
        CHANNELS_ARTIFACTS,
        &["GET channels/sessions/:id/artifacts/:aid"],
    ),
    channel(
        A::ChannelsServiceCursor,
        CHANNELS,
        &["POST channels/cursor"],
    ),
    channel(
        A::ChannelsServiceInteraction,
        CHANNELS,
        &[
            "POST channels/interactions",
            "POST channels/interactions/resolve",
        ],
    ),
    channel(
        A::ChannelsServiceProviderEvent,
        CHANNELS,
        &[
            "POST channels/provider-events/claim",
            "POST channels/provider-events/:id/complete",
        ],
    ),
    channel(
        A::ChannelsServiceDelivery,
        CHANNELS,
        &[
            "GET channels/deliveries/stream",
            "POST channels/deliveries",
            "POST channels/deliveries/:id/ack",
        ],
    ),
    bound(ranked(
        A::ChannelsDeliveriesRead,
        CHANNELS,
        GATEWAY_ADMIN,
        ORG,
        &["GET channels/deliveries"],
    )),
    bound(ranked(
        A::ChannelsDeliveriesWrite,
        CHANNELS,
        GATEWAY_ADMIN,
        ORG,
        &[
            "POST channels/deliveries/:id/retry",
            "POST channels/deliveries/:id/dead-letter",
        ],
    )),
    member(
        A::SettingsRead,
        SETTINGS,
        &["GET settings", "GET settings/:key"],
    ),
    member(
        A::SettingsWrite,
        SETTINGS,
        &[
            "POST settings",
            "PUT settings",
            "PATCH settings",
            "POST settings/:key",
            "PUT settings/:key",
            "PATCH settings/:key",
        ],
    ),
    member(
        A::ThreadsRead,
        THREADS,
        &[
            "GET threads",
            "GET threads/tags",
            "GET threads/smart-filters",
            "POST threads/search",
            "POST threads/facets",
        ],
    ),
    member(
        A::ThreadsWrite,
        THREADS,
        &[
            "POST threads/tags",
            "POST threads/smart-filters",
            "PATCH threads/tags/:id",
            "PATCH threads/smart-filters/:id",
            "DELETE threads/tags/:id",
            "DELETE threads/smart-filters/:id",
            "POST threads/tags/:id/apply",
            "POST threads/tags/:id/remove",
        ],
    ),
    member(
        A::CoordinationRead,
        &[],
        &[
            "GET coordination/board",
            "GET coordination/projects",
            "GET coordination/tasks",
            "GET coordination/tasks/:id/work-target",
        ],
    ),
    member(
        A::CoordinationWrite,
        &[],
        &[
            "POST coordination/projects",
            "POST coordination/projects/:id",
            "POST coordination/projects/:id/plan-with-cleo",
            "POST coordination/tasks",
            "POST coordination/tasks/:id",
            "POST coordination/tasks/:id/move",
            "POST coordination/tasks/:id/assign",
            "POST coordination/tasks/:id/link-work",
        ],
    ),
    member(
        A::CoordinationWatchesRead,
        CHANNELS,
        &["GET coordination/watches"],
    ),
    member(
        A::CoordinationWatchesWrite,
        CHANNELS,
        &[
            "POST coordination/watches",
            "POST coordination/watches/:id",
            "POST coordination/watches/:id/pause",
            "POST coordination/watches/:id/resume",
            "DELETE coordination/watches/:id",
        ],
    ),
    member(
        A::KnowledgeRead,
        KNOWLEDGE,
        &["GET knowledge", "GET knowledge/pages/:id/history"],
    ),
    member(
        A::KnowledgePropose,
        KNOWLEDGE,
        &["POST knowledge/proposals"],
    ),
    ranked(
        A::KnowledgeAdminWrite,
        KNOWLEDGE,
        ADMIN,
        ORG,
        &[
            "POST knowledge/spaces",
            "POST knowledge/proposals/:id/accept",
            "POST knowledge/proposals/:id/decline",
            "POST knowledge/pages/:id/restore",
        ],
    ),
    special(
        A::KnowledgeAgentPropose,
        KNOWLEDGE,
        Special::KnowledgeAgent,
        &["POST knowledge/agent/propose"],
    ),
    member(A::LaunchpadRead, CHAT, &["GET launchpad/feed"]),
    Row {
        any_features: &[Feature::Agents, Feature::CustomSkills, Feature::CustomMcps],
        ..member(
            A::CapabilitiesRead,
            &[],
            &[
                "GET capabilities",
                "GET capabilities/tools",
                "GET capabilities/tools/:id",
                "GET capabilities/skills",
                "GET capabilities/skills/:name",
                "GET capabilities/skills/:name/bundle",
            ],
        )
    },
    member(
        A::BillingRead,
        &[],
        &["GET billing/subscription", "GET billing/entitlements"],
    ),
    ranked(
        A::BillingWrite,
        &[],
        ADMIN,
        &[P::BillingManage],
        &["POST billing/checkout", "POST billing/portal"],
    ),
    special(
        A::BillingWebhookApply,
        &[],
        Special::BillingWebhook,
        &["POST /webhooks/billing"],
    ),
    Row {
        scopes: ADMIN_OPERATOR,
        ..permitted(
            A::UsageRead,
            &[],
            &[P::OperationsView, P::BillingManage],
            &["GET usage/events", "GET usage/summary"],
        )
    },
    permitted(
        A::ByokRead,
        BYOK,
        &[P::PolicyManage],
        &["GET byok", "GET byok/:provider"],
    ),
    permitted(
        A::ByokWrite,
        BYOK,
        &[P::PolicyManage],
        &[
            "POST byok/:provider",
            "DELETE byok/:provider",
            "POST byok/:provider/validate",
            "POST byok/:provider/override",
        ],
    ),
    overview(A::PolicyEffectiveRead, &["GET policy/effective"]),
    permitted(A::PolicyRead, &[], &[P::PolicyManage], &["GET policy"]),
    permitted(
        A::PolicyWrite,
        &[],
        &[P::PolicyManage],
        &["POST policy", "PUT policy"],
    ),
    ranked(
        A::ApiTokensRead,
        &[],
        ADMIN,
        &[P::ApiTokensRead],
        &["GET api-tokens"],
    ),
    ranked(
        A::ApiTokensWrite,
        &[],
        ADMIN,
        &[P::ApiTokensManage],
        &[
            "POST api-tokens",
            "DELETE api-tokens/:id",
            "POST api-tokens/:id/channel-bindings",
        ],
    ),
    overview(
        A::AdminRead,
        &[
            "GET admin",
            "GET admin/policy",
            "GET admin/access",
            "GET admin/permission-catalog",
        ],
    ),
    permitted(
        A::AdminAuditRead,
        &[],
        &[P::AuditRead],
        &["GET admin/audit", "GET admin/audit/export"],
    ),
    permitted(
        A::AdminRolesRead,
        &[],
        &[P::RolesManage],
        &["GET admin/roles"],
    ),
    permitted(
        A::AdminRolesWrite,
        &[],
        &[P::RolesManage],
        &[
            "POST admin/roles",
            "POST admin/roles/:key/update",
            "DELETE admin/roles/:key",
        ],
    ),
    permitted(
        A::AdminMembersRead,
        &[],
        &[P::MembersRead, P::OrgManage, P::MembersManage],
        &["GET admin/members"],
    ),
    permitted(
        A::AdminMembersWrite,
        &[],
        &[P::OrgManage, P::MembersManage],
        &[
            "POST admin/members",
            "POST admin/members/:id/update",
            "POST admin/members/:id/role",
        ],
    ),
    permitted(A::AdminSsoRead, &[], &[P::SsoManage], &["GET admin/sso"]),
    permitted(
        A::AdminSsoWrite,
        &[],
        &[P::SsoManage],
        &[
            "POST admin/sso",
            "DELETE admin/sso",
            "POST admin/sso/scim-token",
        ],
    ),
    ranked(
        A::AdminWorkersRead,
        &[],
        ADMIN_OPERATOR,
        ORG,
        &[
            "GET admin/worker-pools",
            "GET admin/workers",
            "GET admin/workers/:id",
            "GET admin/workers/:id/credentials",
            "GET admin/workers/:id/heartbeats",
        ],
    ),
    ranked(
        A::AdminWorkersWrite,
        &[],
        ADMIN_OPERATOR,
        ORG,
        &[
            "POST admin/worker-pools",
            "POST admin/worker-pools/:id/update",
            "POST admin/workers",
            "POST admin/workers/:id/activate",
            "POST admin/workers/:id/pause",
            "POST admin/workers/:id/resume",
            "POST admin/workers/:id/drain",
            "POST admin/workers/:id/retire",
            "POST admin/workers/:id/revoke",
            "POST admin/workers/:id/unhealthy",
            "POST admin/workers/:id/credentials",
            "POST admin/workers/:id/credentials/:cid/rotate",
            "POST admin/workers/:id/credentials/:cid/revoke",
        ],
    ),
    service(
        A::OperatorMetricsRead,
        &[],
        OPERATOR,
        &[P::OperationsView],
        &["GET metrics"],
    ),
    service(
        A::OperatorDiagnosticsRead,
        &[],
        OPERATOR,
        &[P::DiagnosticsView],
        &["GET diagnostics"],
    ),
    service(
        A::OperatorRuntimeRead,
        &[],
        OPERATION,
        &[],
        &["GET runtime/status", "GET workers/heartbeats"],
    ),
    special(
        A::WorkerHeartbeat,
        &[],
        Special::Worker,
        &["POST workers/:id/heartbeat"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_stands_at_its_place() {
        let listed: Vec<CloudAction> = ACTIONS.iter().map(|row| row.action).collect();
        assert_eq!(listed, CloudAction::ALL);
    }

    /// The table as data, for a reader who compares it with the contract and for programs in other languages.
    #[test]
    fn the_table_is_the_committed_one() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/policy/actions.json"
        );
        let text = serde_json::to_string_pretty(&ACTIONS.as_slice()).unwrap() + "\n";
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            stored.replace("\r\n", "\n"),
            text,
            "run this test with UPDATE_FIXTURES=1 and read the difference"
        );
    }

    #[test]
    fn people_pass_by_roles_or_permissions_only_where_people_may() {
        for row in &ACTIONS {
            assert!(row.human || row.roles.is_empty(), "{}", row.action);
            assert!(
                row.special.is_none() || row.scopes.is_empty(),
                "{}",
                row.action
            );
            assert!(
                !row.binding || row.scopes.contains(&TokenScope::Gateway),
                "{}",
                row.action
            );
        }
    }
}
