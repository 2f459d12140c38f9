//! Which runs make progress (04 §3.6, mode `observe`). Only what shows in the thread counts: reads, polls, health
//! checks and renewals of leases never do. Time in which a person is asked is no standstill.

use open_cowork_contracts::api::workspace::{
    ProgressCounts, ProgressSnapshot, WatchdogConfigStatus, WatchdogMode,
};
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent};
use open_cowork_providers::store::SessionKey;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

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

/// One run.
#[derive(Clone, Debug)]
struct Run {
    last: Instant,
    source: &'static str,
    /// Asks that wait for a person.
    asks: u32,
    /// Turns of this session since it was taken; part of a sample, so that two runs can be told apart.
    generation: u64,
}

/// All runs of this worker.
#[derive(Debug)]
pub struct Progress {
    limits: ProgressLimits,
    runs: Mutex<HashMap<SessionKey, Run>>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new(ProgressLimits::default())
    }
}

impl Progress {
    /// An empty register.
    #[must_use]
    pub fn new(limits: ProgressLimits) -> Self {
        Progress {
            limits,
            runs: Mutex::default(),
        }
    }

    /// Takes what is being appended to a session.
    pub(crate) fn observe(&self, key: &SessionKey, events: &[RuntimeEvent]) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
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
                    runs.remove(key);
                    continue;
                }
                _ => "durable_sequence",
            };
            let begins = source == "admission";
            if !begins && !runs.contains_key(key) {
                continue; // late words about a turn that ended
            }
            if begins && !runs.contains_key(key) && runs.len() >= self.limits.max_entries {
                continue;
            }
            let run = runs.entry(key.clone()).or_insert(Run {
                last: Instant::now(),
                source,
                asks: 0,
                generation: 0,
            });
            run.last = Instant::now();
            run.source = source;
            match source {
                "admission" => {
                    run.generation += 1;
                    run.asks = 0;
                }
                "interaction_requested" => run.asks += 1,
                "interaction_resolved" => run.asks = run.asks.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// The session is not ours any more.
    pub(crate) fn ended(&self, key: &SessionKey) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.remove(key);
    }

    /// What `/progressz` answers: counts, and samples that name no session, run or tenant.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let runs: Vec<Run> = {
            let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.values().cloned().collect()
        };
        let now = Instant::now();
        let mut counts = ProgressCounts::default();
        let mut slow = Vec::new();
        for run in runs {
            let age = now.duration_since(run.last);
            let state = match () {
                () if run.asks > 0 => "waiting",
                () if age >= self.limits.stalled => "stalled",
                () if age >= self.limits.suspect => "suspect",
                () => "healthy",
            };
            match state {
                "waiting" => counts.waiting += 1,
                "stalled" => counts.stalled += 1,
                "suspect" => counts.suspect += 1,
                _ => counts.healthy += 1,
            }
            if matches!(state, "stalled" | "suspect") {
                slow.push((age, state, run));
            }
        }
        slow.sort_by_key(|(age, _, _)| std::cmp::Reverse(*age));
        let truncated = slow.len() > self.limits.max_samples;
        let samples = slow.iter().take(self.limits.max_samples);
        ProgressSnapshot {
            mode: WatchdogMode::Observe,
            requested_mode: WatchdogMode::Observe,
            config_status: WatchdogConfigStatus::Valid,
            config_reason: "configured".to_owned(),
            counts,
            samples: samples
                .map(|(age, state, run)| sample(*age, state, run))
                .collect(),
            truncated,
        }
    }
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

    fn event(kind: EventType) -> RuntimeEvent {
        RuntimeEvent::new(kind, json!({}))
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_without_progress_becomes_suspect_then_stalled() {
        let progress = Progress::default();
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
        let progress = Progress::default();
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
        let progress = Progress::new(ProgressLimits {
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
}
