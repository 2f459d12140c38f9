//! Bodies: strict about the form of JSON, lenient about its fields (03 §1.3).
//!
//! The form: UTF-8, one value, no duplicate keys, at most [`MAX_DEPTH`] levels. The fields: an empty body, an
//! array and a scalar count as `{}`; a text field that is blank or no text, a list of texts with anything else in
//! it, and a number that is none count as absent. What must be there and isn't, or is no member of an enum, is
//! a 400 with the place.

use crate::error::ApiError;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Levels of arrays and objects that a body may have.
pub const MAX_DEPTH: usize = 64;

/// Parses a body as an object.
///
/// # Errors
/// 400 with the place.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    Ok(match value(body)? {
        Value::Object(object) => object,
        _ => Map::new(),
    })
}

/// Parses a body as whatever it is.
///
/// # Errors
/// 400 with the place.
pub fn value(body: &[u8]) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        malformed(&format!(
            "byte {} is not part of a UTF-8 text",
            error.valid_up_to()
        ))
    })?;
    let mut input = serde_json::Deserializer::from_str(text);
    let seed = Strict { depth: 0 };
    let value = seed
        .deserialize(&mut input)
        .map_err(|error| place(&error))?;
    input.end().map_err(|error| place(&error))?;
    Ok(value)
}

fn place(error: &serde_json::Error) -> ApiError {
    // serde_json's own words end with the place; they quote keys of ours only where we wrote them.
    let text = error.to_string();
    let words = match error.classify() {
        serde_json::error::Category::Data => text,
        _ => format!("line {} column {}", error.line(), error.column()),
    };
    malformed(&words)
}

fn malformed(detail: &str) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::BAD_REQUEST,
        "request.malformed",
        format!("Request body must be valid JSON ({detail})."),
    )
}

/// Builds a [`Value`] and refuses what `serde_json` would take silently.
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Strict, E> {
        match self.depth < MAX_DEPTH {
            true => Ok(Strict {
                depth: self.depth + 1,
            }),
            false => Err(E::custom(format_args!(
                "nested deeper than {MAX_DEPTH} levels"
            ))),
        }
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(serde::de::Error::custom("an object has a key twice"));
            }
            let value = entries.next_value_seed(self.deeper()?)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// What a field of a request takes; the rest counts as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Text,
    Texts,
    Whole,
    Number,
    Switch,
}

/// The lenient reading of one request type's fields, derived from its schema once.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    fields: Vec<(String, Takes, bool)>,
}

impl Fields {
    /// The fields of a request type.
    pub fn of<T: JsonSchema>() -> Self {
        let schema = schemars::schema_for!(T);
        let mut fields = Vec::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if property.get("enum").is_some() || property.get("const").is_some() {
                continue;
            }
            let types: Vec<&str> = match property.get("type") {
                Some(Value::String(one)) => vec![one],
                Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
                _ => continue,
            };
            let nullable = types.contains(&"null");
            let takes = match types.iter().find(|name| **name != "null").copied() {
                Some("string") => Takes::Text,
                Some("integer") => Takes::Whole,
                Some("number") => Takes::Number,
                Some("boolean") => Takes::Switch,
                Some("array")
                    if property.pointer("/items/type").and_then(Value::as_str)
                        == Some("string") =>
                {
                    Takes::Texts
                }
                _ => continue,
            };
            fields.push((name.clone(), takes, nullable));
        }
        Fields { fields }
    }

    /// Drops what counts as absent. `null` stays where the field takes it: it may mean "clear".
    pub fn fit(&self, object: &mut Map<String, Value>) {
        for (name, takes, nullable) in &self.fields {
            let Some(value) = object.get_mut(name) else {
                continue;
            };
            let fits = match (takes, &mut *value) {
                (_, Value::Null) => *nullable,
                (Takes::Text, Value::String(text)) => !text.trim().is_empty(),
                (Takes::Texts, Value::Array(items)) => items.iter().all(Value::is_string),
                (Takes::Switch, Value::Bool(_)) => true,
                (Takes::Number, Value::Number(_)) => true,
                (Takes::Whole, Value::Number(number)) => whole(number),
                (Takes::Whole, Value::String(text)) => match text.trim().parse::<i64>() {
                    Ok(parsed) => {
                        *value = Value::Number(parsed.into());
                        true
                    }
                    Err(_) => false,
                },
                _ => false,
            };
            if !fits {
                object.shift_remove(name);
            }
        }
    }
}

/// Rewrites `3.0` as 3; false for what is no whole number.
fn whole(number: &mut Number) -> bool {
    if number.is_i64() || number.is_u64() {
        return true;
    }
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            *number = Number::from(float as i64);
            true
        }
        _ => false,
    }
}

/// The request in its type.
///
/// # Errors
/// 400 with the place: a required field is absent, a nested value has the wrong form, an enum doesn't know the
/// name.
pub fn typed<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner().to_string();
        let message = match inner.strip_prefix("missing field ") {
            Some(field) => {
                let field = field.trim_matches('`');
                match path.as_str() {
                    "." | "" => format!("Required field `{field}` is missing."),
                    path => format!("Required field `{path}.{field}` is missing."),
                }
            }
            None => format!("Field `{path}` is not valid: {}.", without_values(&inner)),
        };
        ApiError::invalid(message)
    })
}

/// serde quotes the value that it refuses; a value may be a secret, so only the expectation stays.
fn without_values(text: &str) -> String {
    match text.find("expected ") {
        Some(at) => text[at..].trim_end_matches('.').to_owned(),
        None => "it doesn't fit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    enum Color {
        #[serde(rename = "red")]
        Red,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        text: String,
        agent: Option<String>,
        tags: Option<Vec<String>>,
        count: Option<u32>,
        color: Option<Color>,
    }

    fn read(body: &str) -> Result<Sample, ApiError> {
        let mut object = object(body.as_bytes())?;
        Fields::of::<Sample>().fit(&mut object);
        typed(object)
    }

    #[test]
    fn what_is_no_text_counts_as_absent_and_texts_stay_untrimmed() {
        let sample = read(r#"{"text":" hi ","agent":5,"tags":["a",1],"count":"7"}"#).unwrap();
        assert_eq!(sample.text, " hi ");
        assert_eq!(
            (sample.agent, sample.tags, sample.count),
            (None, None, Some(7))
        );
        let blank = read(r#"{"text":"  "}"#).unwrap_err();
        assert_eq!(blank.message, "Required field `text` is missing.");
    }

    #[test]
    fn an_unknown_name_of_an_enum_is_refused_without_quoting_it() {
        let error = read(r#"{"text":"a","color":"secret-value"}"#).unwrap_err();
        assert!(error.message.contains("color"), "{}", error.message);
        assert!(error.message.contains("red"), "{}", error.message);
        assert!(!error.message.contains("secret-value"), "{}", error.message);
    }

    #[test]
    fn arrays_scalars_and_nothing_are_an_empty_object() {
        for body in ["", "  ", "[]", "5", "null", "\"x\""] {
            assert_eq!(object(body.as_bytes()).unwrap(), Map::new(), "{body:?}");
        }
    }

    #[test]
    fn malformed_bodies_are_refused_with_their_place() {
        for (body, words) in [
            (&b"{\"a\":"[..], "line 1 column 5"),
            (b"{\"a\":1,\"a\":2}", "twice"),
            (b"{\"a\":\"\xff\"}", "UTF-8"),
            (b"{} {}", "line 1"),
            (b"NaN", "line 1"),
        ] {
            let error = object(body).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.message.contains(words), "{}", error.message);
            assert!(error.message.starts_with("Request body must be valid JSON"));
        }
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert!(
            object(deep.as_bytes())
                .unwrap_err()
                .message
                .contains("deeper")
        );
        let allowed = format!("{}{}", "[".repeat(64), "]".repeat(64));
        assert!(object(allowed.as_bytes()).is_ok());
        // Far beyond any stack.
        let bottomless = "[".repeat(1_000_000);
        assert!(object(bottomless.as_bytes()).is_err());
    }

    #[test]
    fn numbers_and_keys_survive_as_they_are() {
        let body = br#"{"b":1.5,"a":18446744073709551615,"c":[null,true,{"d":"\u00e9"}]}"#;
        assert_eq!(
            Value::Object(object(body).unwrap()),
            json!({"b": 1.5, "a": 18446744073709551615u64, "c": [null, true, {"d": "é"}]})
        );
    }
}
