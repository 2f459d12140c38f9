//! The configuration document `open-cowork.config.json`: schema, layers, placeholders, validation, views (02).
//!
//! Loading does I/O at its edge only ([`source`]); everything else is pure. Nothing here hands out defaults
//! when a document is wrong: a caller gets a [`Loaded`] or all findings.
