//! What waits to be told to other processes.

use super::Topic;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Topics that may wait to be told; more of them become one "look at everything".
const MOST: usize = 4096;

/// Topics between [`EventBus::publish`](super::EventBus::publish), which never waits, and the task that tells other
/// processes. Equal ones are joined; more than 4096 become one [`Topic::Everything`]. For one such task.
#[derive(Debug, Default)]
pub struct Waiting {
    topics: Mutex<HashSet<Topic>>,
    added: Notify,
}

impl Waiting {
    /// Adds topics, or adds again those that couldn't be told.
    pub fn add(&self, topics: impl IntoIterator<Item = Topic>) {
        let mut waiting = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in topics {
            waiting.insert(topic);
            if waiting.len() > MOST {
                waiting.insert(Topic::Everything);
                break;
            }
        }
        if waiting.contains(&Topic::Everything) {
            waiting.retain(|topic| *topic == Topic::Everything);
        }
        drop(waiting);
        self.added.notify_one();
    }

    /// Takes all of them, in no order.
    #[must_use]
    pub fn take(&self) -> Vec<Topic> {
        let mut waiting = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).into_iter().collect()
    }

    /// Until something was added after the last call.
    pub async fn added(&self) {
        self.added.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SessionKey;
    use futures::FutureExt;

    fn topic(n: usize) -> Topic {
        Topic::Session(SessionKey::new("t", n.to_string()))
    }

    #[test]
    fn equal_topics_are_told_once() {
        let waiting = Waiting::default();
        waiting.add([topic(1), topic(1)]);
        waiting.add([topic(1)]);
        assert_eq!(waiting.take(), [topic(1)]);
        assert_eq!(waiting.take(), []);
    }

    #[test]
    fn too_many_topics_become_one() {
        let waiting = Waiting::default();
        waiting.add((0..MOST).map(topic));
        waiting.add([topic(0)]);
        assert_eq!(waiting.take().len(), MOST);
        waiting.add((0..=MOST).map(topic));
        waiting.add([topic(0)]);
        assert_eq!(waiting.take(), [Topic::Everything]);
    }

    #[test]
    fn what_was_added_before_somebody_waits_is_not_waited_for() {
        let waiting = Waiting::default();
        waiting.add([topic(1)]);
        assert!(waiting.added().now_or_never().is_some());
        assert!(waiting.added().now_or_never().is_none());
    }
}
