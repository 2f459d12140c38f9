//! The use cases, by domain: one method each, over the store and the log.

pub mod artifacts;
pub mod import;
pub mod sessions;
pub mod acting;
pub mod audit;
pub mod byok;
pub mod members;
pub mod overview;
pub mod policy;
pub mod roles;
pub mod settings;
pub mod sso;
pub mod tokens;
pub mod usage;
pub mod threads;
pub mod webhooks;
pub mod workflows;
