//! Lone surrogates in OpenCode's JSON become U+FFFD, never an error (docs/contract/08-opencode.md §7). JavaScript cuts
//! strings between the halves of a pair and writes `"\ud83d"`, which is valid JSON text and no valid Unicode.

use serde::de::DeserializeOwned;

/// Parses JSON; mends the text only when it doesn't parse as it is.
pub(crate) fn from_json_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let first = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match mend(&String::from_utf8_lossy(bytes)) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(first),
    }
}

/// The JSON text with every escape of a lone surrogate replaced by `\ufffd`; `None` when it has none.
pub(crate) fn mend(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let escape = at + found;
        at = match unit(bytes, escape) {
            Some(0xD800..=0xDBFF) if matches!(unit(bytes, escape + 6), Some(0xDC00..=0xDFFF)) => {
                escape + 12
            }
            Some(0xD800..=0xDFFF) => {
                mended.push_str(&json[copied..escape]);
                mended.push_str("\\ufffd");
                copied = escape + 6;
                copied
            }
            Some(_) => escape + 6,
            // Skips the escaped character too: the second backslash of `\\` starts nothing.
            None => escape + 2,
        }
        .min(bytes.len());
    }
    if copied == 0 {
        return None;
    }
    mended.push_str(&json[copied..]);
    Some(mended)
}

/// The UTF-16 unit of a `\uXXXX` escape at a place.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0u16, |unit, digit| {
        Some(unit << 4 | (*digit as char).to_digit(16)? as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> String {
        from_json_bytes(json.as_bytes()).unwrap()
    }

    #[test]
    fn lone_halves_become_the_replacement_character_and_pairs_stay() {
        assert_eq!(parse(r#""a\ud83db""#), "a\u{fffd}b");
        assert_eq!(parse(r#""\ude00""#), "\u{fffd}");
        assert_eq!(parse(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
        assert_eq!(parse(r#""\ud83d\n""#), "\u{fffd}\n");
        assert_eq!(parse(r#""\ud83d\u0041""#), "\u{fffd}A");
        assert_eq!(parse(r#""\uD83D""#), "\u{fffd}");
    }

    #[test]
    fn an_escaped_backslash_before_u_is_text() {
        assert_eq!(parse(r#""\\ud83d""#), r"\ud83d");
        assert_eq!(parse(r#""\\\ud83d""#), "\\\u{fffd}");
        assert_eq!(mend(r#""\\ud83d""#), None);
    }

    proptest! {
        #[test]
        fn every_sequence_of_utf16_units_decodes_as_unicode_replaces_it(units: Vec<u16>) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(parse(&format!("\"{escapes}\"")), String::from_utf16_lossy(&units));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = mend(&text);
            let _ = from_json_bytes::<serde_json::Value>(text.as_bytes());
        }
    }
}
