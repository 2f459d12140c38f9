//! Which runs make progress (04 §3.6). Only what shows in the thread counts: reads, polls, health checks and renewals
//! of leases never do. Time in which a person is asked, and a pause that the provider asks for, is no standstill.

use crate::parts::Clock;
use open_cowork_contracts::api::workspace::{
    ProgressCounts, ProgressSnapshot, WatchdogConfigStatus, WatchdogMode,
};
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent};
use open_cowork_providers::store::SessionKey;
use open_cowork_providers::time::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A provider's pause is believed for that long.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// When a run counts as suspect or stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressLimits {
    /// Without progress for so long, a run is suspect.
    pub suspect: Duration,
    /// And for so long, stalled.
    pub stalled: Duration,
    /// Most runs that are looked at.
    pub max_entries: usize,
    /// Most samples of a snapshot.
    pub max_samples: usize,
}

impl Default for ProgressLimits {
    fn default() -> Self {
        ProgressLimits {
            suspect: Duration::from_secs(120),
            stalled: Duration::from_secs(300),
            max_entries: 100,
            max_samples: 50,
        }
    }
}

/// What the watchdog was asked to do, and what it does (04 §3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    requested: WatchdogMode,
    mode: WatchdogMode,
    /// When a run counts as slow, and how many are looked at.
    pub limits: ProgressLimits,
    /// How often stalled runs are looked for.
    pub sweep: Duration,
}

impl Watchdog {
    /// A watchdog of that mode. `enforce` without what it needs (evidence, an owner, a way back) is off.
    #[must_use]
    pub fn new(requested: WatchdogMode, may_enforce: bool) -> Self {
        let gated = requested == WatchdogMode::Enforce && !may_enforce;
        Watchdog {
            requested,
            mode: if gated { WatchdogMode::Off } else { requested },
            limits: ProgressLimits::default(),
            sweep: Duration::from_secs(5),
        }
    }

    /// What it does.
    #[must_use]
    pub fn mode(&self) -> WatchdogMode {
        self.mode
    }

    fn status(&self) -> (WatchdogConfigStatus, &'static str) {
        match self.requested {
            WatchdogMode::Off => (WatchdogConfigStatus::Valid, "default_off"),
            asked if asked == self.mode => (WatchdogConfigStatus::Valid, "configured"),
            _ => (WatchdogConfigStatus::Gated, "missing_enforcement_evidence"),
        }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Watchdog::new(WatchdogMode::Off, false)
    }
}

/// One run.
#[derive(Clone, Debug)]
struct Run {
    last: Instant,
    source: &'static str,
    /// Asks that wait for a person.
    asks: u32,
    /// The provider asked to wait until then.
    paused: Option<Instant>,
    /// Tells two runs of a session apart.
    generation: u64,
}

impl Run {
    /// Since when nothing happens that should; `None` while it waits for somebody.
    fn still_since(&self, now: Instant) -> Option<Instant> {
        let paused = self.paused.unwrap_or(self.last);
        (self.asks == 0 && paused <= now).then_some(self.last.max(paused))
    }
}

/// A run without progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stalled {
    pub(crate) key: SessionKey,
    pub(crate) generation: u64,
}

/// All runs of this worker.
pub struct Progress {
    watchdog: Watchdog,
    clock: Clock,
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    all: HashMap<SessionKey, Run>,
    generations: u64,
}

impl Progress {
    /// An empty register.
    #[must_use]
    pub fn new(watchdog: Watchdog, clock: Clock) -> Self {
        Progress {
            watchdog,
            clock,
            runs: Mutex::default(),
        }
    }

    pub(crate) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is being appended to a session.
    pub(crate) fn observe(&self, key: &SessionKey, events: &[RuntimeEvent]) {
        if self.watchdog.mode == WatchdogMode::Off {
            return;
        }
        let mut runs = self.runs();
        for event in events {
            let source = match event.kind {
                EventType::PromptSubmitted => "admission",
                EventType::ToolCall => "tool_transition",
                EventType::AssistantMessage => "output_advance",
                EventType::PermissionRequested | EventType::QuestionAsked => {
                    "interaction_requested"
                }
                EventType::PermissionResolved | EventType::QuestionResolved => {
                    "interaction_resolved"
                }
                EventType::SessionIdle | EventType::SessionAborted | EventType::RuntimeError => {
                    runs.all.remove(key);
                    continue;
                }
                EventType::SessionStatus if event.payload.contains_key("retry") => {
                    "provider_backoff"
                }
                _ => "durable_sequence",
            };
            let begins = source == "admission";
            if !begins && !runs.all.contains_key(key) {
                continue; // late words about a turn that ended
            }
            if begins
                && !runs.all.contains_key(key)
                && runs.all.len() >= self.watchdog.limits.max_entries
            {
                continue;
            }
            if begins {
                runs.generations += 1;
            }
            let (now, generation) = (Instant::now(), runs.generations);
            let run = runs.all.entry(key.clone()).or_insert(Run {
                last: now,
                source,
                asks: 0,
                paused: None,
                generation,
            });
            run.last = now;
            run.source = source;
            run.paused = None;
            match source {
                "admission" => {
                    run.generation = generation;
                    run.asks = 0;
                }
                "interaction_requested" => run.asks += 1,
                "interaction_resolved" => run.asks = run.asks.saturating_sub(1),
                "provider_backoff" => {
                    run.paused = pause(&event.payload, (self.clock)()).map(|pause| now + pause);
                }
                _ => {}
            }
        }
    }

    /// The session is not ours any more.
    pub(crate) fn ended(&self, key: &SessionKey) {
        self.runs().all.remove(key);
    }

    /// Runs that are stalled now.
    pub(crate) fn stalled(&self) -> Vec<Stalled> {
        let now = Instant::now();
        let runs = self.runs();
        let stalled = runs.all.iter().filter(|(_, run)| self.is_still(run, now));
        stalled
            .map(|(key, run)| Stalled {
                key: key.clone(),
                generation: run.generation,
            })
            .collect()
    }

    /// That very run is still stalled.
    pub(crate) fn is_stalled(&self, run: &Stalled) -> bool {
        let runs = self.runs();
        let found = runs.all.get(&run.key);
        found.is_some_and(|found| {
            found.generation == run.generation && self.is_still(found, Instant::now())
        })
    }

    fn is_still(&self, run: &Run, now: Instant) -> bool {
        let since = run.still_since(now);
        since.is_some_and(|since| now.duration_since(since) >= self.watchdog.limits.stalled)
    }

    /// What `/progressz` answers: counts, and samples that name no session, run or tenant.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let watched: Vec<Run> = self.runs().all.values().cloned().collect();
        let limits = &self.watchdog.limits;
        let now = Instant::now();
        let mut counts = ProgressCounts::default();
        let mut slow = Vec::new();
        for run in watched {
            let age = run.still_since(now).map(|since| now.duration_since(since));
            let state = match age {
                None => "waiting",
                Some(age) if age >= limits.stalled => "stalled",
                Some(age) if age >= limits.suspect => "suspect",
                Some(_) => "healthy",
            };
            match state {
                "waiting" => counts.waiting += 1,
                "stalled" => counts.stalled += 1,
                "suspect" => counts.suspect += 1,
                _ => counts.healthy += 1,
            }
            if let Some(age) = age
                && matches!(state, "stalled" | "suspect")
            {
                slow.push((age, state, run));
            }
        }
        slow.sort_by_key(|(age, _, _)| std::cmp::Reverse(*age));
        let (config_status, reason) = self.watchdog.status();
        let truncated = slow.len() > limits.max_samples;
        let samples = slow.iter().take(limits.max_samples);
        ProgressSnapshot {
            mode: self.watchdog.mode,
            requested_mode: self.watchdog.requested,
            config_status,
            config_reason: reason.to_owned(),
            counts,
            samples: samples
                .map(|(age, state, run)| sample(*age, state, run))
                .collect(),
            truncated,
        }
    }
}

/// How long the provider asked to wait: `retry.next` is a time in milliseconds.
fn pause(payload: &JsonObject, now: Timestamp) -> Option<Duration> {
    let next = payload.get("retry")?.get("next").and_then(Value::as_f64)?;
    let wait = next - now.as_millisecond() as f64;
    let wait = Duration::try_from_secs_f64(wait / 1000.0).ok()?;
    Some(wait.min(LONGEST_PAUSE))
}

fn sample(age: Duration, state: &str, run: &Run) -> JsonObject {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    JsonObject::from_iter([
        ("state".to_owned(), json!(state)),
        ("ageMs".to_owned(), json!(age)),
        ("source".to_owned(), json!(run.source)),
        ("generation".to_owned(), json!(run.generation)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn event(kind: EventType) -> RuntimeEvent {
        RuntimeEvent::new(kind, json!({}))
    }

    fn watching(limits: ProgressLimits) -> Progress {
        let watchdog = Watchdog {
            limits,
            ..Watchdog::new(WatchdogMode::Observe, false)
        };
        Progress::new(watchdog, Arc::new(|| Timestamp::UNIX_EPOCH))
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_without_progress_becomes_suspect_then_stalled() {
        let progress = watching(ProgressLimits::default());
        let key = SessionKey::new("t", "s");
        progress.observe(&key, &[event(EventType::PromptSubmitted)]);
        assert_eq!(progress.snapshot().counts.healthy, 1);
        tokio::time::advance(Duration::from_secs(121)).await;
        assert_eq!(progress.snapshot().counts.suspect, 1);
        tokio::time::advance(Duration::from_secs(180)).await;
        let stalled = progress.snapshot();
        assert_eq!(stalled.counts.stalled, 1);
        assert_eq!(stalled.samples[0]["source"], "admission");
        progress.observe(&key, &[event(EventType::AssistantMessage)]);
        assert_eq!(progress.snapshot().counts.healthy, 1);
        progress.observe(&key, &[event(EventType::SessionIdle)]);
        assert_eq!(progress.snapshot().counts, ProgressCounts::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_may_think_as_long_as_they_like() {
        let progress = watching(ProgressLimits::default());
        let key = SessionKey::new("t", "s");
        progress.observe(
            &key,
            &[
                event(EventType::PromptSubmitted),
                event(EventType::PermissionRequested),
            ],
        );
        tokio::time::advance(Duration::from_secs(24 * 3600)).await;
        assert_eq!(progress.snapshot().counts.waiting, 1);
        progress.observe(&key, &[event(EventType::PermissionResolved)]);
        assert_eq!(progress.snapshot().counts.healthy, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_register_and_its_samples_are_bounded() {
        let progress = watching(ProgressLimits {
            max_entries: 3,
            max_samples: 2,
            ..ProgressLimits::default()
        });
        for n in 0..10 {
            let key = SessionKey::new("t", format!("s{n}"));
            progress.observe(&key, &[event(EventType::PromptSubmitted)]);
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        let snapshot = progress.snapshot();
        assert_eq!(snapshot.counts.stalled, 3);
        assert_eq!((snapshot.samples.len(), snapshot.truncated), (2, true));
    }

    #[test]
    fn the_watchdog_does_what_it_may() {
        let says = |asked, may| {
            let progress = Progress::new(
                Watchdog::new(asked, may),
                Arc::new(|| Timestamp::UNIX_EPOCH),
            );
            let said = progress.snapshot();
            (said.mode, said.config_status, said.config_reason)
        };
        let valid = WatchdogConfigStatus::Valid;
        let (off, observe, enforce) = (
            WatchdogMode::Off,
            WatchdogMode::Observe,
            WatchdogMode::Enforce,
        );
        assert_eq!(says(off, true), (off, valid, "default_off".to_owned()));
        assert_eq!(
            says(observe, false),
            (observe, valid, "configured".to_owned())
        );
        assert_eq!(
            says(enforce, true),
            (enforce, valid, "configured".to_owned())
        );
        let gated = WatchdogConfigStatus::Gated;
        let reason = "missing_enforcement_evidence".to_owned();
        assert_eq!(says(enforce, false), (off, gated, reason));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_that_is_off_watches_nothing() {
        let progress = Progress::new(Watchdog::default(), Arc::new(|| Timestamp::UNIX_EPOCH));
        let key = SessionKey::new("t", "s");
        progress.observe(&key, &[event(EventType::PromptSubmitted)]);
        assert_eq!(progress.snapshot(), ProgressSnapshot::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_the_provider_asks_for_is_no_standstill() {
        let progress = watching(ProgressLimits::default());
        let key = SessionKey::new("t", "s");
        let retry = json!({ "statusType": "retry", "retry": { "attempt": 1, "next": 600_000 } });
        let retry = RuntimeEvent::new(EventType::SessionStatus, retry);
        progress.observe(&key, &[event(EventType::PromptSubmitted), retry]);
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(progress.snapshot().counts.waiting, 1);
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(
            progress.snapshot().counts.suspect,
            1,
            "counted from its end"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_not_taken_for_the_next_one_of_its_session() {
        let progress = watching(ProgressLimits::default());
        let key = SessionKey::new("t", "s");
        progress.observe(&key, &[event(EventType::PromptSubmitted)]);
        tokio::time::advance(Duration::from_secs(301)).await;
        let first = progress.stalled().pop().unwrap();
        assert!(progress.is_stalled(&first));
        progress.observe(
            &key,
            &[
                event(EventType::SessionIdle),
                event(EventType::PromptSubmitted),
            ],
        );
        tokio::time::advance(Duration::from_secs(301)).await;
        assert!(!progress.is_stalled(&first), "that one ended");
        assert_eq!(progress.stalled().len(), 1);
    }
}
