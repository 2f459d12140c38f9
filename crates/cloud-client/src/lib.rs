//! Typed client of the Cloud API (03 §8) with streams that heal themselves (03 §9, §12 #25).
//!
//! ```no_run
//! use open_cowork_cloud_client::{CloudClient, Update};
//! use open_cowork_contracts::api::sessions::{CreateSession, PromptRequest};
//!
//! # async fn example() -> Result<(), open_cowork_cloud_client::Error> {
//! let client = CloudClient::builder("http://127.0.0.1:8787").token("occ_…").build()?;
//! let session = client.sessions().create(&CreateSession::default()).await?.session;
//! let prompt = PromptRequest { text: "Hello".into(), agent: None };
//! client.sessions().prompt(&session.session_id, &prompt).await?;
//! let mut follow = client.sessions().follow(&session.session_id);
//! while let Some(update) = follow.next().await {
//!     match update? {
//!         Update::Snapshot(envelope) => println!("a view: {:?}", envelope.projection.map(|p| p.view.title)),
//!         Update::Event(event) => println!("{} {}", event.sequence, event.kind),
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! | module | is |
//! |---|---|
//! | [`client`] | the client, its builder, its credentials |
//! | [`error`] | errors by what the caller can do |
//! | [`retry`] | which calls are repeated, and when |
//! | [`call`] | one call: path, query, body, deadline, bounds |
//! | [`routes`] | the typed methods, by domain |
//! | [`sse`] | frames out of bytes |
//! | [`line`](mod@line) | one stream that stays connected |
//! | [`follow`] | a thread as a snapshot and what happens after it |
//! | [`workspace`] | the same for all threads of a person |
//! | [`deliveries`] | a work queue of messages for chat channels |
//!
//! **Rules.** A call returns before its deadline, body included. A mutation carries an `Idempotency-Key`, the same on
//! every attempt, so that it can be repeated when an answer gets lost. No message, log or `Debug` holds a credential.
//! Dropping a future or a stream ends its request. Nothing runs in the background.
//!
//! **Absent:** folding events into a view. A caller that wants a live view folds with `open-cowork-projection`, or
//! reads the view again; this crate depends on nothing but the vocabulary and an HTTP client.

pub mod call;
pub mod client;
pub mod deliveries;
pub mod error;
pub mod follow;
pub mod line;
pub mod retry;
pub mod routes;
pub mod sse;
pub mod workspace;

pub use client::{Builder, CloudClient};
pub use error::{BuildError, Error, Refusal};
pub use follow::{Follow, Update};
pub use line::{LineOptions, LineState};
pub use retry::RetryPolicy;
pub use workspace::{FollowWorkspace, WorkspaceUpdate};
