//! The words of findings: kinds of values, what is expected.

use crate::jsonc::is_beyond;
use serde_json::Value;

/// What to do about another `contractVersion` (02 §1.2).
pub(super) const UPGRADE_NOTE: &str = "Write \"contractVersion\": 1 when the file was made for this contract. A file of a later version \
needs a later release of this program: upgrade the program; the file stays as it is, and nothing of it was read.";

/// A kind of JSON value, as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Text,
    Whole,
    Number,
    /// One that can't be kept.
    Beyond,
    List,
    Object,
}

impl Kind {
    pub(super) fn of(value: &Value) -> Kind {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            value if is_beyond(value) => Kind::Beyond,
            Value::String(_) => Kind::Text,
            Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => {
                Kind::Whole
            }
            Value::Number(_) => Kind::Number,
            Value::Array(_) => Kind::List,
            Value::Object(_) => Kind::Object,
        }
    }

    /// The kinds that the schema's `type` names.
    pub(super) fn of_types(wanted: &Value) -> Vec<Kind> {
        let one = |name: &Value| match name.as_str()? {
            "null" => Some(Kind::Null),
            "boolean" => Some(Kind::Boolean),
            "string" => Some(Kind::Text),
            "integer" => Some(Kind::Whole),
            "number" => Some(Kind::Number),
            "array" => Some(Kind::List),
            "object" => Some(Kind::Object),
            _ => None,
        };
        match wanted {
            Value::Array(names) => names.iter().filter_map(one).collect(),
            name => one(name).into_iter().collect(),
        }
    }

    /// What is asked for.
    fn wanted(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "true or false",
            Kind::Text => "a text",
            Kind::Whole => "a whole number",
            Kind::Number | Kind::Beyond => "a number",
            Kind::List => "a list",
            Kind::Object => "an object",
        }
    }

    /// What is there instead.
    pub(super) fn found(self) -> &'static str {
        match self {
            Kind::Boolean => "true or false",
            Kind::Number => "a number with a fraction",
            Kind::Whole => "a number",
            Kind::Beyond => "a number larger than any that can be kept",
            other => other.wanted(),
        }
    }

    fn spelled(self) -> &'static str {
        match self {
            Kind::Text => "a text in double quotes",
            Kind::Whole => "digits without quotes or fraction, such as 28",
            Kind::Number | Kind::Beyond => "digits without quotes, such as 0.5",
            Kind::Boolean => "true or false without quotes",
            Kind::List => "a list: […]",
            Kind::Object => "an object: {…}",
            Kind::Null => "null",
        }
    }
}

/// `a text`, `a text or null`.
pub(super) fn any_of(kinds: &[Kind]) -> String {
    joined(kinds.iter().map(|kind| kind.wanted()))
}

/// How to write one of these kinds.
pub(super) fn any_spelled(kinds: &[Kind]) -> String {
    joined(kinds.iter().map(|kind| kind.spelled()))
}

/// What the schema's description asks for.
pub(super) fn expected(about: &str) -> String {
    format!("Expected: {about}")
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(" or ")
}
