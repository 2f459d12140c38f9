//! `{env:NAME}` and `{file:PATH}` in the values of one document (02 §2.3).
//!
//! One pass from left to right over the text as it was written: what a placeholder inserts is never
//! looked at again, so a variable's value can't name a file (02 §14.13). `{file:{env:X}}` works because
//! the document itself says so.

use crate::blank::trim;
use indexmap::IndexSet;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// The largest file that a `{file:…}` placeholder may insert, in bytes.
pub const FILE_LIMIT: usize = 64 * 1024;

/// How much text the placeholders of one document may insert together, in bytes: as much as a document
/// may have itself. Without it, a small document of many placeholders would fill the memory.
pub const INSERTED_LIMIT: usize = 4 * 1024 * 1024;

/// What a file is that would make the document larger than [`INSERTED_LIMIT`] lets it.
pub const TOO_MUCH: &str = "is too much together with what the placeholders before it insert";

/// The longest path that a placeholder may name, in bytes.
const PATH_LIMIT: usize = 4096;

/// What a file that a placeholder names turned out to be.
#[derive(Clone, PartialEq, Eq)]
pub enum Inserted {
    /// Its text, as it is.
    Text(String),
    /// There is none: inserts nothing (02 §2.3).
    Missing,
    /// It can't be inserted; the words say why, such as `is a directory`.
    Refused(&'static str),
}

impl std::fmt::Debug for Inserted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Inserted::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Inserted::Missing => f.write_str("Missing"),
            Inserted::Refused(why) => write!(f, "Refused({why:?})"),
        }
    }
}

/// What the placeholders of one document may see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Names that the same document lists in `allowedEnvPlaceholders`.
    pub allowed: &'a [String],
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// Files by the path as the placeholder names it, trimmed. One that isn't here is missing.
    pub files: &'a BTreeMap<String, Inserted>,
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("allowed", &self.allowed)
            .field("env", &self.env.len())
            .field("files", &self.files.len())
            .finish()
    }
}

/// A placeholder that could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// RFC 6901 pointer of the string.
    pub pointer: String,
    /// One sentence; it names the variable or the path as written, never a value.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// A variable that is allowed but not set, and so became nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// RFC 6901 pointer of the string.
    pub pointer: String,
    /// Its name.
    pub name: String,
}

/// A text that is no longer what the document says.
#[derive(Clone, PartialEq, Eq)]
pub struct Replaced {
    /// RFC 6901 pointer of the string.
    pub pointer: String,
    /// The text as written, with its placeholders.
    pub written: String,
    /// What became of it: never to be shown.
    pub resolved: String,
}

impl std::fmt::Debug for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replaced({:?})", self.pointer)
    }
}

/// What [`resolve`] has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All that is wrong, in document order.
    pub problems: Vec<Problem>,
    /// Variables that are allowed but not set.
    pub unset: Vec<Unset>,
    /// Every text that was changed.
    pub replaced: Vec<Replaced>,
}

/// Which strings keep their text. Their variables must be allowed nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// None: any JSON value.
    Nothing,
    /// `providers.custom.<id>.options` of a configuration document (02 §2.3): it is resolved when the
    /// provider is handed to the runtime.
    ProviderOptions,
}

/// The names that a document allows: the non-empty strings of its `allowedEnvPlaceholders`.
pub fn allowed(document: &Value) -> Vec<String> {
    document
        .get("allowedEnvPlaceholders")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Resolves every placeholder of every string value, in place. Keys, numbers and booleans are not
/// touched. A string with a problem keeps its text; so does everything from where the document would
/// grow by more than [`INSERTED_LIMIT`].
pub fn resolve(value: &mut Value, raw: Raw, scope: Scope<'_>) -> Outcome {
    let mut resolver = Resolver {
        scope,
        allowed: scope.allowed.iter().map(String::as_str).collect(),
        left: INSERTED_LIMIT,
        is_full: false,
        outcome: Outcome::default(),
    };
    walk(value, &mut Vec::new(), &mut |text, path| {
        if !text.contains("{env:") && !text.contains("{file:") {
            return;
        }
        let pointer = pointer(path);
        let kept = raw == Raw::ProviderOptions && is_provider_option(path);
        if let Some(resolved) = resolver.text(text, kept, &pointer)
            && resolved != *text
        {
            resolver.outcome.replaced.push(Replaced {
                pointer,
                written: std::mem::replace(text, resolved.clone()),
                resolved,
            });
        }
    });
    resolver.outcome
}

/// The paths that [`resolve`] will ask for, as the placeholders name them, trimmed.
pub fn files(
    value: &Value,
    raw: Raw,
    allowed: &[String],
    env: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut paths = IndexSet::new();
    let mut length = 0;
    let mut copy = value.clone();
    walk(&mut copy, &mut Vec::new(), &mut |text, path| {
        if !text.contains("{file:") || (raw == Raw::ProviderOptions && is_provider_option(path)) {
            return;
        }
        for piece in pieces(text) {
            if let Piece::File(inner) = piece
                && length <= INSERTED_LIMIT
                && let Target::Path(path) = target(inner, env)
                && variables(inner).all(|name| allowed.iter().any(|known| known == name))
            {
                length += path.len();
                paths.insert(path);
            }
        }
    });
    paths.into_iter().collect()
}

/// What stands between `{file:` and `}`, its variables inserted.
enum Target {
    Path(String),
    /// Nothing at all: `{file:}` is no placeholder.
    Nothing,
    TooLong,
}

fn target(inner: &str, env: &BTreeMap<String, String>) -> Target {
    let mut path = String::new();
    for piece in pieces(inner) {
        match piece {
            Piece::Text(text) => path.push_str(text),
            Piece::Env(name) => path.push_str(env.get(name).map_or("", String::as_str)),
            Piece::File(_) => {}
        }
        if path.len() > PATH_LIMIT {
            return Target::TooLong;
        }
    }
    if path.is_empty() {
        return Target::Nothing;
    }
    Target::Path(trim(&path).to_owned())
}

fn variables(inner: &str) -> impl Iterator<Item = &str> {
    pieces(inner).filter_map(|piece| match piece {
        Piece::Env(name) => Some(name),
        _ => None,
    })
}

struct Resolver<'a> {
    scope: Scope<'a>,
    allowed: HashSet<&'a str>,
    /// How many bytes may still be inserted.
    left: usize,
    is_full: bool,
    outcome: Outcome,
}

impl<'a> Resolver<'a> {
    /// The text with everything inserted; `None` when it keeps its own.
    fn text(&mut self, text: &str, keep: bool, pointer: &str) -> Option<String> {
        let before = self.outcome.problems.len();
        let mut out = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Env(name) => {
                    let value = self.variable(name, keep, pointer, before);
                    if !keep && self.outcome.problems.len() == before {
                        self.insert(value, &mut out, pointer);
                    }
                }
                Piece::File(inner) => {
                    for name in variables(inner) {
                        self.variable(name, keep, pointer, before);
                    }
                    if !keep && self.outcome.problems.len() == before {
                        self.file(inner, &mut out, pointer);
                    }
                }
            }
        }
        (!keep && !self.is_full && self.outcome.problems.len() == before).then_some(out)
    }

    fn file(&mut self, inner: &str, out: &mut String, pointer: &str) {
        let why = match target(inner, self.scope.env) {
            Target::Nothing => {
                out.push_str("{file:}");
                return;
            }
            Target::TooLong => "has a path that is too long",
            Target::Path(path) => match self.scope.files.get(&path) {
                Some(Inserted::Text(text)) => {
                    self.insert(text, out, pointer);
                    return;
                }
                Some(Inserted::Missing) | None => return,
                Some(Inserted::Refused(TOO_MUCH)) => {
                    self.full(pointer);
                    return;
                }
                Some(Inserted::Refused(why)) => why,
            },
        };
        let named = crate::redact::quoted(&format!("{{file:{}}}", trim(inner)));
        self.outcome.problems.push(Problem {
            pointer: pointer.to_owned(),
            message: format!("The file of {named} {why}."),
            help: "Name a regular text file of at most 64 KiB; a relative path starts at the configuration file's folder.".to_owned(),
        });
    }

    fn insert(&mut self, text: &str, out: &mut String, pointer: &str) {
        if self.is_full {
            return;
        }
        match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                out.push_str(text);
            }
            None => self.full(pointer),
        }
    }

    /// From here on nothing is inserted; this is told once.
    fn full(&mut self, pointer: &str) {
        if std::mem::replace(&mut self.is_full, true) {
            return;
        }
        self.outcome.problems.push(Problem {
            pointer: pointer.to_owned(),
            message: "The placeholders of this file insert more than 4 MiB together.".to_owned(),
            help: "Insert fewer or shorter texts; from this place on nothing was inserted."
                .to_owned(),
        });
    }

    fn variable(&mut self, name: &str, keep: bool, pointer: &str, before: usize) -> &'a str {
        if !self.allowed.contains(name) {
            let problem = Problem {
                pointer: pointer.to_owned(),
                message: format!("`{{env:{name}}}` is not allowlisted in this file."),
                help: format!("Add \"{name}\" to `allowedEnvPlaceholders` of the same file."),
            };
            // A text that names many variables is long enough without telling one twice.
            let told = &self.outcome.problems[before..];
            if told.len() < PROBLEMS_OF_ONE_TEXT && !told.contains(&problem) {
                self.outcome.problems.push(problem);
            }
            return "";
        }
        match self.scope.env.get(name) {
            Some(value) => value,
            None => {
                if !keep {
                    self.outcome.unset.push(Unset {
                        pointer: pointer.to_owned(),
                        name: name.to_owned(),
                    });
                }
                ""
            }
        }
    }
}

/// How many variables of one text are told as not allowed.
const PROBLEMS_OF_ONE_TEXT: usize = 20;

/// A part of a text. The text of `File` is what stands between `{file:` and `}`.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Env(&'a str),
    File(&'a str),
}

/// Splits a text at its placeholders, in linear time.
struct Pieces<'a> {
    text: &'a str,
    /// From here on no `{file:` is closed: without this, a text of many of them would be quadratic.
    no_more_files: bool,
}

fn pieces(text: &str) -> Pieces<'_> {
    Pieces {
        text,
        no_more_files: false,
    }
}

impl<'a> Pieces<'a> {
    /// The placeholder that `text` begins with, and its length.
    fn placeholder(&mut self, text: &'a str) -> Option<(Piece<'a>, usize)> {
        if let Some(length) = env_length(text) {
            return Some((Piece::Env(&text["{env:".len()..length - 1]), length));
        }
        if self.no_more_files {
            return None;
        }
        let inner = text.strip_prefix("{file:")?;
        let Some(end) = closing(inner) else {
            self.no_more_files = true;
            return None;
        };
        (end > 0).then(|| (Piece::File(&inner[..end]), "{file:".len() + end + 1))
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let text = self.text;
        if text.is_empty() {
            return None;
        }
        if let Some((piece, length)) = self.placeholder(text) {
            self.text = &text[length..];
            return Some(piece);
        }
        let mut from = 1;
        let end = loop {
            let Some(open) = text.get(from..).and_then(|rest| rest.find('{')) else {
                // The first character may be longer than a byte; then there is no `{` in it.
                match text.char_indices().nth(1) {
                    Some((next, _)) if next > from => from = next,
                    _ => break text.len(),
                }
                continue;
            };
            if self.placeholder(&text[from + open..]).is_some() {
                break from + open;
            }
            from += open + 1;
        };
        self.text = &text[end..];
        Some(Piece::Text(&text[..end]))
    }
}

/// Where the `}` stands that closes `{file:`, whose text may hold `{env:NAME}`.
fn closing(inner: &str) -> Option<usize> {
    let mut at = 0;
    let mut close = inner.find('}')?;
    loop {
        match inner[at..close].find('{').map(|open| at + open) {
            None => return Some(close),
            Some(open) => match env_length(&inner[open..]) {
                Some(length) => {
                    at = open + length;
                    close = at + inner[at..].find('}')?;
                }
                None => at = open + 1,
            },
        }
    }
}

/// The length of the `{env:NAME}` that the text begins with.
fn env_length(text: &str) -> Option<usize> {
    let name = text.strip_prefix("{env:")?;
    let length = name
        .bytes()
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
        .count();
    (length > 0 && name.as_bytes().get(length) == Some(&b'}')).then_some("{env:".len() + length + 1)
}

enum Step {
    Key(String),
    Index(usize),
}

fn walk(value: &mut Value, path: &mut Vec<Step>, visit: &mut impl FnMut(&mut String, &[Step])) {
    match value {
        Value::String(text) => visit(text, path),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                path.push(Step::Index(at));
                walk(item, path, visit);
                path.pop();
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                path.push(Step::Key(key.clone()));
                walk(item, path, visit);
                path.pop();
            }
        }
        _ => {}
    }
}

fn is_provider_option(path: &[Step]) -> bool {
    let key = |at: usize, name: &str| matches!(path.get(at), Some(Step::Key(key)) if key == name);
    key(0, "providers") && key(1, "custom") && path.len() > 3 && key(3, "options")
}

fn pointer(path: &[Step]) -> String {
    path.iter().fold(String::new(), |mut pointer, step| {
        pointer.push('/');
        match step {
            Step::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Index(at) => pointer.push_str(&at.to_string()),
        }
        pointer
    })
}

#[cfg(test)]
mod tests;
