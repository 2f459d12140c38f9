//! Long answers in pieces. The sanitizer cuts a string at 65 536 bytes (01 §6.1), so the final text of a long
//! answer would lose its end, although it streamed in full (01 §16 #6). The log sends the first piece as it
//! is and the others as appends to the same message: the view's text is the whole text.

use open_cowork_contracts::{EventType, RuntimeEvent};
use serde_json::Value;

/// Bytes of a piece; below the sanitizer's limit.
const PIECE_BYTES: usize = 60_000;

/// The event itself, or the pieces that mean the same. The first keeps the event id, the n-th has `<id>#n`.
pub(crate) fn pieces(event: RuntimeEvent) -> Vec<RuntimeEvent> {
    let is_message = matches!(
        event.kind,
        EventType::AssistantMessage | EventType::TaskMessage
    );
    let text = |key: &str| {
        event
            .payload
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    // Without an id every event is a message of its own.
    if !is_message || text("content").len() <= PIECE_BYTES || text("messageId").trim().is_empty() {
        return vec![event];
    }
    let content = text("content");
    let mut cuts = vec![0];
    while content.len() - cuts[cuts.len() - 1] > PIECE_BYTES {
        let limit = cuts[cuts.len() - 1] + PIECE_BYTES;
        // A character has at most four bytes, so a boundary is near.
        let cut = (limit - 3..=limit)
            .rev()
            .find(|at| content.is_char_boundary(*at));
        cuts.push(cut.unwrap_or(limit));
    }
    let ends = cuts.iter().skip(1).copied().chain([content.len()]);
    let texts = cuts
        .iter()
        .zip(ends)
        .map(|(start, end)| &content[*start..end]);
    texts
        .enumerate()
        .map(|(n, text)| piece(&event, n, text))
        .collect()
}

fn piece(event: &RuntimeEvent, n: usize, text: &str) -> RuntimeEvent {
    let fields = event
        .payload
        .iter()
        .filter(|(key, _)| n == 0 || *key != "attachments");
    let mut payload: open_cowork_contracts::JsonObject = fields
        .map(|(key, value)| {
            let value = if key == "content" {
                Value::String(text.to_owned())
            } else {
                value.clone()
            };
            (key.clone(), value)
        })
        .collect();
    if n > 0 {
        payload.insert("mode".to_owned(), "append".into());
    }
    let event_id = event.event_id.as_ref().map(|id| match n {
        0 => id.clone(),
        n => format!("{id}#{}", n + 1).into(),
    });
    RuntimeEvent {
        event_id,
        kind: event.kind.clone(),
        payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(content: &str) -> RuntimeEvent {
        let payload =
            json!({ "messageId": "m", "content": content, "mode": "replace", "attachments": [] });
        RuntimeEvent::new(EventType::AssistantMessage, payload).with_id("e")
    }

    #[test]
    fn a_short_answer_is_itself() {
        assert_eq!(pieces(answer("hi")), [answer("hi")]);
        let unnamed = RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({ "content": "x".repeat(70_000) }),
        );
        assert_eq!(pieces(unnamed.clone()), [unnamed]);
    }

    #[test]
    fn the_pieces_of_a_long_answer_are_the_whole_answer_and_each_is_below_the_limit() {
        let content = "ü€\u{1f600}a".repeat(20_000);
        let pieces = pieces(answer(&content));
        let field =
            |piece: &RuntimeEvent, key: &str| piece.payload[key].as_str().unwrap().to_owned();
        assert_eq!(
            pieces
                .iter()
                .map(|piece| field(piece, "content"))
                .collect::<String>(),
            content
        );
        assert!(
            pieces
                .iter()
                .all(|piece| field(piece, "content").len() <= 65_536)
        );
        let modes: Vec<_> = pieces.iter().map(|piece| field(piece, "mode")).collect();
        assert_eq!(modes, ["replace", "append", "append", "append"]);
        let ids: Vec<_> = pieces
            .iter()
            .map(|piece| piece.event_id.clone().unwrap().to_string())
            .collect();
        assert_eq!(ids, ["e", "e#2", "e#3", "e#4"]);
        assert!(pieces[1].payload.get("attachments").is_none());
    }
}
