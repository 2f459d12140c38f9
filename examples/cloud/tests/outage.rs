//! The database goes away under load and comes back: no acknowledged write is missing, none is there twice, and
//! streams go on by themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use futures::StreamExt as _;
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::postgres::{Durability, Postgres};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{Node, PATIENCE, Person, configuration, free_port, ready};
use tokio::sync::Mutex;

/// How often each artifact was seen, by its file name.
type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_database_that_goes_away_loses_nothing_and_streams_heal() {
    let mut database = Postgres::start(Durability::Durable).await.unwrap();
    let model = ScriptedModel::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let config = configuration(folder.path(), &model);
    let mut web = Node::new(
        "web",
        folder.path(),
        &[
            ("ROLE", "web"),
            ("HOST", "127.0.0.1"),
            ("PORT", &port),
            ("ROOT", folder.path().join("root").to_str().unwrap()),
            ("CONTROL_PLANE_URL", &database.url()),
            ("OPEN_COWORK_CONFIG_PATH", config.to_str().unwrap()),
            ("AUTH_MODE", "header"),
            ("HEADER_AUTH_ALLOW_UNSIGNED", "true"),
            ("HTTP_RATE_LIMIT_ENABLED", "false"),
            ("ABUSE_ENABLED", "false"),
        ],
    );
    web.start();
    let base = format!("http://127.0.0.1:{port}");
    ready(&base).await;

    let person = Person::new(&base, "user");
    let made = person.post("/api/sessions", &json!({})).await.unwrap();
    let session = made["session"]["sessionId"].as_str().unwrap().to_owned();
    let path = format!("/api/sessions/{session}/events");
    let mut streams = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    for _ in 0..8 {
        let response = person.stream(&path).await.unwrap();
        assert_eq!(response.status(), 200);
        let mine = Seen::default();
        seen.push(mine.clone());
        streams.push(tokio::spawn(follow(response, mine)));
    }

    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (person, session, stop, acknowledged) = (
            person.clone(),
            session.clone(),
            stop.clone(),
            acknowledged.clone(),
        );
        writers.push(tokio::spawn(async move {
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                let name = format!("w{writer}-{turn}.txt");
                let body =
                    json!({ "filename": name, "contentType": "text/plain", "dataBase64": "aGk=" });
                let made = person
                    .post(&format!("/api/sessions/{session}/artifacts"), &body)
                    .await;
                made.unwrap_or_else(|refused| panic!("{name} was refused: {refused:?}"));
                acknowledged.lock().await.push(name);
            }
        }));
    }

    for _ in 0..2 {
        more(&acknowledged).await;
        database.stop().await;
        // While it is gone a change is refused at once and says when to come back.
        let started = Instant::now();
        let refused = reqwest::Client::new()
            .post(format!("{base}/api/sessions"))
            .header("x-open-cowork-tenant-id", "acme")
            .header("x-open-cowork-user-id", "user")
            .header("x-open-cowork-user-email", "user@example.test")
            .json(&json!({}))
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), 503, "{:?}", refused.text().await);
        assert!(refused.headers().contains_key("retry-after"));
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?}",
            started.elapsed()
        );
        database.start_again().await.unwrap();
    }
    more(&acknowledged).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }

    let acknowledged = acknowledged.lock().await.clone();
    for seen in &seen {
        let started = Instant::now();
        loop {
            let seen = seen.lock().await;
            if acknowledged.iter().all(|name| seen.contains_key(name)) {
                assert!(
                    seen.values().all(|times| *times == 1),
                    "seen twice: {seen:?}"
                );
                break;
            }
            let missing: Vec<_> = acknowledged
                .iter()
                .filter(|name| !seen.contains_key(*name))
                .collect();
            drop(seen);
            assert!(started.elapsed() < PATIENCE, "a stream misses {missing:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for stream in &streams {
        assert!(
            !stream.is_finished(),
            "a stream ended instead of waiting for the database"
        );
    }
    let view = person
        .read(&format!("/api/sessions/{session}/artifacts"))
        .await;
    let stored = view["artifacts"].as_array().unwrap();
    for name in &acknowledged {
        let times = stored
            .iter()
            .filter(|artifact| artifact["filename"] == name.as_str())
            .count();
        assert_eq!(times, 1, "{name} is stored {times} times");
    }
    streams.iter().for_each(tokio::task::JoinHandle::abort);
    web.stop();
}

/// Waits until more was acknowledged.
async fn more(acknowledged: &Mutex<Vec<String>>) {
    let wanted = acknowledged.lock().await.len() + 40;
    let started = Instant::now();
    while acknowledged.lock().await.len() < wanted {
        assert!(started.elapsed() < PATIENCE, "the writers stand still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads one stream for as long as it lasts.
async fn follow(response: reqwest::Response, seen: Seen) {
    let mut bytes = response.bytes_stream();
    let mut text = String::new();
    while let Some(Ok(chunk)) = bytes.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = text.find("\n\n") {
            let frame: String = text.drain(..end + 2).collect();
            let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
            let Some(event) =
                data.and_then(|data| serde_json::from_str::<serde_json::Value>(data).ok())
            else {
                continue;
            };
            if event["type"] == "artifact.created" {
                let name = event["payload"]["filename"].as_str().unwrap().to_owned();
                *seen.lock().await.entry(name).or_default() += 1;
            }
        }
    }
}
