//! Prompts and answers.

use crate::support::{fold, time};
use serde_json::json;

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
