//! What placeholders inserted, and how the document says it: nobody who reads an explanation, a message
//! or a diagnostics bundle needs a variable's value to understand them.

use crate::blank::{is_blank, trim};
use crate::load::Layer;
use crate::normalize::safe_link;
use crate::placeholder::Replaced;
use crate::pointer;
use serde_json::Value;
use std::collections::HashMap;

/// The texts of a document as they were before placeholders were resolved.
#[derive(Clone, Default)]
pub(crate) struct AsWritten {
    places: HashMap<String, String>,
    /// By what became of a text, also after normalising.
    texts: HashMap<String, String>,
}

impl AsWritten {
    pub(crate) fn note(&mut self, replaced: Replaced) {
        let Replaced {
            pointer,
            written,
            resolved,
        } = replaced;
        let forms = [
            safe_link(&resolved, true),
            Some(trim(&resolved).to_owned()),
            Some(resolved),
        ];
        for form in forms.into_iter().flatten().filter(|form| !is_blank(form)) {
            self.texts.insert(form, written.clone());
        }
        self.places.insert(pointer, written);
    }

    /// Adds the texts of another document, not their places.
    pub(crate) fn extend(&mut self, other: &AsWritten) {
        let texts = other.texts.iter();
        self.texts
            .extend(texts.map(|(text, written)| (text.clone(), written.clone())));
    }

    /// A text of the document as it was written, wherever it came to stand.
    pub(crate) fn text<'a>(&'a self, text: &'a str) -> &'a str {
        self.texts.get(text).map_or(text, String::as_str)
    }
}

/// A value of some layers or of their sum, with the texts that placeholders made as they were written.
///
/// A text that a layer says literally, or that is built in, stays even if a variable has the same.
pub(crate) fn as_written(
    value: &Value,
    at: &str,
    layers: &[Layer],
    inserted: &AsWritten,
    built_in: &Value,
) -> Value {
    let origin = Origin {
        layers,
        inserted,
        built_in,
    };
    let mut out = value.clone();
    if !inserted.texts.is_empty() || layers.iter().any(|layer| !layer.as_written().is_empty()) {
        origin.walk(&mut out, &mut at.to_owned());
    }
    out
}

impl AsWritten {
    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

struct Origin<'a> {
    layers: &'a [Layer],
    inserted: &'a AsWritten,
    built_in: &'a Value,
}

impl Origin<'_> {
    fn walk(&self, value: &mut Value, at: &mut String) {
        let length = at.len();
        match value {
            Value::String(text) => {
                if let Some(written) = self.text(text, at) {
                    *text = written.to_owned();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    pointer::push(at, &index.to_string());
                    self.walk(item, at);
                    at.truncate(length);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    pointer::push(at, key);
                    self.walk(item, at);
                    at.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn text(&self, text: &str, at: &str) -> Option<&str> {
        let said = |value: &Value| value.pointer(at).and_then(Value::as_str) == Some(text);
        if let Some(layer) = self
            .layers
            .iter()
            .rev()
            .find(|layer| said(layer.document().value()))
        {
            return layer.as_written().places.get(at).map(String::as_str);
        }
        if said(self.built_in) {
            return None;
        }
        self.inserted.texts.get(text).map(String::as_str)
    }
}
