//! The vocabulary of Open Cowork: ids, events, records, views, fences and the error envelope.
//!
//! Everything here is plain data with serde and JSON Schema; there is no I/O, no clock and no async.
//! JSON is camelCase. Unknown event types and unknown fields survive a round trip.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`ids`] | newtypes of every id | 07 §2 |
//! | [`event`] | event types, runtime events | 01 §2 |
//! | [`vocabulary`] | who writes and reads each event type, as data | 01 §2 |
//! | [`record`] | durable records: session, events, workspace events, projection | 01 §3 |
//! | [`session_event`] | one event with its place in the log | 01 §3.1 |
//! | [`view`] | the projected view of one thread | 01 §4 |
//! | [`session_view`] | the shape that renderers of the wire read | 01 §5.8 |
//! | [`fence`] | fence tokens, checkpoints, verdicts | 01 §8 |
//! | [`automation`] | the automation envelope | 01 §8.3 |
//! | [`authority`] | who owns and runs a thread | 07 §2 |
//! | [`support`] | the operations of a workspace; what each surface promises | 07 §3 |
//! | [`access`] | actions, principals, scopes, roles and permissions of the cloud | 07 §4 |
//! | [`setup`] | setup intents and health checks, as data | 07 §6.1, §6.2 |
//! | [`setup_bundle`] | skills, MCP servers, agents and providers that travel | 07 §6.5, 02 §11 |
//! | [`health`] | results of checks, provenance and conflict rows, the runtime's status | 07 §6.3, 05 §11 |
//! | [`workspace`] | workspaces and what may be done in them | 07 §2.3 |
//! | [`error`] | the error envelope of every HTTP answer | 03 §2.1 |
//! | [`finding`] | what validators report | 09 §1.2 |
//! | [`number`] | numbers as JavaScript writes them | 01 §4.1 |
//! | [`schema`] | JSON Schemas of all of them | `docs/schemas/` |

#[macro_use]
mod names;

pub mod access;
pub mod api;
pub mod authority;
pub mod automation;
pub mod error;
pub mod event;
pub mod fence;
pub mod finding;
pub mod health;
pub mod ids;
pub mod number;
pub mod record;
pub mod schema;
pub mod session_event;
pub mod session_view;
pub mod setup;
pub mod setup_bundle;
pub mod support;
pub mod view;
pub mod vocabulary;
pub mod workspace;

/// An open JSON object: the payload of an event, the input of a tool. Key order is kept.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

pub use event::{EventType, RuntimeEvent};
pub use ids::*;
pub use number::JsNumber;
pub use record::{Session, SessionEventRecord, SessionStatus, WorkspaceEventRecord};
pub use view::View;
