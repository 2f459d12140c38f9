//! Rows and queries. Every function takes the connection it reads on, so that the writer can read inside its
//! transaction and readers from their pool.

use crate::compact::{pack_event_id, unpack_event_id, unpack_text, unpack_time};
use crate::dialect::{Connection, Dialect, Row, undecodable};
use futures::TryStreamExt;
use open_cowork_contracts::{
    EventId, EventType, JsonObject, RuntimeSessionId, Session, SessionEventRecord, SessionId,
    SessionStatus, TenantId, WorkspaceEventRecord,
};
use open_cowork_providers::store::append::{
    StoredEvent, default_event_id, sequence_of_default_id, workspace_event,
};
use open_cowork_providers::store::page::PageStart;
use open_cowork_providers::store::{
    EVENT_PAGE, EVENT_PAGE_BYTES, EventStats, LeaseFence, LeaseToken, Scope, SessionKey,
    SessionQuery, SessionRow, Snapshot, StoreError, WorkspaceCursor,
};
use open_cowork_providers::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// A session with the numbers that stand for it in keys.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) row: SessionRow,
    pub(crate) tenant_no: i64,
    pub(crate) session_no: i64,
    pub(crate) user_no: i64,
    /// Last workspace sequence of the owner.
    pub(crate) workspace_sequence: u64,
    /// Sequence of the last event that was pruned, 0 before the first.
    pub(crate) pruned: u64,
    /// Read by the log's writer only: the lease, live or not.
    pub(crate) lease: Option<Lease>,
}

/// Who may write with a fence.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    token: LeaseToken,
    expires_at: Timestamp,
}

impl Located {
    /// [`StoreError::StaleFence`] unless there is no fence or it is the current live lease (04 §2.3).
    pub(crate) fn check(&self, fence: Option<&LeaseFence>) -> Result<(), StoreError> {
        let Some(fence) = fence else { return Ok(()) };
        match &self.lease {
            Some(lease) if lease.token == fence.token && lease.expires_at > fence.now => Ok(()),
            _ => Err(StoreError::StaleFence),
        }
    }
}

macro_rules! select_sessions {
    (leased: $($tail:expr),*) => {
        select_sessions!(
            @ ", l.token, p.expires_ms ",
            "LEFT JOIN session_leases l ON l.tenant_no = s.tenant_no AND l.session_no = s.session_no ",
            "LEFT JOIN scope_leases p ON p.tenant_no = l.tenant_no AND p.user_no = l.user_no ",
            "AND p.token = u.lease_token ",
            $($tail),*
        )
    };
    (@ $columns:literal, $($tail:expr),*) => {
        concat!(
            "SELECT t.tenant_id, u.user_id, s.session_id, s.runtime_id, s.profile_name, s.status, s.title, ",
            "s.directory, s.created_at, s.updated_at, s.last_sequence, s.waiting, ",
            "s.tenant_no, s.session_no, s.user_no, u.workspace_sequence, s.pruned_sequence",
            $columns,
            "FROM sessions s JOIN tenants t ON t.tenant_no = s.tenant_no ",
            "JOIN users u ON u.tenant_no = s.tenant_no AND u.user_no = s.user_no ",
            $($tail),*
        )
    };
    ($($tail:expr),*) => {
        select_sessions!(@ " ", $($tail),*)
    };
}

pub(crate) async fn session(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<Located>, sqlx::Error> {
    let by_key = select_sessions!("WHERE t.tenant_id = $1 AND s.session_id = $2");
    let row = connection
        .query(by_key)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .fetch_optional()
        .await?;
    row.as_ref().map(located).transpose()
}

/// The rows of many sessions, in the order of the keys.
pub(crate) async fn sessions(
    connection: &mut Connection,
    keys: &[SessionKey],
) -> Result<Vec<Option<SessionRow>>, sqlx::Error> {
    let mut rows: HashMap<SessionKey, SessionRow> = HashMap::with_capacity(keys.len());
    match connection.dialect() {
        Dialect::Sqlite => {
            for key in keys {
                let found = session(connection, key).await?;
                rows.extend(found.map(|located| (key.clone(), located.row)));
            }
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let by_keys = select_sessions!(
                "WHERE (t.tenant_id, s.session_id) IN (SELECT * FROM UNNEST($1::TEXT[], $2::TEXT[]))"
            );
            let found = connection
                .query(by_keys)
                .bind_list(escaped(keys.iter().map(|key| key.tenant_id.as_str())))
                .bind_list(escaped(keys.iter().map(|key| key.session_id.as_str())))
                .fetch_all()
                .await?;
            for row in &found {
                let row = located(row)?.row;
                rows.insert(SessionKey::of(&row.session), row);
            }
        }
    }
    Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
}

#[cfg(feature = "postgres")]
fn escaped<'i>(ids: impl Iterator<Item = &'i str>) -> Vec<String> {
    ids.map(|id| crate::dialect::text::escape(id).into_owned())
        .collect()
}

/// The session with its lease.
pub(crate) async fn leased_session(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<Located>, sqlx::Error> {
    let by_key = select_sessions!(leased: "WHERE t.tenant_id = $1 AND s.session_id = $2");
    let row = connection
        .query(by_key)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .fetch_optional()
        .await?;
    row.as_ref().map(leased).transpose()
}

/// Sessions with their leases, by lists of tenants and ids, locked until the end of the transaction.
#[cfg(feature = "postgres")]
pub(crate) const LOCK_SESSIONS: &str = select_sessions!(
    leased: "WHERE (t.tenant_id, s.session_id) IN (SELECT * FROM UNNEST($1::TEXT[], $2::TEXT[])) ",
    "ORDER BY u.tenant_no, u.user_no, s.session_no FOR NO KEY UPDATE OF u, s"
);

pub(crate) async fn session_by_runtime(
    connection: &mut Connection,
    id: &RuntimeSessionId,
) -> Result<Option<SessionRow>, sqlx::Error> {
    // `<> ''` is what lets the partial index serve the query.
    let by_runtime = select_sessions!(
        "WHERE s.runtime_id = $1 AND s.runtime_id <> '' ",
        "ORDER BY s.updated_at DESC, t.tenant_id, s.session_id LIMIT 1"
    );
    let row = connection
        .query(by_runtime)
        .bind(id.as_str())
        .fetch_optional()
        .await?;
    Ok(row
        .as_ref()
        .map(located)
        .transpose()?
        .map(|located| located.row))
}

/// The rows of a page from `start` on, one more than its size where there are more.
///
/// The owner's numbers come first, as constants of the second statement: only then does the index give the
/// rows in order, and a page costs its rows, wherever it is.
pub(crate) async fn page(
    connection: &mut Connection,
    query: &SessionQuery,
    start: Option<&PageStart>,
) -> Result<Vec<SessionRow>, sqlx::Error> {
    const FILTER: &str = "SELECT s.session_id, s.runtime_id, s.profile_name, s.status, s.title, s.directory, \
                          s.created_at, s.updated_at, s.last_sequence, s.waiting FROM sessions s \
                          WHERE s.tenant_no = $1 AND s.user_no = $2 AND ($3 IS NULL OR s.status = $3) \
                          AND ($4 IS NULL OR s.profile_name = $4) AND ";
    // `<=` is what the index can start at.
    const AFTER: &str = " AND s.updated_at <= $7 AND (s.updated_at < $7 OR s.session_id > $8)";
    const ORDER: &str = " ORDER BY s.updated_at DESC, s.session_id LIMIT $6";
    let owner = "SELECT t.tenant_no, u.user_no FROM tenants t JOIN users u ON u.tenant_no = t.tenant_no \
                 WHERE t.tenant_id = $1 AND u.user_id = $2";
    let owner = connection
        .query(owner)
        .bind(query.scope.tenant_id.as_str())
        .bind(query.scope.user_id.as_str())
        .fetch_optional()
        .await?;
    let Some(owner) = owner else {
        return Ok(Vec::new());
    };
    let after = if start.is_some() { AFTER } else { "" };
    let sql = [FILTER, connection.dialect().contains(), after, ORDER].concat();
    let mut rows = connection
        // Constants of ours.
        .query(sqlx::AssertSqlSafe(sql))
        .bind(owner.int(0)?)
        .bind(owner.int(1)?)
        .bind(query.status.map(SessionStatus::as_str))
        .bind(query.profile_name.as_deref())
        .bind(query.needle())
        .bind(query.page_size() as i64 + 1);
    if let Some(start) = start {
        rows = rows
            .bind(start.updated_at.as_str())
            .bind(start.session_id.as_str());
    }
    let rows = rows.fetch_all().await?;
    rows.iter().map(|row| listed(row, &query.scope)).collect()
}

fn listed(row: &Row, scope: &Scope) -> Result<SessionRow, sqlx::Error> {
    let status = row.stored(3)?;
    let session = Session {
        tenant_id: scope.tenant_id.clone(),
        user_id: scope.user_id.clone(),
        session_id: row.text(0)?.into(),
        opencode_session_id: row.text(1)?.into(),
        profile_name: row.text(2)?,
        status: SessionStatus::parse(status).ok_or_else(|| undecodable(3))?,
        title: row.optional_text(4)?,
        created_at: row.text(6)?,
        updated_at: row.text(7)?,
        project_source: None,
    };
    Ok(SessionRow {
        session,
        directory: row.optional_text(5)?,
        last_sequence: row.unsigned(8)?,
        waiting: u32::try_from(row.unsigned(9)?).map_err(|_| undecodable(9))?,
    })
}

pub(crate) fn located(row: &Row) -> Result<Located, sqlx::Error> {
    let status = row.stored(5)?;
    let session = Session {
        tenant_id: row.text(0)?.into(),
        user_id: row.text(1)?.into(),
        session_id: row.text(2)?.into(),
        opencode_session_id: row.text(3)?.into(),
        profile_name: row.text(4)?,
        status: SessionStatus::parse(status).ok_or_else(|| undecodable(5))?,
        title: row.optional_text(6)?,
        created_at: row.text(8)?,
        updated_at: row.text(9)?,
        project_source: None,
    };
    let row_of = SessionRow {
        session,
        directory: row.optional_text(7)?,
        last_sequence: row.unsigned(10)?,
        waiting: u32::try_from(row.unsigned(11)?).map_err(|_| undecodable(11))?,
    };
    Ok(Located {
        row: row_of,
        tenant_no: row.int(12)?,
        session_no: row.int(13)?,
        user_no: row.int(14)?,
        workspace_sequence: row.unsigned(15)?,
        pruned: row.unsigned(16)?,
        lease: None,
    })
}

/// A row of a `leased:` selection.
pub(crate) fn leased(row: &Row) -> Result<Located, sqlx::Error> {
    let lease = match (row.optional_text(17)?, row.optional_int(18)?) {
        (Some(token), Some(expires_ms)) => Some(Lease {
            token: LeaseToken::new(token),
            expires_at: Timestamp::from_millisecond(expires_ms).map_err(|_| undecodable(18))?,
        }),
        _ => None,
    };
    Ok(Located {
        lease,
        ..located(row)?
    })
}

/// A sequence as a parameter: those beyond what a database can count are after every event.
fn parameter(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// Columns of an event, then `$more`, from `$tables` that end with `events e`, joined with the event that a
/// delta is like.
macro_rules! select_events {
    ($more:literal, $tables:expr, $($tail:expr),*) => {
        concat!(
            "SELECT e.sequence, e.workspace_sequence, e.event_id, COALESCE(e.kind, b.kind), e.payload, ",
            "e.created_ms, e.created_text, b.payload",
            $more,
            " FROM ",
            $tables,
            " LEFT JOIN events b ON b.tenant_no = e.tenant_no AND b.session_no = e.session_no ",
            "AND b.sequence = e.like_sequence ",
            $($tail),*
        )
    };
}

pub(crate) async fn events(
    connection: &mut Connection,
    key: &SessionKey,
    after: u64,
    limit: u32,
) -> Result<Vec<Arc<SessionEventRecord>>, sqlx::Error> {
    let select = select_events!(
        "",
        concat!(
            "tenants t JOIN sessions s ON s.tenant_no = t.tenant_no ",
            "JOIN events e ON e.tenant_no = s.tenant_no AND e.session_no = s.session_no"
        ),
        "WHERE t.tenant_id = $1 AND s.session_id = $2 AND e.sequence > $3 AND e.sequence > s.pruned_sequence ",
        "ORDER BY e.sequence LIMIT $4"
    );
    let mut rows = connection
        .query(select)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .bind(parameter(after))
        .bind(i64::from(limit.min(EVENT_PAGE)))
        .fetch();
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.stored(4)?.len();
        events.push(Arc::new(record(&row, &key.tenant_id, &key.session_id)?));
        if bytes > EVENT_PAGE_BYTES {
            break;
        }
    }
    Ok(events)
}

pub(crate) async fn workspace_events(
    connection: &mut Connection,
    scope: &Scope,
    after: u64,
    limit: u32,
) -> Result<Vec<Arc<WorkspaceEventRecord>>, sqlx::Error> {
    let select = select_events!(
        ", s.session_id",
        concat!(
            "tenants t JOIN users u ON u.tenant_no = t.tenant_no ",
            "JOIN events e ON e.tenant_no = u.tenant_no AND e.user_no = u.user_no ",
            "JOIN sessions s ON s.tenant_no = e.tenant_no AND s.session_no = e.session_no"
        ),
        "WHERE t.tenant_id = $1 AND u.user_id = $2 AND e.workspace_sequence > $3 ",
        "AND e.workspace_sequence > u.pruned_workspace ",
        "ORDER BY e.workspace_sequence LIMIT $4"
    );
    let mut rows = connection
        .query(select)
        .bind(scope.tenant_id.as_str())
        .bind(scope.user_id.as_str())
        .bind(parameter(after))
        .bind(i64::from(limit.min(EVENT_PAGE)))
        .fetch();
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.stored(4)?.len();
        let session = Session {
            tenant_id: scope.tenant_id.clone(),
            user_id: scope.user_id.clone(),
            session_id: row.text(8)?.into(),
            ..Session::default()
        };
        let record = record(&row, &session.tenant_id, &session.session_id)?;
        events.push(Arc::new(workspace_event(
            &session,
            &record,
            row.unsigned(1)?,
        )));
        if bytes > EVENT_PAGE_BYTES {
            break;
        }
    }
    Ok(events)
}

/// What is stored under these ids in a session. Default ids are looked up by their sequence.
pub(crate) async fn events_by_id(
    connection: &mut Connection,
    located: &Located,
    ids: &[&EventId],
) -> Result<HashMap<EventId, StoredEvent>, sqlx::Error> {
    let session = &located.row.session;
    let mut sequences = Vec::new();
    let mut packed = Vec::new();
    for id in ids {
        // An id of that form is stored as it is when the event had another sequence.
        packed.push(pack_event_id(&session.session_id, id));
        let sequence = sequence_of_default_id(&session.session_id, id);
        sequences.extend(sequence.filter(|sequence| *sequence <= located.row.last_sequence));
    }
    let sequences: Vec<i64> = sequences.into_iter().map(parameter).collect();
    let rows = match connection.dialect() {
        Dialect::Sqlite => one_by_one(connection, located, &sequences, packed).await?,
        #[cfg(feature = "postgres")]
        Dialect::Postgres => all_at_once(connection, located, sequences, packed).await?,
    };
    let mut found = HashMap::new();
    for row in &rows {
        let stored = stored(row, located)?;
        if let Some(id) = &stored.record.event_id {
            found.insert(id.clone(), stored);
        }
    }
    Ok(found)
}

macro_rules! select_by_sequence {
    ($test:literal) => {
        select_events!(
            "",
            "events e",
            concat!(
                "WHERE e.tenant_no = $1 AND e.session_no = $2 AND e.sequence ",
                $test,
                " AND e.event_id IS NULL"
            )
        )
    };
}

macro_rules! select_by_id {
    ($test:literal) => {
        select_events!(
            "",
            "events e",
            // `IS NOT NULL` is what lets the partial index serve the query.
            concat!(
                "WHERE e.tenant_no = $1 AND e.session_no = $2 AND e.event_id ",
                $test,
                " AND e.event_id IS NOT NULL"
            )
        )
    };
}

/// In the same process a statement is a call.
async fn one_by_one(
    connection: &mut Connection,
    located: &Located,
    sequences: &[i64],
    packed: Vec<Vec<u8>>,
) -> Result<Vec<Row>, sqlx::Error> {
    let mut rows = Vec::new();
    for sequence in sequences {
        let by_sequence = connection
            .query(select_by_sequence!("= $3"))
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(*sequence);
        rows.extend(by_sequence.fetch_optional().await?);
    }
    for id in packed {
        let by_id = connection
            .query(select_by_id!("= $3"))
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(id);
        rows.extend(by_id.fetch_optional().await?);
    }
    Ok(rows)
}

/// To a server a statement is a round trip.
#[cfg(feature = "postgres")]
async fn all_at_once(
    connection: &mut Connection,
    located: &Located,
    sequences: Vec<i64>,
    packed: Vec<Vec<u8>>,
) -> Result<Vec<Row>, sqlx::Error> {
    let mut rows = Vec::new();
    if !sequences.is_empty() {
        let by_sequence = connection
            .query(select_by_sequence!("= ANY($3)"))
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind_list(sequences);
        rows = by_sequence.fetch_all().await?;
    }
    if !packed.is_empty() {
        let by_id = connection
            .query(select_by_id!("= ANY($3)"))
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind_list(packed);
        rows.extend(by_id.fetch_all().await?);
    }
    Ok(rows)
}

fn stored(row: &Row, located: &Located) -> Result<StoredEvent, sqlx::Error> {
    let session = &located.row.session;
    let record = Arc::new(record(row, &session.tenant_id, &session.session_id)?);
    Ok(StoredEvent {
        pruned: record.sequence <= located.pruned,
        record,
        workspace_sequence: row.unsigned(1)?,
    })
}

fn record(
    row: &Row,
    tenant: &TenantId,
    session: &SessionId,
) -> Result<SessionEventRecord, sqlx::Error> {
    let sequence = row.unsigned(0)?;
    let event_id = match row.optional_bytes(2)? {
        Some(packed) => unpack_event_id(session, packed).ok_or_else(|| undecodable(2))?,
        None => default_event_id(session, sequence),
    };
    let payload = row.stored(4)?;
    let payload = match row.optional_stored(7)? {
        Some(template) => unpack_text(template, payload),
        None => serde_json::from_str(payload).ok(),
    };
    let payload = payload.ok_or_else(|| undecodable(4))?;
    let created_at = match row.optional_int(5)? {
        Some(millisecond) => unpack_time(millisecond).ok_or_else(|| undecodable(5))?,
        None => row.text(6)?,
    };
    Ok(SessionEventRecord {
        tenant_id: Some(tenant.clone()),
        session_id: Some(session.clone()),
        event_id: Some(event_id),
        sequence,
        kind: EventType::parse(row.stored(3)?),
        payload,
        created_at,
        extra: JsonObject::new(),
    })
}

pub(crate) async fn event_stats(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<EventStats, sqlx::Error> {
    let select = "SELECT COUNT(e.sequence), MIN(e.sequence), s.last_sequence FROM tenants t \
                  JOIN sessions s ON s.tenant_no = t.tenant_no \
                  LEFT JOIN events e ON e.tenant_no = s.tenant_no AND e.session_no = s.session_no \
                  AND e.sequence > s.pruned_sequence \
                  WHERE t.tenant_id = $1 AND s.session_id = $2 GROUP BY s.last_sequence";
    let row = connection
        .query(select)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Ok(EventStats::default());
    };
    let earliest = row.optional_int(1)?;
    Ok(EventStats {
        count: row.unsigned(0)?,
        earliest_sequence: earliest.and_then(|sequence| u64::try_from(sequence).ok()),
        latest_sequence: row.unsigned(2)?,
    })
}

pub(crate) async fn workspace_cursor(
    connection: &mut Connection,
    scope: &Scope,
) -> Result<WorkspaceCursor, sqlx::Error> {
    let select = "SELECT u.workspace_sequence, u.pruned_workspace \
                  FROM tenants t JOIN users u ON u.tenant_no = t.tenant_no \
                  WHERE t.tenant_id = $1 AND u.user_id = $2";
    let row = connection
        .query(select)
        .bind(scope.tenant_id.as_str())
        .bind(scope.user_id.as_str())
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Ok(WorkspaceCursor::default());
    };
    let (latest_sequence, pruned) = (row.unsigned(0)?, row.unsigned(1)?);
    // Dense from there on: whoever prunes a thread's events moves the beginning behind them.
    Ok(WorkspaceCursor {
        earliest_sequence: (latest_sequence > pruned).then_some(pruned + 1),
        latest_sequence,
    })
}

/// Last workspace sequences of many users, in their order.
pub(crate) async fn workspace_sequences(
    connection: &mut Connection,
    scopes: &[Scope],
) -> Result<Vec<u64>, sqlx::Error> {
    let mut sequences: HashMap<(String, String), u64> = HashMap::with_capacity(scopes.len());
    match connection.dialect() {
        Dialect::Sqlite => {
            for scope in scopes {
                let cursor = workspace_cursor(connection, scope).await?;
                sequences.insert(place_of(scope), cursor.latest_sequence);
            }
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let select = "SELECT t.tenant_id, u.user_id, u.workspace_sequence FROM tenants t \
                          JOIN users u ON u.tenant_no = t.tenant_no WHERE (t.tenant_id, u.user_id) IN \
                          (SELECT * FROM UNNEST($1::TEXT[], $2::TEXT[]))";
            let found = connection
                .query(select)
                .bind_list(escaped(scopes.iter().map(|scope| scope.tenant_id.as_str())))
                .bind_list(escaped(scopes.iter().map(|scope| scope.user_id.as_str())))
                .fetch_all()
                .await?;
            for row in &found {
                sequences.insert((row.text(0)?, row.text(1)?), row.unsigned(2)?);
            }
        }
    }
    let sequence = |scope| sequences.get(&place_of(scope)).copied();
    Ok(scopes
        .iter()
        .map(|scope| sequence(scope).unwrap_or(0))
        .collect())
}

fn place_of(scope: &Scope) -> (String, String) {
    (
        scope.tenant_id.as_str().to_owned(),
        scope.user_id.as_str().to_owned(),
    )
}

macro_rules! select_view {
    ($table:literal) => {
        concat!(
            "SELECT p.sequence, p.projector_version, p.view_json, p.updated_at FROM tenants t ",
            "JOIN sessions s ON s.tenant_no = t.tenant_no JOIN ",
            $table,
            " p ON p.tenant_no = s.tenant_no AND p.session_no = s.session_no ",
            "WHERE t.tenant_id = $1 AND s.session_id = $2"
        )
    };
}

pub(crate) async fn snapshot(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<Snapshot>, sqlx::Error> {
    view(connection, select_view!("snapshots"), key).await
}

/// The view that stands for what was pruned.
pub(crate) async fn base(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<Snapshot>, sqlx::Error> {
    view(connection, select_view!("session_bases"), key).await
}

async fn view(
    connection: &mut Connection,
    select: &'static str,
    key: &SessionKey,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let found = connection
        .query(select)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .fetch_optional()
        .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(Snapshot {
        sequence: row.unsigned(0)?,
        projector_version: u32::try_from(row.unsigned(1)?).map_err(|_| undecodable(1))?,
        view: row.text(2)?,
        updated_at: row.text(3)?,
    }))
}
