//! Streams on a real socket: cursors, gaps, ends that clients notice, limits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use futures::StreamExt;
use open_cowork_cloud_client::{CloudClient, Update};
use open_cowork_cloud_server::LocalOwner;
use open_cowork_cloud_server::server::{Bounds, serve};
use open_cowork_contracts::api::sessions::CreateSession;
use open_cowork_contracts::{EventType, RuntimeEvent};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::store::SessionKey;
use open_cowork_providers::time::Timestamp;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use support::{World, world, world_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const ME: &str = "member@own";

/// Longest wait for something that must happen.
const SOON: Duration = Duration::from_secs(20);

struct Served {
    world: World,
    address: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn served(world: World) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let bounds = Bounds {
        grace: Duration::from_secs(5),
        stall: Duration::from_millis(500),
        head: Duration::from_millis(500),
        ..Bounds::default()
    };
    let server = tokio::spawn(serve(listener, world.router.clone(), bounds, stop.clone()));
    Served {
        world,
        address,
        stop,
        server,
    }
}

impl Served {
    async fn thread(&self) -> (String, SessionKey) {
        let made = self.world.call(ME, "POST", "/api/sessions", None).await;
        let id = made.json()["session"]["sessionId"]
            .as_str()
            .unwrap()
            .to_owned();
        let key = SessionKey::new("own", id.as_str());
        (id, key)
    }

    async fn say(&self, key: &SessionKey, text: &str) {
        let event = RuntimeEvent::new(
            EventType::PromptSubmitted,
            json!({"commandId": text, "messageId": text, "text": text, "agent": "build"}),
        );
        self.world.log.append(key, vec![event]).await.unwrap();
    }

    async fn follow(&self, who: &str, path: &str, last: Option<&str>) -> Follower {
        let client = reqwest::Client::new();
        let mut request = client
            .get(format!("http://{}{path}", self.address))
            .header("x-test-principal", who);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        Follower {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.bytes_stream().boxed(),
            buffer: String::new(),
        }
    }
}

struct Follower {
    status: u16,
    headers: reqwest::header::HeaderMap,
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: String,
}

#[derive(Debug, PartialEq)]
enum Heard {
    Frame {
        id: String,
        event: String,
        data: Value,
    },
    Comment(String),
    /// The body was cut, not ended.
    Cut,
    Ended,
}

impl Follower {
    async fn next(&mut self) -> Heard {
        tokio::time::timeout(SOON, self.heard())
            .await
            .expect("nothing came")
    }

    async fn heard(&mut self) -> Heard {
        loop {
            if let Some(at) = self.buffer.find("\n\n") {
                let block = self.buffer[..at].to_owned();
                self.buffer.drain(..at + 2);
                if let Some(comment) = block.strip_prefix(": ") {
                    return Heard::Comment(comment.to_owned());
                }
                let field = |name: &str| {
                    let mut lines = block.lines();
                    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    found.unwrap_or_default().to_owned()
                };
                return Heard::Frame {
                    id: field("id"),
                    event: field("event"),
                    data: serde_json::from_str(&field("data")).unwrap_or(Value::Null),
                };
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => self.buffer.push_str(std::str::from_utf8(&bytes).unwrap()),
                Some(Err(_)) => return Heard::Cut,
                None => return Heard::Ended,
            }
        }
    }

    /// The next frame's id, type and data; comments are skipped.
    async fn frame(&mut self) -> (String, String, Value) {
        loop {
            match self.next().await {
                Heard::Comment(_) => {}
                Heard::Frame { id, event, data } => return (id, event, data),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ends_by(&mut self, expected: Heard) {
        loop {
            let heard = self.next().await;
            if heard == expected {
                return;
            }
            assert!(
                matches!(heard, Heard::Comment(_) | Heard::Frame { .. }),
                "{heard:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_follower_gets_the_backlog_then_what_happens() {
    let served = served(world().await).await;
    let (id, key) = served.thread().await;
    let path = format!("/api/sessions/{id}/events");
    served.say(&key, "one").await;
    let mut follower = served.follow(ME, &path, None).await;
    assert_eq!(follower.status, 200);
    assert_eq!(
        follower.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(follower.headers["cache-control"], "no-store, no-transform");
    assert_eq!(follower.headers["x-accel-buffering"], "no");
    assert!(follower.headers.contains_key("x-open-cowork-stream-epoch"));
    assert_eq!(follower.next().await, Heard::Comment("connected".into()));
    assert_eq!(follower.frame().await.1, "session.created");
    let (id1, kind, data) = follower.frame().await;
    assert_eq!(
        (id1.as_str(), kind.as_str(), &data["payload"]["text"]),
        ("2", "prompt.submitted", &json!("one"))
    );
    served.say(&key, "two").await;
    assert_eq!(follower.frame().await.2["payload"]["text"], "two");
    // The larger of both cursors counts.
    let mut later = served
        .follow(ME, &format!("{path}?after=1"), Some("2"))
        .await;
    assert_eq!(later.frame().await.0, "3");
}

/// Else every reconnect to another process would cost its client a look at the whole.
#[tokio::test]
async fn processes_on_one_database_tell_the_same_epoch_and_another_database_tells_another() {
    let one = served(world().await).await;
    let shares = |services: &mut open_cowork_cloud_server::Services| {
        services.store = one.world.store.clone();
        services.log = one.world.log.clone();
    };
    let peer = served(world_with(shares).await).await;
    let other = served(world().await).await;
    let epoch = async |served: &Served| {
        let follower = served.follow(ME, "/api/events", None).await;
        follower.headers["x-open-cowork-stream-epoch"].clone()
    };
    let first = epoch(&one).await;
    assert_eq!(epoch(&one).await, first);
    assert_eq!(epoch(&peer).await, first);
    assert_ne!(epoch(&other).await, first);
}

#[tokio::test]
async fn a_cursor_ahead_of_the_log_is_told_and_then_follows() {
    let served = served(world().await).await;
    let (id, key) = served.thread().await;
    let mut follower = served
        .follow(ME, &format!("/api/sessions/{id}/events?after=90"), None)
        .await;
    let (frame, kind, data) = follower.frame().await;
    assert_eq!((frame.as_str(), kind.as_str()), ("1", "snapshot.required"));
    assert_eq!(data["sequence"], 90);
    assert_eq!(data["payload"]["reason"], "cursor_ahead");
    assert_eq!(data["payload"]["latestSequence"], 1);
    served.say(&key, "next").await;
    assert_eq!(follower.frame().await.0, "2");
}

/// Removes the first events of a thread, however young.
async fn prune(served: &Served, key: &SessionKey, events: u32) {
    let before = Timestamp::now() + Duration::from_secs(3600);
    let pruned = served.world.log.prune(key, before, events).await.unwrap();
    assert_eq!(pruned, u64::from(events));
}

/// A thread that isn't busy, so that its events may be removed: five of them.
async fn quiet_thread(served: &Served) -> (String, SessionKey) {
    let (id, key) = served.thread().await;
    for text in ["one", "two", "three"] {
        served.say(&key, text).await;
    }
    let idle = RuntimeEvent::new(EventType::SessionIdle, json!({}));
    served.world.log.append(&key, vec![idle]).await.unwrap();
    (id, key)
}

#[tokio::test]
async fn a_cursor_before_what_retention_left_is_told_once_and_then_follows() {
    let served = served(world().await).await;
    let (id, key) = quiet_thread(&served).await;
    prune(&served, &key, 3).await;
    let session = format!("/api/sessions/{id}/events");
    for (path, entity, own) in [
        (session.as_str(), "session", id.as_str()),
        ("/api/events", "workspace", "workspace"),
    ] {
        let mut follower = served.follow(ME, path, Some("1")).await;
        let (frame, kind, data) = follower.frame().await;
        assert_eq!((frame.as_str(), kind.as_str()), ("5", "snapshot.required"));
        let expected = json!({
            "reason": "event_retention_gap", "afterSequence": 1, "earliestSequence": 4, "latestSequence": 5,
        });
        assert_eq!(data["payload"], expected);
        assert_eq!(data["sequence"], 1);
        assert_eq!(data["projectionVersion"], 1);
        assert_eq!(data["eventId"], "snapshot-required:1");
        assert_eq!(
            (&data["entityType"], &data["entityId"]),
            (&json!(entity), &json!(own))
        );
        // What is left is replayed from the beginning, and to whoever stands right before it.
        for cursor in [None, Some("3")] {
            let mut follower = served.follow(ME, path, cursor).await;
            assert_eq!(follower.frame().await.0, "4");
            assert_eq!(follower.frame().await.0, "5");
        }
        // Whoever comes back with the frame's id is past the gap.
        let mut back = served.follow(ME, path, Some("5")).await;
        assert_eq!(back.next().await, Heard::Comment("connected".into()));
    }
    let mut behind = served.follow(ME, &session, Some("1")).await;
    assert_eq!(behind.frame().await.0, "5");
    served.say(&key, "next").await;
    assert_eq!(behind.frame().await.0, "6");

    let view = served
        .world
        .call(ME, "GET", &format!("/api/sessions/{id}"), None)
        .await;
    let projection = &view.json()["projection"];
    assert_eq!(projection["sequence"], 6);
    let messages = projection["view"]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4, "the view keeps what its events said");
    let path = format!("/api/sessions/{id}/projection-status");
    let status = served.world.call("local@own", "GET", &path, None).await;
    assert_eq!(
        (&status.json()["baseSequence"], &status.json()["eventCount"]),
        (&json!(3), &json!(3))
    );
}

#[tokio::test]
async fn a_client_recovers_when_retention_removed_what_it_had_not_read() {
    let world = world_with(|services| {
        services.authenticator = std::sync::Arc::new(LocalOwner::default());
    })
    .await;
    let served = served(world).await;
    let client = CloudClient::builder(format!("http://{}", served.address))
        .build()
        .unwrap();
    let made = client
        .sessions()
        .create(&CreateSession::default())
        .await
        .unwrap()
        .session;
    let key = SessionKey::new(made.tenant_id.clone(), made.session_id.clone());
    served.say(&key, "one").await;
    served.say(&key, "two").await;
    let idle = RuntimeEvent::new(EventType::SessionIdle, json!({}));
    served.world.log.append(&key, vec![idle]).await.unwrap();
    prune(&served, &key, 4).await;
    served.say(&key, "three").await;

    let mut follow = client.sessions().follow_after(&made.session_id, 2);
    let update = tokio::time::timeout(SOON, follow.next()).await.unwrap();
    let Some(Ok(Update::Snapshot(snapshot))) = update else {
        panic!("{update:?}");
    };
    let projection = snapshot.projection.unwrap();
    assert_eq!(
        (projection.sequence, projection.view.messages.len()),
        (5, 3)
    );
    served.say(&key, "four").await;
    let update = tokio::time::timeout(SOON, follow.next()).await.unwrap();
    let Some(Ok(Update::Event(event))) = update else {
        panic!("{update:?}");
    };
    assert_eq!(
        (event.sequence, &event.payload["text"]),
        (6, &json!("four"))
    );
}

#[tokio::test]
async fn the_workspace_begins_with_a_snapshot_when_asked() {
    let served = served(world().await).await;
    let (id, key) = served.thread().await;
    served.say(&key, "one").await;
    let mut follower = served.follow(ME, "/api/events?snapshot=true", None).await;
    let (cursor, kind, data) = follower.frame().await;
    assert_eq!(
        (cursor.as_str(), kind.as_str()),
        ("2", "workspace.snapshot")
    );
    assert_eq!(data["sequence"], 2);
    assert_eq!(data["sessions"][0]["sessionId"], id);
    served.say(&key, "two").await;
    let (next, kind, data) = follower.frame().await;
    assert_eq!((next.as_str(), kind.as_str()), ("3", "prompt.submitted"));
    assert_eq!(data["entityType"], "session");
    assert_eq!(data["userId"], "user-own");
    // Others see nothing of it.
    let mut stranger = served.follow("member@foreign", "/api/events", None).await;
    assert_eq!(stranger.next().await, Heard::Comment("connected".into()));
    let foreign = served
        .follow(
            "member@foreign",
            &format!("/api/sessions/{id}/events"),
            None,
        )
        .await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn a_stream_is_kept_alive_and_cut_at_the_end_of_its_life() {
    let world = world_with(|services| {
        services.options.limits.keep_alive = Duration::from_millis(60);
        services.options.limits.stream_lifetime = Duration::from_millis(300);
    })
    .await;
    let served = served(world).await;
    let (id, _) = served.thread().await;
    let mut follower = served
        .follow(ME, &format!("/api/sessions/{id}/events?after=1"), None)
        .await;
    assert_eq!(follower.next().await, Heard::Comment("connected".into()));
    assert_eq!(follower.next().await, Heard::Comment("keep-alive".into()));
    follower.ends_by(Heard::Cut).await;
}

#[tokio::test]
async fn a_revoked_reader_is_cut_at_once_and_others_stay() {
    let served = served(world().await).await;
    let (id, key) = served.thread().await;
    let path = format!("/api/sessions/{id}/events?after=1");
    let mut follower = served.follow(ME, &path, None).await;
    let mut other = served.follow("member@foreign", "/api/events", None).await;
    assert_eq!(follower.next().await, Heard::Comment("connected".into()));
    served
        .world
        .principals
        .revoked
        .lock()
        .unwrap()
        .insert(ME.into());
    // Somebody else's credentials don't matter.
    served
        .world
        .cloud
        .bus
        .publish(Topic::Credentials("elsewhere".into()));
    served.say(&key, "still here").await;
    assert_eq!(follower.frame().await.2["payload"]["text"], "still here");
    served
        .world
        .cloud
        .bus
        .publish(Topic::Credentials("own".into()));
    follower.ends_by(Heard::Cut).await;
    assert_eq!(served.follow(ME, &path, None).await.status, 401);
    assert_eq!(other.next().await, Heard::Comment("connected".into()));
    assert_eq!(served.world.cloud.streams().count(), 1);
}

/// A thread whose next event is always there must not outlive its reader's rights.
#[tokio::test]
async fn a_reader_who_is_revoked_in_the_middle_of_a_long_backlog_gets_no_more_of_it() {
    // Less than a page, so that nothing but the client makes the stream wait.
    const EVENTS: usize = 600;
    let served = served(world().await).await;
    let (id, key) = served.thread().await;
    // Together more than the sockets between hold.
    let text = "x".repeat(48 * 1024);
    for batch in 0..EVENTS / 100 {
        let events = (0..100).map(|n| {
            let id = format!("{batch}-{n}");
            let payload = json!({"commandId": id, "messageId": id, "text": text, "agent": "build"});
            RuntimeEvent::new(EventType::PromptSubmitted, payload)
        });
        served
            .world
            .log
            .append(&key, events.collect())
            .await
            .unwrap();
    }
    let path = format!("/api/sessions/{id}/events");
    let mut follower = served.follow(ME, &path, None).await;
    follower.frame().await;
    let revoked = &served.world.principals.revoked;
    revoked.lock().unwrap().insert(ME.into());
    served
        .world
        .cloud
        .bus
        .publish(Topic::Credentials("own".into()));
    let mut frames = 1;
    loop {
        match follower.next().await {
            Heard::Frame { .. } => frames += 1,
            Heard::Comment(_) => {}
            Heard::Cut => break,
            Heard::Ended => panic!("a stream ends by being cut"),
        }
    }
    assert!(frames < EVENTS, "all of {frames} events came");
}

#[tokio::test]
async fn an_organisation_has_so_many_streams_and_no_more() {
    let world = world_with(|services| services.options.limits.streams_per_org = 2).await;
    let served = served(world).await;
    let first = served.follow(ME, "/api/events", None).await;
    let second = served
        .follow("token:desktop@own", "/api/events", None)
        .await;
    let mut refused = served.follow(ME, "/api/events", None).await;
    assert_eq!(
        (first.status, second.status, refused.status),
        (200, 200, 429)
    );
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.headers["connection"], "close");
    let Heard::Ended = refused.next().await else {
        panic!("a stream")
    };
    assert_eq!(
        served
            .follow("member@foreign", "/api/events", None)
            .await
            .status,
        200
    );
    drop(first);
    // The slot comes back when the server notices; a keep-alive would tell it at the latest.
    let mut tries = 0;
    while served.world.cloud.streams().count() > 2 && tries < 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tries += 1;
    }
    assert_eq!(served.follow(ME, "/api/events", None).await.status, 200);
}

#[tokio::test]
async fn draining_cuts_streams_refuses_new_ones_and_says_so() {
    let served = served(world().await).await;
    let mut follower = served.follow(ME, "/api/events", None).await;
    assert_eq!(follower.next().await, Heard::Comment("connected".into()));
    served.world.cloud.drain().await;
    follower.ends_by(Heard::Cut).await;
    let refused = served.follow(ME, "/api/events", None).await;
    assert_eq!(
        (
            refused.status,
            refused.headers["retry-after"].to_str().unwrap()
        ),
        (503, "1")
    );
    let ready = served.world.call(ME, "GET", "/readyz", None).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["checks"][0]["name"], "draining");
    assert_eq!(
        served
            .world
            .call(ME, "GET", "/api/config", None)
            .await
            .status,
        200
    );
    served.stop.cancel();
    tokio::time::timeout(SOON, served.server)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_cut_and_loses_nothing() {
    let served = served(world().await).await;
    let (id, key) = served.thread().await;
    let big = "x".repeat(60_000);
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "GET /api/sessions/{id}/events HTTP/1.1\r\nhost: x\r\nx-test-principal: {ME}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    socket.read_exact(&mut first).await.unwrap();
    for n in 0..200 {
        served.say(&key, &format!("{n}-{big}")).await;
    }
    // Nobody reads: the connection ends although nothing of it was asked.
    let mut tries = 0;
    while served.world.cloud.streams().count() > 0 && tries < 1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tries += 1;
    }
    assert_eq!(served.world.cloud.streams().count(), 0);
    let mut again = served
        .follow(ME, &format!("/api/sessions/{id}/events?after=1"), None)
        .await;
    for n in 0..200u64 {
        assert_eq!(again.frame().await.0, (n + 2).to_string());
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let served = served(world().await).await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    socket
        .write_all(b"GET /livez HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection stayed");
}

#[tokio::test]
async fn two_hundred_readers_of_one_thread_see_the_same_bytes() {
    let world = world_with(|services| services.options.limits.streams_per_org = 500).await;
    let served = served(world).await;
    let (id, key) = served.thread().await;
    let path = format!("/api/sessions/{id}/events?after=1");
    let mut followers = Vec::new();
    for _ in 0..200 {
        let mut follower = served.follow(ME, &path, None).await;
        assert_eq!(follower.next().await, Heard::Comment("connected".into()));
        followers.push(follower);
    }
    served.say(&key, "all").await;
    let mut seen = std::collections::BTreeSet::new();
    for follower in &mut followers {
        let (id, _, data) = follower.frame().await;
        seen.insert(format!("{id} {data}"));
    }
    assert_eq!(seen.len(), 1);
}
