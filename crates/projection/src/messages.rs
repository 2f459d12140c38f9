//! Prompts and answers (01 §5, §5.2).

use crate::coerce;
use crate::index::IdIndex;
use crate::projector::Event;
use open_cowork_contracts::View;
use open_cowork_contracts::view::{Message, Role};
use serde_json::Value;

/// `prompt.submitted`: the user's message.
pub(crate) fn prompt(view: &mut View, index: &mut IdIndex, e: Event<'_>) {
    let mut text = Text::default();
    for (key, value) in e.payload {
        match key.as_str() {
            "messageId" => text.id = coerce::text(Some(value)),
            "text" => text.content = coerce::text(Some(value)).unwrap_or_default(),
            "attachments" => text.attachments = value.as_array(),
            _ => {}
        }
    }
    upsert(view, index, e, Role::User, text, "user");
}

/// `assistant.message`: appended or replaced. The hottest rule: one pass over the payload, no allocation for
/// a message that grows.
pub(crate) fn assistant(view: &mut View, index: &mut IdIndex, e: Event<'_>) {
    let mut text = Text::default();
    for (key, value) in e.payload {
        match key.as_str() {
            "messageId" => text.id = coerce::text(Some(value)),
            // Verbatim: white space is text.
            "content" => text.content = value.as_str().unwrap_or_default(),
            "mode" => text.append = value == "append",
            "attachments" => text.attachments = value.as_array(),
            _ => {}
        }
    }
    view.last_error = None;
    upsert(view, index, e, Role::Assistant, text, "assistant");
}

#[derive(Clone, Copy, Default)]
struct Text<'a> {
    id: Option<&'a str>,
    content: &'a str,
    append: bool,
    attachments: Option<&'a Vec<Value>>,
}

fn upsert(
    view: &mut View,
    index: &mut IdIndex,
    e: Event<'_>,
    role: Role,
    text: Text<'_>,
    suffix: &str,
) {
    let generated;
    let id = match text.id {
        Some(id) => id,
        None => {
            generated = e.default_id(suffix);
            &generated
        }
    };
    let Some(at) = index.find(&view.messages, id) else {
        let message = Message {
            id: id.to_owned(),
            role,
            content: text.content.to_owned(),
            created_at: e.at.to_owned(),
            attachments: text.attachments.cloned(),
            order: Some(e.sequence.into()),
        };
        index.push(&mut view.messages, message);
        return;
    };
    let message = &mut view.messages[at];
    message.role = role;
    if text.append {
        message.content.push_str(text.content);
    } else {
        text.content.clone_into(&mut message.content);
        // A replace moves the time, an append keeps it.
        e.at.clone_into(&mut message.created_at);
    }
    if let Some(attachments) = text.attachments {
        message.attachments = Some(attachments.clone());
    }
}
