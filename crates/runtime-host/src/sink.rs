//! Where a thread's events go, and where its stored view comes from. The host doesn't know the log
//! (decision 11): the caller implements this over its append service.

use crate::translate::Alarm;
use async_trait::async_trait;
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, SessionId, View};

/// The caller's side of a host.
#[async_trait]
pub trait ThreadSink: Send + Sync + 'static {
    /// Takes events in order. Returns when they are accepted: deltas as soon as they are buffered, anything
    /// else when it is durable. An error means that nothing of the call was taken.
    async fn append(&self, thread: &SessionId, events: Vec<RuntimeEvent>) -> Result<(), SinkError>;

    /// The stored view with everything accepted so far, and the sequence of its last event.
    async fn view(&self, thread: &SessionId) -> Result<(View, u64), SinkError>;

    /// What the log makes of a payload before it stores it: recovery compares after it (decision 9).
    fn sanitize(&self, kind: &EventType, payload: JsonObject) -> JsonObject;

    /// Something that a person should look at.
    async fn alarm(&self, thread: &SessionId, alarm: &Alarm);
}

/// The log can't take events: the thread stops until it can.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);
