//! On PostgreSQL many processes write at once. A transaction that will write locks all rows that it needs
//! before it reads them, every process in the same order (tenants by number, then each user followed by his
//! sessions), so that nobody waits for somebody who waits for him, and every sequence is given out under a lock.
//!
//! The user's row is locked too, because it holds the last workspace sequence. `NO KEY UPDATE`: keys never
//! change, so rows that refer to these needn't wait.

use super::Connection;
use super::text::escape;
use crate::read::{self, Located};
use open_cowork_contracts::{SessionId, TenantId, UserId};
use open_cowork_providers::store::{NewSession, SessionKey};
use std::collections::HashSet;

/// What a group will need.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'g> {
    sessions: HashSet<(&'g TenantId, &'g SessionId)>,
    owners: HashSet<(&'g TenantId, &'g UserId)>,
}

impl<'g> Wanted<'g> {
    /// A session that is to change.
    pub(crate) fn session(&mut self, key: &'g SessionKey) {
        self.sessions.insert((&key.tenant_id, &key.session_id));
    }

    /// A session that is to be made, if it doesn't exist.
    pub(crate) fn new_session(&mut self, new: &'g NewSession) {
        self.sessions.insert((&new.tenant_id, &new.session_id));
        self.owners.insert((&new.tenant_id, &new.user_id));
    }
}

/// Locks what is wanted and gives the sessions that exist, as they are now. Tenants of new sessions are made:
/// numbers inside a tenant are given out under its lock.
pub(crate) async fn take(
    connection: &mut Connection,
    wanted: &Wanted<'_>,
) -> Result<Vec<Located>, sqlx::Error> {
    let texts = |ids: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        ids.map(|id| escape(id).into_owned()).collect()
    };
    let tenants = texts(&mut wanted.owners.iter().map(|(tenant, _)| tenant.as_str()));
    let users = texts(&mut wanted.owners.iter().map(|(_, user)| user.as_str()));
    let session_tenants = texts(&mut wanted.sessions.iter().map(|(tenant, _)| tenant.as_str()));
    let sessions = texts(&mut wanted.sessions.iter().map(|(_, id)| id.as_str()));

    if !tenants.is_empty() {
        let make = "INSERT INTO tenants (tenant_id) SELECT DISTINCT k.id FROM UNNEST($1::TEXT[]) k (id) \
                    WHERE NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = k.id) \
                    ORDER BY k.id ON CONFLICT DO NOTHING";
        connection
            .query(make)
            .bind_list(tenants.clone())
            .execute()
            .await?;
        let lock = "SELECT tenant_no FROM tenants WHERE tenant_id = ANY($1) ORDER BY tenant_no FOR NO KEY UPDATE";
        connection
            .query(lock)
            .bind_list(tenants.clone())
            .execute()
            .await?;
    }

    if !wanted.owners.is_empty() {
        let lock = "SELECT u.user_no FROM users u WHERE (u.tenant_no, u.user_no) IN ( \
                    SELECT s.tenant_no, s.user_no FROM UNNEST($1::TEXT[], $2::TEXT[]) k (tenant_id, session_id) \
                    JOIN tenants t ON t.tenant_id = k.tenant_id \
                    JOIN sessions s ON s.tenant_no = t.tenant_no AND s.session_id = k.session_id \
                    UNION ALL \
                    SELECT o.tenant_no, o.user_no FROM UNNEST($3::TEXT[], $4::TEXT[]) k (tenant_id, user_id) \
                    JOIN tenants t ON t.tenant_id = k.tenant_id \
                    JOIN users o ON o.tenant_no = t.tenant_no AND o.user_id = k.user_id \
                    ) ORDER BY u.tenant_no, u.user_no FOR NO KEY UPDATE OF u";
        connection
            .query(lock)
            .bind_list(session_tenants.clone())
            .bind_list(sessions.clone())
            .bind_list(tenants)
            .bind_list(users)
            .execute()
            .await?;
    }

    // A row for which it waited is read anew, the user's too, and with it the scope's lease; a session's lease
    // counts only under that scope's, so one that was taken meanwhile isn't taken for the current one.
    let rows = connection
        .query(read::LOCK_SESSIONS)
        .bind_list(session_tenants)
        .bind_list(sessions)
        .fetch_all()
        .await?;
    rows.iter().map(read::leased).collect()
}
