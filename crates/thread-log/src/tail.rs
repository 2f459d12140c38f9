//! The newest events of a followed thread, shared by all its subscribers.

use open_cowork_contracts::{JsonObject, SessionEventRecord};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// A contiguous run of events, bounded by bytes; the oldest leave first.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    events: VecDeque<(Arc<SessionEventRecord>, usize)>,
    bytes: usize,
}

impl Tail {
    /// Adds the next event. One that doesn't follow the last starts a new run.
    pub(crate) fn push(&mut self, record: &Arc<SessionEventRecord>, bytes: usize, limit: usize) {
        if self
            .events
            .back()
            .is_some_and(|(last, _)| last.sequence + 1 != record.sequence)
        {
            self.clear();
        }
        self.events.push_back((record.clone(), bytes));
        self.bytes += bytes;
        while self.bytes > limit {
            let Some((_, bytes)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    /// All events after `cursor`, or `None` when the run begins later than that.
    pub(crate) fn since(&self, cursor: u64) -> Option<Vec<Arc<SessionEventRecord>>> {
        let first = self.events.front()?.0.sequence;
        let skip = usize::try_from((cursor + 1).checked_sub(first)?).ok()?;
        Some(
            self.events
                .iter()
                .skip(skip)
                .map(|(record, _)| record.clone())
                .collect(),
        )
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

    fn record(sequence: u64) -> Arc<SessionEventRecord> {
        Arc::new(SessionEventRecord {
            tenant_id: None,
            session_id: None,
            event_id: None,
            sequence,
            kind: EventType::SessionIdle,
            payload: JsonObject::new(),
            created_at: String::new(),
            extra: JsonObject::new(),
        })
    }

    fn sequences(tail: &Tail, cursor: u64) -> Option<Vec<u64>> {
        Some(
            tail.since(cursor)?
                .iter()
                .map(|record| record.sequence)
                .collect(),
        )
    }

    #[test]
    fn a_cursor_before_the_run_must_read_the_store() {
        let mut tail = Tail::default();
        assert_eq!(sequences(&tail, 0), None);
        for sequence in 5..=9 {
            tail.push(&record(sequence), 10, 30);
        }
        assert_eq!(sequences(&tail, 5), None);
        assert_eq!(sequences(&tail, 6), Some(vec![7, 8, 9]));
        assert_eq!(sequences(&tail, 9), Some(vec![]));
        assert_eq!(sequences(&tail, 12), Some(vec![]));
    }

    #[test]
    fn a_jump_starts_a_new_run() {
        let mut tail = Tail::default();
        tail.push(&record(1), 10, 100);
        tail.push(&record(3), 10, 100);
        assert_eq!(sequences(&tail, 1), None);
        assert_eq!(sequences(&tail, 2), Some(vec![3]));
    }
}
