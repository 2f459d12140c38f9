//! How many runtimes a worker may run (04 §4.2): a hard cap, a bounded queue in the order of arrival, a deadline.

use crate::options::RuntimeLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// No runtime can be had at the moment; the command is deferred and tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("All runtimes of this worker are busy ({}); the command is tried again in a moment.", .reason.as_str())]
pub struct CapacityError {
    /// Why.
    pub reason: CapacityReason,
}

/// Why no runtime can be had (04 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacityReason {
    /// Too many wait already.
    QueueFull,
    /// None became free in time.
    QueueTimeout,
    /// It did not start in time.
    ProvisionTimeout,
    /// The home is still held by a worker that is going away.
    CleanupPending,
    /// This worker is going away.
    AdapterClosing,
}

impl CapacityReason {
    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CapacityReason::QueueFull => "queue_full",
            CapacityReason::QueueTimeout => "queue_timeout",
            CapacityReason::ProvisionTimeout => "provision_timeout",
            CapacityReason::CleanupPending => "cleanup_pending",
            CapacityReason::AdapterClosing => "adapter_closing",
        }
    }
}

/// After a deferral it is tried again after that.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The permits.
#[derive(Debug)]
pub(crate) struct Capacity {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    timeout: Duration,
    /// Told whenever someone waits: idle runtimes make room.
    wanted: Notify,
}

impl Capacity {
    pub(crate) fn new(limits: &RuntimeLimits) -> Self {
        Capacity {
            permits: Arc::new(Semaphore::new(limits.max_entries)),
            waiting: AtomicUsize::new(0),
            queue: limits.queue,
            timeout: limits.admission_timeout,
            wanted: Notify::new(),
        }
    }

    /// A permit; whoever holds it until its runtime is really gone.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, CapacityError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let queued = Waiting::enter(self)?;
        self.wanted.notify_one();
        let permit = tokio::time::timeout(self.timeout, self.permits.clone().acquire_owned()).await;
        drop(queued);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(CapacityError {
                reason: CapacityReason::AdapterClosing,
            }),
            Err(_) => Err(CapacityError {
                reason: CapacityReason::QueueTimeout,
            }),
        }
    }

    /// Resolves when somebody waits for a permit.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Runtimes that can still be started.
    pub(crate) fn free(&self) -> usize {
        self.permits.available_permits()
    }

    /// Who waits now is told that nothing comes any more.
    pub(crate) fn close(&self) {
        self.permits.close();
    }
}

/// One place in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(capacity: &'a Capacity) -> Result<Self, CapacityError> {
        let entered =
            capacity
                .waiting
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
                    (waiting < capacity.queue).then_some(waiting + 1)
                });
        match entered {
            Ok(_) => Ok(Waiting(&capacity.waiting)),
            Err(_) => Err(CapacityError {
                reason: CapacityReason::QueueFull,
            }),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(max_entries: usize, queue: usize) -> Arc<Capacity> {
        Arc::new(Capacity::new(&RuntimeLimits {
            max_entries,
            queue,
            ..RuntimeLimits::default()
        }))
    }

    fn reason(result: Result<OwnedSemaphorePermit, CapacityError>) -> CapacityReason {
        result.unwrap_err().reason
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_so() {
        let capacity = capacity(1, 1);
        let _held = capacity.admit().await.unwrap();
        let before = tokio::time::Instant::now();
        assert_eq!(reason(capacity.admit().await), CapacityReason::QueueTimeout);
        assert_eq!(before.elapsed(), Duration::from_secs(30));
        assert_eq!(capacity.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_in_order() {
        let capacity = capacity(1, 2);
        let held = capacity.admit().await.unwrap();
        let wait = |capacity: Arc<Capacity>| tokio::spawn(async move { capacity.admit().await });
        let first = wait(capacity.clone());
        tokio::task::yield_now().await;
        let second = wait(capacity.clone());
        tokio::task::yield_now().await;
        assert_eq!(reason(capacity.admit().await), CapacityReason::QueueFull);
        drop(held);
        let got = first.await.unwrap().unwrap();
        assert!(!second.is_finished());
        drop(got);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_gives_up_leaves_the_queue() {
        let capacity = capacity(1, 1);
        let _held = capacity.admit().await.unwrap();
        let waiter = {
            let capacity = capacity.clone();
            tokio::spawn(async move { capacity.admit().await })
        };
        tokio::task::yield_now().await;
        waiter.abort();
        assert!(waiter.await.is_err());
        assert_eq!(capacity.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_worker_admits_nobody() {
        let capacity = capacity(1, 1);
        let _held = capacity.admit().await.unwrap();
        let waiter = {
            let capacity = capacity.clone();
            tokio::spawn(async move { capacity.admit().await })
        };
        tokio::task::yield_now().await;
        capacity.close();
        assert_eq!(
            reason(waiter.await.unwrap()),
            CapacityReason::AdapterClosing
        );
    }
}
