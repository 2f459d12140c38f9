//! Multi-row inserts: most of the cost of a short statement is the way to the database and back.

use crate::compact::{pack_event_id, pack_time};
use crate::read::Located;
use open_cowork_contracts::SessionEventRecord;
use open_cowork_providers::store::AppendedEvent;
use open_cowork_providers::store::append::sequence_of_default_id;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::sync::{Arc, LazyLock};

/// An event that waits to be inserted.
pub(crate) struct EventRow {
    tenant_no: i64,
    session_no: i64,
    user_no: i64,
    workspace_sequence: u64,
    record: Arc<SessionEventRecord>,
}

impl EventRow {
    pub(crate) fn new(located: &Located, event: &AppendedEvent) -> Self {
        EventRow {
            tenant_no: located.tenant_no,
            session_no: located.session_no,
            user_no: located.user_no,
            workspace_sequence: event.workspace_sequence,
            record: event.record.clone(),
        }
    }
}

/// Rows per statement. Few sizes, so that each statement is prepared once.
const SIZES: [usize; 4] = [128, 32, 8, 1];

static STATEMENTS: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| SIZES.map(|rows| statement(rows).into()));

fn statement(rows: usize) -> String {
    const COLUMNS: usize = 10;
    let mut sql = String::from(
        "INSERT INTO events (tenant_no, session_no, sequence, user_no, workspace_sequence, event_id, kind, payload, \
         created_ms, created_text) VALUES ",
    );
    for row in 0..rows {
        let parameters: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
        sql.push_str(if row == 0 { "(" } else { ", (" });
        sql.push_str(&parameters.join(", "));
        sql.push(')');
    }
    sql
}

/// Inserts the rows in order. A taken id or sequence is a constraint error.
pub(crate) async fn insert(connection: &mut SqliteConnection, mut rows: &[EventRow]) -> Result<(), sqlx::Error> {
    for (size, statement) in SIZES.iter().zip(STATEMENTS.iter()) {
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

fn bind<'q>(query: Query<'q>, row: &EventRow) -> Result<Query<'q>, sqlx::Error> {
    let record = &*row.record;
    let session = record.session_id.clone().unwrap_or_default();
    let event_id = record.event_id.as_ref().filter(|id| sequence_of_default_id(&session, id) != Some(record.sequence));
    let payload = serde_json::to_string(&record.payload).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let created_ms = pack_time(&record.created_at);
    let created_text = created_ms.is_none().then(|| record.created_at.clone());
    Ok(query
        .bind(row.tenant_no)
        .bind(row.session_no)
        .bind(record.sequence as i64)
        .bind(row.user_no)
        .bind(row.workspace_sequence as i64)
        .bind(event_id.map(|id| pack_event_id(&session, id)))
        .bind(record.kind.as_str().to_owned())
        .bind(payload)
        .bind(created_ms)
        .bind(created_text))
}
