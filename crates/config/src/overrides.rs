//! Environment variables that change a loaded configuration (02 §6, §7): one strict parser for the cloud
//! and the gateway. A value that can't be understood is an error, never ignored.

use crate::blank::trim;
use crate::document::Document;
use crate::load::Loaded;
use crate::model::Config;
use crate::normalize::safe_link;
use crate::schema::{self, Form};
use crate::source::set;
use open_cowork_contracts::finding::Finding;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How the text of a variable becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is.
    Text,
    /// `1 true yes on` or `0 false no off`.
    Flag,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A whole number; `0` is unlimited, which the document writes as null.
    Quota,
    /// Split at commas, trimmed, blanks dropped.
    List,
}

/// A variable (after the prefix), the place in the document that it sets, and how.
pub(crate) type Override = (&'static str, &'static str, Kind);

/// The variables of public branding that set one key (02 §6).
const BRANDING: [(&str, &str); 7] = [
    ("BRAND_NAME", "productName"),
    ("BRAND_SHORT_NAME", "shortName"),
    ("BRAND_LOGO_URL", "logoUrl"),
    ("SUPPORT_URL", "supportUrl"),
    ("PRIVACY_URL", "privacyUrl"),
    ("SECURITY_URL", "securityUrl"),
    ("LEGAL_URL", "legalUrl"),
];

/// The variables of public branding that would set a place, the strongest first.
pub(crate) fn branding_variables(section: &str, pointer: &str) -> Vec<String> {
    let Some(key) = pointer.strip_prefix(section) else {
        return Vec::new();
    };
    let own = BRANDING
        .iter()
        .filter(|(_, known)| key.strip_prefix('/') == Some(known))
        .map(|(name, _)| (*name).to_owned());
    own.chain(["PUBLIC_BRANDING_JSON".to_owned()]).collect()
}

/// Reads variables of one prefix and collects what is wrong with them.
pub(crate) struct Overrides<'a> {
    vars: &'a BTreeMap<String, String>,
    prefix: &'static str,
    /// The document that is changed.
    pub(crate) document: Value,
    /// Which variable set a place.
    set_by: Vec<(String, String)>,
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
}

impl<'a> Overrides<'a> {
    pub(crate) fn new(
        loaded: &Loaded,
        vars: &'a BTreeMap<String, String>,
        prefix: &'static str,
    ) -> Self {
        Overrides {
            vars,
            prefix,
            document: loaded.value().clone(),
            set_by: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A variable's text, trimmed; an empty one counts as unset.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        set(self.vars, &format!("{}{name}", self.prefix))
    }

    /// A variable as a kind of value; `None` when unset or wrong, which is then an error.
    pub(crate) fn read(&mut self, name: &str, kind: Kind) -> Option<Value> {
        let text = self.text(name)?;
        let (value, wanted) = match kind {
            Kind::Text => (Some(json!(text)), String::new()),
            Kind::Flag => (
                flag(text).map(Value::from),
                "true or false (or 1 and 0, yes and no, on and off)".to_owned(),
            ),
            Kind::Whole(least, most) => (
                text.parse::<u64>()
                    .ok()
                    .filter(|number| (least..=most).contains(number))
                    .map(Value::from),
                if most == u64::MAX {
                    format!("a whole number, at least {least}")
                } else {
                    format!("a whole number from {least} to {most}")
                },
            ),
            Kind::Quota => (
                text.parse::<u64>().ok().map(|number| {
                    if number == 0 {
                        Value::Null
                    } else {
                        json!(number)
                    }
                }),
                "a whole number; 0 is unlimited".to_owned(),
            ),
            Kind::List => (Some(json!(list(text))), String::new()),
        };
        if value.is_none() {
            self.error(
                name,
                "holds something that can't be understood",
                format!("Write {wanted}, or unset it."),
            );
        }
        value
    }

    /// A variable that is one of some words.
    pub(crate) fn choice(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.error(
                name,
                "holds a word that it doesn't know",
                format!("Write one of {}, or unset it.", words.join(", ")),
            );
        }
        found
    }

    /// Applies a table of overrides.
    pub(crate) fn apply(&mut self, table: &[Override]) {
        for (name, pointer, kind) in table {
            if let Some(value) = self.read(name, *kind) {
                self.put(name, pointer, value);
            }
        }
    }

    /// Sets a place and remembers which variable did.
    pub(crate) fn put(&mut self, name: &str, pointer: &str, value: Value) {
        put(&mut self.document, pointer, value);
        self.set_by
            .push((pointer.to_owned(), format!("{}{name}", self.prefix)));
    }

    pub(crate) fn error(&mut self, name: &str, what: impl Into<String>, help: impl Into<String>) {
        let variable = format!("{}{name}", self.prefix);
        let what = what.into();
        self.errors.push(
            Finding::error(
                "CONFIG_ENV",
                variable.as_str(),
                format!("{variable} {what}."),
            )
            .with_help(help),
        );
    }

    /// Public branding of the environment over the document's: `PUBLIC_BRANDING_JSON`, then one variable
    /// per name and link (02 §6). The same rules hold as in a file; a value that breaks one is left out
    /// with a warning, so that what is below it stays (02 §9).
    pub(crate) fn branding(&mut self, section: &str) {
        if let Some(text) = self.text("PUBLIC_BRANDING_JSON") {
            match serde_json::from_str::<Value>(text) {
                Ok(Value::Object(branding)) => {
                    let branding = self.checked(section, "PUBLIC_BRANDING_JSON", branding);
                    let mut layer = json!({});
                    put(&mut layer, section, branding);
                    crate::merge::merge(&mut self.document, &crate::load::derived(&layer));
                }
                Ok(_) => self.warn(
                    "PUBLIC_BRANDING_JSON",
                    "is JSON but no object, so it is ignored",
                    "Write { … }.",
                ),
                Err(error) => {
                    let place = error.column();
                    self.error(
                        "PUBLIC_BRANDING_JSON",
                        format!("is no JSON, from column {place} on"),
                        "Write strict JSON: no comments, no trailing commas.",
                    );
                }
            }
        }
        for (name, key) in BRANDING {
            let Some(text) = self.text(name) else {
                continue;
            };
            let one = Map::from_iter([(key.to_owned(), json!(text))]);
            if let Some(value) = self.checked(section, name, one).get(key) {
                self.put(name, &format!("{section}/{key}"), value.clone());
            }
        }
    }

    /// The members that the schema takes, links as a browser writes them.
    fn checked(&mut self, section: &str, name: &str, branding: Map<String, Value>) -> Value {
        let mut kept = json!({});
        let mut dropped = false;
        for (key, value) in branding {
            // Maps are judged member by member.
            let members: Vec<(String, Value)> = match &value {
                Value::Object(map) => map
                    .iter()
                    .map(|(inner, value)| {
                        (
                            crate::pointer::child(&crate::pointer::child(section, &key), inner),
                            value.clone(),
                        )
                    })
                    .collect(),
                _ => vec![(crate::pointer::child(section, &key), value)],
            };
            for (place, value) in members {
                let value = match (key.as_str(), &value) {
                    (
                        "logoUrl" | "faviconUrl" | "ogImageUrl" | "privacyUrl" | "securityUrl"
                        | "legalUrl",
                        Value::String(link),
                    ) => safe_link(link, false).map(Value::from),
                    ("supportUrl", Value::String(link)) => safe_link(link, true).map(Value::from),
                    _ => Some(value),
                };
                let mut alone = json!({});
                put(&mut alone, &place, value.clone().unwrap_or(Value::Null));
                let fits = value.is_some()
                    && schema::validate(&Document::from_value(name, alone.clone()), Form::Overlay)
                        .is_empty();
                if fits {
                    crate::merge::merge(&mut kept, &alone);
                } else {
                    dropped = true;
                }
            }
        }
        if dropped {
            self.warn(name, "holds branding that may not be shown, which is left out", "Links are https, colours are colours, and every key is one of the public branding.");
        }
        kept.pointer(section).cloned().unwrap_or_else(|| json!({}))
    }

    pub(crate) fn warn(&mut self, name: &str, what: &str, help: &str) {
        let variable = format!("{}{name}", self.prefix);
        let warning = Finding::error(
            "CONFIG_ENV",
            variable.as_str(),
            format!("{variable} {what}."),
        );
        self.warnings.push(warning.into_warning().with_help(help));
    }

    /// The changed configuration, if it is still inside the contract and no variable was wrong.
    pub(crate) fn finish(mut self) -> Result<(Config, Value, Vec<Finding>), Vec<Finding>> {
        let document = Document::from_value("environment", self.document);
        let config = match Config::from_document(&document) {
            Ok(config) => config,
            Err(found) => {
                for mut finding in found {
                    let pointer = finding.pointer.clone().unwrap_or_default();
                    let by = self
                        .set_by
                        .iter()
                        .rev()
                        .find(|(place, _)| pointer.starts_with(place.as_str()));
                    if let Some((_, variable)) = by {
                        finding.path.clone_from(variable);
                        finding.file = None;
                    }
                    self.errors.push(finding);
                }
                return Err(self.errors);
            }
        };
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok((config, document.value().clone(), self.warnings))
    }
}

pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(crate) fn list(text: &str) -> Vec<&str> {
    text.split(',')
        .map(trim)
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// Sets a place, making the objects around it.
pub(crate) fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut here = document;
    for step in crate::pointer::steps(pointer) {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = &mut here[step.as_ref()];
    }
    *here = value;
}
