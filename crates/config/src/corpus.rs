//! Lines of JSON by which an outside corpus checks this crate (10 §2): one request in, one answer out.
//! Nothing outside the line is read.

use crate::document::Document;
use crate::jsonc::{self, FaultKind, MAX_DEPTH};
use crate::load::{RESOLVED, derived, fold};
use crate::merge::merge;
use crate::placeholder::{self, Inserted, Raw, Scope};
use crate::schema::{self, Form};
use crate::semantics::{self, Stage};
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A line that is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// It isn't JSON.
    #[error("The line is no JSON (column {column}); write one request per line.")]
    NotJson {
        /// Where it stops being JSON, from 1.
        column: usize,
    },
    /// It is JSON, but no request.
    #[error("The line is no known request: {0}.")]
    NotARequest(&'static str),
}

/// A request, and where in it something nests too deep to be kept.
struct Request {
    value: Value,
    too_deep: Option<String>,
}

/// JSON that serde_json doesn't read is read by our own parser: half a character becomes U+FFFD, a
/// number beyond 64 bits keeps its place, and of what nests too deep nothing is kept.
fn read(line: &str) -> Result<Request, Unknown> {
    let error = match serde_json::from_str(line) {
        Ok(value) => {
            return Ok(Request {
                value,
                too_deep: None,
            });
        }
        Err(error) => error,
    };
    let parsed = jsonc::parse_strict(line, MAX_DEPTH + 1).map_err(|_| Unknown::NotJson {
        column: error.column(),
    })?;
    let mut faults = parsed.faults.into_iter();
    Ok(Request {
        value: parsed.value,
        too_deep: faults
            .find(|fault| fault.kind == FaultKind::TooDeep)
            .map(|fault| fault.pointer),
    })
}

/// Answers one line, without its line break.
///
/// ```
/// let line = r#"{"id": 1, "kind": "overlay", "doc": {"branding": {"nmae": "x"}}}"#;
/// assert_eq!(
///     open_cowork_config::corpus::answer(line).unwrap(),
///     r#"{"id":1,"schemaValid":false,"semanticValid":null,"errorPath":"/branding/nmae"}"#
/// );
/// ```
///
/// # Errors
/// A line that is no request; whatever is wrong with a request's documents is part of the answer.
pub fn answer(line: &str) -> Result<String, Unknown> {
    let Request { value, too_deep } = read(line)?;
    let Value::Object(request) = &value else {
        return Err(Unknown::NotARequest("it is no object"));
    };
    let deep = too_deep.as_deref();
    let mut answer = Map::new();
    answer.insert(
        "id".into(),
        request.get("id").cloned().unwrap_or(Value::Null),
    );
    let text = |key: &str| request.get(key).and_then(Value::as_str);
    if request.contains_key("kind") {
        let doc = request
            .get("doc")
            .ok_or(Unknown::NotARequest("`doc` is missing"))?;
        let (form, stage) = match text("kind") {
            Some("full") => (Form::Full, Stage::Resolved),
            Some("overlay") => (Form::Overlay, Stage::Layer),
            _ => return Err(Unknown::NotARequest("`kind` is \"full\" or \"overlay\"")),
        };
        let refused = deep.map(|deep| deep.strip_prefix("/doc").unwrap_or_default());
        answer.extend(verdict(doc.clone(), form, stage, refused));
    } else if request.contains_key("base") {
        let layers = request
            .get("layers")
            .and_then(Value::as_array)
            .ok_or(Unknown::NotARequest("`layers` is a list of documents"))?;
        match text("base") {
            Some("empty") => {
                answer.insert("merged".into(), over_nothing(layers));
            }
            Some("default") => {
                let merged = over_defaults(layers);
                answer.insert("merged".into(), merged.clone());
                let deep = deep.map(|deep| {
                    let inner = deep.match_indices('/').nth(2);
                    inner.map_or("", |(at, _)| &deep[at..])
                });
                let refused = refused_layer(layers).or(deep);
                answer.extend(verdict(merged, Form::Full, Stage::Resolved, refused));
            }
            _ => return Err(Unknown::NotARequest("`base` is \"empty\" or \"default\"")),
        }
    } else if request.contains_key("level") {
        let raw = match text("level") {
            Some("value") => Raw::Nothing,
            Some("layer") => Raw::ProviderOptions,
            _ => return Err(Unknown::NotARequest("`level` is \"value\" or \"layer\"")),
        };
        let resolved = resolve(request, raw)?.filter(|_| deep.is_none());
        answer.insert("error".into(), json!(resolved.is_none()));
        answer.insert("resolved".into(), resolved.unwrap_or(Value::Null));
    } else {
        return Err(Unknown::NotARequest(
            "it has none of `kind`, `base` and `level`",
        ));
    }
    let mut answer = Value::Object(answer);
    forget_beyond(&mut answer);
    Ok(answer.to_string())
}

/// A number that can't be kept is null in an answer, as JavaScript writes it.
fn forget_beyond(value: &mut Value) {
    match value {
        Value::String(_) if jsonc::is_beyond(value) => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(forget_beyond),
        Value::Object(map) => map.values_mut().for_each(forget_beyond),
        _ => {}
    }
}

/// Why the loader refuses one of the layers whatever their sum is: it is neither an object nor null, or
/// it is of another contract (02 §1.2, §2.4). The pointer is one into that layer.
fn refused_layer(layers: &[Value]) -> Option<&'static str> {
    layers.iter().find_map(|layer| match layer {
        Value::Null => None,
        Value::Object(map) => match map.get("contractVersion") {
            None => None,
            Some(Value::Number(version)) if version.as_f64() == Some(1.0) => None,
            Some(_) => Some("/contractVersion"),
        },
        _ => Some(""),
    })
}

/// `refused` is the place of something that no schema takes.
fn verdict(doc: Value, form: Form, stage: Stage, refused: Option<&str>) -> Map<String, Value> {
    if let Some(pointer) = refused {
        return Map::from_iter([
            ("schemaValid".to_owned(), json!(false)),
            ("semanticValid".to_owned(), Value::Null),
            ("errorPath".to_owned(), json!(pointer)),
        ]);
    }
    let document = Document::from_value(RESOLVED, doc);
    let by_schema = errors(schema::validate(&document, form));
    let by_semantics = if by_schema.is_empty() {
        errors(semantics::check(&document, stage))
    } else {
        Vec::new()
    };
    let first = by_schema.first().or(by_semantics.first());
    let mut verdict = Map::new();
    verdict.insert("schemaValid".into(), json!(by_schema.is_empty()));
    let semantic = by_schema.is_empty().then_some(by_semantics.is_empty());
    verdict.insert("semanticValid".into(), json!(semantic));
    verdict.insert(
        "errorPath".into(),
        json!(first.and_then(|finding| finding.pointer.as_ref())),
    );
    verdict
}

fn errors(found: Vec<Finding>) -> Vec<Finding> {
    found
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect()
}

fn over_nothing(layers: &[Value]) -> Value {
    let mut merged = json!({});
    for layer in layers {
        merge(&mut merged, &derived(layer));
    }
    merged
}

/// As the loader does it, in an environment without any variable or file. A layer whose placeholders
/// can't be resolved keeps their text.
fn over_defaults(layers: &[Value]) -> Value {
    let nothing = (BTreeMap::new(), BTreeMap::new());
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let mut layer = layer.clone();
            let allowed = placeholder::allowed(&layer);
            let scope = Scope {
                allowed: &allowed,
                env: &nothing.0,
                files: &nothing.1,
            };
            placeholder::resolve(&mut layer, Raw::ProviderOptions, scope);
            derived(&layer)
        })
        .collect();
    fold(layers.iter()).resolved
}

/// The document with its placeholders resolved; `None` when that fails or, for a layer, when the layer
/// is not valid afterwards.
fn resolve(request: &Map<String, Value>, raw: Raw) -> Result<Option<Value>, Unknown> {
    let mut doc = request
        .get("doc")
        .ok_or(Unknown::NotARequest("`doc` is missing"))?
        .clone();
    let env = texts(request.get("env"));
    let allowed = match raw {
        Raw::Nothing => crate::semantics::texts(request.get("allowed").unwrap_or(&Value::Null))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        Raw::ProviderOptions => placeholder::allowed(&doc),
    };
    let given: BTreeMap<String, String> = texts(request.get("files"))
        .into_iter()
        .map(|(path, text)| (normal(&path), text))
        .collect();
    let mut taken = 0;
    let files = placeholder::files(&doc, raw, &allowed, &env)
        .into_iter()
        .map(|path| {
            let inserted = match inserted(&path, &given) {
                Inserted::Text(_) if taken > placeholder::INSERTED_LIMIT => {
                    Inserted::Refused(placeholder::TOO_MUCH)
                }
                inserted => inserted,
            };
            if let Inserted::Text(text) = &inserted {
                taken += text.len();
            }
            (path, inserted)
        })
        .collect();
    let scope = Scope {
        allowed: &allowed,
        env: &env,
        files: &files,
    };
    if !placeholder::resolve(&mut doc, raw, scope)
        .problems
        .is_empty()
    {
        return Ok(None);
    }
    if raw == Raw::ProviderOptions {
        let document = Document::from_value(RESOLVED, doc.clone());
        let invalid = !errors(schema::validate(&document, Form::Overlay)).is_empty()
            || !errors(semantics::check(&document, Stage::Layer)).is_empty();
        if invalid {
            return Ok(None);
        }
    }
    Ok(Some(doc))
}

fn inserted(path: &str, given: &BTreeMap<String, String>) -> Inserted {
    let path = normal(path);
    let is_folder = path.is_empty()
        || given.keys().any(|file| {
            file.strip_prefix(&path)
                .is_some_and(|rest| rest.starts_with('/'))
        });
    match given.get(&path) {
        Some(text) if text.len() > placeholder::FILE_LIMIT => Inserted::Refused("is too large"),
        Some(text) => Inserted::Text(text.clone()),
        None if is_folder => Inserted::Refused("is a directory"),
        None => Inserted::Missing,
    }
}

/// A path without `.` and `..` steps; an absolute one keeps its slash.
fn normal(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." if steps.last().is_some_and(|last| *last != "..") => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", steps.join("/"))
}

fn texts(map: Option<&Value>) -> BTreeMap<String, String> {
    map.and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
        .collect()
}
