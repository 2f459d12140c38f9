//! Plans: what a write needs of them, how an organisation stands, and how it subscribes (03 §8.13, 04 §8).
//!
//! Where nobody bills, nothing is asked and nothing is limited by a plan.

use super::acting;
use crate::cloud::{Cloud, Quotas};
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use open_cowork_contracts::api::billing::{
    CheckoutAnswer, CheckoutRequest, PortalAnswer, PortalRequest,
};
use open_cowork_contracts::api::usage::{BillingMode, BillingPlan, BillingState, Entitlements};
use open_cowork_contracts::{JsonObject, TenantId};
use open_cowork_providers::billing::{Billing, BillingError, BillingWish, CheckoutWish, Standing};
use open_cowork_providers::store::execution::QueueLimits;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Lets a write pass, or says why the organisation's plan doesn't.
///
/// # Errors
/// 402 with a code of `billing.…`.
pub async fn gate(cloud: &Cloud, tenant: &TenantId, wish: BillingWish<'_>) -> Result<(), ApiError> {
    let Some(billing) = &cloud.billing else {
        return Ok(());
    };
    let standing = billing.standing(tenant).await?;
    standing.check(&wish).map_err(|denial| {
        metrics::counter!("open_cowork_cloud_quota_rejections_total").increment(1);
        ApiError::policy(StatusCode::PAYMENT_REQUIRED, denial.code, denial.message)
    })
}

/// What an organisation may use up: its plan's limits where somebody bills and the plan says one, else the deployment's.
///
/// # Errors
/// When the store refuses.
pub async fn quotas(cloud: &Cloud, tenant: &TenantId) -> Result<Quotas, ApiError> {
    match &cloud.billing {
        // Without metering there is no limit at all (04 §2.9).
        Some(billing) if cloud.governance.metering => {
            let standing = billing.standing(tenant).await?;
            Ok(of_plan(&standing, cloud.options.quotas))
        }
        _ => Ok(cloud.options.quotas),
    }
}

fn of_plan(standing: &Standing, deployment: Quotas) -> Quotas {
    let limit = |name, deployment| standing.limit(name, deployment);
    let (own, queue) = (deployment, deployment.queue);
    let age = queue.max_age.map(|age| age.as_millis() as u64);
    let queued = limit("maxQueuedCommandsPerOrg", queue.max_queued.map(u64::from));
    Quotas {
        concurrent_sessions: limit("maxConcurrentSessionsPerOrg", own.concurrent_sessions),
        prompts_per_hour: limit("maxPromptsPerHour", own.prompts_per_hour),
        gateway_prompts_per_hour: limit("maxGatewayPromptsPerHour", own.gateway_prompts_per_hour),
        workflow_runs_per_hour: limit("maxWorkflowRunsPerHour", own.workflow_runs_per_hour),
        concurrent_workflow_runs: limit(
            "maxConcurrentWorkflowRunsPerOrg",
            own.concurrent_workflow_runs,
        ),
        gateway_deliveries_per_hour: limit(
            "maxGatewayDeliveriesPerHour",
            own.gateway_deliveries_per_hour,
        ),
        gateway_channel_bindings: limit(
            "maxGatewayChannelBindingsPerOrg",
            own.gateway_channel_bindings,
        ),
        worker_minutes_per_hour: limit("maxWorkerMinutesPerHour", own.worker_minutes_per_hour),
        artifact_bytes_per_day: limit("maxArtifactBytesPerDay", own.artifact_bytes_per_day),
        queue: QueueLimits {
            max_queued: queued.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            max_age: limit("maxQueueAgeMs", age).map(Duration::from_millis),
        },
    }
}

/// Who bills, and how the organisation stands.
///
/// # Errors
/// When the store refuses.
pub async fn state(cloud: &Cloud, principal: &Principal) -> Result<BillingState, ApiError> {
    let tenant = &principal.tenant_id;
    let Some(billing) = &cloud.billing else {
        return Ok(BillingState {
            enabled: false,
            mode: BillingMode::SelfHost,
            provider_id: "none".to_owned(),
            subscription: cloud.store.subscription(tenant).await?,
            entitlements: JsonObject::new(),
            active: true,
            plans: vec![BillingPlan {
                plan_key: "self-host".to_owned(),
                label: "Self-hosted".to_owned(),
                default: true,
                entitlements: JsonObject::new(),
            }],
        });
    };
    let standing = billing.standing(tenant).await?;
    Ok(BillingState {
        enabled: true,
        mode: match billing.provider_id() {
            "stub" => BillingMode::SelfHost,
            _ => BillingMode::Managed,
        },
        provider_id: billing.provider_id().to_owned(),
        active: standing.is_active(),
        entitlements: standing.entitlements,
        subscription: standing.subscription,
        plans: billing.plans(),
    })
}

/// What the resolver of entitlements says. There is none but `none`: everything, whatever billing says (03 §8.13).
#[must_use]
pub fn entitlements() -> Entitlements {
    const FEATURES: [&str; 7] = [
        "sessions",
        "prompts",
        "workers",
        "workflows",
        "artifacts",
        "byok",
        "channels",
    ];
    Entitlements {
        provider: "none".to_owned(),
        gating_enabled: false,
        billing_enabled: false,
        plan_key: None,
        plan_label: None,
        subscription_status: None,
        seats: None,
        features: FEATURES
            .iter()
            .map(|name| ((*name).to_owned(), true))
            .collect(),
        limits: BTreeMap::new(),
    }
}

fn bills(cloud: &Cloud) -> Result<&Arc<dyn Billing>, ApiError> {
    cloud.billing.as_ref().ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "billing.disabled",
            "Billing is off in this deployment.",
        )
    })
}

fn refused(error: &BillingError) -> ApiError {
    let message = error.to_string();
    match error {
        BillingError::Wish(_) => ApiError::invalid(message).code("billing.invalid"),
        BillingError::NoCustomer => ApiError::not_found(message).code("billing.no_customer"),
        BillingError::Provider => {
            ApiError::new(StatusCode::BAD_GATEWAY, "billing.unavailable", message)
        }
    }
}

/// Begins to subscribe. A provider that takes no money activates the subscription at once.
///
/// # Errors
/// 400 for an unknown plan, 404 while billing is off, 502.
pub async fn checkout(
    cloud: &Cloud,
    principal: &Principal,
    wish: CheckoutRequest,
) -> Result<CheckoutAnswer, ApiError> {
    let billing = bills(cloud)?;
    let plans = billing.plans();
    let wanted = match &wish.plan_key {
        Some(key) => plans.iter().find(|plan| plan.plan_key == *key),
        None => plans.iter().find(|plan| plan.default),
    };
    let Some(plan) = wanted else {
        let known: Vec<&str> = plans.iter().map(|plan| plan.plan_key.as_str()).collect();
        let message = format!("Field `planKey` must be one of {}.", known.join(", "));
        return Err(ApiError::invalid(message).code("billing.plan_unknown"));
    };
    let wish = CheckoutWish {
        org_id: acting::org_id(principal),
        account_id: principal.account_id.as_str().into(),
        email: principal.email.clone(),
        plan_key: plan.plan_key.clone(),
        success_url: wish.success_url,
        cancel_url: wish.cancel_url,
    };
    let begun = billing
        .checkout(wish)
        .await
        .map_err(|error| refused(&error))?;
    let subscription = match begun.subscription {
        None => None,
        Some(new) => {
            let stamp = acting::stamp(cloud, principal);
            let tenant = &principal.tenant_id;
            let stored = cloud.store.put_subscription(tenant, &new, &stamp).await?;
            Some(without_times(&stored))
        }
    };
    Ok(CheckoutAnswer {
        provider_id: billing.provider_id().to_owned(),
        provider_session_id: begun.provider_session_id,
        url: begun.url,
        subscription,
    })
}

fn without_times(stored: &impl serde::Serialize) -> JsonObject {
    match serde_json::to_value(stored) {
        Ok(Value::Object(mut shown)) => {
            shown.remove("createdAt");
            shown.remove("updatedAt");
            shown
        }
        _ => JsonObject::new(),
    }
}

/// Leads to where a subscription is changed.
///
/// # Errors
/// 404 while billing is off and without a subscription, 502.
pub async fn portal(
    cloud: &Cloud,
    principal: &Principal,
    wish: PortalRequest,
) -> Result<PortalAnswer, ApiError> {
    let billing = bills(cloud)?;
    let own = cloud.store.subscription(&principal.tenant_id).await?;
    let url = billing.portal(own.as_ref(), wish.return_url).await;
    Ok(PortalAnswer {
        provider_id: billing.provider_id().to_owned(),
        url: url.map_err(|error| refused(&error))?,
    })
}
