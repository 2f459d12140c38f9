//! Wake-ups between processes. A wake-up says *when* to look, never what to see: it carries no payload, may be
//! lost, and then costs one poll interval (04 §9).
//!
//! An implementation keeps its subscribers in [`Subscribers`] and what it has to tell in [`Waiting`], writes topics as
//! [`Wire`], connects again after [`Pauses`], and passes the suite `bus_conformance!` of the feature `conformance`.

mod pauses;
mod waiting;
mod wire;

pub use pauses::Pauses;
pub use waiting::Waiting;
pub use wire::Wire;

use crate::store::{Scope, SessionKey};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::broadcast;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// A session has new events.
    Session(SessionKey),
    /// A user's workspace stream has new events.
    Workspace(Scope),
    /// Commands of a session wait for a worker.
    Commands(SessionKey),
    /// Credentials of a tenant were revoked or changed: forget what was verified.
    Credentials(open_cowork_contracts::TenantId),
    /// Something was missed: look at everything.
    Everything,
}

/// A bounded, lossy channel of wake-ups that all processes of a deployment share.
pub trait EventBus: Send + Sync + 'static {
    /// Tells all subscribers of all processes. Never waits; equal topics may be joined.
    fn publish(&self, topic: Topic);

    /// Wake-ups from now on, own ones included. A receiver that lags must treat it as [`Topic::Everything`].
    fn subscribe(&self) -> broadcast::Receiver<Topic>;

    /// Wake-ups of other processes only, for whoever knows what its own process did.
    fn subscribe_remote(&self) -> broadcast::Receiver<Topic>;

    /// True while wake-ups of other processes arrive; false lets callers poll at their short interval.
    fn is_connected(&self) -> bool;
}

/// Topics that a slow subscriber may lag behind.
const WAITING_TOPICS: usize = 4096;

/// The subscribers of one process. For implementations of [`EventBus`].
#[derive(Debug)]
pub struct Subscribers {
    all: broadcast::Sender<Topic>,
    remote: broadcast::Sender<Topic>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Subscribers {
            all: broadcast::Sender::new(WAITING_TOPICS),
            remote: broadcast::Sender::new(WAITING_TOPICS),
        }
    }
}

impl Subscribers {
    /// A topic of this process.
    pub fn wake_own(&self, topic: Topic) {
        // Nobody listens: fine, a wake-up is only a hint.
        let _ = self.all.send(topic);
    }

    /// A topic of another process, or of nobody.
    pub fn wake_remote(&self, topic: Topic) {
        let _ = self.remote.send(topic.clone());
        let _ = self.all.send(topic);
    }

    /// See [`EventBus::subscribe`].
    pub fn all(&self) -> broadcast::Receiver<Topic> {
        self.all.subscribe()
    }

    /// See [`EventBus::subscribe_remote`].
    pub fn remote(&self) -> broadcast::Receiver<Topic> {
        self.remote.subscribe()
    }
}

/// Wake-ups inside one process. [`LocalBus::another`] gives what stands for another process.
#[derive(Debug)]
pub struct LocalBus {
    own: Arc<Subscribers>,
    members: Arc<Mutex<Vec<Weak<Subscribers>>>>,
}

impl Default for LocalBus {
    fn default() -> Self {
        let own = Arc::<Subscribers>::default();
        LocalBus {
            members: Arc::new(Mutex::new(vec![Arc::downgrade(&own)])),
            own,
        }
    }
}

impl LocalBus {
    /// Another member of this bus, as another process has it.
    #[must_use]
    pub fn another(&self) -> LocalBus {
        let own = Arc::<Subscribers>::default();
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(&own));
        LocalBus {
            own,
            members: self.members.clone(),
        }
    }
}

impl EventBus for LocalBus {
    fn publish(&self, topic: Topic) {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        for member in members.iter().filter_map(Weak::upgrade) {
            if Arc::ptr_eq(&member, &self.own) {
                member.wake_own(topic.clone());
            } else {
                member.wake_remote(topic.clone());
            }
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Topic> {
        self.own.all()
    }

    fn subscribe_remote(&self) -> broadcast::Receiver<Topic> {
        self.own.remote()
    }

    fn is_connected(&self) -> bool {
        true
    }
}
