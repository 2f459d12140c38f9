//! The live stream against a server that misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod fake;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fake::{Fake, serve};
use futures::stream::{self, BoxStream, StreamExt};
use open_cowork_opencode::{Broken, Event, EventStream, OpenCodeRuntime, StreamItem};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HELLO: &str =
    "data: {\"payload\":{\"id\":\"evt_0\",\"type\":\"server.connected\",\"properties\":{}}}\n\n";
const IDLE: &str = "data: {\"directory\":\"/w\",\"payload\":{\"id\":\"evt_1\",\"type\":\"session.idle\",\"properties\":{\"sessionID\":\"ses_1\"}}}\n\n";

type Pieces = BoxStream<'static, io::Result<Bytes>>;

fn pieces(pieces: &[&str]) -> Pieces {
    let owned: Vec<_> = pieces
        .iter()
        .map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes())))
        .collect();
    stream::iter(owned).boxed()
}

/// Serves one event stream.
async fn serve_stream(body: Pieces) -> Fake {
    let body = Arc::new(Mutex::new(Some(body)));
    let answer = move || async move {
        let body = body.lock().unwrap().take().expect("one connection");
        (
            [(header::CONTENT_TYPE, "text/event-stream")],
            Body::from_stream(body),
        )
            .into_response()
    };
    serve(Router::new().route("/global/event", get(answer))).await
}

async fn all(mut stream: EventStream) -> Vec<StreamItem> {
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item);
    }
    items
}

fn broken(items: &[StreamItem]) -> &Broken {
    match items.last() {
        Some(StreamItem::Broken(broken)) => broken,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_greeting_comes_first_then_frames_then_one_end() {
    let fake = serve_stream(pieces(&[
        ": note\n\n",
        HELLO,
        &IDLE[..30],
        &IDLE[30..],
        IDLE,
    ]))
    .await;
    let items = all(fake.client().global_events()).await;
    assert_eq!(items.len(), 4, "{items:?}");
    assert_eq!(items[0], StreamItem::Connected);
    for item in &items[1..3] {
        let StreamItem::Frame(frame) = item else {
            panic!("{item:?}")
        };
        assert_eq!(
            frame.event,
            Event::SessionIdle {
                session: "ses_1".into()
            }
        );
        assert_eq!(frame.directory.as_deref(), Some("/w"));
    }
    assert_eq!(broken(&items), &Broken::Ended);
}

#[tokio::test]
async fn a_cut_connection_ends_the_stream() {
    let (cut, cutting) = tokio::sync::oneshot::channel::<()>();
    let failure = stream::once(async move {
        let _ = cutting.await;
        Err(io::Error::other("cut"))
    });
    let fake = serve_stream(pieces(&[HELLO]).chain(failure).boxed()).await;
    let mut stream = fake.client().global_events();
    assert_eq!(stream.next().await, Some(StreamItem::Connected));
    cut.send(()).unwrap();
    assert_eq!(all(stream).await, [StreamItem::Broken(Broken::Ended)]);
}

#[tokio::test]
async fn silence_after_the_greeting_and_before_it_counts_as_broken() {
    for (begun, items) in [(pieces(&[HELLO]), 2), (pieces(&[]), 1)] {
        let fake = serve_stream(begun.chain(stream::pending()).boxed()).await;
        let seen = all(fake.impatient().global_events()).await;
        assert!(matches!(broken(&seen), Broken::Silent(_)), "{seen:?}");
        assert_eq!(seen.len(), items);
    }
    let fake =
        serve(Router::new().route("/global/event", get(std::future::pending::<Response>))).await;
    let seen = all(fake.impatient().global_events()).await;
    assert!(matches!(broken(&seen), Broken::Refused(_)), "{seen:?}");
}

#[tokio::test]
async fn a_stream_that_does_not_greet_is_not_opencode() {
    let fake = serve_stream(pieces(&[IDLE, HELLO])).await;
    let items = all(fake.client().global_events()).await;
    assert_eq!(items, [StreamItem::Broken(Broken::NotGreeted)]);
}

#[tokio::test]
async fn a_frame_above_the_limit_or_without_json_breaks_the_stream_after_what_came_before() {
    let long = format!("data: {}", "x".repeat(5000));
    for bad in [long.as_str(), "data: no json\n\n"] {
        let fake = serve_stream(pieces(&[HELLO, IDLE, bad]).chain(stream::pending()).boxed()).await;
        let items = all(fake.limited(|limits| limits.frame = 4096).global_events()).await;
        assert_eq!(items.len(), 3, "{items:?}");
        assert!(matches!(broken(&items), Broken::BadFrame(_)));
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let html = || async { ([(header::CONTENT_TYPE, "text/html")], "<html>").into_response() };
    let unauthorized = || async { StatusCode::UNAUTHORIZED.into_response() };
    let fake = serve(Router::new().route("/global/event", get(html))).await;
    let items = all(fake.client().global_events()).await;
    assert!(broken(&items).to_string().contains("version"), "{items:?}");
    let fake = serve(Router::new().route("/global/event", get(unauthorized))).await;
    let items = all(fake.client().global_events()).await;
    assert!(
        broken(&items).to_string().contains("credentials"),
        "{items:?}"
    );
    let nobody = fake.client();
    drop(fake);
    let items = all(nobody.global_events()).await;
    assert!(matches!(broken(&items), Broken::Refused(_)), "{items:?}");
}

/// Tells when the server's side of the connection is gone.
struct Gone(Option<tokio::sync::oneshot::Sender<()>>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.take().map(|sender| sender.send(()));
    }
}

#[tokio::test]
async fn dropping_the_stream_disconnects() {
    let (sender, gone) = tokio::sync::oneshot::channel();
    let guard = Gone(Some(sender));
    let beats = stream::unfold(guard, |guard| async {
        Some((Ok(Bytes::from_static(IDLE.as_bytes())), guard))
    });
    let fake = serve_stream(pieces(&[HELLO]).chain(beats).boxed()).await;
    let mut events = fake.client().events();
    assert_eq!(events.next().await, Some(StreamItem::Connected));
    drop(events);
    gone.await.unwrap();
}

#[tokio::test]
async fn dropping_a_silent_stream_disconnects_too() {
    let (sender, gone) = tokio::sync::oneshot::channel();
    let guard = Gone(Some(sender));
    let silence = stream::unfold(guard, |guard| async move {
        let _held = guard;
        std::future::pending().await
    });
    let fake = serve_stream(pieces(&[HELLO]).chain(silence).boxed()).await;
    let mut events = fake.client().global_events();
    assert_eq!(events.next().await, Some(StreamItem::Connected));
    drop(events);
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn everything_arrives_through_a_queue_that_is_smaller_than_one_frame() {
    let many = pieces(&vec![IDLE; 500]);
    let fake = serve_stream(pieces(&[HELLO]).chain(many).boxed()).await;
    let client = fake.limited(|limits| {
        limits.queued_bytes = 16;
        limits.queued_frames = 2;
    });
    assert_eq!(all(client.global_events()).await.len(), 502);
}
