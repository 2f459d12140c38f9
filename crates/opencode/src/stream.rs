//! The live stream (docs/contract/08-opencode.md §7, §12): one connection, read by one owned task into a queue that
//! is bounded by frames and bytes. When the queue is full the task stops reading the socket.

use crate::client::{Client, Limits, Timeouts};
use crate::decode::decode_frame;
use crate::event::{Event, Frame};
use crate::http::{media_type, refusal, transport_reason};
use crate::sse::SseReader;
use futures::Stream;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

const PATH: &str = "/global/event";

/// The semaphore counts the queue's bytes in units of this size.
const UNIT: usize = 256;

/// What a stream yields: `Connected` once, frames, `Broken` once, then nothing.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "all items but two are frames: a box would only cost"
)]
pub enum StreamItem {
    /// OpenCode greeted: every event from now on arrives here.
    Connected,
    /// A frame, heartbeats and durable copies included.
    Frame(Frame),
    /// The connection ended. Events may be missing: connect anew and read the sessions again.
    Broken(Broken),
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// It could not be opened.
    #[error("the event stream could not be opened: {0}")]
    Refused(String),
    /// The first frame wasn't OpenCode's greeting.
    #[error("the event stream did not begin with server.connected; check what listens on the port")]
    NotGreeted,
    /// Not a byte for the heartbeat timeout.
    #[error("the event stream was silent for {0:?}; reconnect")]
    Silent(Duration),
    /// The server ended it, or the connection was cut.
    #[error("the event stream ended; reconnect")]
    Ended,
    /// A frame was too large, or no JSON.
    #[error(
        "a frame of the event stream can't be read ({0}); reconnect and read the sessions again"
    )]
    BadFrame(String),
}

/// One connection to the events of all directories. Dropping it ends the task and the connection.
///
/// Read it promptly: while its queue is full, OpenCode buffers without bound (§14).
#[derive(Debug)]
pub struct EventStream {
    items: Receiver<Queued>,
    _task: AbortOnDropHandle<()>,
}

impl EventStream {
    /// The next item; `None` after [`StreamItem::Broken`]. Cancel safe.
    pub async fn next(&mut self) -> Option<StreamItem> {
        self.items.recv().await.map(|queued| queued.item)
    }
}

impl Stream for EventStream {
    type Item = StreamItem;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<StreamItem>> {
        self.items
            .poll_recv(context)
            .map(|queued| queued.map(|queued| queued.item))
    }
}

/// An item with its share of the queue's bytes, given back when it leaves the queue.
#[derive(Debug)]
struct Queued {
    item: StreamItem,
    _bytes: Option<OwnedSemaphorePermit>,
}

pub(crate) fn connect(client: Client) -> EventStream {
    let limits = client.shared.limits;
    let (sender, items) = mpsc::channel(limits.queued_frames);
    let task = tokio::spawn(async move {
        let queue = Queue::new(sender, &limits);
        if let Err(Stop::Broken(broken)) = read(&client, &queue).await {
            tracing::debug!(%broken, "event stream");
            let _ = queue.push(StreamItem::Broken(broken), 0).await;
        }
    });
    EventStream {
        items,
        _task: AbortOnDropHandle::new(task),
    }
}

/// Why the task ends.
enum Stop {
    /// The stream is at its end.
    Broken(Broken),
    /// Nobody reads any more.
    Unread,
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Stop::Broken(broken)
    }
}

/// Runs until the stream breaks or nobody reads it.
async fn read(client: &Client, queue: &Queue) -> Result<(), Stop> {
    let Timeouts {
        connect, heartbeat, ..
    } = client.shared.timeouts;
    let mut response = match timeout(connect, open(client)).await {
        Ok(response) => response?,
        Err(_) => return Err(Broken::Refused(format!("no answer within {connect:?}")).into()),
    };
    let mut reader = SseReader::new(client.shared.limits.frame);
    let mut greeted = false;
    loop {
        let patience = if greeted { heartbeat } else { connect };
        let piece = match timeout(patience, response.chunk()).await {
            Err(_) => return Err(Broken::Silent(patience).into()),
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None) | Err(_)) => return Err(Broken::Ended.into()),
        };
        let mut frames = Vec::new();
        let read = reader.feed(&piece, |frame| frames.push(frame));
        for bytes in frames {
            let frame =
                decode_frame(&bytes).map_err(|error| Broken::BadFrame(error.to_string()))?;
            let item = match (greeted, &frame.event) {
                (true, _) => StreamItem::Frame(frame),
                (false, Event::Connected) => StreamItem::Connected,
                (false, _) => return Err(Broken::NotGreeted.into()),
            };
            greeted = true;
            queue.push(item, bytes.len()).await?;
        }
        read.map_err(|error| Broken::BadFrame(error.to_string()))?;
    }
}

async fn open(client: &Client) -> Result<reqwest::Response, Broken> {
    let shared = &client.shared;
    let request = shared.http.get(format!("{}{PATH}", shared.base));
    let request = request
        .header(AUTHORIZATION, shared.authorization.clone())
        .header(ACCEPT, "text/event-stream");
    let response = request
        .send()
        .await
        .map_err(|error| Broken::Refused(transport_reason(&error).into()))?;
    let content_type = media_type(response.headers());
    if !response.status().is_success() {
        let error = refusal(format!("GET {PATH}"), response.status(), &content_type, &[]);
        return Err(Broken::Refused(error.to_string()));
    }
    match content_type.as_str() {
        "text/event-stream" => Ok(response),
        "text/html" => Err(Broken::Refused(format!(
            "this OpenCode version has no {PATH}"
        ))),
        other => Err(Broken::Refused(format!(
            "content type {other:?} instead of text/event-stream"
        ))),
    }
}

/// The sending side: bounded by the channel in frames, by the semaphore in bytes.
struct Queue {
    sender: Sender<Queued>,
    bytes: Arc<Semaphore>,
    units: usize,
}

impl Queue {
    fn new(sender: Sender<Queued>, limits: &Limits) -> Self {
        let units = limits
            .queued_bytes
            .div_ceil(UNIT)
            .min(Semaphore::MAX_PERMITS);
        Self {
            sender,
            bytes: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// Waits for room. A frame that is larger than the whole queue waits until it is alone.
    async fn push(&self, item: StreamItem, bytes: usize) -> Result<(), Stop> {
        let units = bytes.div_ceil(UNIT).min(self.units);
        let permit = match u32::try_from(units) {
            Ok(0) | Err(_) => None,
            Ok(units) => tokio::select! {
                permit = Arc::clone(&self.bytes).acquire_many_owned(units) => permit.ok(),
                () = self.sender.closed() => return Err(Stop::Unread),
            },
        };
        self.sender
            .send(Queued {
                item,
                _bytes: permit,
            })
            .await
            .map_err(|_| Stop::Unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn item() -> StreamItem {
        StreamItem::Connected
    }

    #[test]
    fn a_full_queue_makes_the_socket_wait_until_its_reader_took_something() {
        let limits = Limits {
            queued_bytes: 10 * UNIT,
            ..Limits::default()
        };
        let (sender, mut items) = mpsc::channel(100);
        let queue = Queue::new(sender, &limits);
        for _ in 0..2 {
            assert!(matches!(
                queue.push(item(), 4 * UNIT).now_or_never(),
                Some(Ok(()))
            ));
        }
        assert!(queue.push(item(), 4 * UNIT).now_or_never().is_none());
        drop(items.try_recv().unwrap());
        assert!(matches!(
            queue.push(item(), 4 * UNIT).now_or_never(),
            Some(Ok(()))
        ));
    }

    #[test]
    fn a_frame_larger_than_the_queue_passes_when_the_queue_is_empty() {
        let limits = Limits {
            queued_bytes: 10 * UNIT,
            ..Limits::default()
        };
        let (sender, mut items) = mpsc::channel(100);
        let queue = Queue::new(sender, &limits);
        assert!(queue.push(item(), 1).now_or_never().is_some());
        assert!(queue.push(item(), 99 * UNIT).now_or_never().is_none());
        drop(items.try_recv().unwrap());
        assert!(queue.push(item(), 99 * UNIT).now_or_never().is_some());
    }

    #[test]
    fn nobody_reading_ends_the_waiting() {
        let limits = Limits {
            queued_bytes: UNIT,
            ..Limits::default()
        };
        let (sender, items) = mpsc::channel(100);
        let queue = Queue::new(sender, &limits);
        assert!(queue.push(item(), UNIT).now_or_never().is_some());
        drop(items);
        assert!(matches!(
            queue.push(item(), UNIT).now_or_never(),
            Some(Err(Stop::Unread))
        ));
    }
}
