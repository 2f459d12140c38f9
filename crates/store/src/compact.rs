//! Event ids, times and streamed deltas in few bytes: the text of a delta is short, and everything around it
//! is the same each time. All codecs are exact: what can't be shortened is kept as it is.

use open_cowork_contracts::{EventId, EventType, JsonObject, SessionEventRecord, SessionId};
use serde_json::Value;

/// Any text follows.
const TEXT: u8 = 0;
/// `runtime:<own session>:<uuid>`: the 16 bytes of the UUID follow.
const RUNTIME_UUID: u8 = 1;
/// `<own session>:` and the text that follows.
const OWN: u8 = 2;

/// The short form of an explicit event id.
pub(crate) fn pack_event_id(session: &SessionId, id: &EventId) -> Vec<u8> {
    let own = |text: &'_ str| {
        Some(
            text.strip_prefix(session.as_str())?
                .strip_prefix(':')?
                .to_owned(),
        )
    };
    if let Some(uuid) = id
        .as_str()
        .strip_prefix("runtime:")
        .and_then(own)
        .and_then(|text| pack_uuid(&text))
    {
        return [&[RUNTIME_UUID], uuid.as_slice()].concat();
    }
    match own(id.as_str()) {
        Some(rest) => [&[OWN], rest.as_bytes()].concat(),
        None => [&[TEXT], id.as_str().as_bytes()].concat(),
    }
}

/// The id of a short form; `None` for bytes that [`pack_event_id`] never makes.
pub(crate) fn unpack_event_id(session: &SessionId, packed: &[u8]) -> Option<EventId> {
    let (form, rest) = packed.split_first()?;
    match *form {
        TEXT => Some(std::str::from_utf8(rest).ok()?.into()),
        OWN => Some(format!("{session}:{}", std::str::from_utf8(rest).ok()?).into()),
        RUNTIME_UUID => {
            let hex: String = <[u8; 16]>::try_from(rest)
                .ok()?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let groups = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ]
            .join("-");
            Some(format!("runtime:{session}:{groups}").into())
        }
        _ => None,
    }
}

/// The bytes of a UUID in its canonical form (lower case, 8-4-4-4-12).
fn pack_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let dashes = [8, 13, 18, 23];
    if bytes.len() != 36 || !dashes.iter().all(|at| bytes[*at] == b'-') {
        return None;
    }
    let mut packed = [0; 16];
    let mut digits = bytes.iter().filter(|byte| **byte != b'-');
    for byte in &mut packed {
        *byte = (hex(*digits.next()?)? << 4) | hex(*digits.next()?)?;
    }
    digits.next().is_none().then_some(packed)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// A time in the usual form as milliseconds since 1970; `None`: keep the text.
pub(crate) fn pack_time(text: &str) -> Option<i64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    let millisecond = at.as_millisecond();
    (unpack_time(millisecond).as_deref() == Some(text)).then_some(millisecond)
}

/// `2026-01-01T00:00:07.000Z`.
pub(crate) fn unpack_time(millisecond: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(millisecond).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The field of a delta that differs from the next one's.
const TEXT_FIELD: &str = "content";

/// Templates kept per thread: as many agents can stream at once without storing a delta in full.
const TEMPLATES: usize = 8;

/// The streamed events of a thread that were stored in full last; later ones refer to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates(Vec<Template>);

#[derive(Clone, Debug)]
struct Template {
    sequence: u64,
    kind: EventType,
    /// The payload with an empty text.
    payload: JsonObject,
}

impl Templates {
    /// The sequence of an event that differs from this one in its text only. Without one, the event is to be
    /// stored in full and is remembered.
    pub(crate) fn like(&mut self, record: &SessionEventRecord) -> Option<u64> {
        if !matches!(
            record.kind,
            EventType::AssistantMessage | EventType::TaskMessage
        ) {
            return None;
        }
        record.payload.get(TEXT_FIELD)?.as_str()?;
        let known = self.0.iter().find(|template| {
            template.kind == record.kind && same_but_text(&template.payload, &record.payload)
        });
        if let Some(template) = known {
            return Some(template.sequence);
        }
        if self.0.len() == TEMPLATES {
            self.0.remove(0);
        }
        let mut payload = record.payload.clone();
        set_text(&mut payload, String::new());
        self.0.push(Template {
            sequence: record.sequence,
            kind: record.kind.clone(),
            payload,
        });
        None
    }

    /// Events up to that sequence were pruned: nothing may refer to them from here on.
    pub(crate) fn forget(&mut self, pruned: u64) {
        self.0.retain(|template| template.sequence > pruned);
    }
}

/// What later events need of a template: its payload without its text. `None` for what is no template.
pub(crate) fn without_text(payload: &str) -> Option<String> {
    let mut payload: JsonObject = serde_json::from_str(payload).ok()?;
    payload.get(TEXT_FIELD)?.as_str()?;
    set_text(&mut payload, String::new());
    serde_json::to_string(&payload).ok()
}

/// The first byte of the short form of an id that the log minted at random.
pub(crate) const MINTED: u8 = RUNTIME_UUID;

/// What is stored of an event that is like another.
pub(crate) fn pack_text(payload: &JsonObject) -> serde_json::Result<String> {
    serde_json::to_string(&payload.get(TEXT_FIELD))
}

/// The payload of an event that is like another, from the other's payload and its own text.
pub(crate) fn unpack_text(template: &str, text: &str) -> Option<JsonObject> {
    let mut payload: JsonObject = serde_json::from_str(template).ok()?;
    set_text(&mut payload, serde_json::from_str(text).ok()?);
    Some(payload)
}

/// Keeps the field's place among the keys.
fn set_text(payload: &mut JsonObject, text: String) {
    payload.insert(TEXT_FIELD.to_owned(), Value::String(text));
}

fn same_but_text(a: &JsonObject, b: &JsonObject) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((key, value), (other, with))| {
            key == other && (key == TEXT_FIELD || value == with)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_usual_ids_become_short() {
        let session = "0198c0de-0000-7000-8000-000000000001".into();
        let length = |id: &str| pack_event_id(&session, &id.into()).len();
        let minted = format!("runtime:{session}:123e4567-e89b-12d3-a456-426614174000");
        assert_eq!(length(&minted), 17);
        assert_eq!(
            length(&format!("{session}:command:c1:prompt-submitted")),
            1 + "command:c1:prompt-submitted".len()
        );
        assert_eq!(length("opencode:x:1"), 13);
    }

    fn record(sequence: u64, payload: Value) -> SessionEventRecord {
        SessionEventRecord {
            tenant_id: None,
            session_id: None,
            event_id: None,
            sequence,
            kind: EventType::AssistantMessage,
            payload: match payload {
                Value::Object(payload) => payload,
                other => panic!("{other} is no object"),
            },
            created_at: String::new(),
            extra: JsonObject::new(),
        }
    }

    #[test]
    fn only_events_that_differ_in_their_text_alone_are_alike() {
        let mut templates = Templates::default();
        let mut like = |sequence, payload| templates.like(&record(sequence, payload));
        assert_eq!(
            like(
                1,
                json!({ "messageId": "m", "content": "a", "mode": "append" })
            ),
            None
        );
        assert_eq!(
            like(
                2,
                json!({ "messageId": "m", "content": "b", "mode": "append" })
            ),
            Some(1)
        );
        assert_eq!(
            like(
                3,
                json!({ "messageId": "n", "content": "b", "mode": "append" })
            ),
            None
        );
        assert_eq!(
            like(
                4,
                json!({ "messageId": "m", "content": "", "mode": "append" })
            ),
            Some(1)
        );
        assert_eq!(
            like(
                5,
                json!({ "content": "b", "messageId": "m", "mode": "append" })
            ),
            None,
            "another order of keys"
        );
        assert_eq!(
            like(
                6,
                json!({ "messageId": "m", "content": null, "mode": "append" })
            ),
            None
        );
        assert_eq!(
            like(
                7,
                json!({ "messageId": "n", "content": "c", "mode": "append" })
            ),
            Some(3)
        );
        let other_kind = SessionEventRecord {
            kind: EventType::TaskMessage,
            ..record(
                8,
                json!({ "messageId": "m", "content": "a", "mode": "append" }),
            )
        };
        assert_eq!(templates.like(&other_kind), None);
    }

    #[test]
    fn a_delta_comes_back_with_its_keys_in_order() {
        let first = r#"{"a":1.0,"content":"first","z":null}"#;
        let payload = json!({ "a": 1.0, "content": "two \u{1f600}\u{0}\"", "z": null });
        let packed = pack_text(payload.as_object().unwrap()).unwrap();
        let unpacked = unpack_text(first, &packed).unwrap();
        assert_eq!(
            serde_json::to_string(&unpacked).unwrap(),
            payload.to_string()
        );
    }

    #[test]
    fn the_usual_times_become_numbers_and_others_stay() {
        assert_eq!(pack_time("1970-01-01T00:00:07.001Z"), Some(7001));
        for kept in [
            "1970-01-01T00:00:07Z",
            "1970-01-01T01:00:07.001+01:00",
            "yesterday",
            "",
        ] {
            assert_eq!(pack_time(kept), None, "{kept}");
        }
    }

    proptest! {
        #[test]
        fn every_id_survives(session in "[a-z:0-9-]{1,12}", own in any::<bool>(), runtime in any::<bool>(), rest in "(.{0,40}|[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})") {
            let prefix = format!("{}{}", if runtime { "runtime:" } else { "" }, if own { format!("{session}:") } else { String::new() });
            let id = EventId::new(format!("{prefix}{rest}"));
            let session = session.into();
            prop_assert_eq!(unpack_event_id(&session, &pack_event_id(&session, &id)), Some(id));
        }

        #[test]
        fn every_time_survives(millisecond in -60_000_000_000_000i64..250_000_000_000_000) {
            let text = unpack_time(millisecond).unwrap();
            prop_assert_eq!(pack_time(&text), Some(millisecond));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            unpack_event_id(&"s".into(), &bytes);
        }
    }
}
