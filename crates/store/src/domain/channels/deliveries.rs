//! Messages to chats: made, claimed, settled.

use super::{bodies, body, to_json};
use crate::dialect::Connection;
use crate::domain::governance::usage;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::channels::{ChannelDelivery, DeliveryStatus};
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::channels::{Claimer, DeliveryChange, DeliveryKey, DeliveryQuery};
use open_cowork_providers::store::governance::QuotaClaim;
use open_cowork_providers::store::keyset::{List, Page, page_size};
use open_cowork_providers::time::{Timestamp, iso};

async fn one(
    connection: &mut Connection,
    tenant_no: i64,
    binding: &str,
    id: &str,
) -> Result<Option<ChannelDelivery>, sqlx::Error> {
    let select = "SELECT body FROM channel_deliveries \
                  WHERE tenant_no = $1 AND binding_id = $2 AND delivery_id = $3";
    let query = connection.query(select).bind(tenant_no).bind(binding);
    let row = query.bind(id).fetch_optional().await?;
    row.as_ref().map(body).transpose()
}

/// When it may be claimed.
fn ready_at(delivery: &ChannelDelivery) -> Option<&str> {
    match delivery.status {
        DeliveryStatus::Pending | DeliveryStatus::Failed => Some(&delivery.next_attempt_at),
        DeliveryStatus::Claimed => delivery.claim_expires_at.as_deref(),
        DeliveryStatus::Sent | DeliveryStatus::Dead => None,
    }
}

pub(super) async fn create(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &ChannelDelivery,
) -> Result<ChannelDelivery, Stop> {
    let unknown = || StoreError::Missing("channel");
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Err(unknown().into());
    };
    if queue(connection, tenant_no, new).await? {
        return Ok(new.clone());
    }
    let known = one(
        connection,
        tenant_no,
        &new.channel_binding_id,
        &new.delivery_id,
    )
    .await?;
    known.ok_or_else(|| unknown().into())
}

/// Adds a delivery; false when it is known, or its channel isn't.
pub(super) async fn queue(
    connection: &mut Connection,
    tenant_no: i64,
    new: &ChannelDelivery,
) -> Result<bool, sqlx::Error> {
    let insert = "INSERT INTO channel_deliveries (tenant_no, binding_id, delivery_id, status, ready_at, \
                  next_attempt_at, created_at, updated_at, body) \
                  SELECT $1, b.binding_id, $3, $4, $5, $6, $7, $8, $9 FROM channel_bindings b \
                  WHERE b.tenant_no = $1 AND b.binding_id = $2 ON CONFLICT DO NOTHING";
    let made = connection
        .query(insert)
        .bind(tenant_no)
        .bind(new.channel_binding_id.as_str())
        .bind(new.delivery_id.as_str())
        .bind(new.status.as_str())
        .bind(ready_at(new))
        .bind(new.next_attempt_at.as_str())
        .bind(new.created_at.as_str())
        .bind(new.updated_at.as_str())
        .bind(to_json(new)?)
        .execute()
        .await?;
    Ok(made > 0)
}

/// A list of ids as one parameter for [`LISTED`]. No id holds a line end.
fn listed(ids: &[String]) -> String {
    format!("\n{}\n", ids.join("\n"))
}

pub(super) async fn page(
    connection: &mut Connection,
    tenant: &TenantId,
    query: &DeliveryQuery,
) -> Result<Page<ChannelDelivery>, Stop> {
    let status = query.status.map(|status| status.as_str());
    let bindings = query.bindings.as_deref().map(listed);
    let filter = (tenant, &query.delivery_id, status, &bindings, &query.holder);
    let list = List::new("channel deliveries", &filter);
    let [time, id, binding] = match list.start::<3>(query.cursor.as_deref())? {
        Some(key) => key.map(Some),
        None => [None, None, None],
    };
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(query.limit, 50, 200);
    // Whether a text is in the list: what is left of the list without it is another text.
    let select = "SELECT body FROM channel_deliveries WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR updated_at < $2 OR (updated_at = $2 AND \
                  (delivery_id < $3 OR (delivery_id = $3 AND binding_id < $4)))) \
                  AND ($6 IS NULL OR delivery_id = $6) AND ($7 IS NULL OR status = $7) \
                  AND ($8 IS NULL OR holder = $8) \
                  AND ($9 IS NULL OR replace($9, '\n' || binding_id || '\n', '') <> $9) \
                  ORDER BY updated_at DESC, delivery_id DESC, binding_id DESC LIMIT $5";
    let rows = connection
        .query(select)
        .bind(tenant_no)
        .bind(time)
        .bind(id)
        .bind(binding)
        .bind(size as i64 + 1)
        .bind(query.delivery_id.as_deref())
        .bind(status)
        .bind(query.holder.as_deref())
        .bind(bindings)
        .fetch_all()
        .await?;
    Ok(list.page(bodies(&rows)?, size, |row: &ChannelDelivery| {
        let (id, binding) = (&row.delivery_id, &row.channel_binding_id);
        [row.updated_at.clone(), id.clone(), binding.clone()]
    }))
}

/// Whether a claim could find anything.
pub(super) async fn any_due(
    connection: &mut Connection,
    tenant: &TenantId,
    bindings: &[String],
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    if bindings.is_empty() {
        return Ok(false);
    }
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(false);
    };
    let select = "SELECT delivery_id FROM channel_deliveries WHERE tenant_no = $1 \
                  AND ready_at IS NOT NULL AND ready_at <= $2 \
                  AND replace($3, '\n' || binding_id || '\n', '') <> $3 LIMIT 1";
    let query = connection.query(select).bind(tenant_no).bind(iso(now));
    let row = query.bind(listed(bindings)).fetch_optional().await?;
    Ok(row.is_some())
}

pub(super) async fn claim(
    connection: &mut Connection,
    tenant: &TenantId,
    bindings: &[String],
    claimer: Claimer<'_>,
    ttl_ms: i64,
    most: Option<u64>,
    now: Timestamp,
) -> Result<Option<ChannelDelivery>, Stop> {
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(None);
    };
    // What another claimer has locked is as good as claimed.
    let select = "SELECT d.body FROM channel_deliveries d WHERE d.tenant_no = $1 \
                  AND d.ready_at IS NOT NULL AND d.ready_at <= $2 \
                  AND replace($3, '\n' || d.binding_id || '\n', '') <> $3 \
                  ORDER BY d.next_attempt_at, d.created_at, d.delivery_id, d.binding_id LIMIT 1";
    let row = connection
        .select_skip_locked(select, "d")
        .bind(tenant_no)
        .bind(iso(now))
        .bind(listed(bindings))
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut delivery: ChannelDelivery = body(&row)?;
    if most.is_some() {
        let claim = QuotaClaim {
            key: QuotaKey::GatewayDeliveriesHour,
            amount: 1,
            limit: most,
        };
        usage::consume(connection, tenant_no, &claim, now).await?;
    }
    let end = Timestamp::from_millisecond(now.as_millisecond().saturating_add(ttl_ms.max(1)));
    delivery.status = DeliveryStatus::Claimed;
    delivery.attempt_count = delivery.attempt_count.saturating_add(1);
    delivery.claimed_by = Some(claimer.by.to_owned());
    delivery.last_claimed_by = Some(claimer.by.to_owned());
    delivery.claim_expires_at = Some(iso(end.unwrap_or(now)));
    delivery.updated_at = iso(now);
    write(connection, tenant_no, &delivery, Some(claimer.holder)).await?;
    Ok(Some(delivery))
}

/// Writes a row that is locked; without a holder the last one stays.
async fn write(
    connection: &mut Connection,
    tenant_no: i64,
    delivery: &ChannelDelivery,
    holder: Option<&str>,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE channel_deliveries SET status = $4, ready_at = $5, next_attempt_at = $6, \
                  updated_at = $7, holder = COALESCE($8, holder), body = $9 \
                  WHERE tenant_no = $1 AND binding_id = $2 AND delivery_id = $3";
    connection
        .query(update)
        .bind(tenant_no)
        .bind(delivery.channel_binding_id.as_str())
        .bind(delivery.delivery_id.as_str())
        .bind(delivery.status.as_str())
        .bind(ready_at(delivery))
        .bind(delivery.next_attempt_at.as_str())
        .bind(delivery.updated_at.as_str())
        .bind(holder)
        .bind(to_json(delivery)?)
        .execute()
        .await?;
    Ok(())
}

/// Sets a delivery to another state, if exactly one row fits; with `by` only what is claimed by that name.
pub(super) async fn settle(
    connection: &mut Connection,
    tenant: &TenantId,
    key: DeliveryKey<'_>,
    by: Option<&str>,
    change: &DeliveryChange,
    now: Timestamp,
) -> Result<Option<ChannelDelivery>, sqlx::Error> {
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(None);
    };
    let select = "SELECT d.body FROM channel_deliveries d WHERE d.tenant_no = $1 AND d.delivery_id = $2 \
                  AND ($3 IS NULL OR d.binding_id = $3) AND ($4 IS NULL OR d.holder = $4) LIMIT 2";
    let rows = connection
        .select_for_update(select, "d")
        .bind(tenant_no)
        .bind(key.delivery_id)
        .bind(key.binding)
        .bind(key.holder)
        .fetch_all()
        .await?;
    let [row] = rows.as_slice() else {
        return Ok(None);
    };
    let mut delivery: ChannelDelivery = body(row)?;
    let claimed = delivery.status == DeliveryStatus::Claimed;
    if by.is_some_and(|by| !claimed || delivery.claimed_by.as_deref() != Some(by)) {
        return Ok(None);
    }
    delivery.status = change.status;
    delivery.last_error.clone_from(&change.last_error);
    if let Some(at) = &change.next_attempt_at {
        delivery.next_attempt_at.clone_from(at);
    }
    delivery.claimed_by = None;
    delivery.claim_expires_at = None;
    delivery.updated_at = iso(now);
    write(connection, tenant_no, &delivery, None).await?;
    Ok(Some(delivery))
}

pub(super) async fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM channel_deliveries WHERE (tenant_no, binding_id, delivery_id) IN ( \
                  SELECT tenant_no, binding_id, delivery_id FROM channel_deliveries \
                  WHERE ready_at IS NULL AND updated_at < $1 ORDER BY updated_at LIMIT $2)";
    let query = connection.query(delete).bind(iso(before));
    query.bind(i64::from(limit)).execute().await
}
