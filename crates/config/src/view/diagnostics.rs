//! What a diagnostics bundle holds of a configuration (02 §9).

use crate::load::Loaded;
use crate::redact::{Reader, masked, redacted};
use serde_json::{Value, json};

/// The whole resolved document without secrets, people and home folders, with what placeholders inserted as
/// it was written; which files it comes from; what
/// was noticed; and the names, never the values, of the product's variables that are set.
pub fn bundle(loaded: &Loaded) -> Value {
    let layers: Vec<Value> = loaded
        .layers()
        .iter()
        .map(|layer| json!({"layer": layer.kind(), "file": masked(layer.file(), Reader::Stranger)}))
        .collect();
    let warnings: Vec<Value> = loaded
        .warnings()
        .iter()
        .map(|finding| {
            let pointer = finding
                .pointer
                .as_deref()
                .map(|pointer| masked(pointer, Reader::Stranger));
            json!({"code": finding.code, "pointer": pointer, "line": finding.line})
        })
        .collect();
    json!({
        "config": redacted(&loaded.shown(loaded.value(), ""), "", Reader::Stranger),
        "layers": layers,
        "warnings": warnings,
        "environment": loaded.variables(),
    })
}
