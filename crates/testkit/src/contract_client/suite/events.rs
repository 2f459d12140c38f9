//! Streams: frames, cursors, and how the two readers come through a cut (03 §9).

use super::super::streams::{EventSource, FetchStream};
use super::super::transport::encode;
use super::{Run, post, text};
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than any cloud takes for a stored event.
const SOON: Duration = Duration::from_secs(10);

impl Run {
    async fn make(&self, filename: &str, session: &str) {
        let path = format!("/api/sessions/{}/artifacts", encode(session));
        let body = json!({"filename": filename, "dataBase64": "aGk="});
        let _ = self
            .transport
            .send("POST", &path, &Value::Null, Some(&body))
            .await;
    }

    pub(super) async fn events(&mut self) {
        let made = post("/api/sessions", json!({}))
            .status(201)
            .is("$SessionView");
        let made = self.check("a session to follow", made).await;
        let session = text(&made, "/session/sessionId").to_owned();
        self.make("one.txt", &session).await;
        let path = format!("/api/sessions/{}/events", encode(&session));
        self.frames(
            "subscribeSessionEvents",
            &path,
            "$SessionEvent",
            Some(&session),
        )
        .await;
        self.frames(
            "subscribeWorkspaceEvents",
            "/api/events",
            "$WorkspaceEvent",
            None,
        )
        .await;
        self.cursors(&session, &path).await;
        self.event_source(&session, &path).await;
        let absent = FetchStream::open(&self.transport, "/api/sessions/nope/events", 0).await;
        let refused = matches!(&absent, Err(error) if error.status == Some(404) && error.body["error"].is_string());
        self.rule(
            "a stream of a session that isn't there is refused in JSON",
            refused,
            || format!("{:?}", absent.err()),
        );
    }

    async fn frames(&mut self, name: &str, path: &str, shape: &str, session: Option<&str>) {
        let mut stream = match FetchStream::open(&self.transport, path, 0).await {
            Ok(stream) => stream,
            Err(error) => return self.rule(name, false, || format!("{error:?}")),
        };
        let header = |name: &str| {
            let found = stream.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        for (header_name, expected) in [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-store, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            let value = header(header_name);
            self.rule(&format!("{name}: {header_name}"), value == expected, || {
                value.clone()
            });
        }
        for sequence in 1..=2u64 {
            let Some(Ok(frame)) = stream.next_within(SOON).await else {
                return self.rule(name, false, || format!("event {sequence} didn't come"));
            };
            let event = frame.json();
            let mut differences = self.compare(&event, shape);
            if event["sequence"] != sequence || frame.id != sequence.to_string() {
                differences.push(format!(
                    "id {} and sequence {} instead of {sequence}",
                    frame.id, event["sequence"]
                ));
            }
            if event["type"] != frame.event.as_str() {
                differences.push(format!(
                    "`event: {}` for type {}",
                    frame.event, event["type"]
                ));
            }
            if session.is_some_and(|session| event["sessionId"] != session) {
                differences.push("the event of another session".to_owned());
            }
            self.note(&format!("{name}: frame {sequence}"), differences);
        }
        let greeted = stream.comments() > 0;
        self.rule(&format!("{name}: greeting"), greeted, || {
            "no `: connected` came first".to_owned()
        });
    }

    async fn cursors(&mut self, session: &str, path: &str) {
        // A `Last-Event-ID` beyond `after` wins: 03 §12 #2.
        for (name, after, last, expected) in [
            ("after", 1, None, 2),
            ("Last-Event-ID", 0, Some("1"), 2),
            ("the larger of both", 1, Some("2"), 3),
        ] {
            let opened = FetchStream::open_with(&self.transport, path, after, last).await;
            if expected == 3 {
                self.make("two.txt", session).await;
            }
            let first = match opened {
                Ok(mut stream) => match stream.next_within(SOON).await {
                    Some(Ok(frame)) => frame.id,
                    other => format!("{other:?}"),
                },
                Err(error) => format!("{error:?}"),
            };
            self.rule(
                &format!("a stream begins after {name}"),
                first == expected.to_string(),
                || first.clone(),
            );
        }
        let ahead = match FetchStream::open(&self.transport, path, 1_000_000).await {
            Ok(mut stream) => stream.next_within(SOON).await.and_then(Result::ok),
            Err(_) => None,
        };
        let told = ahead.as_ref().is_some_and(|frame| {
            frame.event == "snapshot.required"
                && frame.json()["payload"]["reason"] == "cursor_ahead"
        });
        self.rule("a cursor ahead of the log is told", told, || {
            format!("{ahead:?}")
        });
    }

    async fn event_source(&mut self, session: &str, path: &str) {
        let mut source = EventSource::new(&self.transport, path);
        let mut seen = Vec::new();
        for cut in [false, true, false] {
            let next = tokio::time::timeout(SOON, source.next()).await;
            match next {
                Ok(Some(frame)) => seen.push(frame.id),
                other => seen.push(format!("{other:?}")),
            }
            if cut {
                source.cut();
            }
        }
        self.rule(
            "an EventSource goes on after a cut",
            seen == ["1", "2", "3"],
            || format!("{seen:?}"),
        );
        self.make("live.txt", session).await;
        let live = tokio::time::timeout(SOON, source.next())
            .await
            .ok()
            .flatten();
        let arrived = live
            .as_ref()
            .is_some_and(|frame| frame.id == "4" && frame.event == "artifact.created");
        self.rule("an EventSource hears what happens", arrived, || {
            format!("{live:?}")
        });
    }
}
