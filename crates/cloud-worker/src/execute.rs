//! One command on the runtime (04 §3.3): what it does, and what becomes of it.

use crate::capacity::RETRY_AFTER;
use crate::context::Context;
use crate::runtime::{OpenError, ScopeRuntime, StartError};
use open_cowork_contracts::api::sessions::{Command, CommandKind, response_allows};
use open_cowork_contracts::api::usage::UsageEventType;
use open_cowork_contracts::{EventType, RuntimeEvent, SessionStatus};
use open_cowork_projection::sanitize::Redaction;
use open_cowork_providers::executor::ExecutionError;
use open_cowork_providers::store::SessionRow;
use open_cowork_providers::store::execution::{
    ABORTED, ClaimedCommand, CommandFailure, Deferral, EXECUTION_FAILED, EXHAUSTED, Lanes,
    SessionLease,
};
use open_cowork_providers::time::{Timestamp, parse_iso};
use open_cowork_runtime_host::host::TurnError;
use open_cowork_runtime_host::thread::TurnPrompt;
use open_cowork_runtime_host::translate::Translator;
use open_cowork_thread_log::LogError;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A command that is so old and found no runtime so often is given up. Age alone says nothing: it may have waited
/// behind a long turn, or for a worker to come back.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
const TRIES: u32 = 10;

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was applied.
    Applied,
    /// It failed for good; the thread says why.
    Failed(CommandFailure, ExecutionError),
    /// It waits for its time.
    Deferred(Deferral),
    /// The lease is gone: nothing more is said.
    Lost,
}

/// Executes one command. The thread shows what happened when this returns.
pub(crate) async fn execute(
    context: &Context,
    lease: &SessionLease,
    claimed: &ClaimedCommand,
) -> Outcome {
    let command = &claimed.command;
    let shared = &context.shared;
    let meter = |event_type, word: &str| {
        let id = format!(
            "worker:{}:{}:{word}",
            command.command_id, command.attempt_count
        );
        let now = shared.now();
        shared
            .usage
            .record(&context.scope.tenant_id, event_type, id, 1, now);
    };
    if claimed.exhausted {
        let message = "The command was tried several times, and each time its worker ended; it is not tried again.";
        return fail(context, command, EXHAUSTED, plain(500, message)).await;
    }
    meter(UsageEventType::WorkerExecutionStarted, "started");
    let row = match context.sink.log().session(&lease.key).await {
        Ok(row) => row,
        Err(error) => return troubled(context, command, &error).await,
    };
    let outcome = match command.kind {
        CommandKind::Prompt => prompt(context, &row, command).await,
        CommandKind::Abort => abort(context, lease, &row, command).await,
        CommandKind::PermissionRespond
        | CommandKind::QuestionReply
        | CommandKind::QuestionReject => answer(context, &row, command).await,
    };
    match &outcome {
        Outcome::Applied => meter(UsageEventType::WorkerExecutionCompleted, "completed"),
        Outcome::Failed(..) => meter(UsageEventType::WorkerExecutionFailed, "failed"),
        Outcome::Deferred(_) => meter(UsageEventType::WorkerExecutionDeferred, "deferred"),
        Outcome::Lost => {}
    }
    outcome
}

async fn prompt(context: &Context, row: &SessionRow, command: &Command) -> Outcome {
    let text = command.payload.get("text").and_then(Value::as_str);
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        let message = "The prompt is empty; write what should be done.";
        return fail(context, command, EXECUTION_FAILED, plain(400, message)).await;
    };
    let agent = agent_of(command);
    let Ok(_lane) = context.shared.lanes.acquire().await else {
        return Outcome::Lost;
    };
    let runtime = match context.ready(true).await {
        Ok(runtime) => runtime,
        Err(error) => return not_started(context, command, error).await,
    };
    if let Err(error) = runtime.open_thread(row).await {
        return not_started(context, command, error.into()).await;
    }
    let thread = &row.session.session_id;
    let shown = is_shown(context, command).await;
    let turn = TurnPrompt {
        command: command.command_id.clone(),
        text: text.to_owned(),
        agent: agent.map(str::to_owned),
        model: None,
        maybe_sent: command.attempt_count > 1 || shown,
        attempt: command.attempt_count,
    };
    match runtime.host.prompt(thread, turn).await {
        Ok(()) => Outcome::Applied,
        Err(error) => turn_failed(context, command, error, true).await,
    }
}

/// The thread shows that prompt already, or nobody can tell.
async fn is_shown(context: &Context, command: &Command) -> bool {
    let key = context.sink.key(&command.session_id);
    let user_message = format!("{}:user", command.command_id);
    let shown = context
        .sink
        .log()
        .read(&key, |state| {
            let messages = state.view.messages.iter().rev();
            messages.take(200).any(|message| message.id == user_message)
        })
        .await;
    shown.unwrap_or(true)
}

/// The event that shows a prompt which never reaches the runtime.
fn submitted(command: &Command) -> RuntimeEvent {
    let (thread, id) = (&command.session_id, &command.command_id);
    let text = command.payload.get("text").and_then(Value::as_str);
    let shown = RuntimeEvent::new(
        EventType::PromptSubmitted,
        json!({
            "sessionId": thread, "commandId": id, "messageId": format!("{id}:user"),
            "text": text.unwrap_or_default(), "agent": agent_of(command).unwrap_or("build"),
        }),
    );
    shown.with_id(format!("{thread}:command:{id}:prompt-submitted"))
}

fn agent_of(command: &Command) -> Option<&str> {
    let agent = command.payload.get("agent").and_then(Value::as_str);
    agent.map(str::trim).filter(|agent| !agent.is_empty())
}

/// Stops what is going on: the turn that runs, or, where none runs, what was asked before and waits to begin. The
/// thread says that it was stopped, once, even where there was nothing.
async fn abort(
    context: &Context,
    lease: &SessionLease,
    row: &SessionRow,
    command: &Command,
) -> Outcome {
    let thread = &row.session.session_id;
    if context.is_active(thread).await {
        let runtime = match context.opened(row).await {
            Ok(runtime) => runtime,
            // Nothing runs anywhere: what the log shows as running is ended here.
            Err(_) => {
                return recorded(context, command, interrupted(context, row, "user").await).await;
            }
        };
        let id = Some(&command.command_id);
        match runtime.host.stop(thread, "user", id).await {
            Ok(()) => return Outcome::Applied,
            Err(TurnError::NotOpen(_) | TurnError::NotRunning) => {}
            Err(error) => return turn_failed(context, command, error, false).await,
        }
    }
    match stop_waiting(context, lease, command).await {
        // The prompts say that they were stopped.
        Ok(true) => return Outcome::Applied,
        Ok(false) => {}
        Err(outcome) => return outcome,
    }
    if command.attempt_count > 1 {
        return Outcome::Applied; // it was told, or the turn that it meant has ended since
    }
    let aborted = aborted(command);
    let told = context.sink.record(thread, vec![aborted]).await;
    recorded(context, command, told).await
}

/// Ends the prompts that were asked before this abort and have not begun; true when there was one. The thread shows
/// each of them, and that it was stopped.
async fn stop_waiting(
    context: &Context,
    lease: &SessionLease,
    abort: &Command,
) -> Result<bool, Outcome> {
    let store = &context.shared.parts.store;
    let lanes = Lanes::PromptsBefore(abort.created_sequence);
    let mut any = false;
    loop {
        let claimed = store
            .claim_command(lease, lanes, context.shared.now())
            .await;
        let prompt = match claimed {
            Ok(Some(claimed)) => claimed.command,
            Ok(None) => return Ok(any),
            Err(error) => return Err(troubled(context, abort, &error.into()).await),
        };
        any = true;
        let id = &prompt.command_id;
        // One that is shown had begun at a worker that is gone, and its turn has ended since.
        let settled = if is_shown(context, &prompt).await {
            store.ack_command(lease, id, context.shared.now()).await
        } else {
            let events = vec![submitted(&prompt), aborted(&prompt)];
            if let Err(error) = context.sink.record(&prompt.session_id, events).await {
                return Err(troubled(context, abort, &error).await);
            }
            let failure = CommandFailure {
                code: ABORTED.to_owned(),
                message: "The prompt was stopped before it began.".to_owned(),
            };
            store
                .fail_command(lease, id, &failure, context.shared.now())
                .await
        };
        if let Err(error) = settled {
            return Err(troubled(context, abort, &error.into()).await);
        }
    }
}

/// The event that says that this command, or what it asked for, was stopped.
fn aborted(command: &Command) -> RuntimeEvent {
    let (thread, id) = (&command.session_id, &command.command_id);
    let event = RuntimeEvent::new(
        EventType::SessionAborted,
        json!({ "sessionId": thread, "reason": "user", "commandId": id }),
    );
    event.with_id(format!("{thread}:command:{id}:aborted"))
}

/// Answers an approval or a question. One that nobody waits for any more is answered already.
async fn answer(context: &Context, row: &SessionRow, command: &Command) -> Outcome {
    let thread = &row.session.session_id;
    let text = |key: &str| command.payload.get(key).and_then(Value::as_str);
    let id = match command.kind {
        CommandKind::PermissionRespond => text("permissionId"),
        _ => text("requestId"),
    };
    let Some(id) = id else {
        let message = "The answer doesn't say what it answers.";
        return fail(context, command, EXECUTION_FAILED, plain(400, message)).await;
    };
    let runtime = match context.opened(row).await {
        Ok(runtime) => runtime,
        Err(error) => return not_started(context, command, error).await,
    };
    let by = Some(command.command_id.clone());
    let answered = match command.kind {
        CommandKind::PermissionRespond => {
            let response = command.payload.get("response").unwrap_or(&Value::Null);
            let allow = response_allows(response);
            runtime
                .host
                .answer_permission(thread, id, allow, None, by)
                .await
        }
        CommandKind::QuestionReply => {
            let answers = answers(command.payload.get("answers"));
            runtime
                .host
                .answer_question(thread, id, Some(answers), by)
                .await
        }
        _ => runtime.host.answer_question(thread, id, None, by).await,
    };
    match answered {
        Ok(()) | Err(TurnError::NotPending(_)) => Outcome::Applied,
        Err(error) => turn_failed(context, command, error, false).await,
    }
}

/// One list of texts per question; a single text counts as a list of one.
fn answers(value: Option<&Value>) -> Vec<Vec<String>> {
    let texts = |value: &Value| match value {
        Value::Array(list) => list
            .iter()
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    };
    value
        .and_then(Value::as_array)
        .map(|questions| questions.iter().map(texts).collect())
        .unwrap_or_default()
}

/// Ends what the log shows as running without asking a runtime (decision 7).
pub(crate) async fn interrupted(
    context: &Context,
    row: &SessionRow,
    reason: &str,
) -> Result<(), LogError> {
    let thread = &row.session.session_id;
    let key = context.sink.key(thread);
    context.sink.log().flush(&key).await?;
    let events = context
        .sink
        .log()
        .read(&key, |state| {
            let mut translator = Translator::new(
                row.session.opencode_session_id.as_str(),
                Some(thread.as_str()),
                row.directory.as_deref(),
            );
            translator.interrupt_view(state.view, state.sequence)
        })
        .await?;
    let events = events.into_iter().map(|mut event| {
        if event.kind == EventType::SessionAborted && reason != "interrupted" {
            event.payload.insert("reason".into(), json!(reason));
        }
        event
    });
    context.sink.record(thread, events.collect()).await
}

async fn recorded(context: &Context, command: &Command, recorded: Result<(), LogError>) -> Outcome {
    match recorded {
        Ok(()) => Outcome::Applied,
        Err(error) => troubled(context, command, &error).await,
    }
}

/// The log or the store has a problem.
async fn troubled(context: &Context, command: &Command, error: &LogError) -> Outcome {
    match error.store_error() {
        Some(error) if error.is_callers_fault() && !crate::error::is_stale(error) => {
            fail(
                context,
                command,
                EXECUTION_FAILED,
                plain(500, &error.to_string()),
            )
            .await
        }
        Some(error) if error.is_transient() => later("store_unavailable", &error.to_string()),
        _ => Outcome::Lost,
    }
}

async fn not_started(context: &Context, command: &Command, error: StartError) -> Outcome {
    match error {
        StartError::Capacity(error) => {
            let code = format!("runtime_capacity_{}", error.reason.as_str());
            metrics::counter!("open_cowork_cloud_runtime_admission_rejections_total").increment(1);
            later_unless_old(context, command, &code, plain(503, &error.to_string())).await
        }
        StartError::Provision(error) if error.is_transient() => {
            let failure = error.to_execution();
            later_unless_old(context, command, "runtime_unavailable", failure).await
        }
        StartError::Provision(error) => {
            fail(context, command, EXECUTION_FAILED, error.to_execution()).await
        }
        StartError::Open(OpenError::Turn(error)) => {
            turn_failed(context, command, error, false).await
        }
        StartError::Open(OpenError::Folder(message)) => {
            fail(context, command, EXECUTION_FAILED, plain(409, &message)).await
        }
    }
}

/// A call of the host failed. `told`: the host has said so in the thread.
async fn turn_failed(
    context: &Context,
    command: &Command,
    error: TurnError,
    told: bool,
) -> Outcome {
    if context.is_lost() {
        return Outcome::Lost;
    }
    match &error {
        TurnError::NotRunning | TurnError::NotOpen(_) | TurnError::Sink(_) => {
            let failure = plain(503, &error.to_string());
            later_unless_old(context, command, "runtime_unavailable", failure).await
        }
        TurnError::OpenCode(cause) if told => {
            let failure = plain(502, &cause.to_string());
            failed(context, EXECUTION_FAILED, failure)
        }
        _ => {
            fail(
                context,
                command,
                EXECUTION_FAILED,
                plain(502, &error.to_string()),
            )
            .await
        }
    }
}

async fn later_unless_old(
    context: &Context,
    command: &Command,
    code: &str,
    failure: ExecutionError,
) -> Outcome {
    match is_old(command, context.shared.now()) {
        true => fail(context, command, EXECUTION_FAILED, failure).await,
        false => later(code, &failure.message),
    }
}

fn is_old(command: &Command, now: Timestamp) -> bool {
    let age = parse_iso(&command.created_at)
        .map(|created| now.duration_since(created))
        .and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default();
    age > PATIENCE && command.attempt_count >= TRIES
}

fn later(code: &str, summary: &str) -> Outcome {
    Outcome::Deferred(Deferral {
        code: code.to_owned(),
        summary: summary.to_owned(),
        retry_after: RETRY_AFTER,
    })
}

/// Fails a command: the thread shows the prompt and why nothing came of it.
async fn fail(
    context: &Context,
    command: &Command,
    code: &str,
    failure: ExecutionError,
) -> Outcome {
    let thread = &command.session_id;
    let id = &command.command_id;
    let mut events = Vec::new();
    if command.kind == CommandKind::Prompt {
        events.push(submitted(command));
    }
    let error = RuntimeEvent::new(
        EventType::RuntimeError,
        json!({ "sessionId": thread, "commandId": id, "message": failure.message }),
    );
    // An answer or an abort that fails is no failure of the thread's turn.
    if command.kind == CommandKind::Prompt || !context.is_active(thread).await {
        events.push(error.with_id(format!("{thread}:command:{id}:runtime-error")));
    }
    match context.sink.record(thread, events).await {
        Ok(()) => failed(context, code, failure),
        Err(error) if error.store_error().is_some_and(|e| e.is_transient()) => later(
            "store_unavailable",
            "The failure could not be recorded yet.",
        ),
        // Recorded before with other words.
        Err(error)
            if error
                .store_error()
                .is_some_and(|e| e.is_callers_fault() && !crate::error::is_stale(e)) =>
        {
            failed(context, code, failure)
        }
        Err(_) => Outcome::Lost,
    }
}

fn failed(context: &Context, code: &str, mut failure: ExecutionError) -> Outcome {
    let redactor = &context.shared.parts.redactor;
    failure.message = redactor
        .redact(&failure.message, Redaction::Full)
        .into_owned();
    let stored = CommandFailure {
        code: code.to_owned(),
        message: failure.message.clone(),
    };
    Outcome::Failed(stored, failure)
}

fn plain(status: u16, message: &str) -> ExecutionError {
    ExecutionError {
        status,
        code: None,
        message: message.to_owned(),
    }
}

/// A session whose turn was left by a dead worker: the runtime's history says how far it came, or it is marked
/// as interrupted (decision 7). False: not now, try again in a moment; `last` says that this is the last try.
pub(crate) async fn take_over(
    context: &Context,
    row: &SessionRow,
    last: bool,
) -> Result<bool, LogError> {
    if row.session.status != SessionStatus::Running && row.waiting == 0 {
        return Ok(true);
    }
    if !row.session.opencode_session_id.is_empty() {
        match context.opened(row).await {
            Ok(_) => return Ok(true),
            Err(error) if !last && error.is_transient() => {
                tracing::info!(session = %row.session.session_id, %error, "a turn can't be recovered yet");
                return Ok(false);
            }
            Err(error) => {
                tracing::warn!(session = %row.session.session_id, %error, "a turn can't be recovered; it is marked as interrupted");
            }
        }
    }
    interrupted(context, row, "interrupted").await?;
    Ok(true)
}

impl Context {
    /// The runtime with that thread open on it.
    pub(crate) async fn opened(&self, row: &SessionRow) -> Result<Arc<ScopeRuntime>, StartError> {
        let runtime = self.ready(false).await?;
        runtime.open_thread(row).await?;
        Ok(runtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_waited_long_is_still_tried_often() {
        let now = parse_iso("2026-01-02T03:30:00.000Z").unwrap();
        let command = |created: &str, attempts: u32| -> Command {
            serde_json::from_value(json!({
                "commandId": "c", "tenantId": "t", "userId": "u", "sessionId": "s", "kind": "prompt",
                "payload": {}, "targetLeaseToken": null, "createdSequence": 1, "createdAt": created,
                "status": "running", "claimedBy": null, "claimedLeaseToken": null, "attemptCount": attempts,
                "availableAt": null, "lastErrorCode": null, "lastErrorSummary": null, "ackedAt": null, "error": null,
            }))
            .unwrap()
        };
        assert!(!is_old(&command("2026-01-02T03:00:00.000Z", 1), now));
        assert!(!is_old(&command("2026-01-02T03:25:00.000Z", 100), now));
        assert!(is_old(&command("2026-01-02T03:00:00.000Z", TRIES), now));
    }
}
