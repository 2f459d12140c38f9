//! What the fuzz targets do with their bytes; an ordinary test does the same with the committed corpus
//! (`tests/fuzz.rs`), and the program in `fuzz/` with whatever libFuzzer makes up.

use open_cowork_config::document::Document;
use open_cowork_config::load::{Loaded, load};
use open_cowork_config::placeholder::Inserted;
use open_cowork_config::redact::{Reader, masked, quoted};
use open_cowork_config::schema::{self, Form};
use open_cowork_config::semantics::{self, Stage};
use open_cowork_config::source::{LayerKind, Source, Sources, Surface};
use open_cowork_config::view::{self, View};
use open_cowork_config::{cloud, corpus, gateway, pointer};
use open_cowork_contracts::finding::Finding;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What parts of the input are separated by: a line with nothing but this.
pub(crate) const SEPARATOR: &str = "\n%%\n";

/// The first part is the environment, one `NAME=value` per line; every other part is a layer, lowest
/// precedence first. The layers are loaded, explained and shown in every view.
pub(crate) fn loader(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split(SEPARATOR);
    let env: BTreeMap<String, String> = parts
        .next()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let files = BTreeMap::from([
        ("./n.txt".to_owned(), Inserted::Text("Name\n".to_owned())),
        ("d".to_owned(), Inserted::Refused("is a directory")),
    ]);
    let layers: Vec<Source> = parts
        .take(4)
        .enumerate()
        .map(|(at, text)| Source {
            kind: LayerKind::CommandLine,
            file: format!("layer-{at}.json"),
            text: text.to_owned(),
            files: files.clone(),
        })
        .collect();
    for surface in [Surface::Every, Surface::Desktop] {
        let sources = Sources {
            layers: layers.clone(),
            env: env.clone(),
            surface,
            warnings: Vec::new(),
        };
        match load(&sources) {
            Ok(loaded) => {
                said(loaded.warnings());
                for view in View::ALL {
                    let _ = view::of(&loaded, view).to_string();
                }
                for key in keys(loaded.written()).into_iter().take(40) {
                    let _ = loaded.explain(&key).map(|why| serde_json::to_string(&why));
                }
                let _ = loaded.explain(text.lines().last().unwrap_or_default());
                let _ = format!("{loaded:?}{:?}", loaded.config());
                resolved(&loaded, &env);
            }
            Err(findings) => {
                assert!(!findings.is_empty(), "a refusal says why");
                said(&findings);
            }
        }
    }
    for line in text.lines().take(8) {
        let _ = corpus::answer(line);
    }
}

/// The environment over the document, for both servers.
fn resolved(loaded: &Loaded, env: &BTreeMap<String, String>) {
    match cloud::resolve(loaded, env) {
        Ok(settings) => {
            let _ = (
                settings.runtime_policy(),
                settings.web_config(Value::Null),
                format!("{settings:?}"),
            );
            for profile in loaded.value()["cloud"]["profiles"]
                .as_object()
                .into_iter()
                .flatten()
            {
                let source = profile.1.get("defaultProjectSource");
                let _ = cloud::project_source::verdict(
                    &loaded.value()["cloud"]["projectSources"],
                    source,
                );
            }
        }
        Err(findings) => said(&findings),
    }
    match gateway::resolve(loaded, env) {
        Ok(settings) => said(&settings.warnings),
        Err(findings) => said(&findings),
    }
}

/// One text: parsed, asked for places, validated in both forms, masked.
pub(crate) fn document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = masked(&text, Reader::Stranger);
    let _ = quoted(&text);
    let document = match Document::parse("site.jsonc", &text) {
        Ok(document) => document,
        Err(findings) => {
            assert!(!findings.is_empty(), "a refusal says why");
            return said(&findings);
        }
    };
    said(document.warnings());
    for form in [Form::Full, Form::Overlay] {
        said(&schema::validate(&document, form));
    }
    for stage in [Stage::Layer, Stage::Resolved] {
        said(&semantics::check(&document, stage));
    }
    for pointer in keys(document.value()) {
        assert!(
            document.value().pointer(&pointer).is_some(),
            "a pointer leads to its value: {pointer}"
        );
        let _ = (document.place(&pointer), document.key_place(&pointer));
    }
}

/// Every finding can be printed, and its place is one.
fn said(findings: &[Finding]) {
    let mut out = String::new();
    for finding in findings {
        assert!(!finding.message.is_empty() && !finding.code.is_empty());
        assert!(finding.line != Some(0) && finding.column != Some(0));
        let _ = write!(out, "{finding:?}");
    }
}

/// The pointers of a document, at most a few hundred.
fn keys(value: &Value) -> Vec<String> {
    fn go(value: &Value, here: &str, out: &mut Vec<String>) {
        if out.len() > 300 {
            return;
        }
        match value {
            Value::Object(map) => map.iter().for_each(|(key, inner)| {
                let place = pointer::child(here, key);
                out.push(place.clone());
                go(inner, &place, out);
            }),
            Value::Array(list) => list.iter().enumerate().for_each(|(at, inner)| {
                let place = pointer::child(here, &at.to_string());
                out.push(place.clone());
                go(inner, &place, out);
            }),
            _ => {}
        }
    }
    let mut out = Vec::new();
    go(value, "", &mut out);
    out
}
