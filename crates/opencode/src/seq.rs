//! Gaps in the durable sequence (docs/contract/08-opencode.md §7): `/global/event` numbers the durable events of each
//! session from 0 without gaps, so a missing number means that an event was lost.

use std::collections::HashMap;

/// What a sequence number says about its session's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The first number seen of this session; what came before is unknown, unless the number is 0.
    First,
    /// The next one: nothing was lost.
    Next,
    /// Seen before: drop it.
    Repeated,
    /// Numbers are missing: read the session again (§12).
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came; the tracker goes on from it.
        got: u64,
    },
}

/// Follows the sequence of every session on one stream. Pure; make a new one for each connection.
///
/// Holds one number per session: call [`forget`](Self::forget) when a session is deleted.
#[derive(Clone, Debug, Default)]
pub struct SeqTracker {
    last: HashMap<String, u64>,
}

impl SeqTracker {
    /// Takes in a number, from [`Event::Sync`](crate::Event::Sync).
    pub fn observe(&mut self, session: &str, seq: u64) -> Observed {
        let Some(last) = self.last.get_mut(session) else {
            self.last.insert(session.to_owned(), seq);
            return Observed::First;
        };
        if seq <= *last {
            return Observed::Repeated;
        }
        let expected = *last + 1;
        *last = seq;
        if seq == expected {
            Observed::Next
        } else {
            Observed::Gap { expected, got: seq }
        }
    }

    /// Drops what is known of a session.
    pub fn forget(&mut self, session: &str) {
        self.last.remove(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_reported_once_and_the_sequence_goes_on_from_there() {
        let mut tracker = SeqTracker::default();
        assert_eq!(tracker.observe("ses_a", 4), Observed::First);
        assert_eq!(tracker.observe("ses_a", 5), Observed::Next);
        assert_eq!(tracker.observe("ses_a", 5), Observed::Repeated);
        assert_eq!(
            tracker.observe("ses_a", 8),
            Observed::Gap {
                expected: 6,
                got: 8
            }
        );
        assert_eq!(tracker.observe("ses_a", 9), Observed::Next);
        assert_eq!(tracker.observe("ses_a", 7), Observed::Repeated);
    }

    #[test]
    fn sessions_are_counted_apart_and_can_be_forgotten() {
        let mut tracker = SeqTracker::default();
        tracker.observe("ses_a", 0);
        assert_eq!(tracker.observe("ses_b", 0), Observed::First);
        assert_eq!(tracker.observe("ses_a", 1), Observed::Next);
        tracker.forget("ses_a");
        assert_eq!(tracker.observe("ses_a", 9), Observed::First);
    }

    #[test]
    fn the_largest_number_does_not_overflow() {
        let mut tracker = SeqTracker::default();
        tracker.observe("ses_a", u64::MAX);
        assert_eq!(tracker.observe("ses_a", u64::MAX), Observed::Repeated);
    }
}
