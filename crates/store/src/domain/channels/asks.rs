//! What is asked in chats, to be answered once.

use super::{body, known_tenant, taken, to_json};
use crate::dialect::{Connection, Row};
use crate::domain::execution::queue;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::channels::{ChannelInteraction, InteractionStatus};
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::channels::InteractionRow;
use open_cowork_providers::store::execution::{Enqueued, NewCommand, QueueLimits};
use open_cowork_providers::time::{Timestamp, iso};

macro_rules! select_asks {
    ($tail:literal) => {
        concat!(
            "SELECT i.body, i.token_hash, i.tenant_no FROM channel_interactions i ",
            "JOIN tenants t ON t.tenant_no = i.tenant_no ",
            $tail
        )
    };
}

fn stored(row: &Row) -> Result<InteractionRow, sqlx::Error> {
    Ok(InteractionRow {
        interaction: body(row)?,
        token_hash: row.text(1)?,
    })
}

pub(super) async fn ask(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<InteractionRow>, sqlx::Error> {
    let select = select_asks!("WHERE t.tenant_id = $1 AND i.interaction_id = $2");
    let query = connection.query(select).bind(tenant.as_str()).bind(id);
    let row = query.fetch_optional().await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn by_external(
    connection: &mut Connection,
    tenant: &TenantId,
    provider: &str,
    external: &str,
) -> Result<Vec<InteractionRow>, sqlx::Error> {
    let select = select_asks!(
        "WHERE t.tenant_id = $1 AND i.provider = $2 AND i.external_id = $3 ORDER BY i.channel_id"
    );
    let query = connection.query(select).bind(tenant.as_str());
    let rows = query.bind(provider).bind(external).fetch_all().await?;
    rows.iter().map(stored).collect()
}

pub(super) async fn create(
    connection: &mut Connection,
    tenant: &TenantId,
    row: &InteractionRow,
) -> Result<(), Stop> {
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    let new = &row.interaction;
    let insert = "INSERT INTO channel_interactions \
                  (tenant_no, interaction_id, provider, channel_id, external_id, status, expires_at, token_hash, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    let made = connection
        .query(insert)
        .bind(tenant_no)
        .bind(new.interaction_id.as_str())
        .bind(new.provider.as_str())
        .bind(new.channel_binding_id.as_deref().unwrap_or_default())
        .bind(new.external_interaction_id.as_deref())
        .bind(new.status.as_str())
        .bind(new.expires_at.as_str())
        .bind(row.token_hash.as_str())
        .bind(to_json(new)?)
        .execute()
        .await?;
    match made {
        0 => Err(taken().into()),
        _ => Ok(()),
    }
}

/// Marks one that is too late; true when that is news.
pub(super) fn expire(row: &mut InteractionRow, now: Timestamp) -> bool {
    let ask = &mut row.interaction;
    let late = ask.status == InteractionStatus::Pending && ask.expires_at <= iso(now);
    if late {
        ask.status = InteractionStatus::Expired;
        ask.updated_at = iso(now);
    }
    late
}

/// Writes [`expire`], unless somebody has answered meanwhile.
pub(super) async fn write_expired(
    connection: &mut Connection,
    tenant: &TenantId,
    row: &InteractionRow,
) -> Result<(), sqlx::Error> {
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(());
    };
    write(connection, tenant_no, &row.interaction).await?;
    Ok(())
}

/// Writes the new state of one that is pending.
async fn write(
    connection: &mut Connection,
    tenant_no: i64,
    ask: &ChannelInteraction,
) -> Result<bool, sqlx::Error> {
    let update = "UPDATE channel_interactions SET status = $3, body = $4 \
                  WHERE tenant_no = $1 AND interaction_id = $2 AND status = 'pending'";
    let changed = connection
        .query(update)
        .bind(tenant_no)
        .bind(ask.interaction_id.as_str())
        .bind(ask.status.as_str())
        .bind(to_json(ask)?)
        .execute()
        .await?;
    Ok(changed > 0)
}

pub(super) async fn resolve(
    connection: &mut Connection,
    (tenant, id): (&TenantId, &str),
    command: &NewCommand,
    limits: QueueLimits,
    now: Timestamp,
) -> Result<(ChannelInteraction, Enqueued), Stop> {
    // The session's row is locked first; whatever is refused below takes the command back with it.
    let enqueued = queue::enqueue(connection, command, limits, now).await?;
    let tenant_no = known_tenant(connection, tenant, "interaction").await?;
    let lock = select_asks!("WHERE t.tenant_id = $1 AND i.interaction_id = $2");
    let query = connection.select_for_update(lock, "i");
    let row = query
        .bind(tenant.as_str())
        .bind(id)
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Err(StoreError::Missing("interaction").into());
    };
    let mut ask: ChannelInteraction = body(&row)?;
    let used = || StoreError::Conflict("The interaction was answered already.".to_owned());
    if ask.status != InteractionStatus::Pending || ask.expires_at <= iso(now) {
        return Err(used().into());
    }
    ask.status = InteractionStatus::Used;
    ask.used_at = Some(iso(now));
    ask.updated_at = iso(now);
    match write(connection, tenant_no, &ask).await? {
        true => Ok((ask, enqueued)),
        false => Err(used().into()),
    }
}

pub(super) async fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM channel_interactions WHERE (tenant_no, interaction_id) IN ( \
                  SELECT tenant_no, interaction_id FROM channel_interactions WHERE expires_at < $1 \
                  ORDER BY expires_at LIMIT $2)";
    let query = connection.query(delete).bind(iso(before));
    query.bind(i64::from(limit)).execute().await
}
