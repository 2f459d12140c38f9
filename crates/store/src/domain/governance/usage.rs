//! Uses and quotas over time.

use super::audit::{from_json, json};
use crate::dialect::Connection;
use crate::domain::identity::people;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::usage::{QuotaKey, QuotaState, UsageEvent, UsageUnit};
use open_cowork_providers::store::governance::{
    DEFAULT_LIMIT, MAX_LIMIT, NewUsage, QuotaClaim, Window, redact,
};
use open_cowork_providers::store::keyset::{List, Page, page_size};
use open_cowork_providers::store::{QuotaDenial, StoreError};
use open_cowork_providers::time::{Timestamp, iso, parse_iso};

pub(crate) async fn record(
    connection: &mut Connection,
    tenant: &TenantId,
    uses: &[NewUsage],
) -> Result<(), sqlx::Error> {
    let place = people::place(connection, tenant).await?;
    let (tenant_no, org) = match place {
        Some(place) => (place.tenant_no, place.org),
        None => {
            let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
            (tenant_no, tenant.as_str().into())
        }
    };
    for new in uses {
        let event = UsageEvent {
            event_id: new.event_id.clone(),
            org_id: org.clone(),
            account_id: new.account_id.clone(),
            event_type: new.event_type,
            quantity: new.quantity,
            unit: unit(new),
            metadata: redact::metadata(&new.metadata),
            created_at: iso(new.at),
        };
        let insert = "INSERT INTO usage_events (tenant_no, event_id, created_at, body) \
                      VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        connection
            .query(insert)
            .bind(tenant_no)
            .bind(event.event_id.as_str())
            .bind(event.created_at.as_str())
            .bind(json(&event)?)
            .execute()
            .await?;
    }
    Ok(())
}

fn unit(new: &NewUsage) -> UsageUnit {
    use open_cowork_contracts::api::usage::UsageEventType as E;
    match new.event_type {
        E::WorkerMinute => UsageUnit::Minute,
        E::ArtifactUploaded | E::ArtifactDownloaded => UsageUnit::Byte,
        _ => UsageUnit::Count,
    }
}

pub(crate) async fn page(
    connection: &mut Connection,
    tenant: &TenantId,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<UsageEvent>, Stop> {
    let list = List::new("usage", tenant);
    let start = list.start::<2>(cursor)?;
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(limit, DEFAULT_LIMIT, MAX_LIMIT);
    let [time, id] = match start {
        Some([time, id]) => [Some(time), Some(id)],
        None => [None, None],
    };
    let select = "SELECT body FROM usage_events WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR created_at < $2 OR (created_at = $2 AND event_id < $3)) \
                  ORDER BY created_at DESC, event_id DESC LIMIT $4";
    let rows = connection
        .query(select)
        .bind(tenant_no)
        .bind(time)
        .bind(id)
        .bind(size as i64 + 1)
        .fetch_all()
        .await?;
    let events = rows
        .iter()
        .map(|row| from_json::<UsageEvent>(row, 0))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(list.page(events, size, |event| {
        [event.created_at.clone(), event.event_id.clone()]
    }))
}

/// The window, its row locked (made if it is new).
async fn locked_window(
    connection: &mut Connection,
    tenant_no: i64,
    key: QuotaKey,
) -> Result<Window, sqlx::Error> {
    let insert = "INSERT INTO quotas (tenant_no, quota_key, slices) VALUES ($1, $2, '[]') ON CONFLICT DO NOTHING";
    let made = connection.query(insert).bind(tenant_no).bind(key.as_str());
    made.execute().await?;
    let select = "SELECT slices FROM quotas WHERE tenant_no = $1 AND quota_key = $2";
    let row = connection
        .select_for_update(select, "quotas")
        .bind(tenant_no)
        .bind(key.as_str());
    from_json(&row.fetch_one().await?, 0)
}

async fn write(
    connection: &mut Connection,
    tenant_no: i64,
    key: QuotaKey,
    window: &Window,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE quotas SET slices = $3 WHERE tenant_no = $1 AND quota_key = $2";
    connection
        .query(update)
        .bind(tenant_no)
        .bind(key.as_str())
        .bind(json(window)?)
        .execute()
        .await?;
    Ok(())
}

/// Takes from a quota inside a transaction of any domain; [`StoreError::Quota`] when it is used up. Take it
/// after every other lock: the row is the tenant's one for this quota.
pub(crate) async fn consume(
    connection: &mut Connection,
    tenant_no: i64,
    claim: &QuotaClaim,
    now: Timestamp,
) -> Result<QuotaState, Stop> {
    let mut window = locked_window(connection, tenant_no, claim.key).await?;
    if !window.take(claim, now) {
        return Err(denial(&window, claim, now).into());
    }
    write(connection, tenant_no, claim.key, &window).await?;
    Ok(window.state(claim.key, claim.limit, 0, now))
}

fn denial(window: &Window, claim: &QuotaClaim, now: Timestamp) -> StoreError {
    let state = window.state(claim.key, claim.limit, claim.amount, now);
    let wait =
        parse_iso(&state.reset_at).map_or(0, |reset| reset.as_millisecond() - now.as_millisecond());
    StoreError::Quota(Box::new(QuotaDenial {
        code: claim.key.policy_code().to_owned(),
        limit: state.limit.unwrap_or_default(),
        used: state.used,
        reset_at: Some(state.reset_at),
        retry_after_ms: u64::try_from(wait).unwrap_or_default().max(1),
        message: format!(
            "Your organisation has used up its quota \"{}\"; try again later.",
            claim.key.label()
        ),
    }))
}

pub(crate) async fn refund(
    connection: &mut Connection,
    tenant_no: i64,
    claim: &QuotaClaim,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut window = locked_window(connection, tenant_no, claim.key).await?;
    window.give_back(claim, now);
    write(connection, tenant_no, claim.key, &window).await
}

pub(crate) async fn state(
    connection: &mut Connection,
    tenant: &TenantId,
    key: QuotaKey,
    limit: Option<u64>,
    now: Timestamp,
) -> Result<QuotaState, sqlx::Error> {
    let select = "SELECT q.slices FROM quotas q JOIN tenants t ON t.tenant_no = q.tenant_no \
                  WHERE t.tenant_id = $1 AND q.quota_key = $2";
    let row = connection
        .query(select)
        .bind(tenant.as_str())
        .bind(key.as_str())
        .fetch_optional()
        .await?;
    let window = match row {
        Some(row) => from_json(&row, 0)?,
        None => Window::default(),
    };
    Ok(window.state(key, limit, 0, now))
}
