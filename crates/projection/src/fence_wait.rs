//! Waiting until a projection reaches a fence (01 §8.2). The clock, the sleep and the reader belong to the
//! caller: [`FenceWait`] is the bare state machine, [`wait`] drives it over any async runtime.

use crate::fence::{FenceError, evaluate, verdict};
use open_cowork_contracts::fence::{Checkpoint, FenceCode, FenceToken, FenceVerdict};
use std::future::Future;

/// Pause between two reads when none is named, milliseconds.
pub const DEFAULT_INTERVAL_MS: u64 = 100;

/// How long to wait, and how often to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitOptions {
    /// Budget in milliseconds: finite, not negative; 0 reads once.
    pub timeout_ms: f64,
    /// Pause between two reads in milliseconds, at least 1.
    pub interval_ms: u64,
}

impl WaitOptions {
    /// A budget with the default interval.
    pub fn for_ms(timeout_ms: f64) -> Self {
        WaitOptions {
            timeout_ms,
            interval_ms: DEFAULT_INTERVAL_MS,
        }
    }
}

/// One wait.
#[derive(Clone, Debug)]
pub struct FenceWait<'a> {
    fence: &'a FenceToken,
    started_ms: i64,
    timeout_ms: u64,
    interval_ms: u64,
}

/// What to do after a read.
#[derive(Clone, Debug, PartialEq)]
pub enum WaitStep {
    /// Finished.
    Done(Box<FenceVerdict>),
    /// Sleep that many milliseconds, then read again.
    Sleep(u64),
}

impl<'a> FenceWait<'a> {
    /// Starts a wait at `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// [`FenceError::BadTimeout`] for a budget that is not finite or negative.
    pub fn start(
        fence: &'a FenceToken,
        options: WaitOptions,
        now_ms: i64,
    ) -> Result<Self, FenceError> {
        if !options.timeout_ms.is_finite() || options.timeout_ms < 0.0 {
            return Err(FenceError::BadTimeout);
        }
        Ok(FenceWait {
            fence,
            started_ms: now_ms,
            timeout_ms: options.timeout_ms as u64,
            interval_ms: options.interval_ms.max(1),
        })
    }

    /// Judges what was read at `now_ms`.
    pub fn step(&self, checkpoint: Option<Checkpoint>, now_ms: i64) -> WaitStep {
        let waited_ms = u64::try_from(now_ms.saturating_sub(self.started_ms)).unwrap_or(0);
        let result = evaluate(self.fence, checkpoint.as_ref(), now_ms);
        if result.ok || !result.code.is_retryable() {
            return WaitStep::Done(Box::new(FenceVerdict {
                waited_ms,
                ..result
            }));
        }
        let remaining = self.timeout_ms.saturating_sub(waited_ms);
        if remaining == 0 {
            return WaitStep::Done(Box::new(verdict(
                FenceCode::Timeout,
                self.fence,
                checkpoint,
                waited_ms,
            )));
        }
        WaitStep::Sleep(self.interval_ms.min(remaining))
    }
}

/// The outside world of a wait.
pub trait FenceWorld: Send {
    /// Unix milliseconds.
    fn now_ms(&self) -> i64;
    /// Sleeps.
    fn sleep(&mut self, milliseconds: u64) -> impl Future<Output = ()> + Send;
    /// Reads the checkpoint, `None` when there is none. A failed read is the reader's to report; it counts as
    /// none here.
    fn read(&mut self) -> impl Future<Output = Option<Checkpoint>> + Send;
}

/// Waits until the fence is observed, can't be, or the budget is spent: `waitForCloudProjectionFence`. Reads
/// at least once.
///
/// # Errors
/// [`FenceError::BadTimeout`] for a budget that is not finite or negative.
pub async fn wait<W: FenceWorld>(
    fence: &FenceToken,
    options: WaitOptions,
    world: &mut W,
) -> Result<FenceVerdict, FenceError> {
    let wait = FenceWait::start(fence, options, world.now_ms())?;
    loop {
        let checkpoint = world.read().await;
        match wait.step(checkpoint, world.now_ms()) {
            WaitStep::Done(verdict) => return Ok(*verdict),
            WaitStep::Sleep(milliseconds) => world.sleep(milliseconds).await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::json;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    struct Script {
        now: i64,
        reads: Vec<Option<u64>>,
        sleeps: Vec<u64>,
    }

    impl FenceWorld for Script {
        fn now_ms(&self) -> i64 {
            self.now
        }
        async fn sleep(&mut self, milliseconds: u64) {
            self.sleeps.push(milliseconds);
            self.now += milliseconds as i64;
        }
        async fn read(&mut self) -> Option<Checkpoint> {
            let sequence = if self.reads.len() > 1 {
                self.reads.remove(0)
            } else {
                self.reads[0]
            };
            sequence.map(|sequence| {
                serde_json::from_value(json!({
                    "version": 1, "scope": "session", "tenantId": "t", "sessionId": "s",
                    "sequence": sequence, "projectionVersion": sequence, "updatedAt": ""
                }))
                .unwrap()
            })
        }
    }

    fn run(
        timeout_ms: f64,
        interval_ms: u64,
        reads: &[Option<u64>],
    ) -> (Result<FenceVerdict, FenceError>, Vec<u64>) {
        let fence: FenceToken = serde_json::from_value(json!({
            "version": 1, "scope": "session", "tenantId": "t", "sessionId": "s", "sequence": 2, "issuedAt": ""
        }))
        .unwrap();
        let mut world = Script {
            now: 1000,
            reads: reads.to_vec(),
            sleeps: Vec::new(),
        };
        let result = {
            let mut waiting = pin!(wait(
                &fence,
                WaitOptions {
                    timeout_ms,
                    interval_ms
                },
                &mut world
            ));
            match waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Ready(result) => result,
                Poll::Pending => panic!("the script never waits for real"),
            }
        };
        (result, world.sleeps)
    }

    #[test]
    fn it_waits_until_the_projection_gets_there() {
        let (verdict, sleeps) = run(1000.0, 100, &[None, Some(1), Some(2)]);
        let verdict = verdict.unwrap();
        assert_eq!(
            (verdict.ok, verdict.waited_ms, sleeps),
            (true, 200, vec![100, 100])
        );
    }

    #[test]
    fn the_last_sleep_is_cut_to_the_budget_and_then_it_gives_up() {
        let (verdict, sleeps) = run(250.0, 100, &[Some(1)]);
        let verdict = verdict.unwrap();
        assert_eq!(
            (verdict.code, verdict.waited_ms, sleeps),
            (FenceCode::Timeout, 250, vec![100, 100, 50])
        );
        assert_eq!(verdict.checkpoint.unwrap().sequence, 1);
        assert!(verdict.error.unwrap().retryable);
    }

    #[test]
    fn a_budget_of_nothing_still_reads_once() {
        let (verdict, sleeps) = run(0.0, 100, &[Some(2)]);
        assert!(verdict.unwrap().ok && sleeps.is_empty());
        let (verdict, _) = run(0.0, 0, &[Some(1)]);
        assert_eq!(verdict.unwrap().code, FenceCode::Timeout);
    }

    #[test]
    fn an_impossible_budget_is_an_error() {
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(run(bad, 100, &[None]).0, Err(FenceError::BadTimeout));
        }
    }
}
