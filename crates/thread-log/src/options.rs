//! How a log behaves. The defaults are the contract's.

use open_cowork_projection::sanitize::Redactor;
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
            .finish_non_exhaustive()
    }
}

impl ThreadLogOptions {
    /// The time now as events carry it: ISO-8601, UTC, milliseconds.
    pub(crate) fn now(&self) -> String {
        iso((self.clock)())
    }
}

/// ISO-8601, UTC, always three digits of milliseconds.
pub(crate) fn iso(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_three_digits_of_milliseconds() {
        let at: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(super::iso(at), "2026-01-02T03:04:05.000Z");
    }
}
