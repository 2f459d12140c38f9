//! Writes of many rows by one statement: most of the cost of a short one is the way to the database and back.

use crate::compact::{Templates, pack_event_id, pack_text, pack_time};
use crate::dialect;
use crate::read::Located;
use open_cowork_contracts::SessionEventRecord;
use open_cowork_providers::store::AppendedEvent;
use open_cowork_providers::store::append::sequence_of_default_id;
use open_cowork_providers::store::page::search_text;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::sync::{Arc, LazyLock};

/// An event that waits to be inserted.
pub(crate) struct EventRow {
    tenant_no: i64,
    session_no: i64,
    user_no: i64,
    workspace_sequence: u64,
    like_sequence: Option<u64>,
    record: Arc<SessionEventRecord>,
}

impl EventRow {
    pub(crate) fn new(located: &Located, templates: &mut Templates, event: &AppendedEvent) -> Self {
        EventRow {
            tenant_no: located.tenant_no,
            session_no: located.session_no,
            user_no: located.user_no,
            workspace_sequence: event.workspace_sequence,
            like_sequence: templates.like(&event.record),
            record: event.record.clone(),
        }
    }
}

/// Rows per statement. Few sizes, so that each statement is prepared once.
const SIZES: [usize; 4] = [128, 32, 8, 1];

static INSERT_EVENTS: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
    statements(
        "INSERT INTO events (tenant_no, session_no, sequence, user_no, workspace_sequence, event_id, \
         like_sequence, kind, payload, created_ms, created_text) VALUES ",
        11,
        "",
    )
});

static UPDATE_SESSIONS: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
    statements(
        "WITH new (tenant_no, session_no, runtime_id, status, title, updated_at, search, last_sequence, waiting) \
         AS (VALUES ",
        9,
        ") UPDATE sessions SET runtime_id = new.runtime_id, status = new.status, title = new.title, \
         updated_at = new.updated_at, search = new.search, last_sequence = new.last_sequence, waiting = new.waiting \
         FROM new WHERE sessions.tenant_no = new.tenant_no AND sessions.session_no = new.session_no",
    )
});

/// One statement per size, with so many rows of parameters between the texts.
fn statements(before: &str, columns: usize, after: &str) -> [Arc<str>; 4] {
    SIZES.map(|rows| {
        let row = |row: usize| {
            let parameters: Vec<String> = (1..=columns)
                .map(|column| dialect::parameter(row * columns + column))
                .collect();
            format!("({})", parameters.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!("{before}{}{after}", rows.join(", ")).into()
    })
}

/// Inserts the rows in order. A taken id or sequence is a constraint error.
pub(crate) async fn insert_events(
    connection: &mut SqliteConnection,
    rows: &[EventRow],
) -> Result<(), sqlx::Error> {
    in_chunks(connection, &INSERT_EVENTS, rows, bind_event).await
}

/// Writes what can change of these sessions.
pub(crate) async fn update_sessions(
    connection: &mut SqliteConnection,
    rows: &[&Located],
) -> Result<(), sqlx::Error> {
    in_chunks(connection, &UPDATE_SESSIONS, rows, bind_session).await
}

async fn in_chunks<R>(
    connection: &mut SqliteConnection,
    statements: &[Arc<str>; 4],
    mut rows: &[R],
    bind: for<'q> fn(Query<'q>, &R) -> Result<Query<'q>, sqlx::Error>,
) -> Result<(), sqlx::Error> {
    for (size, statement) in SIZES.iter().zip(statements) {
        while rows.len() >= *size {
            let (chunk, rest) = rows.split_at(*size);
            rows = rest;
            // The text is made above, of constants.
            let mut query = sqlx::query(AssertSqlSafe(statement.clone()));
            for row in chunk {
                query = bind(query, row)?;
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind_event<'q>(query: Query<'q>, row: &EventRow) -> Result<Query<'q>, sqlx::Error> {
    let record = &*row.record;
    let session = record.session_id.clone().unwrap_or_default();
    let event_id = record
        .event_id
        .as_ref()
        .filter(|id| sequence_of_default_id(&session, id) != Some(record.sequence));
    let payload = match row.like_sequence {
        Some(_) => pack_text(&record.payload),
        None => serde_json::to_string(&record.payload),
    };
    let payload = payload.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let created_ms = pack_time(&record.created_at);
    let created_text = created_ms.is_none().then(|| record.created_at.clone());
    Ok(query
        .bind(row.tenant_no)
        .bind(row.session_no)
        .bind(record.sequence as i64)
        .bind(row.user_no)
        .bind(row.workspace_sequence as i64)
        .bind(event_id.map(|id| pack_event_id(&session, id)))
        .bind(row.like_sequence.map(|sequence| sequence as i64))
        .bind(
            row.like_sequence
                .is_none()
                .then(|| record.kind.as_str().to_owned()),
        )
        .bind(payload)
        .bind(created_ms)
        .bind(created_text))
}

fn bind_session<'q>(query: Query<'q>, located: &&Located) -> Result<Query<'q>, sqlx::Error> {
    let session = &located.row.session;
    Ok(query
        .bind(located.tenant_no)
        .bind(located.session_no)
        .bind(session.opencode_session_id.as_str().to_owned())
        .bind(session.status.as_str())
        .bind(session.title.clone())
        .bind(session.updated_at.clone())
        .bind(search_text(session))
        .bind(located.row.last_sequence as i64)
        .bind(i64::from(located.row.waiting)))
}
