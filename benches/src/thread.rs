//! A generated thread: turns as an agent makes them.

use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, Session, SessionEventRecord};
use open_cowork_projection::sanitize::{Redactor, sanitize_event};
use serde_json::{Value, json};

/// Events of one turn: 1 prompt, 8 tool events, 60 deltas of about 40 bytes, 1 cost, 1 idle.
pub(crate) const EVENTS_PER_TURN: usize = 71;
/// Time of every generated event.
pub(crate) const AT: &str = "2026-01-01T00:00:07.000Z";

/// A session for events of [`records`].
pub(crate) fn session() -> Session {
    Session {
        session_id: "3f0c9a52-thread".into(),
        title: Some("Bench".into()),
        ..Session::default()
    }
}

/// The first `count` events of an endless thread, sanitized as a log has them.
pub(crate) fn events(count: usize) -> impl Iterator<Item = RuntimeEvent> {
    let redactor = Redactor::default();
    (0..)
        .flat_map(turn)
        .take(count)
        .map(move |event| RuntimeEvent {
            payload: sanitize_event(&redactor, &event.kind, event.payload),
            ..event
        })
}

/// The same as records.
pub(crate) fn records(count: usize) -> Vec<SessionEventRecord> {
    (1..)
        .zip(events(count))
        .map(|(sequence, event)| record(event, sequence))
        .collect()
}

/// An event with its place in the log.
pub(crate) fn record(event: RuntimeEvent, sequence: u64) -> SessionEventRecord {
    let event_id = event
        .event_id
        .unwrap_or_else(|| format!("3f0c9a52-thread:{sequence}").into());
    SessionEventRecord {
        tenant_id: Some("local".into()),
        session_id: Some("3f0c9a52-thread".into()),
        event_id: Some(event_id),
        sequence,
        kind: event.kind,
        payload: event.payload,
        created_at: AT.to_owned(),
        extra: JsonObject::new(),
    }
}

fn turn(number: usize) -> Vec<RuntimeEvent> {
    let message = format!("msg_01hx{number:08}");
    let mut events = vec![event(
        EventType::PromptSubmitted,
        json!({"commandId": format!("cmd{number}"), "messageId": format!("cmd{number}:user"),
               "text": "Please fix the failing test in the parser.", "agent": "build"}),
    )];
    for call in 0..4 {
        let id = format!("call_{number}_{call}");
        let input = json!({"filePath": "src/parser/lexer.rs", "limit": 200});
        events.push(event(
            EventType::ToolCall,
            json!({"sessionId": "ses_1", "id": id, "name": "read", "input": input, "status": "running", "agent": "build"}),
        ));
        events.push(event(
            EventType::ToolCall,
            json!({"sessionId": "ses_1", "id": id, "name": "read", "input": input, "status": "complete", "agent": "build",
                   "output": "pub fn lex(source: &str) -> Vec<Token> {\n    let mut out = Vec::new();\n    out\n}\n"}),
        ));
    }
    for delta in 0..60 {
        events.push(event(
            EventType::AssistantMessage,
            json!({"sessionId": "ses_1", "messageId": message, "mode": "append",
                   "content": format!("the lexer skips one token too many {delta:04} ")}),
        ));
    }
    events.push(event(
        EventType::CostUpdated,
        json!({"id": format!("{message}:step"), "cost": 0.0123,
               "tokens": {"input": 1200, "output": 300, "reasoning": 0, "cache": {"read": 800, "write": 0}}}),
    ));
    events.push(event(EventType::SessionIdle, json!({})));
    events
}

fn event(kind: EventType, payload: Value) -> RuntimeEvent {
    RuntimeEvent::new(kind, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_projection::Projector;

    #[test]
    fn a_generated_turn_has_the_mix_of_the_target_and_folds_to_one_answer() {
        let events = records(EVENTS_PER_TURN);
        let count = |kind: EventType| events.iter().filter(|event| event.kind == kind).count();
        assert_eq!(
            [
                EventType::PromptSubmitted,
                EventType::ToolCall,
                EventType::AssistantMessage,
                EventType::CostUpdated,
                EventType::SessionIdle
            ]
            .map(count),
            [1, 8, 60, 1, 1]
        );
        let mut projector = Projector::new(&session());
        events
            .iter()
            .for_each(|event| projector.apply(&session(), event));
        assert_eq!(projector.view().messages.len(), 2);
        assert_eq!(projector.view().messages[1].content.len(), 60 * 40);
        assert_eq!(projector.view().tool_calls.len(), 4);
    }
}
