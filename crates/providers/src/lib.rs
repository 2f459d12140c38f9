//! The ports: traits that adapters implement, their in-memory reference implementations, and the public
//! suites that state what an implementation must do.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`store`] | sessions, the event log, snapshots: traits, rows, errors, the pure rules of an append | 01 §3, §7; 04 §2.1–2.3 |
//! | [`bus`] | wake-ups between processes | 04 §9 |
//! | [`billing`] | what a plan lets an organisation do | 04 §8, §13.4 |
//! | [`byok`] | checks of provider keys | 04 §7.2 |
//! | [`objects`] | bytes by key | 04 §6, §13.5 |
//! | [`secrets`] | secrets at rest | 04 §7 |
//! | [`identity_provider`] | who logs people in | 03 §6.3, §6.4 |
//! | [`executor`] | the way from the HTTP side to a worker in the same process | 04 §3.1 |
//! | [`time`] | times as the contract writes them | 04 |
//! | [`trace`] | the W3C context that travels from a request to its events | 04 §12 |
//! | [`memory`] | the reference implementation of the store, for tests and demos | |
//! | `conformance` | (feature `conformance`) the suite that every store passes | |
//!
//! An adapter implements the traits, runs the suite with one macro, and needs nothing private of ours.

pub mod billing;
pub mod bus;
pub mod byok;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod executor;
pub mod identity_provider;
pub mod memory;
pub mod objects;
pub mod secrets;
pub mod store;
pub mod time;
pub mod trace;
