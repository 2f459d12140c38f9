//! When to start again after a failure: backoff, and a sliding-window breaker (05 §5.6).
//!
//! A failed start and an unexpected exit count alike. Upstream resets its counter at every successful boot, so
//! a process that crashes right after its boot is restarted for ever; here a failure counts until it leaves the
//! window, whatever happened in between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Limits of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures within the window that open the breaker. Default 10.
    pub failures: usize,
    /// How long a failure counts. Default 10 minutes.
    pub window: Duration,
    /// Delay after the first failure; doubles with each further one. Default 3 s.
    pub first_delay: Duration,
    /// Longest delay. Default 60 s.
    pub longest_delay: Duration,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            failures: 10,
            window: Duration::from_secs(600),
            first_delay: Duration::from_secs(3),
            longest_delay: Duration::from_secs(60),
        }
    }
}

/// Whether a start may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartVerdict {
    /// Now.
    Now,
    /// Not before this much time has passed.
    After(Duration),
    /// Not by itself: too many failures in the window.
    Open {
        /// Failures in the window.
        failures: usize,
    },
}

/// Counts failures. Pure: the caller brings the time.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    limits: BreakerLimits,
    failures: VecDeque<Instant>,
}

impl Breaker {
    /// A breaker without failures.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            failures: VecDeque::new(),
        }
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &BreakerLimits {
        &self.limits
    }

    /// Notes a failed start or an unexpected exit.
    pub fn failed(&mut self, now: Instant) {
        self.forget_old(now);
        if self.failures.len() == self.limits.failures.max(1) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
    }

    /// Someone asked to try again: forgets every failure.
    pub fn reset(&mut self) {
        self.failures.clear();
    }

    /// Whether a start may happen now.
    pub fn verdict(&mut self, now: Instant) -> StartVerdict {
        self.forget_old(now);
        let failures = self.failures.len();
        let Some(last) = self.failures.back() else {
            return StartVerdict::Now;
        };
        if failures >= self.limits.failures {
            return StartVerdict::Open { failures };
        }
        let doublings = u32::try_from(failures - 1).unwrap_or(u32::MAX).min(31);
        let delay = self
            .limits
            .first_delay
            .saturating_mul(1 << doublings)
            .min(self.limits.longest_delay);
        match delay.checked_sub(now.saturating_duration_since(*last)) {
            None | Some(Duration::ZERO) => StartVerdict::Now,
            Some(left) => StartVerdict::After(left),
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .failures
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= self.limits.window)
        {
            self.failures.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StartVerdict::{After, Now, Open};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_longest() {
        let (start, mut breaker) = (Instant::now(), Breaker::default());
        assert_eq!(breaker.verdict(start), Now);
        for seconds in [3, 6, 12, 24, 48, 60, 60] {
            breaker.failed(start);
            assert_eq!(breaker.verdict(start), After(SECOND * seconds));
        }
        assert_eq!(breaker.verdict(start + SECOND * 20), After(SECOND * 40));
        assert_eq!(breaker.verdict(start + SECOND * 60), Now);
    }

    #[test]
    fn a_crash_loop_after_a_good_boot_trips_it() {
        let (mut now, mut breaker) = (Instant::now(), Breaker::default());
        for _ in 0..10 {
            // Booted well, ran for 30 s, crashed.
            now += SECOND * 30;
            breaker.failed(now);
        }
        assert_eq!(breaker.verdict(now + SECOND * 100), Open { failures: 10 });
    }

    #[test]
    fn rare_failures_never_trip_it() {
        let (mut now, mut breaker) = (Instant::now(), Breaker::default());
        for _ in 0..100 {
            now += SECOND * 90;
            breaker.failed(now);
            assert!(!matches!(breaker.verdict(now), Open { .. }));
        }
    }

    #[test]
    fn failures_are_forgotten_with_time_or_on_demand() {
        let (start, mut breaker) = (Instant::now(), Breaker::default());
        (0..10).for_each(|_| breaker.failed(start));
        assert_eq!(breaker.verdict(start + SECOND * 600), Now);
        (0..10).for_each(|_| breaker.failed(start + SECOND * 600));
        breaker.reset();
        assert_eq!(breaker.verdict(start + SECOND * 600), Now);
    }
}
