//! Views that were stored and go on.

use crate::support::{T0, fold, record, session};
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::view::TaskStatus;
use open_cowork_projection::Projector;
use serde_json::json;

#[test]
fn a_stored_view_is_rebuilt_valid() {
    let stored = json!({
        "title": " ", "status": "odd", "lastError": "", "updatedAt": 5,
        "messages": [{"id": "m", "role": "user", "content": " "}, {"id": "n", "role": "robot"}, {"role": "user"}, 5],
        "toolCalls": [
            {"id": "x", "name": "read", "status": "odd", "input": {"token": "t"}, "output": "/home/me/x", "order": 3},
            {"name": "no id"}
        ],
        "taskRuns": [{"id": "k", "status": "odd", "transcript": [1, {"id": "a"}], "reasoning": [2], "toolCalls": [{"id": "y"}]}],
        "pendingApprovals": [{"id": "p", "sessionId": "s1"}, {"id": "q"}],
        "pendingQuestions": [{"id": "p", "sessionId": "s1", "questions": [{"question": "?"}]}, {"sessionId": "s1"}],
        "resolvedApprovals": [{"id": "p", "sessionId": "s1", "allowed": 1, "resolvedAt": "t"}],
        "errors": [{"id": "e", "message": "m"}, {"id": "f"}],
        "artifacts": [{"id": "a"}, {"artifactId": "b", "order": 9}],
        "sessionCost": "5", "origin": {"sourceFingerprint": "f", "importedAt": "t"}
    });
    let view = open_cowork_projection::normalize(&stored, &session(), "now");
    assert_eq!(
        (view.title.as_str(), view.status, view.last_error.as_deref()),
        ("New session", SessionStatus::Idle, Some(""))
    );
    assert_eq!(
        (
            view.messages.len(),
            view.messages[0].content.as_str(),
            view.messages[0].created_at.as_str()
        ),
        (1, "", "now")
    );
    assert_eq!(view.tool_calls.len(), 1);
    let call = serde_json::to_value(&view.tool_calls[0]).unwrap();
    assert_eq!(call["input"], json!({"token": "[REDACTED_RUNTIME_VALUE]"}));
    assert_eq!(
        (&call["output"], &call["status"], &call["order"]),
        (
            &json!("[REDACTED_LOCAL_PATH]"),
            &json!("running"),
            &json!(3)
        )
    );
    let task = &view.task_runs[0];
    assert_eq!(
        (task.status, task.transcript.len(), task.tool_calls.len()),
        (TaskStatus::Queued, 2, 1)
    );
    assert_eq!(task.reasoning.as_deref(), Some(&[json!(2)][..]));
    assert_eq!(
        (
            view.pending_approvals.len(),
            view.pending_questions.len(),
            view.resolved_approvals.len()
        ),
        (1, 1, 1)
    );
    assert!(!view.resolved_approvals[0].allowed);
    assert_eq!(view.errors.len(), 1);
    let orders: Vec<f64> = view.artifacts.iter().map(|a| a.order.0).collect();
    assert_eq!(orders, [0.0, 9.0]);
    assert_eq!((view.session_cost.0, view.updated_at.as_str()), (0.0, T0));
    assert_eq!(view.origin.map(|o| o.imported_at), Some("t".to_owned()));
}

#[test]
fn a_loaded_view_goes_on_where_it_stopped() {
    let stored = serde_json::to_value(fold(&[
        (
            "assistant.message",
            json!({"messageId": "m", "content": "a", "mode": "append"}),
        ),
        (
            "task.message",
            json!({"taskRunId": "k", "messageId": "n", "content": "b", "mode": "append"}),
        ),
    ]))
    .unwrap();
    let mut projector = Projector::normalize(&stored, &session(), T0);
    projector.apply(
        &session(),
        &record(
            3,
            "assistant.message",
            json!({"messageId": "m", "content": "!", "mode": "append"}),
        ),
    );
    projector.apply(
        &session(),
        &record(
            4,
            "task.message",
            json!({"taskRunId": "k", "messageId": "n", "content": "!", "mode": "append"}),
        ),
    );
    assert_eq!(projector.view().messages[0].content, "a!");
    assert_eq!(projector.view().task_runs[0].content, "b!");
}
