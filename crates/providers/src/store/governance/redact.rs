//! What metadata of audit, usage and billing may hold (04 §2.11): flat, short, without secrets. Applied by the
//! store, so that no caller can forget it.

use open_cowork_contracts::JsonObject;
use serde_json::Value;

/// Characters of a text at most.
pub const MAX_TEXT: usize = 256;

const SECRET_WORDS: [&str; 8] = [
    "token",
    "secret",
    "key",
    "password",
    "credential",
    "ref",
    "ciphertext",
    "envelope",
];

/// Redacts metadata: values under telling names become `[redacted]`, objects and arrays `[object]`, texts are
/// cut.
#[must_use]
pub fn metadata(metadata: &JsonObject) -> JsonObject {
    metadata
        .iter()
        .map(|(name, value)| (text(name), redacted(name, value)))
        .collect()
}

fn redacted(name: &str, value: &Value) -> Value {
    let name = name.to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| name.contains(word)) {
        return Value::from("[redacted]");
    }
    match value {
        Value::Object(_) | Value::Array(_) => Value::from("[object]"),
        Value::String(string) => Value::from(text(string)),
        plain => plain.clone(),
    }
}

/// A text of somebody else, cut to [`MAX_TEXT`] characters.
#[must_use]
pub fn text(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn telling_names_nested_values_and_long_texts_are_redacted() {
        let Value::Object(input) = json!({
            "result": "success", "apiToken": "canary", "kmsRef": "canary", "Password": 7,
            "nested": {"a": 1}, "list": ["canary"], "note": "ä".repeat(300), "count": 3, "gone": null,
        }) else {
            unreachable!()
        };
        let output = Value::Object(metadata(&input));
        assert!(!output.to_string().contains("canary"));
        assert_eq!(output["result"], "success");
        assert_eq!(output["nested"], "[object]");
        assert_eq!(output["Password"], "[redacted]");
        assert_eq!(output["note"].as_str().unwrap().chars().count(), MAX_TEXT);
        assert_eq!(
            (&output["count"], &output["gone"]),
            (&json!(3), &json!(null))
        );
    }
}
