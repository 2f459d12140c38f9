//! How a log behaves. The defaults are the contract's.

use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::bus::{EventBus, LocalBus};
use open_cowork_providers::store::{LeaseFence, LeaseToken};
use open_cowork_providers::time::iso;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Tells the time of new events. Injected, so that tests own it.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Options of a [`crate::ThreadLog`].
#[derive(Clone)]
pub struct ThreadLogOptions {
    /// Time of new events.
    pub clock: Clock,
    /// Longest time that a delta waits for others (01 §1: 60 ms).
    pub window: Duration,
    /// Secret values that are cut out of events (01 §6.2).
    pub redactor: Arc<Redactor>,
    /// A snapshot is due after so many events without one, or after a tenth of the log if that is more.
    pub snapshot_every: u64,
    /// … or after so many payload bytes, or a tenth of the view if that is more.
    pub snapshot_bytes: usize,
    /// Most threads whose views stay in memory (01 §1: 512).
    pub max_threads: usize,
    /// Most estimated bytes of these views (01 §1: 256 MiB).
    pub max_bytes: usize,
    /// Bytes of newest events kept for the subscribers of one thread; whoever falls further behind reads the
    /// store.
    pub live_bytes: usize,
    /// Tells other processes when to look, and is told by them. What this process does itself it knows without.
    pub bus: Arc<dyn EventBus>,
    /// True when other processes may append to the same store (PostgreSQL): reads first ask the store how far
    /// it is, and streams follow the bus and a poll. False: all that happens happens here.
    pub shared: bool,
    /// How often a shared store is asked what is new while the bus is disconnected: what a lost wake-up costs
    /// then (04 §9).
    pub poll: Duration,
    /// The same while the bus is connected.
    pub poll_connected: Duration,
}

impl Default for ThreadLogOptions {
    fn default() -> Self {
        ThreadLogOptions {
            clock: Arc::new(jiff::Timestamp::now),
            window: Duration::from_millis(60),
            redactor: Arc::new(Redactor::default()),
            snapshot_every: 500,
            snapshot_bytes: 4 * 1024 * 1024,
            max_threads: 512,
            max_bytes: 256 * 1024 * 1024,
            live_bytes: 1024 * 1024,
            bus: Arc::new(LocalBus::default()),
            shared: false,
            poll: Duration::from_secs(1),
            poll_connected: Duration::from_secs(15),
        }
    }
}

impl fmt::Debug for ThreadLogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadLogOptions")
            .field("window", &self.window)
            .field("snapshot_every", &self.snapshot_every)
            .field("max_threads", &self.max_threads)
            .field("max_bytes", &self.max_bytes)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl ThreadLogOptions {
    /// The time now as events carry it: ISO-8601, UTC, milliseconds.
    pub(crate) fn now(&self) -> String {
        iso((self.clock)())
    }

    /// What an append under a lease shows.
    pub(crate) fn fence(&self, token: &LeaseToken) -> LeaseFence {
        LeaseFence {
            token: token.clone(),
            now: (self.clock)(),
        }
    }
}
