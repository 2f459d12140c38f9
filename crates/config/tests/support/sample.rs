//! Documents made from the schema itself: one with every key, and any number of others.

use open_cowork_config::pointer;
use open_cowork_config::schema::{self, Form};
use serde_json::{Map, Value, json};

/// Decides what the schema leaves open. `pointer` names the place.
pub trait Choose {
    /// Which of `count` branches of a union; `null` is one of them where it is allowed.
    fn branch(&mut self, pointer: &str, count: usize) -> usize;
    /// Whether a member that may be absent is there.
    fn present(&mut self, pointer: &str) -> bool;
    /// How many items or free members, when `least` to `most` are sensible.
    fn count(&mut self, pointer: &str, least: usize, most: usize) -> usize;
    /// A number between the bounds of the schema.
    fn number(&mut self, schema: &Map<String, Value>) -> Value;
    /// A text that the schema allows.
    fn text(&mut self, pointer: &str, schema: &Map<String, Value>) -> String;
    /// One of the members of an enum.
    fn member<'s>(&mut self, members: &'s [Value]) -> &'s Value;
    /// The value of a member of an open object.
    fn free(&mut self, pointer: &str) -> Value;
}

/// A document that the schema accepts.
pub fn document(form: Form, choose: &mut dyn Choose) -> Value {
    let root = schema::value(form);
    build(root, root, String::new(), choose)
}

/// The document with every key: lists have one item, maps the one member `sample`, and unions
/// take the branch of that number (modulo their count). `text` makes the texts; [`allowed_text`]
/// makes one that the schema allows.
pub fn maximal(branch: usize, text: &mut dyn FnMut(&str, &Map<String, Value>) -> String) -> Value {
    document(Form::Full, &mut Everything { branch, text })
}

struct Everything<'t> {
    branch: usize,
    text: &'t mut dyn FnMut(&str, &Map<String, Value>) -> String,
}

impl Choose for Everything<'_> {
    fn branch(&mut self, _: &str, count: usize) -> usize {
        self.branch % count
    }
    fn present(&mut self, _: &str) -> bool {
        true
    }
    fn count(&mut self, _: &str, _: usize, _: usize) -> usize {
        1
    }
    fn number(&mut self, schema: &Map<String, Value>) -> Value {
        schema.get("minimum").cloned().unwrap_or_else(|| json!(7))
    }
    fn text(&mut self, pointer: &str, schema: &Map<String, Value>) -> String {
        (self.text)(pointer, schema)
    }
    fn member<'s>(&mut self, members: &'s [Value]) -> &'s Value {
        &members[self.branch % members.len()]
    }
    fn free(&mut self, pointer: &str) -> Value {
        let inner = (self.text)(pointer, &Map::new());
        json!({"inner": [inner]})
    }
}

/// Choices from bytes, so that a property test can shrink them; after the last byte the smallest
/// choice is taken.
pub struct Bytes<'b> {
    bytes: &'b [u8],
}

impl<'b> Bytes<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Bytes { bytes }
    }

    pub fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(*first) % count.max(1)
    }
}

impl Choose for Bytes<'_> {
    fn branch(&mut self, _: &str, count: usize) -> usize {
        self.below(count)
    }
    fn present(&mut self, pointer: &str) -> bool {
        // The more often the deeper, so that bytes reach all parts of the document.
        let share = if pointer::steps(pointer).count() == 1 {
            2
        } else {
            3
        };
        self.below(share) == 1
    }
    fn count(&mut self, _: &str, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }
    fn number(&mut self, schema: &Map<String, Value>) -> Value {
        let whole = schema["type"] == "integer" || schema["type"] == json!(["integer", "null"]);
        let least = schema.get("minimum").and_then(Value::as_u64);
        let most = schema.get("maximum").and_then(Value::as_u64);
        match self.below(5) {
            0 => json!(least.unwrap_or(0)),
            1 => json!(most.unwrap_or(9_007_199_254_740_991)),
            // The same number, spelled otherwise.
            2 => json!(least.unwrap_or(3) as f64),
            3 if !whole => json!(least.map_or(-0.25, |least| least as f64 + 0.5).min(1.0)),
            _ => json!(least.unwrap_or(0) + u64::from(most.is_none())),
        }
    }
    fn text(&mut self, _: &str, schema: &Map<String, Value>) -> String {
        let examples = examples(schema.get("pattern").and_then(Value::as_str));
        if !examples.is_empty() {
            return examples[self.below(examples.len())].to_owned();
        }
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0) as usize;
        let most = schema
            .get("maxLength")
            .and_then(Value::as_u64)
            .unwrap_or(20) as usize;
        let length = match self.below(4) {
            0 => least,
            1 => most,
            _ => least + self.below(most - least + 1).min(12),
        };
        let alphabet = ['a', '😀', ' ', '"', 'é', '\u{2028}', '/', '0'];
        (0..length)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
    fn member<'s>(&mut self, members: &'s [Value]) -> &'s Value {
        &members[self.below(members.len())]
    }
    fn free(&mut self, _: &str) -> Value {
        match self.below(5) {
            0 => Value::Null,
            1 => json!(28.0),
            2 => json!({"a": [1, "x", {"b": null}]}),
            3 => json!("free"),
            _ => json!(true),
        }
    }
}

/// A text that a schema of type string allows.
pub fn allowed_text(schema: &Map<String, Value>) -> String {
    if let Some(example) = examples(schema.get("pattern").and_then(Value::as_str)).first() {
        return (*example).to_owned();
    }
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0) as usize;
    "x".repeat(least.max(1))
}

/// Texts that have the form of a pattern of the schema.
///
/// # Panics
/// For a pattern that isn't listed: list it.
pub fn examples(pattern: Option<&str>) -> &'static [&'static str] {
    let Some(pattern) = pattern else { return &[] };
    match pattern {
        "^https://.+" => &["https://site.example.com/a", "https://a\nb"],
        r"^mailto:[^\s@]+@[^\s@]+\.[^\s@]+$" => &["mailto:help@example.com"],
        r"^(https://|http://(127\.0\.0\.1|localhost)(:[0-9]+)?/).+" => &[
            "https://site.example.com",
            "http://localhost:3000/x",
            "http://127.0.0.1/x",
        ],
        "^(https://|mailto:).+" => &["https://site.example.com", "mailto:x"],
        "^[A-Za-z0-9][A-Za-z0-9_.:-]*$" => &["name", "A:b.c_d-1"],
        "^[a-z0-9][a-z0-9-]*$" => &["night-1", "0"],
        "^[A-Fa-f0-9]{64}$" => {
            &["0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789"]
        }
        "^[A-Za-z0-9._-]+$" => &["stable", ".."],
        "^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$" => &["example-org", "x"],
        "^/[A-Za-z0-9/_-]*$" => &["/", "/auth/call-back_1"],
        "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$" => &["resource:1.a-b"],
        r"^[#A-Za-z0-9(),.%\s-]+$" => &["0 1px 2px rgba(0, 0, 0, 0.5)", "url(x.png)", "\u{feff}"],
        _ if pattern.starts_with(r"^(?![A-Za-z][A-Za-z0-9+.-]*:)") => {
            &["branding/logo.svg", r"a\b.png", "a..b.gif"]
        }
        _ if pattern.starts_with(r"^(?!.*\.\.)(?!\d{1,3}") => &["bucket-1", "1.2.3.4.5"],
        _ if pattern.starts_with("^(?!/)") => &["", "a/b", "a..b/c"],
        _ if pattern.starts_with("^(#(?:[0-9A-Fa-f]{3}|") => &[
            "#2f6bf0",
            "notacolor",
            "rgb(0, 0, 0)",
            "hsla(0 0% 0%)",
            "#1234",
        ],
        other => panic!("tests/support/sample.rs has no example for the pattern {other}"),
    }
}

fn build(root: &Value, schema: &Value, at: String, choose: &mut dyn Choose) -> Value {
    let schema = schema.as_object().unwrap();
    if let Some(Value::String(target)) = schema.get("$ref") {
        let name = target.strip_prefix("#/$defs/").unwrap();
        return build(root, &root["$defs"][name], at, choose);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(Value::Array(members)) = schema.get("enum") {
        return choose.member(members).clone();
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = schema.get(keyword) {
            let branch = choose.branch(&at, branches.len());
            let built = build(root, &branches[branch], at, choose);
            return with_kind(root, &branches[branch], built);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[choose.branch(&at, kinds.len())].as_str().unwrap(),
        kind => kind.as_str().unwrap(),
    };
    match kind {
        "null" => Value::Null,
        "boolean" => Value::Bool(choose.branch(&at, 2) == 0),
        "string" => choose.text(&at, schema).into(),
        "number" | "integer" => choose.number(schema),
        "array" => {
            let least = schema
                .get("minItems")
                .map_or(0, |n| n.as_u64().unwrap() as usize);
            let count = choose.count(&at, least, 2);
            let mut items: Vec<Value> = Vec::new();
            for index in 0..count {
                let item = build(
                    root,
                    &schema["items"],
                    pointer::child(&at, &index.to_string()),
                    choose,
                );
                if schema.get("uniqueItems").is_none() || !items.contains(&item) {
                    items.push(item);
                }
            }
            items.into()
        }
        "object" => object(root, schema, at, choose),
        other => panic!("{at} is of type {other}"),
    }
}

fn object(root: &Value, schema: &Map<String, Value>, at: String, choose: &mut dyn Choose) -> Value {
    let mut out = Map::new();
    if let Some(Value::Object(members)) = schema.get("properties") {
        for (name, member) in members {
            let below = pointer::child(&at, name);
            let required = schema
                .get("required")
                .is_some_and(|required| required.as_array().unwrap().contains(&json!(name)));
            if required || choose.present(&below) {
                out.insert(name.clone(), build(root, member, below, choose));
            }
        }
    }
    let free = match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(free @ Value::Object(_)) => Some(Some(free)),
        _ => Some(None),
    };
    if let Some(free) = free {
        for index in 0..choose.count(&at, 0, 2) {
            let name = ["sample", "a b/c"][index];
            let below = pointer::child(&at, name);
            let value = match free {
                Some(schema) => build(root, schema, below, choose),
                None => choose.free(&below),
            };
            out.insert(name.to_owned(), value);
        }
    }
    if let (Some(condition), Some(then)) = (schema.get("if"), schema.get("then"))
        && holds(condition, &out)
    {
        fulfil(root, then, schema, &mut out, &at, choose);
    }
    out.into()
}

/// Whether the simple conditions of the schema (members that are one of a few texts) hold.
fn holds(condition: &Value, members: &Map<String, Value>) -> bool {
    condition["properties"]
        .as_object()
        .unwrap()
        .iter()
        .all(|(name, wanted)| {
            members
                .get(name)
                .is_some_and(|value| wanted["enum"].as_array().unwrap().contains(value))
        })
}

/// Adds what a condition requires.
fn fulfil(
    root: &Value,
    then: &Value,
    schema: &Map<String, Value>,
    out: &mut Map<String, Value>,
    at: &str,
    choose: &mut dyn Choose,
) {
    for name in then["required"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let below = pointer::child(at, name);
        let stronger = then
            .get("properties")
            .and_then(|members| members.get(name))
            .filter(|stronger| {
                stronger.get("type").is_some() || stronger.get("required").is_some()
            });
        if let Some(inner) = stronger.filter(|inner| inner.get("required").is_some()) {
            let members = out.entry(name).or_insert_with(|| json!({}));
            fulfil(
                root,
                inner,
                &Map::new(),
                members.as_object_mut().unwrap(),
                &below,
                choose,
            );
            continue;
        }
        if out.contains_key(name) && stronger.is_none() {
            continue;
        }
        let own = schema
            .get("properties")
            .and_then(|members| members.get(name));
        let value = build(root, stronger.or(own).unwrap(), below, choose);
        out.insert(name.to_owned(), value);
    }
}

/// A branch of the overlay's union needs its kind to be singled out.
fn with_kind(root: &Value, branch: &Value, mut built: Value) -> Value {
    let branch = match branch.get("$ref").and_then(Value::as_str) {
        Some(target) => &root["$defs"][target.strip_prefix("#/$defs/").unwrap()],
        None => branch,
    };
    let kind = branch.pointer("/properties/kind/const");
    if let (Some(kind), Value::Object(members)) = (kind, &mut built) {
        members.insert("kind".to_owned(), kind.clone());
    }
    built
}
