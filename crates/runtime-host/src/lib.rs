//! Runs and supervises OpenCode, normalizes its events, heals gaps.

pub mod recover;
pub mod translate;
pub mod watchdog;
pub mod config;
pub mod environment;
pub mod error;
pub mod home;
pub mod host;
pub mod sink;
pub mod thread;
pub mod binary;
pub mod breaker;
pub mod launch;
pub mod memory;
pub mod probe;
pub mod supervise;
pub mod gate;
pub mod status;
