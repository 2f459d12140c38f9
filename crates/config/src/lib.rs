//! The configuration document `open-cowork.config.json`: schema, layers, placeholders, validation, views (02).
//!
//! Loading does I/O at its edge only ([`source`]); everything else is pure. Nothing here hands out defaults
//! when a document is wrong: a caller gets a [`Loaded`](load::Loaded) or all findings.

pub mod advice;
mod blank;
pub mod cloud;
pub mod corpus;
pub mod defaults;
pub mod document;
pub mod explain;
pub mod gateway;
pub mod jsonc;
mod key;
pub mod load;
pub mod merge;
pub mod model;
pub mod normalize;
mod overrides;
pub mod placeholder;
pub mod pointer;
pub mod redact;
pub mod schema;
pub mod semantics;
pub mod source;
pub mod view;
