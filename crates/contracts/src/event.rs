//! Event types and the vocabulary table (01 §2, with the additive types of `docs/contract/01-events-and-projection.md`).

use crate::{EventId, JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The type of a session event. Types that this version doesn't know are kept verbatim.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
            /// A type of a later version: stored, forwarded, not projected.
            Other(Box<str>),
        }

        impl EventType {
            /// Every known type, in the order in which clients register listeners.
            pub const KNOWN: &'static [EventType] = &[$(EventType::$variant,)*];

            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(EventType::$variant => $name,)*
                    EventType::Other(name) => name,
                }
            }

            /// The type of that name; never fails.
            pub fn parse(name: &str) -> EventType {
                match name {
                    $($name => EventType::$variant,)*
                    other => EventType::Other(other.into()),
                }
            }
        }
    };
}

event_types! {
    /// A thread exists.
    SessionCreated = "session.created",
    /// A thread was copied from elsewhere.
    SessionImported = "session.imported",
    /// A git or snapshot source was bound.
    ProjectSourceBound = "session.project_source.bound",
    /// The user's message.
    PromptSubmitted = "prompt.submitted",
    /// Assistant text: appended or replaced.
    AssistantMessage = "assistant.message",
    /// A tool call's state.
    ToolCall = "tool.call",
    /// A sub-agent run's state.
    TaskRun = "task.run",
    /// An approval is asked.
    PermissionRequested = "permission.requested",
    /// An approval was answered or withdrawn.
    PermissionResolved = "permission.resolved",
    /// A question is asked.
    QuestionAsked = "question.asked",
    /// A question was answered or dismissed.
    QuestionResolved = "question.resolved",
    /// The whole todo list.
    TodosUpdated = "todos.updated",
    /// A cost settlement: adds.
    CostUpdated = "cost.updated",
    /// A deliverable appeared.
    ArtifactCreated = "artifact.created",
    /// A deliverable changed.
    ArtifactUpdated = "artifact.updated",
    /// Busy, idle, retry, …
    SessionStatus = "session.status",
    /// The turn ended.
    SessionIdle = "session.idle",
    /// The turn was stopped or cut short.
    SessionAborted = "session.aborted",
    /// The turn failed.
    RuntimeError = "runtime.error",
    /// Transport only: re-read the view.
    SnapshotRequired = "snapshot.required",
    /// Transport only: a delivery to a chat channel.
    ChannelDelivery = "channel.delivery",
    /// Additive: the title changed; payload `{title}`.
    SessionRenamed = "session.renamed",
    /// Additive: text of a sub-agent; payload `{taskRunId, messageId, content, mode}`.
    TaskMessage = "task.message",
    /// Additive: todos of a sub-agent; payload `{taskRunId, todos}`.
    TaskTodos = "task.todos",
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for EventType {
    fn from(name: &str) -> Self {
        EventType::parse(name)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl serde::de::Visitor<'_> for Name {
            type Value = EventType;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event type such as `assistant.message`")
            }
            fn visit_str<E>(self, name: &str) -> Result<EventType, E> {
                Ok(EventType::parse(name))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl JsonSchema for EventType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventType".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known: Vec<&str> = EventType::KNOWN.iter().map(EventType::as_str).collect();
        schemars::json_schema!({
            "description": "Known event types; a reader keeps types that it doesn't know.",
            "anyOf": [{ "enum": known }, { "type": "string" }]
        })
    }
}

/// An event before it is durable: what a runtime host, a service or a gateway hands to the log (01 §3.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeEvent {
    /// Idempotency id inside the session; absent: the log takes `<session>:<sequence>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The open payload (01 §2.1).
    pub payload: JsonObject,
}

impl RuntimeEvent {
    /// An event from a JSON object literal; anything but an object becomes `{}`.
    pub fn new(kind: EventType, payload: serde_json::Value) -> Self {
        let payload = match payload {
            serde_json::Value::Object(object) => object,
            _ => JsonObject::new(),
        };
        RuntimeEvent {
            event_id: None,
            kind,
            payload,
        }
    }

    /// The same event under an idempotency id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<EventId>) -> Self {
        self.event_id = Some(id.into());
        self
    }
}
