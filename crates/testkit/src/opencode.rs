//! The real OpenCode: the pinned binary, and a server of its own per test.

mod launch;
mod provision;

pub use launch::{RealOpenCode, RealOpenCodeOptions};
pub use provision::{PINNED_VERSION, provision, provision_reporting};
