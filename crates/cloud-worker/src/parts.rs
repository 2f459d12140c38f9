//! What a worker is made of, and what its tasks share.

use crate::capacity::Capacity;
use crate::options::WorkerOptions;
use crate::progress::Progress;
use crate::usage::Usage;
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::bus::EventBus;
use open_cowork_providers::secrets::Secrets;
use open_cowork_providers::store::{ControlPlane, SessionKey};
use open_cowork_providers::time::Timestamp;
use open_cowork_thread_log::ThreadLog;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Tells the time. Injected, so that tests own it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a worker is given.
#[derive(Clone)]
pub struct WorkerParts {
    /// The control plane.
    pub store: Arc<dyn ControlPlane>,
    /// The log over the same store.
    pub log: ThreadLog,
    /// Wake-ups.
    pub bus: Arc<dyn EventBus>,
    /// Reveals provider keys.
    pub secrets: Arc<dyn Secrets>,
    /// The very one that the log was made with: it learns keys before an event can hold one.
    pub redactor: Arc<Redactor>,
    /// The time.
    pub clock: Clock,
}

/// What the tasks of a worker share.
pub(crate) struct Shared {
    pub(crate) parts: WorkerParts,
    pub(crate) options: WorkerOptions,
    pub(crate) capacity: Capacity,
    /// Sessions whose prompts are executed at the same time.
    pub(crate) lanes: Semaphore,
    pub(crate) progress: Arc<Progress>,
    pub(crate) usage: Usage,
    pub(crate) held: Arc<Held>,
    closing: AtomicBool,
}

impl Shared {
    pub(crate) fn new(parts: WorkerParts, options: WorkerOptions, progress: Arc<Progress>) -> Self {
        Shared {
            capacity: Capacity::new(&options.runtimes),
            lanes: Semaphore::new(options.session_concurrency),
            usage: Usage::start(parts.store.clone(), options.record_usage),
            progress,
            held: Arc::default(),
            closing: AtomicBool::new(false),
            parts,
            options,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    /// This worker takes up nothing new.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// Sessions whose lease this worker holds.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<BTreeSet<SessionKey>>);

impl Held {
    pub(crate) fn add(&self, key: SessionKey) {
        self.lock().insert(key);
    }

    pub(crate) fn remove(&self, key: &SessionKey) {
        self.lock().remove(key);
    }

    /// Their ids, at most so many.
    pub(crate) fn ids(&self, limit: usize) -> Vec<String> {
        let held = self.lock();
        let ids = held.iter().take(limit);
        ids.map(|key| key.session_id.to_string()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<SessionKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
