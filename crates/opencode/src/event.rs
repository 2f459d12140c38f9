//! One decoded event, of whatever generation and envelope (docs/contract/08-opencode.md §7, §8, §10.3).

use crate::model::{
    ErrorInfo, Extra, MessageInfo, Part, PermissionRequest, QuestionRequest, SessionInfo,
    StatusInfo,
};
use serde_json::{Map, Value};

/// A decoded frame of an event stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Directory of the instance (`/global/event` and v2).
    pub directory: Option<String>,
    /// `evt_…`.
    pub id: Option<String>,
    /// Type on the wire; `sync` for durable copies; empty when absent.
    pub kind: String,
    /// What happened.
    pub event: Event,
    /// What the wire said beside it.
    pub envelope: Envelope,
}

impl Frame {
    /// A frame of `/global/event` as OpenCode would send it, e.g. for a fake runtime.
    pub fn global(directory: impl Into<String>, kind: impl Into<String>, event: Event) -> Self {
        let envelope = Envelope {
            shape: Shape::Global,
            ..Envelope::default()
        };
        Self {
            directory: Some(directory.into()),
            id: None,
            kind: kind.into(),
            event,
            envelope,
        }
    }
}

/// What a frame's wire form holds beside the event, kept so that a frame encodes to what it was decoded from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// Which envelope.
    pub shape: Shape,
    /// Fields beside `payload` (`project`, …); `/global/event` only.
    pub outer: Extra,
    /// Fields beside `type` (v2: `durable`, `location`, …).
    pub inner: Extra,
    /// Properties that the event doesn't hold; all of them for events of the v2 generation, whose mapping is lossy.
    pub properties: Extra,
    /// What `properties` is.
    pub(crate) kept: Kept,
}

/// What [`Envelope::properties`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// What the event doesn't hold.
    #[default]
    Rest,
    /// Everything.
    Whole,
    /// Nothing: the object has no properties and is no event of OpenCode's.
    Nothing,
}

/// The envelopes of OpenCode's streams (§7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `/event`: `{id, type, properties}`.
    #[default]
    Classic,
    /// `/global/event`: `{directory, project, payload: {id, type, properties}}`.
    Global,
    /// `/api/event` and `/api/session/{id}/event`: `{id, type, data, location, durable}`.
    V2,
}

/// What happened. Events of the v2 generation are mapped onto the same variants where they mean the same.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// First frame of a stream.
    Connected,
    /// Sign of life.
    Heartbeat,
    /// An instance ended: its turns and pending asks are gone.
    InstanceDisposed {
        /// Its directory.
        directory: Option<String>,
    },
    /// The durable copy of an event (`/global/event` only): tells the per-session sequence.
    Sync {
        /// Session.
        aggregate: String,
        /// Dense per session, from 0.
        seq: u64,
        /// Id of the plain event that it repeats.
        event_id: Option<String>,
    },
    /// A session is new.
    SessionCreated(SessionInfo),
    /// A session changed.
    SessionUpdated(SessionInfo),
    /// A session is gone.
    SessionDeleted(SessionInfo),
    /// Busy, idle, retry.
    SessionStatus {
        /// Session.
        session: String,
        /// Status.
        status: StatusInfo,
    },
    /// Idle; repeats and comes early.
    SessionIdle {
        /// Session.
        session: String,
    },
    /// A failure; not terminal.
    SessionError {
        /// Session, if any.
        session: Option<String>,
        /// What failed.
        error: Option<ErrorInfo>,
    },
    /// A compaction ended.
    SessionCompacted {
        /// Session.
        session: String,
    },
    /// A message, whole, without parts.
    MessageUpdated(MessageInfo),
    /// A message is gone.
    MessageRemoved {
        /// Session.
        session: String,
        /// Message.
        message: String,
    },
    /// A part, whole.
    PartUpdated(Part),
    /// A piece of a text or reasoning part.
    PartDelta {
        /// Session.
        session: String,
        /// Message.
        message: String,
        /// Part.
        part: String,
        /// `text`, for both kinds of part.
        field: String,
        /// The piece.
        delta: String,
    },
    /// A part is gone.
    PartRemoved {
        /// Session.
        session: String,
        /// Message.
        message: String,
        /// Part.
        part: String,
    },
    /// An approval is asked.
    PermissionAsked(PermissionRequest),
    /// An approval was answered.
    PermissionReplied {
        /// Session.
        session: String,
        /// Ask.
        request: String,
        /// `once`, `always`, `reject`.
        reply: String,
    },
    /// A question is asked.
    QuestionAsked(QuestionRequest),
    /// A question was answered.
    QuestionReplied {
        /// Session.
        session: String,
        /// Ask.
        request: String,
        /// Per question the labels.
        answers: Value,
    },
    /// A question was dismissed.
    QuestionRejected {
        /// Session.
        session: String,
        /// Ask.
        request: String,
    },
    /// The todo list, whole.
    TodoUpdated {
        /// Session.
        session: String,
        /// `{content, status, priority}` each.
        todos: Vec<Value>,
    },
    /// A known type that carries nothing for a thread (plugins, catalogue, files, …); its properties are in the
    /// frame's envelope.
    Benign,
    /// A type that we don't know, or a known type of a shape that we don't know.
    Unknown {
        /// Session, when the properties name one.
        session: Option<String>,
        /// The properties, whole.
        properties: Map<String, Value>,
    },
}

impl Event {
    /// The session that the event is about.
    pub fn session(&self) -> Option<&str> {
        match self {
            Event::Connected
            | Event::Heartbeat
            | Event::InstanceDisposed { .. }
            | Event::Benign => None,
            Event::Sync { aggregate, .. } => Some(aggregate),
            Event::SessionCreated(info)
            | Event::SessionUpdated(info)
            | Event::SessionDeleted(info) => Some(&info.id),
            Event::SessionStatus { session, .. }
            | Event::SessionIdle { session }
            | Event::SessionCompacted { session }
            | Event::MessageRemoved { session, .. }
            | Event::PartDelta { session, .. }
            | Event::PartRemoved { session, .. }
            | Event::PermissionReplied { session, .. }
            | Event::QuestionReplied { session, .. }
            | Event::QuestionRejected { session, .. }
            | Event::TodoUpdated { session, .. } => Some(session),
            Event::SessionError { session, .. } | Event::Unknown { session, .. } => {
                session.as_deref()
            }
            Event::MessageUpdated(info) => Some(&info.session_id),
            Event::PartUpdated(part) => Some(&part.session_id),
            Event::PermissionAsked(request) => Some(&request.session_id),
            Event::QuestionAsked(request) => Some(&request.session_id),
        }
    }
}
