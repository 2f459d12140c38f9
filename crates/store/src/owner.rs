//! The small numbers that stand for tenants and users in keys.

use crate::dialect::Connection;
use open_cowork_contracts::{TenantId, UserId};

/// The number of a tenant, if it is known.
pub(crate) async fn tenant_no(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<i64>, sqlx::Error> {
    let select = "SELECT tenant_no FROM tenants WHERE tenant_id = $1";
    let row = connection.query(select).bind(tenant.as_str());
    row.fetch_optional()
        .await?
        .map(|row| row.int(0))
        .transpose()
}

/// The number of a tenant, made when it is new. Its row is locked until the end of the transaction: numbers
/// inside a tenant are given out under this lock. Take it before any other lock.
pub(crate) async fn tenant_no_or_new(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<i64, sqlx::Error> {
    let insert = "INSERT INTO tenants (tenant_id) SELECT $1 \
                  WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE tenant_id = $1) ON CONFLICT DO NOTHING";
    let made = connection.query(insert).bind(tenant.as_str());
    made.execute().await?;
    let select = "SELECT tenant_no FROM tenants WHERE tenant_id = $1";
    let row = connection
        .select_for_update(select, "tenants")
        .bind(tenant.as_str());
    row.fetch_one().await?.int(0)
}

/// The number of a user inside a tenant, if it is known.
pub(crate) async fn user_no(
    connection: &mut Connection,
    tenant_no: i64,
    user: &UserId,
) -> Result<Option<i64>, sqlx::Error> {
    let select = "SELECT user_no FROM users WHERE tenant_no = $1 AND user_id = $2";
    let row = connection.query(select).bind(tenant_no).bind(user.as_str());
    row.fetch_optional()
        .await?
        .map(|row| row.int(0))
        .transpose()
}

/// The numbers of a tenant and a user, made when they are new; locks the tenant's row.
pub(crate) async fn user_no_or_new(
    connection: &mut Connection,
    tenant: &TenantId,
    user: &UserId,
) -> Result<(i64, i64), sqlx::Error> {
    let tenant_no = tenant_no_or_new(connection, tenant).await?;
    if let Some(user_no) = user_no(connection, tenant_no, user).await? {
        return Ok((tenant_no, user_no));
    }
    let insert = "INSERT INTO users (tenant_no, user_no, user_id, workspace_sequence) \
                  SELECT $1, COALESCE(MAX(user_no), 0) + 1, $2, 0 FROM users WHERE tenant_no = $1 \
                  RETURNING user_no";
    let made = connection.query(insert).bind(tenant_no).bind(user.as_str());
    Ok((tenant_no, made.fetch_one().await?.int(0)?))
}
