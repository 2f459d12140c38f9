//! Rows and queries. Every function takes the connection it reads on, so that the writer can read inside its
//! transaction and readers from their pool.

use crate::compact::{Templates, pack_event_id, unpack_event_id, unpack_text, unpack_time};
use crate::dialect;
use crate::failure::Failure;
use futures::TryStreamExt;
use open_cowork_contracts::{
    EventId, EventType, JsonObject, RuntimeSessionId, Session, SessionEventRecord, SessionId,
    SessionStatus, TenantId, WorkspaceEventRecord,
};
use open_cowork_providers::store::append::{
    StoredEvent, default_event_id, sequence_of_default_id, workspace_event,
};
use open_cowork_providers::store::{
    EVENT_PAGE, EVENT_PAGE_BYTES, EventStats, Scope, SessionKey, SessionPage, SessionQuery,
    SessionRow, Snapshot, StoreError, WorkspaceCursor,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
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
    /// What the writer has stored in full lately; empty after a read.
    pub(crate) templates: Templates,
}

macro_rules! select_sessions {
    ($($tail:expr),*) => {
        concat!(
            "SELECT t.tenant_id, u.user_id, s.session_id, s.runtime_id, s.profile_name, s.status, s.title, ",
            "s.directory, s.created_at, s.updated_at, s.last_sequence, s.waiting, ",
            "s.tenant_no, s.session_no, s.user_no, u.workspace_sequence ",
            "FROM sessions s JOIN tenants t ON t.tenant_no = s.tenant_no ",
            "JOIN users u ON u.tenant_no = s.tenant_no AND u.user_no = s.user_no ",
            $($tail),*
        )
    };
}

pub(crate) async fn session(
    connection: &mut SqliteConnection,
    key: &SessionKey,
) -> Result<Option<Located>, sqlx::Error> {
    sqlx::query(select_sessions!(
        "WHERE t.tenant_id = $1 AND s.session_id = $2"
    ))
    .bind(key.tenant_id.as_str())
    .bind(key.session_id.as_str())
    .try_map(|row| located(&row))
    .fetch_optional(connection)
    .await
}

pub(crate) async fn session_by_runtime(
    connection: &mut SqliteConnection,
    id: &RuntimeSessionId,
) -> Result<Option<SessionRow>, sqlx::Error> {
    // `<> ''` is what lets the partial index serve the query.
    let by_runtime = select_sessions!(
        "WHERE s.runtime_id = $1 AND s.runtime_id <> '' ORDER BY s.updated_at DESC, s.session_id DESC LIMIT 1"
    );
    let found = sqlx::query(by_runtime)
        .bind(id.as_str())
        .try_map(|row| located(&row))
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|located| located.row))
}

pub(crate) async fn page(
    connection: &mut SqliteConnection,
    query: &SessionQuery,
    failure: &Failure,
) -> Result<SessionPage, StoreError> {
    const FILTER: &str = select_sessions!(
        "WHERE t.tenant_id = $1 AND u.user_id = $2 AND ($3 IS NULL OR s.status = $3) ",
        "AND ($4 IS NULL OR s.profile_name = $4) AND "
    );
    const ORDER: &str = " AND ($6 IS NULL OR s.updated_at < $6 OR (s.updated_at = $6 AND s.session_id > $7)) \
                         ORDER BY s.updated_at DESC, s.session_id LIMIT $8";
    let start = query.start()?;
    let sql = [FILTER, dialect::CONTAINS, ORDER].concat();
    // Three constants of ours.
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(query.scope.tenant_id.as_str())
        .bind(query.scope.user_id.as_str())
        .bind(query.status.map(SessionStatus::as_str))
        .bind(query.profile_name.as_deref())
        .bind(query.needle())
        .bind(start.as_ref().map(|start| start.updated_at.as_str()))
        .bind(start.as_ref().map(|start| start.session_id.as_str()))
        .bind(query.page_size() as i64 + 1)
        .try_map(|row| located(&row))
        .fetch_all(connection)
        .await
        .map_err(|error| failure.of(&error))?;
    Ok(query.page(rows.into_iter().map(|located| located.row).collect()))
}

fn located(row: &SqliteRow) -> Result<Located, sqlx::Error> {
    let status: &str = row.try_get(5)?;
    let session = Session {
        tenant_id: row.try_get::<String, _>(0)?.into(),
        user_id: row.try_get::<String, _>(1)?.into(),
        session_id: row.try_get::<String, _>(2)?.into(),
        opencode_session_id: row.try_get::<String, _>(3)?.into(),
        profile_name: row.try_get(4)?,
        status: SessionStatus::parse(status).ok_or_else(|| undecodable(5))?,
        title: row.try_get(6)?,
        created_at: row.try_get(8)?,
        updated_at: row.try_get(9)?,
        project_source: None,
    };
    let row_of = SessionRow {
        session,
        directory: row.try_get(7)?,
        last_sequence: unsigned(row, 10)?,
        waiting: u32::try_from(unsigned(row, 11)?).map_err(|_| undecodable(11))?,
    };
    Ok(Located {
        row: row_of,
        tenant_no: row.try_get(12)?,
        session_no: row.try_get(13)?,
        user_no: row.try_get(14)?,
        workspace_sequence: unsigned(row, 15)?,
        templates: Templates::default(),
    })
}

fn unsigned(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| undecodable(column))
}

/// A value that this program never writes: [`Failure::of`] calls the file corrupt.
fn undecodable(column: usize) -> sqlx::Error {
    sqlx::Error::Decode(
        format!("column {column} holds a value that this program never writes").into(),
    )
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
    connection: &mut SqliteConnection,
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
        "WHERE t.tenant_id = $1 AND s.session_id = $2 AND e.sequence > $3 ORDER BY e.sequence LIMIT $4"
    );
    let mut rows = sqlx::query(select)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .bind(parameter(after))
        .bind(i64::from(limit.min(EVENT_PAGE)))
        .fetch(connection);
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.try_get::<&str, _>(4)?.len();
        events.push(Arc::new(record(&row, &key.tenant_id, &key.session_id)?));
        if bytes > EVENT_PAGE_BYTES {
            break;
        }
    }
    Ok(events)
}

pub(crate) async fn workspace_events(
    connection: &mut SqliteConnection,
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
        "ORDER BY e.workspace_sequence LIMIT $4"
    );
    let mut rows = sqlx::query(select)
        .bind(scope.tenant_id.as_str())
        .bind(scope.user_id.as_str())
        .bind(parameter(after))
        .bind(i64::from(limit.min(EVENT_PAGE)))
        .fetch(connection);
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.try_get::<&str, _>(4)?.len();
        let session = Session {
            tenant_id: scope.tenant_id.clone(),
            user_id: scope.user_id.clone(),
            session_id: row.try_get::<String, _>(8)?.into(),
            ..Session::default()
        };
        let record = record(&row, &session.tenant_id, &session.session_id)?;
        events.push(Arc::new(workspace_event(
            &session,
            &record,
            unsigned(&row, 1)?,
        )));
        if bytes > EVENT_PAGE_BYTES {
            break;
        }
    }
    Ok(events)
}

/// What is stored under these ids in a session. Default ids are looked up by their sequence.
pub(crate) async fn events_by_id(
    connection: &mut SqliteConnection,
    located: &Located,
    ids: impl Iterator<Item = &EventId>,
) -> Result<HashMap<EventId, StoredEvent>, sqlx::Error> {
    let session = &located.row.session;
    let mut found = HashMap::new();
    for id in ids {
        let by_sequence = sequence_of_default_id(&session.session_id, id);
        if let Some(sequence) =
            by_sequence.filter(|sequence| *sequence <= located.row.last_sequence)
        {
            let select = select_events!(
                "",
                "events e",
                "WHERE e.tenant_no = $1 AND e.session_no = $2 AND e.sequence = $3 AND e.event_id IS NULL"
            );
            let row = sqlx::query(select)
                .bind(located.tenant_no)
                .bind(located.session_no)
                .bind(parameter(sequence))
                .fetch_optional(&mut *connection)
                .await?;
            if let Some(row) = row {
                found.insert(id.clone(), stored(&row, session)?);
                continue;
            }
        }
        let select = select_events!(
            "",
            "events e",
            "WHERE e.tenant_no = $1 AND e.session_no = $2 AND e.event_id = $3 AND e.event_id IS NOT NULL"
        );
        let row = sqlx::query(select)
            .bind(located.tenant_no)
            .bind(located.session_no)
            .bind(pack_event_id(&session.session_id, id))
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(row) = row {
            found.insert(id.clone(), stored(&row, session)?);
        }
    }
    Ok(found)
}

fn stored(row: &SqliteRow, session: &Session) -> Result<StoredEvent, sqlx::Error> {
    let record = Arc::new(record(row, &session.tenant_id, &session.session_id)?);
    Ok(StoredEvent {
        record,
        workspace_sequence: unsigned(row, 1)?,
    })
}

fn record(
    row: &SqliteRow,
    tenant: &TenantId,
    session: &SessionId,
) -> Result<SessionEventRecord, sqlx::Error> {
    let sequence = unsigned(row, 0)?;
    let event_id = match row.try_get::<Option<&[u8]>, _>(2)? {
        Some(packed) => unpack_event_id(session, packed).ok_or_else(|| undecodable(2))?,
        None => default_event_id(session, sequence),
    };
    let payload: &str = row.try_get(4)?;
    let payload = match row.try_get::<Option<&str>, _>(7)? {
        Some(template) => unpack_text(template, payload),
        None => serde_json::from_str(payload).ok(),
    };
    let payload = payload.ok_or_else(|| undecodable(4))?;
    let created_at = match row.try_get::<Option<i64>, _>(5)? {
        Some(millisecond) => unpack_time(millisecond).ok_or_else(|| undecodable(5))?,
        None => row.try_get(6)?,
    };
    Ok(SessionEventRecord {
        tenant_id: Some(tenant.clone()),
        session_id: Some(session.clone()),
        event_id: Some(event_id),
        sequence,
        kind: EventType::parse(row.try_get(3)?),
        payload,
        created_at,
        extra: JsonObject::new(),
    })
}

pub(crate) async fn event_stats(
    connection: &mut SqliteConnection,
    key: &SessionKey,
) -> Result<EventStats, sqlx::Error> {
    let select = "SELECT COUNT(*), MIN(e.sequence), COALESCE(MAX(e.sequence), 0) FROM tenants t \
                  JOIN sessions s ON s.tenant_no = t.tenant_no \
                  JOIN events e ON e.tenant_no = s.tenant_no AND e.session_no = s.session_no \
                  WHERE t.tenant_id = $1 AND s.session_id = $2";
    let row = sqlx::query(select)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .fetch_one(connection)
        .await?;
    let earliest: Option<i64> = row.try_get(1)?;
    Ok(EventStats {
        count: unsigned(&row, 0)?,
        earliest_sequence: earliest.and_then(|sequence| u64::try_from(sequence).ok()),
        latest_sequence: unsigned(&row, 2)?,
    })
}

pub(crate) async fn workspace_cursor(
    connection: &mut SqliteConnection,
    scope: &Scope,
) -> Result<WorkspaceCursor, sqlx::Error> {
    // The index gives the first row; an aggregate over the join would read all of them.
    let select = "SELECT u.workspace_sequence, (SELECT e.workspace_sequence FROM events e \
                  WHERE e.tenant_no = u.tenant_no AND e.user_no = u.user_no \
                  ORDER BY e.workspace_sequence LIMIT 1) \
                  FROM tenants t JOIN users u ON u.tenant_no = t.tenant_no \
                  WHERE t.tenant_id = $1 AND u.user_id = $2";
    let row = sqlx::query(select)
        .bind(scope.tenant_id.as_str())
        .bind(scope.user_id.as_str())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else {
        return Ok(WorkspaceCursor::default());
    };
    let earliest: Option<i64> = row.try_get(1)?;
    Ok(WorkspaceCursor {
        earliest_sequence: earliest.and_then(|sequence| u64::try_from(sequence).ok()),
        latest_sequence: unsigned(&row, 0)?,
    })
}

pub(crate) async fn snapshot(
    connection: &mut SqliteConnection,
    key: &SessionKey,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let select = "SELECT p.sequence, p.projector_version, p.view_json, p.updated_at FROM tenants t \
                  JOIN sessions s ON s.tenant_no = t.tenant_no \
                  JOIN snapshots p ON p.tenant_no = s.tenant_no AND p.session_no = s.session_no \
                  WHERE t.tenant_id = $1 AND s.session_id = $2";
    let found = sqlx::query(select)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .fetch_optional(connection)
        .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(Snapshot {
        sequence: unsigned(&row, 0)?,
        projector_version: u32::try_from(unsigned(&row, 1)?).map_err(|_| undecodable(1))?,
        view: row.try_get(2)?,
        updated_at: row.try_get(3)?,
    }))
}
