//! What the writer, the readers and the subscribers of one thread share.

use crate::tail::{Tail, payload_bytes};
use open_cowork_contracts::{SessionEventRecord, View};
use open_cowork_projection::Projector;
use open_cowork_providers::store::{SessionKey, SessionRow};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// The folded state of a thread.
pub(crate) struct Loaded {
    pub(crate) row: SessionRow,
    pub(crate) projector: Projector,
    /// Sequence of the last event folded in.
    pub(crate) sequence: u64,
    /// Estimated memory of the view.
    pub(crate) bytes: usize,
}

impl Loaded {
    /// Folds the next event; one that was folded before is skipped. False: an event is missing in between.
    pub(crate) fn fold(&mut self, record: &SessionEventRecord) -> bool {
        if record.sequence > self.sequence + 1 {
            return false;
        }
        if record.sequence == self.sequence + 1 {
            self.projector.apply(&self.row.session, record);
            self.sequence = record.sequence;
            self.bytes += payload_bytes(&record.payload);
        }
        true
    }

    /// True when nothing is missing of what a row shows; it may be older than this state.
    pub(crate) fn is_as(&self, row: &SessionRow) -> bool {
        self.sequence > row.last_sequence || self.sequence == row.last_sequence && self.row == *row
    }

    pub(crate) fn view(&self) -> &View {
        self.projector.view()
    }
}

/// What the views of all threads take together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    threads: AtomicUsize,
    bytes: AtomicUsize,
}

impl Totals {
    /// Loaded threads and their estimated bytes.
    pub(crate) fn now(&self) -> (usize, usize) {
        (
            self.threads.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}

/// Everything of a thread but its writer.
pub(crate) struct Shared {
    pub(crate) key: SessionKey,
    state: RwLock<Option<Loaded>>,
    tail: Mutex<Tail<SessionEventRecord>>,
    /// Sequence of the last event that is stored, folded and may be shown.
    published: watch::Sender<u64>,
    poked: AtomicBool,
    last_used: AtomicU64,
    bytes: AtomicUsize,
    totals: Arc<Totals>,
}

impl Shared {
    pub(crate) fn new(key: SessionKey, totals: Arc<Totals>) -> Self {
        Shared {
            key,
            state: RwLock::new(None),
            tail: Mutex::default(),
            published: watch::Sender::new(0),
            poked: AtomicBool::new(false),
            last_used: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            totals,
        }
    }

    /// The state to read. The lock is held for the read only, never across an await. A reader that panicked
    /// can't have changed anything, so a poisoned lock is as good as any.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, Option<Loaded>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state to change; the writer task only.
    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, Option<Loaded>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail<SessionEventRecord>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.state().is_some()
    }

    /// Publishes events that are folded by now: keeps them for subscribers, if any, and wakes these.
    pub(crate) fn publish(&self, records: &[Arc<SessionEventRecord>], live_bytes: usize) {
        let Some(last) = records.last() else { return };
        {
            let mut tail = self.tail();
            match self.published.receiver_count() {
                0 => tail.clear(),
                _ => records
                    .iter()
                    .for_each(|record| tail.push(record, live_bytes)),
            }
        }
        self.announce(last.sequence);
    }

    /// Everything up to that sequence is folded.
    pub(crate) fn announce(&self, sequence: u64) {
        self.published.send_if_modified(|published| {
            let higher = sequence > *published;
            *published = sequence.max(*published);
            higher
        });
    }

    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    pub(crate) fn is_followed(&self) -> bool {
        self.published.receiver_count() > 0
    }

    /// Sequence of the last event that may be shown.
    pub(crate) fn published(&self) -> u64 {
        *self.published.borrow()
    }

    /// Somebody has heard that there is more; false when that was said before and not looked after yet.
    pub(crate) fn poke(&self) -> bool {
        !self.poked.swap(true, Ordering::AcqRel)
    }

    /// What was heard is looked after from here on.
    pub(crate) fn look(&self) {
        self.poked.store(false, Ordering::Release);
    }

    /// Marks the thread as used at a tick of the log's counter.
    pub(crate) fn touch(&self, tick: u64) {
        self.last_used.store(tick, Ordering::Relaxed);
    }

    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Estimated memory of the loaded view; 0 when cold.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Keeps the totals; the writer task only.
    pub(crate) fn set_bytes(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        // Additions wrap, so adding the negative difference subtracts.
        self.totals
            .bytes
            .fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        let threads = usize::from(bytes > 0).wrapping_sub(usize::from(before > 0));
        self.totals.threads.fetch_add(threads, Ordering::Relaxed);
    }
}
