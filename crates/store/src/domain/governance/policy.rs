//! The managed policy.

use super::audit::{self, Entry, from_json, json};
use crate::dialect::{Connection, Row};
use crate::domain::identity::{later, people};
use crate::transaction::Stop;
use open_cowork_contracts::api::policy::ManagedPolicyRecord;
use open_cowork_contracts::{JsonObject, OrgId, TenantId};
use open_cowork_providers::store::{Stamp, StoreError};

pub(crate) async fn find(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<ManagedPolicyRecord>, sqlx::Error> {
    let select = "SELECT o.org_id, p.created_at, p.updated_at, p.body FROM managed_policies p \
                  JOIN tenants t ON t.tenant_no = p.tenant_no JOIN orgs o ON o.tenant_no = p.tenant_no \
                  WHERE t.tenant_id = $1";
    let row = connection.query(select).bind(tenant.as_str());
    row.fetch_optional()
        .await?
        .map(|row| record(&row))
        .transpose()
}

fn record(row: &Row) -> Result<ManagedPolicyRecord, sqlx::Error> {
    Ok(ManagedPolicyRecord {
        org_id: OrgId::from(row.text(0)?),
        created_at: row.text(1)?,
        updated_at: row.text(2)?,
        policy: from_json(row, 3)?,
    })
}

pub(crate) async fn put(
    connection: &mut Connection,
    tenant: &TenantId,
    policy: &JsonObject,
    replaces: Option<&str>,
    stamp: &Stamp,
) -> Result<ManagedPolicyRecord, Stop> {
    let place = people::place_or_new(connection, tenant, stamp).await?;
    let before = find(connection, tenant).await?;
    let found = before.as_ref().map(|before| before.updated_at.as_str());
    if found != replaces {
        return Err(StoreError::Conflict(
            "The policy was changed by somebody else at the same time; read it again.".to_owned(),
        )
        .into());
    }
    let updated_at = later(stamp, found);
    let upsert = "INSERT INTO managed_policies (tenant_no, created_at, updated_at, body) \
                  VALUES ($1, $2, $2, $3) ON CONFLICT (tenant_no) DO UPDATE SET \
                  updated_at = excluded.updated_at, body = excluded.body";
    connection
        .query(upsert)
        .bind(place.tenant_no)
        .bind(updated_at.as_str())
        .bind(json(policy)?)
        .execute()
        .await?;
    let changed = |name: &&String| {
        before
            .as_ref()
            .is_none_or(|it| it.policy.get(*name) != policy.get(*name))
    };
    let names: Vec<&str> = policy.keys().filter(changed).map(String::as_str).collect();
    let entry = Entry {
        event_type: "workspace.policy.updated",
        target_type: "policy",
        target_id: place.org.as_str(),
        metadata: JsonObject::from_iter([("changed".to_owned(), names.join(",").into())]),
    };
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    let stored = find(connection, tenant).await?;
    Ok(stored.ok_or(sqlx::Error::RowNotFound)?)
}
