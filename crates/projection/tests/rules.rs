//! Every rule of 01 §5 that the check vectors don't show.

#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, clippy::panic)] // a test file

mod support;

use open_cowork_contracts::view::{TaskStatus, ToolStatus};
use open_cowork_contracts::{EventType, SessionStatus, View};
use open_cowork_projection::Projector;
use serde_json::{Value, json};
use support::{T0, fold, projector, record, session, time, view_json};

fn flags(view: &View) -> (&'static str, bool, Option<&str>) {
    (
        view.status.as_str(),
        view.is_generating,
        view.last_error.as_deref(),
    )
}

#[test]
fn every_projected_type_moves_the_time_and_no_other_does() {
    for kind in EventType::KNOWN {
        let view = fold(&[(kind.as_str(), json!({}))]);
        let expected = if kind.is_projected() {
            time(1)
        } else {
            T0.to_owned()
        };
        assert_eq!(view.updated_at, expected, "{kind}");
    }
    assert_eq!(fold(&[("later.type", json!({"title": "x"}))]), fold(&[]));
}

#[test]
fn flags_follow_the_table() {
    let after = |kind: &str| {
        let view = fold(&[
            ("runtime.error", json!({"message": "m"})),
            (kind, json!({})),
        ]);
        let flags = flags(&view);
        (flags.0, flags.1, flags.2.is_some())
    };
    assert_eq!(after("session.created"), ("idle", false, false));
    assert_eq!(after("session.imported"), ("idle", false, false));
    assert_eq!(
        after("session.project_source.bound"),
        ("errored", false, true)
    );
    assert_eq!(after("prompt.submitted"), ("running", true, false));
    assert_eq!(after("assistant.message"), ("errored", false, false));
    assert_eq!(after("tool.call"), ("running", true, false));
    assert_eq!(after("task.run"), ("errored", false, true));
    assert_eq!(after("permission.requested"), ("running", false, true));
    assert_eq!(after("permission.resolved"), ("errored", false, true));
    assert_eq!(after("question.asked"), ("running", false, true));
    assert_eq!(after("question.resolved"), ("errored", false, true));
    assert_eq!(after("todos.updated"), ("errored", false, true));
    assert_eq!(after("cost.updated"), ("errored", false, true));
    assert_eq!(after("session.aborted"), ("idle", false, true));
    assert_eq!(after("session.idle"), ("errored", false, true));
    assert_eq!(after("session.renamed"), ("errored", false, true));
}

#[test]
fn a_running_session_starts_generating() {
    let mut session = session();
    session.status = SessionStatus::Running;
    session.title = Some("T".to_owned());
    let view = Projector::new(&session).into_view();
    assert_eq!((view.title.as_str(), view.is_generating), ("T", true));
    session.title = Some(String::new());
    assert_eq!(Projector::new(&session).view().title, "New session");
}

#[test]
fn titles_come_from_creation_and_renaming_and_blank_ones_are_ignored() {
    let view = fold(&[
        ("session.created", json!({"title": " A "})),
        ("session.created", json!({"title": " "})),
    ]);
    assert_eq!(view.title, " A ");
    let view = fold(&[
        ("session.renamed", json!({"title": "B"})),
        ("session.renamed", json!({})),
    ]);
    assert_eq!(view.title, "B");
}

#[test]
fn an_import_keeps_numeric_counts() {
    let view = view_json(&[(
        "session.imported",
        json!({"sourceFingerprint": "f", "itemCounts": {"messages": 2, "x": "3", "y": null}}),
    )]);
    assert_eq!(
        view["origin"],
        json!({"kind": "local-session-import", "sourceFingerprint": "f", "importedAt": time(1), "itemCounts": {"messages": 2}})
    );
}

#[test]
fn a_source_is_normalized_or_nothing() {
    let bound = |source: Value| {
        view_json(&[(
            "session.project_source.bound",
            json!({"projectSource": source}),
        )])["projectSource"]
            .clone()
    };
    assert_eq!(
        bound(
            json!({"kind": "git", "repositoryUrl": " u ", "ref": " ", "subdirectory": "d", "x": 1})
        ),
        json!({"kind": "git", "repositoryUrl": "u", "ref": null, "subdirectory": "d", "credentialRef": null})
    );
    assert_eq!(
        bound(
            json!({"kind": "snapshot", "snapshotId": "i", "objectKey": "k", "fileCount": -1, "byteCount": "2"})
        ),
        json!({"kind": "snapshot", "snapshotId": "i", "objectKey": "k", "fileCount": 0, "byteCount": 0, "title": null})
    );
    for bad in [
        json!({"kind": "git"}),
        json!({"kind": "zip"}),
        json!({"kind": "snapshot", "snapshotId": "i"}),
        json!(5),
    ] {
        assert_eq!(bound(bad), Value::Null);
    }
}

#[test]
fn a_prompt_keeps_its_text_verbatim_and_is_upserted() {
    let view = fold(&[
        (
            "prompt.submitted",
            json!({"messageId": "m", "text": " hi ", "attachments": [{"a": 1}]}),
        ),
        (
            "prompt.submitted",
            json!({"messageId": "m", "text": "bye", "attachments": "no"}),
        ),
    ]);
    assert_eq!(view.messages.len(), 1);
    let message = serde_json::to_value(&view.messages[0]).unwrap();
    assert_eq!(
        message,
        json!({"id": "m", "role": "user", "content": "bye", "createdAt": time(2), "attachments": [{"a": 1}], "order": 1})
    );
}

#[test]
fn answers_keep_white_space_and_old_attachments() {
    let view = fold(&[
        (
            "assistant.message",
            json!({"messageId": "m", "content": " \n", "attachments": []}),
        ),
        ("assistant.message", json!({"messageId": "m", "content": 5})),
    ]);
    assert_eq!(
        (
            view.messages[0].content.as_str(),
            view.messages[0].attachments.as_ref().map(Vec::len)
        ),
        ("", Some(0))
    );
    let view = fold(&[(
        "assistant.message",
        json!({"content": " \n", "mode": "append"}),
    )]);
    assert_eq!(
        (
            view.messages[0].id.as_str(),
            view.messages[0].content.as_str()
        ),
        ("s1:1:assistant", " \n")
    );
}

#[test]
fn an_answer_takes_over_a_message_of_any_role() {
    let view = fold(&[
        ("prompt.submitted", json!({"messageId": "m", "text": "a"})),
        (
            "assistant.message",
            json!({"messageId": "m", "content": "b", "mode": "append"}),
        ),
    ]);
    let message = serde_json::to_value(&view.messages[0]).unwrap();
    assert_eq!(
        message,
        json!({"id": "m", "role": "assistant", "content": "ab", "createdAt": time(1), "order": 1})
    );
}

#[test]
fn tool_ids_names_and_statuses_have_fallbacks() {
    let view = fold(&[
        (
            "tool.call",
            json!({"id": " ", "callId": "c", "tool": "bash", "status": "odd"}),
        ),
        ("tool.call", json!({})),
    ]);
    assert_eq!(
        (
            view.tool_calls[0].id.as_str(),
            view.tool_calls[0].name.as_str()
        ),
        ("c", "bash")
    );
    assert_eq!(
        (
            view.tool_calls[1].id.as_str(),
            view.tool_calls[1].name.as_str()
        ),
        ("s1:tool:2", "tool")
    );
    assert_eq!(view.tool_calls[0].status, ToolStatus::Running);
}

#[test]
fn attachments_of_a_tool_survive_an_empty_or_missing_list() {
    let pixel = json!([{"mime": "image/png", "url": "data:image/png;base64,AAAA"}]);
    let view = fold(&[
        ("tool.call", json!({"id": "x", "attachments": pixel})),
        ("tool.call", json!({"id": "x", "attachments": []})),
        ("tool.call", json!({"id": "x", "attachments": "odd"})),
    ]);
    assert_eq!(
        view.tool_calls[0].attachments.as_ref().map(Vec::len),
        Some(1)
    );
}

#[test]
fn tool_input_and_output_are_sanitized_and_empty_input_keeps_the_old_one() {
    let view = view_json(&[
        (
            "tool.call",
            json!({"id": "x", "input": {"path": "/home/me/x", "api_key": "k"}, "output": "wrote /odd/y", "outputPaths": ["/odd/y"]}),
        ),
        ("tool.call", json!({"id": "x", "input": {}})),
        ("tool.call", json!({"id": "y", "output": []})),
        ("tool.call", json!({"id": "x2", "output": "kept"})),
        ("tool.call", json!({"id": "x2", "output": {"type": "file"}})),
    ]);
    let calls = &view["toolCalls"];
    assert_eq!(
        calls[0]["input"],
        json!({"path": "[REDACTED_LOCAL_PATH]", "api_key": "[REDACTED_RUNTIME_VALUE]"})
    );
    assert_eq!(calls[0]["output"], "wrote [REDACTED_MANAGED_PATH]");
    assert_eq!(calls[0].get("outputPaths"), None);
    assert_eq!(calls[1].get("output"), None);
    assert_eq!(
        calls[2].get("output"),
        None,
        "an output that is no output takes the place of the old one"
    );
}

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

#[test]
fn an_ask_belongs_to_the_product_session() {
    let view = view_json(&[(
        "permission.requested",
        json!({
            "requestID": "r", "sessionId": "ses_native", "sourceSessionId": "ses_child", "taskRunId": "k", "tool": "bash",
            "input": {"command": "ls"}, "subject": "ls /home/me", "patterns": ["ls *", 5], "toolCallId": "call_1"
        }),
    )]);
    assert_eq!(
        view["pendingApprovals"],
        json!([{
            "id": "r", "sessionId": "s1", "sourceSessionId": "ses_child", "taskRunId": "k", "tool": "bash",
            "input": {"command": "ls"}, "description": "bash", "order": 1, "subject": "ls /home/me", "patterns": ["ls *"],
            "toolCallId": "call_1", "askedAt": time(1)
        }])
    );
    let view = fold(&[("permission.requested", json!({}))]);
    let ask = &view.pending_approvals[0];
    assert_eq!(
        (ask.id.as_str(), ask.tool.as_str(), ask.description.as_str()),
        ("s1:permission:1", "permission", "Permission requested")
    );
}

#[test]
fn an_ask_asked_again_stays_in_its_place() {
    let view = fold(&[
        ("permission.requested", json!({"id": "a"})),
        ("permission.requested", json!({"id": "b"})),
        ("permission.requested", json!({"id": "a", "tool": "bash"})),
    ]);
    let asks: Vec<_> = view
        .pending_approvals
        .iter()
        .map(|ask| (ask.id.as_str(), ask.order.0))
        .collect();
    assert_eq!(asks, [("a", 1.0), ("b", 2.0)]);
    assert_eq!(view.pending_approvals[0].tool, "bash");
}

#[test]
fn a_resolution_takes_over_what_was_asked() {
    let view = view_json(&[
        (
            "permission.requested",
            json!({"id": "a", "taskRunId": "k", "tool": "bash", "description": "Run", "subject": "ls"}),
        ),
        (
            "permission.resolved",
            json!({"id": "a", "reply": "once", "tool": "other", "reason": "fine"}),
        ),
        (
            "permission.resolved",
            json!({"permissionId": "b", "response": "reject"}),
        ),
        ("permission.resolved", json!({"allowed": true})),
    ]);
    assert_eq!(view["pendingApprovals"], json!([]));
    assert_eq!(
        view["resolvedApprovals"],
        json!([
            {
                "id": "a", "sessionId": "s1", "taskRunId": "k", "tool": "bash", "description": "Run", "allowed": true,
                "order": 2, "resolvedAt": time(2), "subject": "ls", "reason": "fine"
            },
            {
                "id": "b", "sessionId": "s1", "taskRunId": null, "tool": "permission",
                "description": "Permission resolved", "allowed": false, "order": 3, "resolvedAt": time(3)
            }
        ])
    );
}

#[test]
fn a_second_resolution_keeps_its_place() {
    let view = fold(&[
        (
            "permission.resolved",
            json!({"id": "a", "allowed": true, "reason": "fine"}),
        ),
        ("permission.resolved", json!({"id": "a", "allowed": false})),
        ("question.resolved", json!({"id": "q"})),
        ("question.resolved", json!({"id": "q", "rejected": true})),
    ]);
    let (approval, question) = (&view.resolved_approvals[0], &view.resolved_questions[0]);
    assert_eq!(
        (
            approval.order.0,
            approval.allowed,
            approval.reason.as_deref()
        ),
        (1.0, false, Some("fine"))
    );
    assert_eq!((question.order.0, question.rejected), (3.0, true));
}

#[test]
fn a_stored_view_without_the_flag_takes_it_from_the_session() {
    let mut session = session();
    session.status = SessionStatus::Running;
    assert!(open_cowork_projection::normalize(&json!({}), &session, T0).is_generating);
    assert!(
        !open_cowork_projection::normalize(&json!({"isGenerating": false}), &session, T0)
            .is_generating
    );
}

#[test]
fn what_counts_as_allowed() {
    let allowed = |payload: Value| {
        let mut payload = payload;
        payload["id"] = json!("a");
        fold(&[("permission.resolved", payload)]).resolved_approvals[0].allowed
    };
    for yes in [
        json!({"allowed": true}),
        json!({"reply": "allow"}),
        json!({"reply": "once"}),
        json!({"response": "always"}),
    ] {
        assert!(allowed(yes.clone()), "{yes}");
    }
    for no in [
        json!({}),
        json!({"allowed": "true"}),
        json!({"reply": "reject"}),
        json!({"reply": "no", "response": "once"}),
    ] {
        assert!(!allowed(no.clone()), "{no}");
    }
}

#[test]
fn questions_are_asked_and_answered() {
    let asked = (
        "question.asked",
        json!({
            "requestId": "q", "sourceSessionId": "c", "tool": {"messageID": "m"},
            "questions": [
                {"question": " ", "header": "dropped"},
                {"question": "Which?", "options": [{"label": "A"}, {"label": " ", "description": ""}, 5], "multiple": "yes"}
            ]
        }),
    );
    let prompts = json!([{
        "header": "", "question": "Which?", "options": [{"label": "A", "description": ""}], "multiple": false, "custom": true
    }]);
    let view = view_json(std::slice::from_ref(&asked));
    assert_eq!(
        (&view["status"], &view["isGenerating"]),
        (&json!("running"), &json!(false))
    );
    assert_eq!(
        view["pendingQuestions"],
        json!([{
            "id": "q", "sessionId": "s1", "sourceSessionId": "c", "questions": prompts,
            "tool": {"messageId": "m", "callId": ""}, "order": 1
        }])
    );
    let view = view_json(&[
        asked,
        ("question.resolved", json!({"id": "q", "answers": [["A"]]})),
    ]);
    assert_eq!(view["pendingQuestions"], json!([]));
    assert_eq!(
        view["resolvedQuestions"],
        json!([{
            "id": "q", "sessionId": "s1", "sourceSessionId": "c", "questions": prompts, "answers": [["A"]],
            "rejected": false, "order": 2, "resolvedAt": time(2)
        }])
    );
    let view = view_json(&[(
        "question.resolved",
        json!({"id": "z", "answers": "no", "rejected": true}),
    )]);
    assert_eq!(view["resolvedQuestions"][0]["answers"], json!([]));
    assert_eq!(view["resolvedQuestions"][0]["rejected"], true);
    assert_eq!(
        fold(&[("question.asked", json!({"tool": {}}))]).pending_questions[0].tool,
        None
    );
}

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

#[test]
fn statuses_and_aborts() {
    let after = |events: &[(&str, Value)]| {
        let view = fold(events);
        (view.status.as_str(), view.is_generating)
    };
    let busy = ("session.status", json!({"statusType": "busy"}));
    assert_eq!(after(std::slice::from_ref(&busy)), ("running", true));
    assert_eq!(
        after(&[("session.status", json!({"statusType": "running"}))]),
        ("running", true)
    );
    assert_eq!(
        after(&[
            busy.clone(),
            ("session.status", json!({"statusType": "idle"}))
        ]),
        ("idle", false)
    );
    assert_eq!(
        after(&[
            busy.clone(),
            ("permission.requested", json!({})),
            ("session.status", json!({"statusType": "retry"}))
        ]),
        ("running", true)
    );
    assert_eq!(
        after(&[busy, ("session.aborted", json!({"reason": "interrupted"}))]),
        ("idle", false)
    );
    let view = fold(&[
        ("permission.requested", json!({})),
        ("session.aborted", json!({})),
    ]);
    assert_eq!(
        view.pending_approvals.len(),
        1,
        "the host withdraws asks, not the reducer"
    );
}

#[test]
fn additive_fields_tell_when_a_tool_ran_and_why_it_failed() {
    let view = fold(&[
        (
            "tool.call",
            json!({"id": "x", "status": "running", "subject": "cat /home/me/x"}),
        ),
        (
            "tool.call",
            json!({"id": "x", "status": "error", "error": "no such file: /home/me/x"}),
        ),
        ("tool.call", json!({"id": "x", "status": "error"})),
    ]);
    let call = &view.tool_calls[0];
    assert_eq!(
        (call.started_at.as_deref(), call.finished_at.as_deref()),
        (Some(&*time(1)), Some(&*time(2)))
    );
    assert_eq!(call.subject.as_deref(), Some("cat /home/me/x"));
    assert_eq!(
        call.error.as_deref(),
        Some("no such file: [REDACTED_LOCAL_PATH]")
    );
    let view = fold(&[
        (
            "tool.call",
            json!({"id": "x", "status": "error", "error": "e"}),
        ),
        ("tool.call", json!({"id": "x", "status": "running"})),
    ]);
    assert_eq!(
        (&view.tool_calls[0].error, &view.tool_calls[0].finished_at),
        (&None, &None)
    );
}

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

#[test]
fn the_session_view_shows_people_what_they_may_see() {
    let stored = json!({
        "sessionId": "s1", "isGenerating": true, "lastError": "broke",
        "messages": [
            {"id": "a", "role": "user", "content": "A", "createdAt": "t", "attachments": []},
            {"id": "b", "role": "system", "content": "hidden", "createdAt": "t"},
            {"id": "c", "role": "assistant", "content": "C", "createdAt": "t", "attachments": [1]}
        ]
    });
    let view = open_cowork_projection::normalize(&stored, &session(), T0);
    let shown =
        serde_json::to_value(open_cowork_projection::session_view::project(&view, 9)).unwrap();
    assert_eq!(
        shown["messages"],
        json!([
            {"id": "a", "role": "user", "content": "A", "timestamp": "t", "order": 1},
            {"id": "c", "role": "assistant", "content": "C", "attachments": [1], "timestamp": "t", "order": 3}
        ])
    );
    assert_eq!(
        shown["errors"],
        json!([{"id": "s1:cloud-error", "sessionId": "s1", "message": "broke", "order": 4}])
    );
    assert_eq!(
        (
            &shown["revision"],
            &shown["lastEventAt"],
            &shown["isGenerating"]
        ),
        (&json!(9), &json!(9), &json!(true))
    );
    assert_eq!(
        (
            &shown["contextState"],
            &shown["executionPlan"],
            &shown["activeAgent"]
        ),
        (&json!("idle"), &json!([]), &Value::Null)
    );

    let asked = projector(&[
        ("prompt.submitted", json!({})),
        ("permission.requested", json!({})),
        ("session.status", json!({"statusType": "busy"})),
    ]);
    let shown = open_cowork_projection::session_view::project(asked.view(), 3);
    assert!(
        asked.view().is_generating
            && !shown.is_generating
            && shown.is_awaiting_permission
            && !shown.is_awaiting_question
    );

    let empty =
        open_cowork_projection::session_view(&open_cowork_contracts::record::SessionEnvelope {
            session: session(),
            projection: None,
        });
    assert_eq!(empty, open_cowork_projection::empty_session_view());
}

#[test]
fn a_stop_with_a_reason_is_remembered_and_one_without_leaves_the_view_as_it_was() {
    let view = fold(&[
        ("session.aborted", json!({"commandId": "c1"})),
        ("session.aborted", json!({"reason": " "})),
    ]);
    assert!(view.stops.is_empty());
    let shown = view_json(&[("session.aborted", json!({}))]);
    assert!(
        shown.get("stops").is_none(),
        "no field without a stop: {shown}"
    );
    let view = fold(&[(
        "session.aborted",
        json!({"reason": "watchdog.steps", "message": "Stopped."}),
    )]);
    let stop = &view.stops[0];
    assert_eq!(
        (
            stop.reason.as_str(),
            stop.message.as_deref(),
            stop.order.0,
            stop.stopped_at.as_str()
        ),
        ("watchdog.steps", Some("Stopped."), 1.0, time(1).as_str())
    );
}
