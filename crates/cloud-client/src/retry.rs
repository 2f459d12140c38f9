//! Which calls are repeated, and when.
//!
//! A call is repeated when the cloud certainly didn't act on it (no connection, 429, 503) or when acting twice is the
//! same as once: a GET, or a mutation with an idempotency key.

use std::time::Duration;

/// How calls are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 repeats nothing.
    pub attempts: u32,
    /// Longest wait before the second attempt; doubles each time.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
    /// Whether a mutation is repeated when its answer got lost. The cloud must honour `Idempotency-Key` for that; ours
    /// does, upstream's TypeScript server doesn't (03 §12 #7): switch it off there.
    pub keyed: bool,
}

impl Default for RetryPolicy {
    /// Four attempts, 200 ms to 5 s, mutations too.
    fn default() -> Self {
        RetryPolicy {
            attempts: 4,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
            keyed: true,
        }
    }
}

impl RetryPolicy {
    /// Nothing is repeated.
    pub const NONE: RetryPolicy = RetryPolicy {
        attempts: 1,
        first: Duration::ZERO,
        longest: Duration::ZERO,
        keyed: false,
    };
}

/// Waits that double from `first` to `longest`, each drawn between half of it and all of it, so that many clients
/// don't come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits between these bounds.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Backoff {
            first,
            longest,
            failures: 0,
        }
    }

    /// The next wait; `jitter` is a random number from 0 to 1.
    pub fn next_delay(&mut self, jitter: f64) -> Duration {
        let full = self
            .first
            .saturating_mul(1u32 << self.failures.min(20))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// Attempts that failed since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random number from 0 to 1. Without a source of randomness, 1: waiting longest is safe.
pub(crate) fn jitter() -> f64 {
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut waits = || backoff.next_delay(1.0).as_millis();
        let waits: Vec<u128> = (0..7).map(|_| waits()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0).as_millis(), 200);
    }

    proptest! {
        #[test]
        fn jitter_takes_at_most_half_of_a_wait(failures in 0u32..100, jitter in 0.0f64..=1.0) {
            let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
            backoff.failures = failures;
            let full = Duration::from_millis(250)
                .saturating_mul(1 << failures.min(20))
                .min(Duration::from_secs(30));
            let wait = backoff.next_delay(jitter);
            prop_assert!(wait >= full / 2 && wait <= full);
        }
    }
}
