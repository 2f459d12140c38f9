//! The store on PostgreSQL: appends beside a pgbench script that inserts the same rows, from commit to a
//! stream of another process, and pages of a tenant with many sessions. The server waits for its disk.

use crate::figure::{Figure, Target, percentile};
use crate::latency::runtime;
use crate::store::{event, requests, session};
use crate::thread::AT;
use anyhow::Context as _;
use futures::StreamExt as _;
use open_cowork_contracts::{EventType, RuntimeEvent};
use open_cowork_providers::store::{
    AppendRequest, EventStore as _, NewSession, Scope, SessionKey, SessionQuery, SessionStore as _,
};
use open_cowork_store::{PostgresBus, PostgresOptions, PostgresStore, SchemaName};
use open_cowork_testkit::postgres::{Durability, Postgres, programs};
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions, Update};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SESSIONS: usize = 16;
/// Events before the measurement: plans, buffers, the size of the log.
const WARM_UP: usize = 2_000;

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    runtime()?.block_on(measure(quick))
}

async fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let server = Postgres::start(Durability::Durable).await?;
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for (batch, appenders) in [(10, 1), (64, 1), (250, 1), (10, 16)] {
        eprintln!("bench postgres: {appenders} appenders, batches of {batch}");
        let seconds = if quick { 2 } else { 5 };
        let name = format!("append_{batch}_{appenders}");
        let ours = append_rate(&server, &name, batch, appenders, seconds).await?;
        let bare = pgbench_rate(&server, folder.path(), &name, batch, appenders, seconds).await?;
        figures.push(
            Figure::new(
                format!("append in batches of {batch}, {appenders} at a time"),
                ours,
                "events/s",
            )
            .baseline(bare)
            .target(Target::AtLeast(bare * 0.7)),
        );
    }
    if let Some(last) = figures.last_mut() {
        last.note = Some(
            "baselines: pgbench, prepared, as many clients, one transaction per batch: the same rows into tables \
             with the same indexes, and the same updates of session and user"
                .to_owned(),
        );
    }
    figures.extend(commit_to_stream(&server, quick).await?);
    figures.extend(pages(&server, quick).await?);
    Ok(figures)
}

async fn open(server: &Postgres, schema: &str) -> anyhow::Result<Arc<PostgresStore>> {
    let options = PostgresOptions {
        schema: SchemaName::parse(schema).context("a schema's name")?,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&server.url().into(), options).await?;
    Ok(Arc::new(store))
}

async fn make_sessions(store: &PostgresStore) -> anyhow::Result<()> {
    for n in 0..SESSIONS {
        let new = NewSession {
            tenant_id: "local".into(),
            // Users apart, as pgbench's clients are.
            user_id: format!("u{n}").into(),
            session_id: session(n).into(),
            profile_name: "default".into(),
            created_at: AT.into(),
            ..NewSession::default()
        };
        store.create_session(new).await?;
    }
    Ok(())
}

async fn append_rate(
    server: &Postgres,
    schema: &str,
    batch: usize,
    appenders: usize,
    seconds: u64,
) -> anyhow::Result<f64> {
    let store = open(server, schema).await?;
    make_sessions(&store).await?;
    for request in requests(WARM_UP, batch) {
        store.append(request).await?;
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let started = Instant::now();
    let tasks: Vec<_> = (0..appenders)
        .map(|appender| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut appended = 0;
                while Instant::now() < until {
                    let first = 1_000_000 * (appender + 1) + appended;
                    let events: Vec<_> =
                        (first..first + batch).map(|n| event(appender, n)).collect();
                    let request = AppendRequest {
                        key: SessionKey::new("local", session(appender)),
                        events: events.into(),
                        fence: None,
                    };
                    store.append(request).await?;
                    appended += batch;
                }
                anyhow::Ok(appended)
            })
        })
        .collect();
    let mut appended = 0;
    for task in tasks {
        appended += task.await??;
    }
    let rate = appended as f64 / started.elapsed().as_secs_f64();
    store.close().await;
    Ok(rate)
}

/// The same rows, in tables of the same layout: made by the store, then emptied of the events.
async fn pgbench_rate(
    server: &Postgres,
    folder: &Path,
    schema: &str,
    batch: usize,
    clients: usize,
    seconds: u64,
) -> anyhow::Result<f64> {
    let schema = format!("bare_{schema}");
    let store = open(server, &schema).await?;
    make_sessions(&store).await?;
    // The first event of a message is stored in full, the others refer to it.
    for n in 0..SESSIONS {
        let request = AppendRequest {
            key: SessionKey::new("local", session(n)),
            events: [event(n, n)].into(),
            fence: None,
        };
        store.append(request).await?;
    }
    store.close().await;
    let script = folder.join(format!("{schema}.sql"));
    let text = crate::store::TEXT;
    std::fs::write(
        &script,
        format!(
            "\\set session :client_id + 1\n\
             \\set first :last + 1\n\
             \\set last :last + {batch}\n\
             BEGIN;\n\
             INSERT INTO {schema}.events SELECT 1, :session::BIGINT, n, :session::BIGINT, n, \
             decode(lpad(to_hex(n * 64 + :session::BIGINT), 48, '0'), 'hex'), 1, NULL, '\"{text}\"', 1767225600000, NULL \
             FROM generate_series(:first::BIGINT, :last::BIGINT) n;\n\
             UPDATE {schema}.sessions SET last_sequence = :last, updated_at = '{AT}' \
             WHERE tenant_no = 1 AND session_no = :session;\n\
             UPDATE {schema}.users SET workspace_sequence = :last WHERE tenant_no = 1 AND user_no = :session;\n\
             COMMIT;\n"
        ),
    )?;
    let run = |seconds: u64, last: usize| {
        let mut command = tokio::process::Command::new(programs()?.join("pgbench"));
        command
            .args(["-n", "-M", "prepared", "-j", "2"])
            .args(["-c", &clients.to_string(), "-T", &seconds.to_string()])
            .args(["-D", &format!("last={last}"), "-f"])
            .arg(&script)
            .args(["-h", "127.0.0.1", "-p", &server.port().to_string()])
            .args(["-U", "postgres", "postgres"])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        anyhow::Ok(command)
    };
    let limit = Duration::from_secs(seconds + 30);
    let output = tokio::time::timeout(limit, run(seconds, 1)?.output()).await??;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = printed.lines().find_map(|line| {
        line.strip_prefix("tps = ")?
            .split(' ')
            .next()?
            .parse::<f64>()
            .ok()
    });
    let rate = rate.with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("pgbench says: {printed}{said}")
    })?;
    Ok(rate * batch as f64)
}

/// From the answer of an append in one process to the event in a stream of another, at 1,000 events/s.
async fn commit_to_stream(server: &Postgres, quick: bool) -> anyhow::Result<Vec<Figure>> {
    const THREADS: usize = 20;
    let rate = 1_000;
    let seconds = if quick { 3 } else { 10 };
    eprintln!("bench postgres: commit to stream at {rate} events/s");
    let log = async || {
        let options = ThreadLogOptions {
            bus: Arc::new(PostgresBus::start(&server.url().into())?),
            shared: true,
            ..ThreadLogOptions::default()
        };
        anyhow::Ok(ThreadLog::new(open(server, "streams").await?, options))
    };
    let (writer, reader) = (log().await?, log().await?);
    let started = Instant::now();
    let mut followers = Vec::new();
    let mut writers = Vec::new();
    let each = rate * seconds / THREADS;
    for thread in 0..THREADS {
        let key = SessionKey::new("local", format!("s{thread}"));
        let new = NewSession {
            tenant_id: "local".into(),
            user_id: format!("u{thread}").into(),
            session_id: key.session_id.clone(),
            created_at: AT.into(),
            ..NewSession::default()
        };
        writer.create_session(new).await?;
        let mut stream = reader.subscribe(&key, 1).await?;
        followers.push(tokio::spawn(async move {
            let mut seen = Vec::with_capacity(each);
            while seen.len() < each {
                match stream.next().await {
                    Some(Update::Event(_)) => seen.push(started.elapsed()),
                    other => anyhow::bail!("the stream gave {other:?}"),
                }
            }
            anyhow::Ok(seen)
        }));
        let writer = writer.clone();
        writers.push(tokio::spawn(async move {
            let mut pace =
                tokio::time::interval(Duration::from_secs_f64(THREADS as f64 / rate as f64));
            let mut committed = Vec::with_capacity(each);
            for n in 0..each {
                pace.tick().await;
                let payload =
                    json!({ "toolCallId": format!("c{n}"), "name": "read", "status": "running" });
                let event = RuntimeEvent::new(EventType::ToolCall, payload);
                writer.append(&key, vec![event]).await?;
                committed.push(started.elapsed());
            }
            anyhow::Ok(committed)
        }));
    }
    let mut committed = Vec::new();
    for task in writers {
        committed.push(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let limit = Duration::from_secs(30);
    let mut delays = Vec::new();
    for (task, committed) in followers.into_iter().zip(committed) {
        let seen = tokio::time::timeout(limit, task).await???;
        delays.extend(
            seen.into_iter()
                .zip(committed)
                .map(|(seen, committed)| seen.saturating_sub(committed).as_secs_f64() * 1e3),
        );
    }
    writer.close().await;
    reader.close().await;
    let mut share = |share| percentile(&mut delays, share).context("no event arrived");
    let done = (each * THREADS) as f64 / elapsed;
    Ok(vec![
        Figure::new(
            "commit to a stream of another process, p50",
            share(0.5)?,
            "ms",
        )
        .target(Target::AtMost(6.0)),
        Figure::new("the same, p99", share(0.99)?, "ms")
            .target(Target::AtMost(25.0))
            .note(format!(
                "{THREADS} threads, {done:.0} events/s, one event per append"
            )),
    ])
}

/// Pages of a user with 200,000 sessions.
async fn pages(server: &Postgres, quick: bool) -> anyhow::Result<Vec<Figure>> {
    let sessions = 200_000;
    eprintln!("bench postgres: pages of {sessions} sessions");
    let store = open(server, "pages").await?;
    make_sessions(&store).await?;
    let mut admin = PgConnection::connect(&server.url()).await?;
    let fill = format!(
        "INSERT INTO pages.sessions (tenant_no, session_no, session_id, user_no, runtime_id, profile_name, status, \
         title, created_at, updated_at, search, last_sequence, waiting) \
         SELECT 1, n, 'session-' || n, 1, '', 'default', 'idle', 'Thread ' || n, t, t, 'thread ' || n, 0, 0 \
         FROM (SELECT n, to_char(timestamp '2026-01-01' + n * interval '1 second', \
         'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') t FROM generate_series(1001, {}) n) rows",
        sessions + 1000
    );
    admin.execute(AssertSqlSafe(fill)).await?;
    admin.execute("ANALYZE pages.sessions").await?;
    let query = SessionQuery::new(Scope::new("local", "u0"));
    // A cursor of the middle: the last row of a page that ends there.
    let mut middle = query.clone();
    middle.limit = 500;
    for _ in 0..sessions / 2 / 500 {
        let page = store.page_sessions(&middle).await?;
        middle.cursor = page.next;
    }
    middle.limit = query.limit;
    let mut figures = Vec::new();
    for (name, query) in [("first page", &query), ("a page in the middle", &middle)] {
        let mut took = Vec::new();
        for _ in 0..if quick { 100 } else { 500 } {
            let started = Instant::now();
            let page = store.page_sessions(query).await?;
            took.push(started.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(
                page.rows.len() == 100,
                "the page holds {} rows",
                page.rows.len()
            );
        }
        let p95 = percentile(&mut took, 0.95).context("no page was read")?;
        figures.push(
            Figure::new(format!("{name} of {sessions} sessions, p95"), p95, "ms")
                .target(Target::AtMost(5.0)),
        );
    }
    store.close().await;
    Ok(figures)
}
