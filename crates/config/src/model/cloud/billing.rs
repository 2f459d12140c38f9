//! Plans and billing (02 §4.10).

use crate::model::cloud::features::CloudFeatures;
use crate::model::nullable::Nullable;
use crate::model::number::Whole;
use crate::model::secret::SecretRef;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Billing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Billing {
    /// Whether it is on; false when absent, and then nothing is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who bills; `none` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<BillingProvider>,
    /// Plan of an organization that has none; `self-host` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_plan_key: Option<String>,
    /// Plans by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans: Option<IndexMap<String, Plan>>,
    /// The account at Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe: Option<Stripe>,
}

/// The account at Stripe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stripe {
    /// Reference to the API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_ref: Option<SecretRef>,
    /// Reference to the secret of the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret_ref: Option<SecretRef>,
    /// Price of a plan that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_price_id: Option<String>,
    /// Where people go after paying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_url: Option<String>,
    /// Where they go after giving up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
    /// Where they go after the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_return_url: Option<String>,
}

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its price at Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_price_id: Option<String>,
    /// What it includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlements: Option<PlanEntitlements>,
}

/// What a plan includes; an absent limit is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanEntitlements {
    /// What it offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<CloudFeatures>,
    /// Profiles; any when null or empty.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub allowed_profiles: Nullable<Vec<String>>,
    /// Model providers; any when null or empty.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub allowed_providers: Nullable<Vec<String>>,
    /// Sessions at a time.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_concurrent_sessions_per_org: Nullable<Whole>,
    /// Workflow runs at a time.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_concurrent_workflow_runs_per_org: Nullable<Whole>,
    /// Workers at a time.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_active_workers_per_org: Nullable<Whole>,
    /// Commands that wait.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_queued_commands_per_org: Nullable<Whole>,
    /// How long a command may wait, milliseconds.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_queue_age_ms: Nullable<Whole>,
    /// Prompts in an hour.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_prompts_per_hour: Nullable<Whole>,
    /// Workflow runs in an hour.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_workflow_runs_per_hour: Nullable<Whole>,
    /// Prompts of the gateway in an hour.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_gateway_prompts_per_hour: Nullable<Whole>,
    /// Minutes of workers in an hour.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_worker_minutes_per_hour: Nullable<Whole>,
    /// Deliveries of the gateway in an hour.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_gateway_deliveries_per_hour: Nullable<Whole>,
    /// Channel bindings.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_gateway_channel_bindings_per_org: Nullable<Whole>,
    /// Bytes of artifacts in a day.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_artifact_bytes_per_day: Nullable<Whole>,
    /// Whether new sessions may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_new_sessions: Option<bool>,
    /// Whether prompts may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_prompts: Option<bool>,
    /// Whether workers may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_workers: Option<bool>,
}

text_enum! {
    /// Who bills.
    pub enum BillingProvider {
        /// Nobody.
        None = "none",
        /// A stand-in for tests.
        Stub = "stub",
        /// Stripe.
        Stripe = "stripe",
    }
}
