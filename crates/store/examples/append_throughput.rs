//! How fast the store appends, beside a bare loop of the same inserts on the same database library, and how
//! many bytes an event takes on disk.
//!
//! ```text
//! cargo run --release -p open-cowork-store --example append_throughput [events]
//! ```
//!
//! Both sides write the same rows durably (WAL, `synchronous=FULL`), in transactions of the same size: an
//! event row with three indexes, a session counter and a workspace counter.

#![allow(clippy::unwrap_used, reason = "a measurement: a failure ends it")]

use open_cowork_contracts::EventType;
use open_cowork_providers::store::{
    AppendRequest, EventStore, NewEvent, NewSession, SessionKey, SessionStore,
};
use open_cowork_store::{SqliteOptions, SqliteStore};
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const SESSIONS: usize = 16;
const TEXT: &str = "a delta of about forty bytes of prose, so";

#[tokio::main]
async fn main() {
    let events: usize = std::env::args()
        .nth(1)
        .and_then(|arg| arg.parse().ok())
        .unwrap_or(100_000);
    let folder = tempfile::tempdir().unwrap();
    println!(
        "{events} events of {} text bytes, {SESSIONS} sessions, one user",
        TEXT.len()
    );
    for batch in [1, 10, 64, 250] {
        // Small batches are bound by the disk; fewer of them say as much.
        let events = events.min(batch * 2_000);
        let ours = store_rate(
            &folder.path().join(format!("store-{batch}.db")),
            events,
            batch,
        )
        .await;
        let bare = bare_rate(
            &folder.path().join(format!("bare-{batch}.db")),
            events,
            batch,
        )
        .await;
        println!(
            "batch {batch:>3}: store {:>7.0} events/s, bare loop {bare:>7.0} events/s, ratio {:.2}; {:.0} bytes per event on disk",
            ours.0,
            ours.0 / bare,
            ours.1
        );
    }
    let concurrent =
        concurrent_rate(&folder.path().join("concurrent.db"), events.min(40_000)).await;
    println!("64 appenders, one event per append: {concurrent:.0} events/s durable (group commit)");
}

async fn open(path: &Path) -> Arc<SqliteStore> {
    let store = SqliteStore::open(path, SqliteOptions::default())
        .await
        .unwrap();
    for n in 0..SESSIONS {
        let new = NewSession {
            tenant_id: "local".into(),
            user_id: "me".into(),
            session_id: session(n).into(),
            profile_name: "default".into(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            ..NewSession::default()
        };
        store.create_session(new).await.unwrap();
    }
    Arc::new(store)
}

fn session(n: usize) -> String {
    format!("0198c0de-0000-7000-8000-0000000000{:02}", n % SESSIONS)
}

fn event(n: usize) -> NewEvent {
    let session = session(n);
    let payload = json!({ "sessionId": session, "messageId": "msg_0198c0de0001AbCdEfGh", "content": TEXT, "mode": "append" });
    NewEvent {
        event_id: Some(format!("runtime:{session}:0198c0de-0000-7000-8000-{n:012x}").into()),
        kind: EventType::AssistantMessage,
        payload: payload.as_object().unwrap().clone(),
        created_at: "2026-01-01T00:00:07.123Z".into(),
    }
}

/// Events per second, and bytes of the closed database per event.
async fn store_rate(path: &Path, events: usize, batch: usize) -> (f64, f64) {
    let store = open(path).await;
    let requests: Vec<AppendRequest> = (0..events / batch)
        .map(|n| AppendRequest {
            key: SessionKey::new("local", session(n)),
            events: (0..batch).map(|k| event_in(n, n * batch + k)).collect(),
            fence: None,
        })
        .collect();
    let started = Instant::now();
    for request in requests {
        store.append(request).await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    store.close().await;
    let bytes = std::fs::metadata(path).unwrap().len();
    (events as f64 / seconds, bytes as f64 / events as f64)
}

fn event_in(session_n: usize, n: usize) -> NewEvent {
    let id = format!(
        "runtime:{}:0198c0de-0000-7000-8000-{n:012x}",
        session(session_n)
    );
    NewEvent {
        event_id: Some(id.into()),
        ..event(session_n)
    }
}

async fn concurrent_rate(path: &Path, events: usize) -> f64 {
    const APPENDERS: usize = 64;
    let store = open(path).await;
    let started = Instant::now();
    let appenders = (0..APPENDERS).map(|appender| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..events / APPENDERS {
                let key = SessionKey::new("local", session(appender));
                let events = Arc::from([event_in(appender, appender * events + n)]);
                store
                    .append(AppendRequest {
                        key,
                        events,
                        fence: None,
                    })
                    .await
                    .unwrap();
            }
        })
    });
    for appender in appenders.collect::<Vec<_>>() {
        appender.await.unwrap();
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    store.close().await;
    rate
}

/// The same rows by a plain loop: one prepared insert per event, one transaction per batch.
async fn bare_rate(path: &Path, events: usize, batch: usize) -> f64 {
    // The store makes the tables; then the loop has the file for itself.
    open(path).await.close().await;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", "-16384");
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let mut sequences = [0i64; SESSIONS];
    let all: Vec<Vec<NewEvent>> = (0..events / batch)
        .map(|n| (0..batch).map(|k| event_in(n, n * batch + k)).collect())
        .collect();
    let started = Instant::now();
    let mut workspace = 0i64;
    for (n, batch) in all.iter().enumerate() {
        let session_no = (n % SESSIONS + 1) as i64;
        let sequence = &mut sequences[n % SESSIONS];
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await
            .unwrap();
        for event in batch {
            *sequence += 1;
            workspace += 1;
            let id = event.event_id.as_ref().unwrap().as_str();
            // As the store does: the first delta in full, the others as its like.
            let like = (*sequence > 1).then_some(1i64);
            let payload = match like {
                Some(_) => serde_json::to_string(TEXT),
                None => serde_json::to_string(&event.payload),
            };
            sqlx::query(
                "INSERT INTO events (tenant_no, session_no, sequence, user_no, workspace_sequence, event_id, \
                 like_sequence, kind, payload, created_ms, created_text) \
                 VALUES (1, $1, $2, 1, $3, $4, $5, $6, $7, $8, NULL)",
            )
            .bind(session_no)
            .bind(*sequence)
            .bind(workspace)
            .bind(&id.as_bytes()[id.len() - 17..])
            .bind(like)
            .bind(like.is_none().then(|| event.kind.as_str()))
            .bind(payload.unwrap())
            .bind(1_767_225_607_123i64)
            .execute(&mut connection)
            .await
            .unwrap();
        }
        sqlx::query(
            "UPDATE sessions SET last_sequence = $1 WHERE tenant_no = 1 AND session_no = $2",
        )
        .bind(*sequence)
        .bind(session_no)
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::query("UPDATE users SET workspace_sequence = $1 WHERE tenant_no = 1 AND user_no = 1")
            .bind(workspace)
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("COMMIT")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    connection.close().await.unwrap();
    rate
}
