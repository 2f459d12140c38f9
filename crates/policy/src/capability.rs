//! The capability policy of the cloud (07 §4): every request is one action, and one function decides.
//!
//! | module | holds |
//! |---|---|
//! | [`table`] | the 87 actions with their routes, features, scopes, roles and permissions |
//! | [`route`] | from method and path to the action |
//!
//! The order of the decision is fixed: unknown action, features, principal, binding. Features come first, so
//! that a feature that is off never tells whether a binding or a membership exists; decide before a body is
//! read and before anything is looked up. The one exception is [`route::create_workflow`].

pub mod route;
pub mod table;

pub use route::action_for;

use open_cowork_contracts::access::{
    AuthSource, BuiltInRole, CloudAction, DenialCode, Feature, Permission, PrincipalClass,
    TokenScope,
};
use open_cowork_contracts::workspace::WorkspaceActionVerdict;
use std::collections::{BTreeMap, BTreeSet};
use table::{Row, Special};

/// Switches of a profile by name. Only exactly true is on.
pub type Features = BTreeMap<String, bool>;

/// The defaults of a profile: everything but webhooks (07 §4.2).
#[must_use]
pub fn default_features() -> Features {
    Feature::ALL
        .iter()
        .map(|feature| (feature.as_str().to_owned(), *feature != Feature::Webhooks))
        .collect()
}

/// The role that an organisation made itself, as found in a principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CustomRole {
    /// None: the built-in role holds.
    #[default]
    None,
    /// Its permissions replace those of the built-in role.
    Assigned,
    /// Present, but blank or not a string: denies.
    Invalid,
}

/// Who asks. Whether the membership is active is settled before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    class: PrincipalClass,
    scopes: BTreeSet<TokenScope>,
    /// The built-in role of the account behind it.
    pub role: Option<BuiltInRole>,
    /// The custom role of the account behind it.
    pub custom_role: CustomRole,
    /// The resolved permissions; `None`: nobody resolved them, which denies where they matter.
    pub permissions: Option<Vec<Permission>>,
}

impl Principal {
    /// A principal of this source. `scopes` count only for API tokens: duplicates collapse; none, or one that
    /// nobody knows, makes the principal unknown.
    #[must_use]
    pub fn new<S: AsRef<str>>(source: &str, scopes: impl IntoIterator<Item = S>) -> Self {
        let mut known = BTreeSet::new();
        let class = match AuthSource::parse(source) {
            Some(AuthSource::User) => PrincipalClass::User,
            Some(AuthSource::Local) => PrincipalClass::Local,
            Some(AuthSource::Header) => PrincipalClass::Header,
            Some(AuthSource::Worker) => PrincipalClass::WorkerService,
            Some(AuthSource::SignedWorkflowWebhook) => PrincipalClass::WorkflowWebhookService,
            Some(AuthSource::SignedKnowledgeAgent) => PrincipalClass::KnowledgeAgentService,
            Some(AuthSource::VerifiedBillingWebhook) => PrincipalClass::BillingWebhookService,
            Some(AuthSource::ApiToken) => {
                let parsed: Option<BTreeSet<TokenScope>> = scopes
                    .into_iter()
                    .map(|scope| TokenScope::parse(scope.as_ref()))
                    .collect();
                known = parsed.unwrap_or_default();
                let mut scopes = known.iter();
                match (scopes.next(), scopes.next()) {
                    (None, _) => PrincipalClass::Unknown,
                    (Some(_), Some(_)) => PrincipalClass::MixedService,
                    (Some(TokenScope::Desktop), None) => PrincipalClass::DesktopService,
                    (Some(TokenScope::Gateway), None) => PrincipalClass::GatewayService,
                    (Some(TokenScope::Admin), None) => PrincipalClass::AdminService,
                    (Some(TokenScope::Operator), None) => PrincipalClass::OperatorService,
                    (Some(TokenScope::WorkerInternal), None) => {
                        PrincipalClass::WorkerInternalService
                    }
                }
            }
            None => PrincipalClass::Unknown,
        };
        Self {
            class,
            scopes: known,
            role: None,
            custom_role: CustomRole::None,
            permissions: None,
        }
    }

    /// The same with the account behind it.
    #[must_use]
    pub fn with_account(
        self,
        role: Option<BuiltInRole>,
        custom_role: CustomRole,
        permissions: Option<Vec<Permission>>,
    ) -> Self {
        Self {
            role,
            custom_role,
            permissions,
            ..self
        }
    }

    /// What it counts as.
    #[must_use]
    pub fn class(&self) -> PrincipalClass {
        self.class
    }

    /// Its token scopes; empty for everything but API tokens.
    #[must_use]
    pub fn scopes(&self) -> &BTreeSet<TokenScope> {
        &self.scopes
    }

    fn holds_one_of(&self, permissions: &[Permission]) -> bool {
        let held = self.permissions.as_deref().unwrap_or_default();
        permissions
            .iter()
            .any(|permission| held.contains(permission))
    }

    fn is_service(&self) -> bool {
        self.class.as_str().ends_with("-service")
    }
}

/// A decision, with everything that its metric and its log record may say (07 §4.2): four labels, each of a
/// closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The action; `None`: no action belongs to the request.
    pub action: Option<CloudAction>,
    /// Who asked.
    pub principal: PrincipalClass,
    /// Why not; `None`: allowed.
    pub denial: Option<DenialCode>,
}

impl Decision {
    /// Whether the request may go on.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.denial.is_none()
    }

    /// What the answer of a refusal carries: 403 with this verdict, its reason also as `error`.
    #[must_use]
    pub fn verdict(&self) -> WorkspaceActionVerdict {
        WorkspaceActionVerdict {
            allowed: self.allowed(),
            reason: self.denial.map(|code| sentence(code).to_owned()),
            policy_code: self.denial.map(|code| code.as_str().to_owned()),
            reason_code: None,
        }
    }

    /// The labels of `open_cowork_cloud_workspace_policy_decisions_total` and of the log record
    /// `cloud.workspace_policy.decision`.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, &'static str); 4] {
        [
            (
                "workspace_policy_action",
                self.action.map_or("unknown", CloudAction::as_str),
            ),
            ("workspace_policy_principal", self.principal.as_str()),
            (
                "workspace_policy_outcome",
                if self.allowed() { "allowed" } else { "denied" },
            ),
            (
                "workspace_policy_reason",
                self.denial.map_or("none", DenialCode::as_str),
            ),
        ]
    }
}

/// Decides about an action (07 §4.2). `binding_proven`: the token holds an active grant for the channel that the
/// request names.
#[must_use]
pub fn evaluate(
    action: Option<CloudAction>,
    principal: &Principal,
    features: &Features,
    binding_proven: bool,
) -> Decision {
    let denial = match action {
        None => Some(DenialCode::ActionUnknown),
        Some(action) => denial(table::row(action), principal, features, binding_proven),
    };
    Decision {
        action,
        principal: principal.class,
        denial,
    }
}

fn denial(
    row: &Row,
    principal: &Principal,
    features: &Features,
    binding_proven: bool,
) -> Option<DenialCode> {
    let on = |feature: &Feature| features.get(feature.as_str()) == Some(&true);
    if let Some(off) = row.features.iter().find(|feature| !on(feature)) {
        return Some(disabled(*off));
    }
    if !row.any_features.is_empty() && !row.any_features.iter().any(on) {
        return Some(DenialCode::CapabilitiesDisabled);
    }
    if !admits(row, principal) {
        return Some(match principal.is_service() {
            true => DenialCode::ScopeRequired,
            false => DenialCode::PrincipalDenied,
        });
    }
    let only_by_gateway = principal.scopes.contains(&TokenScope::Gateway)
        && !principal
            .scopes
            .iter()
            .any(|scope| *scope != TokenScope::Gateway && row.scopes.contains(scope));
    if row.binding && only_by_gateway && !binding_proven {
        return Some(DenialCode::BindingScopeRequired);
    }
    None
}

/// The principal rule of an action.
fn admits(row: &Row, principal: &Principal) -> bool {
    match principal.class {
        PrincipalClass::Unknown => false,
        PrincipalClass::WorkerService => row.special == Some(Special::Worker),
        PrincipalClass::WorkflowWebhookService => row.special == Some(Special::WorkflowWebhook),
        PrincipalClass::KnowledgeAgentService => row.special == Some(Special::KnowledgeAgent),
        PrincipalClass::BillingWebhookService => row.special == Some(Special::BillingWebhook),
        PrincipalClass::Local => row.human || row.local,
        PrincipalClass::User | PrincipalClass::Header => admits_person(row, principal),
        PrincipalClass::DesktopService
        | PrincipalClass::GatewayService
        | PrincipalClass::AdminService
        | PrincipalClass::OperatorService
        | PrincipalClass::WorkerInternalService
        | PrincipalClass::MixedService => admits_token(row, principal),
    }
}

fn admits_person(row: &Row, principal: &Principal) -> bool {
    if !row.human || principal.custom_role == CustomRole::Invalid {
        return false;
    }
    if row.roles.is_empty() && row.permissions.is_empty() {
        return true; // any active member
    }
    if !row.roles.is_empty() && principal.custom_role == CustomRole::None {
        return principal.role.is_some_and(|role| row.roles.contains(&role));
    }
    principal.holds_one_of(row.permissions)
}

fn admits_token(row: &Row, principal: &Principal) -> bool {
    let accepted = |scope: &TokenScope| row.scopes.contains(scope);
    if !principal.scopes.iter().any(accepted) {
        return false;
    }
    let internal = TokenScope::WorkerInternal;
    let exempt = principal.scopes.contains(&internal) && accepted(&internal);
    if !row.org_admin || exempt {
        return true;
    }
    match principal.custom_role {
        CustomRole::None => matches!(
            principal.role,
            Some(BuiltInRole::Owner | BuiltInRole::Admin)
        ),
        CustomRole::Assigned => principal.holds_one_of(row.permissions),
        CustomRole::Invalid => false,
    }
}

fn disabled(feature: Feature) -> DenialCode {
    match feature {
        Feature::Chat => DenialCode::ChatDisabled,
        Feature::Artifacts => DenialCode::ArtifactsDisabled,
        Feature::ThreadIndex => DenialCode::ThreadIndexDisabled,
        Feature::Workflows => DenialCode::WorkflowsDisabled,
        Feature::Webhooks => DenialCode::WebhooksDisabled,
        Feature::Channels => DenialCode::ChannelsDisabled,
        Feature::Settings => DenialCode::SettingsDisabled,
        Feature::Knowledge => DenialCode::KnowledgeDisabled,
        Feature::Byok => DenialCode::ByokDisabled,
        Feature::Agents | Feature::CustomSkills | Feature::CustomAgents | Feature::CustomMcps => {
            DenialCode::CapabilitiesDisabled
        }
    }
}

/// What a person reads.
#[must_use]
pub fn sentence(code: DenialCode) -> &'static str {
    match code {
        DenialCode::ActionUnknown => "This method and path are not part of the API.",
        DenialCode::PrincipalDenied => "Your role does not permit this; ask an administrator.",
        DenialCode::ScopeRequired => {
            "The credential's scopes or the role behind it do not permit this; use a token that was issued for it."
        }
        DenialCode::BindingScopeRequired => {
            "The gateway token is not bound to this channel; grant it the channel binding."
        }
        DenialCode::CapabilitiesDisabled => {
            "The catalogue of tools and skills is switched off for this workspace."
        }
        DenialCode::ThreadIndexDisabled => {
            "Chat search and tags are switched off for this workspace."
        }
        DenialCode::ChatDisabled => "Chats are switched off for this workspace.",
        DenialCode::ArtifactsDisabled => "Artifacts are switched off for this workspace.",
        DenialCode::WorkflowsDisabled => "Playbooks are switched off for this workspace.",
        DenialCode::WebhooksDisabled => "Webhooks are switched off for this workspace.",
        DenialCode::ChannelsDisabled => "Channels are switched off for this workspace.",
        DenialCode::SettingsDisabled => "Settings are switched off for this workspace.",
        DenialCode::KnowledgeDisabled => "Knowledge is switched off for this workspace.",
        DenialCode::ByokDisabled => "Own provider keys are switched off for this workspace.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_scopes_make_its_class() {
        for (scopes, expected) in [
            (vec![], PrincipalClass::Unknown),
            (vec!["desktop"], PrincipalClass::DesktopService),
            (vec!["desktop", "desktop"], PrincipalClass::DesktopService),
            (vec!["gateway", "admin"], PrincipalClass::MixedService),
            (vec!["gateway", "superuser"], PrincipalClass::Unknown),
            (
                vec!["worker-internal"],
                PrincipalClass::WorkerInternalService,
            ),
        ] {
            assert_eq!(
                Principal::new("api_token", &scopes).class(),
                expected,
                "{scopes:?}"
            );
        }
        let none: [&str; 0] = [];
        assert_eq!(
            Principal::new("robot", none).class(),
            PrincipalClass::Unknown
        );
        assert!(Principal::new("user", ["admin"]).scopes().is_empty());
    }

    #[test]
    fn a_feature_that_is_off_hides_who_may() {
        let nobody = Principal::new("robot", [""; 0]);
        let decision = evaluate(
            Some(CloudAction::ChannelsServiceSession),
            &nobody,
            &Features::new(),
            false,
        );
        assert_eq!(decision.denial, Some(DenialCode::ChannelsDisabled));
    }

    #[test]
    fn a_refusal_has_one_sentence_a_code_and_four_labels() {
        let member = Principal {
            role: Some(BuiltInRole::Member),
            ..Principal::new("user", [""; 0])
        };
        let decision = evaluate(
            Some(CloudAction::BillingWrite),
            &member,
            &default_features(),
            false,
        );
        assert_eq!(
            serde_json::to_value(decision.verdict()).unwrap(),
            serde_json::json!({
                "allowed": false,
                "reason": "Your role does not permit this; ask an administrator.",
                "policyCode": "authorization.principal_denied"
            })
        );
        assert_eq!(
            decision.labels().map(|(_, value)| value),
            [
                "billing.write",
                "user",
                "denied",
                "authorization.principal_denied"
            ]
        );
    }

    #[test]
    fn only_exactly_true_switches_a_feature_on() {
        let person = Principal::new("user", [""; 0]);
        let decide = |features: &Features| {
            evaluate(Some(CloudAction::SessionsList), &person, features, false)
        };
        assert!(decide(&default_features()).allowed());
        for features in [Features::new(), Features::from([("chat".into(), false)])] {
            assert_eq!(decide(&features).denial, Some(DenialCode::ChatDisabled));
        }
    }
}
