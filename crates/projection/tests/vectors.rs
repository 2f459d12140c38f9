//! The check vectors of 01 §15, as written there.

#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, clippy::panic)] // a test file

mod support;

use open_cowork_projection::normalize;
use serde_json::{Value, json};
use support::{T0, fold, session, time, view_json};

#[test]
fn a_follow_up_keeps_name_input_and_output_but_not_agent_and_status() {
    let view = fold(&[
        (
            "tool.call",
            json!({"id": "x", "name": "read", "agent": "a", "input": {"p": 1}, "output": "o1", "status": "complete"}),
        ),
        ("tool.call", json!({"id": "x"})),
    ]);
    assert_eq!(view.tool_calls.len(), 1);
    let call = serde_json::to_value(&view.tool_calls[0]).unwrap();
    assert_eq!(call["name"], "read");
    assert_eq!(call["input"], json!({"p": 1}));
    assert_eq!(call["output"], "o1");
    assert_eq!(call["status"], "running");
    assert_eq!(call["agent"], Value::Null);
    assert_eq!(call["order"], 1);
}

#[test]
fn a_task_run_without_merge_resets_the_task() {
    let view = fold(&[
        (
            "tool.call",
            json!({"id": "x", "taskRunId": "k", "title": "T1", "name": "read"}),
        ),
        ("task.run", json!({"id": "k", "status": "complete"})),
    ]);
    let task = serde_json::to_value(&view.task_runs).unwrap();
    assert_eq!(task.as_array().unwrap().len(), 1);
    assert_eq!(task[0]["title"], "Task");
    assert_eq!(task[0]["status"], "complete");
    assert_eq!(task[0]["toolCalls"], json!([]));
    assert_eq!(task[0]["order"], 1);
}

#[test]
fn a_null_output_is_an_output() {
    let view = view_json(&[("tool.call", json!({"id": "x", "output": null}))]);
    assert_eq!(view["toolCalls"][0].get("output"), Some(&Value::Null));
    let view = view_json(&[("tool.call", json!({"id": "x"}))]);
    assert_eq!(view["toolCalls"][0].get("output"), None);
}

#[test]
fn deltas_append_and_a_replace_moves_the_time() {
    let delta = |text: &str| {
        (
            "assistant.message",
            json!({"messageId": "m", "content": text, "mode": "append"}),
        )
    };
    let mut events = vec![delta("Hello"), delta(" "), delta("world")];
    let view = fold(&events);
    assert_eq!(view.messages.len(), 1);
    assert_eq!(
        (
            view.messages[0].content.as_str(),
            view.messages[0].created_at.as_str()
        ),
        ("Hello world", &*time(1))
    );
    events.push((
        "assistant.message",
        json!({"messageId": "m", "content": "Hello!"}),
    ));
    let view = fold(&events);
    assert_eq!(
        (
            view.messages[0].content.as_str(),
            view.messages[0].created_at.as_str()
        ),
        ("Hello!", &*time(4))
    );
}

#[test]
fn an_unknown_status_changes_nothing_and_a_blank_prompt_is_empty() {
    let view = fold(&[
        ("session.status", json!({"statusType": "retry"})),
        ("prompt.submitted", json!({"text": "  "})),
        ("session.status", json!({"statusType": "retry"})),
    ]);
    assert_eq!(
        (view.status.as_str(), view.is_generating),
        ("running", true)
    );
    assert_eq!(
        (
            view.messages[0].id.as_str(),
            view.messages[0].content.as_str()
        ),
        ("s1:2:user", "")
    );
}

#[test]
fn an_answer_forgets_the_error_but_not_the_status() {
    let view = fold(&[
        ("runtime.error", json!({"message": "m"})),
        ("assistant.message", json!({"content": "x"})),
    ]);
    assert_eq!(
        (view.status.as_str(), view.last_error.as_deref()),
        ("errored", None)
    );
    assert_eq!(view.errors[0].id, "s1:error:1");
}

#[test]
fn only_work_leaves_errored() {
    let events = [
        ("runtime.error", json!({})),
        ("session.idle", json!({})),
        ("session.status", json!({"statusType": "idle"})),
        ("session.status", json!({"statusType": "busy"})),
        ("session.idle", json!({})),
    ];
    let statuses: Vec<String> = (1..=5)
        .map(|n| fold(&events[..n]).status.as_str().to_owned())
        .collect();
    assert_eq!(
        statuses,
        ["errored", "errored", "errored", "running", "idle"]
    );
}

#[test]
fn costs_add_up_and_strings_are_no_numbers() {
    let view = view_json(&[
        (
            "cost.updated",
            json!({"cost": -1, "tokens": {"output": 5, "cacheRead": 1, "cache": {"read": 9, "write": 2}}}),
        ),
        ("cost.updated", json!({"cost": "3"})),
    ]);
    assert_eq!(view["sessionCost"], -1);
    assert_eq!(
        view["sessionTokens"],
        json!({"input": 0, "output": 5, "reasoning": 0, "cacheRead": 1, "cacheWrite": 2})
    );
    assert_eq!(view["lastInputTokens"], 0);
}

#[test]
fn an_artifact_update_erases_what_it_omits() {
    let view = view_json(&[
        (
            "artifact.created",
            json!({"artifactId": "a b/1", "kind": "chart", "status": "final"}),
        ),
        (
            "artifact.updated",
            json!({"artifactId": "a b/1", "filename": "z.txt"}),
        ),
    ]);
    let artifact = &view["artifacts"][0];
    assert_eq!(artifact["filePath"], "cloud-artifact://a%20b%2F1/z.txt");
    assert_eq!((artifact.get("kind"), artifact.get("status")), (None, None));
    assert_eq!(artifact["order"], 1);
}

#[test]
fn an_import_without_a_fingerprint_has_no_origin() {
    let view = view_json(&[("session.imported", json!({"itemCounts": {"a": 1}}))]);
    assert_eq!(view["origin"], Value::Null);
}

#[test]
fn the_initial_view_has_every_field() {
    let view = view_json(&[]);
    assert_eq!(
        view,
        json!({
            "sessionId": "s1", "title": "New session", "status": "idle", "profileName": "p", "isGenerating": false,
            "messages": [], "toolCalls": [], "taskRuns": [], "pendingApprovals": [], "pendingQuestions": [],
            "resolvedApprovals": [], "resolvedQuestions": [], "artifacts": [], "todos": [], "errors": [],
            "sessionCost": 0,
            "sessionTokens": {"input": 0, "output": 0, "reasoning": 0, "cacheRead": 0, "cacheWrite": 0},
            "lastInputTokens": 0, "lastError": null, "origin": null, "projectSource": null, "updatedAt": T0
        })
    );
    assert_eq!(
        serde_json::to_value(normalize(&Value::Null, &session(), T0)).unwrap(),
        view
    );
}
