//! Sub-agents: their lanes, texts, calls, todos and cost.

use crate::support::{fold, view_json};
use open_cowork_contracts::view::{TaskStatus, ToolStatus};
use serde_json::json;

#[test]
fn a_tool_inside_a_task_creates_and_starts_it() {
    let view = fold(&[
        (
            "tool.call",
            json!({"id": "x", "taskRunId": "k", "taskTitle": "T", "agent": "a", "parentSessionId": "p", "status": "complete"}),
        ),
        ("task.run", json!({"taskRunId": "q"})),
        ("tool.call", json!({"id": "y", "taskRunId": " q "})),
        ("task.run", json!({"taskRunId": "d", "status": "complete"})),
        ("tool.call", json!({"id": "z", "taskRunId": "d"})),
    ]);
    assert!(view.tool_calls.is_empty());
    let [k, q, d] = &view.task_runs[..] else {
        panic!("three tasks")
    };
    assert_eq!(
        (
            k.title.as_str(),
            k.agent.as_deref(),
            k.parent_session_id.as_deref()
        ),
        ("T", Some("a"), Some("p"))
    );
    assert_eq!(
        (k.status, k.tool_calls[0].status),
        (TaskStatus::Running, ToolStatus::Complete)
    );
    assert_eq!((q.status, q.tool_calls.len()), (TaskStatus::Running, 1));
    assert_eq!((d.status, d.tool_calls.len()), (TaskStatus::Complete, 1));
}

#[test]
fn the_same_call_id_in_a_task_and_in_the_root_are_two_calls() {
    let view = fold(&[
        ("tool.call", json!({"id": "x"})),
        ("tool.call", json!({"id": "x", "taskRunId": "k"})),
    ]);
    assert_eq!(
        (view.tool_calls.len(), view.task_runs[0].tool_calls.len()),
        (1, 1)
    );
}

#[test]
fn a_task_run_reads_its_whole_payload() {
    let view = view_json(&[(
        "task.run",
        json!({
            "id": "k", "taskTitle": "T", "agent": " a ", "status": "running", "sourceSessionId": "c", "parentSessionId": "p",
            "content": "x", "error": "e", "sessionCost": 0.5, "sessionTokens": {"input": 1, "cache": {"read": 2}},
            "startedAt": "t1", "finishedAt": "t2"
        }),
    )]);
    assert_eq!(
        view["taskRuns"],
        json!([{
            "id": "k", "title": "T", "agent": "a", "status": "running", "sourceSessionId": "c", "parentSessionId": "p",
            "content": "x", "transcript": [], "toolCalls": [], "compactions": [], "todos": [], "error": "e",
            "sessionCost": 0.5, "sessionTokens": {"input": 1, "output": 0, "reasoning": 0, "cacheRead": 2, "cacheWrite": 0},
            "order": 1, "startedAt": "t1", "finishedAt": "t2"
        }])
    );
    let view = fold(&[("task.run", json!({}))]);
    assert_eq!(
        (view.task_runs[0].id.as_str(), view.task_runs[0].status),
        ("s1:task:1", TaskStatus::Queued)
    );
}

#[test]
fn merge_changes_only_what_the_payload_holds() {
    let view = view_json(&[
        (
            "task.run",
            json!({"taskRunId": "k", "title": "T", "agent": "a", "status": "running", "startedAt": "t1", "merge": true}),
        ),
        ("tool.call", json!({"id": "x", "taskRunId": "k"})),
        (
            "task.run",
            json!({"taskRunId": "k", "status": "complete", "finishedAt": "t2", "title": " ", "agent": null, "merge": true}),
        ),
    ]);
    let task = &view["taskRuns"][0];
    assert_eq!(
        (&task["title"], &task["agent"], &task["status"]),
        (&json!("T"), &json!("a"), &json!("complete"))
    );
    assert_eq!(
        (&task["startedAt"], &task["finishedAt"]),
        (&json!("t1"), &json!("t2"))
    );
    assert_eq!(task["toolCalls"].as_array().map(Vec::len), Some(1));
    // A tool call after a merge still follows 01 §5.3.
    let view = fold(&[
        ("task.run", json!({"taskRunId": "k", "merge": true})),
        ("tool.call", json!({"id": "x", "taskRunId": "k"})),
    ]);
    assert_eq!(view.task_runs[0].status, TaskStatus::Running);
}

#[test]
fn the_text_of_a_sub_agent_is_its_pieces_joined() {
    let say = |message: &str, text: &str, mode: &str| {
        (
            "task.message",
            json!({"taskRunId": "k", "messageId": message, "content": text, "mode": mode}),
        )
    };
    let events = [
        say("a", "On", "append"),
        say("a", "e", "append"),
        say("b", "", "append"),
        say("b", "Two", "append"),
        say("a", "!", "append"),
        say("b", "Too", "replace"),
        say("c", "", "replace"),
        say("b", "", "replace"),
        say("c", "3", "append"),
    ];
    let contents: Vec<String> = (1..=events.len())
        .map(|n| fold(&events[..n]).task_runs[0].content.clone())
        .collect();
    assert_eq!(
        contents,
        [
            "On",
            "One",
            "One",
            "One\n\nTwo",
            "One!\n\nTwo",
            "One!\n\nToo",
            "One!\n\nToo",
            "One!",
            "One!\n\n3"
        ]
    );
    let view = view_json(&events[..2]);
    let task = &view["taskRuns"][0];
    assert_eq!(
        task["transcript"],
        json!([{"id": "a", "content": "One", "order": 1}])
    );
    assert_eq!(
        (&task["id"], &task["title"], &task["status"]),
        (&json!("k"), &json!("Task"), &json!("running"))
    );
    assert_eq!(
        view["messages"],
        json!([]),
        "the root's transcript stays clean"
    );
}

#[test]
fn the_first_word_of_a_queued_sub_agent_starts_it() {
    let queued = (
        "task.run",
        json!({"taskRunId": "k", "status": "queued", "merge": true}),
    );
    let say = (
        "task.message",
        json!({"taskRunId": "k", "messageId": "a", "content": "x", "mode": "append"}),
    );
    assert_eq!(
        fold(&[queued, say.clone()]).task_runs[0].status,
        TaskStatus::Running
    );
    let done = (
        "task.run",
        json!({"taskRunId": "k", "status": "complete", "merge": true}),
    );
    assert_eq!(fold(&[done, say]).task_runs[0].status, TaskStatus::Complete);
}

#[test]
fn a_merge_may_give_the_text_only_until_there_are_pieces() {
    let told = |text: &str| {
        (
            "task.run",
            json!({"taskRunId": "k", "content": text, "merge": true}),
        )
    };
    let say = (
        "task.message",
        json!({"taskRunId": "k", "messageId": "a", "content": "x", "mode": "append"}),
    );
    assert_eq!(fold(&[told("a"), told("b")]).task_runs[0].content, "b");
    assert_eq!(fold(&[told("a"), say, told("b")]).task_runs[0].content, "x");
}

#[test]
fn a_sub_agents_todos_and_cost_are_its_own() {
    let view = view_json(&[
        ("cost.updated", json!({"cost": 1, "tokens": {"input": 10}})),
        ("task.run", json!({"taskRunId": "k", "merge": true})),
        (
            "task.todos",
            json!({"taskRunId": "k", "todos": [{"content": "x"}]}),
        ),
        (
            "cost.updated",
            json!({"cost": 0.5, "tokens": {"input": 99}, "taskRunId": "k"}),
        ),
        (
            "cost.updated",
            json!({"cost": 0.25, "taskRunId": "unknown"}),
        ),
    ]);
    assert_eq!(
        (
            &view["sessionCost"],
            &view["lastInputTokens"],
            &view["todos"]
        ),
        (&json!(1.75), &json!(10), &json!([]))
    );
    assert_eq!(view["sessionTokens"]["input"], 109);
    let task = &view["taskRuns"][0];
    assert_eq!(
        (&task["sessionCost"], &task["sessionTokens"]["input"]),
        (&json!(0.5), &json!(99))
    );
    assert_eq!(
        task["todos"],
        json!([{"content": "x", "status": "pending", "priority": "medium"}])
    );
    assert_eq!(view["taskRuns"].as_array().map(Vec::len), Some(1));
}
