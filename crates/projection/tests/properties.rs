//! What holds for every input.

#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, clippy::panic)] // a test file

mod support;

use open_cowork_contracts::{EventType, RuntimeEvent, SessionEventRecord, View};
use open_cowork_projection::sanitize::{Redactor, sanitize_event};
use open_cowork_projection::{Coalescer, Projector, reduce};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::{T0, record, session};

/// Field names that the reducer reads, so that random payloads hit its rules.
const KEYS: [&str; 34] = [
    "id",
    "messageId",
    "content",
    "mode",
    "text",
    "status",
    "statusType",
    "taskRunId",
    "toolCallId",
    "callId",
    "name",
    "tool",
    "input",
    "output",
    "outputPaths",
    "attachments",
    "agent",
    "title",
    "merge",
    "todos",
    "cost",
    "tokens",
    "cache",
    "questions",
    "options",
    "answers",
    "reply",
    "allowed",
    "artifactId",
    "filename",
    "projectSource",
    "subject",
    "patterns",
    "sessionTokens",
];
const WORDS: [&str; 15] = [
    "a",
    "b",
    " ",
    "",
    "append",
    "replace",
    "running",
    "complete",
    "error",
    "idle",
    "busy",
    "once",
    "\u{feff}x",
    "/home/me/x",
    "git",
];

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-1000i32..1000).prop_map(|n| json!(f64::from(n) / 8.0)),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        1 => ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            fields(inner).prop_map(Value::Object),
        ]
    })
}

fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((prop::sample::select(&KEYS[..]), value), 0..7).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

fn kind() -> impl Strategy<Value = EventType> {
    prop_oneof![
        30 => prop::sample::select(EventType::KNOWN),
        1 => Just(EventType::parse("later.type")),
    ]
}

fn events(longest: usize) -> impl Strategy<Value = Vec<SessionEventRecord>> {
    prop::collection::vec((kind(), fields(json_value())), 0..longest).prop_map(|events| {
        events
            .into_iter()
            .zip(1..)
            .map(|((kind, payload), sequence)| {
                record(sequence, kind.as_str(), Value::Object(payload))
            })
            .collect()
    })
}

fn fold(events: &[SessionEventRecord]) -> Projector {
    let mut projector = Projector::new(&session());
    for event in events {
        projector.apply(&session(), event);
    }
    projector
}

fn bytes(view: &View) -> String {
    serde_json::to_string(view).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]

    #[test]
    fn the_same_events_give_the_same_bytes(events in events(24)) {
        prop_assert_eq!(bytes(fold(&events).view()), bytes(fold(&events).view()));
    }

    #[test]
    fn the_function_and_the_projector_agree(events in events(12)) {
        let mut view = open_cowork_projection::create_view(&session());
        for event in &events {
            view = reduce(&session(), view, event);
        }
        prop_assert_eq!(bytes(&view), bytes(fold(&events).view()));
    }

    #[test]
    fn a_reloaded_snapshot_goes_on_as_if_nothing_had_happened(events in events(24), cut in 0usize..24) {
        let cut = cut.min(events.len());
        let stored = bytes(fold(&events[..cut]).view());
        let mut resumed = Projector::from_view(serde_json::from_str(&stored).unwrap());
        prop_assert_eq!(bytes(resumed.view()), stored);
        for event in &events[cut..] {
            resumed.apply(&session(), event);
        }
        prop_assert_eq!(bytes(resumed.view()), bytes(fold(&events).view()));
    }

    #[test]
    fn a_view_never_outgrows_its_events(events in events(24)) {
        let weight: usize = events.iter().map(|event| serde_json::to_string(event).unwrap().len()).sum();
        // Defaults (names, zeros, times) are a constant per event; text is copied at most a few times.
        prop_assert!(bytes(fold(&events).view()).len() <= 2_000 + 6 * weight + 2_000 * events.len());
    }

    #[test]
    fn any_json_loads_and_folds(value in json_value(), events in events(6)) {
        let mut projector = Projector::normalize(&value, &session(), T0);
        for event in &events {
            projector.apply(&session(), event);
        }
        let stored = bytes(projector.view());
        prop_assert_eq!(bytes(&serde_json::from_str::<View>(&stored).unwrap()), stored);
    }

    #[test]
    fn a_stored_view_loads_as_itself_when_it_is_normalized(events in events(16)) {
        let stored = fold(&events).into_view();
        let value = serde_json::to_value(&stored).unwrap();
        let loaded = open_cowork_projection::normalize(&value, &session(), T0);
        // Blank texts collapse on loading (01 §5.7), so compare what normalizing twice gives.
        let again = open_cowork_projection::normalize(&serde_json::to_value(&loaded).unwrap(), &session(), T0);
        prop_assert_eq!(loaded, again);
    }

    #[test]
    fn sanitizing_is_idempotent_and_bounded(kind in kind(), payload in fields(json_value())) {
        let once = sanitize_event(&Redactor::default(), &kind, payload);
        prop_assert!(serde_json::to_string(&once).unwrap().len() <= 524_288 + 4_194_304);
        prop_assert_eq!(sanitize_event(&Redactor::default(), &kind, once.clone()), once);
    }

    #[test]
    fn coalescing_keeps_the_text(
        steps in prop::collection::vec((0u64..40, 0usize..5, 0usize..3, "[a-z]{0,3}"), 0..60)
    ) {
        let now = steps.iter().scan(0, |now, step| { *now += step.0; Some(*now) });
        let raw: Vec<(u64, RuntimeEvent)> = now.zip(&steps).map(|(now, step)| (now, step_event(step))).collect();
        let mut coalescer = Coalescer::new(60);
        let mut joined = Vec::new();
        for (now, event) in &raw {
            while let Some(due) = coalescer.deadline().filter(|due| due <= now) {
                joined.extend(coalescer.tick(due).into_iter().map(|(_, event)| event));
            }
            joined.extend(coalescer.push(*now, &"s1", event.clone()));
        }
        joined.extend(coalescer.flush_all().into_iter().map(|(_, event)| event));
        prop_assert!(joined.len() <= raw.len());
        prop_assert_eq!(texts(joined.into_iter()), texts(raw.into_iter().map(|(_, event)| event)));
    }
}

fn step_event((_, what, message, text): &(u64, usize, usize, String)) -> RuntimeEvent {
    let id = format!("m{message}");
    match what {
        0 | 1 => RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({"messageId": id, "content": text, "mode": "append"}),
        ),
        2 => RuntimeEvent::new(
            EventType::TaskMessage,
            json!({"taskRunId": "k", "messageId": id, "content": text, "mode": "append"}),
        ),
        3 => RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({"messageId": id, "content": text}),
        ),
        _ => RuntimeEvent::new(EventType::ToolCall, json!({"id": id})),
    }
}

/// Every text of the folded view, in view order.
fn texts(events: impl Iterator<Item = RuntimeEvent>) -> Vec<String> {
    let mut projector = Projector::new(&session());
    for (event, sequence) in events.zip(1..) {
        projector.apply(
            &session(),
            &record(sequence, event.kind.as_str(), Value::Object(event.payload)),
        );
    }
    let view = projector.into_view();
    let messages = view
        .messages
        .into_iter()
        .map(|message| format!("{} {}", message.id, message.content));
    messages
        .chain(view.task_runs.into_iter().map(|task| task.content))
        .collect()
}
