//! One line of a JSON document as a message may show it: keys and structure, and of all the values at most the
//! one that the message is about. A line can hold a key next to the mistake. What is left out is as wide as it was,
//! so that columns stay what they are in the file.

use std::ops::Range;

/// Stands for a character that isn't shown.
const HIDDEN: char = '*';
/// Stands for the rest of a line that is cut.
const CUT: char = '…';
/// A longer line is cut around its mark, in characters.
const WIDEST: usize = 96;
/// A longer value is never shown, in characters.
const LONGEST_VALUE: usize = 200;

/// A line and what to mark in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line as shown.
    pub line: String,
    /// Characters before the mark.
    pub before: usize,
    /// Width of the mark in characters, at least 1.
    pub width: usize,
}

/// A line that is split once and shown for many findings.
#[derive(Clone, Debug)]
pub struct Line {
    chars: Vec<char>,
    tokens: Vec<Token>,
}

impl Line {
    /// Splits a line.
    pub fn new(line: &str) -> Line {
        let chars: Vec<char> = line.trim_end().chars().collect();
        let tokens = tokens(&chars);
        Line { chars, tokens }
    }

    /// The line with a mark at `column` (characters, from 1). The value at the mark is shown if `may_show` says so of
    /// its text; all other strings that aren't keys, numbers, words and comments never are.
    pub fn excerpt(&self, column: u32, may_show: impl Fn(&str) -> bool) -> Excerpt {
        let at = (column.saturating_sub(1) as usize).min(self.chars.len());
        let marked = self.token_at(at);
        let mark = match marked.map(|index| self.tokens[index]) {
            Some(token) if token.kind != Kind::Space => token.start..token.end,
            _ => at..at + 1,
        };
        let window = self.window(&mark);
        let first = self
            .tokens
            .partition_point(|token| token.end <= window.start);
        let inside = self.tokens[first..].iter().enumerate();
        let mut line = String::new();
        if window.start > 0 {
            line.push(CUT);
        }
        for (index, token) in inside.take_while(|(_, token)| token.start < window.end) {
            let index = first + index;
            let meant = marked == Some(index)
                && token.kind != Kind::Comment
                && token.end - token.start <= LONGEST_VALUE;
            let shown = self.is_harmless(index) || meant && may_show(&self.text(token));
            for place in token.start.max(window.start)..token.end.min(window.end) {
                line.push(if shown || token.frames(place, &self.chars) {
                    visible(self.chars[place])
                } else {
                    HIDDEN
                });
            }
        }
        if window.end < self.chars.len() {
            line.push(CUT);
        }
        Excerpt {
            line,
            before: mark.start - window.start + usize::from(window.start > 0),
            width: window.end.clamp(mark.start + 1, mark.end) - mark.start,
        }
    }

    fn token_at(&self, at: usize) -> Option<usize> {
        let index = self.tokens.partition_point(|token| token.end <= at);
        (index < self.tokens.len()).then_some(index)
    }

    fn text(&self, token: &Token) -> String {
        self.chars[token.start..token.end].iter().collect()
    }

    /// The part of the line that is shown, with the mark in it.
    fn window(&self, mark: &Range<usize>) -> Range<usize> {
        let all = self.chars.len();
        if all <= WIDEST {
            return 0..all;
        }
        let width = mark.len().min(WIDEST / 2);
        let start = mark.start.saturating_sub((WIDEST - width) / 2);
        start..(start + WIDEST).min(all)
    }

    /// Structure, keys, and words that are the same in every document.
    fn is_harmless(&self, index: usize) -> bool {
        let token = &self.tokens[index];
        match token.kind {
            Kind::Space | Kind::Punctuation => true,
            Kind::String => is_key(&self.tokens, index, &self.chars),
            Kind::Word => {
                token.end - token.start <= 5
                    && matches!(self.text(token).as_str(), "true" | "false" | "null")
            }
            Kind::Comment => false,
        }
    }
}

/// Control characters would act on the terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Space,
    Punctuation,
    String,
    Word,
    Comment,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

impl Token {
    /// Whether a character is a quote around a string, or begins a comment.
    fn frames(self, place: usize, chars: &[char]) -> bool {
        match self.kind {
            Kind::String => (place == self.start || place + 1 == self.end) && chars[place] == '"',
            Kind::Comment => place < self.start + 2,
            _ => false,
        }
    }
}

/// Splits any text; what isn't JSON becomes words and is hidden.
fn tokens(chars: &[char]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let start = at;
        at += 1;
        let more = |at: usize, wanted: fn(char) -> bool| {
            at + chars[at..].iter().take_while(|c| wanted(**c)).count()
        };
        let kind = match first {
            '"' => {
                at = end_of_string(chars, at);
                Kind::String
            }
            '/' if chars.get(at) == Some(&'/') => {
                at = chars.len();
                Kind::Comment
            }
            '/' if chars.get(at) == Some(&'*') => {
                let close = chars[at + 1..].windows(2).position(|two| two == ['*', '/']);
                at = close.map_or(chars.len(), |close| at + 1 + close + 2);
                Kind::Comment
            }
            '{' | '}' | '[' | ']' | ',' | ':' => Kind::Punctuation,
            c if c.is_whitespace() => {
                at = more(at, char::is_whitespace);
                Kind::Space
            }
            _ => {
                at = more(at, |c| !c.is_whitespace() && !"{}[],:\"".contains(c));
                Kind::Word
            }
        };
        tokens.push(Token {
            kind,
            start,
            end: at,
        });
    }
    tokens
}

/// Behind the closing quote, or the end of the line.
fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while let Some(c) = chars.get(at) {
        at += 1;
        match c {
            '\\' => at += 1,
            '"' => return at,
            _ => {}
        }
    }
    chars.len()
}

/// A string with a colon after it and an opening brace, a comma or nothing before it. Both, because a misplaced
/// quote makes keys of values.
fn is_key(tokens: &[Token], index: usize, chars: &[char]) -> bool {
    let punctuation = |token: &Token| (token.kind == Kind::Punctuation).then(|| chars[token.start]);
    let solid = |token: &&Token| !matches!(token.kind, Kind::Space | Kind::Comment);
    let colon = tokens[index + 1..].iter().find(solid).and_then(punctuation) == Some(':');
    let before = tokens[..index].iter().rfind(solid);
    colon && before.is_none_or(|token| matches!(punctuation(token), Some('{' | ',')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(line: &str, column: u32, show_value: bool) -> (String, String) {
        let excerpt = Line::new(line).excerpt(column, |_| show_value);
        let mark = excerpt
            .line
            .chars()
            .skip(excerpt.before)
            .take(excerpt.width)
            .collect();
        (excerpt.line, mark)
    }

    #[test]
    fn only_the_value_at_the_mark_is_shown() {
        let line = r#"  "mode": "hybird", "token": "sesame", "n": 4711, "on": true"#;
        let (shown, mark) = marked(line, 11, true);
        assert_eq!(
            shown,
            r#"  "mode": "hybird", "token": "******", "n": ****, "on": true"#
        );
        assert_eq!(mark, r#""hybird""#);
        let (shown, mark) = marked(line, 11, false);
        assert!(!shown.contains("hybird"));
        assert_eq!(mark, r#""******""#);
    }

    #[test]
    fn the_mark_at_a_key_shows_the_key_and_not_its_value() {
        let (shown, mark) = marked(r#"{"botTokn": "123:sesame"} // sesame"#, 2, true);
        assert_eq!(shown, r#"{"botTokn": "**********"} //*******"#);
        assert_eq!(mark, r#""botTokn""#);
    }

    #[test]
    fn a_misplaced_quote_makes_no_key_of_a_value() {
        for line in [
            r#""adminToken: "sesame": 1"#,
            r#""adminToken": "sesame" "x": 1"#,
            r#""adminToken": 'sesame'"#,
            r#"adminToken: sesame"#,
            r#""adminToken": "sesame: 1, "#,
            "/* sesame",
            "sesame */",
        ] {
            for column in 1..=line.len() as u32 + 3 {
                let (shown, _) = marked(line, column, false);
                assert!(!shown.contains("sesame"), "{line} → {shown}");
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_around_its_mark() {
        let line = format!(
            r#"{{{} "here": 1, {}}}"#,
            r#""a": true, "#.repeat(50),
            r#""b": true, "#.repeat(50)
        );
        let column = line.find(r#""here""#).unwrap() as u32 + 1;
        let (shown, mark) = marked(&line, column, true);
        assert_eq!(mark, r#""here""#);
        assert!(shown.chars().count() <= WIDEST + 2);
        assert!(shown.starts_with('…') && shown.ends_with('…'));
    }

    #[test]
    fn columns_are_those_of_the_file() {
        let line = r#"{"token": "sesame and more", "mode": "hybird"}"#;
        let at = line.find(r#""hybird""#).unwrap();
        let excerpt = Line::new(line).excerpt(at as u32 + 1, |_| true);
        assert_eq!((excerpt.before, excerpt.width), (at, 8));
        assert_eq!(excerpt.line.len(), line.len());
        assert!(!excerpt.line.contains("sesame"));
    }

    #[test]
    fn a_long_value_is_hidden_without_being_looked_at() {
        let line = format!(r#"{{"mode": "{}"}}"#, "a".repeat(LONGEST_VALUE));
        let excerpt = Line::new(&line).excerpt(10, |_| panic!("asked"));
        assert!(excerpt.line.starts_with(r#"{"mode": "***"#), "{excerpt:?}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let (shown, _) = marked("{\"a\u{1b}[31m\": \u{7}1}", 2, true);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'));
    }

    proptest! {
        #[test]
        fn any_line_at_any_column_is_shown_with_its_mark_inside(line in "\\PC{0,300}", column in 0u32..400) {
            let excerpt = Line::new(&line).excerpt(column, |_| true);
            let shown = excerpt.line.chars().count();
            prop_assert!(shown <= WIDEST + 2);
            prop_assert!(excerpt.width >= 1);
            prop_assert!(excerpt.before <= shown);
            // One place may be behind the end.
            prop_assert!(excerpt.before + excerpt.width <= shown + 1);
        }
    }
}
