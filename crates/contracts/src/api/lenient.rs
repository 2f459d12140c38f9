//! How bodies are read (03 §1.3): a field of the wrong type counts as absent, text must hold something.
//! Enum fields are not read like this: an unknown value is an error (03 §12 #12).
//!
//! Use with `#[serde(deserialize_with = "…")]`, and `default` beside it where the field may be absent.

use crate::JsonObject;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Text that is not blank, untrimmed; anything else is absent.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    })
}

/// Text that is not blank, untrimmed; anything else is an error that says so.
pub fn required_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer)?.ok_or_else(|| serde::de::Error::custom("expected text that is not blank"))
}

/// A list of strings; a list with anything else in it is absent.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Some(text),
                _ => None,
            })
            .collect(),
        _ => None,
    })
}

/// A JSON object; anything else is absent.
pub fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JsonObject>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    })
}

/// True or false; anything else is absent.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::Bool(flag)) => Some(flag),
        _ => None,
    })
}

/// For fields whose null means something: absent is `None`, null is `Some(None)`. Needs `default` beside it.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[serde(deserialize_with = "required_text")]
        name: String,
        #[serde(default, deserialize_with = "text")]
        color: Option<String>,
        #[serde(default, deserialize_with = "texts")]
        tags: Option<Vec<String>>,
        #[serde(default, deserialize_with = "object")]
        value: Option<JsonObject>,
        #[serde(default, deserialize_with = "flag")]
        on: Option<bool>,
        #[serde(default, deserialize_with = "nullable")]
        role: Option<Option<String>>,
    }

    #[test]
    fn wrong_types_count_as_absent_and_text_is_not_trimmed() {
        let body: Body = serde_json::from_value(json!({
            "name": " a ", "color": 3, "tags": ["x", 1], "value": [], "on": "yes", "role": null,
        }))
        .unwrap();
        assert_eq!(body.name, " a ");
        assert_eq!(
            (body.color, body.tags, body.value, body.on, body.role),
            (None, None, None, None, Some(None))
        );
    }

    #[test]
    fn required_text_that_is_blank_or_of_another_type_is_refused() {
        for name in [json!(" \n"), json!(null), json!(7), json!(["a"])] {
            assert!(serde_json::from_value::<Body>(json!({ "name": name })).is_err());
        }
        assert!(serde_json::from_value::<Body>(json!({})).is_err());
    }

    #[test]
    fn what_is_given_in_the_right_type_is_kept() {
        let body: Body = serde_json::from_value(json!({
            "name": "n", "color": "#fff", "tags": ["x"], "value": {"a": 1}, "on": false, "role": "r",
        }))
        .unwrap();
        assert_eq!(body.color.as_deref(), Some("#fff"));
        assert_eq!(body.tags, Some(vec!["x".to_owned()]));
        assert_eq!(body.value.map(|object| object.len()), Some(1));
        assert_eq!(
            (body.on, body.role),
            (Some(false), Some(Some("r".to_owned())))
        );
    }
}
