//! Chats that are threads.

use super::{body, to_json};
use crate::dialect::{Connection, Row};
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::api::channels::ChannelSessionBinding;
use open_cowork_contracts::{SessionId, TenantId};
use open_cowork_providers::store::channels::{ChatKey, CursorUpdate, SessionBindingRow};
use open_cowork_providers::store::{Scope, StoreError};
use open_cowork_providers::time::{Timestamp, iso};

macro_rules! select_chats {
    ($tail:literal) => {
        concat!(
            "SELECT c.body, t.tenant_id, c.user_id FROM channel_sessions c ",
            "JOIN tenants t ON t.tenant_no = c.tenant_no ",
            $tail
        )
    };
}

fn stored(row: &Row) -> Result<SessionBindingRow, sqlx::Error> {
    Ok(SessionBindingRow {
        binding: body(row)?,
        scope: Scope {
            tenant_id: row.text(1)?.into(),
            user_id: row.text(2)?.into(),
        },
    })
}

pub(super) async fn chat(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<SessionBindingRow>, sqlx::Error> {
    let select = select_chats!("WHERE t.tenant_id = $1 AND c.binding_id = $2");
    let query = connection.query(select).bind(tenant.as_str()).bind(id);
    let row = query.fetch_optional().await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn of_session(
    connection: &mut Connection,
    tenant: &TenantId,
    session: &SessionId,
) -> Result<Vec<SessionBindingRow>, sqlx::Error> {
    let select = select_chats!(
        "JOIN sessions s ON s.tenant_no = c.tenant_no AND s.session_no = c.session_no \
         WHERE t.tenant_id = $1 AND s.session_id = $2 ORDER BY c.binding_id"
    );
    let query = connection.query(select).bind(tenant.as_str());
    let rows = query.bind(session.as_str()).fetch_all().await?;
    rows.iter().map(stored).collect()
}

pub(super) async fn bind(
    connection: &mut Connection,
    mut row: SessionBindingRow,
) -> Result<SessionBindingRow, Stop> {
    let new = &mut row.binding;
    let key = ChatKey {
        provider: new.provider.clone(),
        external_workspace_id: new.external_workspace_id.clone(),
        external_chat_id: new.external_chat_id.clone(),
        external_thread_id: new.external_thread_id.clone(),
    };
    new.binding_id = key.binding_id(&new.org_id);
    // Two that bind the same chat come one after the other.
    let tenant_no = owner::tenant_no_or_new(connection, &row.scope.tenant_id).await?;
    let id = row.binding.binding_id.as_str();
    if let Some(known) = chat(connection, &row.scope.tenant_id, id).await? {
        return Ok(known);
    }
    let insert = "INSERT INTO channel_sessions (tenant_no, binding_id, session_no, user_id, body) \
                  SELECT $1, $2, s.session_no, u.user_id, $5 FROM sessions s \
                  JOIN users u ON u.tenant_no = s.tenant_no AND u.user_no = s.user_no \
                  WHERE s.tenant_no = $1 AND s.session_id = $3 AND u.user_id = $4";
    let made = connection
        .query(insert)
        .bind(tenant_no)
        .bind(id)
        .bind(row.binding.session_id.as_str())
        .bind(row.scope.user_id.as_str())
        .bind(to_json(&row.binding)?)
        .execute()
        .await?;
    match made {
        0 => Err(StoreError::NotFound(row.binding.session_id.to_string()).into()),
        _ => Ok(row),
    }
}

pub(super) async fn move_cursor(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
    (event, workspace): (u64, u64),
    message: Option<Option<String>>,
    now: Timestamp,
) -> Result<Option<CursorUpdate>, sqlx::Error> {
    let lock = "SELECT c.body, c.tenant_no FROM channel_sessions c \
                JOIN tenants t ON t.tenant_no = c.tenant_no \
                WHERE t.tenant_id = $1 AND c.binding_id = $2";
    let query = connection.select_for_update(lock, "c");
    let row = query
        .bind(tenant.as_str())
        .bind(id)
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut stored: ChannelSessionBinding = body(&row)?;
    if event < stored.last_event_sequence || workspace < stored.last_workspace_sequence {
        return Ok(Some(CursorUpdate::Stale(stored)));
    }
    stored.last_event_sequence = event;
    stored.last_workspace_sequence = workspace;
    if let Some(message) = message {
        stored.last_chat_message_id = message;
    }
    stored.updated_at = iso(now);
    let update = "UPDATE channel_sessions SET body = $3 WHERE tenant_no = $1 AND binding_id = $2";
    let query = connection.query(update).bind(row.int(1)?).bind(id);
    query.bind(to_json(&stored)?).execute().await?;
    Ok(Some(CursorUpdate::Updated(stored)))
}
