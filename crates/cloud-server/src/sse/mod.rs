//! Server-sent events: one hub per process (03 §9, §12; 01 §7.3).
//!
//! A stream is a cursor over the log and never a queue: a slow client costs what its socket holds, and loses
//! nothing. What other processes wrote is the log's concern. One task ticks the wheel of keep-alives for all
//! streams; another hears of revoked credentials. A stream ends by aborting its body, so that every client notices.

mod frame;
mod open;

pub use frame::Frame;
pub use open::{Cursor, session, session_of, workspace};

use crate::call::Call;
use crate::cloud::{Cloud, Services};
use crate::error::ApiError;
use crate::principal::Authenticated;
use crate::reply::Answer;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use frame::Frames;
use futures::stream::{self, BoxStream, StreamExt};
use open_cowork_contracts::TenantId;
use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::store::{ControlPlane, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Places of the wheel: the streams of one place get their keep-alive together.
const PLACES: usize = 15;

/// All streams of a process.
pub struct Streams {
    hub: Arc<Hub>,
    tasks: TaskTracker,
}

/// What streams share.
struct Hub {
    wheel: Vec<watch::Sender<u64>>,
    credentials: watch::Sender<Change>,
    open: Mutex<HashMap<String, usize>>,
    next: AtomicUsize,
    frames: Frames,
    /// The database's: a client that sees another one reads its state anew.
    epoch: OnceCell<HeaderValue>,
}

/// The last change of credentials.
#[derive(Clone, Debug, Default)]
struct Change {
    count: u64,
    /// Whose; `None`: anybody's.
    tenant: Option<TenantId>,
}

impl Change {
    /// Whether a stream that has seen `before` must ask again.
    fn concerns(&self, tenant: &TenantId, before: u64) -> bool {
        self.count > before + 1 || self.tenant.as_ref().is_none_or(|changed| changed == tenant)
    }
}

impl Streams {
    /// Starts the one task of all streams.
    pub(crate) fn start(services: &Services, stop: &CancellationToken) -> Self {
        let hub = Arc::new(Hub {
            wheel: (0..PLACES).map(|_| watch::Sender::new(0)).collect(),
            credentials: watch::Sender::default(),
            open: Mutex::default(),
            next: AtomicUsize::new(0),
            frames: Frames::default(),
            epoch: OnceCell::new(),
        });
        let tasks = TaskTracker::new();
        let every = services.options.limits.keep_alive / PLACES as u32;
        let every = every.max(Duration::from_millis(1));
        tasks.spawn(turn(hub.clone(), every, stop.clone()));
        tasks.spawn(listen(hub.clone(), services.bus.clone(), stop.clone()));
        tasks.close();
        Streams { hub, tasks }
    }

    pub(crate) async fn stopped(&self) {
        self.tasks.wait().await;
    }

    /// Streams that are open now.
    pub fn count(&self) -> usize {
        let open = self.hub.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().sum()
    }

    /// Learns the database's epoch, once. Without an answer the stream begins without it, which tells the client
    /// nothing.
    async fn learn_epoch(&self, store: &dyn ControlPlane) {
        let ask = || async {
            let fresh = uuid::Uuid::new_v4().simple().to_string();
            let epoch = store.stream_epoch(&fresh).await?;
            HeaderValue::from_str(&epoch).map_err(|_| StoreError::Invalid(epoch))
        };
        if let Err(error) = self.hub.epoch.get_or_try_init(ask).await {
            tracing::debug!(%error, "the database's epoch can't be read now");
        }
    }

    /// A slot of the organisation, until it is dropped.
    fn admit(&self, org: &str, cap: usize) -> Option<Slot> {
        let mut open = self.hub.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(org.to_owned()).or_default();
        if *count >= cap {
            return None;
        }
        *count += 1;
        Some(Slot {
            hub: self.hub.clone(),
            org: org.to_owned(),
        })
    }
}

/// Turns the wheel.
async fn turn(hub: Arc<Hub>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0u64;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        hub.wheel[count as usize % PLACES].send_replace(count);
        count += 1;
    }
}

/// Listens to the bus for all streams.
async fn listen(hub: Arc<Hub>, bus: Arc<dyn EventBus>, stop: CancellationToken) {
    let mut topics = bus.subscribe();
    loop {
        let topic = tokio::select! {
            received = topics.recv() => received,
            () = stop.cancelled() => return,
        };
        let tenant = match topic {
            Ok(Topic::Credentials(tenant)) => Some(tenant),
            Ok(Topic::Everything) | Err(RecvError::Lagged(_)) => None,
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        };
        hub.credentials.send_modify(|change| {
            *change = Change {
                count: change.count + 1,
                tenant,
            };
        });
    }
}

/// A stream's place in its organisation's count.
struct Slot {
    hub: Arc<Hub>,
    org: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.hub.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.org) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.org);
            }
        }
    }
}

/// Answers a call with a stream of frames. Whatever can be refused was refused before; this refuses at the cap
/// (429) and while draining (503), keeps the stream alive, and ends it at its lifetime, when the caller's
/// credential ends, and when the caller may no longer read.
///
/// # Errors
/// 401 on an open route, 429, 503.
pub fn answer(call: &Call, frames: BoxStream<'static, Frame>) -> Answer {
    let cloud = &call.cloud;
    let who = call.who.clone();
    let who = who.ok_or_else(|| ApiError::unauthenticated("Sign in first."))?;
    if cloud.is_draining() {
        let error = ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting_down",
            "The server is shutting down; connect again.",
        );
        return Err(error.retry(Duration::from_secs(1)).closing());
    }
    let cap = cloud.options.limits.streams_per_org;
    let slot = cloud.streams().admit(&who.principal.org_id, cap);
    let Some(slot) = slot else {
        let error = ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "streams.too_many",
            "This organisation has too many open streams; close some.",
        );
        return Err(error.retry(Duration::from_secs(1)).closing());
    };
    let body = body(cloud, who, slot, frames);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    );
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    if let Some(epoch) = cloud.streams().hub.epoch.get() {
        let name = HeaderName::from_static("x-open-cowork-stream-epoch");
        headers.insert(name, epoch.clone());
    }
    Ok(response)
}

/// Why a stream's body ends. Always an error: hyper then cuts the connection instead of ending it well.
#[derive(Debug, thiserror::Error)]
#[error("the stream ends; connect again")]
struct Ended;

struct Open {
    cloud: Cloud,
    who: Authenticated,
    frames: BoxStream<'static, Frame>,
    ticks: watch::Receiver<u64>,
    credentials: watch::Receiver<Change>,
    seen: u64,
    ends: Instant,
    checked: Instant,
    first: bool,
    over: bool,
    _slot: Slot,
}

fn body(
    cloud: &Cloud,
    who: Authenticated,
    slot: Slot,
    frames: BoxStream<'static, Frame>,
) -> impl futures::Stream<Item = Result<Bytes, Ended>> + Send + use<> {
    let hub = &cloud.streams().hub;
    let place = hub.next.fetch_add(1, Ordering::Relaxed) % PLACES;
    let credentials = hub.credentials.subscribe();
    let seen = credentials.borrow().count;
    let now = Instant::now();
    let mut ticks = hub.wheel[place].subscribe();
    ticks.mark_unchanged();
    let open = Open {
        seen,
        credentials,
        ticks,
        ends: now + cloud.options.limits.stream_lifetime,
        checked: now,
        first: true,
        over: false,
        cloud: cloud.clone(),
        who,
        frames,
        _slot: slot,
    };
    stream::unfold(open, async |mut open| {
        if open.over {
            return None;
        }
        let next = open.next().await;
        open.over = next.is_err();
        Some((next, open))
    })
}

impl Open {
    async fn next(&mut self) -> Result<Bytes, Ended> {
        if std::mem::take(&mut self.first) {
            return Ok(Bytes::from_static(b": connected\n\n"));
        }
        loop {
            let woken = tokio::select! {
                biased;
                () = self.cloud.draining().cancelled() => return Err(Ended),
                // Before the frames: of a busy thread there is always one.
                _ = self.credentials.changed() => Woken::Credentials,
                _ = self.ticks.changed() => Woken::Tick,
                frame = self.frames.next() => Woken::Frame(frame),
            };
            match woken {
                Woken::Frame(Some(frame)) => return Ok(frame.0),
                Woken::Frame(None) => return Err(Ended),
                Woken::Credentials => {
                    let change = self.credentials.borrow_and_update().clone();
                    let before = std::mem::replace(&mut self.seen, change.count);
                    if change.concerns(&self.who.principal.tenant_id, before) {
                        self.check().await?;
                    }
                }
                Woken::Tick => {
                    let now = Instant::now();
                    let expired = self
                        .who
                        .expires_at
                        .is_some_and(|end| end <= self.cloud.now());
                    if now >= self.ends || expired {
                        return Err(Ended);
                    }
                    let every = self.cloud.options.limits.revalidate;
                    if now.duration_since(self.checked) >= every {
                        self.check().await?;
                    }
                    return Ok(Bytes::from_static(b": keep-alive\n\n"));
                }
            }
        }
    }

    /// Ends the stream of somebody who may no longer read. While nobody can tell, it stays.
    async fn check(&mut self) -> Result<(), Ended> {
        self.checked = Instant::now();
        match self.cloud.authenticator.still_valid(&self.who).await {
            Ok(false) => Err(Ended),
            Ok(true) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "a stream's credential can't be checked now");
                Ok(())
            }
        }
    }
}

enum Woken {
    Frame(Option<Frame>),
    Credentials,
    Tick,
}
