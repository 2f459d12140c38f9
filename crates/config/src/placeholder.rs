//! `{env:NAME}` and `{file:PATH}` in the values of one document (02 §2.3).
//!
//! One pass from left to right over the text as it was written: what a placeholder inserts is never
//! looked at again, so a variable's value can't name a file (02 §14.13). `{file:{env:X}}` works because
//! the document itself says so.

use crate::blank::trim;
use serde_json::Value;
use std::collections::BTreeMap;

/// The largest file that a `{file:…}` placeholder may insert, in bytes.
pub const FILE_LIMIT: usize = 64 * 1024;

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

/// What [`resolve`] has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All that is wrong, in document order.
    pub problems: Vec<Problem>,
    /// Variables that are allowed but not set.
    pub unset: Vec<Unset>,
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
/// touched. A string with a problem keeps its text.
pub fn resolve(value: &mut Value, raw: Raw, scope: Scope<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    walk(value, &mut Vec::new(), &mut |text, path| {
        if !text.contains("{env:") && !text.contains("{file:") {
            return;
        }
        let pointer = pointer(path);
        let kept = raw == Raw::ProviderOptions && is_provider_option(path);
        if let Some(resolved) = resolve_text(text, kept, &pointer, scope, &mut outcome) {
            *text = resolved;
        }
    });
    outcome
}

/// The paths that [`resolve`] will ask for, as the placeholders name them, trimmed.
pub fn files(
    value: &Value,
    raw: Raw,
    allowed: &[String],
    env: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut paths = Vec::new();
    let mut copy = value.clone();
    walk(&mut copy, &mut Vec::new(), &mut |text, path| {
        if !text.contains("{file:") || (raw == Raw::ProviderOptions && is_provider_option(path)) {
            return;
        }
        for piece in pieces(text) {
            if let Piece::File(inner) = piece {
                let (path, fits) = path_of(inner, allowed, env);
                if fits && !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
    });
    paths
}

fn path_of(inner: &str, allowed: &[String], env: &BTreeMap<String, String>) -> (String, bool) {
    let mut path = String::new();
    let mut fits = true;
    for piece in pieces(inner) {
        match piece {
            Piece::Text(text) => path.push_str(text),
            Piece::Env(name) => {
                fits &= allowed.iter().any(|known| known == name);
                path.push_str(env.get(name).map_or("", String::as_str));
            }
            Piece::File(_) => {}
        }
    }
    (trim(&path).to_owned(), fits)
}

fn resolve_text(
    text: &str,
    keep: bool,
    pointer: &str,
    scope: Scope<'_>,
    outcome: &mut Outcome,
) -> Option<String> {
    let before = outcome.problems.len();
    let mut out = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Env(name) => out.push_str(variable(name, keep, pointer, scope, outcome)),
            Piece::File(inner) => {
                for piece in pieces(inner) {
                    if let Piece::Env(name) = piece {
                        variable(name, keep, pointer, scope, outcome);
                    }
                }
                let (path, _) = path_of(inner, scope.allowed, scope.env);
                match scope.files.get(&path) {
                    _ if keep || outcome.problems.len() > before => {}
                    Some(Inserted::Text(text)) => out.push_str(text),
                    Some(Inserted::Missing) | None => {}
                    Some(Inserted::Refused(why)) => outcome.problems.push(Problem {
                        pointer: pointer.to_owned(),
                        message: format!("The file of `{{file:{}}}` {why}.", trim(inner)),
                        help: "Name a regular text file of at most 64 KiB; a relative path starts at the configuration file's folder.".to_owned(),
                    }),
                }
            }
        }
    }
    (!keep && outcome.problems.len() == before).then_some(out)
}

fn variable<'a>(
    name: &str,
    keep: bool,
    pointer: &str,
    scope: Scope<'a>,
    outcome: &mut Outcome,
) -> &'a str {
    if !scope.allowed.iter().any(|known| known == name) {
        let problem = Problem {
            pointer: pointer.to_owned(),
            message: format!("`{{env:{name}}}` is not allowlisted in this file."),
            help: format!("Add \"{name}\" to `allowedEnvPlaceholders` of the same file."),
        };
        if !outcome.problems.contains(&problem) {
            outcome.problems.push(problem);
        }
        return "";
    }
    match scope.env.get(name) {
        Some(value) => value,
        None => {
            if !keep {
                outcome.unset.push(Unset {
                    pointer: pointer.to_owned(),
                    name: name.to_owned(),
                });
            }
            ""
        }
    }
}

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
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn run(value: Value, raw: Raw, allowed: &[&str], env: &[(&str, &str)]) -> (Value, Outcome) {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let files = BTreeMap::from([
            ("./n.txt".to_owned(), Inserted::Text("Name\n".to_owned())),
            ("dir".to_owned(), Inserted::Refused("is a directory")),
            (
                "/etc/secret".to_owned(),
                Inserted::Text("SECRET {env:A}".to_owned()),
            ),
        ]);
        let mut value = value;
        let scope = Scope {
            allowed: &allowed,
            env: &env,
            files: &files,
        };
        let outcome = resolve(&mut value, raw, scope);
        (value, outcome)
    }

    fn text(input: &str) -> String {
        let env = [
            ("A", "x"),
            ("B", "{env:A}"),
            ("F", "{file:/etc/secret}"),
            ("P", "/etc/secret"),
            ("D", "$&"),
        ];
        let (value, outcome) = run(
            json!(input),
            Raw::Nothing,
            &["A", "B", "F", "P", "D", "U"],
            &env,
        );
        assert_eq!(outcome.problems, [], "{input}");
        value.as_str().unwrap().to_owned()
    }

    #[test]
    fn variables_and_files_are_inserted_as_they_are() {
        assert_eq!(text("a {env:A}{env:A} {env:D}"), "a xx $&");
        assert_eq!(text("{file:./n.txt}"), "Name\n");
        assert_eq!(text("{file: ./n.txt }|{file:gone}|{env:U}|"), "Name\n|||");
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        for same in [
            "{env:a}",
            "{env:}",
            "{env:A",
            "{file:}",
            "{file:x",
            "{ENV:A}",
            "é{",
            "{{",
            "{file:{env:A}",
        ] {
            let expected = same.replace("{env:A}", "x");
            assert_eq!(text(same), expected, "{same}");
        }
        assert_eq!(text("{env:{env:A}}"), "{env:x}");
    }

    #[test]
    fn what_was_inserted_is_never_looked_at_again() {
        assert_eq!(text("{env:B}"), "{env:A}");
        assert_eq!(text("{file:/etc/secret}"), "SECRET {env:A}");
    }

    #[test]
    fn a_variables_value_cannot_name_a_file_but_the_document_can() {
        assert_eq!(text("{env:F}"), "{file:/etc/secret}");
        assert_eq!(text("{file:{env:P}}"), "SECRET {env:A}");
    }

    #[test]
    fn keys_numbers_and_booleans_are_not_touched() {
        let value = json!({"{env:A}": 1, "b": true, "c": [{"d": "{env:A}"}]});
        let (value, _) = run(value, Raw::Nothing, &["A"], &[("A", "x")]);
        assert_eq!(value, json!({"{env:A}": 1, "b": true, "c": [{"d": "x"}]}));
    }

    #[test]
    fn every_problem_is_named_with_its_place_and_never_with_a_value() {
        let value = json!({"a/b": ["{env:X} {env:Y}"], "f": "{file:dir}", "g": "{file:{env:X}}"});
        let (after, outcome) = run(
            value.clone(),
            Raw::Nothing,
            &[],
            &[("X", "canary"), ("Y", "canary")],
        );
        assert_eq!(after, value, "a string with a problem keeps its text");
        let said: Vec<_> = outcome
            .problems
            .iter()
            .map(|problem| (problem.pointer.as_str(), problem.message.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("/a~1b/0", "`{env:X}` is not allowlisted in this file."),
                ("/a~1b/0", "`{env:Y}` is not allowlisted in this file."),
                ("/f", "The file of `{file:dir}` is a directory."),
                ("/g", "`{env:X}` is not allowlisted in this file."),
            ]
        );
        assert!(!format!("{outcome:?}").contains("canary"));
    }

    #[test]
    fn provider_options_keep_their_text_but_their_variables_must_be_allowed() {
        let value = json!({"providers": {
            "custom": {"p": {"options": {"key": "{env:A}", "deep": [{"f": "{file:dir}"}]},
                             "models": {"m": {"options": {"k": "{env:A}"}}}}},
            "descriptors": {"p": {"options": {"key": "{env:A}"}}}}});
        let (after, outcome) = run(value.clone(), Raw::ProviderOptions, &["A"], &[("A", "x")]);
        assert_eq!(outcome, Outcome::default());
        assert_eq!(
            after["providers"]["custom"]["p"]["options"],
            value["providers"]["custom"]["p"]["options"]
        );
        assert_eq!(
            after["providers"]["custom"]["p"]["models"]["m"]["options"]["k"],
            "x"
        );
        assert_eq!(
            after["providers"]["descriptors"]["p"]["options"]["key"],
            "x"
        );
        let (_, outcome) = run(value, Raw::ProviderOptions, &[], &[]);
        assert_eq!(
            outcome.problems[0].pointer,
            "/providers/custom/p/options/key"
        );
        assert_eq!(outcome.problems.len(), 3);
    }

    #[test]
    fn a_variable_that_is_not_set_is_nothing_and_remembered() {
        let (value, outcome) = run(json!(["{env:A}-"]), Raw::Nothing, &["A"], &[]);
        assert_eq!(value, json!(["-"]));
        assert_eq!(
            outcome.unset,
            [Unset {
                pointer: "/0".into(),
                name: "A".into()
            }]
        );
    }

    #[test]
    fn the_files_to_read_are_known_before() {
        let value = json!({"a": "{file:./x}{file:{env:A}/y}{file:./x}", "b": "{file:{env:N}}",
            "providers": {"custom": {"p": {"options": {"k": "{file:raw}"}}}}});
        let env = BTreeMap::from([
            ("A".to_owned(), "/r".to_owned()),
            ("N".to_owned(), "/no".to_owned()),
        ]);
        let paths = files(&value, Raw::ProviderOptions, &["A".to_owned()], &env);
        assert_eq!(paths, ["./x", "/r/y"]);
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for part in [
            "{",
            "{file:",
            "{env:",
            "{file:{env:A}",
            "{env:A",
            "{file:{",
            "{file:}",
        ] {
            let text = part.repeat(200_000);
            assert_eq!(
                pieces(&text).map(|piece| length(&piece)).sum::<usize>(),
                text.len()
            );
            let text = format!("{text}}}");
            assert_eq!(
                pieces(&text).map(|piece| length(&piece)).sum::<usize>(),
                text.len()
            );
        }
    }

    fn length(piece: &Piece<'_>) -> usize {
        match piece {
            Piece::Text(text) => text.len(),
            Piece::Env(name) => "{env:}".len() + name.len(),
            Piece::File(inner) => "{file:}".len() + inner.len(),
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_no_text_panics(text in "(\\{env:|\\{file:|[{}A-Zaé]){0,40}") {
            prop_assert_eq!(pieces(&text).map(|piece| length(&piece)).sum::<usize>(), text.len());
        }
    }
}
