//! The reference of keys: one table per root key, made from the schema and the built-in defaults.

use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// All tables, in the schema's order.
pub(crate) fn tables() -> String {
    let schema = open_cowork_config::schema::value(open_cowork_config::schema::Form::Full);
    let defaults = open_cowork_config::defaults::document();
    let root = Walk {
        definitions: &schema["$defs"],
        shown: RefCell::default(),
    };
    let required = names(&schema["required"]);
    let mut out = String::new();
    for (key, property) in schema["properties"].as_object().unwrap() {
        let mut rows = Vec::new();
        let mandatory = required.contains(&key.as_str());
        root.rows(key, property, mandatory, defaults.get(key), &mut rows);
        let _ = writeln!(
            out,
            "### `{key}`\n\n| key | value | default | what |\n|---|---|---|---|"
        );
        for row in rows {
            let _ = writeln!(out, "{row}");
        }
        out.push('\n');
    }
    out
}

struct Walk<'a> {
    definitions: &'a Value,
    /// Where each shared object was shown first.
    shown: RefCell<BTreeMap<&'a str, String>>,
}

impl<'a> Walk<'a> {
    fn rows(
        &self,
        path: &str,
        given: &'a Value,
        required: bool,
        default: Option<&Value>,
        rows: &mut Vec<String>,
    ) {
        let schema = self.resolve(given);
        let what = [given, schema]
            .iter()
            .find_map(|schema| schema["description"].as_str())
            .unwrap_or_default();
        let name = if required {
            format!("`{path}` **R**")
        } else {
            format!("`{path}`")
        };
        let known = self.known(path, given);
        let kind = match &known {
            Some(first) => format!("as `{first}`"),
            None => self.kind(given),
        };
        rows.push(format!(
            "| {name} | {} | {} | {} |",
            cell(&kind),
            default.map(shown_default).unwrap_or_default(),
            cell(what)
        ));
        if known.is_none() {
            self.below(path, schema, default, rows);
        }
    }

    /// Where the shape that stands here, or in the list or map here, was shown before.
    fn known(&self, path: &str, given: &'a Value) -> Option<String> {
        let schema = self.resolve(given);
        let (given, path) = if schema["items"].is_object() {
            (&schema["items"], format!("{path}[]"))
        } else if schema["additionalProperties"].is_object() {
            (&schema["additionalProperties"], format!("{path}.<name>"))
        } else {
            (given, path.to_owned())
        };
        let name = given["$ref"].as_str()?.rsplit('/').next()?;
        if !has_shape(self.resolve(given)) {
            return None;
        }
        let mut shown = self.shown.borrow_mut();
        match shown.get(name) {
            Some(first) => Some(first.clone()),
            None => {
                shown.insert(name, path);
                None
            }
        }
    }

    /// Members, items and entries that have a shape of their own.
    fn below(
        &self,
        path: &str,
        schema: &'a Value,
        default: Option<&Value>,
        rows: &mut Vec<String>,
    ) {
        if let Some(properties) = schema["properties"].as_object() {
            let required = names(&schema["required"]);
            for (key, property) in properties {
                self.rows(
                    &format!("{path}.{key}"),
                    property,
                    required.contains(&key.as_str()),
                    default.and_then(|default| default.get(key)),
                    rows,
                );
            }
        }
        for branch in ["oneOf", "anyOf"]
            .iter()
            .filter_map(|word| schema[*word].as_array())
            .flatten()
        {
            let branch = self.resolve(branch);
            if branch["properties"].is_object() {
                let kind = branch["properties"]["kind"]["const"].as_str();
                let path = kind.map_or_else(|| path.to_owned(), |kind| format!("{path}({kind})"));
                self.below(&path, branch, None, rows);
            }
        }
        for (word, mark) in [("items", "[]"), ("additionalProperties", ".<name>")] {
            let inner = self.resolve(&schema[word]);
            if has_shape(inner) {
                self.below(&format!("{path}{mark}"), inner, None, rows);
            }
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        while let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            schema = &self.definitions[name];
            assert!(
                !schema.is_null(),
                "the schema refers to {name}, which it lacks"
            );
        }
        schema
    }

    /// What may stand there, in a few words.
    fn kind(&self, given: &'a Value) -> String {
        let schema = self.resolve(given);
        // A named kind of value says in words what its pattern says to machines.
        let plain = !has_shape(schema) || schema["anyOf"].is_array();
        if given.get("$ref").is_some()
            && plain
            && schema["enum"].is_null()
            && let Some(words) = schema["description"].as_str()
        {
            let words = words.trim_end_matches('.');
            return words.to_owned() + &range(schema, "minLength", "maxLength", " characters");
        }
        if let Some(constant) = schema.get("const") {
            return format!("`{constant}`");
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values
                .iter()
                .map(|value| match value {
                    Value::String(text) => format!("`{text}`"),
                    other => format!("`{other}`"),
                })
                .collect();
            return values.join(" · ");
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(branches) = schema[word].as_array() {
                let mut kinds: Vec<String> = Vec::new();
                for branch in branches {
                    let branch = self.resolve(branch);
                    let kind = match branch["properties"]["kind"]["const"].as_str() {
                        Some(kind) => format!("object of kind `{kind}`"),
                        None => self.kind(branch),
                    };
                    if !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                if kinds.iter().all(|kind| !kind.is_empty()) && !kinds.is_empty() {
                    return kinds.join(" or ");
                }
            }
        }
        let types = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let kinds: Vec<String> = types
            .iter()
            .map(|kind| self.of_type(kind, schema))
            .collect();
        kinds.join(" or ")
    }

    fn of_type(&self, kind: &str, schema: &'a Value) -> String {
        match kind {
            "string" => {
                let text = match schema["pattern"].as_str() {
                    Some(pattern) => format!("text like `{pattern}`"),
                    None => "text".to_owned(),
                };
                text + &range(schema, "minLength", "maxLength", " characters")
            }
            "integer" => "integer".to_owned() + &range(schema, "minimum", "maximum", ""),
            "number" => "number".to_owned() + &range(schema, "minimum", "maximum", ""),
            "array" => {
                let unique = if schema["uniqueItems"] == true {
                    "distinct "
                } else {
                    ""
                };
                let items = self.kind(&schema["items"]);
                let most = range(schema, "minItems", "maxItems", " items");
                format!("list of {unique}{items}{most}")
            }
            "object" => match &schema["additionalProperties"] {
                Value::Bool(false) => "object".to_owned(),
                Value::Object(_) => {
                    format!(
                        "map of names to {}",
                        self.kind(&schema["additionalProperties"])
                    )
                }
                _ => "any object".to_owned(),
            },
            "boolean" => "`true` · `false`".to_owned(),
            other => other.to_owned(),
        }
    }
}

fn has_shape(schema: &Value) -> bool {
    [
        "properties",
        "items",
        "additionalProperties",
        "oneOf",
        "anyOf",
    ]
    .iter()
    .any(|word| schema[*word].is_object() || schema[*word].is_array())
}

fn range(schema: &Value, least: &str, most: &str, unit: &str) -> String {
    match (&schema[least], &schema[most]) {
        (Value::Null, Value::Null) => String::new(),
        (least, Value::Null) if *least == 1 => {
            format!(", at least 1{}", unit.trim_end_matches('s'))
        }
        (least, Value::Null) => format!(", at least {least}{unit}"),
        (Value::Null, most) => format!(", at most {most}{unit}"),
        (least, most) => format!(", {least} to {most}{unit}"),
    }
}

fn shown_default(default: &Value) -> String {
    let scalar = !matches!(default, Value::Object(map) if !map.is_empty())
        && !matches!(default, Value::Array(items) if items.len() > 4);
    if scalar {
        cell(&format!("`{default}`"))
    } else {
        String::new()
    }
}

fn names(required: &Value) -> Vec<&str> {
    let list = required.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
