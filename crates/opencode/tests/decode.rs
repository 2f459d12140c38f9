//! Rules of the decoder that no recording shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking"
)]

use open_cowork_opencode::event::Shape;
use open_cowork_opencode::model::PartBody;
use open_cowork_opencode::{Event, decode_frame, encode_frame};
use proptest::prelude::*;
use serde_json::{Value, json};

fn event(frame: Value) -> Event {
    decode_frame(frame.to_string()).unwrap().event
}

#[test]
fn a_lone_surrogate_becomes_the_replacement_character_and_the_event_stays_known() {
    let frame = decode_frame(
        r#"{"payload":{"id":"evt_1","type":"message.part.delta","properties":{"sessionID":"ses_1","messageID":"msg_1","partID":"prt_1","field":"text","delta":"half \ud83d"}}}"#,
    )
    .unwrap();
    match frame.event {
        Event::PartDelta { delta, .. } => assert_eq!(delta, "half \u{fffd}"),
        other => panic!("{other:?}"),
    }
    let whole = r#"{"type":"message.part.updated","properties":{"sessionID":"s","part":{"id":"p","sessionID":"s","messageID":"m","type":"tool","tool":"bash","callID":"c","state":{"status":"completed","input":{},"output":"\udc00","metadata":{"\ud800":1}}}}}"#;
    let event = decode_frame(whole).unwrap().event;
    let Event::PartUpdated(part) = event else {
        panic!("{event:?}")
    };
    let PartBody::Tool { state, .. } = part.body else {
        panic!("{part:?}")
    };
    assert_eq!(state.output, Some(json!("\u{fffd}")));
    assert_eq!(state.metadata, Some(json!({ "\u{fffd}": 1 })));
}

#[test]
fn bytes_that_are_not_utf8_become_the_replacement_character() {
    let mut frame = br#"{"type":"x","properties":{"text":"a"#.to_vec();
    frame.extend(b"\xff\"}}");
    let Event::Unknown { properties, .. } = decode_frame(&frame).unwrap().event else {
        panic!()
    };
    assert_eq!(properties["text"], "a\u{fffd}");
}

#[test]
fn an_unknown_type_and_a_known_type_of_a_wrong_shape_keep_everything() {
    let properties = json!({ "sessionID": "ses_1", "part": 7, "new": [1, null] });
    for kind in [
        "session.telepathy",
        "message.part.updated",
        "message.part.delta",
        "permission.asked",
        "todo.updated",
    ] {
        let unknown = Event::Unknown {
            session: Some("ses_1".into()),
            properties: properties.as_object().unwrap().clone(),
        };
        let frame = json!({ "type": kind, "properties": properties });
        assert_eq!(event(frame.clone()), unknown, "{kind}");
        assert_eq!(
            encode_frame(&decode_frame(frame.to_string()).unwrap()),
            frame
        );
    }
}

#[test]
fn new_fields_of_known_events_are_kept() {
    let part = json!({ "id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1", "type": "text", "text": "t",
        "time": { "start": 1, "later": 2 }, "colour": "red" });
    let frames = [
        json!({ "directory": "/w", "galaxy": 1, "payload": { "id": "evt_1", "type": "message.part.updated", "mood": "good",
            "properties": { "sessionID": "ses_1", "part": part, "time": 5, "weather": "fine" } } }),
        json!({ "id": "evt_1", "type": "message.part.delta", "properties": { "sessionID": "ses_1", "messageID": "msg_1",
            "partID": "prt_1", "field": "text", "delta": "d", "offset": 9 } }),
        json!({ "id": "evt_1", "type": "session.error", "properties": { "sessionID": "ses_1",
            "error": { "name": "APIError", "data": { "message": "m" }, "cause": "c" }, "more": 1 } }),
        json!({ "id": "evt_1", "type": "session.idle", "properties": { "sessionID": "ses_1", "why": "done" } }),
        json!({ "id": "evt_1", "type": "server.instance.disposed", "properties": { "directory": "/w" } }),
    ];
    for frame in frames {
        let decoded = decode_frame(frame.to_string()).unwrap();
        assert!(!matches!(decoded.event, Event::Unknown { .. }), "{frame}");
        assert_eq!(encode_frame(&decoded), frame);
    }
}

/// Type, properties, and whether an event is what they stand for.
type Case = (&'static str, Value, fn(&Event) -> bool);

#[test]
fn every_classic_type_of_the_contract_has_its_variant() {
    let info = json!({ "id": "msg_1", "sessionID": "ses_1", "role": "assistant", "time": { "created": 1 } });
    let part =
        json!({ "id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1", "type": "step-start" });
    let cases: [Case; 23] = [
        ("server.connected", json!({}), |e| {
            matches!(e, Event::Connected)
        }),
        ("server.heartbeat", json!({}), |e| {
            matches!(e, Event::Heartbeat)
        }),
        (
            "server.instance.disposed",
            json!({ "directory": "/w" }),
            |e| matches!(e, Event::InstanceDisposed { directory: Some(directory) } if directory == "/w"),
        ),
        (
            "session.created",
            json!({ "sessionID": "ses_1", "info": { "id": "ses_1" } }),
            |e| matches!(e, Event::SessionCreated(_)),
        ),
        (
            "session.updated",
            json!({ "sessionID": "ses_1", "info": { "id": "ses_1" } }),
            |e| matches!(e, Event::SessionUpdated(_)),
        ),
        (
            "session.deleted",
            json!({ "sessionID": "ses_1", "info": { "id": "ses_1" } }),
            |e| matches!(e, Event::SessionDeleted(_)),
        ),
        (
            "session.status",
            json!({ "sessionID": "ses_1", "status": { "type": "retry", "attempt": 1 } }),
            |e| matches!(e, Event::SessionStatus { status, .. } if status.kind == "retry"),
        ),
        ("session.idle", json!({ "sessionID": "ses_1" }), |e| {
            matches!(e, Event::SessionIdle { .. })
        }),
        (
            "session.error",
            json!({ "sessionID": "ses_1", "error": { "name": "APIError" } }),
            |e| matches!(e, Event::SessionError { error: Some(_), .. }),
        ),
        ("session.compacted", json!({ "sessionID": "ses_1" }), |e| {
            matches!(e, Event::SessionCompacted { .. })
        }),
        (
            "session.diff",
            json!({ "sessionID": "ses_1", "diff": [] }),
            |e| matches!(e, Event::Benign),
        ),
        (
            "message.updated",
            json!({ "sessionID": "ses_1", "info": info }),
            |e| matches!(e, Event::MessageUpdated(_)),
        ),
        (
            "message.removed",
            json!({ "sessionID": "ses_1", "messageID": "msg_1" }),
            |e| matches!(e, Event::MessageRemoved { message, .. } if message == "msg_1"),
        ),
        (
            "message.part.updated",
            json!({ "sessionID": "ses_1", "part": part, "time": 1 }),
            |e| matches!(e, Event::PartUpdated(_)),
        ),
        (
            "message.part.delta",
            json!({ "sessionID": "ses_1", "messageID": "msg_1", "partID": "prt_1", "field": "text", "delta": "d" }),
            |e| matches!(e, Event::PartDelta { delta, .. } if delta == "d"),
        ),
        (
            "message.part.removed",
            json!({ "sessionID": "ses_1", "messageID": "msg_1", "partID": "prt_1" }),
            |e| matches!(e, Event::PartRemoved { part, .. } if part == "prt_1"),
        ),
        (
            "permission.asked",
            json!({ "id": "per_1", "sessionID": "ses_1", "permission": "edit", "patterns": ["a"], "metadata": {},
                "always": ["*"] }),
            |e| matches!(e, Event::PermissionAsked(_)),
        ),
        (
            "permission.replied",
            json!({ "sessionID": "ses_1", "requestID": "per_1", "reply": "once" }),
            |e| matches!(e, Event::PermissionReplied { reply, .. } if reply == "once"),
        ),
        (
            "question.asked",
            json!({ "id": "que_1", "sessionID": "ses_1", "questions": [] }),
            |e| matches!(e, Event::QuestionAsked(_)),
        ),
        (
            "question.replied",
            json!({ "sessionID": "ses_1", "requestID": "que_1", "answers": [["a"]] }),
            |e| matches!(e, Event::QuestionReplied { .. }),
        ),
        (
            "question.rejected",
            json!({ "sessionID": "ses_1", "requestID": "que_1" }),
            |e| matches!(e, Event::QuestionRejected { request, .. } if request == "que_1"),
        ),
        (
            "todo.updated",
            json!({ "sessionID": "ses_1", "todos": [{ "content": "c" }] }),
            |e| matches!(e, Event::TodoUpdated { todos, .. } if todos.len() == 1),
        ),
        (
            "command.executed",
            json!({ "sessionID": "ses_1", "name": "n" }),
            |e| matches!(e, Event::Benign),
        ),
    ];
    for (kind, properties, wanted) in cases {
        let about = properties.get("sessionID").is_some()
            && !matches!(kind, "session.diff" | "command.executed");
        let payload = json!({ "id": "evt_1", "type": kind, "properties": properties });
        let frame = json!({ "directory": "/w", "project": "p", "payload": payload });
        let decoded = decode_frame(frame.to_string()).unwrap();
        assert!(wanted(&decoded.event), "{kind}: {:?}", decoded.event);
        assert_eq!(decoded.event.session(), about.then_some("ses_1"), "{kind}");
        assert_eq!(
            (decoded.directory.as_deref(), decoded.kind.as_str()),
            (Some("/w"), kind)
        );
        assert_eq!(encode_frame(&decoded), frame);
    }
}

#[test]
fn parts_of_unknown_kinds_are_kept_as_they_are() {
    for part in [
        json!({ "id": "p", "sessionID": "s", "messageID": "m", "type": "hologram", "depth": 3 }),
        json!({ "id": "p", "sessionID": "s", "messageID": "m", "type": "text", "text": 5 }),
    ] {
        let frame = json!({ "type": "message.part.updated", "properties": { "sessionID": "s", "part": part } });
        let decoded = decode_frame(frame.to_string()).unwrap();
        assert!(
            matches!(&decoded.event, Event::PartUpdated(part) if matches!(part.body, PartBody::Other(_)))
        );
        assert_eq!(encode_frame(&decoded), frame);
    }
}

#[test]
fn a_durable_copy_tells_the_sequence() {
    let sync = json!({ "payload": { "type": "sync", "id": "evt_1", "syncEvent": {
        "id": "evt_1", "type": "message.updated.1", "seq": 7, "aggregateID": "ses_1", "data": { "huge": true } } } });
    let wanted = Event::Sync {
        aggregate: "ses_1".into(),
        seq: 7,
        event_id: Some("evt_1".into()),
    };
    assert_eq!(event(sync), wanted);
    let unnumbered =
        json!({ "payload": { "type": "sync", "syncEvent": { "aggregateID": "ses_1" } } });
    assert!(matches!(event(unnumbered.clone()), Event::Unknown { .. }));
    assert_eq!(
        encode_frame(&decode_frame(unnumbered.to_string()).unwrap()),
        unnumbered
    );
}

#[test]
fn a_process_wide_disposal_ends_every_instance() {
    assert_eq!(
        event(json!({ "payload": { "type": "global.disposed", "properties": {} } })),
        Event::InstanceDisposed { directory: None }
    );
}

#[test]
fn asks_of_the_v2_generation_read_like_classic_ones() {
    let asked = event(
        json!({ "type": "permission.v2.asked", "location": { "directory": "/w" }, "data": {
        "id": "per_1", "sessionID": "ses_1", "action": "bash", "resources": ["ls"], "save": ["ls *"],
        "source": { "type": "tool", "messageID": "msg_1", "callID": "call_1" } } }),
    );
    let Event::PermissionAsked(request) = asked else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (request.permission.as_str(), request.patterns.as_slice()),
        ("bash", ["ls".to_owned()].as_slice())
    );
    assert_eq!(request.tool.unwrap().call_id, "call_1");
    assert_eq!(request.extra["always"], json!(["ls *"]));
}

#[test]
fn the_directory_of_a_v2_frame_is_that_of_its_location() {
    let frame = json!({ "type": "catalog.updated", "location": { "directory": "/w" }, "data": {} });
    let decoded = decode_frame(frame.to_string()).unwrap();
    assert_eq!(
        (decoded.envelope.shape, decoded.directory.as_deref()),
        (Shape::V2, Some("/w"))
    );
}

#[test]
fn what_is_no_json_object_is_an_error_that_names_the_place_and_not_the_content() {
    for text in [
        "",
        "secret",
        "[1]",
        "\"secret\"",
        "{\"secret\":",
        "{} secret",
        "null",
    ] {
        let message = decode_frame(text).unwrap_err().to_string();
        assert!(!message.contains("secret"), "{message}");
    }
    let deep = format!(
        "{{\"type\":\"x\",\"properties\":{{\"a\":{}1{}}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(decode_frame(deep).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,6}".prop_map(Value::from),
        "(ses|msg|prt)_[a-z]".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Mostly keys that mean something to the decoder.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "id",
            "type",
            "properties",
            "payload",
            "data",
            "sessionID",
            "messageID",
            "partID",
            "part",
            "info",
            "status",
            "directory",
            "syncEvent",
            "seq",
            "aggregateID",
            "field",
            "delta",
            "error",
            "todos",
            "answers",
            "location",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,3}",
    ]
}

fn any_kind() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "server.connected",
        "session.updated",
        "session.status",
        "session.idle",
        "session.error",
        "message.updated",
        "message.part.updated",
        "message.part.delta",
        "permission.asked",
        "question.asked",
        "question.replied",
        "todo.updated",
        "plugin.added",
        "sync",
        "session.next.text.ended",
        "session.next.step.ended",
        "novel",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = decode_frame(&bytes).map(|frame| encode_frame(&frame));
    }

    #[test]
    fn no_cut_of_a_real_frame_makes_it_panic(cut in 0usize..400, replaced in 0usize..400, with: u8) {
        let mut frame = br#"{"directory":"/w","payload":{"id":"evt_1","type":"message.part.updated","properties":{"sessionID":"ses_1","part":{"id":"prt_1","sessionID":"ses_1","messageID":"msg_1","type":"text","text":"\ud83d\ude00","time":{"start":1,"end":2}},"time":3}}}"#.to_vec();
        let place = replaced % frame.len();
        frame[place] = with;
        frame.truncate(cut.max(1));
        let _ = decode_frame(&frame).map(|frame| encode_frame(&frame));
    }

    #[test]
    fn every_json_object_decodes(value in any_json()) {
        prop_assert_eq!(decode_frame(value.to_string()).is_ok(), value.is_object());
    }

    #[test]
    fn an_unknown_frame_encodes_to_what_it_was(
        kind in any_kind(), properties in any_json(), wrapped: bool, extra in any_json(),
    ) {
        let inner = json!({ "type": kind, "properties": properties, "extra": extra });
        let frame = if wrapped { json!({ "directory": extra, "payload": inner }) } else { inner };
        let decoded = decode_frame(frame.to_string()).unwrap();
        // Objects that we know drop `null`s of optional fields; everything else is exact.
        if matches!(decoded.event, Event::Unknown { .. } | Event::Benign | Event::Connected) {
            prop_assert_eq!(encode_frame(&decoded), frame);
        }
    }
}
