//! What is metered of execution: attempts, and the time that turns really ran (04 §2.9, §16 #8).
//!
//! Recording never holds up a command. Events have ids of their own, so that a repeated one counts once; what
//! can't be stored in time is dropped and said in the log.

use open_cowork_contracts::api::usage::UsageEventType;
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, TenantId};
use open_cowork_providers::store::ControlPlane;
use open_cowork_providers::store::governance::NewUsage;
use open_cowork_providers::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Uses that may wait to be stored; more are dropped.
const QUEUE: usize = 1024;
/// Attempts to store one batch.
const ATTEMPTS: u32 = 5;
/// Uses stored in one call.
const BATCH: usize = 64;

/// The way to the meter.
pub(crate) struct Usage {
    queue: Option<mpsc::Sender<(TenantId, NewUsage)>>,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Usage {
    pub(crate) fn start(store: Arc<dyn ControlPlane>, enabled: bool) -> Self {
        if !enabled {
            return Usage {
                queue: None,
                _task: None,
            };
        }
        let (queue, inbox) = mpsc::channel(QUEUE);
        let task = tokio::spawn(store_all(store, inbox));
        Usage {
            queue: Some(queue),
            _task: Some(AbortOnDropHandle::new(task)),
        }
    }

    pub(crate) fn record(
        &self,
        tenant: &TenantId,
        event_type: UsageEventType,
        event_id: String,
        quantity: u64,
        at: Timestamp,
    ) {
        let Some(queue) = &self.queue else {
            return;
        };
        let usage = NewUsage {
            event_id,
            account_id: None,
            event_type,
            quantity,
            metadata: JsonObject::new(),
            at,
        };
        if queue.try_send((tenant.clone(), usage)).is_err() {
            tracing::warn!("uses can't be stored fast enough; one was dropped");
        }
    }
}

async fn store_all(store: Arc<dyn ControlPlane>, mut inbox: mpsc::Receiver<(TenantId, NewUsage)>) {
    let mut next = None;
    loop {
        let Some((tenant, first)) = (match next.take() {
            Some(use_of) => Some(use_of),
            None => inbox.recv().await,
        }) else {
            return;
        };
        let mut events = vec![first];
        while events.len() < BATCH
            && let Ok((other, usage)) = inbox.try_recv()
        {
            if other != tenant {
                next = Some((other, usage));
                break;
            }
            events.push(usage);
        }
        let mut wait = Duration::from_millis(100);
        for attempt in 1..=ATTEMPTS {
            match store.record_usage(&tenant, &events).await {
                Ok(()) => break,
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => {
                    tracing::warn!(%error, "uses could not be stored");
                    break;
                }
            }
        }
    }
}

/// Clock of one turn: runs from its prompt to its end, and stands while a person is asked.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    turn: Option<Turn>,
}

#[derive(Debug)]
struct Turn {
    command: String,
    ran: Duration,
    since: Option<Instant>,
    asks: u32,
}

/// A turn that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metered {
    /// The command that began it.
    pub(crate) command: String,
    /// Minutes begun, at least one.
    pub(crate) minutes: u64,
}

impl Meter {
    /// Takes what was appended; the turn when it ended by that.
    pub(crate) fn observe(&mut self, events: &[RuntimeEvent], now: Instant) -> Option<Metered> {
        let mut ended = None;
        for event in events {
            match event.kind {
                EventType::PromptSubmitted => {
                    let command = event.payload.get("commandId");
                    let command = command.and_then(serde_json::Value::as_str);
                    self.turn = command.map(|command| Turn {
                        command: command.to_owned(),
                        ran: Duration::ZERO,
                        since: Some(now),
                        asks: 0,
                    });
                }
                EventType::PermissionRequested | EventType::QuestionAsked => {
                    if let Some(turn) = &mut self.turn {
                        turn.asks += 1;
                        turn.ran += turn.since.take().map_or(Duration::ZERO, |at| now - at);
                    }
                }
                EventType::PermissionResolved | EventType::QuestionResolved => {
                    if let Some(turn) = &mut self.turn {
                        turn.asks = turn.asks.saturating_sub(1);
                        if turn.asks == 0 {
                            turn.since.get_or_insert(now);
                        }
                    }
                }
                EventType::SessionIdle | EventType::SessionAborted | EventType::RuntimeError => {
                    ended = self.turn.take().map(|turn| {
                        let ran = turn.ran + turn.since.map_or(Duration::ZERO, |at| now - at);
                        Metered {
                            command: turn.command,
                            minutes: ran.as_secs().div_ceil(60).max(1),
                        }
                    });
                }
                _ => {}
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: EventType) -> RuntimeEvent {
        RuntimeEvent::new(kind, json!({ "commandId": "c" }))
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_a_person_is_asked_is_not_metered() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        meter.observe(&[event(EventType::PromptSubmitted)], at(0));
        meter.observe(&[event(EventType::PermissionRequested)], at(50));
        meter.observe(&[event(EventType::QuestionAsked)], at(55));
        meter.observe(&[event(EventType::PermissionResolved)], at(4000));
        meter.observe(&[event(EventType::QuestionResolved)], at(5000));
        let ended = meter.observe(&[event(EventType::SessionIdle)], at(5020));
        let expected = Metered {
            command: "c".to_owned(),
            minutes: 2, // 70 seconds
        };
        assert_eq!(ended, Some(expected));
        assert_eq!(
            meter.observe(&[event(EventType::SessionIdle)], at(6000)),
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_counts_one_minute_at_least() {
        let mut meter = Meter::default();
        let now = Instant::now();
        let all = [
            event(EventType::PromptSubmitted),
            event(EventType::RuntimeError),
        ];
        assert_eq!(meter.observe(&all, now).map(|ended| ended.minutes), Some(1));
    }
}
