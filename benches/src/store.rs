//! Durable appends beside a bare loop of the same inserts on the same database library.

use crate::figure::{Figure, Target};
use crate::thread::AT;
use open_cowork_contracts::EventType;
use open_cowork_providers::store::{
    AppendRequest, EventStore as _, NewEvent, NewSession, SessionKey, SessionStore as _,
};
use open_cowork_store::{SqliteOptions, SqliteStore};
use serde_json::json;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const SESSIONS: usize = 16;
pub(crate) const TEXT: &str = "a delta of about forty bytes of prose, so";
const APPENDERS: usize = 64;

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    crate::latency::runtime()?.block_on(measure(quick))
}

async fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let events = if quick { 20_000 } else { 100_000 };
    let mut figures = Vec::new();
    for batch in [1, 10, 64, 250] {
        eprintln!("bench store: batches of {batch}");
        // Small batches are bound by the disk; fewer of them say as much.
        let count = events.min(batch * if quick { 400 } else { 2_000 });
        let path = |name: &str| folder.path().join(format!("{name}-{batch}.db"));
        let ours = store_rate(&path("store"), count, batch).await?;
        let bare = bare_rate(&path("bare"), count, batch).await?;
        let figure =
            Figure::new(format!("append in batches of {batch}"), ours, "events/s").baseline(bare);
        figures.push(match batch {
            64.. => figure.target(Target::AtLeast(20_000.0)),
            _ => figure,
        });
    }
    let concurrent =
        concurrent_rate(&folder.path().join("concurrent.db"), events.min(40_000)).await?;
    figures.push(Figure::new("64 appenders, one event each", concurrent, "events/s").note(
        "group commit; baselines above: a loop of prepared inserts of the same rows, WAL, synchronous=FULL, one \
         transaction per batch",
    ));
    Ok(figures)
}

async fn open(path: &Path) -> anyhow::Result<Arc<SqliteStore>> {
    let store = SqliteStore::open(path, SqliteOptions::default()).await?;
    for n in 0..SESSIONS {
        let new = NewSession {
            tenant_id: "local".into(),
            user_id: "me".into(),
            session_id: session(n).into(),
            profile_name: "default".into(),
            created_at: AT.into(),
            ..NewSession::default()
        };
        store.create_session(new).await?;
    }
    Ok(Arc::new(store))
}

pub(crate) fn session(n: usize) -> String {
    format!("0198c0de-0000-7000-8000-0000000000{:02}", n % SESSIONS)
}

pub(crate) fn event(session_number: usize, n: usize) -> NewEvent {
    let session = session(session_number);
    let payload = json!({"sessionId": session, "messageId": "msg_0198c0de0001AbCdEfGh", "content": TEXT, "mode": "append"});
    NewEvent {
        event_id: Some(format!("runtime:{session}:0198c0de-0000-7000-8000-{n:012x}").into()),
        kind: EventType::AssistantMessage,
        payload: payload.as_object().cloned().unwrap_or_default(),
        created_at: AT.into(),
    }
}

fn batches(events: usize, batch: usize) -> Vec<(usize, Vec<NewEvent>)> {
    (0..events / batch)
        .map(|n| (n, (0..batch).map(|k| event(n, n * batch + k)).collect()))
        .collect()
}

pub(crate) fn requests(events: usize, batch: usize) -> Vec<AppendRequest> {
    let requests = batches(events, batch)
        .into_iter()
        .map(|(n, events)| AppendRequest {
            key: SessionKey::new("local", session(n)),
            events: events.into(),
            fence: None,
        });
    requests.collect()
}

async fn store_rate(path: &Path, events: usize, batch: usize) -> anyhow::Result<f64> {
    let store = open(path).await?;
    let requests = requests(events, batch);
    let started = Instant::now();
    for request in requests {
        store.append(request).await?;
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    store.close().await;
    Ok(rate)
}

async fn concurrent_rate(path: &Path, events: usize) -> anyhow::Result<f64> {
    let store = open(path).await?;
    let started = Instant::now();
    let mut appenders = Vec::new();
    for appender in 0..APPENDERS {
        let store = store.clone();
        appenders.push(tokio::spawn(async move {
            for n in 0..events / APPENDERS {
                let key = SessionKey::new("local", session(appender));
                let events = Arc::from([event(appender, appender * events + n)]);
                store
                    .append(AppendRequest {
                        key,
                        events,
                        fence: None,
                    })
                    .await?;
            }
            anyhow::Ok(())
        }));
    }
    for appender in appenders {
        appender.await??;
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    store.close().await;
    Ok(rate)
}

/// The same rows by a plain loop: one prepared insert per event, one transaction per batch.
async fn bare_rate(path: &Path, events: usize, batch: usize) -> anyhow::Result<f64> {
    // The store makes the tables; then the loop has the file for itself.
    open(path).await?.close().await;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", "-16384");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut sequences = [0_i64; SESSIONS];
    let mut workspace = 0_i64;
    let all = batches(events, batch);
    let started = Instant::now();
    for (n, batch) in &all {
        let session_no = (n % SESSIONS + 1) as i64;
        let sequence = &mut sequences[n % SESSIONS];
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await?;
        for event in batch {
            *sequence += 1;
            workspace += 1;
            let id = event
                .event_id
                .as_ref()
                .map(|id| id.as_str())
                .unwrap_or_default();
            // As the store does: a session's first delta in full, the others as its like, with their text alone.
            let like = (*sequence > 1).then_some(1_i64);
            let payload = match like {
                Some(_) => serde_json::to_string(TEXT)?,
                None => serde_json::to_string(&event.payload)?,
            };
            sqlx::query(
                "INSERT INTO events (tenant_no, session_no, sequence, user_no, workspace_sequence, event_id, \
                 like_sequence, kind, payload, created_ms, created_text) \
                 VALUES (1, $1, $2, 1, $3, $4, $5, $6, $7, $8, NULL)",
            )
            .bind(session_no)
            .bind(*sequence)
            .bind(workspace)
            .bind(&id.as_bytes()[id.len().saturating_sub(17)..])
            .bind(like)
            .bind(like.is_none().then(|| event.kind.as_str()))
            .bind(payload)
            .bind(1_767_225_607_000_i64)
            .execute(&mut connection)
            .await?;
        }
        sqlx::query(
            "UPDATE sessions SET last_sequence = $1 WHERE tenant_no = 1 AND session_no = $2",
        )
        .bind(*sequence)
        .bind(session_no)
        .execute(&mut connection)
        .await?;
        sqlx::query("UPDATE users SET workspace_sequence = $1 WHERE tenant_no = 1 AND user_no = 1")
            .bind(workspace)
            .execute(&mut connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut connection).await?;
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    connection.close().await?;
    Ok(rate)
}
