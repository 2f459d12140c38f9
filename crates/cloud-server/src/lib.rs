//! The cloud's control plane: one table of routes, one pipeline, services over the store, SSE.
//!
//! ```text
//! request ─► pipeline ─► route table ─► authorization (policy) ─► handler (http) ─► service ─► store, log
//!            ids, headers,  the only     before the body is read      thin          one use case
//!            limits         list there is                                           per method
//! ```
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`cloud`] | [`Cloud`]: what handlers share; [`Options`] | 03 §3 |
//! | [`principal`] | who asks, and the [`Authenticator`] that tells | 03 §6 |
//! | [`auth`] | sign-in: cookies, tokens, proxies, OpenID providers | 03 §6 |
//! | [`route`] | [`Route`] and the tree that finds one | 03 §7, §8 |
//! | [`call`] | one request, as a handler sees it | 03 §1.3 |
//! | [`json`] | bodies: strict in form, lenient in fields | 03 §1.3 |
//! | [`reply`] | answers | 03 §1 |
//! | [`error`] | [`ApiError`]: the envelope of every refusal | 03 §2 |
//! | [`pipeline`] | the order in which a request is treated | 03 §1.1 |
//! | [`http`] | the routes, by domain | 03 §4, §8 |
//! | [`service`] | the use cases, by domain | 03 §8 |
//! | [`plans`] | billing by the configuration's plans | 04 §8 |
//! | [`sse`] | streams of events | 03 §9, 01 §7.3 |
//! | [`server`] | the listener: connections, deadlines, an orderly end | 03 §1.2 |
//! | [`openapi`] | the document of the route table | |
//! | [`workbench`] | the pages, one workbench per person | 07 |
//! | [`settings`], [`boot`] | what a process is told, and what it refuses to start with | 04 §14, §15 |
//!
//! Invariants:
//!
//! - A route that isn't in [`http::routes`] doesn't exist; router, authorization and the OpenAPI document
//!   derive from it.
//! - Authorization happens in the pipeline, before a body is read. Handlers only ask whether a record is the
//!   caller's; what isn't behaves as missing.
//! - Every refusal has a status, one sentence and a code.

pub mod auth;
pub mod boot;
pub mod call;
pub mod cloud;
pub mod error;
pub mod governance;
pub mod http;
pub mod json;
pub mod openapi;
pub mod pipeline;
pub mod plans;
pub mod principal;
pub mod reply;
pub mod route;
pub mod server;
pub mod service;
pub mod settings;
pub mod sse;
pub mod workbench;

pub use call::Call;
pub use cloud::{Cloud, Options, Services};
pub use error::ApiError;
pub use principal::{Authenticated, Authenticator, Incoming, LocalOwner, Principal};
pub use reply::Answer;
pub use route::{Access, Route};
