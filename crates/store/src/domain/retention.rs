//! Pruning logs and workspace streams (04 §2.11).
//!
//! The rows of pruned events stay as far as something needs them: their id, so that a repetition is told from a new
//! event by the same index as ever, and what later deltas are like. Both without what was said. All readers begin
//! after `sessions.pruned_sequence` and `users.pruned_workspace`, so nobody sees such a row as an event.
//!
//! An append locks the rows of the user and of the session, and so does this: the log's writer learns with the
//! session's row which of the events it knows are gone.

use super::threads;
use crate::compact::{MINTED, without_text};
#[cfg(feature = "postgres")]
use crate::dialect::locks::{self, Wanted};
use crate::dialect::{Connection, Dialect, Row};
use crate::read::{self, Located};
use crate::store::{Database, SqlStore};
use crate::transaction::{read, transact};
use async_trait::async_trait;
use open_cowork_contracts::SessionStatus;
use open_cowork_providers::store::retention::is_old;
use open_cowork_providers::store::{
    OldSessions, PruneStep, RetentionStore, SessionKey, Snapshot, StoreError,
};
use open_cowork_providers::time::Timestamp;
use std::collections::BTreeSet;

/// Users whose streams are looked at in one go.
const USERS: i64 = 100;

#[async_trait]
impl<D: Database> RetentionStore for SqlStore<D> {
    async fn base(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        read!(self, |connection| {
            Ok(read::base(connection, key).await?)
        })
    }

    async fn old_sessions(
        &self,
        before: Timestamp,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<OldSessions, StoreError> {
        let from = cursor.map_or(Ok((0, 0)), place_of)?;
        read!(self, |connection| {
            Ok(walk(connection, before, from, limit.max(1)).await?)
        })
    }

    async fn plan_prune(
        &self,
        key: &SessionKey,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<PruneStep>, StoreError> {
        let found = read!(self, |connection| {
            let located = read::session(connection, key).await?;
            let Some(located) = located.filter(may_be_pruned) else {
                return Ok(None);
            };
            let old = old_events(connection, &located, before, limit).await?;
            let indexed = threads::indexed(connection, &located).await?;
            Ok(Some((located, old, indexed)))
        })?;
        let Some((located, old, mut indexed)) = found.filter(|(_, old, _)| *old > 0) else {
            return Ok(None);
        };
        let step = PruneStep {
            after: located.pruned,
            through: located.pruned + old,
        };
        if indexed < step.through {
            indexed = transact!(self, |connection| {
                threads::index_now(connection, &located).await?;
                Ok(threads::indexed(connection, &located).await?)
            })?;
        }
        let through = step.through.min(indexed);
        Ok((through > step.after).then_some(PruneStep { through, ..step }))
    }

    async fn prune_events(
        &self,
        key: &SessionKey,
        step: PruneStep,
        base: Snapshot,
    ) -> Result<u64, StoreError> {
        step.check(&base)?;
        // A long log takes a while to look through, so that happens before its rows are locked; events never change,
        // and those that come meanwhile are looked at under the lock.
        let (seen, known) = read!(self, |connection| {
            let located = read::session(connection, key).await?;
            let located = located.ok_or_else(|| unknown(key))?;
            let seen = located.row.last_sequence;
            let templates = templates_of(connection, &located, step, step.through).await?;
            Ok((seen, templates))
        })?;
        transact!(self, |connection| {
            let located = locked(connection, key).await?;
            let located = located.ok_or_else(|| unknown(key))?;
            let is_next = located.pruned == step.after && step.through <= located.row.last_sequence;
            if !is_next
                || !may_be_pruned(&located)
                || threads::indexed(connection, &located).await? < step.through
            {
                return Ok(0);
            }
            let mut templates = known.clone();
            templates.extend(templates_of(connection, &located, step, seen).await?);
            begin_workspace(connection, &located, step).await?;
            remove(connection, &located, step, &templates).await?;
            write_base(connection, &located, &base).await?;
            Ok(step.events())
        })
    }

    async fn prune_workspaces(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let streams = read!(self, |connection| {
            Ok(old_streams(connection, before, limit).await?)
        })?;
        if streams.is_empty() {
            return Ok(0);
        }
        transact!(self, |connection| {
            let mut moved = 0;
            for stream in &streams {
                moved += stream.begin_later(connection).await?;
            }
            Ok(moved)
        })
    }
}

fn unknown(key: &SessionKey) -> StoreError {
    StoreError::NotFound(key.session_id.to_string())
}

fn may_be_pruned(located: &Located) -> bool {
    located.row.session.status != SessionStatus::Running
}

/// `<tenant>.<session>`, the numbers of the last session of a page.
fn place_of(cursor: &str) -> Result<(i64, i64), StoreError> {
    let numbers = cursor
        .split_once('.')
        .and_then(|(tenant, session)| Some((tenant.parse().ok()?, session.parse().ok()?)));
    numbers.ok_or(StoreError::InvalidCursor)
}

async fn walk(
    connection: &mut Connection,
    before: Timestamp,
    from: (i64, i64),
    limit: u32,
) -> Result<OldSessions, sqlx::Error> {
    // One look into the index of events per session; a walk needs no index of its own.
    let select = "SELECT e.created_ms, e.created_text, x.tenant_no, x.session_no, t.tenant_id, x.session_id, e.sequence \
                  FROM (SELECT s.tenant_no, s.session_no, s.session_id, s.status, s.last_sequence, s.pruned_sequence \
                  FROM sessions s WHERE (s.tenant_no, s.session_no) > ($1, $2) \
                  ORDER BY s.tenant_no, s.session_no LIMIT $3) x \
                  JOIN tenants t ON t.tenant_no = x.tenant_no \
                  LEFT JOIN events e ON e.tenant_no = x.tenant_no AND e.session_no = x.session_no \
                  AND e.sequence = x.pruned_sequence + 1 AND x.status <> 'running' \
                  ORDER BY x.tenant_no, x.session_no";
    let rows = connection
        .query(select)
        .bind(from.0)
        .bind(from.1)
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    let last = rows
        .last()
        .filter(|_| rows.len() as u64 == u64::from(limit));
    let next = last
        .map(|row| Ok::<_, sqlx::Error>(format!("{}.{}", row.int(2)?, row.int(3)?)))
        .transpose()?;
    let mut keys = Vec::new();
    for row in &rows {
        if row.optional_int(6)?.is_some() && is_row_old(row, before)? {
            keys.push(SessionKey::new(row.text(4)?, row.text(5)?));
        }
    }
    Ok(OldSessions { keys, next })
}

/// Events at the beginning of a log that are old.
async fn old_events(
    connection: &mut Connection,
    located: &Located,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let select = "SELECT e.created_ms, e.created_text FROM events e WHERE e.tenant_no = $1 AND e.session_no = $2 \
                  AND e.sequence > $3 ORDER BY e.sequence LIMIT $4";
    let rows = connection
        .query(select)
        .bind(located.tenant_no)
        .bind(located.session_no)
        .bind(located.pruned as i64)
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    leading_old(&rows, before)
}

/// How many rows of `created_ms, created_text` are old before the first that isn't.
fn leading_old(rows: &[Row], before: Timestamp) -> Result<u64, sqlx::Error> {
    let mut old = 0;
    for row in rows {
        if !is_row_old(row, before)? {
            break;
        }
        old += 1;
    }
    Ok(old)
}

/// Whether a row that begins with `created_ms, created_text` is old.
fn is_row_old(row: &Row, before: Timestamp) -> Result<bool, sqlx::Error> {
    Ok(match row.optional_int(0)? {
        Some(created_ms) => created_ms < before.as_millisecond(),
        None => is_old(&row.optional_text(1)?.unwrap_or_default(), before),
    })
}

/// The session as it is, its row and its owner's locked until the end of the transaction.
async fn locked(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<Located>, sqlx::Error> {
    match connection.dialect() {
        Dialect::Sqlite => read::session(connection, key).await,
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let mut wanted = Wanted::default();
            wanted.session(key);
            Ok(locks::take(connection, &wanted).await?.pop())
        }
    }
}

/// Events of the step that those after `seen` are like.
async fn templates_of(
    connection: &mut Connection,
    located: &Located,
    step: PruneStep,
    seen: u64,
) -> Result<BTreeSet<i64>, sqlx::Error> {
    let select = "SELECT DISTINCT e.like_sequence FROM events e WHERE e.tenant_no = $1 AND e.session_no = $2 \
                  AND e.sequence > $3 AND e.like_sequence > $4 AND e.like_sequence <= $5";
    let rows = connection
        .query(select)
        .bind(located.tenant_no)
        .bind(located.session_no)
        .bind(seen as i64)
        .bind(step.after as i64)
        .bind(step.through as i64)
        .fetch_all()
        .await?;
    rows.iter().map(|row| row.int(0)).collect()
}

/// The owner's stream begins after the last event of the step.
async fn begin_workspace(
    connection: &mut Connection,
    located: &Located,
    step: PruneStep,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE users SET pruned_workspace = p.last FROM ( \
                  SELECT MAX(e.workspace_sequence) AS last FROM events e WHERE e.tenant_no = $1 AND e.session_no = $2 \
                  AND e.sequence > $3 AND e.sequence <= $4) p \
                  WHERE users.tenant_no = $1 AND users.user_no = $5 AND users.pruned_workspace < p.last";
    let query = connection
        .query(update)
        .bind(located.tenant_no)
        .bind(located.session_no)
        .bind(step.after as i64)
        .bind(step.through as i64);
    query.bind(located.user_no).execute().await.map(drop)
}

/// Removes what the events of the step say.
async fn remove(
    connection: &mut Connection,
    located: &Located,
    step: PruneStep,
    templates: &BTreeSet<i64>,
) -> Result<(), sqlx::Error> {
    for template in templates {
        empty_template(connection, located, *template).await?;
    }
    // First all that stay: their type may be told by one that goes.
    let strip = "UPDATE events SET payload = '{}', like_sequence = NULL, kind = COALESCE(kind, ( \
                 SELECT b.kind FROM events b WHERE b.tenant_no = events.tenant_no \
                 AND b.session_no = events.session_no AND b.sequence = events.like_sequence)) \
                 WHERE tenant_no = $1 AND session_no = $2 AND sequence > $3 AND sequence < $4 \
                 AND (event_id IS NULL OR substr(event_id, 1, 1) <> $5)";
    let delete = "DELETE FROM events WHERE tenant_no = $1 AND session_no = $2 AND sequence > $3 AND sequence < $4 \
                  AND event_id IS NOT NULL AND substr(event_id, 1, 1) = $5";
    for sql in [strip, delete] {
        let mut after = step.after as i64;
        let ends = templates.iter().copied();
        for end in ends.chain(std::iter::once(step.through as i64 + 1)) {
            connection
                .query(sql)
                .bind(located.tenant_no)
                .bind(located.session_no)
                .bind(after)
                .bind(end)
                .bind(vec![MINTED])
                .execute()
                .await?;
            after = end;
        }
    }
    let begin = "UPDATE sessions SET pruned_sequence = $3 WHERE tenant_no = $1 AND session_no = $2";
    let query = connection.query(begin).bind(located.tenant_no);
    let query = query.bind(located.session_no).bind(step.through as i64);
    query.execute().await.map(drop)
}

/// Leaves of an event what others are like.
async fn empty_template(
    connection: &mut Connection,
    located: &Located,
    sequence: i64,
) -> Result<(), sqlx::Error> {
    let select = "SELECT e.payload FROM events e WHERE e.tenant_no = $1 AND e.session_no = $2 AND e.sequence = $3";
    let query = connection.query(select).bind(located.tenant_no);
    let row = query
        .bind(located.session_no)
        .bind(sequence)
        .fetch_one()
        .await?;
    let emptied = without_text(row.stored(0)?).ok_or_else(|| crate::dialect::undecodable(0))?;
    let update =
        "UPDATE events SET payload = $4 WHERE tenant_no = $1 AND session_no = $2 AND sequence = $3";
    let query = connection.query(update).bind(located.tenant_no);
    let query = query.bind(located.session_no).bind(sequence);
    query.bind(emptied).execute().await.map(drop)
}

async fn write_base(
    connection: &mut Connection,
    located: &Located,
    base: &Snapshot,
) -> Result<(), sqlx::Error> {
    let upsert = "INSERT INTO session_bases (tenant_no, session_no, sequence, projector_version, view_json, updated_at) \
                  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_no, session_no) DO UPDATE SET \
                  sequence = excluded.sequence, projector_version = excluded.projector_version, \
                  view_json = excluded.view_json, updated_at = excluded.updated_at";
    connection
        .query(upsert)
        .bind(located.tenant_no)
        .bind(located.session_no)
        .bind(base.sequence as i64)
        .bind(i64::from(base.projector_version))
        .bind(base.view.as_str())
        .bind(base.updated_at.as_str())
        .execute()
        .await
        .map(drop)
}

/// A user's stream that is to begin later.
struct Stream {
    tenant_no: i64,
    user_no: i64,
    after: i64,
    old: i64,
}

impl Stream {
    /// The number of events that the stream lost; 0 when it begins elsewhere by now.
    async fn begin_later(&self, connection: &mut Connection) -> Result<u64, sqlx::Error> {
        let update = "UPDATE users SET pruned_workspace = $4 WHERE tenant_no = $1 AND user_no = $2 \
                      AND pruned_workspace = $3";
        let query = connection.query(update).bind(self.tenant_no);
        let query = query.bind(self.user_no).bind(self.after);
        let moved = query.bind(self.after + self.old).execute().await?;
        Ok(if moved > 0 {
            self.old.unsigned_abs()
        } else {
            0
        })
    }
}

/// Streams with old events at their beginning, at most `limit` events of all together; in the order in which the
/// log's writer locks users.
async fn old_streams(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Stream>, sqlx::Error> {
    let select = "SELECT u.tenant_no, u.user_no, u.pruned_workspace FROM users u \
                  WHERE u.workspace_sequence > u.pruned_workspace AND EXISTS ( \
                  SELECT 1 FROM events e WHERE e.tenant_no = u.tenant_no AND e.user_no = u.user_no \
                  AND e.workspace_sequence = u.pruned_workspace + 1 AND (e.created_ms IS NULL OR e.created_ms < $1)) \
                  ORDER BY u.tenant_no, u.user_no LIMIT $2";
    let users = connection
        .query(select)
        .bind(before.as_millisecond())
        .bind(USERS)
        .fetch_all()
        .await?;
    let mut left = i64::from(limit);
    let mut streams = Vec::new();
    for user in &users {
        let (tenant_no, user_no, after) = (user.int(0)?, user.int(1)?, user.int(2)?);
        let select = "SELECT e.created_ms, e.created_text FROM events e WHERE e.tenant_no = $1 AND e.user_no = $2 \
                      AND e.workspace_sequence > $3 ORDER BY e.workspace_sequence LIMIT $4";
        let rows = connection
            .query(select)
            .bind(tenant_no)
            .bind(user_no)
            .bind(after)
            .bind(left)
            .fetch_all()
            .await?;
        let old = leading_old(&rows, before)? as i64;
        if old > 0 {
            streams.push(Stream {
                tenant_no,
                user_no,
                after,
                old,
            });
        }
        left -= old;
        if left <= 0 {
            break;
        }
    }
    Ok(streams)
}
