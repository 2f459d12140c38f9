//! What a worker is made of, and what its tasks share.

use crate::capacity::Capacity;
use crate::options::WorkerOptions;
use crate::progress::Progress;
use crate::usage::Usage;
use open_cowork_contracts::TenantId;
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::bus::EventBus;
use open_cowork_providers::secrets::Secrets;
use open_cowork_providers::store::{ControlPlane, SessionKey};
use open_cowork_providers::time::Timestamp;
use open_cowork_thread_log::ThreadLog;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

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
    pub(crate) crowd: Crowd,
    closing: AtomicBool,
}

impl Shared {
    pub(crate) fn new(parts: WorkerParts, options: WorkerOptions) -> Self {
        let progress = Progress::new(options.watchdog, parts.clock.clone());
        Shared {
            capacity: Capacity::new(&options.runtimes),
            lanes: Semaphore::new(options.session_concurrency),
            usage: Usage::start(parts.store.clone(), options.record_usage),
            progress: Arc::new(progress),
            held: Arc::default(),
            crowd: Crowd::default(),
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

/// Sessions whose lease this worker holds, or is about to.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<BTreeSet<SessionKey>>);

impl Held {
    /// A place for one more, unless there are `most`; true for one that has its place.
    pub(crate) fn reserve(&self, key: &SessionKey, most: usize) -> bool {
        let mut held = self.lock();
        if held.contains(key) {
            return true;
        }
        held.len() < most && held.insert(key.clone())
    }

    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.lock().len() >= most
    }

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

/// Organisations that had no place left for another session a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<HashMap<TenantId, Instant>>);

/// How long it counts: whoever waits asks again at the next look.
const CROWDED: Duration = Duration::from_secs(10);

impl Crowd {
    pub(crate) fn tell(&self, tenant: &TenantId) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| at.elapsed() < CROWDED);
        told.insert(tenant.clone(), Instant::now());
    }

    pub(crate) fn is_told(&self, tenant: &TenantId) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(tenant).is_some_and(|at| at.elapsed() < CROWDED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_holds_no_more_sessions_than_it_may() {
        let held = Held::default();
        let key = |id: &str| SessionKey::new("t", id);
        assert!(held.reserve(&key("a"), 2) && held.reserve(&key("b"), 2));
        assert!(held.is_full(2) && !held.reserve(&key("c"), 2));
        assert!(held.reserve(&key("a"), 2), "it has its place");
        held.remove(&key("b"));
        assert!(held.reserve(&key("c"), 2));
    }
}
