//! Usage, quotas, billing, diagnostics (03 §8.13). Billing is off in this version: a self-hosted cloud gates
//! nothing.

use super::{acting, byok};
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::byok::ByokStatus;
use open_cowork_contracts::api::usage::{
    BillingMode, BillingPlan, BillingState, ByokDiagnostics, DiagnosticsBundle, Entitlements,
    QuotaKey, UsageEvents, UsageSummary, UsageTotal,
};
use open_cowork_providers::store::governance::NewUsage;
use open_cowork_providers::time::{iso, parse_iso};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Events of the diagnostics.
const DIAGNOSTIC_EVENTS: u32 = 200;
/// A worker that wasn't seen for longer has stopped.
const STALE_MS: i64 = 60_000;

/// Records a use, if uses are recorded. A store that refuses costs the record, never the request.
pub async fn record(cloud: &Cloud, principal: &Principal, usage: NewUsage) {
    if !cloud.governance.metering {
        return;
    }
    let tenant = &principal.tenant_id;
    if let Err(error) = cloud.store.record_usage(tenant, &[usage]).await {
        tracing::warn!(%error, "a use could not be recorded");
    }
}

/// One page of the uses.
///
/// # Errors
/// A foreign cursor.
pub async fn events(
    cloud: &Cloud,
    principal: &Principal,
    cursor: Option<&str>,
    limit: u32,
) -> Result<UsageEvents, ApiError> {
    let tenant = &principal.tenant_id;
    let page = cloud.store.page_usage(tenant, cursor, limit).await?;
    Ok(UsageEvents {
        events: page.rows,
        next_cursor: page.next,
    })
}

/// The last uses, their sums, and the quotas.
///
/// # Errors
/// When the store refuses.
pub async fn summary(
    cloud: &Cloud,
    principal: &Principal,
    limit: u32,
) -> Result<UsageSummary, ApiError> {
    let tenant = &principal.tenant_id;
    let events = cloud.store.page_usage(tenant, None, limit).await?.rows;
    let mut sums = BTreeMap::new();
    for event in &events {
        let sum: &mut u64 = sums.entry((event.event_type, event.unit)).or_default();
        *sum = sum.saturating_add(event.quantity);
    }
    let mut quotas = Vec::new();
    for key in QuotaKey::ALL {
        let limit = cloud.options.quotas.limit(*key);
        quotas.push(cloud.store.quota(tenant, *key, limit, cloud.now()).await?);
    }
    Ok(UsageSummary {
        enabled: cloud.governance.metering,
        generated_at: cloud.now_iso(),
        totals_scope: "recent_events".to_owned(),
        event_sample_limit: limit,
        events,
        totals: sums
            .into_iter()
            .map(|((event_type, unit), quantity)| UsageTotal {
                event_type,
                unit,
                quantity,
            })
            .collect(),
        quotas,
    })
}

/// Who bills: nobody.
///
/// # Errors
/// When the store refuses.
pub async fn billing(cloud: &Cloud, principal: &Principal) -> Result<BillingState, ApiError> {
    Ok(BillingState {
        enabled: false,
        mode: BillingMode::SelfHost,
        provider_id: "none".to_owned(),
        subscription: cloud.store.subscription(&principal.tenant_id).await?,
        entitlements: JsonObject::new(),
        active: true,
        plans: vec![BillingPlan {
            plan_key: "self-host".to_owned(),
            label: "Self-hosted".to_owned(),
            default: true,
            entitlements: JsonObject::new(),
        }],
    })
}

/// What a plan entitles to: everything.
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

/// Everything that support asks for, without secrets.
///
/// # Errors
/// When the store refuses.
pub async fn diagnostics(
    cloud: &Cloud,
    principal: &Principal,
) -> Result<DiagnosticsBundle, ApiError> {
    let now = cloud.now();
    let options = &cloud.options;
    let heartbeats = cloud.store.heartbeats(500).await?;
    let beats: Vec<Value> = heartbeats
        .iter()
        .map(|beat| {
            let seen = parse_iso(&beat.last_seen_at);
            let age = seen.map(|seen| (now.as_millisecond() - seen.as_millisecond()).max(0));
            json!({
                "workerId": beat.worker_id,
                "role": beat.role,
                "activeSessionCount": beat.active_session_ids.len(),
                "lastSeenAt": beat.last_seen_at,
                "ageMs": age,
                "stale": age.is_none_or(|age| age > STALE_MS),
            })
        })
        .collect();
    let providers = byok::list(cloud, principal).await?;
    let active = |key: &&_| {
        matches!(
            key,
            open_cowork_contracts::api::byok::ByokSecret {
                status: ByokStatus::Active,
                ..
            }
        )
    };
    Ok(DiagnosticsBundle {
        generated_at: iso(now),
        redaction: "secrets-redacted".to_owned(),
        org: object(json!({
            "orgId": acting::org_id(principal),
            "tenantId": principal.tenant_id,
            "role": principal.role,
            "profileName": options.profile.name,
        })),
        runtime: object(json!({
            "role": crate::http::workspace::role(options),
            "profileName": options.profile.name,
            "canExecute": matches!(options.role.as_str(), "all-in-one" | "worker"),
            "commandProcessing": crate::http::workspace::processing(cloud),
            "checkpoints": false,
            "heartbeatCount": beats.len(),
            "heartbeats": beats,
        })),
        billing: billing(cloud, principal).await?,
        byok: ByokDiagnostics {
            configured_providers: u32::try_from(providers.iter().filter(active).count())
                .unwrap_or(u32::MAX),
            providers,
        },
        usage: summary(cloud, principal, DIAGNOSTIC_EVENTS).await?,
        gateway: object(json!({
            "agents": { "total": 0, "active": 0, "disabled": 0 },
            "bindingsByProvider": {},
            "deliveriesByStatus": { "pending": 0, "claimed": 0, "sent": 0, "failed": 0, "dead": 0 },
            "deliveriesByStatusScope": "recent_deliveries",
            "deliverySampleLimit": 200,
        })),
        links: object(json!({
            "deploymentDocs": "/docs/deployment",
            "managedByokRunbook": "/docs/byok",
        })),
    })
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
