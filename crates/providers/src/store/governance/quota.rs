//! The window of a quota. Upstream counts in fixed hours, which lets twice the limit through around the full
//! hour (04 §16 #18). This one slides: what was taken is kept in slices of a 60th of the window, and counts
//! until the whole slice has left it.

use crate::time::{Timestamp, iso};
use open_cowork_contracts::api::usage::{QuotaKey, QuotaState};
use serde::{Deserialize, Serialize};

const SLICES: i64 = 60;

/// What to take from a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaClaim {
    /// Which quota.
    pub key: QuotaKey,
    /// How much.
    pub amount: u64,
    /// Most in one window; `None`: no limit, but it is counted.
    pub limit: Option<u64>,
}

/// What was taken lately, as it is stored: `[start of the slice in milliseconds, taken]`, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window {
    slices: Vec<(i64, u64)>,
}

impl Window {
    /// Forgets what has left the window.
    fn slide(&mut self, key: QuotaKey, now: i64) {
        let oldest = now - length(key) - slice(key);
        self.slices.retain(|(start, _)| *start > oldest);
    }

    fn used(&self) -> u64 {
        self.slices
            .iter()
            .fold(0, |sum, (_, taken)| sum.saturating_add(*taken))
    }

    /// Takes; false when that would pass the limit, and then nothing is taken.
    pub fn take(&mut self, claim: &QuotaClaim, now: Timestamp) -> bool {
        let now = now.as_millisecond();
        self.slide(claim.key, now);
        let after = self.used().saturating_add(claim.amount);
        if claim.limit.is_some_and(|limit| after > limit) {
            return false;
        }
        let size = slice(claim.key);
        // A clock that went back must not open a slice in the past: it would leave too early.
        let newest = self.slices.last().map_or(i64::MIN, |(start, _)| *start);
        let start = (now.div_euclid(size) * size).max(newest);
        match self.slices.last_mut() {
            Some((last, taken)) if *last == start => *taken = taken.saturating_add(claim.amount),
            _ => self.slices.push((start, claim.amount)),
        }
        true
    }

    /// Gives back, newest first.
    pub fn give_back(&mut self, claim: &QuotaClaim, now: Timestamp) {
        self.slide(claim.key, now.as_millisecond());
        let mut left = claim.amount;
        for (_, taken) in self.slices.iter_mut().rev() {
            let back = left.min(*taken);
            *taken -= back;
            left -= back;
        }
        self.slices.retain(|(_, taken)| *taken > 0);
    }

    /// How it stands. `amount`: when as much could be taken is `resetAt`; 0: when all has left.
    #[must_use]
    pub fn state(
        &self,
        key: QuotaKey,
        limit: Option<u64>,
        amount: u64,
        now: Timestamp,
    ) -> QuotaState {
        let mut window = self.clone();
        let millis = now.as_millisecond();
        window.slide(key, millis);
        let used = window.used();
        let leaves = |start: i64| start + length(key) + slice(key);
        let reset = match limit.filter(|_| amount > 0) {
            None => window
                .slices
                .last()
                .map_or(millis, |(start, _)| leaves(*start)),
            Some(limit) => {
                let mut left = used;
                let free = window.slices.iter().find(|(_, taken)| {
                    left -= taken;
                    left.saturating_add(amount) <= limit
                });
                free.or(window.slices.last())
                    .map_or(millis + length(key), |(start, _)| leaves(*start))
            }
        };
        let at = |millis: i64| Timestamp::from_millisecond(millis).map_or_else(|_| iso(now), iso);
        QuotaState {
            quota_key: key,
            label: key.label().to_owned(),
            unit: key.unit(),
            enabled: limit.is_some(),
            limit,
            used,
            remaining: limit.map(|limit| limit.saturating_sub(used)),
            window_ms: key.window_ms(),
            window_started_at: at(millis - length(key)),
            reset_at: at(reset),
            policy_code: key.policy_code().to_owned(),
        }
    }
}

fn length(key: QuotaKey) -> i64 {
    i64::try_from(key.window_ms()).unwrap_or(i64::MAX / 4)
}

fn slice(key: QuotaKey) -> i64 {
    (length(key) / SLICES).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: QuotaKey = QuotaKey::PromptsHour;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    fn claim(amount: u64, limit: u64) -> QuotaClaim {
        QuotaClaim {
            key: KEY,
            amount,
            limit: Some(limit),
        }
    }

    #[test]
    fn the_full_hour_doesnt_double_the_limit() {
        let mut window = Window::default();
        for _ in 0..3 {
            assert!(window.take(&claim(1, 3), at(3_599_000)));
        }
        assert!(!window.take(&claim(1, 3), at(3_601_000)));
        assert!(window.take(&claim(1, 3), at(3_599_000 + 3_660_001)));
    }

    #[test]
    fn the_time_to_wait_is_when_enough_has_left() {
        let mut window = Window::default();
        assert!(window.take(&claim(2, 3), at(0)));
        assert!(window.take(&claim(1, 3), at(1_800_000)));
        let state = window.state(KEY, Some(3), 2, at(1_800_000));
        assert_eq!((state.used, state.remaining), (3, Some(0)));
        let reset: Timestamp = state.reset_at.parse().unwrap();
        let mut later = window.clone();
        assert!(!later.take(&claim(2, 3), at(1_800_000)));
        assert!(later.take(&claim(2, 3), reset));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut window = Window::default();
        assert!(window.take(&claim(3, 3), at(0)));
        window.give_back(&claim(1, 3), at(1));
        assert!(window.take(&claim(1, 3), at(2)) && !window.take(&claim(1, 3), at(3)));
    }

    #[test]
    fn without_a_limit_it_only_counts() {
        let mut window = Window::default();
        let claim = QuotaClaim {
            key: KEY,
            amount: u64::MAX,
            limit: None,
        };
        assert!(window.take(&claim, at(0)) && window.take(&claim, at(0)));
        let state = window.state(KEY, None, 0, at(0));
        assert_eq!((state.enabled, state.remaining), (false, None));
    }

    proptest! {
        #[test]
        fn no_stretch_of_a_window_holds_more_than_the_limit(
            steps in proptest::collection::vec((0i64..400_000, 1u64..4), 1..200),
        ) {
            let mut window = Window::default();
            let mut taken: Vec<(i64, u64)> = Vec::new();
            let mut now = 0;
            for (step, amount) in steps {
                now += step;
                if window.take(&claim(amount, 7), at(now)) {
                    taken.push((now, amount));
                }
                let stretch: u64 = taken
                    .iter()
                    .filter(|(when, _)| *when > now - 3_600_000)
                    .map(|(_, amount)| amount)
                    .sum();
                prop_assert!(stretch <= 7);
                prop_assert!(window.slices.len() <= 62);
            }
        }
    }
}
