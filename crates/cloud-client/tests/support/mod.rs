//! A server that misbehaves on command. It runs on the test's own runtime, so that time can be paused.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use open_cowork_cloud_client::{Builder, CloudClient};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with a connection, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Does nothing more; the client has to go.
    Hang,
    /// Ends the connection by a reset.
    Reset,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `GET /api/x?y`.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The running server.
pub(crate) struct Fake {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    closed: Arc<tokio::sync::Semaphore>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Answers each request by what `script` says for its number (from 0) and content.
    pub(crate) async fn start(
        script: impl FnMut(usize, &Request) -> Vec<Step> + Send + 'static,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(tokio::sync::Semaphore::new(0));
        let script = Arc::new(Mutex::new(script));
        let (seen, gone) = (requests.clone(), closed.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, gone) = (script.clone(), seen.clone(), gone.clone());
                connections.spawn(async move {
                    serve(stream, &script, &seen).await;
                    gone.add_permits(1);
                });
            }
        });
        Fake {
            address,
            requests,
            closed,
            task,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .map(|request| request.line)
            .collect()
    }

    pub(crate) fn client(&self) -> CloudClient {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> Builder {
        CloudClient::builder(&self.address).token("canary-token")
    }

    /// Waits until so many connections have ended.
    pub(crate) async fn connections_ended(&self, count: u32) {
        self.closed.acquire_many(count).await.unwrap().forget();
    }
}

async fn serve<S: FnMut(usize, &Request) -> Vec<Step>>(
    mut stream: TcpStream,
    script: &Mutex<S>,
    seen: &Mutex<Vec<Request>>,
) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    let steps = {
        let mut seen = seen.lock().unwrap();
        let steps = (script.lock().unwrap())(seen.len(), &request);
        seen.push(request);
        steps
    };
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Hang => {
                let mut rest = [0u8; 64];
                while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
                return;
            }
            Step::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        let mut piece = [0u8; 4096];
        let count = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|&count| count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        let mut piece = [0u8; 4096];
        let count = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|&count| count > 0)?;
        body.extend_from_slice(&piece[..count]);
    }
    Some(Request {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A whole answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    vec![Step::Send(
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes(),
    )]
}

pub(crate) fn ok(body: &Value) -> Vec<Step> {
    answer(200, "content-type: application/json\r\n", &body.to_string())
}

pub(crate) fn error(status: u16, headers: &str) -> Vec<Step> {
    answer(status, headers, r#"{"error":"No."}"#)
}

/// The head of a stream, then these pieces as chunks of the body; the end of the body is missing unless `end` follows.
pub(crate) fn stream(headers: &str, text: &str) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
    );
    vec![
        Step::Send(head.into_bytes()),
        chunk(": connected\n\n"),
        chunk(text),
    ]
}

pub(crate) fn chunk(text: &str) -> Step {
    Step::Send(match text.is_empty() {
        true => Vec::new(),
        false => format!("{:x}\r\n{text}\r\n", text.len()).into_bytes(),
    })
}

/// The clean end of a chunked body.
pub(crate) fn end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

pub(crate) fn event(sequence: u64) -> String {
    let record = json!({
        "tenantId": "t", "sessionId": "s", "eventId": format!("e{sequence}"), "sequence": sequence,
        "type": "assistant.message", "payload": {"messageId": "m", "content": "é", "mode": "append"},
        "createdAt": "2026-01-02T03:04:05.678Z",
    });
    format!("id: {sequence}\nevent: assistant.message\ndata: {record}\n\n")
}

pub(crate) fn events(sequences: impl IntoIterator<Item = u64>) -> String {
    sequences.into_iter().map(event).collect()
}

pub(crate) fn snapshot_required(cursor: u64, latest: u64, reason: &str) -> String {
    let record = json!({
        "sessionId": "s", "eventId": format!("snapshot-required:{cursor}"), "sequence": cursor,
        "type": "snapshot.required", "operation": "snapshot_required", "projectionVersion": cursor,
        "entityType": "session", "entityId": "s", "createdAt": "2026-01-02T03:04:05.678Z",
        "payload": {"reason": reason, "afterSequence": cursor, "earliestSequence": cursor + 2, "latestSequence": latest},
    });
    format!("id: {latest}\nevent: snapshot.required\ndata: {record}\n\n")
}

/// The envelope of a session whose projection is at this sequence; 0: it has none.
pub(crate) fn envelope(sequence: u64) -> Value {
    let session = json!({"tenantId": "t", "userId": "u", "sessionId": "s", "status": "idle"});
    let view = json!({
        "sessionId": "s", "title": "T", "status": "idle", "profileName": "", "isGenerating": false, "messages": [],
        "toolCalls": [], "taskRuns": [], "pendingApprovals": [], "pendingQuestions": [], "resolvedApprovals": [],
        "resolvedQuestions": [], "artifacts": [], "todos": [], "errors": [], "sessionCost": 0,
        "sessionTokens": {"input": 0, "output": 0, "reasoning": 0, "cacheRead": 0, "cacheWrite": 0},
        "lastInputTokens": 0, "lastError": null, "origin": null, "projectSource": null, "updatedAt": "",
    });
    let projection = json!({"tenantId": "t", "sessionId": "s", "sequence": sequence, "view": view, "updatedAt": ""});
    json!({"session": session, "projection": if sequence == 0 { Value::Null } else { projection }})
}
