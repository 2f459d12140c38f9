//! Sanitizing at the durable boundary (01 §6): what is stored is bounded, and runtime values lose their
//! secrets and private paths. Product text (prompts, answers, questions) passes byte for byte.
//!
//! | file | holds |
//! |---|---|
//! | `screen` | the quick look that spares nearly every string the rules |
//! | `patterns` | the rules as regular expressions |
//! | `redact` | their order (§6.2) |
//! | `walker` | bounds over any JSON (§6.1) |
//! | `tool` | tool input, output and attachments (§6.3, §6.4) |

mod patterns;
mod redact;
mod screen;
mod tool;
mod walker;

pub use redact::{Redaction, Redactor};
pub use tool::{ATTACHMENT_BUDGET_BYTES, normalize_attachments, sanitize_output, sanitize_record};
pub use walker::{REDACTED_MARKER, TRUNCATED_MARKER};

use open_cowork_contracts::{EventType, JsonObject};
use serde_json::Value;
use walker::{Treatment, Walker, is_within_bounds};

/// Payload keys that carry the exact action or its identity (decision 8): only secrets are removed from them.
pub const EXACT_KEYS: [&str; 3] = ["subject", "patterns", "toolCallId"];

/// The payload as it may be stored. Every projected event passes here once, whoever produced it.
pub fn sanitize_event(redactor: &Redactor, kind: &EventType, payload: JsonObject) -> JsonObject {
    match kind {
        EventType::ToolCall => sanitize_tool_call(redactor, &payload),
        EventType::PermissionRequested => walk(redactor, &payload, "", &EXACT_KEYS),
        EventType::RuntimeError => walk(redactor, &payload, "", &[]),
        _ if is_within_bounds(&payload) => payload,
        _ => Walker::new(Treatment::Bound).record(&payload),
    }
}

fn sanitize_tool_call(redactor: &Redactor, payload: &JsonObject) -> JsonObject {
    let mut out = walk(redactor, payload, "attachments", &EXACT_KEYS);
    let attachments = normalize_attachments(payload.get("attachments"));
    if !attachments.is_empty()
        && let Ok(attachments) = serde_json::to_value(attachments)
    {
        out.insert("attachments".to_owned(), attachments);
    }
    out
}

fn walk(redactor: &Redactor, payload: &JsonObject, skipped: &str, exact: &[&str]) -> JsonObject {
    let treatment = |redaction| Treatment::Redact {
        redactor,
        redaction,
        managed: &[],
    };
    Walker::new(treatment(Redaction::Full)).record_except(
        payload,
        skipped,
        exact,
        treatment(Redaction::ExactAction),
    )
}

/// A message for people: redacted in full and cut like any stored string.
pub(crate) fn bounded_text(redactor: &Redactor, value: Option<&Value>) -> Option<String> {
    let text = crate::coerce::text(value)?;
    Some(walker::bounded(redactor.redact(text, Redaction::Full)))
}

/// The exact action of a payload in one line, without secrets.
pub(crate) fn exact_text(redactor: &Redactor, value: Option<&Value>) -> Option<String> {
    let text = crate::coerce::text(value)?;
    Some(walker::bounded(
        redactor.redact(text, Redaction::ExactAction),
    ))
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::json;

    fn sanitized(kind: EventType, payload: Value) -> Value {
        let Value::Object(payload) = payload else {
            panic!("an object")
        };
        Value::Object(sanitize_event(&Redactor::default(), &kind, payload))
    }

    fn record(value: Value) -> Value {
        Value::Object(sanitize_record(&Redactor::default(), Some(&value)))
    }

    #[test]
    fn secret_like_keys_and_path_like_keys_are_hidden() {
        assert_eq!(
            record(json!({"max_tokens": 5, "/usr/a": 1, "/usr/b": 2})),
            json!({"max_tokens": REDACTED_MARKER, "[REDACTED_LOCAL_PATH]": 1, "[REDACTED_LOCAL_PATH]#2": 2})
        );
        assert_eq!(
            record(json!({"x-API-Key": {"a": 1}, "keyboard": 1})),
            json!({"x-API-Key": REDACTED_MARKER, "keyboard": 1})
        );
    }

    #[test]
    fn the_thirteenth_level_is_cut() {
        let mut value = json!("leaf");
        for _ in 0..14 {
            value = json!({"n": value});
        }
        let mut at = &record(value);
        for _ in 0..13 {
            at = &at["n"];
        }
        assert_eq!(at, TRUNCATED_MARKER);
    }

    #[test]
    fn entries_nodes_strings_and_bytes_are_bounded() {
        let many: Value = (0..300).collect::<Vec<i32>>().into();
        let out = record(json!({"a": many}));
        assert_eq!(out["a"].as_array().unwrap().len(), 257);
        assert_eq!(out["a"][256], TRUNCATED_MARKER);

        let wide: JsonObject = (0..300).map(|n| (format!("k{n}"), json!(n))).collect();
        let out = record(Value::Object(wide));
        assert_eq!(out.as_object().unwrap().len(), 257);
        assert_eq!(out["truncated"], TRUNCATED_MARKER);

        let nodes: Value = (0..200)
            .map(|_| json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
            .collect();
        let out = record(json!({"a": nodes}));
        assert_eq!(out["a"][199], TRUNCATED_MARKER);

        let out = record(json!({"a": "é".repeat(40_000)}));
        assert_eq!(
            out["a"].as_str().unwrap(),
            format!("{}{TRUNCATED_MARKER}", "é".repeat(32_768))
        );

        let heavy: Value = (0..20).map(|_| "x".repeat(60_000)).collect();
        assert_eq!(
            record(json!({"a": heavy})),
            json!({"truncated": TRUNCATED_MARKER})
        );
    }

    #[test]
    fn dangerous_keys_and_files_are_dropped() {
        assert_eq!(
            record(
                json!({"__proto__": 1, "constructor": 2, "": 3, "f": {"type": "file"}, "l": [{"type": "file"}, 1]})
            ),
            json!({"l": [1]})
        );
        assert_eq!(record(json!({"type": "file", "a": 1})), json!({}));
        assert_eq!(record(json!("text")), json!({}));
    }

    #[test]
    fn product_text_passes_byte_for_byte() {
        let payload = json!({"text": "mail a@b.org, key sk-abcdefghijklmnopqrstuvwx, /home/me?x=1", "token": "t"});
        for kind in [
            EventType::PromptSubmitted,
            EventType::AssistantMessage,
            EventType::QuestionAsked,
            EventType::TaskMessage,
        ] {
            assert_eq!(sanitized(kind, payload.clone()), payload);
        }
        let long = json!({"text": "x".repeat(70_000)});
        let out = sanitized(EventType::PromptSubmitted, long);
        assert_eq!(
            out["text"].as_str().unwrap().len(),
            65_536 + TRUNCATED_MARKER.len()
        );
    }

    #[test]
    fn a_tool_call_is_redacted_except_for_its_exact_action() {
        let out = sanitized(
            EventType::ToolCall,
            json!({
                "id": "c", "input": {"command": "cat /home/me/x"}, "subject": "cat /home/me/x ghp_abcdefghijklmnopqrst",
                "toolCallId": "c", "attachments": [{"mime": "image/png", "url": "data:image/png;base64,AAAA"}, 5]
            }),
        );
        assert_eq!(
            out,
            json!({
                "id": "c", "input": {"command": "cat [REDACTED_LOCAL_PATH]"},
                "subject": "cat /home/me/x [REDACTED_TOKEN]", "toolCallId": "c",
                "attachments": [{"mime": "image/png", "url": "data:image/png;base64,AAAA"}]
            })
        );
    }

    #[test]
    fn an_ask_shows_exactly_what_is_approved() {
        let out = sanitized(
            EventType::PermissionRequested,
            json!({"id": "p", "patterns": ["/home/me/*"], "subject": "rm /home/me/x", "description": "rm /home/me/x"}),
        );
        assert_eq!(
            out,
            json!({"id": "p", "patterns": ["/home/me/*"], "subject": "rm /home/me/x", "description": "rm [REDACTED_LOCAL_PATH]"})
        );
    }

    #[test]
    fn an_error_is_redacted() {
        let out = sanitized(
            EventType::RuntimeError,
            json!({"message": "no /home/me/x", "subject": "/home/me/x"}),
        );
        assert_eq!(
            out,
            json!({"message": "no [REDACTED_LOCAL_PATH]", "subject": "[REDACTED_LOCAL_PATH]"})
        );
    }

    #[test]
    fn sanitizing_twice_changes_nothing() {
        let payload = json!({"id": "c", "input": {"a": "/usr/x", "token": "t"}, "output": "Authorization: Bearer x"});
        let once = sanitized(EventType::ToolCall, payload);
        assert_eq!(sanitized(EventType::ToolCall, once.clone()), once);
    }
}
