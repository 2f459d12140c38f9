//! What a group writes at its end: events, sessions, workspace counters, each kind as one statement of many rows.

use crate::compact::{Templates, pack_event_id, pack_text, pack_time};
use crate::dialect::Connection;
#[cfg(feature = "postgres")]
use crate::dialect::Dialect;
#[cfg(feature = "postgres")]
use crate::dialect::many::bind_arrays;
use crate::dialect::many::{Cells, Column, Many};
use crate::read::Located;
use open_cowork_contracts::SessionEventRecord;
use open_cowork_providers::store::AppendedEvent;
use open_cowork_providers::store::append::sequence_of_default_id;
use open_cowork_providers::store::page::search_text;
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

const EVENT: &[Column] = {
    use Column::{Bytes, Int, Text};
    &[Int, Int, Int, Int, Int, Bytes, Int, Text, Text, Int, Text]
};

const SESSION: &[Column] = {
    use Column::{Int, Text};
    &[Int, Int, Text, Text, Text, Text, Text, Int, Int]
};

const USER: &[Column] = &[Column::Int, Column::Int, Column::Int];

static INSERT_EVENTS: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO events (tenant_no, session_no, sequence, user_no, workspace_sequence, event_id, \
         like_sequence, kind, payload, created_ms, created_text) ",
        EVENT,
        "",
    )
});

static UPDATE_SESSIONS: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "WITH new (tenant_no, session_no, runtime_id, status, title, updated_at, search, last_sequence, waiting) \
         AS (",
        SESSION,
        ") UPDATE sessions SET runtime_id = new.runtime_id, status = new.status, title = new.title, \
         updated_at = new.updated_at, search = new.search, last_sequence = new.last_sequence, waiting = new.waiting \
         FROM new WHERE sessions.tenant_no = new.tenant_no AND sessions.session_no = new.session_no",
    )
});

static UPDATE_USERS: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "WITH new (tenant_no, user_no, workspace_sequence) AS (",
        USER,
        ") UPDATE users SET workspace_sequence = new.workspace_sequence \
         FROM new WHERE users.tenant_no = new.tenant_no AND users.user_no = new.user_no",
    )
});

/// All of them in one statement, which is one way to the server and back instead of three.
#[cfg(feature = "postgres")]
const WRITE_GROUP: &str = "WITH inserted AS ( \
     INSERT INTO events (tenant_no, session_no, sequence, user_no, workspace_sequence, event_id, \
     like_sequence, kind, payload, created_ms, created_text) \
     SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[], \
     $7::BIGINT[], $8::TEXT[], $9::TEXT[], $10::BIGINT[], $11::TEXT[]) \
     ), counted AS ( \
     UPDATE users SET workspace_sequence = n.workspace_sequence \
     FROM UNNEST($12::BIGINT[], $13::BIGINT[], $14::BIGINT[]) n (tenant_no, user_no, workspace_sequence) \
     WHERE users.tenant_no = n.tenant_no AND users.user_no = n.user_no \
     ) UPDATE sessions SET runtime_id = n.runtime_id, status = n.status, title = n.title, \
     updated_at = n.updated_at, search = n.search, last_sequence = n.last_sequence, waiting = n.waiting \
     FROM UNNEST($15::BIGINT[], $16::BIGINT[], $17::TEXT[], $18::TEXT[], $19::TEXT[], $20::TEXT[], $21::TEXT[], \
     $22::BIGINT[], $23::BIGINT[]) n (tenant_no, session_no, runtime_id, status, title, updated_at, search, \
     last_sequence, waiting) WHERE sessions.tenant_no = n.tenant_no AND sessions.session_no = n.session_no";

/// Events, sessions and users in one statement at most so many; beyond, each kind in its own statements.
#[cfg(feature = "postgres")]
const TOGETHER: usize = 1024;

/// What a group has gathered: inserts the events in order, then writes what changed of sessions and users. A
/// taken id or sequence is a constraint error.
pub(crate) async fn write_group(
    connection: &mut Connection,
    events: &[EventRow],
    sessions: &[&Located],
    users: &[((i64, i64), u64)],
) -> Result<(), sqlx::Error> {
    #[cfg(feature = "postgres")]
    if connection.dialect() == Dialect::Postgres
        && (1..=TOGETHER).contains(&events.len())
        && (1..=TOGETHER).contains(&sessions.len())
    {
        let query = connection.query(WRITE_GROUP);
        let query = bind_arrays(query, EVENT, events, write_event)?;
        let query = bind_arrays(query, USER, users, write_user)?;
        let query = bind_arrays(query, SESSION, sessions, write_session)?;
        return query.execute().await.map(drop);
    }
    insert_events(connection, events).await?;
    update_sessions(connection, sessions).await?;
    update_users(connection, users).await
}

/// Inserts the rows in order. A taken id or sequence is a constraint error.
pub(crate) async fn insert_events(
    connection: &mut Connection,
    rows: &[EventRow],
) -> Result<(), sqlx::Error> {
    INSERT_EVENTS.run(connection, rows, write_event).await
}

/// Writes what can change of these sessions.
async fn update_sessions(
    connection: &mut Connection,
    rows: &[&Located],
) -> Result<(), sqlx::Error> {
    UPDATE_SESSIONS.run(connection, rows, write_session).await
}

/// Writes the last workspace sequence of these (tenant, user).
async fn update_users(
    connection: &mut Connection,
    rows: &[((i64, i64), u64)],
) -> Result<(), sqlx::Error> {
    UPDATE_USERS.run(connection, rows, write_user).await
}

fn write_event(cells: &mut dyn Cells, row: &EventRow) -> Result<(), sqlx::Error> {
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
    let kind = row.like_sequence.is_none().then(|| record.kind.as_str());
    cells.int(Some(row.tenant_no));
    cells.int(Some(row.session_no));
    cells.int(Some(record.sequence as i64));
    cells.int(Some(row.user_no));
    cells.int(Some(row.workspace_sequence as i64));
    cells.bytes(event_id.map(|id| pack_event_id(&session, id)));
    cells.int(row.like_sequence.map(|sequence| sequence as i64));
    cells.text(kind.map(str::to_owned));
    cells.text(Some(payload));
    cells.int(created_ms);
    cells.text(created_ms.is_none().then(|| record.created_at.clone()));
    Ok(())
}

fn write_session(cells: &mut dyn Cells, located: &&Located) -> Result<(), sqlx::Error> {
    let session = &located.row.session;
    cells.int(Some(located.tenant_no));
    cells.int(Some(located.session_no));
    cells.text(Some(session.opencode_session_id.as_str().to_owned()));
    cells.text(Some(session.status.as_str().to_owned()));
    cells.text(session.title.clone());
    cells.text(Some(session.updated_at.clone()));
    cells.text(Some(search_text(session)));
    cells.int(Some(located.row.last_sequence as i64));
    cells.int(Some(i64::from(located.row.waiting)));
    Ok(())
}

fn write_user(
    cells: &mut dyn Cells,
    (owner, sequence): &((i64, i64), u64),
) -> Result<(), sqlx::Error> {
    cells.int(Some(owner.0));
    cells.int(Some(owner.1));
    cells.int(Some(*sequence as i64));
    Ok(())
}
