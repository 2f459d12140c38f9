//! Requests, answers and records of the Cloud API (03 §8), by domain. Field names are the wire's.

pub mod admin;
pub mod artifacts;
pub mod billing;
pub mod byok;
pub mod capabilities;
pub mod channels;
pub mod identity;
pub mod import;
pub mod launchpad;
pub mod lenient;
pub mod policy;
pub mod project_sources;
pub mod sessions;
pub mod settings;
pub mod threads;
pub mod tokens;
pub mod usage;
pub mod workflows;
pub mod workspace;
