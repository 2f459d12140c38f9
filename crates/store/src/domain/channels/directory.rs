//! Coworkers and the channels that they are reached by.

use super::{ROWS, bodies, body, known_tenant, taken, to_json};
use crate::dialect::{Connection, Row};
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::channels::{ChannelBinding, ChannelBindingStatus, HeadlessAgent};
use open_cowork_providers::store::channels::BindingRow;
use open_cowork_providers::store::keyset::{List, Page, page_size};
use open_cowork_providers::store::{QuotaDenial, StoreError};

pub(super) async fn agent(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<HeadlessAgent>, sqlx::Error> {
    let select = "SELECT a.body FROM channel_agents a JOIN tenants t ON t.tenant_no = a.tenant_no \
                  WHERE t.tenant_id = $1 AND a.agent_id = $2";
    let query = connection.query(select).bind(tenant.as_str()).bind(id);
    query.fetch_optional().await?.as_ref().map(body).transpose()
}

pub(super) async fn create_agent(
    connection: &mut Connection,
    new: &HeadlessAgent,
) -> Result<HeadlessAgent, Stop> {
    let tenant_no = owner::tenant_no_or_new(connection, &new.tenant_id).await?;
    if let Some(stored) = agent(connection, &new.tenant_id, &new.agent_id).await? {
        return match stored.name == new.name && stored.profile_name == new.profile_name {
            true => Ok(stored),
            false => Err(taken().into()),
        };
    }
    let insert = "INSERT INTO channel_agents (tenant_no, agent_id, updated_at, body) VALUES ($1, $2, $3, $4)";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(new.agent_id.as_str())
        .bind(new.updated_at.as_str())
        .bind(to_json(new)?)
        .execute()
        .await?;
    Ok(new.clone())
}

pub(super) async fn update_agent(
    connection: &mut Connection,
    agent: &HeadlessAgent,
) -> Result<bool, sqlx::Error> {
    let update = "UPDATE channel_agents SET updated_at = $3, body = $4 WHERE agent_id = $2 \
                  AND tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1)";
    let changed = connection
        .query(update)
        .bind(agent.tenant_id.as_str())
        .bind(agent.agent_id.as_str())
        .bind(agent.updated_at.as_str())
        .bind(to_json(agent)?)
        .execute()
        .await?;
    Ok(changed > 0)
}

pub(super) async fn agents(
    connection: &mut Connection,
    tenant: &TenantId,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<HeadlessAgent>, Stop> {
    let list = List::new("channel agents", tenant);
    let [time, id] = halves(list.start::<2>(cursor)?);
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(limit, ROWS.0, ROWS.1);
    let select = "SELECT body FROM channel_agents WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR updated_at < $2 OR (updated_at = $2 AND agent_id < $3)) \
                  ORDER BY updated_at DESC, agent_id DESC LIMIT $4";
    let query = connection.query(select).bind(tenant_no).bind(time).bind(id);
    let rows = query.bind(size as i64 + 1).fetch_all().await?;
    Ok(list.page(bodies(&rows)?, size, |row: &HeadlessAgent| {
        [row.updated_at.clone(), row.agent_id.clone()]
    }))
}

/// The two parts of a cursor as parameters.
pub(super) fn halves(start: Option<[String; 2]>) -> [Option<String>; 2] {
    match start {
        Some(key) => key.map(Some),
        None => [None, None],
    }
}

/// Body and credential reference, in this order.
fn stored(row: &Row) -> Result<BindingRow, sqlx::Error> {
    Ok(BindingRow {
        binding: body(row)?,
        credential_ref: row.optional_text(1)?,
    })
}

pub(super) async fn binding(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<BindingRow>, sqlx::Error> {
    let select = "SELECT b.body, b.credential_ref FROM channel_bindings b \
                  JOIN tenants t ON t.tenant_no = b.tenant_no \
                  WHERE t.tenant_id = $1 AND b.binding_id = $2";
    let query = connection.query(select).bind(tenant.as_str()).bind(id);
    let row = query.fetch_optional().await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn create_binding(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &BindingRow,
    most: Option<u64>,
) -> Result<BindingRow, Stop> {
    let unknown = || StoreError::Missing("channel coworker");
    if agent(connection, tenant, &new.binding.agent_id)
        .await?
        .is_none()
    {
        return Err(unknown().into());
    }
    // Under the tenant's lock two that see room for one more come one after the other.
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    if let Some(stored) = binding(connection, tenant, &new.binding.binding_id).await? {
        let (old, new) = (&stored.binding, &new.binding);
        let same = old.agent_id == new.agent_id
            && old.provider == new.provider
            && old.external_workspace_id == new.external_workspace_id
            && old.display_name == new.display_name;
        return match same {
            true => Ok(stored),
            false => Err(taken().into()),
        };
    }
    room(connection, tenant_no, &new.binding, most).await?;
    let insert = "INSERT INTO channel_bindings \
                  (tenant_no, binding_id, agent_id, counts, updated_at, credential_ref, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(new.binding.binding_id.as_str())
        .bind(new.binding.agent_id.as_str())
        .bind(i64::from(counts(&new.binding)))
        .bind(new.binding.updated_at.as_str())
        .bind(new.credential_ref.as_deref())
        .bind(to_json(&new.binding)?)
        .execute()
        .await?;
    Ok(new.clone())
}

fn counts(binding: &ChannelBinding) -> bool {
    binding.status != ChannelBindingStatus::Disabled
}

/// Refuses one more binding than there may be. The tenant's row is locked.
async fn room(
    connection: &mut Connection,
    tenant_no: i64,
    new: &ChannelBinding,
    most: Option<u64>,
) -> Result<(), Stop> {
    let Some(most) = most.filter(|_| counts(new)) else {
        return Ok(());
    };
    let select = "SELECT COUNT(*) FROM channel_bindings WHERE tenant_no = $1 AND counts = 1 AND binding_id <> $2";
    let query = connection.query(select).bind(tenant_no);
    let used = query
        .bind(new.binding_id.as_str())
        .fetch_one()
        .await?
        .unsigned(0)?;
    if used < most {
        return Ok(());
    }
    Err(StoreError::Quota(Box::new(QuotaDenial {
        code: "quota.gateway_channel_bindings_exceeded".to_owned(),
        limit: most,
        used,
        reset_at: None,
        retry_after_ms: 60_000,
        message: format!(
            "Your organisation has {used} channels and may have {most}; disable one first."
        ),
    }))
    .into())
}

pub(super) async fn update_binding(
    connection: &mut Connection,
    tenant: &TenantId,
    row: &BindingRow,
    most: Option<u64>,
) -> Result<Option<BindingRow>, Stop> {
    if known_tenant(connection, tenant, "channel").await.is_err() {
        return Ok(None);
    }
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    let Some(old) = binding(connection, tenant, &row.binding.binding_id).await? else {
        return Ok(None);
    };
    if !counts(&old.binding) {
        room(connection, tenant_no, &row.binding, most).await?;
    }
    let update = "UPDATE channel_bindings SET counts = $3, updated_at = $4, credential_ref = $5, body = $6 \
                  WHERE tenant_no = $1 AND binding_id = $2";
    connection
        .query(update)
        .bind(tenant_no)
        .bind(row.binding.binding_id.as_str())
        .bind(i64::from(counts(&row.binding)))
        .bind(row.binding.updated_at.as_str())
        .bind(row.credential_ref.as_deref())
        .bind(to_json(&row.binding)?)
        .execute()
        .await?;
    Ok(Some(row.clone()))
}

pub(super) async fn bindings(
    connection: &mut Connection,
    tenant: &TenantId,
    agent: Option<&str>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<BindingRow>, Stop> {
    let list = List::new("channel bindings", &(tenant, agent));
    let [time, id] = halves(list.start::<2>(cursor)?);
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(limit, ROWS.0, ROWS.1);
    let select = "SELECT body, credential_ref FROM channel_bindings WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR updated_at < $2 OR (updated_at = $2 AND binding_id < $3)) \
                  AND ($5 IS NULL OR agent_id = $5) \
                  ORDER BY updated_at DESC, binding_id DESC LIMIT $4";
    let query = connection.query(select).bind(tenant_no).bind(time).bind(id);
    let rows = query.bind(size as i64 + 1).bind(agent).fetch_all().await?;
    let rows = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    Ok(list.page(rows, size, |row| {
        [
            row.binding.updated_at.clone(),
            row.binding.binding_id.clone(),
        ]
    }))
}
