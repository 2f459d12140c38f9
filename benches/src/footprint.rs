//! Memory and start of the desktop program, with a thread of 20 000 events.

use crate::browser::Browser;
use crate::desktop::{self, Memory, Program};
use crate::figure::{Figure, Target, percentile};
use crate::latency::key;
use crate::thread::{AT, EVENTS_PER_TURN, events};
use anyhow::{Context as _, ensure};
use open_cowork_contracts::{RuntimeEvent, SessionId};
use open_cowork_providers::store::{AppendRequest, EventStore as _, NewEvent, NewSession};
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::provision_reporting;
use open_cowork_testkit::workspace::GitWorkspace;
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EVENTS: usize = 20_000;
const THREAD: &str = "0198c0de-0000-7000-8000-000000000001";
const MIB: f64 = 1024.0 * 1024.0;
/// For OpenCode to start.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let binary = desktop::build()?;
    let opencode = provision_reporting(|message| eprintln!("bench footprint: {message}"))?;
    let runtime = crate::latency::runtime()?;
    let data = tempfile::tempdir()?;
    eprintln!("bench footprint: generating a thread of {EVENTS} events");
    runtime.block_on(generate(data.path()))?;

    let mut announced = Vec::new();
    let mut ready = Vec::new();
    let mut alone = Memory::default();
    let none: [&str; 0] = [];
    for _ in 0..if quick { 3 } else { 9 } {
        let program = Program::start(&binary, data.path(), &none)?;
        Browser::enter(program.url())?.get("/")?;
        ready.push(program.age().as_secs_f64() * 1e3);
        announced.push(program.announced().as_secs_f64() * 1e3);
        alone = program.memory()?;
        program.stop()?;
    }

    let model = runtime.block_on(ScriptedModel::start())?;
    let folder = GitWorkspace::new()?;
    let arguments: [OsString; 6] = [
        "--opencode".into(),
        opencode.into(),
        "--demo-endpoint".into(),
        model.base_url().into(),
        "--workspace".into(),
        folder.path().into(),
    ];
    let page = open_page(&binary, data.path(), &arguments)?;
    let memory = page.memory;
    Ok(vec![
        Figure::new("resident memory, thread open", memory.resident as f64 / MIB, "MiB")
            .target(Target::AtMost(30e6 / MIB))
            .note(format!(
                "target: 30 MB; {EVENTS} events, page and stream open, OpenCode attached; heap and stacks {:.1} MiB, \
                 program file {:.1} MiB, {} threads; after the start alone {:.1} MiB",
                memory.anonymous as f64 / MIB,
                memory.file as f64 / MIB,
                memory.threads,
                alone.resident as f64 / MIB
            )),
        Figure::new("ready after exec, median", percentile(&mut ready, 0.5).context("no start")?, "ms")
            .target(Target::AtMost(200.0))
            .note("address printed and first page answered, that thread in the list, no OpenCode to start"),
        Figure::new("ready after exec, slowest", percentile(&mut ready, 1.0).context("no start")?, "ms")
            .target(Target::AtMost(200.0)),
        Figure::new("  of that the address, median", percentile(&mut announced, 0.5).context("no start")?, "ms"),
        Figure::new("ready while OpenCode starts beside", page.ready, "ms"),
        Figure::new("long thread, first page", page.first_ms, "ms").note("cold: snapshot parsed, page rendered"),
        Figure::new("long thread, page again", page.again_ms, "ms"),
    ])
}

struct OpenedPage {
    ready: f64,
    first_ms: f64,
    again_ms: f64,
    memory: Memory,
}

/// The program with its OpenCode, the thread's page loaded and its stream open.
fn open_page(binary: &Path, data: &Path, arguments: &[OsString]) -> anyhow::Result<OpenedPage> {
    let program = Program::start(binary, data, arguments)?;
    let browser = Browser::enter(program.url())?;
    browser.get("/")?;
    let ready = program.age().as_secs_f64() * 1e3;
    let deadline = Instant::now() + PATIENCE;
    while !browser.get("/health")?.contains("Runs and answers.") {
        ensure!(Instant::now() < deadline, "OpenCode did not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    let path = format!("/chats/{THREAD}");
    let load = || -> anyhow::Result<f64> {
        let started = Instant::now();
        let page = browser.get(&path)?;
        ensure!(
            page.contains("the lexer skips one token too many"),
            "the page doesn't show the thread"
        );
        Ok(started.elapsed().as_secs_f64() * 1e3)
    };
    let (first_ms, again_ms) = (load()?, load()?);
    let stream = browser.follow(&format!("{path}/events?after={EVENTS}"))?;
    let memory = program.memory()?;
    drop(stream);
    program.stop()?;
    Ok(OpenedPage {
        ready,
        first_ms,
        again_ms,
        memory,
    })
}

/// A finished thread in a fresh data folder, with its snapshot.
async fn generate(data: &Path) -> anyhow::Result<()> {
    let store =
        Arc::new(SqliteStore::open(data.join("threads.sqlite"), SqliteOptions::default()).await?);
    let thread = SessionId::from(THREAD);
    let new = NewSession {
        tenant_id: "local".into(),
        user_id: "local".into(),
        session_id: thread.clone(),
        profile_name: "default".into(),
        title: Some("A long thread".to_owned()),
        directory: Some(data.display().to_string()),
        created_at: AT.to_owned(),
    };
    let log = ThreadLog::new(store.clone(), ThreadLogOptions::default());
    log.create_session(new).await?;
    let key = key(&thread);
    let events: Vec<RuntimeEvent> = events(EVENTS - 1).collect();
    for turn in events.chunks(EVENTS_PER_TURN) {
        let new = |event: &RuntimeEvent| NewEvent {
            event_id: None,
            kind: event.kind.clone(),
            payload: event.payload.clone(),
            created_at: AT.to_owned(),
        };
        let events = turn.iter().map(new).collect();
        store
            .append(AppendRequest {
                key: key.clone(),
                events,
                fence: None,
            })
            .await?;
    }
    log.repair(&key).await?;
    log.close().await;
    store.close().await;
    Ok(())
}
