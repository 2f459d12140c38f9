//! What an organisation's plan lets it do (04 §8, §13.4). Asked before a write, never before a read; where nobody bills
//! there is no adapter, and nothing is asked.

use crate::store::StoreError;
use async_trait::async_trait;
use open_cowork_contracts::api::usage::{BillingPlan, BillingSubscription, SubscriptionStatus};
use open_cowork_contracts::{AccountId, JsonObject, OrgId, TenantId};
use serde_json::Value;
use std::fmt;

/// What somebody wants to do (04 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingAction {
    /// `session.create`.
    SessionCreate,
    /// `prompt.enqueue`.
    PromptEnqueue,
    /// `worker.execute`.
    WorkerExecute,
    /// `artifact.upload`.
    ArtifactUpload,
    /// `byok.provider`.
    ByokProvider,
    /// `channel.manage`.
    ChannelManage,
    /// `gateway.session.bind`.
    GatewaySessionBind,
}

impl BillingAction {
    /// The feature of a plan that it needs.
    #[must_use]
    pub fn feature(self) -> &'static str {
        match self {
            BillingAction::SessionCreate | BillingAction::PromptEnqueue => "chat",
            BillingAction::WorkerExecute => "workflows",
            BillingAction::ArtifactUpload => "artifacts",
            BillingAction::ByokProvider => "byok",
            BillingAction::ChannelManage | BillingAction::GatewaySessionBind => "channels",
        }
    }
}

/// An action with what plans may restrict it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillingWish<'a> {
    /// What.
    pub action: BillingAction,
    /// Under which profile.
    pub profile: Option<&'a str>,
    /// With which model provider.
    pub provider: Option<&'a str>,
}

impl BillingWish<'_> {
    /// The action alone.
    #[must_use]
    pub fn to(action: BillingAction) -> Self {
        BillingWish {
            action,
            profile: None,
            provider: None,
        }
    }
}

/// Why not: HTTP 402.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BillingDenial {
    /// `billing.…`
    pub code: &'static str,
    /// One sentence.
    pub message: &'static str,
}

/// How an organisation stands with whoever bills.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its subscription.
    pub subscription: Option<BillingSubscription>,
    /// The subscription's plan, else the deployment's default.
    pub plan_key: String,
    /// The plan's entitlements, overlaid by the subscription's.
    pub entitlements: JsonObject,
}

impl Standing {
    /// A subscription of this plan, if there is one; what it says goes over what the plan says, feature by feature.
    #[must_use]
    pub fn new(
        subscription: Option<BillingSubscription>,
        plan_key: String,
        plan: &JsonObject,
    ) -> Self {
        let mut entitlements = plan.clone();
        for (name, value) in subscription.iter().flat_map(|own| &own.entitlements) {
            match (entitlements.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(own)) => known.extend(own.clone()),
                _ => drop(entitlements.insert(name.clone(), value.clone())),
            }
        }
        Standing {
            subscription,
            plan_key,
            entitlements,
        }
    }

    /// The subscription is paid for, or on trial.
    #[must_use]
    pub fn is_active(&self) -> bool {
        use SubscriptionStatus::{Active, Trialing};
        let status = self.subscription.as_ref().map(|own| own.status);
        matches!(status, Some(Active | Trialing))
    }

    /// Whether the organisation may.
    ///
    /// # Errors
    /// The first denial in the order of 04 §8.
    pub fn check(&self, wish: &BillingWish<'_>) -> Result<(), BillingDenial> {
        let deny = |code, message| Err(BillingDenial { code, message });
        if self.subscription.is_none() {
            return deny(
                "billing.subscription_required",
                "The organisation has no subscription; an owner takes one out under Billing.",
            );
        }
        if !self.is_active() {
            return deny(
                "billing.subscription_inactive",
                "The organisation's subscription is not active; an owner renews it under Billing.",
            );
        }
        let features = self.entitlements.get("features");
        let feature = features.and_then(|features| features.get(wish.action.feature()));
        if feature == Some(&Value::Bool(false)) {
            return deny(
                "billing.feature_not_entitled",
                "The organisation's plan doesn't include this; an owner changes the plan under Billing.",
            );
        }
        if !self.lists("allowedProfiles", wish.profile) {
            return deny(
                "billing.profile_not_entitled",
                "The organisation's plan doesn't include this profile; choose another one, or an owner changes the plan.",
            );
        }
        if !self.lists("allowedProviders", wish.provider) {
            return deny(
                "billing.provider_not_entitled",
                "The organisation's plan doesn't include this model provider; choose another one, or an owner changes the plan.",
            );
        }
        let switch = match wish.action {
            BillingAction::SessionCreate => (
                "allowNewSessions",
                "billing.sessions_not_entitled",
                "The organisation's plan takes no new threads; an owner changes the plan under Billing.",
            ),
            BillingAction::PromptEnqueue => (
                "allowPrompts",
                "billing.prompts_not_entitled",
                "The organisation's plan takes no prompts; an owner changes the plan under Billing.",
            ),
            BillingAction::WorkerExecute => (
                "allowWorkers",
                "billing.workers_not_entitled",
                "The organisation's plan runs no coworkers; an owner changes the plan under Billing.",
            ),
            _ => return Ok(()),
        };
        match self.entitlements.get(switch.0) {
            Some(Value::Bool(false)) => deny(switch.1, switch.2),
            _ => Ok(()),
        }
    }

    /// An absent or empty list means no restriction.
    fn lists(&self, list: &str, name: Option<&str>) -> bool {
        let listed = self.entitlements.get(list).and_then(Value::as_array);
        match (listed, name) {
            (Some(listed), Some(name)) if !listed.is_empty() => {
                listed.iter().any(|known| known.as_str() == Some(name))
            }
            _ => true,
        }
    }

    /// A limit by its name, such as `maxPromptsPerHour`: the plan's when it says one, in either direction, else the
    /// deployment's. `None`: no limit. Of a plan only a positive number limits (04 §2.9).
    #[must_use]
    pub fn limit(&self, name: &str, deployment: Option<u64>) -> Option<u64> {
        match self.entitlements.get(name) {
            None => deployment,
            Some(said) => said.as_u64().filter(|limit| *limit > 0),
        }
    }
}

/// Who wants to subscribe to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutWish {
    /// For which organisation.
    pub org_id: OrgId,
    /// Who.
    pub account_id: AccountId,
    /// Their address.
    pub email: String,
    /// To which plan.
    pub plan_key: String,
    /// Where a checkout that is done leads to.
    pub success_url: Option<String>,
    /// Where one that is given up leads to.
    pub cancel_url: Option<String>,
}

/// A checkout that began.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkout {
    /// The provider's id of it.
    pub provider_session_id: Option<String>,
    /// Where the person goes on.
    pub url: String,
    /// What holds from now on, where nothing is left to pay.
    pub subscription: Option<BillingSubscription>,
}

/// Why a provider leads nobody anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// The wish is wrong: HTTP 400.
    #[error("{0}")]
    Wish(String),
    /// The organisation is no customer yet: HTTP 404.
    #[error("The organisation has no subscription yet; take one out first.")]
    NoCustomer,
    /// The provider doesn't answer, or refuses us: HTTP 502.
    #[error("The billing provider can't be reached; try again in a moment.")]
    Provider,
}

/// Whoever bills (04 §13.4). Notices of a provider to us are a later issue.
#[async_trait]
pub trait Billing: fmt::Debug + Send + Sync + 'static {
    /// Its name: `stub`, `stripe`, ….
    fn provider_id(&self) -> &str;

    /// What can be subscribed to.
    fn plans(&self) -> Vec<BillingPlan>;

    /// How an organisation stands.
    ///
    /// # Errors
    /// When the records can't be read: nothing is known, so nothing is permitted.
    async fn standing(&self, tenant: &TenantId) -> Result<Standing, StoreError>;

    /// Begins to subscribe.
    ///
    /// # Errors
    /// See [`BillingError`].
    async fn checkout(&self, wish: CheckoutWish) -> Result<Checkout, BillingError>;

    /// Where a subscription is changed.
    ///
    /// # Errors
    /// See [`BillingError`].
    async fn portal(
        &self,
        subscription: Option<&BillingSubscription>,
        return_url: Option<String>,
    ) -> Result<String, BillingError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value, reason = "`json!` at the call")]
    fn object(value: Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[allow(clippy::needless_pass_by_value, reason = "`json!` at the call")]
    fn standing(status: &str, plan: Value, own: Value) -> Standing {
        let subscription = serde_json::from_value(json!({
            "orgId": "o", "providerId": "stub", "providerCustomerId": null, "providerSubscriptionId": null,
            "planKey": "p", "status": status, "seats": 1, "entitlements": own, "currentPeriodEnd": null,
            "cancelAtPeriodEnd": false, "metadata": {}, "createdAt": "", "updatedAt": "",
        }));
        Standing::new(Some(subscription.unwrap()), "p".into(), &object(plan))
    }

    fn code(standing: &Standing, wish: &BillingWish<'_>) -> Option<&'static str> {
        standing.check(wish).err().map(|denial| denial.code)
    }

    #[test]
    fn denials_come_in_the_order_of_the_contract() {
        let prompt = BillingWish {
            profile: Some("full"),
            provider: Some("acme"),
            ..BillingWish::to(BillingAction::PromptEnqueue)
        };
        let mut plan = json!({
            "features": {"chat": false}, "allowedProfiles": ["small"], "allowedProviders": ["other"],
            "allowPrompts": false,
        });
        let none = Standing::new(None, "p".into(), &object(plan.clone()));
        assert_eq!(code(&none, &prompt), Some("billing.subscription_required"));
        for late in ["past_due", "canceled", "incomplete"] {
            let late = standing(late, plan.clone(), json!({}));
            assert_eq!(code(&late, &prompt), Some("billing.subscription_inactive"));
        }
        let steps = [
            ("features", "billing.feature_not_entitled"),
            ("allowedProfiles", "billing.profile_not_entitled"),
            ("allowedProviders", "billing.provider_not_entitled"),
            ("allowPrompts", "billing.prompts_not_entitled"),
        ];
        for (field, expected) in steps {
            let paid = standing("trialing", plan.clone(), json!({}));
            assert_eq!(code(&paid, &prompt), Some(expected));
            plan.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(code(&standing("active", plan, json!({})), &prompt), None);
    }

    #[test]
    fn each_action_asks_for_its_own_feature_and_switch() {
        let all = [
            (BillingAction::SessionCreate, "allowNewSessions"),
            (BillingAction::PromptEnqueue, "allowPrompts"),
            (BillingAction::WorkerExecute, "allowWorkers"),
        ];
        for (action, switch) in all {
            let off = standing("active", json!({ switch: false }), json!({}));
            for (other, _) in all {
                let denied = off.check(&BillingWish::to(other)).is_err();
                assert_eq!(denied, other == action, "{switch} {other:?}");
            }
        }
        for action in [
            BillingAction::ArtifactUpload,
            BillingAction::ByokProvider,
            BillingAction::ChannelManage,
            BillingAction::GatewaySessionBind,
        ] {
            let off = json!({"features": {action.feature(): false}});
            let off = standing("active", off, json!({}));
            assert!(off.check(&BillingWish::to(action)).is_err());
        }
    }

    #[test]
    fn a_subscription_goes_over_its_plan_and_an_empty_list_restricts_nothing() {
        let plan = json!({
            "features": {"chat": false, "byok": false}, "allowedProfiles": [], "maxPromptsPerHour": 5,
            "maxActiveWorkersPerOrg": 3,
        });
        let own = json!({"features": {"chat": true}, "maxPromptsPerHour": null});
        let standing = standing("active", plan, own);
        let wish = BillingWish {
            profile: Some("any"),
            ..BillingWish::to(BillingAction::PromptEnqueue)
        };
        assert_eq!(code(&standing, &wish), None);
        assert!(
            standing
                .check(&BillingWish::to(BillingAction::ByokProvider))
                .is_err()
        );
        assert_eq!(
            standing.limit("maxPromptsPerHour", Some(9)),
            None,
            "null lifts"
        );
        assert_eq!(standing.limit("maxActiveWorkersPerOrg", Some(1)), Some(3));
        assert_eq!(standing.limit("maxQueueAgeMs", Some(7)), Some(7));
    }
}
