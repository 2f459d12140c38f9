//! The cloud program as a child process, on SQLite: memory and start, requests per second beside a bare route,
//! idle and simultaneous streams.

use crate::figure::{Figure, Target, percentile};
use crate::load::{self, Request};
use crate::server::{Server, build, stripped_size};
use crate::streams;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

const MIB: f64 = 1024.0 * 1024.0;
/// Streams of one thread that are open at once.
const SUBSCRIBERS: usize = 5_000;
/// Connections of the load.
const CONNECTIONS: usize = 16;

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let binary = build()?;
    let mut figures = Vec::new();

    let mut ready = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..if quick { 3 } else { 9 } {
        let server = Server::start(&binary, &[])?;
        ready.push(server.ready().as_secs_f64() * 1e3);
        // Idle: what the start needed is given back by then.
        std::thread::sleep(Duration::from_secs(1));
        resident.push(server.memory()?.resident as f64 / MIB);
        server.stop()?;
    }
    figures.push(
        Figure::new(
            "idle all-in-one, resident",
            percentile(&mut resident, 0.5).context("no start")?,
            "MiB",
        )
        .target(Target::AtMost(30e6 / MIB))
        .note("target: 30 MB; SQLite in a new folder, no setting, one second after the start"),
    );
    figures.push(
        Figure::new(
            "ready after exec, median",
            percentile(&mut ready, 0.5).context("no start")?,
            "ms",
        )
        .target(Target::AtMost(100.0))
        .note("`/readyz` answered 200; the database is made in that time"),
    );
    figures.push(
        Figure::new(
            "ready after exec, slowest",
            percentile(&mut ready, 1.0).context("no start")?,
            "ms",
        )
        .target(Target::AtMost(100.0)),
    );
    figures.push(
        Figure::new(
            "program file, stripped",
            stripped_size(&binary)? as f64 / 1e6,
            "MB",
        )
        .target(Target::AtMost(60.0)),
    );
    figures.extend(requests(&binary, quick)?);
    figures.extend(subscribers(&binary, quick)?);
    Ok(figures)
}

/// A thread and a token for it.
struct Thread {
    path: String,
    token: String,
}

fn thread(address: SocketAddr) -> anyhow::Result<Thread> {
    let token = post(
        address,
        "/api/api-tokens",
        &json!({ "name": "bench", "scopes": ["desktop"] }),
    )?;
    let token = token["plaintext"]
        .as_str()
        .context("the cloud gave no token")?
        .to_owned();
    let made = post(address, "/api/sessions", &json!({}))?;
    let id = made["session"]["sessionId"]
        .as_str()
        .context("the cloud made no session")?;
    Ok(Thread {
        path: format!("/api/sessions/{id}"),
        token,
    })
}

fn post(address: SocketAddr, path: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = load::once(address, &Request::post(path, &body.to_string()))?;
    ensure!(
        answer.status < 300,
        "POST {path} answered {}: {}",
        answer.status,
        answer.text()
    );
    serde_json::from_str(&answer.text()).with_context(|| format!("POST {path} answered no JSON"))
}

/// Writes an artifact, which is an event of the thread.
fn attach(address: SocketAddr, thread: &Thread, name: &str) -> anyhow::Result<()> {
    let artifact =
        json!({ "filename": name, "contentType": "text/plain", "dataBase64": "aGVsbG8=" });
    post(address, &format!("{}/artifacts", thread.path), &artifact).map(drop)
}

/// The same bytes from a bare route and from the cloud, in turns.
fn requests(binary: &std::path::Path, quick: bool) -> anyhow::Result<Vec<Figure>> {
    let server = Server::start(binary, &[])?;
    let thread = thread(server.address())?;
    // A small view, with something in it.
    for number in 0..5 {
        attach(server.address(), &thread, &format!("notes-{number}.txt"))?;
    }
    let request = Request::get(&thread.path).bearer(&thread.token);
    let sample = load::once(server.address(), &request)?;
    ensure!(
        sample.status == 200,
        "GET {} answered {}",
        thread.path,
        sample.status
    );
    let bare = Server::bare(&sample.body)?;

    let span = Duration::from_secs(if quick { 1 } else { 4 });
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        limit.push(load::requests_per_second(
            bare.address(),
            &request,
            CONNECTIONS,
            span,
        )?);
        ours.push(load::requests_per_second(
            server.address(),
            &request,
            CONNECTIONS,
            span,
        )?);
    }
    let ours = percentile(&mut ours, 0.5).context("no run")?;
    let limit = percentile(&mut limit, 0.5).context("no run")?;
    server.stop()?;
    Ok(vec![
        Figure::new("GET of a session, bearer", ours, "requests/s").baseline(limit).note(format!(
            "{} bytes, {CONNECTIONS} connections from this program on the same cores; the baseline is an axum route \
             that returns the same bytes; five runs each in turns, medians",
            sample.body.len()
        )),
        Figure::new("  of the bare route's", ours / limit * 100.0, "%").target(Target::AtLeast(50.0)),
    ])
}

/// Many streams of one thread.
fn subscribers(binary: &std::path::Path, quick: bool) -> anyhow::Result<Vec<Figure>> {
    let server = Server::start(
        binary,
        &[("OPEN_COWORK_CLOUD_MAX_SSE_CONNECTIONS_PER_ORG", "6000")],
    )?;
    let thread = thread(server.address())?;
    // Warm: what the first streams need is not what each needs.
    let path = format!("{}/events", thread.path);
    let request = Request::get(&path).bearer(&thread.token);
    let warm = streams::open(server.address(), &request, 64)?;
    drop(warm);
    std::thread::sleep(Duration::from_millis(500));
    let before = server.memory()?.resident;
    let mut open = streams::open(server.address(), &request, SUBSCRIBERS)?;
    std::thread::sleep(Duration::from_secs(2));
    let after = server.memory()?.resident;
    let each = (after.saturating_sub(before)) as f64 / SUBSCRIBERS as f64 / 1024.0;

    let mut spreads = Vec::new();
    for turn in 0..if quick { 3 } else { 9 } {
        let marker = format!("bench-{turn}.txt");
        let spread = open.spread(&marker, || attach(server.address(), &thread, &marker))?;
        spreads.push(spread.as_secs_f64() * 1e3);
    }
    drop(open);
    server.stop()?;
    Ok(vec![
        Figure::new("idle subscriber, memory each", each, "KiB")
            .target(Target::AtMost(10.0))
            .note(format!("resident memory of the process with {SUBSCRIBERS} streams less that without, divided")),
        Figure::new("one event, first to last of 5 000", percentile(&mut spreads, 0.5).context("no event")?, "ms")
            .target(Target::AtMost(60.0))
            .note("all streams are read by this program on the same two cores; median"),
        Figure::new("one event, first to last, slowest", percentile(&mut spreads, 1.0).context("no event")?, "ms"),
    ])
}
