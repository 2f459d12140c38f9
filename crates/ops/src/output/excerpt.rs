//! One line of a JSON document as a message may show it: keys and structure, and of all the values at most the
//! one that the message is about. A line can hold a key next to the mistake.

/// What stands for a value that isn't shown.
const HIDDEN: &str = "…";
/// A longer line is cut around its caret, in characters.
const WIDEST: usize = 96;

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

/// The line with a mark at `column` (characters, from 1). The value at the mark is shown if `may_show` says so of
/// its text; all other strings that aren't keys, numbers, words and comments never are.
pub fn excerpt(line: &str, column: u32, may_show: impl Fn(&str) -> bool) -> Excerpt {
    let chars: Vec<char> = line.trim_end().chars().collect();
    let at = (column.saturating_sub(1) as usize).min(chars.len());
    let tokens = tokens(&chars);
    let mut shown: Vec<char> = Vec::with_capacity(chars.len());
    let mut mark = None;
    for (index, token) in tokens.iter().enumerate() {
        let start = shown.len();
        let marked = (token.start..token.end).contains(&at) && token.kind != Kind::Space;
        let text: String = chars[token.start..token.end].iter().collect();
        let harmless = match token.kind {
            Kind::Space | Kind::Punctuation => true,
            Kind::String => is_key(&tokens, index, &chars),
            Kind::Word => matches!(text.as_str(), "true" | "false" | "null"),
            Kind::Comment => false,
        };
        let meant = marked && token.kind != Kind::Comment;
        let hidden = !(harmless || meant && may_show(&text));
        match (hidden, token.kind) {
            (false, _) => shown.extend(text.chars().map(visible)),
            (true, Kind::String) => shown.extend(format!("\"{HIDDEN}\"").chars()),
            (true, Kind::Comment) => shown.extend(format!("// {HIDDEN}").chars()),
            (true, _) => shown.extend(HIDDEN.chars()),
        }
        if marked {
            mark = Some((start, shown.len() - start));
        } else if token.kind == Kind::Space && (token.start..token.end).contains(&at) {
            mark = Some((start + at - token.start, 1));
        }
    }
    let (before, width) = mark.unwrap_or((shown.len(), 1));
    cut(&shown, before, width)
}

/// The window of a long line that has the mark in it.
fn cut(shown: &[char], before: usize, width: usize) -> Excerpt {
    if shown.len() <= WIDEST {
        return Excerpt {
            line: shown.iter().collect(),
            before,
            width,
        };
    }
    let width = width.min(WIDEST / 2);
    let start = before.saturating_sub((WIDEST - width) / 2);
    let end = (start + WIDEST).min(shown.len());
    let mut line = String::new();
    let mut ahead = before - start;
    if start > 0 {
        line.push_str(HIDDEN);
        ahead += 1;
    }
    line.extend(&shown[start..end]);
    if end < shown.len() {
        line.push_str(HIDDEN);
    }
    Excerpt {
        line,
        before: ahead,
        width,
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
        let excerpt = excerpt(line, column, |_| show_value);
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
            r#"  "mode": "hybird", "token": "…", "n": …, "on": true"#
        );
        assert_eq!(mark, r#""hybird""#);
        let (shown, mark) = marked(line, 11, false);
        assert!(!shown.contains("hybird"));
        assert_eq!(mark, r#""…""#);
    }

    #[test]
    fn the_mark_at_a_key_shows_the_key_and_not_its_value() {
        let (shown, mark) = marked(r#"{"botTokn": "123:sesame"} // sesame"#, 2, true);
        assert_eq!(shown, r#"{"botTokn": "…"} // …"#);
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
    fn control_characters_do_not_reach_the_terminal() {
        let (shown, _) = marked("{\"a\u{1b}[31m\": \u{7}1}", 2, true);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'));
    }

    proptest! {
        #[test]
        fn any_line_at_any_column_is_shown_with_its_mark_inside(line in "\\PC{0,300}", column in 0u32..400) {
            let excerpt = excerpt(&line, column, |_| true);
            prop_assert!(excerpt.width >= 1);
            prop_assert!(excerpt.before <= excerpt.line.chars().count());
        }
    }
}
