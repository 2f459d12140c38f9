//! What providers report, so that gateways treat it once.

use super::{body, to_json};
use crate::dialect::Connection;
use crate::owner;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::channels::{ProviderEvent, ProviderEventStatus};
use open_cowork_providers::store::channels::{ProviderEventClaim, ProviderEventOutcome};
use open_cowork_providers::time::{Timestamp, iso};

pub(super) async fn event(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<ProviderEvent>, sqlx::Error> {
    let select = "SELECT e.body FROM channel_provider_events e \
                  JOIN tenants t ON t.tenant_no = e.tenant_no \
                  WHERE t.tenant_id = $1 AND e.event_id = $2";
    let query = connection.query(select).bind(tenant.as_str()).bind(id);
    query.fetch_optional().await?.as_ref().map(body).transpose()
}

/// The event; its row is locked.
async fn locked(
    connection: &mut Connection,
    tenant_no: i64,
    id: &str,
) -> Result<Option<ProviderEvent>, sqlx::Error> {
    let select = "SELECT e.body FROM channel_provider_events e \
                  WHERE e.tenant_no = $1 AND e.event_id = $2";
    let query = connection.select_for_update(select, "e");
    let row = query.bind(tenant_no).bind(id).fetch_optional().await?;
    row.as_ref().map(body).transpose()
}

async fn write(
    connection: &mut Connection,
    tenant_no: i64,
    event: &ProviderEvent,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE channel_provider_events SET updated_at = $3, body = $4 \
                  WHERE tenant_no = $1 AND event_id = $2";
    connection
        .query(update)
        .bind(tenant_no)
        .bind(event.event_id.as_str())
        .bind(event.updated_at.as_str())
        .bind(to_json(event)?)
        .execute()
        .await?;
    Ok(())
}

fn claimable(event: &ProviderEvent, now: Timestamp) -> bool {
    match event.status {
        ProviderEventStatus::Received => true,
        ProviderEventStatus::Processing => {
            let end = event.claim_expires_at.as_ref();
            end.is_none_or(|end| *end <= iso(now))
        }
        ProviderEventStatus::Failed => event.retryable,
        ProviderEventStatus::Processed => false,
    }
}

pub(super) async fn claim(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &ProviderEvent,
    ttl_ms: i64,
    now: Timestamp,
) -> Result<ProviderEventClaim, sqlx::Error> {
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    let mut fresh = new.clone();
    fresh.status = ProviderEventStatus::Received;
    fresh.attempt_count = 0;
    let insert = "INSERT INTO channel_provider_events (tenant_no, event_id, updated_at, body) \
                  VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(fresh.event_id.as_str())
        .bind(fresh.updated_at.as_str())
        .bind(to_json(&fresh)?)
        .execute()
        .await?;
    let stored = locked(connection, tenant_no, &new.event_id).await?;
    let mut event = stored.unwrap_or(fresh);
    if !claimable(&event, now) {
        return Ok(ProviderEventClaim {
            event,
            claimed: false,
        });
    }
    let end = Timestamp::from_millisecond(now.as_millisecond().saturating_add(ttl_ms.max(1)));
    event.status = ProviderEventStatus::Processing;
    event.claimed_by.clone_from(&new.claimed_by);
    event.claim_expires_at = Some(iso(end.unwrap_or(now)));
    event.attempt_count = event.attempt_count.saturating_add(1);
    event.last_error = None;
    event.processed_at = None;
    event.updated_at = iso(now);
    write(connection, tenant_no, &event).await?;
    Ok(ProviderEventClaim {
        event,
        claimed: true,
    })
}

pub(super) async fn complete(
    connection: &mut Connection,
    (tenant, id): (&TenantId, &str),
    by: &str,
    outcome: &ProviderEventOutcome,
    now: Timestamp,
) -> Result<Option<ProviderEvent>, sqlx::Error> {
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(None);
    };
    let Some(mut event) = locked(connection, tenant_no, id).await? else {
        return Ok(None);
    };
    let held = event.status == ProviderEventStatus::Processing;
    if !held || event.claimed_by.as_deref() != Some(by) {
        return Ok(None);
    }
    event.status = outcome.status;
    event.retryable = outcome.retryable;
    event.last_error.clone_from(&outcome.last_error);
    event.claimed_by = None;
    event.claim_expires_at = None;
    event.processed_at = (outcome.status == ProviderEventStatus::Processed).then(|| iso(now));
    event.updated_at = iso(now);
    write(connection, tenant_no, &event).await?;
    Ok(Some(event))
}

/// Whatever nobody has touched for so long: a provider doesn't report it again.
pub(super) async fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM channel_provider_events WHERE (tenant_no, event_id) IN ( \
                  SELECT tenant_no, event_id FROM channel_provider_events WHERE updated_at < $1 \
                  ORDER BY updated_at LIMIT $2)";
    let query = connection.query(delete).bind(iso(before));
    query.bind(i64::from(limit)).execute().await
}
