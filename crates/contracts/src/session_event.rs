//! One event with its place in the log (01 §3.1). Reading is hand-written: it is the hottest path of a
//! replay, and a derived `flatten` would buffer every record twice.

use crate::{EventId, EventType, JsonObject, SessionId, TenantId};
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// A session event with its place in the log. Fields that we don't know are kept in `extra`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionEventRecord {
    /// Tenant of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Idempotency id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// Dense per session, from 1.
    pub sequence: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The open payload; a payload that isn't an object reads as `{}` (01 §4.1 `rec`).
    #[serde(default)]
    pub payload: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    #[serde(default)]
    pub created_at: String,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl<'de> Deserialize<'de> for SessionEventRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = SessionEventRecord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session event object with `sequence` and `type`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tenant_id = None;
        let mut session_id = None;
        let mut event_id = None;
        let mut sequence = None;
        let mut kind = None;
        let mut payload = JsonObject::new();
        let mut created_at = String::new();
        let mut extra = JsonObject::new();
        while let Some(field) = map.next_key()? {
            match field {
                Field::TenantId => tenant_id = map.next_value()?,
                Field::SessionId => session_id = map.next_value()?,
                Field::EventId => event_id = map.next_value()?,
                Field::Sequence => sequence = Some(map.next_value::<Sequence>()?.0),
                Field::Type => kind = Some(map.next_value()?),
                Field::Payload => {
                    payload = match map.next_value()? {
                        Value::Object(object) => object,
                        _ => JsonObject::new(),
                    }
                }
                Field::CreatedAt => created_at = map.next_value()?,
                Field::Other(name) => {
                    extra.insert(name, map.next_value()?);
                }
            }
        }
        Ok(SessionEventRecord {
            tenant_id,
            session_id,
            event_id,
            sequence: sequence.ok_or_else(|| de::Error::missing_field("sequence"))?,
            kind: kind.ok_or_else(|| de::Error::missing_field("type"))?,
            payload,
            created_at,
            extra,
        })
    }
}

enum Field {
    TenantId,
    SessionId,
    EventId,
    Sequence,
    Type,
    Payload,
    CreatedAt,
    Other(String),
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Field;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Field, E> {
                Ok(match name {
                    "tenantId" => Field::TenantId,
                    "sessionId" => Field::SessionId,
                    "eventId" => Field::EventId,
                    "sequence" => Field::Sequence,
                    "type" => Field::Type,
                    "payload" => Field::Payload,
                    "createdAt" => Field::CreatedAt,
                    other => Field::Other(other.to_owned()),
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

/// A sequence as JSON writers spell it: `7` and `7.0` are the same number.
struct Sequence(u64);

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Sequence;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a non-negative whole number")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Sequence, E> {
                Ok(Sequence(value))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Sequence, E> {
                if value >= 0.0 && value.fract() == 0.0 && value < 9_007_199_254_740_992.0 {
                    return Ok(Sequence(value as u64));
                }
                Err(E::invalid_value(de::Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_keeps_what_it_does_not_know() {
        let text = r#"{"sequence":7,"type":"later.type","payload":{"a":[1,null]},"createdAt":"t","entityId":"x"}"#;
        let record: SessionEventRecord = serde_json::from_str(text).unwrap();
        assert_eq!(record.kind.as_str(), "later.type");
        assert_eq!(record.extra["entityId"], "x");
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }

    #[test]
    fn a_record_without_a_place_or_a_type_is_refused() {
        assert!(serde_json::from_str::<SessionEventRecord>(r#"{"type":"x"}"#).is_err());
        assert!(serde_json::from_str::<SessionEventRecord>(r#"{"sequence":1}"#).is_err());
        assert!(
            serde_json::from_str::<SessionEventRecord>(r#"{"sequence":-1,"type":"x"}"#).is_err()
        );
        assert!(
            serde_json::from_str::<SessionEventRecord>(r#"{"sequence":1.5,"type":"x"}"#).is_err()
        );
        assert!(serde_json::from_str::<SessionEventRecord>("[]").is_err());
    }

    #[test]
    fn lenient_spellings_read_as_javascript_reads_them() {
        let record: SessionEventRecord =
            serde_json::from_str(r#"{"sequence":2.0,"type":"x","payload":[1],"tenantId":null}"#)
                .unwrap();
        assert_eq!(
            (record.sequence, record.payload.len(), record.tenant_id),
            (2, 0, None)
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("finite", |n| n.is_finite())
                .prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".{0,8}", inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Decision 16.
        #[test]
        fn unknown_types_and_fields_survive_a_round_trip(
            kind in "[a-z.]{1,20}",
            sequence in 0u64..1 << 53,
            payload in prop::collection::vec((".{0,8}", any_json()), 0..5),
            unknown in prop::collection::vec(("x[a-zA-Z]{0,8}", any_json()), 0..5),
        ) {
            let mut whole = JsonObject::new();
            whole.insert("sequence".into(), sequence.into());
            whole.insert("type".into(), kind.into());
            whole.insert("payload".into(), Value::Object(payload.into_iter().collect()));
            whole.insert("createdAt".into(), "2026-01-01T00:00:00.000Z".into());
            whole.extend(unknown);
            let whole = Value::Object(whole);
            let record: SessionEventRecord = serde_json::from_str(&whole.to_string()).unwrap();
            prop_assert_eq!(&serde_json::to_value(&record).unwrap(), &whole);
            // Reading from a value tree gives the same record as reading from text.
            prop_assert_eq!(serde_json::from_value::<SessionEventRecord>(whole).unwrap(), record);
        }
    }
}
