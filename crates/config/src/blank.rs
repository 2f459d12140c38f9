//! What counts as blank: the white space that JavaScript's `trim` removes.
//!
//! It differs from Rust's in two characters (02 §12.4): U+FEFF is white space, U+0085 is not.

fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

/// The text without the white space around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether nothing is left after [`trim`].
pub(crate) fn is_blank(text: &str) -> bool {
    trim(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_blank_and_a_next_line_character_is_not() {
        assert_eq!(trim("\u{feff} a\u{a0}\n"), "a");
        assert!(is_blank("\u{2028}\t"));
        assert!(!is_blank("\u{85}"));
    }
}
