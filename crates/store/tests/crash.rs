//! What was acknowledged survives `kill -9`: the test runs itself as a child that appends and prunes, and kills it.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use futures::future::join_all;
use open_cowork_contracts::EventType;
use open_cowork_providers::store::{
    AppendRequest, EventStore, NewEvent, NewSession, RetentionStore, SessionKey, SessionStore,
    Snapshot,
};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{SqliteOptions, SqliteStore};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Set in the child: the database to write to.
const DATABASE: &str = "OPEN_COWORK_CRASH_DATABASE";
const APPENDERS: usize = 4;

fn session(appender: usize) -> String {
    format!("s{appender}")
}

#[test]
fn acknowledged_events_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("threads.db");
    let mut acknowledged = [0; APPENDERS];
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "the_child_appends_until_it_is_killed",
                "--exact",
                "--nocapture",
            ])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < 150 * round {
            let line = lines.next().unwrap().unwrap();
            let Some(ack) = line.strip_prefix("ack ") else {
                continue;
            };
            let (appender, sequence) = ack.split_once(' ').unwrap();
            acknowledged[appender.parse::<usize>().unwrap()] = sequence.parse().unwrap();
            heard += 1;
        }
        child.kill().unwrap();
        // What it had written to the pipe before it died was acknowledged too.
        for line in lines.map_while(Result::ok) {
            let Some((appender, sequence)) = line
                .strip_prefix("ack ")
                .and_then(|ack| ack.split_once(' '))
            else {
                continue;
            };
            if let (Ok(appender), Ok(sequence)) = (appender.parse::<usize>(), sequence.parse()) {
                acknowledged[appender] = acknowledged[appender].max(sequence);
            }
        }
        child.wait().unwrap();

        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(&path, SqliteOptions::default())
                .await
                .unwrap();
            for (appender, acknowledged) in acknowledged.iter().enumerate() {
                let key = SessionKey::new("t", session(appender));
                let stats = store.event_stats(&key).await.unwrap();
                assert!(
                    stats.latest_sequence >= *acknowledged,
                    "{stats:?}, acknowledged {acknowledged}"
                );
                // The last of the appenders is pruned all the time: base and events are one, whenever it died.
                let base = store.base(&key).await.unwrap();
                let base = base.map_or(0, |base| {
                    assert_eq!(base.view, format!("[{}]", base.sequence));
                    base.sequence
                });
                assert_eq!(base > 0, appender == APPENDERS - 1, "{base}");
                assert_eq!(base + stats.count, stats.latest_sequence, "no gap");
                let first = store.list_events(&key, 0, 1).await.unwrap();
                assert!(first.first().is_none_or(|first| first.sequence == base + 1));
                let row = store.session(&key).await.unwrap().unwrap();
                assert_eq!(
                    row.last_sequence, stats.latest_sequence,
                    "counters and rows agree"
                );
            }
            store.close().await;
        });
    }
}

/// Does nothing unless it runs as the child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    let store = Arc::new(
        SqliteStore::open(path, SqliteOptions::default())
            .await
            .unwrap(),
    );
    let appending = join_all((0..APPENDERS).map(|appender| append_forever(&store, appender)));
    futures::future::join(appending, prune_forever(&store, APPENDERS - 1)).await;
}

async fn prune_forever(store: &SqliteStore, appender: usize) {
    let key = SessionKey::new("t", session(appender));
    loop {
        let step = store.plan_prune(&key, Timestamp::now(), 7).await.unwrap();
        let Some(step) = step else {
            tokio::task::yield_now().await;
            continue;
        };
        let base = Snapshot {
            sequence: step.through,
            projector_version: 1,
            view: format!("[{}]", step.through),
            updated_at: String::new(),
        };
        store.prune_events(&key, step, base).await.unwrap();
    }
}

async fn append_forever(store: &SqliteStore, appender: usize) {
    let new = NewSession {
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: session(appender).into(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        ..NewSession::default()
    };
    store.create_session(new).await.unwrap();
    loop {
        let event = NewEvent {
            event_id: None,
            kind: EventType::PromptSubmitted,
            payload: serde_json::Map::from_iter([("text".to_owned(), "x".into())]),
            created_at: "2026-01-01T00:00:00.000Z".into(),
        };
        let key = SessionKey::new("t", session(appender));
        let request = AppendRequest {
            key,
            events: [event].into(),
            fence: None,
        };
        let sequence = store.append(request).await.unwrap().row.last_sequence;
        println!("ack {appender} {sequence}");
    }
}
