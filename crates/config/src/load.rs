//! From layers to one checked configuration (02 §2.4). Pure: all that it depends on is in [`Sources`].
//!
//! ```text
//! each layer:  text → JSONC → placeholders → overlay schema → theme tokens derived
//! all layers:  fold over the defaults → normalise once → full schema → semantics → types
//! ```

use crate::advice;
use crate::defaults;
use crate::document::Document;
use crate::merge::merge;
use crate::model::Config;
use crate::normalize::normalize;
use crate::placeholder::{self, Raw, Scope};
use crate::schema::{self, Form};
use crate::semantics::{self, Stage};
use crate::source::{LayerKind, Source, Sources, Surface};
use crate::written::{AsWritten, as_written};
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What findings about the sum of all layers call it when no layer is to blame (02 §2.5).
pub const RESOLVED: &str = "resolved config";

/// A configuration that is inside the contract.
///
/// `Debug` shows no value: a configuration holds secrets.
#[derive(Clone)]
pub struct Loaded {
    config: Config,
    value: Value,
    written: Value,
    layers: Vec<Layer>,
    warnings: Vec<Finding>,
    surface: Surface,
    variables: Vec<String>,
    as_written: AsWritten,
}

/// One layer of a loaded configuration.
#[derive(Clone)]
pub struct Layer {
    kind: LayerKind,
    document: Document,
    derived: Value,
}

impl Layer {
    /// What it is.
    pub fn kind(&self) -> LayerKind {
        self.kind
    }

    /// What findings call its file.
    pub fn file(&self) -> &str {
        self.document.file()
    }

    /// What it says, placeholders resolved, with the places of its text.
    pub fn document(&self) -> &Document {
        &self.document
    }

    pub(crate) fn as_written(&self) -> &AsWritten {
        self.document.as_written()
    }

    /// What it says and what follows from that: theme tokens (02 §8.3).
    pub fn derived(&self) -> &Value {
        &self.derived
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.label(), self.file())
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("layers", &self.layers)
            .field("warnings", &self.warnings.len())
            .finish_non_exhaustive()
    }
}

impl Loaded {
    /// The configuration as types.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same as the resolved document. It holds secrets: show it through a
    /// [`view`](crate::view) only.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The layers alone, without any default: what somebody wrote on purpose (02 §14.1).
    pub fn written(&self) -> &Value {
        &self.written
    }

    /// The layers above the built-in defaults, lowest precedence first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// A part of [`Loaded::value`] as it may be shown to somebody who doesn't know the environment: what
    /// placeholders inserted stands there as it was written, such as `{env:NAME}`.
    pub(crate) fn shown(&self, value: &Value, pointer: &str) -> Value {
        let built_in = defaults::document();
        as_written(value, pointer, &self.layers, &self.as_written, &built_in)
    }

    /// What is worth a look but no error.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The names of the product's environment variables that were set, and of those that placeholders may
    /// insert.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Which program it was loaded for.
    pub fn surface(&self) -> Surface {
        self.surface
    }
}

/// Loads a configuration.
///
/// # Errors
/// Everything that is wrong with it, at once: layer by layer, then what only their sum shows. Nothing
/// is handed out in that case, not even defaults (02 §2.5).
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Finding>> {
    let mut warnings = Vec::new();
    let mut loaded = attempt(sources, &mut warnings)?;
    loaded.warnings = warnings;
    Ok(loaded)
}

/// Everything that a load has to say, errors and warnings, in the order of the layers and their lines.
pub fn review(sources: &Sources) -> Vec<Finding> {
    reviewed(sources).1
}

/// The same, and what was loaded if nothing is wrong with it.
pub fn reviewed(sources: &Sources) -> (Option<Loaded>, Vec<Finding>) {
    let mut found = Vec::new();
    let loaded = attempt(sources, &mut found);
    if let Err(errors) = &loaded {
        // A place that has an error needs no advice.
        let place = |finding: &Finding| (finding.file.clone(), finding.pointer.clone());
        let wrong: HashSet<_> = errors.iter().map(place).collect();
        found.retain(|warning| warning.pointer.is_none() || !wrong.contains(&place(warning)));
        found.extend_from_slice(errors);
    }
    let layer = |finding: &Finding| {
        let mut layers = sources.layers.iter();
        layers.position(|layer| finding.file.as_deref() == Some(layer.file.as_str()))
    };
    found.sort_by_key(|finding| (layer(finding), finding.line, finding.column));
    (loaded.ok(), found)
}

/// A configuration whose warnings are where they are collected.
fn attempt(sources: &Sources, warnings: &mut Vec<Finding>) -> Result<Loaded, Vec<Finding>> {
    warnings.extend_from_slice(&sources.warnings);
    let mut errors = Vec::new();
    let mut layers = Vec::new();
    let mut understood = true;
    for source in &sources.layers {
        match read_layer(source, sources, warnings) {
            (Some(layer), found) => {
                errors.extend(found);
                layers.push(layer);
            }
            (None, found) => {
                understood = false;
                errors.extend(found);
            }
        }
    }
    // Without one of the layers the sum says nothing.
    if !understood {
        return Err(errors);
    }
    let folded = fold(layers.iter().map(|layer| &layer.derived));
    let mut texts = AsWritten::default();
    for layer in &layers {
        texts.extend(layer.as_written());
    }
    let merged = Document::from_value(RESOLVED, folded.merged).with_texts(texts.clone());
    advice::check(&merged, &mut |pointer, code, message, help| {
        let by = last_word(&layers, pointer).map_or(&merged, Layer::document);
        warnings.push(
            by.finding(code, Severity::Warning, pointer, message)
                .with_help(help),
        );
    });
    let document = Document::from_value(RESOLVED, folded.resolved).with_texts(texts.clone());
    let config = Config::from_document(&document);
    let sum = config.as_ref().err().into_iter().flatten().cloned();
    let place = |finding: &Finding| (finding.pointer.clone(), finding.file.clone());
    let mut told: HashSet<_> = errors.iter().map(place).collect();
    for finding in sum.chain(semantics::check(&document, Stage::Resolved)) {
        let finding = blamed(&layers, finding);
        // What a layer was told already, its sum needn't repeat.
        if told.contains(&place(&finding)) {
            continue;
        }
        if is_deferred(&finding, sources.surface) {
            warnings.push(finding.into_warning());
        } else {
            told.insert(place(&finding));
            errors.push(finding);
        }
    }
    match config {
        Ok(config) if errors.is_empty() => Ok(Loaded {
            config,
            value: document.value().clone(),
            written: folded.written,
            warnings: Vec::new(),
            variables: variables(sources, &layers),
            surface: sources.surface,
            layers,
            as_written: texts,
        }),
        _ => Err(errors),
    }
}

fn variables(sources: &Sources, layers: &[Layer]) -> Vec<String> {
    let allowed: Vec<String> = layers
        .iter()
        .flat_map(|layer| placeholder::allowed(layer.document.value()))
        .collect();
    let named = |name: &&String| name.starts_with("OPEN_COWORK_") || allowed.contains(*name);
    // An empty one counts as unset (02 §2.1).
    sources
        .env
        .keys()
        .filter(|name| crate::source::set(&sources.env, name).is_some())
        .filter(named)
        .cloned()
        .collect()
}

/// A gateway's missing secret doesn't keep a program from starting that runs no gateway (02 §14.10).
fn is_deferred(finding: &Finding, surface: Surface) -> bool {
    matches!(surface, Surface::Desktop | Surface::Cloud)
        && finding.code.starts_with("CONFIG_SEMANTIC_")
        && finding
            .pointer
            .as_deref()
            .is_some_and(|pointer| pointer.starts_with("/gateway/"))
}

/// Layers over nothing, over the defaults, and what is made of that.
pub(crate) struct Folded {
    /// The layers alone.
    pub(crate) written: Value,
    /// The layers over the defaults.
    pub(crate) merged: Value,
    /// The same, normalised.
    pub(crate) resolved: Value,
}

/// Folds layers whose theme tokens are derived, lowest precedence first.
pub(crate) fn fold<'a>(layers: impl Iterator<Item = &'a Value>) -> Folded {
    let mut written = Value::Object(serde_json::Map::new());
    let mut merged = defaults::document();
    for layer in layers {
        merge(&mut written, layer);
        merge(&mut merged, layer);
    }
    let mut resolved = merged.clone();
    normalize(&mut resolved, &written);
    Folded {
        written,
        merged,
        resolved,
    }
}

/// A layer with the theme tokens that follow from its own (02 §8.3).
pub(crate) fn derived(layer: &Value) -> Value {
    let mut layer = layer.clone();
    for theme in ["/cloud/publicBranding/theme", "/gateway/branding/theme"] {
        if let Some(theme) = layer.pointer_mut(theme).and_then(Value::as_object_mut) {
            open_cowork_theme::derive::public_theme(theme);
        }
    }
    layer
}

/// A layer, and everything that is wrong with it; no layer when it can't even be parsed.
fn read_layer(
    source: &Source,
    sources: &Sources,
    warnings: &mut Vec<Finding>,
) -> (Option<Layer>, Vec<Finding>) {
    let mut document = match Document::parse(source.file.as_str(), &source.text) {
        Ok(document) => document,
        Err(found) => return (None, found),
    };
    if !document.value().is_object() {
        let finding = document
            .finding(
                "CONFIG_TYPE",
                Severity::Error,
                "",
                "Expected a top-level object.",
            )
            .with_help("Write `{ … }` around the keys.");
        return (None, vec![finding]);
    }
    warnings.extend_from_slice(document.warnings());
    advice::check_inline_secrets(&document, warnings);
    let allowed = placeholder::allowed(document.value());
    let scope = Scope {
        allowed: &allowed,
        env: &sources.env,
        files: &source.files,
    };
    let outcome = document.resolve(Raw::ProviderOptions, scope);
    let mut found: Vec<Finding> = outcome
        .problems
        .iter()
        .map(|problem| {
            document
                .finding(
                    "CONFIG_PLACEHOLDER",
                    Severity::Error,
                    &problem.pointer,
                    &problem.message,
                )
                .with_help(&problem.help)
        })
        .collect();
    let failed: HashSet<&str> = outcome
        .problems
        .iter()
        .map(|problem| problem.pointer.as_str())
        .collect();
    let unset: HashMap<&str, &str> = outcome
        .unset
        .iter()
        .rev()
        .map(|unset| (unset.pointer.as_str(), unset.name.as_str()))
        .collect();
    for mut finding in schema::validate(&document, Form::Overlay) {
        let at = finding.pointer.as_deref().unwrap_or_default();
        // A text whose placeholder failed is not judged any further.
        if failed.contains(at) {
            continue;
        }
        if let Some(name) = unset.get(at) {
            finding.help = Some(format!(
                "The environment variable {name} is not set, so it inserts nothing: set it."
            ));
        }
        found.push(finding);
    }
    let derived = derived(document.value());
    let layer = Layer {
        kind: source.kind,
        document,
        derived,
    };
    (Some(layer), found)
}

/// A finding about the sum of all layers, moved to the layer that has the last word on its place.
fn blamed(layers: &[Layer], finding: Finding) -> Finding {
    let Some(pointer) = finding.pointer.as_deref() else {
        return finding;
    };
    let Some(layer) = last_word(layers, pointer) else {
        return finding;
    };
    let mut moved =
        layer
            .document
            .finding(&finding.code, finding.severity, pointer, &finding.message);
    moved.help = finding.help;
    moved
}

/// The highest layer that says something at a place or, failing that, the nearest around it.
fn last_word<'a>(layers: &'a [Layer], pointer: &str) -> Option<&'a Layer> {
    let mut pointer = Some(pointer);
    while let Some(at) = pointer.filter(|at| !at.is_empty()) {
        let found = layers
            .iter()
            .rev()
            .find(|layer| layer.document.value().pointer(at).is_some());
        if found.is_some() {
            return found;
        }
        pointer = crate::pointer::parent(at);
    }
    None
}
