//! Pauses between attempts to connect.

use std::time::Duration;

/// Pauses of 250 ms doubling to 30 s, with jitter (04 §9).
#[derive(Debug)]
pub struct Pauses(Duration);

const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(30);

impl Default for Pauses {
    fn default() -> Self {
        Pauses(FIRST)
    }
}

impl Pauses {
    /// Waits for half of the pause up to all of it.
    pub async fn next(&mut self) {
        let half = self.0 / 2;
        let mut random = [0];
        // Without a random number all of them wait for as long.
        let _ = getrandom::fill(&mut random);
        tokio::time::sleep(half + half * u32::from(random[0]) / 255).await;
        self.0 = (self.0 * 2).min(LAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_half_a_minute() {
        let mut pauses = Pauses::default();
        for most in [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let start = Instant::now();
            pauses.next().await;
            // The timer's steps are milliseconds.
            let most = Duration::from_millis(most + 1);
            let waited = start.elapsed();
            assert!(
                most / 2 - Duration::from_millis(1) <= waited && waited <= most,
                "{waited:?}"
            );
        }
    }
}
