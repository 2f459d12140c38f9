//! The pure reducer from session events to a view, and what belongs to the same rules: the sanitizer at the
//! durable boundary, projection fences and the delta coalescer.
//!
//! No I/O, no clock, no async runtime: times and secret values are arguments. The same input gives the same
//! bytes. One event costs what the event weighs, however long the thread is. The rules are written down in
//! `docs/contract/01-events-and-projection.md`.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`projector`] | [`Projector`]: a view and its indexes; folds one event at a time | 01 §4, §5 |
//! | [`mod@normalize`] | an owned, valid view from any JSON | 01 §5.7 |
//! | [`read`] | what a client accepts of a stored envelope | 01 §5.7 |
//! | [`mod@session_view`] | the shape that renderers of the wire read | 01 §5.8 |
//! | [`sanitize`] | bounds and redaction | 01 §6 |
//! | [`fence`], [`fence_wait`] | has the projection reached this point? | 01 §8.1, §8.2 |
//! | [`automation`] | valid automation events | 01 §8.3 |
//! | [`coalesce`] | fewer events for the same streamed text | 01 §11.1 |
//!
//! ```
//! use open_cowork_contracts::{Session, SessionEventRecord};
//! use open_cowork_projection::Projector;
//!
//! let session = Session { session_id: "s1".into(), ..Session::default() };
//! let event: SessionEventRecord = serde_json::from_str(
//!     r#"{"sequence":1,"type":"prompt.submitted","payload":{"text":"Hello"},"createdAt":"2026-01-01T00:00:00.000Z"}"#,
//! )?;
//! let mut projector = Projector::new(&session);
//! projector.apply(&session, &event);
//! assert_eq!(projector.view().messages[0].id, "s1:1:user");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod artifacts;
mod asks;
mod coerce;
mod index;
mod messages;
mod sources;
mod tasks;
mod tools;

pub mod automation;
pub mod coalesce;
pub mod fence;
pub mod fence_wait;
pub mod normalize;
pub mod projector;
pub mod read;
pub mod sanitize;
pub mod session_view;

pub use coalesce::Coalescer;
pub use normalize::{normalize, normalize_with};
pub use projector::{PROJECTOR_VERSION, Projector, create_view, reduce};
pub use read::read_projection;
pub use session_view::{empty_session_view, session_view};
