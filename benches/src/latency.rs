//! From the byte that leaves OpenCode's socket to the byte that arrives at the browser, durable write included.
//!
//! ```text
//!   scripted model ─► OpenCode ─► proxy ─► host ─► log ─► SQLite (synced) ─► workbench ─► browser
//!                                 noted                                                   noted
//! ```
//!
//! Text is coalesced (decision 12): the first delta goes out at once, later ones at the end of a window of 60 ms
//! that opened when the text before went out. So a delta's latency counts from the later of its arrival and the
//! end of its window. When text went out is the time of its event, which the log writes down.

use crate::browser::{Browser, Frame};
use crate::durable::{Used, transcript_bytes};
use crate::figure::{Figure, Target, percentile};
use crate::proxy::Proxy;
use crate::relay::Relay;
use anyhow::{Context as _, bail, ensure};
use open_cowork_contracts::{EventType, SessionEventRecord, SessionId};
use open_cowork_desktop::serve::Page;
use open_cowork_desktop::{Desktop, DesktopOptions};
use open_cowork_opencode::{Client, ClientConfig};
use open_cowork_providers::store::{EventStore as _, SessionKey};
use open_cowork_runtime_host::thread::TurnPrompt;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_testkit::model::{Scenario, ScriptedModel};
use open_cowork_testkit::opencode::{RealOpenCode, provision_reporting};
use open_cowork_testkit::workspace::GitWorkspace;
use open_cowork_workbench::{NewThread, Workspace as _};
use secrecy::SecretString;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Milliseconds between two deltas: 200 a second.
const PACE_MS: f64 = 5.0;
/// The window of decision 12.
const WINDOW_MS: f64 = 60.0;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Now, in milliseconds since 1970.
pub(crate) fn clock() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64() * 1e3
}

/// A runtime as the desktop program has it.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.context("the async runtime can't be started")
}

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let count = if quick { 600 } else { 3_000 };
    provision_reporting(|message| eprintln!("bench latency: {message}"))?;
    // The model and OpenCode have a runtime of their own: what they cost isn't ours.
    let outside = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let model = outside.block_on(ScriptedModel::start_with(scenario(count)?, 0))?;
    eprintln!("bench latency: starting OpenCode");
    let mut opencode = outside.block_on(RealOpenCode::start(&model.base_url()))?;
    let run = runtime()?.block_on(stream(&opencode, count))?;
    outside.block_on(opencode.stop());
    drop(model);

    figures(run)
}

/// A model that says numbered words at an even pace, in paragraphs.
fn scenario(count: usize) -> anyhow::Result<Scenario> {
    let word = |n: usize| format!("{n:04}{}", if n % 80 == 79 { "\n\n" } else { " " });
    let words: Vec<String> = (0..count).map(word).collect();
    let step = json!([{ "text": words, "chunk_delay_ms": PACE_MS, "delay_ms": 300 }]);
    let mut scenario = Scenario::builtin()?;
    scenario
        .scripts
        .insert("pace".to_owned(), serde_json::from_value(step)?);
    Ok(scenario)
}

/// What a run gave.
struct Run {
    latencies: Vec<Latency>,
    /// Growth of the database by the turn.
    used: Used,
    transcript: usize,
    events: usize,
    /// Round trips of the bare relay during the turn, milliseconds.
    relay: Vec<f64>,
}

/// How long one delta took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Latency {
    /// Since the later of its arrival and the end of its window.
    due: f64,
    /// Since its arrival.
    arrival: f64,
}

async fn stream(opencode: &RealOpenCode, count: usize) -> anyhow::Result<Run> {
    let upstream = opencode
        .base_url()
        .strip_prefix("http://")
        .context("OpenCode has an odd address")?;
    let proxy = Proxy::start(upstream.parse()?)?;
    let (data, folder) = (tempfile::tempdir()?, GitWorkspace::new()?);
    let mut options = DesktopOptions::new(data.path());
    options.workspace = Some(folder.path());
    let desktop = Desktop::open(options).await?;
    let page = Page::bind(0).await?;
    let url = page.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let turn = async {
        let turned = turn(
            &desktop,
            opencode,
            &proxy,
            &url,
            &folder.path(),
            &data.path().join("threads.sqlite"),
            count,
        )
        .await;
        let _ = stop.send(());
        turned
    };
    let ((), turned) = tokio::join!(page.serve(&desktop, async { drop(stopped.await) }), turn);
    let turned = turned?;
    let key = key(&turned.thread);
    let transcript = desktop
        .log()
        .read(&key, |state| transcript_bytes(state.view))
        .await?;
    desktop.close().await;

    let database = data.path().join("threads.sqlite");
    let used = Used::of(&database).await?.since(turned.before);
    let events = events(&database, &key).await?;
    let deltas: Vec<(usize, f64)> = proxy
        .deltas()
        .iter()
        .filter(|delta| delta.session == turned.session)
        .map(|delta| (delta.bytes, delta.at))
        .collect();
    ensure!(
        deltas.len() == count,
        "OpenCode sent {} text deltas for {count} chunks",
        deltas.len()
    );
    let latencies = latencies(&deltas, &flushes(&events, &turned.frames)?)?;
    Ok(Run {
        latencies,
        used,
        transcript,
        events: events.len(),
        relay: turned.relay,
    })
}

struct Turned {
    thread: SessionId,
    /// OpenCode's session.
    session: String,
    frames: Vec<Frame>,
    /// Round trips of the bare relay meanwhile.
    relay: Vec<f64>,
    /// The database before the turn.
    before: Used,
}

/// One turn on a desktop whose OpenCode is reached through the proxy, with a page open.
async fn turn(
    desktop: &Desktop,
    opencode: &RealOpenCode,
    proxy: &Proxy,
    url: &str,
    folder: &Path,
    database: &Path,
    count: usize,
) -> anyhow::Result<Turned> {
    let workspace = desktop.workspace();
    // No provider is set up, so the desktop starts no OpenCode itself; then it gets ours.
    ensure!(
        workspace.ready().await.is_err(),
        "the desktop started an OpenCode of its own"
    );
    let password = SecretString::from(opencode.password().to_owned());
    let client = Client::new(ClientConfig::new(
        format!("http://{}", proxy.address()),
        password,
    ))?;
    desktop.host().attach(Arc::new(client));

    let thread = workspace.create_thread(NewThread::default()).await?;
    let runtime_session = desktop.host().open(&thread, None, folder).await?;
    desktop
        .log()
        .bind_runtime(&key(&thread), &runtime_session)
        .await?;
    let session = runtime_session.as_str().to_owned();
    let before = Used::of(database).await?;

    let (url, path) = (url.to_owned(), format!("/chats/{thread}/events?after=0"));
    let (connected, connection) = oneshot::channel();
    let reader = tokio::task::spawn_blocking(move || read_page(&url, &path, connected));
    connection.await.context("the page can't be opened")?;
    eprintln!(
        "bench latency: streaming {count} deltas, {:.0} s",
        count as f64 * PACE_MS / 1e3
    );
    // OpenCode orders messages by id, so a prompt's id must be older than the answer's.
    let command = format!(
        "{:012x}00000000000000",
        ((clock() as u64) << 12) & 0xffff_ffff_ffff
    );
    let prompt = TurnPrompt {
        command: command.into(),
        text: "Please count. [[script:pace]]".to_owned(),
        agent: None,
        model: None,
        maybe_sent: false,
        attempt: 1,
    };
    let relay = Relay::start().await?;
    desktop.host().prompt(&thread, prompt).await?;
    let frames = tokio::time::timeout(
        PATIENCE + Duration::from_secs_f64(count as f64 * PACE_MS / 1e3),
        reader,
    );
    let frames = frames.await.context("the turn did not end")???;
    Ok(Turned {
        thread,
        session,
        frames,
        relay: relay.finish()?,
        before,
    })
}

/// Every frame of the chat until the turn is over.
fn read_page(url: &str, path: &str, connected: oneshot::Sender<()>) -> anyhow::Result<Vec<Frame>> {
    let browser = Browser::enter(url)?;
    let mut follow = browser.follow(path)?;
    let _ = connected.send(());
    let (mut frames, mut busy) = (Vec::new(), false);
    while let Some(frame) = follow.next()? {
        let says = |on: &str| frame.data.contains(&format!("\"op\":\"busy\",\"on\":{on}"));
        busy |= says("true");
        let over = busy && says("false");
        frames.push(frame);
        if over {
            return Ok(frames);
        }
    }
    bail!("the page's stream ended before the turn")
}

/// Answer text that went out together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Flush {
    /// Bytes of the answer with it.
    end: usize,
    /// When the log let it out.
    taken: f64,
    /// When the browser had it.
    shown: f64,
}

/// The answer's events, each with the frame that showed it first.
fn flushes(events: &[Arc<SessionEventRecord>], frames: &[Frame]) -> anyhow::Result<Vec<Flush>> {
    let mut flushes = Vec::new();
    let mut end = 0;
    for event in events
        .iter()
        .filter(|event| event.kind == EventType::AssistantMessage)
    {
        let field = |name: &str| {
            event
                .payload
                .get(name)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
        };
        if field("mode") != "append" {
            continue; // the finished part, said once more
        }
        let text = field("content");
        end += text.len();
        let frame = frames
            .iter()
            .find(|frame| frame.kind == "patch" && frame.id >= Some(event.sequence));
        let frame = frame
            .with_context(|| format!("no frame of the page stands for event {}", event.sequence))?;
        let word = text.split_whitespace().last().unwrap_or_default();
        ensure!(
            frame.data.contains(word),
            "the frame of event {} doesn't hold its text",
            event.sequence
        );
        let taken: jiff::Timestamp = event.created_at.parse().context("an event has no time")?;
        flushes.push(Flush {
            end,
            taken: taken.as_millisecond() as f64,
            shown: frame.at,
        });
    }
    Ok(flushes)
}

/// Deltas are bytes and time of arrival.
fn latencies(deltas: &[(usize, f64)], flushes: &[Flush]) -> anyhow::Result<Vec<Latency>> {
    let mut end = 0;
    let mut latencies = Vec::with_capacity(deltas.len());
    for (bytes, arrived) in deltas {
        end += bytes;
        let at = flushes.partition_point(|flush| flush.end < end);
        let flush = flushes
            .get(at)
            .context("the page never showed the end of the answer")?;
        // A window may end early: any other event lets waiting text out first.
        let window_end = at.checked_sub(1).map_or(0.0, |before| {
            (flushes[before].taken + WINDOW_MS).min(flush.taken)
        });
        latencies.push(Latency {
            due: flush.shown - arrived.max(window_end),
            arrival: flush.shown - arrived,
        });
    }
    Ok(latencies)
}

async fn events(database: &Path, key: &SessionKey) -> anyhow::Result<Vec<Arc<SessionEventRecord>>> {
    let store = SqliteStore::open(database, SqliteOptions::default()).await?;
    let mut events = Vec::new();
    loop {
        let after = events
            .last()
            .map_or(0, |event: &Arc<SessionEventRecord>| event.sequence);
        let page = store.list_events(key, after, 1_000).await?;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    store.close().await;
    Ok(events)
}

pub(crate) fn key(thread: &SessionId) -> SessionKey {
    SessionKey::new("local", thread.clone())
}

fn figures(run: Run) -> anyhow::Result<Vec<Figure>> {
    let Run {
        latencies,
        used,
        transcript,
        events,
        mut relay,
    } = run;
    let mut due: Vec<f64> = latencies.iter().map(|latency| latency.due).collect();
    let mut arrival: Vec<f64> = latencies.iter().map(|latency| latency.arrival).collect();
    let of = |values: &mut Vec<f64>, share: f64| {
        percentile(values, share).context("nothing was measured")
    };
    let per_byte = |bytes: i64| bytes as f64 / transcript.max(1) as f64;
    Ok(vec![
        Figure::new("OpenCode to browser, p50", of(&mut due, 0.5)?, "ms")
            .target(Target::AtMost(3.0))
            .baseline(of(&mut relay, 0.5)?)
            .note("durable write included; from the later of arrival and window end; baseline: a bare relay beside it, socket to synced file to socket"),
        Figure::new("OpenCode to browser, p99", of(&mut due, 0.99)?, "ms")
            .target(Target::AtMost(20.0))
            .baseline(of(&mut relay, 0.99)?),
        Figure::new("the same with the window, p50", of(&mut arrival, 0.5)?, "ms")
            .note("from arrival, so up to 60 ms of it are the window that joins deltas"),
        Figure::new("the same with the window, p99", of(&mut arrival, 0.99)?, "ms"),
        Figure::new("durable bytes per transcript byte", per_byte(used.total()), "bytes")
            .target(Target::AtMost(3.0))
            .note(format!(
                "{} deltas of about 5 bytes in {events} events, {transcript} bytes of transcript",
                latencies.len()
            )),
        Figure::new("  rows of events", per_byte(used.events), "bytes"),
        Figure::new("  indexes of events", per_byte(used.indexes), "bytes"),
        Figure::new("  snapshots", per_byte(used.snapshots), "bytes"),
        Figure::new("  everything else", per_byte(used.other), "bytes"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(deltas: &[(usize, f64)], flushes: &[Flush]) -> Vec<f64> {
        latencies(deltas, flushes)
            .unwrap()
            .iter()
            .map(|latency| latency.due)
            .collect()
    }

    #[test]
    fn the_first_delta_counts_from_its_arrival_and_waiting_ones_from_the_end_of_the_window() {
        let flushes = [
            Flush {
                end: 5,
                taken: 1_000.0,
                shown: 1_002.0,
            },
            Flush {
                end: 15,
                taken: 1_061.0,
                shown: 1_064.0,
            },
        ];
        assert_eq!(
            due(&[(5, 999.0), (5, 1_010.0), (5, 1_030.0)], &flushes),
            [3.0, 4.0, 4.0]
        );
    }

    #[test]
    fn a_delta_after_its_window_counts_from_its_arrival() {
        let flushes = [
            Flush {
                end: 5,
                taken: 1_000.0,
                shown: 1_002.0,
            },
            Flush {
                end: 10,
                taken: 1_200.0,
                shown: 1_207.0,
            },
        ];
        assert_eq!(due(&[(5, 999.0), (5, 1_199.0)], &flushes), [3.0, 8.0]);
    }

    #[test]
    fn a_window_that_another_event_ended_early_counts_from_there() {
        let flushes = [
            Flush {
                end: 5,
                taken: 1_000.0,
                shown: 1_001.0,
            },
            Flush {
                end: 10,
                taken: 1_020.0,
                shown: 1_025.0,
            },
        ];
        assert_eq!(due(&[(5, 1_000.0), (5, 1_010.0)], &flushes), [1.0, 5.0]);
    }

    #[test]
    fn text_that_no_frame_shows_is_an_error() {
        let flushes = [Flush {
            end: 5,
            taken: 1_000.0,
            shown: 1_001.0,
        }];
        assert!(latencies(&[(5, 1_000.0), (5, 1_010.0)], &flushes).is_err());
    }
}
