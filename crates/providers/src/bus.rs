//! Wake-ups between processes. A wake-up says *when* to look, never what to see: it carries no payload, may be
//! lost, and then costs one poll interval (04 §9).

use crate::store::{Scope, SessionKey};
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

    /// True while wake-ups of other processes arrive; false lets callers poll at their short interval.
    fn is_connected(&self) -> bool;
}

/// Wake-ups inside one process.
#[derive(Debug)]
pub struct LocalBus {
    topics: broadcast::Sender<Topic>,
}

impl Default for LocalBus {
    fn default() -> Self {
        LocalBus {
            topics: broadcast::Sender::new(4096),
        }
    }
}

impl EventBus for LocalBus {
    fn publish(&self, topic: Topic) {
        // Nobody listens: fine, a wake-up is only a hint.
        let _ = self.topics.send(topic);
    }

    fn subscribe(&self) -> broadcast::Receiver<Topic> {
        self.topics.subscribe()
    }

    fn is_connected(&self) -> bool {
        true
    }
}
