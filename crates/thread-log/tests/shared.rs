//! Several processes on one store: what one appends the others show, and none shows what is old.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use futures::{FutureExt, StreamExt};
use open_cowork_providers::bus::{EventBus, LocalBus, Topic};
use open_cowork_providers::store::SessionStore;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{SessionChange, ThreadLog, ThreadLogOptions, Update, WorkspaceUpdate};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use world::*;

/// A wake-up never arrives.
struct DeafBus(broadcast::Sender<Topic>);

impl DeafBus {
    fn new() -> Arc<Self> {
        Arc::new(DeafBus(broadcast::Sender::new(1)))
    }
}

impl EventBus for DeafBus {
    fn publish(&self, _topic: Topic) {}
    fn subscribe(&self) -> broadcast::Receiver<Topic> {
        self.0.subscribe()
    }
    fn subscribe_remote(&self) -> broadcast::Receiver<Topic> {
        self.0.subscribe()
    }
    fn is_connected(&self) -> bool {
        false
    }
}

const NEVER: Duration = Duration::from_secs(3600);

fn options(bus: Arc<dyn EventBus>, poll: Duration) -> ThreadLogOptions {
    ThreadLogOptions {
        bus,
        shared: true,
        poll,
        poll_connected: poll,
        ..ThreadLogOptions::default()
    }
}

/// The logs of two processes over one file with the session `s`, and the store of the second.
struct Two {
    one: ThreadLog,
    other: ThreadLog,
    store: Arc<FaultyStore>,
    _folder: tempfile::TempDir,
}

async fn two(one: Arc<dyn EventBus>, other: Arc<dyn EventBus>, poll: Duration) -> Two {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("threads.db");
    let open = async || {
        let store = SqliteStore::open(&path, SqliteOptions::default()).await;
        Arc::new(store.unwrap())
    };
    let (first, second) = (open().await, open().await);
    first.create_session(new_session("s")).await.unwrap();
    let store = FaultyStore::over(second);
    Two {
        one: ThreadLog::new(first, options(one, poll)),
        other: ThreadLog::new(store.clone(), options(other, poll)),
        store,
        _folder: folder,
    }
}

async fn connected() -> Two {
    let bus = LocalBus::default();
    let other = bus.another();
    two(Arc::new(bus), Arc::new(other), NEVER).await
}

async fn deaf(poll: Duration) -> Two {
    two(DeafBus::new(), DeafBus::new(), poll).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_shows_what_another_process_appends() {
    let two = connected().await;
    let mut stream = two.other.subscribe(&key("s"), 0).await.unwrap();
    for n in 1..=20 {
        let text = n.to_string();
        two.one
            .append(&key("s"), vec![prompt(&text)])
            .await
            .unwrap();
        let event = next_events(&mut stream, 1).await.remove(0);
        assert_eq!((event.sequence, text_of(&event)), (n, text));
    }
    assert!(stream.next().now_or_never().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_wake_up_costs_one_poll_interval() {
    let poll = Duration::from_millis(200);
    let two = deaf(poll).await;
    let mut stream = two.other.subscribe(&key("s"), 0).await.unwrap();
    let mut workspace = two.other.subscribe_workspace(&scope(), 0);
    for n in 0..3 {
        let start = Instant::now();
        two.one
            .append(&key("s"), vec![prompt(&n.to_string())])
            .await
            .unwrap();
        next_events(&mut stream, 1).await;
        let Some(WorkspaceUpdate::Event(event)) = workspace.next().await else {
            panic!("no workspace event");
        };
        assert_eq!(event.sequence, n + 1);
        // Generous, for a machine that is busy with other tests.
        assert!(start.elapsed() < poll * 10, "{:?}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_never_older_than_a_commit_before_it() {
    let two = deaf(NEVER).await;
    two.other
        .read(&key("s"), |state| state.sequence)
        .await
        .unwrap();
    for n in 1..=30 {
        two.one.append(&key("s"), vec![prompt("x")]).await.unwrap();
        let seen = two
            .other
            .read(&key("s"), |state| state.sequence)
            .await
            .unwrap();
        assert_eq!(seen, n);
        let envelope = two.other.snapshot(&key("s")).await.unwrap();
        assert_eq!(envelope.projection.unwrap().sequence, n);
    }
    // What no event stands for, too.
    let closed = open_cowork_contracts::SessionStatus::Closed;
    two.one.set_status(&key("s"), closed).await.unwrap();
    let seen = two.other.snapshot(&key("s")).await.unwrap();
    assert_eq!(seen.session.status, closed);
    assert_eq!(view(&two.other, "s").await, folded(&*two.store, "s").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_from_a_cursor_that_another_process_gave_out_is_no_reset() {
    let two = deaf(NEVER).await;
    two.other
        .read(&key("s"), |state| state.sequence)
        .await
        .unwrap();
    two.one
        .append(&key("s"), vec![prompt("a"), prompt("b")])
        .await
        .unwrap();
    let mut stream = two.other.subscribe(&key("s"), 1).await.unwrap();
    assert_eq!(next_events(&mut stream, 1).await[0].sequence, 2);
    let mut ahead = two.other.subscribe(&key("s"), 9).await.unwrap();
    assert_eq!(ahead.next().await, Some(Update::Reset { sequence: 2 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_at_the_same_time_share_their_questions() {
    let two = deaf(NEVER).await;
    two.other
        .read(&key("s"), |state| state.sequence)
        .await
        .unwrap();
    let before = two.store.row_reads.load(Ordering::SeqCst);
    let key = key("s");
    let readers = (0..200).map(|_| two.other.read(&key, |state| state.sequence));
    for read in futures::future::join_all(readers).await {
        read.unwrap();
    }
    let asked = two.store.row_reads.load(Ordering::SeqCst) - before;
    assert!(asked <= 3, "{asked} questions for 200 readers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_followers_of_a_workspace_cost_one_read() {
    let two = connected().await;
    let mut streams: Vec<_> = (0..300)
        .map(|_| two.other.subscribe_workspace(&scope(), 0))
        .collect();
    two.one
        .append(&key("s"), vec![prompt("first")])
        .await
        .unwrap();
    for stream in &mut streams {
        assert!(matches!(
            stream.next().await,
            Some(WorkspaceUpdate::Event(_))
        ));
    }
    let before = two.store.workspace_reads.load(Ordering::SeqCst);
    let all = tokio::spawn(async move {
        futures::future::join_all(streams.iter_mut().map(|stream| stream.next())).await
    });
    two.one
        .append(&key("s"), vec![prompt("second")])
        .await
        .unwrap();
    let updates = all.await.unwrap();
    assert!(updates.iter().all(
        |update| matches!(update, Some(WorkspaceUpdate::Event(event)) if event.sequence == 2)
    ));
    let read = two.store.workspace_reads.load(Ordering::SeqCst) - before;
    assert!(read <= 5, "{read} reads for 300 followers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_thread_list_follows_what_another_process_does() {
    let two = connected().await;
    let mut changes = two.other.subscribe_sessions(&scope());
    assert!(changes.next().now_or_never().is_none());
    let asked = event("permission.requested", serde_json::json!({ "id": "p" }));
    two.one
        .append(&key("s"), vec![delta("m", "mere text"), asked])
        .await
        .unwrap();
    let Some(SessionChange::Row(row)) = changes.next().await else {
        panic!("no row");
    };
    assert_eq!((row.session.session_id.as_str(), row.waiting), ("s", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_append_to_one_thread_agree() {
    let two = connected().await;
    let writers = [&two.one, &two.other].map(|log| {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                let message = format!("m{}", n / 5);
                let events = match n % 5 {
                    4 => vec![prompt("again")],
                    _ => vec![delta(&message, "x")],
                };
                log.append(&key("s"), events).await.unwrap();
            }
            log.flush(&key("s")).await.unwrap();
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let expected = folded(&*two.store, "s").await;
    assert_eq!(view(&two.one, "s").await, expected);
    assert_eq!(view(&two.other, "s").await, expected);
    two.other.close().await;
    two.one.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_thread_that_left_memory_is_still_followed() {
    let bus = LocalBus::default();
    let other = Arc::new(bus.another());
    let two = two(Arc::new(bus), other.clone(), NEVER).await;
    let small = ThreadLogOptions {
        max_threads: 1,
        ..options(other, NEVER)
    };
    let small = ThreadLog::new(two.store.clone(), small);
    let mut stream = small.subscribe(&key("s"), 0).await.unwrap();
    two.one.create_session(new_session("s2")).await.unwrap();
    small
        .read(&key("s2"), |state| state.sequence)
        .await
        .unwrap();
    two.one.append(&key("s"), vec![prompt("a")]).await.unwrap();
    assert_eq!(text_of(&next_events(&mut stream, 1).await[0]), "a");
}
