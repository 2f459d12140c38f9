//! The vocabulary of Open Cowork: ids, events, records, views, fences and the error envelope.
//!
//! Everything here is plain data with serde and JSON Schema; there is no I/O, no clock and no async.
//! JSON is camelCase. Unknown event types and unknown fields survive a round trip.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`ids`] | newtypes of every id | 07 §2 |
//! | [`event`] | event types, the vocabulary table, runtime events | 01 §2 |
//! | [`record`] | durable records: session, events, workspace events, projection, commands | 01 §3 |
//! | [`view`] | the projected view of one thread | 01 §4 |
//! | [`session_view`] | the shape that renderers of the wire read | 01 §5.8 |
//! | [`fence`] | fence tokens, checkpoints, verdicts | 01 §8 |
//! | [`automation`] | the automation envelope | 01 §8.3 |
//! | [`authority`] | who owns and runs a thread | 07 §2 |
//! | [`error`] | the error envelope of every HTTP answer | 03 §2.1 |
//! | [`number`] | numbers as JavaScript writes them | 01 §4.1 |

pub mod authority;
pub mod automation;
pub mod error;
pub mod event;
pub mod fence;
pub mod ids;
pub mod number;
pub mod record;
pub mod session_view;
pub mod view;

/// An open JSON object: the payload of an event, the input of a tool. Key order is kept.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

pub use event::{EventType, RuntimeEvent};
pub use ids::*;
pub use number::JsNumber;
pub use record::{Session, SessionEventRecord, SessionStatus, WorkspaceEventRecord};
pub use view::View;
