//! The published schemas, made from the fragments (02 §1.1, §2.4).

use serde_json::{Map, Value};

/// Where the ids of all schemas begin.
pub const ID_BASE: &str = "https://open-cowork.local/schemas/config/";

/// File name of the full schema.
pub const FULL: &str = "open-cowork.config.schema.json";

/// File name of the schema of one layer.
pub const OVERLAY: &str = "open-cowork.config.overlay.schema.json";

/// The full schema: the members and definitions of the fragments in their order; what is required
/// is what the first one requires.
pub fn full(fragments: &[Value]) -> Value {
    let mut properties = Map::new();
    let mut definitions = Map::new();
    for fragment in fragments {
        properties.extend(members(fragment, "properties"));
        definitions.extend(members(fragment, "$defs"));
    }
    let mut schema = head(FULL, "Open Cowork configuration, version 1");
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    if let Some(required) = fragments.first().and_then(|first| first.get("required")) {
        schema.insert("required".to_owned(), required.clone());
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema.insert("$defs".to_owned(), definitions.into());
    schema.into()
}

/// The schema of one layer: the full one without `required`, at the root and through `properties`,
/// `items`, `additionalProperties` and `$defs`, but not inside of unions and conditions.
pub fn overlay(full: &Value) -> Value {
    let mut schema = head(OVERLAY, "Open Cowork configuration, version 1: one layer");
    if let Value::Object(rest) = relaxed(full) {
        for (key, value) in rest {
            if !schema.contains_key(&key) {
                schema.insert(key, value);
            }
        }
    }
    schema.into()
}

/// A schema file's text: two spaces of indentation and a final newline.
pub fn serialized(schema: &Value) -> String {
    format!("{schema:#}\n")
}

fn relaxed(schema: &Value) -> Value {
    let Value::Object(members) = schema else {
        return schema.clone();
    };
    members
        .iter()
        .filter(|(key, _)| *key != "required")
        .map(|(key, value)| {
            let value = match (key.as_str(), value) {
                ("properties" | "$defs", Value::Object(children)) => children
                    .iter()
                    .map(|(name, child)| (name.clone(), relaxed(child)))
                    .collect::<Map<_, _>>()
                    .into(),
                ("items" | "additionalProperties", child) => relaxed(child),
                _ => value.clone(),
            };
            (key.clone(), value)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn head(file: &str, title: &str) -> Map<String, Value> {
    [
        (
            "$schema",
            "https://json-schema.org/draft/2020-12/schema".to_owned(),
        ),
        ("$id", format!("{ID_BASE}{file}")),
        ("title", title.to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.into()))
    .collect()
}

fn members(fragment: &Value, key: &str) -> Map<String, Value> {
    match fragment.get(key) {
        Some(Value::Object(members)) => members.clone(),
        _ => Map::new(),
    }
}
