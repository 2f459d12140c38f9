//! The configuration document `open-cowork.config.json`: schema, layers, placeholders, validation, views (02).
//!
//! I/O is at two edges only: [`source`] reads files, [`edit`] writes one; everything else is pure. Nothing
//! here hands out defaults when a document is wrong: a caller gets a [`Loaded`](load::Loaded) or all findings.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`document`], [`jsonc`], [`mod@pointer`] | a text that knows where its values stand | 02 §2.2 |
//! | [`edit`] | changing one property of a file and nothing else | 02 §2.2 |
//! | [`schema`] | the schema as data, and what violates it | 02 §1, §12 |
//! | [`model`] | every key as a type; where secrets stand | 02 §3, §4 |
//! | [`defaults`] | layer 0 | 02 §4 |
//! | [`source`] | finding and reading layers | 02 §2.1, §7 |
//! | [`placeholder`], [`merge`], [`normalize`] | from layers to one document | 02 §2.3, §2.4 |
//! | [`semantics`], [`advice`] | rules beyond the schema, and warnings | 02 §5, §14 |
//! | [`load`] | all of the above in order | 02 §2.4 |
//! | [`explain`] | where a value comes from | |
//! | [`cloud`], [`gateway`] | the environment over the document | 02 §6, §7 |
//! | [`view`], [`redact`] | what may leave | 02 §9 |
//! | [`corpus`] | the line protocol for outside checks | 10 §2 |

// A finding is large, and made once, on the way out.
#![allow(clippy::result_large_err)]

pub mod advice;
mod blank;
pub mod cloud;
pub mod corpus;
pub mod defaults;
pub mod document;
pub mod edit;
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
mod written;
