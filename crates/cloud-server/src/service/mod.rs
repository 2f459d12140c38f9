//! The use cases, by domain: one method each, over the store and the log.

pub mod acting;
pub mod artifacts;
pub mod audit;
pub mod billing;
pub mod byok;
pub mod capabilities;
pub mod channels;
pub mod import;
pub mod launchpad;
pub mod members;
pub mod overview;
pub mod policy;
pub mod roles;
pub mod sessions;
pub mod settings;
pub mod sso;
pub mod threads;
pub mod tokens;
pub mod usage;
pub mod webhooks;
pub mod workflows;
