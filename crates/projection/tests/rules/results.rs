//! Todos, cost, artifacts and errors.

use crate::support::{fold, view_json};
use serde_json::json;

#[test]
fn todos_are_replaced_as_a_whole() {
    let view = view_json(&[(
        "todos.updated",
        json!({"todos": [{"content": " a ", "id": " 1 "}, {"content": " "}, {"content": "b", "status": "x", "priority": "low", "id": ""}, 5]}),
    )]);
    assert_eq!(
        view["todos"],
        json!([
            {"content": " a ", "status": "pending", "priority": "medium", "id": "1"},
            {"content": "b", "status": "x", "priority": "low"}
        ])
    );
    assert!(
        fold(&[
            ("todos.updated", json!({"todos": [{"content": "a"}]})),
            ("todos.updated", json!({}))
        ])
        .todos
        .is_empty()
    );
}

#[test]
fn cost_is_summed_in_event_order() {
    let costs = [0.1, 0.2, 0.3, 1e16, 1.0, -1e16];
    let events: Vec<_> = costs
        .iter()
        .map(|cost| {
            (
                "cost.updated",
                json!({"cost": cost, "tokens": {"input": 0}}),
            )
        })
        .collect();
    let expected = costs.iter().fold(0.0, |sum, cost| sum + cost);
    assert_eq!(
        fold(&events).session_cost.0.to_bits(),
        f64::to_bits(expected)
    );
    let view = fold(&[
        ("cost.updated", json!({"tokens": {"input": 7}})),
        ("cost.updated", json!({"tokens": {"input": 0}})),
    ]);
    assert_eq!(view.last_input_tokens.0, 7.0);
}

#[test]
fn artifacts_have_fallbacks_and_closed_words() {
    let view = view_json(&[
        ("artifact.created", json!({"filename": "no id"})),
        (
            "artifact.created",
            json!({"cloudArtifactId": "a", "contentType": "text/plain", "size": 3, "kind": "odd", "status": "draft", "order": 7, "key": "k"}),
        ),
        (
            "artifact.updated",
            json!({"id": "a", "filePath": "/x", "mime": "a/b", "authorAgentId": "me"}),
        ),
    ]);
    assert_eq!(
        view["artifacts"],
        json!([{
            "id": "a", "toolId": "cloud-artifact", "toolName": "cloud.artifact", "filePath": "/x", "filename": "artifact",
            "order": 7, "source": "cloud", "cloudArtifactId": "a", "taskRunId": null, "mime": "a/b", "size": 3,
            "authorAgentId": "me", "projectId": null, "taskId": null, "statusUpdatedBy": null, "statusUpdatedAt": null
        }])
    );
}

#[test]
fn errors_are_upserted_by_their_own_or_the_commands_id() {
    let view = view_json(&[
        ("runtime.error", json!({"commandId": "c", "message": "one"})),
        ("runtime.error", json!({"id": "c", "message": "two"})),
        ("runtime.error", json!({})),
    ]);
    assert_eq!(
        view["errors"],
        json!([
            {"id": "c", "sessionId": "s1", "message": "two", "order": 1},
            {"id": "s1:error:3", "sessionId": "s1", "message": "Runtime command failed.", "order": 3}
        ])
    );
    assert_eq!(view["lastError"], "Runtime command failed.");
}
