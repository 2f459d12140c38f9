//! Tool calls.

use crate::support::{fold, time, view_json};
use open_cowork_contracts::view::ToolStatus;
use serde_json::json;

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
