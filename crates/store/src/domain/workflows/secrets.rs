//! Webhook secrets and the calls that were made with them.

use crate::dialect::Connection;
use crate::transaction::Stop;
use open_cowork_contracts::{TenantId, WorkflowId};
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::workflows::{REPLAY_WINDOW, StoredSecret};
use open_cowork_providers::time::Timestamp;

pub(super) async fn replace(
    connection: &mut Connection,
    tenant_no: i64,
    workflow: &WorkflowId,
    secret: &StoredSecret,
    at: &str,
) -> Result<(), sqlx::Error> {
    let upsert = "INSERT INTO workflow_secrets (tenant_no, workflow_id, trigger_id, ciphertext, changed_at) \
                  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_no, workflow_id) DO UPDATE \
                  SET trigger_id = excluded.trigger_id, ciphertext = excluded.ciphertext, \
                  changed_at = excluded.changed_at";
    connection
        .query(upsert)
        .bind(tenant_no)
        .bind(workflow.as_str())
        .bind(secret.trigger_id.as_str())
        .bind(secret.ciphertext.as_str())
        .bind(at)
        .execute()
        .await?;
    Ok(())
}

/// The ciphertext goes, too: what is revoked can't be read again.
pub(super) async fn revoke(
    connection: &mut Connection,
    tenant_no: i64,
    workflow: &WorkflowId,
    at: &str,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE workflow_secrets SET ciphertext = NULL, changed_at = $3 \
                  WHERE tenant_no = $1 AND workflow_id = $2";
    let query = connection.query(update).bind(tenant_no);
    query.bind(workflow.as_str()).bind(at).execute().await?;
    Ok(())
}

pub(super) async fn active(
    connection: &mut Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
) -> Result<Option<StoredSecret>, sqlx::Error> {
    let select = "SELECT s.trigger_id, s.ciphertext FROM workflow_secrets s \
                  JOIN tenants t ON t.tenant_no = s.tenant_no \
                  WHERE t.tenant_id = $1 AND s.workflow_id = $2 AND s.ciphertext IS NOT NULL";
    let query = connection.query(select).bind(tenant.as_str());
    let row = query.bind(workflow.as_str()).fetch_optional().await?;
    row.map(|row| {
        Ok(StoredSecret {
            trigger_id: row.text(0)?,
            ciphertext: row.text(1)?,
        })
    })
    .transpose()
}

pub(super) async fn note_call(
    connection: &mut Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    digest: &str,
    now: Timestamp,
) -> Result<bool, Stop> {
    let found = super::rows::workflow(connection, tenant, workflow).await?;
    let tenant_no = found.ok_or(StoreError::Missing("workflow"))?.tenant_no;
    let oldest = (now - REPLAY_WINDOW).as_millisecond();
    let delete =
        "DELETE FROM workflow_calls WHERE tenant_no = $1 AND workflow_id = $2 AND noted_ms <= $3";
    let query = connection
        .query(delete)
        .bind(tenant_no)
        .bind(workflow.as_str());
    query.bind(oldest).execute().await?;
    let insert = "INSERT INTO workflow_calls (tenant_no, workflow_id, digest, noted_ms) \
                  VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let query = connection
        .query(insert)
        .bind(tenant_no)
        .bind(workflow.as_str());
    let noted = query
        .bind(digest)
        .bind(now.as_millisecond())
        .execute()
        .await?;
    Ok(noted == 1)
}

pub(super) async fn forget_call(
    connection: &mut Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    digest: &str,
) -> Result<(), sqlx::Error> {
    let delete = "DELETE FROM workflow_calls WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1) \
                  AND workflow_id = $2 AND digest = $3";
    let query = connection.query(delete).bind(tenant.as_str());
    query.bind(workflow.as_str()).bind(digest).execute().await?;
    Ok(())
}
