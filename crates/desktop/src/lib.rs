//! The desktop engine: one person's local workspace (`desktop_local`, 07 §2) on one OpenCode.
//!
//! ```text
//!   workbench ─► LocalWorkspace ─► RuntimeHost ─► OpenCode (supervised)
//!                     ▲                 │ events
//!                     └── ThreadLog ◄───┘   SQLite in the data folder
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | [`Desktop`]: opens the data folder, keeps OpenCode running, closes in order |
//! | [`config`] | the configuration it runs on: found and loaded, or refused with all findings |
//! | [`branding`] | from the configuration to name, words, pictures and colours of the page |
//! | [`workspace`] | the [`open_cowork_workbench::Workspace`] over it |
//! | [`serve`] | the page on loopback |
//! | `http` | its HTTP server: deadlines and bounds |
//! | [`chat`] | one turn in the terminal |
//! | [`offer`] | which providers can be chosen: the configuration's, else our own list |
//! | [`settings`] | provider settings; the key in a 0600 file |
//! | [`connection`] | the connection test |
//! | [`data`] | the data folder, one process at a time |
//!
//! Invariants: nothing of a folder is opened before the user trusts what it would run; the key is in no log,
//! event, view, environment or argument list; every thread is durable before it is shown.

pub mod branding;
pub mod chat;
pub mod config;
pub mod connection;
pub mod data;
pub mod engine;
pub mod error;
mod folder;
mod health;
mod http;
pub mod offer;
mod prompt;
mod runtime;
pub mod serve;
pub mod settings;
mod sink;
pub mod workspace;

pub use engine::{Desktop, DesktopOptions};
pub use error::DesktopError;
pub use prompt::MAX_PROMPT_BYTES;
pub use workspace::LocalWorkspace;
