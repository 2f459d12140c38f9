//! Browser sessions.

use crate::dialect::{Connection, Row, undecodable};
use crate::domain::governance::audit::{from_json, json};
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::{AccountId, TenantId};
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::browser::BrowserSession;
use open_cowork_providers::time::Timestamp;

pub(crate) async fn create(
    connection: &mut Connection,
    session: &BrowserSession,
) -> Result<(), Stop> {
    let tenant_no = owner::tenant_no_or_new(connection, &session.tenant_id).await?;
    let insert = "INSERT INTO browser_sessions (session_hash, tenant_no, account_id, created_ms, expires_ms, \
                  ends_ms, body) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let made = connection
        .query(insert)
        .bind(session.session_hash.as_str())
        .bind(tenant_no)
        .bind(session.account_id.as_str())
        .bind(session.created_at.as_millisecond())
        .bind(session.expires_at.as_millisecond())
        .bind(session.ends_at.as_millisecond())
        .bind(json(&session.body)?)
        .execute()
        .await?;
    if made == 0 {
        return Err(StoreError::Conflict(
            "There is a browser session with this id already; sign in again.".to_owned(),
        )
        .into());
    }
    Ok(())
}

pub(crate) async fn find(
    connection: &mut Connection,
    hash: &str,
    now: Timestamp,
) -> Result<Option<BrowserSession>, sqlx::Error> {
    let select = "SELECT s.session_hash, t.tenant_id, s.account_id, s.created_ms, s.expires_ms, s.ends_ms, s.body \
                  FROM browser_sessions s JOIN tenants t ON t.tenant_no = s.tenant_no \
                  WHERE s.session_hash = $1 AND s.expires_ms > $2 AND s.ends_ms > $2";
    let row = connection
        .query(select)
        .bind(hash)
        .bind(now.as_millisecond())
        .fetch_optional()
        .await?;
    row.map(|row| session(&row)).transpose()
}

fn session(row: &Row) -> Result<BrowserSession, sqlx::Error> {
    Ok(BrowserSession {
        session_hash: row.text(0)?,
        tenant_id: row.text(1)?.into(),
        account_id: row.text(2)?.into(),
        created_at: time(row, 3)?,
        expires_at: time(row, 4)?,
        ends_at: time(row, 5)?,
        body: from_json(row, 6)?,
    })
}

fn time(row: &Row, column: usize) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(row.int(column)?).map_err(|_| undecodable(column))
}

pub(crate) async fn renew(
    connection: &mut Connection,
    hash: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let update = "UPDATE browser_sessions SET expires_ms = CASE WHEN $2 < ends_ms THEN $2 ELSE ends_ms END \
                  WHERE session_hash = $1 AND expires_ms > $3 AND ends_ms > $3";
    let renewed = connection
        .query(update)
        .bind(hash)
        .bind(expires_at.as_millisecond())
        .bind(now.as_millisecond())
        .execute()
        .await?;
    Ok(renewed > 0)
}

pub(crate) async fn revoke(connection: &mut Connection, hash: &str) -> Result<bool, sqlx::Error> {
    let delete = "DELETE FROM browser_sessions WHERE session_hash = $1";
    Ok(connection.query(delete).bind(hash).execute().await? > 0)
}

pub(crate) async fn revoke_all(
    connection: &mut Connection,
    tenant: &TenantId,
    account: &AccountId,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM browser_sessions WHERE account_id = $2 \
                  AND tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1)";
    let delete = connection.query(delete).bind(tenant.as_str());
    delete.bind(account.as_str()).execute().await
}
