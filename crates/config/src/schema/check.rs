//! Walks a document along the schema and gathers everything that it violates.
//!
//! The keywords are those of [`KEYWORDS`]; a test holds the schema to them.

mod union;

use super::sentence::{self, Kind};
use super::{pattern, suggest};
use crate::document::{Document, shown};
use crate::jsonc::is_beyond;
use crate::pointer;
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// The keywords that the walk understands; the second half only describes.
#[cfg(test)]
pub(super) const KEYWORDS: &[&str] = &[
    "$ref",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "if",
    "then",
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
];

type Schema = &'static Map<String, Value>;

/// All violations, each once, in the order of the document.
pub(super) fn check(document: &Document, root: &'static Value) -> Vec<Finding> {
    let Value::Object(root) = root else {
        return Vec::new();
    };
    let walk = Walk {
        document,
        root,
        suggestions: Cell::new(MAX_SUGGESTIONS),
    };
    let mut violations = Vec::new();
    walk.value(root, None, document.value(), "", &mut violations);
    let mut seen = HashSet::new();
    let mut positions = Positions::default();
    let mut ordered: Vec<_> = violations
        .into_iter()
        .filter(|finding| seen.insert((finding.code.clone(), finding.pointer.clone())))
        .map(|finding| (positions.path(document.value(), &finding), finding))
        .collect();
    ordered.sort_by(|a, b| a.0.cmp(&b.0));
    ordered.into_iter().map(|(_, finding)| finding).collect()
}

/// Positions of members, looked up once per object.
#[derive(Default)]
struct Positions<'d>(HashMap<*const Map<String, Value>, HashMap<&'d str, usize>>);

impl<'d> Positions<'d> {
    /// The path of positions to a finding: an object comes before what it lacks, that before its
    /// members.
    fn path(&mut self, root: &'d Value, finding: &Finding) -> Vec<usize> {
        let mut out = Vec::new();
        let mut at = Some(root);
        for step in pointer::steps(finding.pointer.as_deref().unwrap_or_default()) {
            let found = match at {
                Some(Value::Object(map)) => self
                    .of(map)
                    .get(step.as_ref())
                    .map(|position| (*position, &map[step.as_ref()])),
                Some(Value::Array(items)) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|position| Some((position, items.get(position)?))),
                _ => None,
            };
            out.push(found.map_or(0, |(position, _)| position + 1));
            at = found.map(|(_, value)| value);
        }
        out
    }

    fn of(&mut self, map: &'d Map<String, Value>) -> &HashMap<&'d str, usize> {
        let members = || map.keys().enumerate();
        self.0.entry(std::ptr::from_ref(map)).or_insert_with(|| {
            members()
                .map(|(position, key)| (key.as_str(), position))
                .collect()
        })
    }
}

struct Walk<'d> {
    document: &'d Document,
    root: Schema,
    /// How many unknown keys may still be compared with the known ones: nobody reads more suggestions, and each
    /// costs a comparison with every name.
    suggestions: Cell<usize>,
}

/// See [`Walk::suggestions`].
const MAX_SUGGESTIONS: usize = 200;

impl Walk<'_> {
    /// Everything in which a value violates a schema. `about` describes the form that is expected:
    /// the words of a definition, not those of the member that uses it, which are about its meaning.
    fn value(
        &self,
        schema: Schema,
        about: Option<&'static str>,
        value: &Value,
        at: &str,
        out: &mut Vec<Finding>,
    ) {
        if let Some(target) = self.target(schema) {
            self.value(target, description(target), value, at, out);
        }
        // When one of these two fails, everything else would only repeat it.
        if let Some(constant) = schema.get("const")
            && !equal(constant, value)
        {
            out.push(self.other_than(constant, value, at));
            return;
        }
        if let Some(wanted) = schema.get("type")
            && !is_of_type(wanted, value)
        {
            out.push(self.of_other_kind(&Kind::of_types(wanted), value, at));
            return;
        }
        if let Some(Value::Array(members)) = schema.get("enum")
            && !members.iter().any(|member| equal(member, value))
        {
            out.push(self.none_of(&texts(members), value, at));
        }
        match value {
            Value::String(text) => self.text(schema, about, text, at, out),
            Value::Number(number) => self.number(schema, number, at, out),
            Value::Array(items) => self.list(schema, items, at, out),
            Value::Object(members) => self.object(schema, members, at, out),
            Value::Null | Value::Bool(_) => {}
        }
        if let Some(branches) = self.branches(schema, "anyOf") {
            self.any_of(&branches, about, value, at, out);
        }
        if let Some(branches) = self.branches(schema, "oneOf") {
            self.one_of(&branches, value, at, out);
        }
        if let (Some(Value::Object(condition)), Some(Value::Object(then))) =
            (schema.get("if"), schema.get("then"))
            && self.violations(condition, value, at).is_empty()
        {
            self.value(then, about, value, at, out);
        }
    }

    fn text(
        &self,
        schema: Schema,
        about: Option<&'static str>,
        text: &str,
        at: &str,
        out: &mut Vec<Finding>,
    ) {
        let length = text.chars().count() as u64;
        if let Some(least) = bound(schema, "minLength").filter(|least| length < *least) {
            let must = if least == 1 {
                "must not be empty".to_owned()
            } else {
                format!("must have at least {least} characters")
            };
            let message = format!("{} {must}.", self.path(at));
            let help = about.map_or_else(
                || "Write a longer text, or leave the key out where it may be absent.".to_owned(),
                sentence::expected,
            );
            out.push(self.finding("CONFIG_LENGTH", at, message).with_help(help));
        }
        if let Some(most) = bound(schema, "maxLength").filter(|most| length > *most) {
            let message = format!("{} must have at most {most} characters.", self.path(at));
            out.push(
                self.finding("CONFIG_LENGTH", at, message)
                    .with_help("Shorten it; a character is one Unicode code point."),
            );
            return; // a pattern is not run over a text that is too long anyway
        }
        if let Some(Value::String(wanted)) = schema.get("pattern")
            && !pattern::matches(wanted, text)
        {
            // The pattern itself comes last: it helps only those who read patterns.
            let message = format!("{} has another form than it must have.", self.path(at));
            let expected = sentence::expected(about.unwrap_or("a text of that form."));
            let help = format!("{expected} The pattern is {wanted}");
            out.push(self.finding("CONFIG_PATTERN", at, message).with_help(help));
        }
    }

    fn number(
        &self,
        schema: Schema,
        number: &serde_json::Number,
        at: &str,
        out: &mut Vec<Finding>,
    ) {
        let least = schema.get("minimum").and_then(Value::as_f64);
        let most = schema.get("maximum").and_then(Value::as_f64);
        let Some(found) = number.as_f64() else { return };
        let low = least.is_some_and(|least| found < least);
        if !low && !most.is_some_and(|most| found > most) {
            return;
        }
        let path = self.path(at);
        let message = match (low, schema.get("minimum"), schema.get("maximum")) {
            (true, Some(least), _) => format!("{path} must be >= {least}; this number is smaller."),
            (_, _, Some(most)) => format!("{path} must be <= {most}; this number is larger."),
            _ => return,
        };
        let help = match (schema.get("minimum"), schema.get("maximum")) {
            (Some(least), Some(most)) => format!("Write a number from {least} to {most}."),
            (Some(least), None) => format!("Write a number from {least} on."),
            (_, Some(most)) => format!("Write a number up to {most}."),
            _ => return,
        };
        out.push(self.finding("CONFIG_RANGE", at, message).with_help(help));
    }

    fn list(&self, schema: Schema, items: &[Value], at: &str, out: &mut Vec<Finding>) {
        let length = items.len() as u64;
        if let Some(least) = bound(schema, "minItems").filter(|least| length < *least) {
            let message = format!("{} must have at least {least} item.", self.path(at));
            out.push(
                self.finding("CONFIG_LENGTH", at, message)
                    .with_help("Add an item."),
            );
        }
        if let Some(most) = bound(schema, "maxItems").filter(|most| length > *most) {
            let message = format!("{} must have at most {most} items.", self.path(at));
            out.push(
                self.finding("CONFIG_LENGTH", at, message)
                    .with_help("Remove the items that aren't needed."),
            );
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true))
            && let Some((first, second)) = repeated(items)
        {
            let path = self.path(at);
            let message =
                format!("{path} must not repeat an item; [{second}] is the same as [{first}].");
            let mut finding = self.finding("CONFIG_DUPLICATE", at, message);
            if let Some(place) = self
                .document
                .place(&pointer::child(at, &second.to_string()))
            {
                finding.line = Some(place.line);
                finding.column = Some(place.column);
            }
            out.push(finding.with_help("Remove one of the two."));
        }
        if let Some(Value::Object(wanted)) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                let at = pointer::child(at, &index.to_string());
                self.value(wanted, None, item, &at, out);
            }
        }
    }

    fn object(
        &self,
        schema: Schema,
        members: &Map<String, Value>,
        at: &str,
        out: &mut Vec<Finding>,
    ) {
        let known = match schema.get("properties") {
            Some(Value::Object(known)) => Some(known),
            _ => None,
        };
        if let Some(Value::Array(required)) = schema.get("required") {
            for name in required.iter().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    let wanted = known.and_then(|known| known.get(name));
                    out.push(self.missing(wanted, name, at));
                }
            }
        }
        for (name, value) in members {
            let wanted = known.and_then(|known| known.get(name));
            match wanted.or_else(|| schema.get("additionalProperties")) {
                Some(Value::Object(wanted)) => {
                    self.value(wanted, None, value, &pointer::child(at, name), out);
                }
                Some(Value::Bool(false)) => out.push(self.unknown(known, members, name, at)),
                _ => {}
            }
        }
    }

    fn violations(&self, schema: Schema, value: &Value, at: &str) -> Vec<Finding> {
        let mut out = Vec::new();
        self.value(schema, description(schema), value, at, &mut out);
        out
    }

    fn target(&self, schema: Schema) -> Option<Schema> {
        let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        self.root.get("$defs")?.get(name)?.as_object()
    }

    fn path(&self, at: &str) -> String {
        shown(self.document.value(), at)
    }

    fn finding(&self, code: &str, at: &str, message: String) -> Finding {
        self.document.finding(code, Severity::Error, at, message)
    }

    fn of_other_kind(&self, kinds: &[Kind], value: &Value, at: &str) -> Finding {
        let message = format!(
            "{} must be {}, but it is {}.",
            self.path(at),
            sentence::any_of(kinds),
            Kind::of(value).found()
        );
        self.finding("CONFIG_TYPE", at, message)
            .with_help(format!("Write {}.", sentence::any_spelled(kinds)))
    }

    fn other_than(&self, constant: &Value, value: &Value, at: &str) -> Finding {
        if at == "/contractVersion" {
            let found = match value {
                Value::Number(number) => format!("the number {number}"),
                other => Kind::of(other).found().to_owned(),
            };
            let message = format!(
                "contractVersion in {} must be 1, the only version that this program supports, but it is {found}.",
                self.document.file()
            );
            return self
                .finding("CONFIG_VERSION", at, message)
                .with_help(sentence::UPGRADE_NOTE);
        }
        self.none_of(&texts(std::slice::from_ref(constant)), value, at)
    }

    fn none_of(&self, members: &[&str], value: &Value, at: &str) -> Finding {
        let listed = members.join(", ");
        let message = match value {
            Value::String(_) if !is_beyond(value) => {
                format!(
                    "{} must be one of: {listed}; this text is another.",
                    self.path(at)
                )
            }
            other => format!(
                "{} must be one of: {listed}; but it is {}.",
                self.path(at),
                Kind::of(other).found()
            ),
        };
        let near = value
            .as_str()
            .and_then(|text| suggest::nearest(text, members.iter().copied()));
        let help = match (near, members) {
            (Some(near), _) => format!("Did you mean \"{near}\"?"),
            (None, [only]) => format!("Write \"{only}\"."),
            (None, _) => "Write one of them.".to_owned(),
        };
        self.finding("CONFIG_ENUM", at, message).with_help(help)
    }

    fn missing(&self, wanted: Option<&'static Value>, name: &str, at: &str) -> Finding {
        let at = pointer::child(at, name);
        let message = format!("{} is required.", self.path(&at));
        let help = if at == "/contractVersion" {
            "Add \"contractVersion\": 1.".to_owned()
        } else {
            let wanted = wanted.and_then(Value::as_object);
            match wanted.and_then(description) {
                Some(about) => format!("Add \"{name}\": {about}"),
                None => format!("Add \"{name}\"."),
            }
        };
        self.finding("CONFIG_REQUIRED", &at, message)
            .with_help(help)
    }

    fn unknown(
        &self,
        known: Option<&'static Map<String, Value>>,
        members: &Map<String, Value>,
        name: &str,
        at: &str,
    ) -> Finding {
        let here = pointer::child(at, name);
        let message = format!("{} is not allowed.", self.path(&here));
        let mut finding = self.finding("CONFIG_UNKNOWN_KEY", &here, message);
        if let Some(place) = self.document.key_place(&here) {
            finding.line = Some(place.line);
            finding.column = Some(place.column);
        }
        let names = || known.into_iter().flat_map(Map::keys).map(String::as_str);
        let free = names().filter(|known| !members.contains_key(*known));
        if let Some(help) = suggest::elsewhere(&here) {
            return finding.with_help(help);
        }
        let left = self.suggestions.get();
        if left == 0 {
            return finding.with_help("Remove it, or look it up in the schema.");
        }
        self.suggestions.set(left - 1);
        if let Some(near) = suggest::nearest(name, free) {
            return finding.with_help(format!("Did you mean \"{near}\"?"));
        }
        if let Some(near) = suggest::nearest(name, names()) {
            let help = format!("Did you mean \"{near}\"? It is there too; merge the two.");
            return finding.with_help(help);
        }
        if let Some(help) = suggest::place_of(name, &here) {
            return finding.with_help(help);
        }
        finding.with_help(suggest::known(name, names()))
    }
}

fn description(schema: Schema) -> Option<&'static str> {
    schema.get("description")?.as_str()
}

fn bound(schema: Schema, keyword: &str) -> Option<u64> {
    schema.get(keyword)?.as_u64()
}

fn texts(members: &[Value]) -> Vec<&str> {
    members.iter().filter_map(Value::as_str).collect()
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(any) => any.iter().any(|one| is_of_type(one, value)),
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string() && !is_beyond(value),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "number" => value.is_number(),
            "integer" => match value {
                Value::Number(number) => {
                    number.is_u64()
                        || number.is_i64()
                        || number.as_f64().is_some_and(|n| n.fract() == 0.0)
                }
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

/// Equality of JSON values: `1.0` is `1`.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// The first item that stood before, and where. Texts are looked up; anything else is compared
/// with all items before it that aren't texts.
fn repeated(items: &[Value]) -> Option<(usize, usize)> {
    let mut texts = HashMap::new();
    let mut others: Vec<(usize, &Value)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Value::String(text) = item {
            if let Some(first) = texts.insert(text, index) {
                return Some((first, index));
            }
            continue;
        }
        if let Some((first, _)) = others.iter().find(|(_, other)| equal(other, item)) {
            return Some((*first, index));
        }
        others.push((index, item));
    }
    None
}

#[cfg(test)]
mod tests;
