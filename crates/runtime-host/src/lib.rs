//! Runs and supervises OpenCode, normalizes its events, heals gaps.

pub mod binary;
pub mod breaker;
pub mod config;
pub mod environment;
pub mod error;
pub mod gate;
pub mod home;
pub mod host;
pub mod launch;
pub mod memory;
pub mod probe;
pub mod recover;
pub mod sink;
pub mod status;
pub mod supervise;
pub mod thread;
pub mod translate;
pub mod watchdog;
