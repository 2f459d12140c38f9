//! Test support for the whole workspace: real parts under a test's control.
//!
//! | module | gives |
//! |---|---|
//! | [`model`] | a scripted, OpenAI-compatible model server on loopback |
//! | [`opencode`] | the pinned OpenCode binary, and a launcher for a real server |
//! | [`workspace`] | a throw-away git folder for the agent to work in |
//! | [`browser`] | a real headless Chromium, driven over WebDriver |
//! | [`unprivileged`] | commands and tests run as a user that is not root |
//! | [`postgres`] | a real PostgreSQL server in a folder of its own |
//! | [`nats`] | a real NATS server |
//! | [`oidc`] | a real OpenID provider |
//! | [`contract_client`] | the stand-in for upstream's clients, against our cloud |
//! | [`proxy`] | a TCP proxy that cuts, stalls and delays |
//! | [`process`] | child processes that cannot outlive the test that started them |
//!
//! **Invariants.** Never a dependency of a shipped crate (only `dev-dependencies`, `benches`
//! and `xtask`; `cargo xtask test` checks that). Everything listens on loopback only and dies
//! with its handle. Nothing here is a stand-in for our own code: only the paid, unreachable
//! model is scripted.

pub mod browser;
pub mod contract_client;
mod error;
pub mod model;
pub mod nats;
pub mod oidc;
pub mod opencode;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod unprivileged;
pub mod workspace;

pub use error::TestkitError;
