//! A thread as a snapshot and what happens after it (03 §9.4, 01 §7.3).
//!
//! [`Follow`] reads the view, then the events after it, and keeps doing so: through lost connections, silent ones,
//! clean ends and gaps. Whoever folds the events into the snapshot has the thread's view at any time; a new snapshot
//! replaces whatever was folded.
//!
//! **Never backwards.** An event is given out once and in order; a snapshot older than what was given out is read
//! again. The one exception is a log that itself went back (a restored backup), which the cloud announces.

use crate::client::CloudClient;
use crate::error::Error;
use crate::line::{Line, LineState, Signal};
use crate::retry::{Backoff, jitter};
use crate::sse::Frame;
use futures::Stream;
use futures::future::BoxFuture;
use open_cowork_contracts::record::SessionEnvelope;
use open_cowork_contracts::{EventType, JsonObject, SessionEventRecord};
use reqwest::Method;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

/// What happened to a thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The thread as it is: replaces everything before. Without a projection it has no event yet.
    Snapshot(Box<SessionEnvelope>),
    /// The next event after what was given out before.
    Event(Box<SessionEventRecord>),
}

/// Reads of a snapshot that lags behind an event before it is taken as it is: the stream then begins where it ends.
const LAGGING_READS: u32 = 4;
/// Reads of a snapshot older than what was given out before the log is believed to have gone back.
const OLDER_READS: u32 = 10;
/// Frames in a row that can't be read before the thread can't be followed.
const UNREADABLE: u32 = 3;

/// Follows one thread. Ends after an error that trying again can't mend; everything else heals by itself.
pub struct Follow {
    client: CloudClient,
    line: Line,
    /// Path of the snapshot.
    snapshot: Vec<String>,
    cursor: u64,
    /// A snapshot is needed before the next event.
    need: Option<Need>,
    /// Waits between reads of snapshots, longer until an event fits.
    backoff: Backoff,
    /// False while the caller has folded nothing: then an event may have any sequence.
    has_base: bool,
    /// A snapshot was given out.
    has_snapshot: bool,
    unreadable: u32,
    ended: bool,
}

struct Need {
    /// The snapshot must have come so far.
    at_least: u64,
    /// The log itself went back: a lower sequence is right.
    back: bool,
    reads: u32,
    /// Not to be read before.
    not_before: Option<Instant>,
    reading: Option<BoxFuture<'static, Result<SessionEnvelope, Error>>>,
}

/// The payload of `snapshot.required`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gap {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    latest_sequence: u64,
}

impl Follow {
    /// Follows from a snapshot.
    pub(crate) fn from_snapshot(
        client: &CloudClient,
        snapshot: &[&str],
        events: &[&str],
    ) -> Follow {
        let mut follow = Follow::after(client, snapshot, events, 0);
        follow.has_base = true;
        follow.need_snapshot(0, false);
        follow
    }

    /// Follows from a cursor; 0 gives every event that the cloud keeps.
    pub(crate) fn after(
        client: &CloudClient,
        snapshot: &[&str],
        events: &[&str],
        cursor: u64,
    ) -> Follow {
        Follow {
            client: client.clone(),
            line: Line::new(client, events, Vec::new()),
            snapshot: snapshot.iter().map(|&segment| segment.to_owned()).collect(),
            cursor,
            need: None,
            backoff: Backoff::new(client.shared.line.first, client.shared.line.longest),
            has_base: cursor > 0,
            has_snapshot: false,
            unreadable: 0,
            ended: false,
        }
    }

    /// The sequence of what was given out last: where to go on after a restart.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What the connection is doing.
    pub fn state(&self) -> watch::Receiver<LineState> {
        self.line.state()
    }

    /// The next update; `None` after an error. The future can be dropped at any time without losing an update.
    pub async fn next(&mut self) -> Option<Result<Update, Error>> {
        if self.ended {
            return None;
        }
        loop {
            let step = match self.need.is_some() {
                true => self.read_snapshot().await,
                false => match self.line.next(self.cursor).await {
                    Ok(signal) => self.take(signal),
                    Err(error) => Err(error),
                },
            };
            match step {
                Ok(None) => {}
                Ok(Some(update)) => return Some(Ok(update)),
                Err(error) => {
                    self.ended = true;
                    self.line.end();
                    return Some(Err(error));
                }
            }
        }
    }

    /// The same as a stream, for combinators.
    pub fn into_stream(self) -> impl Stream<Item = Result<Update, Error>> + Send {
        futures::stream::unfold(self, |mut follow| async move {
            let item = follow.next().await?;
            Some((item, follow))
        })
    }

    fn need_snapshot(&mut self, at_least: u64, back: bool) {
        self.need = Some(Need {
            at_least,
            back,
            reads: 0,
            not_before: None,
            reading: None,
        });
    }

    async fn read_snapshot(&mut self) -> Result<Option<Update>, Error> {
        let Some(need) = &mut self.need else {
            return Ok(None);
        };
        if let Some(until) = need.not_before {
            tokio::time::sleep_until(until).await;
            need.not_before = None;
        }
        let reading = need.reading.get_or_insert_with(|| {
            Box::pin(read_snapshot(self.client.clone(), self.snapshot.clone()))
        });
        let read = reading.await;
        need.reading = None;
        need.reads += 1;
        let delay = self.backoff.next_delay(jitter());
        let envelope = match read {
            Ok(envelope) => envelope,
            Err(error) if error.passes() => {
                let delay = error.retry_after().map_or(delay, |asked| asked.max(delay));
                need.not_before = Some(Instant::now() + delay);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let sequence = envelope
            .projection
            .as_ref()
            .map_or(0, |projection| projection.sequence);
        let is_older = sequence < self.cursor && !need.back;
        let lags = sequence < need.at_least;
        if (is_older && need.reads < OLDER_READS) || (lags && need.reads < LAGGING_READS) {
            need.not_before = Some(Instant::now() + delay);
            return Ok(None);
        }
        let (at_least, back) = (need.at_least, need.back);
        self.need = None;
        if sequence < at_least || back {
            // The open stream is ahead of this snapshot: ask for what lies between.
            self.line.reconnect();
        }
        let is_news = !self.has_snapshot || back || sequence != self.cursor;
        self.has_snapshot = true;
        self.cursor = sequence;
        self.has_base = true;
        Ok(is_news.then(|| Update::Snapshot(Box::new(envelope))))
    }

    fn take(&mut self, signal: Signal) -> Result<Option<Update>, Error> {
        match signal {
            Signal::Frame(frame) => self.take_frame(&frame),
            Signal::Unreadable => self.cannot_read(None, "a frame is too long"),
            Signal::AnotherLog => {
                self.need_snapshot(0, true);
                Ok(None)
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame) -> Result<Option<Update>, Error> {
        let id = frame.id.as_deref().and_then(|id| id.parse().ok());
        if frame.event == EventType::SnapshotRequired.as_str() {
            return self.gap(frame, id);
        }
        let event: SessionEventRecord = match serde_json::from_slice(&frame.data) {
            Ok(event) => event,
            Err(_) => return self.cannot_read(id, "a frame holds no event"),
        };
        if event.kind == EventType::SnapshotRequired {
            return self.gap(frame, id);
        }
        if event.sequence <= self.cursor {
            return Ok(None);
        }
        let is_next = event.sequence == self.cursor + 1 || !self.has_base;
        // A snapshot holds what is missing: of an event that was sent, its projection was stored with it. Event types
        // that a cloud doesn't send leave such holes too.
        if !is_next {
            self.need_snapshot(event.sequence, false);
            return Ok(None);
        }
        self.cursor = event.sequence;
        self.has_base = true;
        self.unreadable = 0;
        self.backoff.reset();
        self.line.progress();
        Ok(Some(Update::Event(Box::new(event))))
    }

    fn gap(&mut self, frame: &Frame, id: Option<u64>) -> Result<Option<Update>, Error> {
        #[derive(Deserialize)]
        struct Record {
            #[serde(default)]
            payload: JsonObject,
        }
        let gap = serde_json::from_slice::<Record>(&frame.data)
            .and_then(|record| serde_json::from_value::<Gap>(record.payload.into()));
        let Ok(gap) = gap else {
            return self.cannot_read(id, "a gap says nothing");
        };
        self.need_snapshot(gap.latest_sequence, gap.reason == "cursor_ahead");
        Ok(None)
    }

    /// A snapshot holds what a frame that can't be read would have said.
    fn cannot_read(&mut self, id: Option<u64>, what: &str) -> Result<Option<Update>, Error> {
        self.unreadable += 1;
        if self.unreadable >= UNREADABLE {
            return Err(Error::Incompatible {
                route: self.line.route(),
                reason: format!("{what}, {UNREADABLE} times in a row"),
            });
        }
        self.line.reconnect_later(what);
        self.need_snapshot(id.unwrap_or(self.cursor + 1), false);
        Ok(None)
    }
}

async fn read_snapshot(client: CloudClient, path: Vec<String>) -> Result<SessionEnvelope, Error> {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    client.api(Method::GET, &segments).send().await
}
