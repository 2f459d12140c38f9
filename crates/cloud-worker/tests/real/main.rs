//! The worker on the real OpenCode with the scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test stops at what it does not expect

mod byok;
mod commands;
mod crash;
mod drain;
mod limits;
mod plans;
mod support;
mod watchdog;
mod workflows;
