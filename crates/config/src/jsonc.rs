//! JSON with comments and trailing commas, parsed with places (02 §2.2).
//!
//! The grammar is JSON's own plus `//` and `/* */` comments, one trailing comma before `}` or `]`,
//! and a leading byte order mark. Nothing looser: a file that we take must be taken by every other
//! reader of the contract. After an error the parser goes on, so that a document's errors are told
//! at once.
//!
//! Three things are faults, not errors of syntax: a text, a number or a nesting that is JSON but that
//! no program can keep. Something stands in for them, so that the rest of the document is looked at.

mod fault;
mod text;

use crate::document::Place;
use crate::pointer;
pub(crate) use fault::{Fault, FaultKind, is_beyond};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use text::Text;

/// How deep objects and arrays may nest.
pub const MAX_DEPTH: usize = 128;

/// How many errors of one document are told.
pub const MAX_ERRORS: usize = 20;

/// How many duplicate keys of one document are told one by one.
pub const MAX_DUPLICATES: usize = 100;

/// What a text holds.
pub(crate) struct Parsed {
    pub(crate) value: Value,
    pub(crate) root: Spot,
    pub(crate) duplicates: Vec<Duplicate>,
    /// Duplicate keys beyond those that are listed.
    pub(crate) more_duplicates: usize,
    pub(crate) faults: Vec<Fault>,
}

/// A syntax error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// A key that stood in its object already.
pub(crate) struct Duplicate {
    pub(crate) pointer: String,
    pub(crate) place: Place,
}

/// Where a value stands, its key, and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) key: Option<Place>,
    inside: Inside,
}

#[derive(Clone, Debug)]
enum Inside {
    Nothing,
    Items(Vec<Spot>),
    Members(IndexMap<Box<str>, Spot>),
}

impl Spot {
    /// The item or member of that name.
    pub(crate) fn child(&self, step: &str) -> Option<&Spot> {
        match &self.inside {
            Inside::Nothing => None,
            Inside::Items(items) => items.get(step.parse::<usize>().ok()?),
            Inside::Members(members) => members.get(step),
        }
    }
}

/// Parses one document.
pub(crate) fn parse(text: &str) -> Result<Parsed, Vec<SyntaxError>> {
    parse_as(text, Grammar::Jsonc, MAX_DEPTH)
}

/// Parses JSON without comments and trailing commas.
pub(crate) fn parse_strict(text: &str, depth: usize) -> Result<Parsed, Vec<SyntaxError>> {
    parse_as(text, Grammar::Json, depth)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grammar {
    Json,
    Jsonc,
}

fn parse_as(text: &str, grammar: Grammar, deepest: usize) -> Result<Parsed, Vec<SyntaxError>> {
    let mut parser = Parser {
        text: Text::new(text),
        grammar,
        deepest,
        errors: Vec::new(),
        faults: Vec::new(),
        duplicates: Vec::new(),
        more_duplicates: 0,
        pointer: String::new(),
        depth: 0,
        stopped: false,
    };
    parser.skip_blank();
    let parsed = parser.value();
    if !parser.stopped {
        parser.skip_blank();
        if parser.text.peek().is_some() {
            parser.error(
                "There is text after the end of the document.",
                "Remove it; a file holds one object.",
            );
        }
    }
    match parsed {
        Some((value, root)) if parser.errors.is_empty() => Ok(Parsed {
            value,
            root,
            duplicates: parser.duplicates,
            more_duplicates: parser.more_duplicates,
            faults: parser.faults,
        }),
        _ => {
            let mut errors = parser.errors;
            errors.extend(parser.faults.into_iter().map(SyntaxError::from));
            errors.sort_by_key(|error| error.place);
            Err(errors)
        }
    }
}

struct Parser<'t> {
    text: Text<'t>,
    grammar: Grammar,
    deepest: usize,
    errors: Vec<SyntaxError>,
    faults: Vec<Fault>,
    duplicates: Vec<Duplicate>,
    more_duplicates: usize,
    pointer: String,
    depth: usize,
    /// Nothing more is looked at: too many errors, or the text is over.
    stopped: bool,
}

impl Parser<'_> {
    fn error(&mut self, message: impl Into<String>, help: &'static str) {
        let place = self.text.place();
        self.error_at(place, message, help);
    }

    fn error_at(&mut self, place: Place, message: impl Into<String>, help: &'static str) {
        if self.stopped {
            return;
        }
        self.errors.push(SyntaxError {
            place,
            message: message.into(),
            help,
        });
        self.stopped = self.errors.len() >= MAX_ERRORS;
    }

    /// Notes something that can't be kept; of many, the first ones.
    fn fault(&mut self, kind: FaultKind, place: Place) {
        let same = |known: &&Fault| known.kind == kind;
        if self.faults.iter().filter(same).count() < MAX_ERRORS {
            self.faults.push(Fault {
                kind,
                pointer: self.pointer.clone(),
                place,
            });
        }
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) {
        loop {
            self.text
                .skip_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
            if self.grammar == Grammar::Json {
                return;
            }
            if self.text.starts_with("//") {
                self.text.skip_while(|b| b != b'\n' && b != b'\r');
            } else if self.text.starts_with("/*") {
                let begin = self.text.place();
                if !self.text.skip_past_comment() {
                    self.error_at(
                        begin,
                        "This comment has no end.",
                        "Close it with */ or make it a // comment.",
                    );
                    self.stopped = true;
                    return;
                }
            } else {
                return;
            }
        }
    }

    /// A value; `None` when there was none to be read.
    fn value(&mut self) -> Option<(Value, Spot)> {
        if self.stopped {
            return None;
        }
        let place = self.text.place();
        let leaf = |value| {
            let inside = Inside::Nothing;
            Some((
                value,
                Spot {
                    place,
                    key: None,
                    inside,
                },
            ))
        };
        match self.text.peek() {
            Some(b'{' | b'[') if self.depth == self.deepest => {
                if self.text.skip_nested() {
                    self.fault(FaultKind::TooDeep, place);
                    return leaf(Value::Null);
                }
                let (message, help) = FaultKind::TooDeep.words();
                self.error_at(place, message, help);
                self.stopped = true;
                None
            }
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"' | b'\'') => self.string().and_then(|text| leaf(Value::String(text))),
            Some(b) if text::is_word(b) => self.word().and_then(leaf),
            Some(_) => {
                self.error(
                    "A value is missing here.",
                    "Write a text in double quotes, a number, true, false, null, {…} or […].",
                );
                None
            }
            None => {
                self.error(
                    "The document ends in the middle.",
                    "Close every bracket and quote that was opened.",
                );
                self.stopped = true;
                None
            }
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> (Value, Inside)) -> Option<(Value, Spot)> {
        let place = self.text.place();
        self.text.bump();
        self.depth += 1;
        let (value, inside) = read(self);
        self.depth -= 1;
        Some((
            value,
            Spot {
                place,
                key: None,
                inside,
            },
        ))
    }

    fn object(&mut self) -> (Value, Inside) {
        let mut map = Map::new();
        let mut members = IndexMap::new();
        while self.goes_on(b'}', map.is_empty()) {
            let key_place = self.text.place();
            let Some(key) = self.key() else { continue };
            self.skip_blank();
            if self.text.peek() == Some(b':') {
                self.text.bump();
            } else {
                self.error("A colon is missing after the key.", "Write \"key\": value.");
            }
            self.skip_blank();
            let length = self.pointer.len();
            pointer::push(&mut self.pointer, &key);
            if let Some((value, mut spot)) = self.value() {
                spot.key = Some(key_place);
                if members.insert(key.clone().into_boxed_str(), spot).is_some() {
                    if self.duplicates.len() < MAX_DUPLICATES {
                        self.duplicates.push(Duplicate {
                            pointer: self.pointer.clone(),
                            place: key_place,
                        });
                    } else {
                        self.more_duplicates += 1;
                    }
                }
                map.insert(key, value);
                self.separator(b'}');
            } else {
                self.resynchronize();
            }
            self.pointer.truncate(length);
        }
        (Value::Object(map), Inside::Members(members))
    }

    fn array(&mut self) -> (Value, Inside) {
        let mut items = Vec::new();
        let mut spots = Vec::new();
        while self.goes_on(b']', items.is_empty()) {
            let length = self.pointer.len();
            pointer::push(&mut self.pointer, &items.len().to_string());
            if let Some((value, spot)) = self.value() {
                items.push(value);
                spots.push(spot);
                self.separator(b']');
            } else {
                self.resynchronize();
            }
            self.pointer.truncate(length);
        }
        (Value::Array(items), Inside::Items(spots))
    }

    /// Whether another member or item follows; takes the closing bracket if not.
    fn goes_on(&mut self, close: u8, first: bool) -> bool {
        self.skip_blank();
        while !self.stopped && self.text.peek() == Some(b',') {
            let help = if first {
                "Remove the comma."
            } else {
                "Remove one of the commas."
            };
            self.error("A comma stands here without a value before it.", help);
            self.text.bump();
            self.skip_blank();
        }
        if self.stopped {
            return false;
        }
        match self.text.peek() {
            Some(b) if b == close => {
                self.text.bump();
                false
            }
            Some(b @ (b'}' | b']')) => {
                self.error(
                    format!("'{}' closes what wasn't opened by it.", b as char),
                    "Check the brackets around this place.",
                );
                self.text.bump();
                false
            }
            None => {
                self.error(
                    "The document ends in the middle.",
                    "Close every bracket and quote that was opened.",
                );
                self.stopped = true;
                false
            }
            Some(_) => true,
        }
    }

    /// The comma between two members or items.
    fn separator(&mut self, close: u8) {
        self.skip_blank();
        match self.text.peek() {
            Some(b',') => {
                self.text.bump();
                if self.grammar == Grammar::Json {
                    self.skip_blank();
                    if self.text.peek() == Some(close) {
                        self.error(
                            "A comma stands here without a value after it.",
                            "Remove it.",
                        );
                    }
                }
            }
            Some(b) if b != close && b != b'}' && b != b']' => self.error(
                "A comma is missing before this.",
                "Separate members and items by commas.",
            ),
            _ => {}
        }
    }

    fn key(&mut self) -> Option<String> {
        match self.text.peek() {
            Some(b'"' | b'\'') => {
                let key = self.string();
                if key.is_none() {
                    self.resynchronize();
                }
                key
            }
            Some(b) if text::is_word(b) => {
                self.error(
                    "A key stands here without quotes.",
                    "Put the key in double quotes.",
                );
                Some(self.text.take_while(text::is_word).to_owned())
            }
            _ => {
                self.error(
                    "A key is missing here.",
                    "Write a key in double quotes, a colon and a value.",
                );
                if matches!(self.text.peek(), Some(b'{' | b'[')) {
                    self.value();
                }
                self.resynchronize();
                None
            }
        }
    }

    /// A text in quotes. One in single quotes is an error, and read all the same.
    fn string(&mut self) -> Option<String> {
        let place = self.text.place();
        let quote = self.text.peek()?;
        if quote == b'\'' {
            self.error(
                "Single quotes stand around this text.",
                "Use double quotes.",
            );
        }
        self.text.bump();
        let mut out = String::new();
        loop {
            out.push_str(
                self.text
                    .take_while(|b| b != quote && b != b'\\' && b >= 0x20),
            );
            match self.text.peek() {
                Some(b) if b == quote => {
                    self.text.bump();
                    return Some(out);
                }
                Some(b'\\') => self.escape(&mut out),
                Some(b'\n' | b'\r') | None => {
                    self.error_at(
                        place,
                        "This text has no closing quote on its line.",
                        "Close the quote; write a line break within a text as \\n.",
                    );
                    return None;
                }
                Some(_) => {
                    self.error(
                        "A control character stands in this text.",
                        "Write it as an escape, such as \\t.",
                    );
                    self.text.bump();
                }
            }
        }
    }

    fn escape(&mut self, out: &mut String) {
        let place = self.text.place();
        self.text.bump();
        let c = match self.text.peek() {
            Some(b @ (b'"' | b'\\' | b'/')) => b as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.text.bump();
                match self.unicode_escape() {
                    Some(c) => out.push(c),
                    None => self.error_at(
                        place,
                        "This \\u escape names no character.",
                        "Write four hexadecimal digits; a character beyond U+FFFF takes two such escapes.",
                    ),
                }
                return;
            }
            _ => {
                self.error_at(
                    place,
                    "This escape is unknown.",
                    "Known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX; write a backslash as \\\\.",
                );
                return;
            }
        };
        self.text.bump();
        out.push(c);
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.text.take_hex4()?;
        if (0xd800..0xdc00).contains(&first)
            && let Some(second) = self.text.take_low_surrogate()
        {
            return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        }
        // Half of a pair alone is no character.
        Some(char::from_u32(first).unwrap_or_else(|| {
            let place = self.text.place();
            self.fault(FaultKind::LoneSurrogate, place);
            char::REPLACEMENT_CHARACTER
        }))
    }

    /// A number, true, false or null.
    fn word(&mut self) -> Option<Value> {
        let place = self.text.place();
        let word = self.text.take_while(text::is_word);
        match word {
            "true" => return Some(Value::Bool(true)),
            "false" => return Some(Value::Bool(false)),
            "null" => return Some(Value::Null),
            _ => {}
        }
        // serde_json reads one number exactly as JSON has it, and no more.
        if let Ok(number) = serde_json::from_str::<serde_json::Number>(word) {
            return Some(Value::Number(number));
        }
        if fault::is_number(word) {
            self.fault(FaultKind::TooLarge, place);
            return Some(fault::beyond(word));
        }
        let numeric = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        if numeric {
            self.error_at(
                place,
                "This is no number of JSON.",
                "Write digits with an optional minus, fraction and exponent, such as -0.5 or 1e3; no leading zero.",
            );
        } else {
            self.error_at(
                place,
                "A word stands here without quotes.",
                "Put a text in double quotes; bare words are only true, false and null.",
            );
        }
        None
    }

    /// Goes on behind the member or item that couldn't be read, without another error about it.
    fn resynchronize(&mut self) {
        if self.stopped {
            return;
        }
        self.text
            .skip_while(|b| !matches!(b, b',' | b'}' | b']' | b'\n' | b'"' | b'{' | b'['));
        if self.text.peek() == Some(b',') {
            self.text.bump();
        }
    }
}

#[cfg(test)]
mod tests;
