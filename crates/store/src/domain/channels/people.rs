//! People of channels.

use super::directory::halves;
use super::{ROWS, bodies, body, to_json};
use crate::dialect::Connection;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::channels::ChannelIdentity;
use open_cowork_providers::store::channels::{PeopleQuery, PersonKey};
use open_cowork_providers::store::keyset::{List, Page, page_size};

pub(super) async fn person(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<ChannelIdentity>, sqlx::Error> {
    let select = "SELECT i.body FROM channel_identities i JOIN tenants t ON t.tenant_no = i.tenant_no \
                  WHERE t.tenant_id = $1 AND i.identity_id = $2";
    let query = connection.query(select).bind(tenant.as_str()).bind(id);
    query.fetch_optional().await?.as_ref().map(body).transpose()
}

pub(super) async fn upsert(
    connection: &mut Connection,
    tenant: &TenantId,
    mut new: ChannelIdentity,
    keep_standing: bool,
) -> Result<ChannelIdentity, sqlx::Error> {
    let key = PersonKey {
        provider: new.provider.clone(),
        external_workspace_id: new.external_workspace_id.clone(),
        external_user_id: new.external_user_id.clone(),
    };
    new.identity_id = key.identity_id(&new.org_id);
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    if let Some(known) = person(connection, tenant, &new.identity_id).await? {
        new.created_at = known.created_at;
        if keep_standing {
            new.account_id = known.account_id;
            new.role = known.role;
            new.status = known.status;
        }
    }
    let upsert = "INSERT INTO channel_identities \
                  (tenant_no, identity_id, provider, workspace, role, status, updated_at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                  ON CONFLICT (tenant_no, identity_id) DO UPDATE SET role = excluded.role, \
                  status = excluded.status, updated_at = excluded.updated_at, body = excluded.body";
    connection
        .query(upsert)
        .bind(tenant_no)
        .bind(new.identity_id.as_str())
        .bind(new.provider.as_str())
        .bind(new.external_workspace_id.as_deref())
        .bind(new.role.as_str())
        .bind(new.status.as_str())
        .bind(new.updated_at.as_str())
        .bind(to_json(&new)?)
        .execute()
        .await?;
    Ok(new)
}

pub(super) async fn page(
    connection: &mut Connection,
    tenant: &TenantId,
    query: &PeopleQuery,
) -> Result<Page<ChannelIdentity>, Stop> {
    let role = query.role.map(|role| role.as_str());
    let status = query.status.map(|status| status.as_str());
    let (provider, workspace) = (
        query.provider.as_deref(),
        query.external_workspace_id.as_deref(),
    );
    let filter = (tenant, provider, workspace, role, status);
    let list = List::new("channel identities", &filter);
    let [time, id] = halves(list.start::<2>(query.cursor.as_deref())?);
    let Some(tenant_no) = owner::tenant_no(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(query.limit, ROWS.0, ROWS.1);
    let select = "SELECT body FROM channel_identities WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR updated_at < $2 OR (updated_at = $2 AND identity_id < $3)) \
                  AND ($5 IS NULL OR provider = $5) AND ($6 IS NULL OR workspace = $6) \
                  AND ($7 IS NULL OR role = $7) AND ($8 IS NULL OR status = $8) \
                  ORDER BY updated_at DESC, identity_id DESC LIMIT $4";
    let rows = connection
        .query(select)
        .bind(tenant_no)
        .bind(time)
        .bind(id)
        .bind(size as i64 + 1)
        .bind(provider)
        .bind(workspace)
        .bind(role)
        .bind(status)
        .fetch_all()
        .await?;
    Ok(list.page(bodies(&rows)?, size, |row: &ChannelIdentity| {
        [row.updated_at.clone(), row.identity_id.clone()]
    }))
}
