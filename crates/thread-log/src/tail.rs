//! The newest events of a followed thread or workspace, shared by all its subscribers.

use open_cowork_contracts::{JsonObject, SessionEventRecord, WorkspaceEventRecord};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// An event with its place.
pub(crate) trait Placed {
    fn sequence(&self) -> u64;
    fn payload(&self) -> &JsonObject;
}

impl Placed for SessionEventRecord {
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn payload(&self) -> &JsonObject {
        &self.payload
    }
}

impl Placed for WorkspaceEventRecord {
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn payload(&self) -> &JsonObject {
        &self.payload
    }
}

/// A contiguous run of events, bounded by bytes; the oldest leave first.
#[derive(Debug)]
pub(crate) struct Tail<E> {
    events: VecDeque<(Arc<E>, usize)>,
    bytes: usize,
}

impl<E> Default for Tail<E> {
    fn default() -> Self {
        Tail {
            events: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<E: Placed> Tail<E> {
    /// Adds the next event. One that is there already is skipped; one that doesn't follow the last starts a
    /// new run.
    pub(crate) fn push(&mut self, event: &Arc<E>, limit: usize) {
        match self.last() {
            Some(last) if event.sequence() <= last => return,
            Some(last) if event.sequence() > last + 1 => self.clear(),
            _ => {}
        }
        let bytes = payload_bytes(event.payload());
        self.events.push_back((event.clone(), bytes));
        self.bytes += bytes;
        while self.bytes > limit {
            let Some((_, bytes)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= bytes;
        }
    }

    /// Sequence of the newest event.
    pub(crate) fn last(&self) -> Option<u64> {
        self.events.back().map(|(event, _)| event.sequence())
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    /// All events after `cursor`, or `None` when the run begins later than that.
    pub(crate) fn since(&self, cursor: u64) -> Option<Vec<Arc<E>>> {
        let first = self.events.front()?.0.sequence();
        let skip = usize::try_from((cursor + 1).checked_sub(first)?).ok()?;
        let events = self.events.iter().skip(skip);
        Some(events.map(|(event, _)| event.clone()).collect())
    }
}

/// About the memory of a payload: text plus a constant per value. Costs as much as walking it once.
pub(crate) fn payload_bytes(payload: &JsonObject) -> usize {
    fn value_bytes(value: &Value) -> usize {
        const NODE: usize = 32;
        NODE + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_bytes).sum(),
            Value::Object(object) => payload_bytes(object),
            _ => 0,
        }
    }
    payload
        .iter()
        .map(|(key, value)| key.len() + value_bytes(value))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_contracts::EventType;
    use serde_json::json;

    fn record(sequence: u64) -> Arc<SessionEventRecord> {
        let payload = json!({ "k": 1 });
        Arc::new(SessionEventRecord {
            tenant_id: None,
            session_id: None,
            event_id: None,
            sequence,
            kind: EventType::SessionIdle,
            payload: payload.as_object().cloned().unwrap(),
            created_at: String::new(),
            extra: JsonObject::new(),
        })
    }

    fn sequences(tail: &Tail<SessionEventRecord>, cursor: u64) -> Option<Vec<u64>> {
        let events = tail.since(cursor)?;
        Some(events.iter().map(|record| record.sequence).collect())
    }

    #[test]
    fn a_cursor_before_the_run_must_read_the_store() {
        let mut tail = Tail::default();
        assert_eq!(sequences(&tail, 0), None);
        let three = 3 * payload_bytes(&record(1).payload);
        for sequence in 5..=9 {
            tail.push(&record(sequence), three);
        }
        assert_eq!(sequences(&tail, 5), None);
        assert_eq!(sequences(&tail, 6), Some(vec![7, 8, 9]));
        assert_eq!(sequences(&tail, 9), Some(vec![]));
        assert_eq!(sequences(&tail, 12), Some(vec![]));
    }

    #[test]
    fn a_jump_starts_a_new_run_and_a_known_event_changes_nothing() {
        let mut tail = Tail::default();
        tail.push(&record(1), 1000);
        tail.push(&record(3), 1000);
        tail.push(&record(2), 1000);
        assert_eq!(sequences(&tail, 1), None);
        assert_eq!(sequences(&tail, 2), Some(vec![3]));
    }
}
