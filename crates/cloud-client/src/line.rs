//! One stream that stays connected (03 §9, §12 #1, #25).
//!
//! A line opens the stream, reads frames, and opens it again when it ends, in whatever way: an error, a clean end, or
//! silence. It waits between attempts, longer each time, and starts over after an event. It gives up only where trying
//! again can't help: not signed in, not allowed, not found, not a cloud.
//!
//! All state is in the line and none in the future of its `next`, so that dropping that future (in a `select!`)
//! loses nothing.

use crate::client::CloudClient;
use crate::error::{Error, refusal};
use crate::retry::{Backoff, jitter};
use crate::sse::{Frame, SseReader};
use futures::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How streams reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineOptions {
    /// Longest wait before the first attempt to reconnect; doubles each time. 250 ms.
    pub first: Duration,
    /// Longest wait. 30 s.
    pub longest: Duration,
    /// A stream without a byte for so long is dead; keep-alives count. 60 s, three times what the cloud lets pass
    /// between two of them.
    pub silence: Duration,
    /// How long the cloud may take to open a stream. 30 s.
    pub open: Duration,
    /// Longest frame that is read. 16 MiB, twice what the cloud buffers.
    pub max_frame_bytes: usize,
}

impl Default for LineOptions {
    fn default() -> Self {
        LineOptions {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            open: Duration::from_secs(30),
            max_frame_bytes: 16 * 1024 * 1024,
        }
    }
}

/// What a stream is doing, for a light in a status line. Read it from `state()` of what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineState {
    /// It is being opened.
    Connecting,
    /// It is open.
    Live,
    /// It broke and is opened again after a wait.
    Waiting {
        /// Why it broke, one sentence.
        reason: String,
        /// The wait.
        delay: Duration,
        /// Attempts that failed since the last event.
        failures: u32,
    },
    /// It is over.
    Ended,
}

/// What a line hands out.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A frame.
    Frame(Frame),
    /// A frame was too long to read; the stream was closed.
    Unreadable,
    /// The cloud says that its log isn't the one that the cursor belongs to; the stream was closed.
    AnotherLog,
}

/// A stream of frames.
pub(crate) struct Line {
    client: CloudClient,
    path: Vec<String>,
    query: Vec<(String, String)>,
    backoff: Backoff,
    phase: Phase,
    epoch: Option<String>,
    state: watch::Sender<LineState>,
}

enum Phase {
    Idle,
    Opening(BoxFuture<'static, Result<Response, Error>>),
    Open(Box<Open>),
    Waiting(Instant),
    Ended,
}

struct Open {
    response: Response,
    reader: SseReader,
    frames: VecDeque<Frame>,
    /// The reader lost its place after these frames.
    lost_place: bool,
    since: Instant,
    dead_at: Instant,
}

/// A header by which the cloud names the log behind a stream; it changes when a backup is restored.
const EPOCH: &str = "x-open-cowork-stream-epoch";

impl Line {
    /// A line to `/api/<path>`.
    pub(crate) fn new(client: &CloudClient, path: &[&str], query: Vec<(String, String)>) -> Line {
        let options = client.shared.line;
        Line {
            client: client.clone(),
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            query,
            backoff: Backoff::new(options.first, options.longest),
            phase: Phase::Idle,
            epoch: None,
            state: watch::Sender::new(LineState::Connecting),
        }
    }

    pub(crate) fn state(&self) -> watch::Receiver<LineState> {
        self.state.subscribe()
    }

    pub(crate) fn route(&self) -> String {
        format!("GET /api/{}", self.path.join("/"))
    }

    /// An event came: the next break is the first.
    pub(crate) fn progress(&mut self) {
        self.backoff.reset();
    }

    /// Opens the stream anew, from the cursor of the next call.
    pub(crate) fn reconnect(&mut self) {
        if !matches!(self.phase, Phase::Ended) {
            self.phase = Phase::Idle;
        }
    }

    /// Opens the stream anew after the next wait.
    pub(crate) fn reconnect_later(&mut self, reason: &str) {
        self.wait(reason, None);
    }

    pub(crate) fn end(&mut self) {
        self.phase = Phase::Ended;
        self.state.send_replace(LineState::Ended);
    }

    /// The next frame of a stream that is opened with this cursor; 0 asks for all. An error ends the line.
    pub(crate) async fn next(&mut self, cursor: u64) -> Result<Signal, Error> {
        loop {
            match &mut self.phase {
                Phase::Ended => return std::future::pending().await,
                Phase::Waiting(until) => {
                    tokio::time::sleep_until(*until).await;
                    self.phase = Phase::Idle;
                }
                Phase::Idle => {
                    self.state.send_replace(LineState::Connecting);
                    self.phase = Phase::Opening(Box::pin(open(
                        self.client.clone(),
                        self.path.clone(),
                        self.query.clone(),
                        cursor,
                    )));
                }
                Phase::Opening(opening) => {
                    let opened = opening.await;
                    if let Some(signal) = self.opened(opened)? {
                        return Ok(signal);
                    }
                }
                Phase::Open(open) => {
                    if let Some(frame) = open.frames.pop_front() {
                        return Ok(Signal::Frame(frame));
                    }
                    if open.lost_place {
                        self.wait("a frame was too long", None);
                        return Ok(Signal::Unreadable);
                    }
                    let silence = self.client.shared.line.silence;
                    match tokio::time::timeout_at(open.dead_at, open.response.chunk()).await {
                        Ok(Ok(Some(piece))) => {
                            open.dead_at = Instant::now() + silence;
                            let frames = &mut open.frames;
                            let fed = open.reader.feed(&piece, |frame| frames.push_back(frame));
                            open.lost_place = fed.is_err();
                        }
                        Ok(Ok(None)) => self.broke("the cloud ended the stream"),
                        Ok(Err(_)) => self.broke("the connection broke"),
                        Err(_) => self.broke("the stream was silent"),
                    }
                }
            }
        }
    }

    fn opened(&mut self, opened: Result<Response, Error>) -> Result<Option<Signal>, Error> {
        let options = self.client.shared.line;
        match opened {
            Ok(response) => {
                let epoch = response.headers().get(EPOCH);
                let epoch = epoch
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned);
                let is_other =
                    matches!((&self.epoch, &epoch), (Some(old), Some(new)) if old != new);
                self.epoch = epoch.or_else(|| self.epoch.take());
                if is_other {
                    self.phase = Phase::Idle;
                    return Ok(Some(Signal::AnotherLog));
                }
                let now = Instant::now();
                self.phase = Phase::Open(Box::new(Open {
                    response,
                    reader: SseReader::new(options.max_frame_bytes),
                    frames: VecDeque::new(),
                    lost_place: false,
                    since: now,
                    dead_at: now + options.silence,
                }));
                self.state.send_replace(LineState::Live);
                Ok(None)
            }
            Err(error) if error.passes() => {
                self.wait(&error.to_string(), error.retry_after());
                Ok(None)
            }
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    fn broke(&mut self, reason: &str) {
        // A thread in which nothing happens is not a thread that fails: its streams end by age.
        if matches!(&self.phase, Phase::Open(open) if open.since.elapsed() >= self.client.shared.line.longest)
        {
            self.backoff.reset();
        }
        self.wait(reason, None);
    }

    fn wait(&mut self, reason: &str, asked: Option<Duration>) {
        let delay = self.backoff.next_delay(jitter());
        let delay = asked.map_or(delay, |asked| asked.max(delay));
        self.phase = Phase::Waiting(Instant::now() + delay);
        self.state.send_replace(LineState::Waiting {
            reason: reason.to_owned(),
            delay,
            failures: self.backoff.failures(),
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.send_replace(LineState::Ended);
    }
}

async fn open(
    client: CloudClient,
    path: Vec<String>,
    query: Vec<(String, String)>,
    cursor: u64,
) -> Result<Response, Error> {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let mut call = client.api(Method::GET, &segments);
    for (key, value) in &query {
        call = call.parameter(key, value);
    }
    if cursor > 0 {
        call = call.parameter("after", &cursor.to_string());
    }
    let (route, url) = call.address()?;
    let mut headers = client.headers(false);
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if cursor > 0 {
        headers.insert("last-event-id", HeaderValue::from(cursor));
    }
    let sending = client.shared.http.get(url).headers(headers).send();
    let after = client.shared.line.open;
    let mut response = match tokio::time::timeout(after, sending).await {
        Ok(sent) => sent.map_err(|error| crate::call::network(&route, error))?,
        Err(_) => return Err(Error::Timeout { route, after }),
    };
    let status = response.status();
    if status.as_u16() != 200 {
        let headers = response.headers().clone();
        let reading = crate::call::read(&mut response, &route, 64 * 1024);
        let body = tokio::time::timeout(after, reading).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        if status.is_success() || status.is_redirection() {
            let reason = format!("it answered {status} where a stream was asked for");
            return Err(Error::Incompatible { route, reason });
        }
        return Err(Error::of(refusal(route, status, &headers, &body)));
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if !content_type
        .trim()
        .to_ascii_lowercase()
        .starts_with("text/event-stream")
    {
        let reason = "it answered something else where a stream was asked for".to_owned();
        return Err(Error::Incompatible { route, reason });
    }
    Ok(response)
}
