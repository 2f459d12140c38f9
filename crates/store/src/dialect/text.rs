//! PostgreSQL's text can't hold NUL, and a title or an id that a model made up may. So U+0000 and U+0001 are
//! written as two characters each: the order by bytes stays, and usual text stays as it is.

use std::borrow::Cow;

const MARK: char = '\u{1}';
const NUL: char = '\u{1}';
const ONE: char = '\u{2}';

fn is_special(byte: u8) -> bool {
    byte <= 1
}

/// The text as PostgreSQL can hold it.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([MARK, NUL]),
            MARK => escaped.extend([MARK, ONE]),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// The text that was escaped; `None` for what [`escape`] never makes.
pub(crate) fn unescape(escaped: &str) -> Option<Cow<'_, str>> {
    if !escaped.bytes().any(is_special) {
        return Some(Cow::Borrowed(escaped));
    }
    let mut text = String::with_capacity(escaped.len());
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        match character {
            MARK => text.push(match characters.next()? {
                NUL => '\0',
                ONE => MARK,
                _ => return None,
            }),
            other => text.push(other),
        }
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_text_is_not_copied() {
        assert!(matches!(escape("Plan the trip \u{2}"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_never_written_is_not_read() {
        assert_eq!(unescape("\u{1}"), None);
        assert_eq!(unescape("\u{1}x"), None);
    }

    proptest! {
        #[test]
        fn every_text_survives_without_nul(text in "[\u{0}-\u{3}a\u{1f600}]{0,12}") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains('\0'));
            prop_assert_eq!(unescape(&escaped).unwrap(), text.as_str());
        }

        #[test]
        fn the_order_stays(a in "[\u{0}-\u{3}a]{0,6}", b in "[\u{0}-\u{3}a]{0,6}") {
            prop_assert_eq!(escape(&a).cmp(&escape(&b)), a.cmp(&b));
        }
    }
}
