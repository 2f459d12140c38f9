//! The one event stream of a page.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod html;
mod support;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use jiff::tz::TimeZone;
use open_cowork_workbench::{Access, Connection, Options, router};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{Fake, NOON};
use tower::ServiceExt;

struct Page {
    app: Router,
    cookie: String,
}

/// One frame: id, event name, data.
#[derive(Clone, Debug, Default, PartialEq)]
struct Frame {
    id: Option<u64>,
    event: String,
    data: String,
}

struct Frames {
    body: BodyDataStream,
    buffer: String,
}

impl Frames {
    /// The next frame that is no sign of life; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.any().await?;
            if frame.event != "tick" {
                return Some(frame);
            }
        }
    }

    async fn any(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let text: String = self.buffer.drain(..end + 2).collect();
                let mut frame = Frame::default();
                for line in text.lines() {
                    match line.split_once(": ").unwrap_or((line, "")) {
                        ("id", value) => frame.id = value.parse().ok(),
                        ("event", value) => frame.event = value.to_owned(),
                        ("data", value) => frame.data.push_str(value),
                        _ => {}
                    }
                }
                return Some(frame);
            }
            let chunk = self.body.next().await?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next frame of the chat (with an id).
    async fn chat(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.id.is_some() || frame.event == "reset" {
                return Some(frame);
            }
        }
    }
}

fn ops(frame: &Frame) -> Vec<Value> {
    let data: Value = serde_json::from_str(&frame.data).unwrap();
    data["ops"].as_array().unwrap().clone()
}

fn put_ids(frame: &Frame) -> Vec<String> {
    ops(frame)
        .iter()
        .filter(|op| op["op"] == "put")
        .map(|op| op["id"].as_str().unwrap().to_owned())
        .collect()
}

fn options() -> Options {
    let mut options = Options::new(Access::with_token(4173, "token"));
    options.zone = TimeZone::UTC;
    options.now = Arc::new(|| NOON.parse().unwrap());
    options
}

impl Page {
    async fn open(fake: Arc<Fake>, options: Options) -> Page {
        let app = router(fake, options);
        let request = Request::builder()
            .uri("/?token=token")
            .header(header::HOST, "127.0.0.1:4173");
        let response = app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let cookie = response.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        Page { app, cookie }
    }

    async fn request(&self, path: &str, last: Option<&str>) -> axum::response::Response {
        let mut request = Request::builder()
            .uri(path)
            .header(header::HOST, "127.0.0.1:4173")
            .header(header::COOKIE, &self.cookie);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        self.app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    async fn stream(&self, path: &str, last: Option<&str>) -> Frames {
        let response = self.request(path, last).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        Frames {
            body: response.into_body().into_data_stream(),
            buffer: String::new(),
        }
    }
}

/// A thread with the events 1 (created) to 5.
fn chat() -> Arc<Fake> {
    let fake = Fake::new();
    fake.thread("t1", "One");
    fake.emit(
        "t1",
        "prompt.submitted",
        json!({"messageId": "u1", "text": "go"}),
    );
    fake.emit(
        "t1",
        "tool.call",
        json!({"id": "c1", "name": "bash", "status": "running", "input": {"command": "ls"}}),
    );
    fake.emit(
        "t1",
        "tool.call",
        json!({"id": "c1", "name": "bash", "status": "complete", "output": "a"}),
    );
    fake.emit(
        "t1",
        "assistant.message",
        json!({"messageId": "m1", "content": "Hello", "mode": "append"}),
    );
    fake
}

#[tokio::test]
async fn resuming_gives_exactly_what_was_missed() {
    let fake = chat();
    let page = Page::open(fake, options()).await;
    for (after, expected) in [
        (1, vec!["m-u1", "t-c1", "m-m1"]),
        (2, vec!["t-c1", "m-m1"]),
        (4, vec!["m-m1"]),
    ] {
        let frame = page
            .stream(&format!("/chats/t1/events?after={after}"), None)
            .await
            .chat()
            .await
            .unwrap();
        assert_eq!(
            (frame.event.as_str(), frame.id),
            ("patch", Some(5)),
            "queued events are one frame"
        );
        assert_eq!(put_ids(&frame), expected, "after {after}");
    }
}

#[tokio::test]
async fn the_last_event_id_of_the_browser_wins_over_the_address() {
    let page = Page::open(chat(), options()).await;
    let frame = page
        .stream("/chats/t1/events?after=0", Some("4"))
        .await
        .chat()
        .await
        .unwrap();
    assert_eq!(put_ids(&frame), ["m-m1"]);
}

#[tokio::test]
async fn an_up_to_date_page_gets_nothing_until_something_happens() {
    let fake = chat();
    let page = Page::open(fake.clone(), options()).await;
    let mut frames = page.stream("/chats/t1/events?after=5", None).await;
    assert_eq!(frames.any().await.unwrap().event, "tick");
    fake.emit(
        "t1",
        "assistant.message",
        json!({"messageId": "m1", "content": " world", "mode": "append"}),
    );
    let frame = frames.chat().await.unwrap();
    assert_eq!(frame.id, Some(6));
    let tail = ops(&frame)
        .into_iter()
        .find(|op| op["op"] == "tail")
        .unwrap();
    assert_eq!(
        (tail["id"].as_str(), tail["from"].as_u64()),
        (Some("m-m1-md"), Some(0))
    );
    assert!(tail["blocks"][0].as_str().unwrap().contains("Hello world"));
}

#[tokio::test]
async fn an_unknown_place_in_the_log_resets_the_page() {
    let page = Page::open(chat(), options()).await;
    let mut frames = page.stream("/chats/t1/events?after=99", None).await;
    assert_eq!(frames.chat().await.unwrap().event, "reset");
    assert_eq!(
        frames.next().await,
        None,
        "the page reads itself again and reconnects"
    );
}

#[tokio::test]
async fn a_missing_chat_and_a_bad_place_are_errors() {
    let page = Page::open(chat(), options()).await;
    assert_eq!(
        page.request("/chats/none/events?after=0", None)
            .await
            .status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        page.request("/chats/t1/events?after=x", None)
            .await
            .status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn the_chat_stream_carries_the_rail_without_moving_its_place() {
    let fake = chat();
    fake.thread("t2", "Two");
    let page = Page::open(fake.clone(), options()).await;
    let mut frames = page.stream("/chats/t1/events?after=5", None).await;
    frames.any().await.unwrap();
    fake.emit(
        "t2",
        "permission.requested",
        json!({"permissionId": "p", "tool": "bash", "input": {}}),
    );
    let frame = frames.next().await.unwrap();
    assert_eq!(frame.id, None);
    let row = ops(&frame)
        .into_iter()
        .find(|op| op["id"] == "r-t2")
        .unwrap();
    assert!(row["html"].as_str().unwrap().contains("waiting for you"));
    let mut rail = page.stream("/events", None).await;
    rail.any().await.unwrap();
    fake.emit("t2", "session.idle", json!({}));
    assert!(
        ops(&rail.next().await.unwrap())
            .iter()
            .any(|op| op["id"] == "l-t2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_gives_a_sign_of_life_every_fifteen_seconds() {
    let page = Page::open(chat(), options()).await;
    let mut frames = page.stream("/chats/t1/events?after=5", None).await;
    frames.any().await.unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(frames.any().await.unwrap().event, "tick");
    assert_eq!(before.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_of_the_workspace_is_told_in_words() {
    let fake = chat();
    let page = Page::open(fake.clone(), options()).await;
    let mut frames = page.stream("/events", None).await;
    frames.any().await.unwrap();
    fake.state().overview.connection = Connection::Reconnecting;
    let frame = tokio::time::timeout(Duration::from_secs(5), frames.next())
        .await
        .unwrap()
        .unwrap();
    assert!(frame.data.contains("Reconnecting, nothing is lost"));
}

#[tokio::test]
async fn a_shutdown_ends_the_streams() {
    let options = options();
    let shutdown = options.shutdown.clone();
    let page = Page::open(chat(), options).await;
    let mut frames = page.stream("/chats/t1/events?after=5", None).await;
    frames.any().await.unwrap();
    shutdown.cancel();
    assert_eq!(frames.next().await, None);
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    let mut options = options();
    options.limits.streams = 1;
    let page = Page::open(chat(), options).await;
    let first = page.stream("/events", None).await;
    assert_eq!(
        page.request("/events", None).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop(first);
    assert_eq!(page.request("/events", None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn hostile_text_in_a_patch_stays_text() {
    let fake = chat();
    let page = Page::open(fake.clone(), options()).await;
    let mut frames = page.stream("/chats/t1/events?after=5", None).await;
    frames.any().await.unwrap();
    for x in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "\n\nevent: reset\ndata: x\n\n",
    ] {
        fake.emit(
            "t1",
            "assistant.message",
            json!({"messageId": x, "content": x, "mode": "append"}),
        );
        fake.emit(
            "t1",
            "tool.call",
            json!({"id": x, "name": x, "status": "complete", "input": {"command": x}, "output": x}),
        );
        fake.emit(
            "t1",
            "permission.requested",
            json!({"permissionId": x, "tool": x, "description": x, "input": {}}),
        );
        fake.emit("t1", "todos.updated", json!({"todos": [{"content": x}]}));
        let last = fake.emit("t1", "session.renamed", json!({"title": x}));
        loop {
            let frame = frames.chat().await.unwrap();
            assert_eq!(frame.event, "patch", "{x}");
            for op in ops(&frame) {
                let blocks = op["blocks"].as_array().cloned().unwrap_or_default();
                for piece in blocks.iter().chain([&op["html"]]).filter_map(Value::as_str) {
                    for (name, attributes) in html::tags(piece) {
                        assert!(!matches!(name.as_str(), "script" | "img"), "{piece}");
                        assert!(
                            attributes.iter().all(|(key, _)| !key.starts_with("on")),
                            "{piece}"
                        );
                    }
                }
            }
            if frame.id == Some(last) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn of_very_many_asks_the_oldest_are_offered_and_the_next_follows_an_answer() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    for n in 0..40 {
        fake.emit(
            "t1",
            "permission.requested",
            json!({"permissionId": format!("p{n}"), "tool": "bash", "subject": format!("ls {n}"), "description": "List", "input": {}}),
        );
    }
    let page = Page::open(fake.clone(), options()).await;
    let response = page.request("/chats/t1", None).await;
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let shown = String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    assert_eq!(shown.matches("data-ask").count(), 30);
    assert!(shown.contains("id=\"a-p29\"") && !shown.contains("id=\"a-p30\""));
    assert!(shown.contains("and 39 more"));

    let mut frames = page.stream("/chats/t1/events?after=41", None).await;
    let mut sent = Vec::new();
    for n in 0..3 {
        fake.emit(
            "t1",
            "permission.resolved",
            json!({"permissionId": format!("p{n}"), "allowed": true}),
        );
        sent.extend(put_ids(&frames.chat().await.unwrap()));
    }
    for next in ["a-p30", "a-p31", "a-p32"] {
        assert!(sent.iter().any(|id| id == next), "{next}: {sent:?}");
    }
    assert!(!sent.iter().any(|id| id == "a-p33"), "{sent:?}");
}
