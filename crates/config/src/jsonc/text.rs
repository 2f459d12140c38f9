//! A text that is read once, from its beginning, and knows line and column.

use crate::document::Place;

/// The unread rest of a text. Finding all places of a text takes one pass over it.
pub(super) struct Text<'t> {
    text: &'t str,
    at: usize,
    /// The last place asked for, and where that was.
    known: (usize, Place),
}

/// What words and numbers are made of, right or wrong.
pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'+' | b'-' | b'.') || b >= 0x80
}

impl<'t> Text<'t> {
    /// The text without its byte order mark, which isn't counted as a column.
    pub(super) fn new(text: &'t str) -> Self {
        Text {
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            at: 0,
            known: (0, Place { line: 1, column: 1 }),
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn starts_with(&self, begin: &str) -> bool {
        self.text.as_bytes()[self.at..].starts_with(begin.as_bytes())
    }

    /// Takes one byte that `peek` showed. Bytes of a longer character are taken by `take_while`.
    pub(super) fn bump(&mut self) {
        self.at = (self.at + 1).min(self.text.len());
    }

    /// Takes the bytes for which `wanted` holds. It must treat all bytes of one character alike.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'t str {
        let begin = self.at;
        self.skip_while(wanted);
        &self.text[begin..self.at]
    }

    pub(super) fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|b| !wanted(*b)).unwrap_or(rest.len());
    }

    /// Skips a block comment; false when it has no end.
    pub(super) fn skip_past_comment(&mut self) -> bool {
        match self.text[self.at + 2..].find("*/") {
            Some(end) => {
                self.at += end + 4;
                true
            }
            None => {
                self.at = self.text.len();
                false
            }
        }
    }

    pub(super) fn take_hex4(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        let mut value = 0;
        for digit in digits {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        self.at += 4;
        Some(value)
    }

    /// The second half of a pair of surrogates, if it comes next as `\\uDC00` to `\\uDFFF`.
    pub(super) fn take_low_surrogate(&mut self) -> Option<u32> {
        let begin = self.at;
        if self.starts_with("\\u") {
            self.at += 2;
            let half = self.take_hex4();
            if let Some(half) = half.filter(|half| (0xdc00..0xe000).contains(half)) {
                return Some(half);
            }
        }
        self.at = begin;
        None
    }

    /// Skips an object or list with all that is in it; false when it has no end.
    pub(super) fn skip_nested(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(b) = self.peek() {
            match b {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => {
                    self.bump();
                    self.skip_while(|b| b != b'"' && b != b'\\' && b != b'\n');
                    while self.peek() == Some(b'\\') {
                        self.bump();
                        self.bump();
                        self.skip_while(|b| b != b'"' && b != b'\\' && b != b'\n');
                    }
                }
                b'/' if self.starts_with("//") => {
                    self.skip_while(|b| b != b'\n' && b != b'\r');
                    continue;
                }
                b'/' if self.starts_with("/*") => {
                    self.skip_past_comment();
                    continue;
                }
                _ => {}
            }
            self.bump();
            if depth == 0 {
                return true;
            }
        }
        false
    }

    /// Line and column of what comes next.
    pub(super) fn place(&mut self) -> Place {
        let (known, mut place) = self.known;
        for b in &self.text.as_bytes()[known..self.at] {
            match b {
                b'\n' => {
                    place.line = place.line.saturating_add(1);
                    place.column = 1;
                }
                // The later bytes of a character.
                0x80..=0xbf => {}
                _ => place.column = place.column.saturating_add(1),
            }
        }
        self.known = (self.at, place);
        place
    }
}
