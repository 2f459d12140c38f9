//! The schema of the document, and what a document violates of it (02 §1, §12; docs/contract/02-config.md).
//!
//! The schema is data: three fragments in `crates/config/schema/`, written by hand, from which
//! [`compose`] makes the two published files. [`validate`] walks the published file itself; it
//! needs no compilation, tells every violation with its place, and speaks of the branch of a union
//! that the author meant. That its verdicts are those of a standard validator is tested against
//! the crate `jsonschema` and against Ajv.

mod check;
pub mod compose;
mod pattern;
mod sentence;
mod suggest;

use crate::document::Document;
use open_cowork_contracts::finding::Finding;
use serde_json::Value;
use std::sync::LazyLock;

/// Which schema a document is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A complete, resolved document.
    Full,
    /// One layer: the partial schema, in which nothing is required outside of unions and
    /// conditions (02 §2.4).
    Overlay,
}

/// The fragments, by file name, in the order of composition (02 §1.1).
pub const FRAGMENTS: [(&str, &str); 3] = [
    (
        "desktop-core.schema.json",
        include_str!("../schema/desktop-core.schema.json"),
    ),
    (
        "cloud.schema.json",
        include_str!("../schema/cloud.schema.json"),
    ),
    (
        "gateway.schema.json",
        include_str!("../schema/gateway.schema.json"),
    ),
];

/// The published schema as it is shipped: JSON Schema 2020-12.
pub fn text(form: Form) -> &'static str {
    match form {
        Form::Full => include_str!("../schema/open-cowork.config.schema.json"),
        Form::Overlay => include_str!("../schema/open-cowork.config.overlay.schema.json"),
    }
}

/// The published schema as a value, parsed once.
pub fn value(form: Form) -> &'static Value {
    static FULL: LazyLock<Value> = LazyLock::new(|| parse(Form::Full));
    static OVERLAY: LazyLock<Value> = LazyLock::new(|| parse(Form::Overlay));
    match form {
        Form::Full => &FULL,
        Form::Overlay => &OVERLAY,
    }
}

/// Everything in which a document violates the schema, in the order of the document.
///
/// A finding's pointer is that of the value; for a missing or unknown member it is the object's
/// with that member's name. No text holds a value of the document, except the number that stands
/// as `contractVersion`. A null as a whole layer is no violation (02 §2.4).
pub fn validate(document: &Document, form: Form) -> Vec<Finding> {
    if form == Form::Overlay && document.value().is_null() {
        return Vec::new();
    }
    let mut found = check::check(document, value(form));
    // What couldn't be kept is told once, by what is wrong with the text.
    for fault in document.faults() {
        found.retain(|finding| finding.pointer != fault.pointer);
    }
    let mut all = document.faults().to_vec();
    all.append(&mut found);
    if !document.faults().is_empty() {
        all.sort_by_key(|finding| (finding.line, finding.column));
    }
    all
}

#[allow(clippy::expect_used)] // the text is part of the program and every test parses it
fn parse(form: Form) -> Value {
    serde_json::from_str(text(form)).expect("the shipped schema is JSON")
}
