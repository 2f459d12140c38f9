//! Bounding, and on demand redacting, any JSON value (01 §6.1).

use super::redact::{Redaction, Redactor};
use aho_corasick::AhoCorasick;
use open_cowork_contracts::JsonObject;
use serde_json::Value;
use std::borrow::Cow;
use std::io;
use std::sync::LazyLock;

/// Stands for the value of a secret-like key.
pub const REDACTED_MARKER: &str = "[REDACTED_RUNTIME_VALUE]";
/// Stands for what the bounds cut off.
pub const TRUNCATED_MARKER: &str = "[TRUNCATED_RUNTIME_VALUE]";

/// Deepest level; the root is 0.
const MAX_DEPTH: usize = 12;
/// Most values, the root included.
const MAX_NODES: usize = 2048;
/// Most entries of one array or object.
pub(super) const MAX_ENTRIES: usize = 256;
/// Longest string, UTF-8 bytes.
const MAX_STRING_BYTES: usize = 65_536;
/// Longest key, UTF-8 bytes.
const MAX_KEY_BYTES: usize = 256;
/// Longest JSON text of the whole value, bytes.
const MAX_SERIALIZED_BYTES: usize = 524_288;

/// What the walker does to strings.
#[derive(Clone, Copy)]
pub(super) enum Treatment<'a> {
    /// Bounds only: product text survives byte for byte.
    Bound,
    /// Bounds and redaction.
    Redact {
        redactor: &'a Redactor,
        redaction: Redaction,
        managed: &'a [&'a str],
    },
}

/// One walk over one value.
pub(super) struct Walker<'a> {
    treatment: Treatment<'a>,
    nodes: usize,
    /// Upper bound of the JSON text so far; only when it passes the limit is the text measured.
    size: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(treatment: Treatment<'a>) -> Self {
        Walker {
            treatment,
            nodes: 0,
            size: 0,
        }
    }

    /// The value within bounds; `None` when it is a file that redaction drops.
    pub(super) fn value(mut self, value: &Value) -> Option<Value> {
        let walked = self.visit(value, 0)?;
        Some(self.measured(walked))
    }

    /// The record form: an object stays one, the marker becomes `{truncated: marker}`, all else `{}`.
    pub(super) fn record(mut self, object: &JsonObject) -> JsonObject {
        let Some(walked) = self.visit_object(object, 0, 1) else {
            return JsonObject::new();
        };
        if self.size > MAX_SERIALIZED_BYTES && serialized_len(&walked) > MAX_SERIALIZED_BYTES {
            return truncated_record();
        }
        walked
    }

    /// Like [`Self::record`], with another treatment for the listed keys of the root.
    pub(super) fn record_except(
        mut self,
        object: &JsonObject,
        skipped: &str,
        exact: &[&str],
        exact_treatment: Treatment<'a>,
    ) -> JsonObject {
        if self.is_dropped_file(object) {
            return JsonObject::new();
        }
        self.nodes = 1;
        let ordinary = self.treatment;
        let mut out = JsonObject::with_capacity(object.len().min(MAX_ENTRIES + 1));
        for (count, (key, value)) in object.iter().enumerate() {
            if count == MAX_ENTRIES {
                out.insert("truncated".to_owned(), TRUNCATED_MARKER.into());
                break;
            }
            if key == skipped {
                continue;
            }
            self.treatment = if exact.contains(&key.as_str()) {
                exact_treatment
            } else {
                ordinary
            };
            self.entry(&mut out, key, value, 0);
        }
        if self.size > MAX_SERIALIZED_BYTES && serialized_len(&out) > MAX_SERIALIZED_BYTES {
            return truncated_record();
        }
        out
    }

    fn visit(&mut self, value: &Value, depth: usize) -> Option<Value> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            self.size += TRUNCATED_MARKER.len() + 2;
            return Some(TRUNCATED_MARKER.into());
        }
        self.size += 32; // the longest number, or the brackets and a comma
        Some(match value {
            Value::String(text) => Value::String(self.string(text)),
            Value::Array(items) => Value::Array(self.array(items, depth)),
            Value::Object(object) => Value::Object(self.visit_object(object, depth, 0)?),
            scalar => scalar.clone(),
        })
    }

    fn array(&mut self, items: &[Value], depth: usize) -> Vec<Value> {
        let mut out = Vec::with_capacity(items.len().min(MAX_ENTRIES + 1));
        for item in items.iter().take(MAX_ENTRIES) {
            out.extend(self.visit(item, depth + 1));
        }
        if items.len() > MAX_ENTRIES {
            out.push(TRUNCATED_MARKER.into());
        }
        out
    }

    fn visit_object(
        &mut self,
        object: &JsonObject,
        depth: usize,
        nodes: usize,
    ) -> Option<JsonObject> {
        if self.is_dropped_file(object) {
            return None;
        }
        self.nodes += nodes;
        let mut out = JsonObject::with_capacity(object.len().min(MAX_ENTRIES + 1));
        for (count, (key, value)) in object.iter().enumerate() {
            if count == MAX_ENTRIES {
                out.insert("truncated".to_owned(), TRUNCATED_MARKER.into());
                break;
            }
            self.entry(&mut out, key, value, depth);
        }
        Some(out)
    }

    fn entry(&mut self, out: &mut JsonObject, key: &str, value: &Value, depth: usize) {
        if matches!(key, "" | "__proto__" | "constructor" | "prototype") {
            return;
        }
        let walked = if self.redacts() && is_secret_key(key) {
            Some(REDACTED_MARKER.into())
        } else {
            self.visit(value, depth + 1)
        };
        let Some(walked) = walked else { return };
        let name = self.key(key);
        self.size += name.len() * 6 + 3;
        let name = free_name(out, name);
        out.insert(name, walked);
    }

    fn key(&self, key: &str) -> String {
        let redacted = self.redacted(key);
        head(&redacted, MAX_KEY_BYTES).to_owned()
    }

    fn string(&mut self, text: &str) -> String {
        let redacted = self.redacted(text);
        self.size += redacted
            .len()
            .min(MAX_STRING_BYTES + TRUNCATED_MARKER.len())
            * 6;
        bounded(redacted)
    }

    fn redacted<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.treatment {
            Treatment::Bound => Cow::Borrowed(text),
            Treatment::Redact {
                redactor,
                redaction,
                managed,
            } => redactor.redact_managed(text, redaction, managed),
        }
    }

    fn redacts(&self) -> bool {
        matches!(self.treatment, Treatment::Redact { .. })
    }

    fn is_dropped_file(&self, object: &JsonObject) -> bool {
        self.redacts() && is_file(object)
    }

    fn measured(&self, value: Value) -> Value {
        if self.size > MAX_SERIALIZED_BYTES && serialized_len(&value) > MAX_SERIALIZED_BYTES {
            return TRUNCATED_MARKER.into();
        }
        value
    }
}

/// True when an object says that it is a file.
pub(super) fn is_file(object: &JsonObject) -> bool {
    object.get("type").is_some_and(|kind| kind == "file")
}

/// `{truncated: marker}`.
fn truncated_record() -> JsonObject {
    let mut record = JsonObject::new();
    record.insert("truncated".to_owned(), TRUNCATED_MARKER.into());
    record
}

/// True when the raw name of a key says that its value is secret. Substrings count, as in the contract
/// (01 §16 #16): `max_tokens` is hidden too.
fn is_secret_key(key: &str) -> bool {
    #[allow(clippy::expect_used)] // constant words
    static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(aho_corasick::AhoCorasickKind::DFA))
            .build([
                "authorization",
                "cookie",
                "credential",
                "password",
                "passwd",
                "private-key",
                "private_key",
                "privatekey",
                "secret",
                "signature",
                "token",
                "api-key",
                "api_key",
                "apikey",
            ])
            .expect("constant words build")
    });
    // The shortest word has five letters.
    key.len() >= 5 && WORDS.is_match(key)
}

/// The string cut at the longest that is stored, with the marker after the cut.
pub(super) fn bounded(text: Cow<'_, str>) -> String {
    if text.len() > MAX_STRING_BYTES {
        return format!("{}{TRUNCATED_MARKER}", head(&text, MAX_STRING_BYTES));
    }
    text.into_owned()
}

/// The longest head of at most `bytes` bytes that ends between characters.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The name, or the first of `name#2`, `name#3`, … that is free.
fn free_name(out: &JsonObject, name: String) -> String {
    if !out.contains_key(&name) {
        return name;
    }
    let mut n = 2;
    loop {
        let numbered = format!("{name}#{n}");
        if !out.contains_key(&numbered) {
            return numbered;
        }
        n += 1;
    }
}

fn serialized_len<T: serde::Serialize>(value: &T) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        // JSON values always serialize; if one didn't, it must not pass the bound.
        Err(_) => usize::MAX,
    }
}

/// True when [`Treatment::Bound`] would leave the object as it is; looks without copying.
pub(super) fn is_within_bounds(object: &JsonObject) -> bool {
    let mut nodes = 0;
    let mut size = 0;
    object_fits(object, 0, &mut nodes, &mut size)
        && nodes < MAX_NODES
        && size <= MAX_SERIALIZED_BYTES
}

fn object_fits(object: &JsonObject, depth: usize, nodes: &mut usize, size: &mut usize) -> bool {
    object.len() <= MAX_ENTRIES
        && object.iter().all(|(key, value)| {
            *size += key.len() * 6 + 3;
            key.len() <= MAX_KEY_BYTES
                && !matches!(key.as_str(), "" | "__proto__" | "constructor" | "prototype")
                && value_fits(value, depth + 1, nodes, size)
        })
}

fn value_fits(value: &Value, depth: usize, nodes: &mut usize, size: &mut usize) -> bool {
    *nodes += 1;
    *size += 32;
    if *nodes >= MAX_NODES || depth > MAX_DEPTH {
        return false;
    }
    match value {
        Value::String(text) => {
            *size += text.len() * 6;
            text.len() <= MAX_STRING_BYTES
        }
        Value::Array(items) => {
            items.len() <= MAX_ENTRIES
                && items
                    .iter()
                    .all(|item| value_fits(item, depth + 1, nodes, size))
        }
        Value::Object(object) => object_fits(object, depth, nodes, size),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            4 => "[a-z_]{0,6}".prop_map(String::from),
            1 => (65_530usize..65_540).prop_map(|length| "x".repeat(length)),
        ];
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(14, 60, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                (250usize..260).prop_map(|length| Value::from(vec![0; length])),
                prop::collection::vec(("[a-z_]{0,9}", inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The look that spares product text a copy agrees with the walk that bounds it.
        #[test]
        fn what_fits_is_what_bounding_leaves_alone(values in prop::collection::vec(value(), 0..12)) {
            let object: JsonObject = values.into_iter().zip(0..).map(|(value, n)| (format!("k{n}"), value)).collect();
            let walked = Walker::new(Treatment::Bound).record(&object);
            if is_within_bounds(&object) {
                prop_assert_eq!(&walked, &object);
            } else if serialized_len(&object) * 7 < MAX_SERIALIZED_BYTES {
                // Only the text size may be judged too carefully.
                prop_assert_ne!(&walked, &object);
            }
        }
    }

    #[test]
    fn the_node_limit_is_exact() {
        let object = |nodes: usize| -> JsonObject {
            // A key, its list, and lists of at most 255 numbers inside: 8 × 256 − 1 nodes and the rest.
            let full: Vec<Value> = (0..7).map(|_| json!(vec![0; 255])).collect();
            let mut lists = full;
            lists.push(json!(vec![0; nodes - 2 - 7 * 256 - 1]));
            JsonObject::from_iter([("k".to_owned(), Value::from(lists))])
        };
        assert!(is_within_bounds(&object(2048)));
        assert_eq!(
            Walker::new(Treatment::Bound).record(&object(2048)),
            object(2048)
        );
        assert!(!is_within_bounds(&object(2049)));
        assert_ne!(
            Walker::new(Treatment::Bound).record(&object(2049)),
            object(2049)
        );
    }
}
