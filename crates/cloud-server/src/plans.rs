//! Billing by the plans of the configuration and the stored subscriptions, with nobody behind it who takes money: the
//! provider `stub` (04 §8). A checkout is done at once. For trying plans out, and for deployments that write
//! subscriptions by themselves.

use async_trait::async_trait;
use open_cowork_config::model::cloud::billing::Billing as Configured;
use open_cowork_contracts::api::usage::{BillingPlan, BillingSubscription, SubscriptionStatus};
use open_cowork_contracts::{JsonObject, TenantId};
use open_cowork_providers::billing::{Billing, BillingError, Checkout, CheckoutWish, Standing};
use open_cowork_providers::store::{ControlPlane, StoreError};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// The provider's name.
pub const STUB: &str = "stub";

/// Plans of a configuration, and who has which.
pub struct Plans {
    store: Arc<dyn ControlPlane>,
    plans: Vec<BillingPlan>,
    default: String,
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans").field("plans", &self.plans).finish()
    }
}

impl Plans {
    /// The plans of a configuration over these records.
    #[must_use]
    pub fn new(configured: &Configured, store: Arc<dyn ControlPlane>) -> Self {
        let default = configured.default_plan_key.clone();
        let default = default.unwrap_or_else(|| "self-host".to_owned());
        let plans = configured.plans.iter().flatten().map(|(key, plan)| {
            let entitlements = plan.entitlements.as_ref();
            BillingPlan {
                plan_key: key.clone(),
                label: plan.label.clone().unwrap_or_else(|| key.clone()),
                default: *key == default,
                entitlements: entitlements.map(object).unwrap_or_default(),
            }
        });
        Plans {
            store,
            plans: plans.collect(),
            default,
        }
    }

    fn plan(&self, key: &str) -> Option<&BillingPlan> {
        self.plans.iter().find(|plan| plan.plan_key == key)
    }
}

fn object(value: &impl serde::Serialize) -> JsonObject {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        _ => JsonObject::new(),
    }
}

#[async_trait]
impl Billing for Plans {
    fn provider_id(&self) -> &str {
        STUB
    }

    fn plans(&self) -> Vec<BillingPlan> {
        self.plans.clone()
    }

    async fn standing(&self, tenant: &TenantId) -> Result<Standing, StoreError> {
        let subscription = self.store.subscription(tenant).await?;
        let key = match &subscription {
            Some(own) => own.plan_key.clone(),
            None => self.default.clone(),
        };
        // A plan that the configuration no longer has entitles to what the default one does.
        let plan = self.plan(&key).or_else(|| self.plan(&self.default));
        let entitlements = plan.map(|plan| plan.entitlements.clone());
        Ok(Standing::new(
            subscription,
            key,
            &entitlements.unwrap_or_default(),
        ))
    }

    async fn checkout(&self, wish: CheckoutWish) -> Result<Checkout, BillingError> {
        let id = format!("stub_{}", uuid::Uuid::new_v4().simple());
        let subscription = BillingSubscription {
            org_id: wish.org_id,
            provider_id: STUB.to_owned(),
            provider_customer_id: None,
            provider_subscription_id: Some(id.clone()),
            plan_key: wish.plan_key,
            status: SubscriptionStatus::Active,
            seats: 1,
            entitlements: JsonObject::new(),
            current_period_end: None,
            cancel_at_period_end: false,
            metadata: JsonObject::new(),
            created_at: String::new(),
            updated_at: String::new(),
        };
        Ok(Checkout {
            url: format!("https://billing.local/checkout/{id}"),
            provider_session_id: Some(id),
            subscription: Some(subscription),
        })
    }

    async fn portal(
        &self,
        subscription: Option<&BillingSubscription>,
        _return_url: Option<String>,
    ) -> Result<String, BillingError> {
        match subscription {
            Some(own) => Ok(format!("https://billing.local/portal/{}", own.org_id)),
            None => Err(BillingError::NoCustomer),
        }
    }
}
