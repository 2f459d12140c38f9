//! Leases of scopes and sessions.

use super::time;
use crate::dialect::Connection;
use crate::transaction::Stop;
use open_cowork_contracts::SessionId;
use open_cowork_providers::store::execution::{ReapedSession, ScopeLease, SessionLease};
use open_cowork_providers::store::{LeaseToken, QuotaDenial, Scope, SessionKey, StoreError};
use open_cowork_providers::time::Timestamp;

/// A user's numbers. The row is locked: see the module's rule.
async fn lock_user(
    connection: &mut Connection,
    scope: &Scope,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let select = "SELECT u.tenant_no, u.user_no FROM tenants t JOIN users u ON u.tenant_no = t.tenant_no \
                  WHERE t.tenant_id = $1 AND u.user_id = $2";
    let row = connection
        .select_for_update(select, "u")
        .bind(scope.tenant_id.as_str())
        .bind(scope.user_id.as_str())
        .fetch_optional()
        .await?;
    row.map(|row| Ok((row.int(0)?, row.int(1)?))).transpose()
}

/// Token and end of a scope's lease. The row is locked.
async fn lock_scope(
    connection: &mut Connection,
    (tenant_no, user_no): (i64, i64),
) -> Result<Option<(LeaseToken, Timestamp)>, sqlx::Error> {
    let select = "SELECT token, expires_ms FROM scope_leases WHERE tenant_no = $1 AND user_no = $2";
    let row = connection
        .select_for_update(select, "scope_leases")
        .bind(tenant_no)
        .bind(user_no)
        .fetch_optional()
        .await?;
    row.map(|row| Ok((LeaseToken::new(row.text(0)?), time(&row, 1)?)))
        .transpose()
}

pub(super) async fn claim_scope(
    connection: &mut Connection,
    lease: &ScopeLease,
    now: Timestamp,
) -> Result<bool, Stop> {
    let Some(place) = lock_user(connection, &lease.scope).await? else {
        return Err(StoreError::Missing("user").into());
    };
    match lock_scope(connection, place).await? {
        Some((_, expires_at)) if expires_at > now => return Ok(false),
        Some(_) => drop(end_scope(connection, place, Ended::Expired, now).await?),
        None => {}
    }
    let insert = "INSERT INTO scope_leases (tenant_no, user_no, worker_id, token, expires_ms) \
                  VALUES ($1, $2, $3, $4, $5)";
    connection
        .query(insert)
        .bind(place.0)
        .bind(place.1)
        .bind(lease.worker_id.as_str())
        .bind(lease.token.expose())
        .bind(lease.expires_at.as_millisecond())
        .execute()
        .await?;
    show_on_user(connection, place, Some(&lease.token)).await?;
    Ok(true)
}

/// Writes the holder's token on the user's row, which every append locks.
async fn show_on_user(
    connection: &mut Connection,
    (tenant_no, user_no): (i64, i64),
    token: Option<&LeaseToken>,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE users SET lease_token = $3 WHERE tenant_no = $1 AND user_no = $2";
    let update = connection
        .query(update)
        .bind(tenant_no)
        .bind(user_no)
        .bind(token.map(LeaseToken::expose));
    update.execute().await.map(drop)
}

/// The new end of the lease.
pub(super) async fn renew(
    connection: &mut Connection,
    lease: &ScopeLease,
    until: Timestamp,
    now: Timestamp,
) -> Result<Timestamp, Stop> {
    // Never earlier than before: two renewals may arrive in any order.
    let update = "UPDATE scope_leases SET expires_ms = CASE WHEN expires_ms > $5 THEN expires_ms ELSE $5 END \
                  WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1) \
                  AND user_no = (SELECT u.user_no FROM users u JOIN tenants t ON t.tenant_no = u.tenant_no \
                  WHERE t.tenant_id = $1 AND u.user_id = $2) \
                  AND token = $3 AND expires_ms > $4 RETURNING expires_ms";
    let renewed = connection
        .query(update)
        .bind(lease.scope.tenant_id.as_str())
        .bind(lease.scope.user_id.as_str())
        .bind(lease.token.expose())
        .bind(now.as_millisecond())
        .bind(until.as_millisecond())
        .fetch_optional()
        .await?;
    match renewed {
        Some(row) => Ok(time(&row, 0)?),
        None => Err(StoreError::StaleFence.into()),
    }
}

pub(super) async fn release_scope(
    connection: &mut Connection,
    lease: &ScopeLease,
    now: Timestamp,
) -> Result<bool, Stop> {
    let Some(place) = lock_user(connection, &lease.scope).await? else {
        return Ok(false);
    };
    match lock_scope(connection, place).await? {
        Some((token, _)) if token == lease.token => {}
        _ => return Ok(false),
    }
    end_scope(connection, place, Ended::Released, now).await?;
    Ok(true)
}

/// The end of the lease; `None` when the session is taken.
pub(super) async fn claim_session(
    connection: &mut Connection,
    lease: &ScopeLease,
    session: &SessionId,
    most: Option<u32>,
    token: &LeaseToken,
    now: Timestamp,
) -> Result<Option<Timestamp>, Stop> {
    if most.is_some() {
        // Two that see room for one more come one after the other.
        let lock = "SELECT tenant_no FROM tenants WHERE tenant_id = $1";
        let locked = connection
            .select_for_update(lock, "tenants")
            .bind(lease.scope.tenant_id.as_str());
        locked.fetch_optional().await?;
    }
    let select = "SELECT p.tenant_no, p.user_no, p.token, p.expires_ms FROM scope_leases p \
                  JOIN tenants t ON t.tenant_no = p.tenant_no \
                  JOIN users u ON u.tenant_no = p.tenant_no AND u.user_no = p.user_no \
                  WHERE t.tenant_id = $1 AND u.user_id = $2";
    // While it is locked the scope can't end, which would leave the session's lease behind.
    let scope = connection
        .select_for_update(select, "p")
        .bind(lease.scope.tenant_id.as_str())
        .bind(lease.scope.user_id.as_str())
        .fetch_optional()
        .await?;
    let Some(scope) = scope else {
        return Err(StoreError::StaleFence.into());
    };
    let (tenant_no, user_no, expires_at) = (scope.int(0)?, scope.int(1)?, time(&scope, 3)?);
    if scope.text(2)? != lease.token.expose() || expires_at <= now {
        return Err(StoreError::StaleFence.into());
    }
    let select =
        "SELECT session_no FROM sessions WHERE tenant_no = $1 AND user_no = $2 AND session_id = $3";
    let found = connection
        .query(select)
        .bind(tenant_no)
        .bind(user_no)
        .bind(session.as_str())
        .fetch_optional()
        .await?;
    let Some(found) = found else {
        return Err(StoreError::NotFound(session.to_string()).into());
    };
    if let Some(most) = most {
        has_room(connection, (tenant_no, found.int(0)?), most, now).await?;
    }
    let insert = "INSERT INTO session_leases (tenant_no, session_no, user_no, token) \
                  VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let made = connection
        .query(insert)
        .bind(tenant_no)
        .bind(found.int(0)?)
        .bind(user_no)
        .bind(token.expose())
        .execute()
        .await?;
    Ok((made > 0).then_some(expires_at))
}

/// [`StoreError::Quota`] when so many other sessions of the tenant are held under live leases.
async fn has_room(
    connection: &mut Connection,
    (tenant_no, session_no): (i64, i64),
    most: u32,
    now: Timestamp,
) -> Result<(), Stop> {
    let count = "SELECT COUNT(*) FROM session_leases l \
                 JOIN scope_leases p ON p.tenant_no = l.tenant_no AND p.user_no = l.user_no \
                 WHERE l.tenant_no = $1 AND l.session_no <> $2 AND p.expires_ms > $3";
    let held = connection
        .query(count)
        .bind(tenant_no)
        .bind(session_no)
        .bind(now.as_millisecond());
    let used = held.fetch_one().await?.unsigned(0)?;
    if used < u64::from(most) {
        return Ok(());
    }
    Err(StoreError::Quota(Box::new(QuotaDenial {
        code: "quota.active_workers_exceeded".to_owned(),
        limit: u64::from(most),
        used,
        reset_at: None,
        retry_after_ms: 1000,
        message: "Workers hold as many sessions of this organisation as they may; the next one waits for its turn."
            .to_owned(),
    }))
    .into())
}

pub(super) async fn release_session(
    connection: &mut Connection,
    lease: &SessionLease,
    now: Timestamp,
) -> Result<bool, Stop> {
    let scope = Scope {
        tenant_id: lease.key.tenant_id.clone(),
        user_id: lease.user_id.clone(),
    };
    // As for a takeover: appends of this lease come before or see that it is gone.
    if lock_user(connection, &scope).await?.is_none() {
        return Ok(false);
    }
    let Some((tenant_no, session_no)) = lock_session(connection, lease).await? else {
        return Ok(false);
    };
    let free = "UPDATE commands SET status = 'pending', claimed_by = NULL, claimed_token = NULL, available_ms = $3, \
                spared = spared + 1, error_code = 'lease_released', error_summary = NULL \
                WHERE tenant_no = $1 AND session_no = $2 AND is_open = 1 AND status = 'running'";
    connection
        .query(free)
        .bind(tenant_no)
        .bind(session_no)
        .bind(now.as_millisecond())
        .execute()
        .await?;
    let delete = "DELETE FROM session_leases WHERE tenant_no = $1 AND session_no = $2";
    let deleted = connection.query(delete).bind(tenant_no).bind(session_no);
    deleted.execute().await?;
    Ok(true)
}

/// The numbers of a session that this token holds, expired or not. The lease's row is locked.
async fn lock_session(
    connection: &mut Connection,
    lease: &SessionLease,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let select = "SELECT l.tenant_no, l.session_no FROM session_leases l \
                  JOIN sessions s ON s.tenant_no = l.tenant_no AND s.session_no = l.session_no \
                  JOIN tenants t ON t.tenant_no = l.tenant_no \
                  WHERE t.tenant_id = $1 AND s.session_id = $2 AND l.token = $3";
    let row = connection
        .select_for_update(select, "l")
        .bind(lease.key.tenant_id.as_str())
        .bind(lease.key.session_id.as_str())
        .bind(lease.token.expose())
        .fetch_optional()
        .await?;
    row.map(|row| Ok((row.int(0)?, row.int(1)?))).transpose()
}

/// The numbers of a session whose lease is this one and lives; [`StoreError::StaleFence`] else. The lease's
/// row is locked, so that steps of one session come one after the other.
pub(super) async fn live_session(
    connection: &mut Connection,
    lease: &SessionLease,
    now: Timestamp,
) -> Result<(i64, i64), Stop> {
    let Some((tenant_no, session_no)) = lock_session(connection, lease).await? else {
        return Err(StoreError::StaleFence.into());
    };
    let select = "SELECT p.expires_ms FROM session_leases l \
                  JOIN scope_leases p ON p.tenant_no = l.tenant_no AND p.user_no = l.user_no \
                  WHERE l.tenant_no = $1 AND l.session_no = $2";
    let end = connection
        .query(select)
        .bind(tenant_no)
        .bind(session_no)
        .fetch_optional()
        .await?;
    match end {
        Some(row) if time(&row, 0)? > now => Ok((tenant_no, session_no)),
        _ => Err(StoreError::StaleFence.into()),
    }
}

pub(super) async fn reap(
    connection: &mut Connection,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<ReapedSession>, Stop> {
    // It never waits for a user's row, so the order of these locks doesn't matter.
    let select = "SELECT u.tenant_no, u.user_no FROM scope_leases p \
                  JOIN users u ON u.tenant_no = p.tenant_no AND u.user_no = p.user_no \
                  WHERE p.expires_ms <= $1 ORDER BY p.expires_ms, p.tenant_no, p.user_no LIMIT $2";
    let rows = connection
        .select_skip_locked(select, "u")
        .bind(now.as_millisecond())
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    let mut reaped = Vec::new();
    for row in &rows {
        let place = (row.int(0)?, row.int(1)?);
        match lock_scope(connection, place).await? {
            Some((_, expires_at)) if expires_at <= now => {
                reaped.extend(end_scope(connection, place, Ended::Expired, now).await?);
            }
            // Renewed, or reaped by somebody else meanwhile.
            _ => {}
        }
    }
    Ok(reaped)
}

/// Why a scope's lease ended.
#[derive(Clone, Copy)]
enum Ended {
    /// Its worker is gone: what it was executing counts.
    Expired,
    /// Its worker gave it back: what it was executing is spared.
    Released,
}

/// Ends a scope whose user and lease are locked.
async fn end_scope(
    connection: &mut Connection,
    (tenant_no, user_no): (i64, i64),
    why: Ended,
    now: Timestamp,
) -> Result<Vec<ReapedSession>, sqlx::Error> {
    let select = "SELECT t.tenant_id, u.user_id, p.worker_id, s.session_id, s.status, l.session_no \
                  FROM session_leases l \
                  JOIN scope_leases p ON p.tenant_no = l.tenant_no AND p.user_no = l.user_no \
                  JOIN sessions s ON s.tenant_no = l.tenant_no AND s.session_no = l.session_no \
                  JOIN users u ON u.tenant_no = l.tenant_no AND u.user_no = l.user_no \
                  JOIN tenants t ON t.tenant_no = l.tenant_no \
                  WHERE l.tenant_no = $1 AND l.user_no = $2 ORDER BY l.session_no";
    let held = connection
        .query(select)
        .bind(tenant_no)
        .bind(user_no)
        .fetch_all()
        .await?;
    // First these: a claim of a command that is under way holds its session's lease, and the command that it
    // leaves `running` is seen only by a statement that begins after it.
    let delete = "DELETE FROM session_leases WHERE tenant_no = $1 AND user_no = $2";
    let deleted = connection.query(delete).bind(tenant_no).bind(user_no);
    deleted.execute().await?;
    let (code, spared) = match why {
        Ended::Expired => ("lease_expired", 0),
        Ended::Released => ("lease_released", 1),
    };
    let free = "UPDATE commands SET status = 'pending', claimed_by = NULL, claimed_token = NULL, available_ms = $3, \
                spared = spared + $4, error_code = $5, error_summary = NULL \
                WHERE tenant_no = $1 AND user_no = $2 AND is_open = 1 AND status = 'running' \
                RETURNING session_no, command_id";
    let freed = connection
        .query(free)
        .bind(tenant_no)
        .bind(user_no)
        .bind(now.as_millisecond())
        .bind(spared)
        .bind(code)
        .fetch_all()
        .await?;
    let delete = "DELETE FROM scope_leases WHERE tenant_no = $1 AND user_no = $2";
    let deleted = connection.query(delete).bind(tenant_no).bind(user_no);
    deleted.execute().await?;
    show_on_user(connection, (tenant_no, user_no), None).await?;
    let mut ended = Vec::with_capacity(held.len());
    for row in &held {
        let session_no = row.int(5)?;
        let mut retried = Vec::new();
        for command in &freed {
            if command.int(0)? == session_no {
                retried.push(command.text(1)?.into());
            }
        }
        ended.push(ReapedSession {
            key: SessionKey::new(row.text(0)?, row.text(3)?),
            user_id: row.text(1)?.into(),
            worker_id: row.text(2)?,
            retried,
            unfinished: row.stored(4)? == "running",
        });
    }
    Ok(ended)
}
