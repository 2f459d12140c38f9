//! How a workflow's run ends: with the turn of its session (04 §2.5, 07 §9.6).

use open_cowork_contracts::api::sessions::{Command, CommandStatus};
use open_cowork_contracts::view::Role;
use open_cowork_contracts::{SessionStatus, View};
use open_cowork_projection::sanitize::{Redaction, Redactor};
use open_cowork_providers::store::workflows::{RunOutcome, RunRow};
use open_cowork_providers::store::{ControlPlane, SessionKey, StoreError};
use open_cowork_providers::time::Timestamp;
use open_cowork_thread_log::run::command_id;
use open_cowork_thread_log::{LogError, ThreadLog};

/// Sessions of runs are called so (04 §2.5).
const PREFIX: &str = "workflow_session_";

/// What the view says of the run; `None` while it goes on.
pub(crate) fn outcome(view: &View) -> Option<RunOutcome> {
    if view.status == SessionStatus::Running
        || !view.pending_approvals.is_empty()
        || !view.pending_questions.is_empty()
    {
        return None;
    }
    if view.status == SessionStatus::Errored {
        let error = view.last_error.clone();
        return Some(RunOutcome::Failed {
            error: error.unwrap_or_else(|| "The run failed.".to_owned()),
            code: None,
        });
    }
    let prompted = view
        .messages
        .iter()
        .rposition(|message| message.role == Role::User)?;
    let since = view.messages[prompted].order.map_or(0.0, |order| order.0);
    if let Some(stop) = view.stops.last().filter(|stop| stop.order.0 > since) {
        return Some(match stop.reason.as_str() {
            "user" => RunOutcome::Cancelled {
                reason: "Stopped by a person.".to_owned(),
            },
            reason => RunOutcome::Failed {
                error: stop
                    .message
                    .clone()
                    .unwrap_or_else(|| format!("The run was cut short ({reason}).")),
                code: Some(reason.to_owned()),
            },
        });
    }
    let answers = view.messages[prompted..].iter().rev();
    let last = answers
        .filter(|message| message.role == Role::Assistant)
        .find(|message| !message.content.trim().is_empty());
    Some(RunOutcome::Completed {
        summary: last.map(|message| message.content.clone()),
    })
}

/// Ends the run of a session whose turn has ended. Nothing when the session has no open run, when its turn goes
/// on, or when commands wait: then the prompt has yet to be applied.
pub(crate) async fn settle(
    store: &dyn ControlPlane,
    log: &ThreadLog,
    redactor: &Redactor,
    key: &SessionKey,
    now: Timestamp,
) -> Result<Option<RunRow>, LogError> {
    if !key.session_id.as_str().starts_with(PREFIX) {
        return Ok(None);
    }
    let Some(run) = store.run_of_session(key).await? else {
        return Ok(None);
    };
    // A prompt that has yet to be applied: what the thread shows is not yet its end.
    let prompt = store.command(key, &command_id(&run)).await?;
    let is_open = |command: &Command| {
        matches!(
            command.status,
            CommandStatus::Pending | CommandStatus::Running
        )
    };
    if prompt.as_ref().is_some_and(is_open) {
        return Ok(None);
    }
    log.refresh(key).await?;
    let Some(outcome) = log.read(key, |state| outcome(state.view)).await? else {
        return Ok(None);
    };
    let clean = |text: String| redactor.redact(&text, Redaction::Full).into_owned();
    let outcome = match outcome {
        RunOutcome::Failed { error, code } => RunOutcome::Failed {
            error: clean(error),
            code,
        },
        other => other,
    };
    match store.finish_run(&run.key(), outcome, now).await {
        Ok(run) => Ok(Some(run)),
        // Deleted meanwhile.
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_contracts::{EventType, RuntimeEvent, Session, SessionEventRecord};
    use open_cowork_projection::Projector;
    use serde_json::{Value, json};

    fn view(events: &[(EventType, Value)]) -> View {
        let session = Session {
            session_id: "s".into(),
            ..Session::default()
        };
        let mut projector = Projector::new(&session);
        for (index, (kind, payload)) in events.iter().enumerate() {
            let event = RuntimeEvent::new(kind.clone(), payload.clone());
            projector.apply(
                &session,
                &SessionEventRecord {
                    tenant_id: None,
                    session_id: Some("s".into()),
                    event_id: Some(format!("e{index}").into()),
                    sequence: index as u64 + 1,
                    kind: event.kind,
                    payload: event.payload,
                    created_at: "2026-01-02T03:04:05.678Z".to_owned(),
                    extra: Default::default(),
                },
            );
        }
        projector.view().clone()
    }

    fn prompt() -> (EventType, Value) {
        let payload = json!({"messageId": "c:user", "commandId": "c", "text": "do it"});
        (EventType::PromptSubmitted, payload)
    }

    fn answer(text: &str) -> (EventType, Value) {
        let payload = json!({"messageId": "m", "content": text, "mode": "replace"});
        (EventType::AssistantMessage, payload)
    }

    #[test]
    fn a_run_ends_with_its_turn() {
        let running = (EventType::SessionStatus, json!({"statusType": "running"}));
        let idle = (EventType::SessionIdle, json!({}));
        assert_eq!(
            outcome(&view(&[running.clone(), prompt(), answer("half")])),
            None
        );
        let done = view(&[running.clone(), prompt(), answer("done"), idle]);
        let summary = Some("done".to_owned());
        assert_eq!(outcome(&done), Some(RunOutcome::Completed { summary }));
        let failed = (EventType::RuntimeError, json!({"message": "no credit"}));
        let failed = outcome(&view(&[running, prompt(), failed]));
        assert!(matches!(failed, Some(RunOutcome::Failed { error, .. }) if error == "no credit"));
    }

    #[test]
    fn a_stop_by_a_person_cancels_and_a_crash_fails() {
        let running = (EventType::SessionStatus, json!({"statusType": "running"}));
        let stopped = |reason: &str| {
            let stop = (EventType::SessionAborted, json!({"reason": reason}));
            outcome(&view(&[running.clone(), prompt(), answer("half"), stop]))
        };
        assert!(matches!(
            stopped("user"),
            Some(RunOutcome::Cancelled { .. })
        ));
        assert!(matches!(
            stopped("interrupted"),
            Some(RunOutcome::Failed { code: Some(code), .. }) if code == "interrupted"
        ));
    }

    #[test]
    fn a_run_that_asks_goes_on() {
        let ask = (
            EventType::PermissionRequested,
            json!({"id": "p", "tool": "bash", "description": "ls"}),
        );
        assert_eq!(outcome(&view(&[prompt(), ask])), None);
    }
}
