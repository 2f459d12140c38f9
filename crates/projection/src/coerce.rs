//! Reading open JSON as the contract reads it (01 §4.1).

use open_cowork_contracts::view::Tokens;
use open_cowork_contracts::{JsNumber, JsonObject};
use serde_json::Value;

/// What JavaScript's `trim` strips: Rust's `trim` also strips U+0085 and keeps U+FEFF.
pub(crate) fn is_js_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// `trim` of JavaScript.
pub(crate) fn js_trim(text: &str) -> &str {
    text.trim_matches(is_js_space)
}

/// True for a string of which `trim` leaves nothing.
pub(crate) fn is_blank(text: &str) -> bool {
    match text.as_bytes().first() {
        None => true,
        // The common case needs no scan: a string that begins with a visible ASCII character.
        Some(0x21..=0x7e) => false,
        Some(_) => js_trim(text).is_empty(),
    }
}

/// `str(v)`: a string that isn't blank, verbatim.
pub(crate) fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::String(text)) if !is_blank(text) => Some(text),
        _ => None,
    }
}

/// `str(v, d)`, owned.
pub(crate) fn text_or(value: Option<&Value>, default: &str) -> String {
    text(value).unwrap_or(default).to_owned()
}

/// `nstr(v)`: trimmed, `None` when blank.
pub(crate) fn trimmed(value: Option<&Value>) -> Option<&str> {
    text(value).map(js_trim)
}

/// `nstr(v)`, owned.
pub(crate) fn trimmed_owned(value: Option<&Value>) -> Option<String> {
    trimmed(value).map(str::to_owned)
}

/// A finite number; numeric strings don't count, negatives do.
pub(crate) fn number(value: Option<&Value>) -> Option<f64> {
    value?.as_f64().filter(|n| n.is_finite())
}

/// `num(v, d)`.
pub(crate) fn number_or(value: Option<&Value>, default: f64) -> JsNumber {
    JsNumber(number(value).unwrap_or(default))
}

/// `rec(v)`: the object, if it is one.
pub(crate) fn record(value: Option<&Value>) -> Option<&JsonObject> {
    value?.as_object()
}

/// `idOf(payload, keys)`: the first key that holds a string that isn't blank.
pub(crate) fn id_of<'a>(payload: &'a JsonObject, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| text(payload.get(*key)))
}

/// `tokens(v)`.
pub(crate) fn tokens(value: Option<&Value>) -> Tokens {
    let Some(fields) = record(value) else {
        return Tokens::default();
    };
    let cache = record(fields.get("cache"));
    let cached = |flat: &str, nested: &str| {
        number(fields.get(flat))
            .or_else(|| number(cache?.get(nested)))
            .unwrap_or(0.0)
            .into()
    };
    Tokens {
        input: number_or(fields.get("input"), 0.0),
        output: number_or(fields.get("output"), 0.0),
        reasoning: number_or(fields.get("reasoning"), 0.0),
        cache_read: cached("cacheRead", "read"),
        cache_write: cached("cacheWrite", "write"),
    }
}

/// Adds token sums, component by component, in event order.
pub(crate) fn add_tokens(sum: &mut Tokens, more: Tokens) {
    sum.input += more.input.0;
    sum.output += more.output.0;
    sum.reasoning += more.reasoning.0;
    sum.cache_read += more.cache_read.0;
    sum.cache_write += more.cache_write.0;
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn trim_is_that_of_javascript() {
        assert_eq!(js_trim("\u{feff} a\u{a0}\u{2028}"), "a");
        assert_eq!(js_trim("\u{85}a\u{85}"), "\u{85}a\u{85}");
        assert!(is_blank("\u{feff}\u{3000}") && is_blank("") && !is_blank("\u{85}"));
    }

    #[test]
    fn strings_are_verbatim_or_absent() {
        assert_eq!(text(Some(&json!(" a "))), Some(" a "));
        assert_eq!(trimmed(Some(&json!(" a "))), Some("a"));
        assert_eq!(text(Some(&json!(" \t"))), None);
        assert_eq!(text(Some(&json!(5))), None);
        assert_eq!(text(None), None);
    }

    #[test]
    fn numbers_are_finite_and_never_strings() {
        assert_eq!(number(Some(&json!(-1.5))), Some(-1.5));
        assert_eq!(number(Some(&json!("3"))), None);
        assert_eq!(number(Some(&json!(null))), None);
    }

    #[test]
    fn the_first_id_that_is_not_blank_wins() {
        let payload = json!({"id": " ", "callId": 3, "toolCallId": "x"});
        assert_eq!(
            id_of(
                payload.as_object().unwrap(),
                &["id", "callId", "toolCallId"]
            ),
            Some("x")
        );
    }

    #[test]
    fn flat_cache_counts_win_over_nested_ones() {
        let sums = tokens(Some(
            &json!({"output": 5, "cacheRead": 1, "cache": {"read": 9, "write": 2}}),
        ));
        assert_eq!(
            (sums.output.0, sums.cache_read.0, sums.cache_write.0),
            (5.0, 1.0, 2.0)
        );
    }
}
