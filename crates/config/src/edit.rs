//! Changing one top-level property of a document and nothing else (02 §2.2).
//!
//! Everything around the property keeps its bytes: comments, order, line breaks, indentation, byte order mark,
//! trailing commas, other properties. What is written looks like its neighbours.
//!
//! Of duplicate keys the last one counts. So [`set`] changes the last and leaves the others as they are, and
//! [`remove`] takes all of them: else an earlier one would come to life.

mod file;
mod member;

pub use file::{remove_in_file, set_in_file, write};

use crate::document::Document;
use crate::pointer;
use member::{Member, Members};
use open_cowork_contracts::finding::{Finding, Severity};
use serde::Serialize;
use serde_json::Value;

/// The text with the top-level property set. Blank text becomes a new document. The result ends with a line break.
///
/// `file` is what findings call the document. A new property comes last.
///
/// # Errors
/// The syntax errors of the text, `CONFIG_TYPE` when its top is no object, and what would be wrong with the result
/// (a value that nests too deep).
pub fn set(file: &str, text: &str, key: &str, value: &Value) -> Result<String, Vec<Finding>> {
    let out = match members(file, text)? {
        None => {
            let mark = if text.starts_with('\u{feff}') {
                "\u{feff}"
            } else {
                ""
            };
            let member = written(key, value, &Style::of_new());
            format!("{mark}{{\n  {member}\n}}\n")
        }
        Some(members) => {
            let edits = match members.all.iter().rfind(|member| member.key == key) {
                Some(member) => vec![Edit {
                    from: member.value,
                    to: member.end,
                    text: pretty(value, &style_at(text, &members, member)),
                }],
                None => insertion(text, &members, key, value),
            };
            ended(applied(text, edits), text)
        }
    };
    let faults = faults_at(&Document::parse(file, &out)?, key);
    match faults.is_empty() {
        true => Ok(out),
        false => Err(faults),
    }
}

/// The text without the top-level property. When it isn't there, the text comes back as it was; else the result
/// ends with a line break.
///
/// A comment on a line of its own, and one behind the property, stay.
///
/// # Errors
/// As for [`set`].
pub fn remove(file: &str, text: &str, key: &str) -> Result<String, Vec<Finding>> {
    let Some(members) = members(file, text)? else {
        return Ok(text.to_owned());
    };
    if !members.all.iter().any(|member| member.key == key) {
        return Ok(text.to_owned());
    }
    let mut edits = Vec::new();
    for member in members.all.iter().filter(|member| member.key == key) {
        edits.extend(removal(text, member));
    }
    // The last one that stays must not end with a comma that wasn't meant as a trailing one.
    let ends_plain = members.all.last().is_some_and(|last| last.comma.is_none());
    let last_kept = members.all.iter().rfind(|member| member.key != key);
    if let (true, Some(comma)) = (ends_plain, last_kept.and_then(|member| member.comma)) {
        edits.push(Edit {
            from: comma,
            to: comma + 1,
            text: String::new(),
        });
    }
    Ok(ended(applied(text, edits), text))
}

/// What no reader could keep of the property. Faults elsewhere stood there before.
fn faults_at(document: &Document, key: &str) -> Vec<Finding> {
    let pointer = pointer::child("", key);
    let of_key = |finding: &&Finding| {
        let rest = finding
            .pointer
            .as_deref()
            .and_then(|at| at.strip_prefix(&pointer));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    document.faults().iter().filter(of_key).cloned().collect()
}

/// The members of a text's object; `None` for blank text.
fn members(file: &str, text: &str) -> Result<Option<Members>, Vec<Finding>> {
    let document = Document::parse(file, text)?;
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Ok(None);
    }
    if !document.value().is_object() {
        let finding = document
            .finding(
                "CONFIG_TYPE",
                Severity::Error,
                "",
                "Expected a top-level object.",
            )
            .with_help("Write {} around the properties.");
        return Err(vec![finding]);
    }
    // A text that was parsed always has them; if it hadn't, nothing may be written.
    member::find(text).map(Some).ok_or_else(|| {
        vec![document.finding(
            "CONFIG_SYNTAX",
            Severity::Error,
            "",
            "The document can't be edited.",
        )]
    })
}

/// Bytes of the text that are replaced.
struct Edit {
    from: usize,
    to: usize,
    text: String,
}

/// The text with edits that don't overlap, in any order.
fn applied(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.from);
    let mut out =
        String::with_capacity(text.len() + edits.iter().map(|e| e.text.len()).sum::<usize>());
    let mut at = 0;
    for edit in &edits {
        out.push_str(&text[at..edit.from]);
        out.push_str(&edit.text);
        at = edit.to;
    }
    out.push_str(&text[at..]);
    out
}

fn ended(mut out: String, before: &str) -> String {
    if !out.ends_with('\n') {
        out.push_str(line_break(before));
    }
    out
}

/// How members are written.
struct Style {
    /// Before a member; `None`: all members stand on one line.
    indent: Option<String>,
    /// Within a member, per level.
    step: String,
    line_break: &'static str,
}

impl Style {
    fn of_new() -> Self {
        Style {
            indent: Some("  ".into()),
            step: "  ".into(),
            line_break: "\n",
        }
    }
}

fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// White space from the beginning of the line, if nothing else stands before the place.
fn indent(text: &str, at: usize) -> Option<&str> {
    let line = text[..at].rfind(['\n', '\r'])? + 1;
    let before = &text[line..at];
    before
        .bytes()
        .all(|b| matches!(b, b' ' | b'\t'))
        .then_some(before)
}

fn style_at(text: &str, members: &Members, member: &Member) -> Style {
    let indent = indent(text, member.begin).map(str::to_owned);
    let outer = self::indent(text, members.open).unwrap_or_default().len();
    let step = match indent.as_deref() {
        Some(own) if own.len() > outer => own[outer..].to_owned(),
        _ => "  ".to_owned(),
    };
    Style {
        indent,
        step,
        line_break: line_break(text),
    }
}

fn written(key: &str, value: &Value, style: &Style) -> String {
    format!("{}: {}", Value::from(key), pretty(value, style))
}

/// A value as its neighbours are written: on one line, or with its lines indented.
fn pretty(value: &Value, style: &Style) -> String {
    let Some(indent) = &style.indent else {
        return value.to_string();
    };
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(style.step.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    let text = match value
        .serialize(&mut serializer)
        .map(|()| String::from_utf8(out))
    {
        Ok(Ok(text)) => text,
        // A value has text keys and goes into memory: neither can fail.
        _ => return value.to_string(),
    };
    // A line break within a text is escaped, so that these are all between tokens.
    text.replace('\n', &format!("{}{indent}", style.line_break))
}

/// Writes a new member behind the last one.
fn insertion(text: &str, members: &Members, key: &str, value: &Value) -> Vec<Edit> {
    let Some(last) = members.all.last() else {
        return first(text, members, key, value);
    };
    let style = style_at(text, members, last);
    let member = written(key, value, &style);
    let end = last.comma.map_or(last.end, |comma| comma + 1);
    let trailing = if last.comma.is_some() { "," } else { "" };
    let (at, before) = match &style.indent {
        None => (end, " ".to_owned()),
        Some(indent) => (
            member::end_of_line(text, end),
            format!("{}{indent}", style.line_break),
        ),
    };
    let mut new = format!("{before}{member}{trailing}");
    let mut edits = Vec::new();
    if last.comma.is_none() {
        match at == end {
            true => new.insert(0, ','),
            false => edits.push(Edit {
                from: end,
                to: end,
                text: ",".into(),
            }),
        }
    }
    edits.push(Edit {
        from: at,
        to: at,
        text: new,
    });
    edits
}

/// Writes a member into an object that has none, behind the comments in it.
fn first(text: &str, members: &Members, key: &str, value: &Value) -> Vec<Edit> {
    let break_ = line_break(text);
    let outer = indent(text, members.open).unwrap_or_default();
    let style = Style {
        indent: Some(format!("{outer}  ")),
        step: "  ".into(),
        line_break: break_,
    };
    let inside = &text[members.open + 1..members.close];
    let at = members.open + 1 + inside.trim_end_matches([' ', '\t', '\n', '\r']).len();
    let mut new = format!("{break_}{outer}  {}", written(key, value, &style));
    if !text[at..members.close].contains(['\n', '\r']) {
        new.push_str(break_);
        new.push_str(outer);
    }
    vec![Edit {
        from: at,
        to: at,
        text: new,
    }]
}

/// Takes a member out, with its comma and, if nothing else is on them, its lines.
fn removal(text: &str, member: &Member) -> Vec<Edit> {
    let none = String::new;
    let mut from = member.begin;
    let mut to = member.end;
    let mut edits = Vec::new();
    if let Some(comma) = member.comma {
        // A comment between the value and its comma stays.
        if text[to..comma].trim().is_empty() {
            to = comma + 1;
        } else {
            edits.push(Edit {
                from: comma,
                to: comma + 1,
                text: none(),
            });
        }
    }
    let rest = &text[to..];
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let after = &rest[blank..];
    match indent(text, from) {
        Some(before) if edits.is_empty() && after.starts_with(['\n', '\r']) => {
            from -= before.len();
            to += blank + if after.starts_with("\r\n") { 2 } else { 1 };
        }
        Some(_) => {}
        None => {
            from = text[..from].trim_end_matches([' ', '\t']).len();
        }
    }
    edits.push(Edit {
        from,
        to,
        text: none(),
    });
    edits
}

#[cfg(test)]
mod tests;
