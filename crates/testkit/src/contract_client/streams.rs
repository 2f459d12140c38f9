//! The two ways in which upstream's clients read a stream (03 §9, §10).
//!
//! [`FetchStream`] is the streaming fetch of clients with a custom header: it uses `data` alone, keeps its cursor from
//! `sequence`, never reconnects, and gives a clean end no voice. [`EventSource`] is the browser's: it hears only the
//! types that it registered for, remembers the last id, and reconnects by itself to the same address.

use super::transport::{Transport, TransportError};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// The types that clients listen to, in their order (03 §9.6).
pub const TYPES: [&str; 21] = [
    "session.created",
    "session.imported",
    "session.project_source.bound",
    "prompt.submitted",
    "assistant.message",
    "tool.call",
    "task.run",
    "permission.requested",
    "permission.resolved",
    "question.asked",
    "question.resolved",
    "todos.updated",
    "cost.updated",
    "artifact.created",
    "artifact.updated",
    "session.status",
    "session.idle",
    "session.aborted",
    "runtime.error",
    "snapshot.required",
    "channel.delivery",
];

/// One dispatched frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dispatched {
    /// `event`, else `message`.
    pub event: String,
    /// The last id that was seen.
    pub id: String,
    /// The data lines, joined.
    pub data: String,
}

impl Dispatched {
    /// The data as JSON; null when it isn't.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }
}

/// Lines into frames, as the standard says.
#[derive(Default)]
struct Parser {
    buffer: Vec<u8>,
    event: String,
    id: String,
    data: Option<String>,
    comments: u64,
}

impl Parser {
    fn feed(&mut self, piece: &[u8], frames: &mut VecDeque<Dispatched>) {
        self.buffer.extend_from_slice(piece);
        while let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            self.line(line.trim_end_matches('\r'), frames);
        }
    }

    fn line(&mut self, line: &str, frames: &mut VecDeque<Dispatched>) {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if let Some(data) = self.data.take() {
                let event = if event.is_empty() {
                    "message".to_owned()
                } else {
                    event
                };
                frames.push_back(Dispatched {
                    event,
                    id: self.id.clone(),
                    data,
                });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.comments += 1,
            "event" => self.event = value.to_owned(),
            "id" => self.id = value.to_owned(),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
}

/// The streaming fetch.
pub struct FetchStream {
    response: reqwest::Response,
    parser: Parser,
    frames: VecDeque<Dispatched>,
    /// Headers of the answer.
    pub headers: Vec<(String, String)>,
}

/// How a streaming fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Cleanly: the original would never notice.
    Unnoticed,
    /// By an error: the original would reconnect.
    Error,
}

impl FetchStream {
    /// Opens a stream; `after` goes into the query only above 0.
    pub async fn open(
        transport: &Transport,
        path: &str,
        after: u64,
    ) -> Result<FetchStream, TransportError> {
        FetchStream::open_with(transport, path, after, None).await
    }

    /// The same with a `Last-Event-ID`.
    pub async fn open_with(
        transport: &Transport,
        path: &str,
        after: u64,
        last_event_id: Option<&str>,
    ) -> Result<FetchStream, TransportError> {
        let query = if after > 0 {
            format!("?after={after}")
        } else {
            String::new()
        };
        let mut request = transport
            .http
            .get(format!("{}{path}{query}", transport.base));
        for (name, value) in &transport.headers {
            request = request.header(name, value);
        }
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let sent = request.header("accept", "text/event-stream").send().await;
        let fail = |kind, status, message: String| TransportError {
            kind,
            status,
            code: None,
            retry_after: None,
            message,
            body: Value::Null,
        };
        let response = sent.map_err(|error| fail("network", None, error.to_string()))?;
        let status = response.status().as_u16();
        if status != 200 {
            let text = response.text().await.unwrap_or_default();
            let mut error = fail("sse", Some(status), text.clone());
            error.body = serde_json::from_str(&text).unwrap_or_default();
            return Err(error);
        }
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        let headers = headers.collect();
        Ok(FetchStream {
            response,
            parser: Parser::default(),
            frames: VecDeque::new(),
            headers,
        })
    }

    /// Comments so far: the greeting and keep-alives.
    pub fn comments(&self) -> u64 {
        self.parser.comments
    }

    /// The next frame, or how the stream ended.
    pub async fn next(&mut self) -> Result<Dispatched, Ending> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.parser.feed(&piece, &mut self.frames),
                Ok(None) => return Err(Ending::Unnoticed),
                Err(_) => return Err(Ending::Error),
            }
        }
    }

    /// The next frame within a time.
    pub async fn next_within(&mut self, time: Duration) -> Option<Result<Dispatched, Ending>> {
        tokio::time::timeout(time, self.next()).await.ok()
    }
}

/// A browser's event source.
pub struct EventSource {
    transport: Transport,
    /// The address never changes, `after` included: that it wins over `Last-Event-ID` is the server's trap.
    path: String,
    last_event_id: String,
    stream: Option<FetchStream>,
    /// Times that it connected.
    pub connections: u32,
    /// Errors that it reported.
    pub errors: u32,
}

impl EventSource {
    /// Opens a stream at a path with its query.
    pub fn new(transport: &Transport, path: &str) -> EventSource {
        EventSource {
            transport: transport.clone(),
            path: path.to_owned(),
            last_event_id: String::new(),
            stream: None,
            connections: 0,
            errors: 0,
        }
    }

    /// Breaks the connection, as a network does.
    pub fn cut(&mut self) {
        self.stream = None;
        self.errors += 1;
    }

    /// The next frame of a registered type; `None` when the server refused, which a browser takes for final.
    pub async fn next(&mut self) -> Option<Dispatched> {
        loop {
            let Some(stream) = &mut self.stream else {
                let id = Some(self.last_event_id.as_str()).filter(|id| !id.is_empty());
                match FetchStream::open_with(&self.transport, &self.path, 0, id).await {
                    Ok(stream) => {
                        self.connections += 1;
                        self.stream = Some(stream);
                    }
                    Err(error) if error.kind == "sse" => return None,
                    Err(_) => {
                        self.errors += 1;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                continue;
            };
            match stream.next().await {
                Ok(frame) => {
                    self.last_event_id.clone_from(&frame.id);
                    if frame.event == "message" || TYPES.contains(&frame.event.as_str()) {
                        return Some(frame);
                    }
                }
                Err(_) => {
                    self.errors += 1;
                    self.stream = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_until_another_comes_and_comments_are_counted() {
        let mut parser = Parser::default();
        let mut frames = VecDeque::new();
        for piece in [
            ": connected\r\n\r\nid: 4\nevent: a\nda",
            "ta: x\ndata: y\n\ndata: z\n\n: keep-alive\n\n",
        ] {
            parser.feed(piece.as_bytes(), &mut frames);
        }
        let frame = |event: &str, data: &str| Dispatched {
            event: event.into(),
            id: "4".into(),
            data: data.into(),
        };
        assert_eq!(frames, [frame("a", "x\ny"), frame("message", "z")]);
        assert_eq!(parser.comments, 2);
    }
}
