//! Usage, quotas, diagnostics (03 §8.13).

use super::{acting, billing, byok};
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::api::byok::ByokStatus;
use open_cowork_contracts::api::channels::{DeliveryStatus, HeadlessAgent, HeadlessAgentStatus};
use open_cowork_contracts::api::usage::{
    ByokDiagnostics, DiagnosticsBundle, QuotaKey, UsageEvents, UsageSummary, UsageTotal,
};
use open_cowork_contracts::{JsonObject, TenantId};
use open_cowork_providers::store::channels::DeliveryQuery;
use open_cowork_providers::store::governance::NewUsage;
use open_cowork_providers::time::{iso, parse_iso};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Events of the diagnostics.
const DIAGNOSTIC_EVENTS: u32 = 200;
/// Messages to channels that the diagnostics look at.
const DIAGNOSTIC_DELIVERIES: u32 = 200;
/// A worker that wasn't seen for longer has stopped.
const STALE_MS: i64 = 60_000;

/// Records a use, if uses are recorded. A store that refuses costs the record, never the request.
pub async fn record(cloud: &Cloud, tenant: &TenantId, usage: NewUsage) {
    if !cloud.governance.metering {
        return;
    }
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
    let limits = billing::quotas(cloud, tenant).await?;
    for key in QuotaKey::ALL {
        let limit = limits.limit(*key);
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
        billing: billing::state(cloud, principal).await?,
        byok: ByokDiagnostics {
            configured_providers: u32::try_from(providers.iter().filter(active).count())
                .unwrap_or(u32::MAX),
            providers,
        },
        usage: summary(cloud, principal, DIAGNOSTIC_EVENTS).await?,
        gateway: gateway(cloud, &principal.tenant_id).await?,
        links: object(json!({
            "deploymentDocs": "/docs/deployment",
            "managedByokRunbook": "/docs/byok",
        })),
    })
}

/// What channels there are, and what became of the last messages to them.
async fn gateway(cloud: &Cloud, tenant: &TenantId) -> Result<JsonObject, ApiError> {
    let store = &cloud.store;
    let (mut agents, mut active) = (0_u64, 0_u64);
    let mut cursor: Option<String> = None;
    loop {
        let page = store.channel_agents(tenant, cursor.as_deref(), 500).await?;
        agents += page.rows.len() as u64;
        let works = |agent: &&HeadlessAgent| agent.status == HeadlessAgentStatus::Active;
        active += page.rows.iter().filter(works).count() as u64;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let mut by_provider: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let after = cursor.as_deref();
        let page = store.channel_bindings(tenant, None, after, 500).await?;
        for row in page.rows {
            *by_provider.entry(row.binding.provider).or_default() += 1;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let recent = DeliveryQuery {
        limit: DIAGNOSTIC_DELIVERIES,
        ..DeliveryQuery::default()
    };
    let recent = store.deliveries(tenant, &recent).await?.rows;
    let by_status = DeliveryStatus::ALL.iter().map(|status| {
        let count = recent.iter().filter(|row| row.status == *status).count();
        (status.as_str().to_owned(), json!(count))
    });
    Ok(object(json!({
        "agents": { "total": agents, "active": active, "disabled": agents - active },
        "bindingsByProvider": by_provider,
        "deliveriesByStatus": JsonObject::from_iter(by_status),
        "deliveriesByStatusScope": "recent_deliveries",
        "deliverySampleLimit": DIAGNOSTIC_DELIVERIES,
    })))
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
