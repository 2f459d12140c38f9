//! What is JSON but can't be kept, and what stands in for it.

use super::SyntaxError;
use crate::document::Place;
use serde_json::Value;

/// Something in a text that no program can keep as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// RFC 6901 pointer of the value, or of the object whose key it is.
    pub(crate) pointer: String,
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Half of a pair of surrogates; U+FFFD stands in for it.
    LoneSurrogate,
    /// A number beyond what 64 bits of floating point hold; [`beyond`] stands in for it.
    TooLarge,
    /// Objects or lists too deep in each other; null stands in for them.
    TooDeep,
}

impl FaultKind {
    /// The sentence, and what to do about it.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            FaultKind::LoneSurrogate => (
                "This text holds half of a character.",
                "A character beyond U+FFFF takes two \\u escapes; write both, or the character itself.",
            ),
            FaultKind::TooLarge => (
                "This number is larger than any that can be kept.",
                "Write a number below 1e308.",
            ),
            FaultKind::TooDeep => (
                "Objects and lists nest deeper than 128 here.",
                "No setting nests that deep; look for a bracket that isn't closed.",
            ),
        }
    }
}

impl From<Fault> for SyntaxError {
    fn from(fault: Fault) -> Self {
        let (message, help) = fault.kind.words();
        SyntaxError {
            place: fault.place,
            message: message.to_owned(),
            help,
        }
    }
}

/// What a text begins with that stands in for a number. A character that is none by its definition comes
/// first, so that nobody writes it by accident.
const BEYOND: &str = "\u{10ffff}number ";

/// A text that stands in for a number that can't be kept; the schema takes it for neither.
pub(super) fn beyond(word: &str) -> Value {
    Value::String(format!("{BEYOND}{word}"))
}

/// Whether a value stands in for a number that can't be kept.
pub(crate) fn is_beyond(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(BEYOND))
}

/// Whether a word is a number by the grammar of JSON.
pub(super) fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}
