//! A stand-in for the clients that the cloud must serve unchanged: upstream's TypeScript client and its browser
//! workbench, written from the contract alone (03 §10, §11; docs/contract/03-cloud-api-client.md).
//!
//! It shares nothing with our own client and vocabulary: its own requests, its own event-stream readers with the
//! weaknesses of the originals (one uses only `data` and never learns that a stream ended; the other is a browser's
//! `EventSource`), and its own idea of every answer's shape, so that a type of ours that is wrong in the same way on
//! both sides is still found.
//!
//! | module | is |
//! |---|---|
//! | [`shape`] | shapes of JSON in one line, and what differs |
//! | [`shapes`] | the shapes of 03 §8 and §9 |
//! | [`transport`] | requests as the TypeScript client sends them |
//! | [`streams`] | the streaming fetch and the `EventSource` |
//! | [`shim`] | what the browser workbench adds: cookies, CSRF, searches |
//! | [`suite`](mod@suite) | every method against a running cloud |

pub mod shape;
pub mod shapes;
pub mod shim;
pub mod streams;
pub mod suite;
pub mod transport;

pub use suite::{Report, Surroundings, suite};
