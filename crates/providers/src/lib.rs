//! The ports: traits that adapters implement, their in-memory reference implementations, and the public
//! suites that state what an implementation must do.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`store`] | sessions, the event log, snapshots: traits, rows, errors, the pure rules of an append | 01 §3, §7; 04 §2.1–2.3 |
//! | [`memory`] | the reference implementation of the store, for tests and demos | |
//! | `conformance` | (feature `conformance`) the suite that every store passes | |
//!
//! An adapter implements the traits, runs the suite with one macro, and needs nothing private of ours.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod memory;
pub mod store;
