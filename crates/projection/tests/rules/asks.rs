//! Approvals and questions.

use crate::support::{T0, fold, session, time, view_json};
use open_cowork_contracts::SessionStatus;
use serde_json::{Value, json};

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
