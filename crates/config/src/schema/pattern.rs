//! Patterns in the dialect of the schema: ECMAScript with the Unicode flag (02 §12.4).
//!
//! Look-aheads, what `.` and `\s` mean and where `$` matches differ from the crate `regex`, so that
//! crate can't be used here.

use regress::{Flags, Regex};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

type Compiled = HashMap<&'static str, Option<Arc<Regex>>>;

/// Whether a text has the form of a pattern of the shipped schema. Each pattern is compiled once.
///
/// A pattern that can't be compiled matches nothing; a test compiles all of them.
pub(super) fn matches(pattern: &'static str, text: &str) -> bool {
    static COMPILED: RwLock<Option<Compiled>> = RwLock::new(None);
    let known = COMPILED
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .and_then(|patterns| patterns.get(pattern).cloned());
    let regex = known.unwrap_or_else(|| {
        let regex = compile(pattern).map(Arc::new);
        COMPILED
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(HashMap::new)
            .insert(pattern, regex.clone());
        regex
    });
    regex.is_some_and(|regex| regex.find(text).is_some())
}

fn compile(pattern: &str) -> Option<Regex> {
    let flags = Flags {
        unicode: true,
        ..Flags::default()
    };
    Regex::with_flags(pattern, flags).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_is_ecmascript_with_the_unicode_flag() {
        let https = "^https://.+";
        assert!(matches(https, "https://a\nb"));
        for line_end in ['\n', '\r', '\u{2028}', '\u{2029}'] {
            assert!(!matches(https, &format!("https://{line_end}")));
        }
        assert!(
            !matches("^[a-z]+$", "abc\n"),
            "$ is the end of the text only"
        );
        assert!(matches(r"^\s$", "\u{feff}") && !matches(r"^\s$", "\u{85}"));
        assert!(!matches(r"^\d$", "٣"));
        assert!(matches("^.$", "😀"), "one code point");
        assert!(matches("b", "abc"), "not anchored");
        assert!(matches(r"^(?!.*\.\.)a.*$", "a.b") && !matches(r"^(?!.*\.\.)a.*$", "a..b"));
    }

    #[test]
    fn every_pattern_of_the_schema_compiles() {
        fn walk(schema: &serde_json::Value, found: &mut Vec<String>) {
            match schema {
                serde_json::Value::Object(map) => {
                    if let Some(serde_json::Value::String(pattern)) = map.get("pattern") {
                        found.push(pattern.clone());
                    }
                    map.values().for_each(|value| walk(value, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|v| walk(v, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        walk(super::super::value(super::super::Form::Full), &mut found);
        assert!(found.len() > 10);
        for pattern in found {
            assert!(compile(&pattern).is_some(), "{pattern}");
        }
    }
}
