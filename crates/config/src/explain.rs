//! Where a value comes from: the layer that won, and the ones that it beat.

use crate::blank::trim;
use crate::defaults;
use crate::key;
use crate::load::{Layer, Loaded};
use crate::pointer;
use crate::redact::{self, Reader};
use crate::source::LayerKind;
use crate::written::as_written;
use open_cowork_contracts::finding::Finding;
use serde::Serialize;
use serde_json::Value;

/// Why a key has its value. No field holds a secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The key as it was asked for.
    pub key: String,
    /// RFC 6901 pointer into the resolved document.
    pub pointer: String,
    /// What the key means, if the schema says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<&'static str>,
    /// The value; absent when nothing sets it. Secrets are `[redacted:<n> chars]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// How it came about.
    pub origin: Origin,
    /// Who set it: the layer with the last word. For an object, the highest that says something in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_by: Option<Setting>,
    /// The layers below it that say something too, highest first.
    pub beaten: Vec<Setting>,
    /// That an environment variable is set which a server would put over this value (02 §6, §7): its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a value came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A layer says it.
    Written,
    /// Several layers say parts of it.
    Merged,
    /// It follows from another key of the same layer (02 §8.3).
    Derived,
    /// A layer says it, in another form: trimmed, or a link as browsers write it (02 §2.4).
    Normalised,
    /// It follows from other keys of the resolved document (02 §2.4, §4.10, §6).
    Inferred,
    /// Nobody says it; it is built in.
    Default,
    /// Nobody says it, and nothing is built in.
    Unset,
}

/// What one layer says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Which kind of layer.
    pub layer: LayerKind,
    /// Its file; the built-in defaults have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Its value there. Secrets are `[redacted:<n> chars]`.
    pub value: Value,
}

impl Loaded {
    /// Why a key has its value. The key is dotted (`gateway.providers[0].kind`) or a pointer.
    ///
    /// ```
    /// use open_cowork_config::{explain::Origin, load::load, source::{LayerKind, Sources, Surface}};
    /// let sources = Sources::new(Surface::Desktop)
    ///     .with(LayerKind::Base, "base.json", r#"{"branding": {"name": "Base"}}"#)
    ///     .with(LayerKind::User, "user.json", r#"{"branding": {"name": "Mine"}}"#);
    /// let why = load(&sources).unwrap().explain("branding.name").unwrap();
    /// assert_eq!(why.value.unwrap(), "Mine");
    /// assert_eq!(why.set_by.unwrap().file.as_deref(), Some("user.json"));
    /// assert_eq!(why.beaten[0].value, "Base");
    /// assert_eq!(why.beaten[1].layer, LayerKind::Defaults);
    /// ```
    ///
    /// # Errors
    /// `CONFIG_UNKNOWN_KEY` when the schema has no such key, with the nearest one that it has.
    pub fn explain(&self, key: &str) -> Result<Explanation, Finding> {
        let pointer = key::parse(key, self.value())?;
        let value = self.value().pointer(&pointer);
        let mut said = said(self.layers(), &pointer);
        let built_in = defaults::document();
        let by_layers = !said.settings.is_empty();
        if !said.closed && built_in.pointer(&pointer).is_some() {
            said.settings.push(Setting {
                layer: LayerKind::Defaults,
                file: None,
                line: None,
                column: None,
                value: redact::part(&built_in, &pointer, Reader::Owner).unwrap_or_default(),
            });
        }
        let origin = match value {
            None => Origin::Unset,
            Some(value) if by_layers => said.origin(value),
            Some(value) if built_in.pointer(&pointer) == Some(value) => Origin::Default,
            Some(_) => Origin::Inferred,
        };
        let mut settings = said.settings.into_iter();
        // What follows from other keys has nobody who set it.
        let set_by = if origin == Origin::Inferred && !by_layers {
            None
        } else {
            settings.next()
        };
        Ok(Explanation {
            key: key.to_owned(),
            about: key::description(&pointer),
            value: value.and_then(|_| self.shown_part(&pointer)),
            origin,
            set_by,
            beaten: settings.collect(),
            note: self.note(&pointer),
            pointer,
        })
    }
}

impl Loaded {
    /// What the environment of the servers says beyond the layers.
    fn note(&self, pointer: &str) -> Option<String> {
        let cloud = crate::cloud::variables_of(pointer)
            .into_iter()
            .map(|name| ("cloud", crate::cloud::PREFIX, name));
        let gateway = crate::gateway::variables_of(pointer)
            .into_iter()
            .map(|name| ("gateway", crate::gateway::PREFIX, name));
        cloud.chain(gateway).find_map(|(program, prefix, name)| {
            let name = format!("{prefix}{name}");
            let is_set = self.variables().contains(&name);
            is_set.then(|| format!("The {program} process would take {name} instead."))
        })
    }

    /// A part of the resolved document, redacted, with placeholders as they were written.
    fn shown_part(&self, pointer: &str) -> Option<Value> {
        let around = around(pointer);
        let shown = self.shown(self.value().pointer(around)?, around);
        redact::part(&placed(around, shown), pointer, Reader::Owner)
    }
}

/// What must be looked at to show a place: the list, for an argument of a command.
fn around(pointer: &str) -> &str {
    match pointer::parent(pointer) {
        Some(parent) if pointer::matches(redact::COMMAND, parent) => parent,
        _ => pointer,
    }
}

/// A document in which a value stands at a place, and nothing else.
fn placed(pointer: &str, value: Value) -> Value {
    pointer::steps(pointer)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .fold(value, |inner, step| {
            let mut map = serde_json::Map::new();
            map.insert(step.into_owned(), inner);
            Value::Object(map)
        })
}

/// What the layers say about a place, highest first.
struct Said<'a> {
    settings: Vec<Setting>,
    first: Option<&'a Value>,
    first_is_derived: bool,
    /// A layer replaced what is around the place, so that lower ones don't count.
    closed: bool,
}

impl Said<'_> {
    fn origin(&self, value: &Value) -> Origin {
        let Some(first) = self.first else {
            return Origin::Inferred;
        };
        match (first, value) {
            _ if self.first_is_derived => Origin::Derived,
            _ if first == value => Origin::Written,
            (Value::Object(_), Value::Object(_)) => Origin::Merged,
            (Value::String(before), Value::String(after)) if is_respelt(before, after) => {
                Origin::Normalised
            }
            (Value::Array(_), Value::Array(_)) => Origin::Normalised,
            _ => Origin::Inferred,
        }
    }
}

fn is_respelt(before: &str, after: &str) -> bool {
    trim(before) == after || crate::normalize::safe_link(before, true).as_deref() == Some(after)
}

/// A part of what a layer says, redacted, with placeholders as they were written.
fn shown_by(layer: &Layer, pointer: &str) -> Option<Value> {
    let around = around(pointer);
    let value = layer.derived().pointer(around)?;
    let one = std::slice::from_ref(layer);
    let shown = as_written(value, around, one, layer.as_written(), &Value::Null);
    redact::part(&placed(around, shown), pointer, Reader::Owner)
}

fn said<'a>(layers: &'a [Layer], pointer: &str) -> Said<'a> {
    let mut said = Said {
        settings: Vec::new(),
        first: None,
        first_is_derived: false,
        closed: false,
    };
    for layer in layers.iter().rev() {
        if let Some(value) = layer.derived().pointer(pointer) {
            let document = layer.document();
            let written = document.value().pointer(pointer).is_some();
            if said.first.is_none() {
                said.first = Some(value);
                said.first_is_derived = !written;
            }
            let place = document.key_place(pointer);
            said.settings.push(Setting {
                layer: layer.kind(),
                file: Some(layer.file().to_owned()),
                line: place.map(|place| place.line),
                column: place.map(|place| place.column),
                value: shown_by(layer, pointer).unwrap_or_default(),
            });
        }
        if replaces_around(layer.derived(), pointer) {
            said.closed = true;
            break;
        }
    }
    said
}

/// Whether a layer has something else than an object on the way to a place: that replaces all below it.
fn replaces_around(layer: &Value, pointer: &str) -> bool {
    let mut here = layer;
    for step in pointer::steps(pointer) {
        match here {
            Value::Object(map) => match map.get(step.as_ref()) {
                Some(inner) => here = inner,
                None => return false,
            },
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use crate::load::load;
    use crate::source::{Sources, Surface};

    fn loaded() -> Loaded {
        let sources = Sources::new(Surface::Every)
            .with(LayerKind::Base, "base.json", r##"{"tools": [], "cloud": {"publicBranding": {"logoUrl": "https://a.example.com"},
                "features": {"workflows": false}}}"##)
            .with(LayerKind::User, "user.jsonc", "{\n // mine\n \"cloud\": {\"publicBranding\": {\"productName\": \" P \",\n  \"theme\": {\"accent\": \"#123456\"}},\n\
                \"auth\": {\"mode\": \"oidc\", \"headerSecret\": \"hunter2\"}},\n \"gateway\": {\"providers\": [{\"kind\": \"cli\", \"channelBindingId\": \"c\"}]}}");
        load(&sources).unwrap()
    }

    fn explain(key: &str) -> Explanation {
        loaded().explain(key).unwrap()
    }

    #[test]
    fn a_written_value_has_file_line_and_column() {
        let why = explain("cloud.auth.mode");
        assert_eq!(why.origin, Origin::Written);
        let by = why.set_by.unwrap();
        assert_eq!(
            (by.layer, by.file.as_deref()),
            (LayerKind::User, Some("user.jsonc"))
        );
        assert_eq!((by.line, by.column), (Some(5), Some(10)));
        assert_eq!(why.beaten.len(), 1, "the built-in default");
        assert_eq!(why.beaten[0].value, "none");
    }

    #[test]
    fn defaults_derived_normalised_inferred_merged_and_unset_values_say_so() {
        for (key, origin) in [
            ("branding.name", Origin::Default),
            ("cloud.publicBranding.theme.accentHover", Origin::Derived),
            ("cloud.publicBranding.theme.focus", Origin::Default),
            ("cloud.publicBranding.logoUrl", Origin::Normalised),
            ("cloud.publicBranding.productName", Origin::Normalised),
            ("cloud.auth.signupMode", Origin::Inferred),
            ("cloud.profiles.full.features.workflows", Origin::Inferred),
            ("cloud.publicBranding", Origin::Merged),
            ("gateway.providers[0].settings", Origin::Inferred),
            ("branding.docsBaseUrl", Origin::Unset),
        ] {
            assert_eq!(explain(key).origin, origin, "{key}");
        }
    }

    #[test]
    fn a_secret_is_explained_without_its_value() {
        let why = explain("cloud.auth.headerSecret");
        assert_eq!(why.value.as_ref().unwrap(), "[redacted:7 chars]");
        assert!(!format!("{why:?}{}", serde_json::to_string(&why).unwrap()).contains("hunter2"));
    }

    #[test]
    fn a_list_that_replaces_another_hides_all_of_it() {
        let why = explain("gateway.providers[0].kind");
        assert_eq!(why.value.unwrap(), "cli");
        assert_eq!(why.beaten, []);
    }

    #[test]
    fn every_explanation_says_what_the_key_means() {
        assert!(explain("branding.name").about.is_some());
    }
}
