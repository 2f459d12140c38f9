//! The process half against the real OpenCode.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test stops at what it does not expect

mod agents;
mod outbound;
mod process;
mod support;
