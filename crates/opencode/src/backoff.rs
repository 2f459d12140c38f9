//! When to connect again (docs/contract/08-opencode.md §12.5).

use std::time::Duration;

/// Delays between attempts: 250 ms, doubling to 8 s.
///
/// ```
/// use open_cowork_opencode::Backoff;
/// let mut backoff = Backoff::default();
/// assert_eq!(backoff.next_delay(1.0).as_millis(), 250);
/// assert_eq!(backoff.next_delay(1.0).as_millis(), 500);
/// backoff.reset();
/// assert_eq!(backoff.next_delay(1.0).as_millis(), 250);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(8);

    /// Time to wait before the next attempt. `jitter` is a random number from 0 to 1 that the caller draws: it
    /// spreads the delay from half of its value to all of it, so that many clients don't come back at once.
    pub fn next_delay(&mut self, jitter: f64) -> Duration {
        let full = Self::FIRST
            .saturating_mul(1 << self.failures.min(5))
            .min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jitter = if jitter.is_finite() {
            jitter.clamp(0.0, 1.0)
        } else {
            1.0
        };
        full.mul_f64(0.5 + jitter / 2.0)
    }

    /// Starts over: call it after a frame that isn't just the greeting, since a server that greets and dies would
    /// otherwise be asked four times a second.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_eight_seconds_and_jitter_only_shortens_them() {
        let mut backoff = Backoff::default();
        let full: Vec<u128> = (0..8)
            .map(|_| backoff.next_delay(1.0).as_millis())
            .collect();
        assert_eq!(full, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        for jitter in [0.0, 0.3, -5.0, 7.0, f64::NAN, f64::INFINITY] {
            let delay = backoff.next_delay(jitter);
            assert!(
                delay >= Duration::from_secs(4) && delay <= Duration::from_secs(8),
                "{jitter}: {delay:?}"
            );
        }
    }
}
