//! Bytes of a stream to [`Frame`]s, for every stream that OpenCode has: `/event`, `/global/event`, `/api/event` and
//! `/api/session/{id}/event` (docs/contract/08-opencode.md §7).
//!
//! Whatever is a JSON object decodes. A type that we don't know, and a known type whose shape we don't know, become
//! [`Event::Unknown`] with everything kept.

use crate::event::{Envelope, Event, Frame, Kept, Shape};
use crate::model::{Extra, MessageInfo, Part, SessionInfo};
use crate::{surrogate, v2};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// A frame that is no JSON object. The message names the place, never the content.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON object, at line {line} column {column} of the frame")]
pub struct DecodeError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Decodes the data of one frame. Lone surrogates and bytes that are not UTF-8 become U+FFFD.
///
/// ```
/// use open_cowork_opencode::{Event, decode_frame};
/// let frame = decode_frame(r#"{"payload":{"type":"session.idle","properties":{"sessionID":"ses_1"}}}"#).unwrap();
/// assert_eq!(frame.event, Event::SessionIdle { session: "ses_1".into() });
/// ```
pub fn decode_frame(data: impl AsRef<[u8]>) -> Result<Frame, DecodeError> {
    let text = String::from_utf8_lossy(data.as_ref());
    decode_text(&text)
        .or_else(|error| match surrogate::mend(&text) {
            Some(mended) => decode_text(&mended),
            None => Err(error),
        })
        .map_err(DecodeError::from)
}

type Json<T> = Result<T, serde_json::Error>;

fn decode_text(text: &str) -> Json<Frame> {
    let mut object: RawObject<'_> = serde_json::from_str(text)?;
    let mut envelope = Envelope::default();
    let mut directory = None;
    if let Some(payload) = object.take_object("payload")? {
        envelope.shape = Shape::Global;
        directory = object.take_string("directory")?;
        envelope.outer = object.rest()?;
        object = payload;
    }
    let id = object.take_string("id")?;
    let kind = object.take_string("type")?.unwrap_or_default();
    let sync = match (
        envelope.shape,
        kind.as_str(),
        object.peek_object("syncEvent"),
    ) {
        (Shape::Global, "sync", Some(sync)) => decode_sync(sync)?,
        _ => None,
    };
    let event = if let Some((event, rest)) = sync {
        object.remove("syncEvent");
        envelope.properties = rest;
        event
    } else if let Some(properties) = object.take_if_object("properties") {
        let (event, rest) = decode_properties(&kind, properties)?;
        envelope.properties = rest;
        if v2::is_v2(&kind) {
            envelope.kept = Kept::Whole;
            envelope.properties = parse(properties)?;
        }
        event
    } else if let (Shape::Classic, Some(data)) = (envelope.shape, object.take_if_object("data")) {
        envelope.shape = Shape::V2;
        envelope.kept = Kept::Whole;
        envelope.properties = parse(data)?;
        directory = object.peek_object("location").and_then(|location| {
            serde_json::from_str::<Location>(location.get())
                .ok()
                .and_then(|location| location.directory)
        });
        decode_properties(&kind, data)?.0
    } else {
        envelope.kept = Kept::Nothing;
        Event::Unknown {
            session: None,
            properties: Map::new(),
        }
    };
    envelope.inner = object.rest()?;
    Ok(Frame {
        directory,
        id,
        kind,
        event,
        envelope,
    })
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    directory: Option<String>,
}

/// The event and the properties that it doesn't hold.
fn decode_properties(kind: &str, raw: &RawValue) -> Json<(Event, Extra)> {
    // A failure means a shape that we don't know, or text that is no Unicode; the latter fails again here.
    match decode_known(kind, raw) {
        Ok(Some(known)) => Ok(known),
        Ok(None) | Err(_) => Ok((unknown(parse(raw)?), Extra::new())),
    }
}

fn unknown(properties: Map<String, Value>) -> Event {
    Event::Unknown {
        session: properties
            .get("sessionID")
            .and_then(Value::as_str)
            .map(str::to_owned),
        properties,
    }
}

/// `None` for a type that we don't know.
fn decode_known(kind: &str, raw: &RawValue) -> Json<Option<(Event, Extra)>> {
    if kind == "message.part.delta" {
        return decode_delta(raw).map(Some);
    }
    let mut properties: RawObject<'_> = parse(raw)?;
    let session = |properties: &mut RawObject<'_>| properties.take::<String>("sessionID");
    let event = match kind {
        "server.connected" => Event::Connected,
        "server.heartbeat" => Event::Heartbeat,
        "server.instance.disposed" => Event::InstanceDisposed {
            directory: properties.take_string("directory")?,
        },
        "global.disposed" => Event::InstanceDisposed { directory: None },
        "session.created" => Event::SessionCreated(properties.take_session()?),
        "session.updated" => Event::SessionUpdated(properties.take_session()?),
        "session.deleted" => Event::SessionDeleted(properties.take_session()?),
        "session.status" => Event::SessionStatus {
            session: session(&mut properties)?,
            status: properties.take("status")?,
        },
        "session.idle" => Event::SessionIdle {
            session: session(&mut properties)?,
        },
        "session.error" => Event::SessionError {
            session: properties.take_optional("sessionID")?,
            error: properties.take_optional("error")?,
        },
        "session.compacted" => Event::SessionCompacted {
            session: session(&mut properties)?,
        },
        "message.updated" => {
            let info: MessageInfo = properties.take("info")?;
            properties.remove_equal("sessionID", &info.session_id)?;
            Event::MessageUpdated(info)
        }
        "message.removed" => Event::MessageRemoved {
            session: session(&mut properties)?,
            message: properties.take("messageID")?,
        },
        "message.part.updated" => {
            let part: Part = properties.take("part")?;
            properties.remove_equal("sessionID", &part.session_id)?;
            Event::PartUpdated(part)
        }
        "message.part.removed" => Event::PartRemoved {
            session: session(&mut properties)?,
            message: properties.take("messageID")?,
            part: properties.take("partID")?,
        },
        "permission.asked" => return Ok(Some((Event::PermissionAsked(parse(raw)?), Extra::new()))),
        "permission.replied" | "permission.v2.replied" => Event::PermissionReplied {
            session: session(&mut properties)?,
            request: properties.take("requestID")?,
            reply: properties.take("reply")?,
        },
        "question.asked" | "question.v2.asked" => {
            return Ok(Some((Event::QuestionAsked(parse(raw)?), Extra::new())));
        }
        "question.replied" | "question.v2.replied" => Event::QuestionReplied {
            session: session(&mut properties)?,
            request: properties.take("requestID")?,
            answers: properties.take("answers")?,
        },
        "question.rejected" | "question.v2.rejected" => Event::QuestionRejected {
            session: session(&mut properties)?,
            request: properties.take("requestID")?,
        },
        "todo.updated" => Event::TodoUpdated {
            session: session(&mut properties)?,
            todos: properties.take("todos")?,
        },
        kind if is_benign(kind) => Event::Benign,
        kind => return Ok(v2::decode(kind, raw)?.map(|event| (event, Extra::new()))),
    };
    Ok(Some((event, properties.rest()?)))
}

/// By far the most frequent event: read without looking at keys twice.
fn decode_delta(raw: &RawValue) -> Json<(Event, Extra)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Delta {
        #[serde(rename = "sessionID")]
        session: String,
        #[serde(rename = "messageID")]
        message: String,
        #[serde(rename = "partID")]
        part: String,
        field: String,
        delta: String,
    }
    if let Ok(Delta {
        session,
        message,
        part,
        field,
        delta,
    }) = parse(raw)
    {
        return Ok((
            Event::PartDelta {
                session,
                message,
                part,
                field,
                delta,
            },
            Extra::new(),
        ));
    }
    let mut properties: RawObject<'_> = parse(raw)?;
    let event = Event::PartDelta {
        session: properties.take("sessionID")?,
        message: properties.take("messageID")?,
        part: properties.take("partID")?,
        field: properties.take("field")?,
        delta: properties.take("delta")?,
    };
    Ok((event, properties.rest()?))
}

/// The durable copy; its `data` repeats the plain event's properties and is not read. `None` without a number.
fn decode_sync(raw: &RawValue) -> Json<Option<(Event, Extra)>> {
    let mut sync: RawObject<'_> = parse(raw)?;
    let seq = sync.peek("seq").and_then(|seq| parse::<u64>(seq).ok());
    let aggregate = sync
        .peek("aggregateID")
        .and_then(|id| parse::<String>(id).ok());
    let (Some(seq), Some(aggregate)) = (seq, aggregate) else {
        return Ok(None);
    };
    for read in ["seq", "aggregateID", "data"] {
        sync.remove(read);
    }
    let event_id = sync.take_string("id")?;
    let event = Event::Sync {
        aggregate,
        seq,
        event_id,
    };
    Ok(Some((event, sync.rest()?)))
}

/// Types that carry nothing for a thread.
fn is_benign(kind: &str) -> bool {
    const EXACT: [&str; 5] = [
        "session.diff",
        "command.executed",
        "catalog.updated",
        "reference.updated",
        "models-dev.refreshed",
    ];
    const FAMILIES: [&str; 12] = [
        "plugin.",
        "integration.",
        "project.",
        "file.",
        "vcs.",
        "mcp.",
        "installation.",
        "lsp.",
        "pty.",
        "tui.",
        "workspace.",
        "worktree.",
    ];
    EXACT.contains(&kind) || FAMILIES.iter().any(|family| kind.starts_with(family))
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Json<T> {
    serde_json::from_str(raw.get())
}

/// The fields of an object, not yet parsed. Of a repeated key the last value counts, as in JavaScript.
struct RawObject<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> RawObject<'a> {
    fn peek(&self, key: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| *value)
    }

    fn peek_object(&self, key: &str) -> Option<&'a RawValue> {
        self.peek(key).filter(|value| value.get().starts_with('{'))
    }

    fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    /// Removes a string that the event repeats from elsewhere; another value stays.
    fn remove_equal(&mut self, key: &str, same: &str) -> Json<()> {
        if self.take_string_if(key, |text| text == same)?.is_some() {
            self.remove(key);
        }
        Ok(())
    }

    fn take_string_if(&self, key: &str, wanted: impl Fn(&str) -> bool) -> Json<Option<String>> {
        let Some(raw) = self.peek(key).filter(|raw| raw.get().starts_with('"')) else {
            return Ok(None);
        };
        Ok(Some(parse::<String>(raw)?).filter(|text| wanted(text)))
    }

    /// A required field.
    fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Json<T> {
        match self.take_optional(key)? {
            Some(value) => Ok(value),
            None => Err(serde::de::Error::missing_field(key)),
        }
    }

    fn take_optional<T: DeserializeOwned>(&mut self, key: &str) -> Json<Option<T>> {
        let Some(raw) = self.peek(key) else {
            return Ok(None);
        };
        let value = parse(raw)?;
        self.remove(key);
        Ok(Some(value))
    }

    /// A string; anything else stays among the rest.
    fn take_string(&mut self, key: &str) -> Json<Option<String>> {
        let text = self.take_string_if(key, |_| true)?;
        if text.is_some() {
            self.remove(key);
        }
        Ok(text)
    }

    /// An object's raw text; anything else stays among the rest.
    fn take_if_object(&mut self, key: &str) -> Option<&'a RawValue> {
        let raw = self.peek_object(key)?;
        self.remove(key);
        Some(raw)
    }

    fn take_object(&mut self, key: &str) -> Json<Option<RawObject<'a>>> {
        self.take_if_object(key).map(parse).transpose()
    }

    /// The session of `session.*`; its properties repeat the id.
    fn take_session(&mut self) -> Json<SessionInfo> {
        let info: SessionInfo = self.take("info")?;
        self.remove_equal("sessionID", &info.id)?;
        Ok(info)
    }

    /// What was not taken.
    fn rest(self) -> Json<Extra> {
        self.0
            .into_iter()
            .map(|(key, value)| Ok((key.into_owned(), parse(value)?)))
            .collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'de>, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
                while let Some((Key(key), value)) = map.next_entry()? {
                    match fields.iter_mut().find(|(name, _)| *name == key) {
                        Some(field) => field.1 = value,
                        None => fields.push((key, value)),
                    }
                }
                Ok(RawObject(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A key, borrowed when it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
