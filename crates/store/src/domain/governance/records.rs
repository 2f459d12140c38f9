//! The small records: subscriptions and settings; and the retention of the large ones.

use super::audit::{self, Entry, from_json, json};
use crate::dialect::{Connection, Row};
use crate::domain::identity::people;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::api::settings::Setting;
use open_cowork_contracts::api::usage::BillingSubscription;
use open_cowork_contracts::{JsonObject, TenantId, UserId};
use open_cowork_providers::store::governance::redact;
use open_cowork_providers::store::{Stamp, StoreError};
use open_cowork_providers::time::{Timestamp, iso};

/// Bytes of a subscription's metadata at most.
const MAX_METADATA: usize = 16 * 1024;

pub(crate) async fn subscription(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<BillingSubscription>, sqlx::Error> {
    let select = "SELECT s.body FROM subscriptions s JOIN tenants t ON t.tenant_no = s.tenant_no \
                  WHERE t.tenant_id = $1";
    let row = connection.query(select).bind(tenant.as_str());
    row.fetch_optional()
        .await?
        .map(|row| from_json(&row, 0))
        .transpose()
}

pub(crate) async fn put_subscription(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &BillingSubscription,
    stamp: &Stamp,
) -> Result<BillingSubscription, Stop> {
    let mut stored = new.clone();
    stored.metadata = redact::metadata(&new.metadata);
    if json(&stored.metadata)?.len() > MAX_METADATA {
        return Err(StoreError::Invalid(
            "The metadata of a subscription may have at most 16 KiB; leave some of it out."
                .to_owned(),
        )
        .into());
    }
    let place = people::place_or_new(connection, tenant, stamp).await?;
    let before = subscription(connection, tenant).await?;
    stored.org_id = place.org.clone();
    stored.updated_at = stamp.iso();
    let (event_type, created_at) = match before {
        Some(before) => ("billing.subscription.updated", before.created_at),
        None => ("billing.subscription.created", stamp.iso()),
    };
    stored.created_at = created_at;
    let upsert = "INSERT INTO subscriptions (tenant_no, body) VALUES ($1, $2) \
                  ON CONFLICT (tenant_no) DO UPDATE SET body = excluded.body";
    connection
        .query(upsert)
        .bind(place.tenant_no)
        .bind(json(&stored)?)
        .execute()
        .await?;
    let entry = Entry {
        event_type,
        target_type: "subscription",
        target_id: place.org.as_str(),
        metadata: JsonObject::from_iter([
            ("plan".to_owned(), stored.plan_key.as_str().into()),
            ("status".to_owned(), stored.status.as_str().into()),
        ]),
    };
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    Ok(stored)
}

fn setting_of(row: &Row, tenant: &TenantId, user: &UserId) -> Result<Setting, sqlx::Error> {
    Ok(Setting {
        tenant_id: tenant.clone(),
        user_id: Some(user.clone()),
        key: row.text(0)?,
        value: from_json(row, 1)?,
        updated_at: row.text(2)?,
    })
}

/// All settings of a user, or the one of a key.
pub(crate) async fn settings(
    connection: &mut Connection,
    tenant: &TenantId,
    user: &UserId,
    key: Option<&str>,
) -> Result<Vec<Setting>, sqlx::Error> {
    let select = "SELECT s.setting_key, s.body, s.updated_at FROM settings s \
                  JOIN tenants t ON t.tenant_no = s.tenant_no WHERE t.tenant_id = $1 AND s.user_id = $2 \
                  AND ($3 IS NULL OR s.setting_key = $3) ORDER BY s.setting_key";
    let rows = connection
        .query(select)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(key)
        .fetch_all()
        .await?;
    rows.iter()
        .map(|row| setting_of(row, tenant, user))
        .collect()
}

pub(crate) async fn put_setting(
    connection: &mut Connection,
    tenant: &TenantId,
    user: &UserId,
    (key, value): (&str, &JsonObject),
    now: Timestamp,
) -> Result<Setting, sqlx::Error> {
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    let upsert = "INSERT INTO settings (tenant_no, user_id, setting_key, updated_at, body) \
                  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_no, user_id, setting_key) \
                  DO UPDATE SET updated_at = excluded.updated_at, body = excluded.body \
                  RETURNING setting_key, body, updated_at";
    let row = connection
        .query(upsert)
        .bind(tenant_no)
        .bind(user.as_str())
        .bind(key)
        .bind(iso(now))
        .bind(json(value)?)
        .fetch_one()
        .await?;
    setting_of(&row, tenant, user)
}

pub(crate) async fn prune(
    connection: &mut Connection,
    audit_before: Option<Timestamp>,
    usage_before: Option<Timestamp>,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let audit = "DELETE FROM audit_events WHERE (tenant_no, event_id) IN (SELECT tenant_no, event_id \
                 FROM audit_events WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    let usage = "DELETE FROM usage_events WHERE (tenant_no, event_id) IN (SELECT tenant_no, event_id \
                 FROM usage_events WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    let mut deleted = 0;
    for (delete, before) in [(audit, audit_before), (usage, usage_before)] {
        let Some(before) = before else { continue };
        let delete = connection.query(delete).bind(iso(before));
        deleted += delete.bind(i64::from(limit)).execute().await?;
    }
    Ok(deleted)
}
