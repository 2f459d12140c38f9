//! What was verified a moment ago, so that the hot path asks no store. A wake-up that tells of changed credentials
//! empties it for that tenant before the next look.
//!
//! The wake-ups are read at each look and not by a task: what was published before a request began is therefore
//! known to it. Whoever fills a place says which edition they read the store in; if something changed meanwhile,
//! what they read is thrown away.

use open_cowork_contracts::TenantId;
use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::time::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

/// Entries of one shelf. When it is full, what has ended goes, and if that isn't enough, everything.
const MOST: usize = 20_000;
/// How long something counts when no wake-ups of other processes arrive.
const UNTOLD: Duration = Duration::from_secs(2);

/// Counts changes; see [`Remembered::edition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edition(u64);

/// Values by key, for a time, per tenant.
pub(super) struct Remembered<K, V> {
    bus: Arc<dyn EventBus>,
    trust: Duration,
    shelf: Mutex<Shelf<K, V>>,
}

struct Shelf<K, V> {
    wakes: Receiver<Topic>,
    edition: u64,
    entries: HashMap<K, Entry<V>>,
}

struct Entry<V> {
    tenant: TenantId,
    until: Timestamp,
    value: V,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(super) fn new(bus: Arc<dyn EventBus>, trust: Duration) -> Self {
        let wakes = bus.subscribe();
        Remembered {
            bus,
            trust,
            shelf: Mutex::new(Shelf {
                wakes,
                edition: 0,
                entries: HashMap::new(),
            }),
        }
    }

    /// The value, while it counts.
    pub(super) fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.catch_up();
        let entry = shelf.entries.get(key)?;
        (now < entry.until).then(|| entry.value.clone())
    }

    /// To be asked before the store is read for [`Remembered::put`].
    pub(super) fn edition(&self) -> Edition {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.catch_up();
        Edition(shelf.edition)
    }

    /// Keeps what was read since `edition`, at most until `ends`.
    pub(super) fn put(
        &self,
        key: K,
        tenant: TenantId,
        value: V,
        edition: Edition,
        ends: Option<Timestamp>,
        now: Timestamp,
    ) {
        let trust = match self.bus.is_connected() {
            true => self.trust,
            false => self.trust.min(UNTOLD),
        };
        let until = now.checked_add(trust).unwrap_or(now);
        let until = ends.map_or(until, |ends| ends.min(until));
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.catch_up();
        if shelf.edition != edition.0 {
            return;
        }
        if shelf.entries.len() >= MOST {
            shelf.entries.retain(|_, entry| now < entry.until);
            if shelf.entries.len() >= MOST {
                shelf.entries.clear();
            }
        }
        let entry = Entry {
            tenant,
            until,
            value,
        };
        shelf.entries.insert(key, entry);
    }

    /// Forgets everything of a tenant, as a wake-up would.
    pub(super) fn forget(&self, tenant: &TenantId) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.forget(tenant);
    }
}

impl<K: Eq + Hash, V> Shelf<K, V> {
    fn forget(&mut self, tenant: &TenantId) {
        self.edition += 1;
        self.entries.retain(|_, entry| entry.tenant != *tenant);
    }

    fn catch_up(&mut self) {
        loop {
            match self.wakes.try_recv() {
                Ok(Topic::Credentials(tenant)) => self.forget(&tenant),
                Ok(Topic::Everything) | Err(TryRecvError::Lagged(_)) => {
                    self.edition += 1;
                    self.entries.clear();
                }
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_providers::bus::LocalBus;

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_322_800).unwrap()
    }

    fn after(seconds: u64) -> Timestamp {
        now().checked_add(Duration::from_secs(seconds)).unwrap()
    }

    fn shelf() -> (Arc<LocalBus>, Remembered<&'static str, u8>) {
        let bus = Arc::new(LocalBus::default());
        let remembered = Remembered::new(bus.clone(), Duration::from_secs(30));
        (bus, remembered)
    }

    #[test]
    fn a_change_that_was_published_before_the_look_is_seen() {
        let (bus, remembered) = shelf();
        let edition = remembered.edition();
        remembered.put("a", "one".into(), 1, edition, None, now());
        remembered.put("b", "two".into(), 2, edition, None, now());
        bus.publish(Topic::Credentials("one".into()));
        assert_eq!(remembered.get(&"a", now()), None);
        assert_eq!(remembered.get(&"b", now()), Some(2));
        bus.publish(Topic::Everything);
        assert_eq!(remembered.get(&"b", now()), None);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (bus, remembered) = shelf();
        let edition = remembered.edition();
        bus.publish(Topic::Credentials("one".into()));
        remembered.put("a", "one".into(), 1, edition, None, now());
        assert_eq!(remembered.get(&"a", now()), None);
    }

    #[test]
    fn nothing_counts_longer_than_its_trust_or_its_end() {
        let (_bus, remembered) = shelf();
        let edition = remembered.edition();
        remembered.put("a", "one".into(), 1, edition, None, now());
        remembered.put("b", "one".into(), 2, edition, Some(after(5)), now());
        assert_eq!(remembered.get(&"a", after(29)), Some(1));
        assert_eq!(remembered.get(&"a", after(30)), None);
        assert_eq!(remembered.get(&"b", after(4)), Some(2));
        assert_eq!(remembered.get(&"b", after(5)), None);
    }

    #[test]
    fn a_look_that_missed_wake_ups_forgets_everything() {
        let (bus, remembered) = shelf();
        remembered.put("a", "one".into(), 1, remembered.edition(), None, now());
        for _ in 0..10_000 {
            bus.publish(Topic::Credentials("other".into()));
        }
        assert_eq!(remembered.get(&"a", now()), None);
    }
}
