//! Typed client of the OpenCode server: HTTP and SSE. The only crate that knows OpenCode's wire format.
//!
//! Turns run on the **classic** routes and events come from **one `/global/event` stream per process**
//! (docs/contract/08-opencode.md §5). A host codes against [`OpenCodeRuntime`]; [`Client`] implements it for
//! OpenCode 1.18.x, a later generation would be a second implementation.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`runtime`] | the port: every operation that a host needs | 08 §15.1 |
//! | [`client`] | [`Client`]: configuration, deadlines, limits, checks of every answer | 08 §4, §15.7 |
//! | [`request`], [`answer`] | what calls take and give beside the model | 08 §6, §13 |
//! | [`model`] | sessions, messages, parts, asks | 08 §6, §8 |
//! | [`event`] | one decoded frame of a stream | 08 §7, §8, §10.3 |
//! | [`decode`], [`encode`] | bytes to frame and back | 08 §7 |
//! | [`sse`] | the bounded line reader under the stream | 08 §7 |
//! | [`stream`] | the live stream: one connection, one owned task, a bounded queue | 08 §7, §12 |
//! | [`seq`], [`backoff`] | gaps in the durable sequence; when to connect again | 08 §7, §12.5 |
//! | [`directory`] | a working directory that was checked before OpenCode sees it | 08 §4.2 |
//! | [`error`] | one error enum, by what the caller can do | 08 §4.3 |

pub mod answer;
pub mod backoff;
pub mod client;
pub mod decode;
pub mod directory;
pub mod encode;
pub mod error;
pub mod event;
pub mod model;
pub mod request;
pub mod runtime;
pub mod seq;
pub mod sse;
pub mod stream;

mod calls;
mod http;
mod surrogate;
mod v2;

pub use answer::{
    AgentInfo, Capabilities, Health, MessagePage, ModelInfo, ProviderInfo, UsableProviders,
};
pub use backoff::Backoff;
pub use client::{Client, ClientConfig, Limits, Timeouts};
pub use decode::{DecodeError, decode_frame};
pub use directory::Directory;
pub use encode::encode_frame;
pub use error::Error;
pub use event::{Event, Frame};
pub use request::{ModelChoice, NewSession, PermissionRule, Prompt, Reply, RuleAction};
pub use runtime::OpenCodeRuntime;
pub use seq::{Observed, SeqTracker};
pub use stream::{Broken, EventStream, StreamItem};
