//! A document that remembers where every value and every key stands.

use crate::jsonc::{self, Spot};
use crate::placeholder::{self, Outcome, Raw, Scope};
use crate::pointer;
use crate::written::AsWritten;
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::{Map, Value};
use std::fmt;

/// A parsed JSONC document (02 §2.2) with the places of its values and keys.
///
/// `Debug` shows its name only: a document holds secrets.
#[derive(Clone)]
pub struct Document {
    file: String,
    value: Value,
    root: Option<Spot>,
    warnings: Vec<Finding>,
    faults: Vec<Finding>,
    as_written: AsWritten,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in that line, in characters from 1.
    pub column: u32,
}

impl Document {
    /// Parses JSONC. Empty or blank text is an empty object; any JSON may stand at the top. Of
    /// duplicate keys the last wins, which is a warning ([`Document::warnings`]).
    ///
    /// `file` is what findings call the document.
    ///
    /// # Errors
    /// The syntax errors (`CONFIG_SYNTAX`), each with its place, up to [`jsonc::MAX_ERRORS`]. What is
    /// JSON but can't be kept is none of them, so that the rest is looked at: [`Document::faults`].
    pub fn parse(file: impl Into<String>, text: &str) -> Result<Document, Vec<Finding>> {
        let file = file.into();
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Ok(Document {
                file,
                value: Value::Object(Map::new()),
                root: None,
                warnings: Vec::new(),
                faults: Vec::new(),
                as_written: AsWritten::default(),
            });
        }
        let parsed = jsonc::parse(text).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| {
                    let mut finding = at_place(
                        Finding::error("CONFIG_SYNTAX", "", error.message),
                        &file,
                        error.place,
                    );
                    finding.path = format!("{file}:{}", error.place.line);
                    finding.with_help(error.help)
                })
                .collect::<Vec<_>>()
        })?;
        let mut document = Document {
            file,
            value: parsed.value,
            root: Some(parsed.root),
            warnings: Vec::new(),
            faults: Vec::new(),
            as_written: AsWritten::default(),
        };
        document.faults = parsed
            .faults
            .iter()
            .map(|fault| {
                let (message, help) = fault.kind.words();
                let finding =
                    document.finding("CONFIG_SYNTAX", Severity::Error, &fault.pointer, message);
                at_place(finding, &document.file, fault.place).with_help(help)
            })
            .collect();
        document.warnings = parsed
            .duplicates
            .iter()
            .map(|duplicate| {
                let message = format!(
                    "{} stands twice in its object; the last one counts.",
                    shown(&document.value, &duplicate.pointer)
                );
                let finding = document.finding(
                    "CONFIG_DUPLICATE",
                    Severity::Warning,
                    &duplicate.pointer,
                    message,
                );
                at_place(finding, &document.file, duplicate.place)
                    .with_help("Remove the one that isn't meant.")
            })
            .collect();
        if parsed.more_duplicates > 0 {
            let more = parsed.more_duplicates;
            let message = format!("There are {more} more keys that stand twice in their object.");
            let finding = document.finding("CONFIG_DUPLICATE", Severity::Warning, "", message);
            document
                .warnings
                .push(finding.with_help("Remove the ones that aren't meant."));
        }
        Ok(document)
    }

    /// A document without places, such as the result of merging layers.
    pub fn from_value(file: impl Into<String>, value: Value) -> Document {
        Document {
            file: file.into(),
            value,
            root: None,
            warnings: Vec::new(),
            faults: Vec::new(),
            as_written: AsWritten::default(),
        }
    }

    /// The same, remembering which of its texts placeholders made.
    pub(crate) fn with_texts(mut self, as_written: AsWritten) -> Document {
        self.as_written = as_written;
        self
    }

    /// What findings call the document.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What is odd about the text but no error: duplicate keys.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// What is JSON but can't be kept, so that something stands in for it: half a character, a number
    /// beyond 64 bits, too deep a nesting. [`validate`](crate::schema::validate) repeats them.
    pub fn faults(&self) -> &[Finding] {
        &self.faults
    }

    /// Resolves its placeholders (02 §2.3) and remembers how they were written, so that what is said
    /// about the document never tells what they inserted.
    pub fn resolve(&mut self, raw: Raw, scope: Scope<'_>) -> Outcome {
        let mut outcome = placeholder::resolve(&mut self.value, raw, scope);
        for replaced in outcome.replaced.drain(..) {
            self.as_written.note(replaced);
        }
        outcome
    }

    /// How its texts were written before their placeholders were resolved.
    pub(crate) fn as_written(&self) -> &AsWritten {
        &self.as_written
    }

    /// Changes the value. The places stay as they were.
    pub fn map_value(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.value);
    }

    /// Where the value at a pointer begins; for one that isn't there, where the nearest object or
    /// array around it begins. `None` for a document without places.
    pub fn place(&self, pointer: &str) -> Option<Place> {
        self.nearest(pointer).map(|(spot, _)| spot.place)
    }

    /// Where the key of the member at a pointer stands; for anything that has no key, as
    /// [`Document::place`].
    pub fn key_place(&self, pointer: &str) -> Option<Place> {
        self.nearest(pointer).map(|(spot, exact)| match spot.key {
            Some(key) if exact => key,
            _ => spot.place,
        })
    }

    /// A finding about the value at a pointer, with file, place and path filled in.
    ///
    /// The path is the file and the dotted path in it, such as `site.json.tools[0].name`.
    pub fn finding(
        &self,
        code: impl Into<String>,
        severity: Severity,
        pointer: &str,
        message: impl Into<String>,
    ) -> Finding {
        let path = if pointer.is_empty() {
            self.file.clone()
        } else {
            format!("{}.{}", self.file, shown(&self.value, pointer))
        };
        let mut finding = Finding::error(code, path, message);
        finding.severity = severity;
        finding.pointer = Some(pointer.to_owned());
        finding.file = Some(self.file.clone());
        match self.place(pointer) {
            Some(place) => at_place(finding, &self.file, place),
            None => finding,
        }
    }

    fn nearest(&self, pointer: &str) -> Option<(&Spot, bool)> {
        let mut spot = self.root.as_ref()?;
        for step in pointer::steps(pointer) {
            match spot.child(&step) {
                Some(child) => spot = child,
                None => return Some((spot, false)),
            }
        }
        Some((spot, true))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The dotted path of a pointer, fit for one line of a message: control characters are escaped and
/// a path beyond 200 characters is cut.
pub fn shown(root: &Value, pointer: &str) -> String {
    const LONGEST: usize = 200;
    let path = pointer::dotted(root, pointer);
    if path.chars().count() <= LONGEST && !path.chars().any(char::is_control) {
        return path;
    }
    let mut out: String = path
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if path.chars().count() > LONGEST {
        out.push('…');
    }
    out
}

fn at_place(mut finding: Finding, file: &str, place: Place) -> Finding {
    finding.file = Some(file.to_owned());
    finding.line = Some(place.line);
    finding.column = Some(place.column);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Option<Place> {
        Some(Place { line, column })
    }

    #[test]
    fn values_and_keys_have_places_in_characters() {
        let document = Document::parse(
            "site.jsonc",
            "\u{feff}{ // ümläut\r\n  \"ä\": [1,\n    {\"b/c\": true}] }",
        )
        .unwrap();
        assert_eq!(document.place(""), at(1, 1));
        assert_eq!(document.key_place("/ä"), at(2, 3));
        assert_eq!(document.place("/ä"), at(2, 8));
        assert_eq!(document.place("/ä/1/b~1c"), at(3, 13));
        assert_eq!(document.key_place("/ä/1/b~1c"), at(3, 6));
        assert_eq!(
            document.place("/ä/1/missing/deep"),
            at(3, 5),
            "the nearest around it"
        );
        assert_eq!(document.key_place("/ä/1/missing"), at(3, 5));
    }

    #[test]
    fn blank_text_is_an_empty_object() {
        for text in ["", " \r\n\t", "\u{feff}", "\u{feff}\n"] {
            let document = Document::parse("site.json", text).unwrap();
            assert_eq!(document.value(), &serde_json::json!({}));
            assert_eq!(document.place("/a"), None);
        }
    }

    #[test]
    fn of_duplicate_keys_the_last_wins_with_a_warning() {
        let document =
            Document::parse("site.json", "{\"a\": {\"x\": 1, \"y\": 2,\n \"x\": 3}}").unwrap();
        assert_eq!(
            document.value(),
            &serde_json::json!({"a": {"x": 3, "y": 2}})
        );
        assert_eq!(document.place("/a/x"), at(2, 7));
        let warnings = document.warnings();
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].code, "CONFIG_DUPLICATE");
        assert_eq!(warnings[0].severity, Severity::Warning);
        assert_eq!(warnings[0].pointer.as_deref(), Some("/a/x"));
        assert_eq!((warnings[0].line, warnings[0].column), (Some(2), Some(2)));
    }

    #[test]
    fn a_finding_names_file_place_pointer_and_path() {
        let document = Document::parse("site.json", "{\"tools\": [\n {}]}").unwrap();
        let finding = document.finding("CONFIG_REQUIRED", Severity::Error, "/tools/0/name", "x");
        assert_eq!(finding.path, "site.json.tools[0].name");
        assert_eq!(finding.file.as_deref(), Some("site.json"));
        assert_eq!((finding.line, finding.column), (Some(2), Some(2)));
        assert_eq!(finding.pointer.as_deref(), Some("/tools/0/name"));
    }

    #[test]
    fn debug_shows_no_value() {
        let document = Document::parse("site.json", r#"{"a": "hunter2"}"#).unwrap();
        assert!(!format!("{document:?}").contains("hunter2"));
    }

    #[test]
    fn a_key_cannot_break_a_message() {
        let root = Value::Null;
        assert_eq!(shown(&root, "/a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        let long = shown(&root, &format!("/{}", "x".repeat(10_000)));
        assert_eq!(long.chars().count(), 201);
    }
}
