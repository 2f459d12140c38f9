//! What waits for a worker.

use crate::dialect::Connection;
use open_cowork_providers::store::Scope;
use open_cowork_providers::store::execution::{EXECUTION_PAGE, RunnableScopes, SessionWork};
use open_cowork_providers::time::Timestamp;

pub(super) async fn runnable_scopes(
    connection: &mut Connection,
    worker_id: &str,
    limit: u32,
    now: Timestamp,
) -> Result<RunnableScopes, sqlx::Error> {
    // `ready`: a command can be claimed, or was claimed by a worker that is gone, or a turn has no end. A prompt
    // behind a turn that its worker still runs isn't ready.
    let select = "WITH held AS ( \
                    SELECT tenant_no, user_no, worker_id FROM scope_leases WHERE expires_ms > $1 \
                  ), queued AS ( \
                    SELECT c.tenant_no, c.user_no, c.session_no, c.lane, c.status, c.available_ms, c.created_at, \
                    ROW_NUMBER() OVER (PARTITION BY c.tenant_no, c.session_no, c.lane ORDER BY c.created_sequence) \
                    AS place FROM commands c WHERE c.is_open = 1 \
                  ), ready AS ( \
                    SELECT q.tenant_no, q.user_no, q.created_at AS since FROM queued q \
                    JOIN sessions s ON s.tenant_no = q.tenant_no AND s.session_no = q.session_no \
                    LEFT JOIN held h ON h.tenant_no = q.tenant_no AND h.user_no = q.user_no \
                    WHERE (q.lane = 0 OR q.place = 1) AND ( \
                      (q.status = 'running' AND h.worker_id IS NULL) \
                      OR (q.status = 'pending' AND q.available_ms <= $1 AND (h.worker_id IS NULL \
                        OR (h.worker_id = $2 AND (q.lane = 0 OR s.status <> 'running'))))) \
                    UNION ALL \
                    SELECT s.tenant_no, s.user_no, s.updated_at FROM sessions s \
                    LEFT JOIN held h ON h.tenant_no = s.tenant_no AND h.user_no = s.user_no \
                    LEFT JOIN session_leases l ON l.tenant_no = s.tenant_no AND l.session_no = s.session_no \
                    WHERE s.status = 'running' \
                    AND (h.worker_id IS NULL OR (h.worker_id = $2 AND l.token IS NULL)) \
                  ), scopes AS ( \
                    SELECT tenant_no, user_no, MIN(since) AS since FROM ready GROUP BY tenant_no, user_no \
                  ), turns AS ( \
                    SELECT tenant_no, user_no, since, \
                    ROW_NUMBER() OVER (PARTITION BY tenant_no ORDER BY since, user_no) AS turn FROM scopes \
                  ) SELECT t.tenant_id, u.user_id FROM turns r JOIN tenants t ON t.tenant_no = r.tenant_no \
                  JOIN users u ON u.tenant_no = r.tenant_no AND u.user_no = r.user_no \
                  ORDER BY r.turn, r.since, r.tenant_no LIMIT $3";
    let rows = connection
        .query(select)
        .bind(now.as_millisecond())
        .bind(worker_id)
        .bind(i64::from(limit) + 1)
        .fetch_all()
        .await?;
    let limit = limit as usize;
    let scopes = rows.iter().take(limit).map(|row| {
        Ok(Scope {
            tenant_id: row.text(0)?.into(),
            user_id: row.text(1)?.into(),
        })
    });
    Ok(RunnableScopes {
        scopes: scopes.collect::<Result<_, sqlx::Error>>()?,
        more: rows.len() > limit,
    })
}

pub(super) async fn sessions_with_work(
    connection: &mut Connection,
    scope: &Scope,
    now: Timestamp,
) -> Result<Vec<SessionWork>, sqlx::Error> {
    let select = "WITH place AS ( \
                    SELECT u.tenant_no, u.user_no FROM tenants t JOIN users u ON u.tenant_no = t.tenant_no \
                    WHERE t.tenant_id = $1 AND u.user_id = $2 \
                  ), held AS ( \
                    SELECT l.session_no FROM place p \
                    JOIN scope_leases h ON h.tenant_no = p.tenant_no AND h.user_no = p.user_no AND h.expires_ms > $3 \
                    JOIN session_leases l ON l.tenant_no = p.tenant_no AND l.user_no = p.user_no \
                  ), queued AS ( \
                    SELECT c.tenant_no, c.session_no, c.lane, c.status, c.available_ms, c.created_at, \
                    ROW_NUMBER() OVER (PARTITION BY c.session_no, c.lane ORDER BY c.created_sequence) AS place \
                    FROM place p JOIN commands c ON c.tenant_no = p.tenant_no AND c.user_no = p.user_no \
                    AND c.is_open = 1 \
                  ), work AS ( \
                    SELECT s.session_id, q.created_at AS since, 1 - q.lane AS control, q.lane AS prompt, CAST(0 AS BIGINT) AS unfinished \
                    FROM queued q JOIN sessions s ON s.tenant_no = q.tenant_no AND s.session_no = q.session_no \
                    LEFT JOIN held h ON h.session_no = q.session_no \
                    WHERE q.status = 'pending' AND q.available_ms <= $3 AND (q.lane = 0 \
                      OR (q.place = 1 AND (s.status <> 'running' OR h.session_no IS NULL))) \
                    UNION ALL \
                    SELECT s.session_id, s.updated_at, CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(1 AS BIGINT) \
                    FROM place p JOIN sessions s ON s.tenant_no = p.tenant_no AND s.user_no = p.user_no \
                    LEFT JOIN held h ON h.session_no = s.session_no \
                    WHERE s.status = 'running' AND h.session_no IS NULL \
                  ) SELECT session_id, MAX(control), MAX(prompt), MAX(unfinished), MIN(since) FROM work \
                  GROUP BY session_id ORDER BY MIN(since), session_id LIMIT $4";
    let rows = connection
        .query(select)
        .bind(scope.tenant_id.as_str())
        .bind(scope.user_id.as_str())
        .bind(now.as_millisecond())
        .bind(i64::from(EXECUTION_PAGE))
        .fetch_all()
        .await?;
    let work = rows.iter().map(|row| {
        Ok(SessionWork {
            session_id: row.text(0)?.into(),
            control: row.int(1)? > 0,
            prompt: row.int(2)? > 0,
            unfinished: row.int(3)? > 0,
        })
    });
    work.collect()
}
