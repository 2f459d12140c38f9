//! The golden vectors of the schema (02 §13): verdict, pointer of the first finding, code.
//!
//! `fixtures/config/vectors.jsonl`, one per line: `form` is full or overlay; `doc` is the document,
//! else it is `minimal.json` with the members of `set` (by pointer; objects around them are made)
//! and without those of `remove`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // a test stops at what it does not expect

mod support;

use open_cowork_config::document::Document;
use open_cowork_config::pointer;
use open_cowork_config::schema::{self, Form, compose};
use serde_json::Value;
use std::path::{Path, PathBuf};
use support::ajv;
use support::sample::{self, Bytes};

struct Vector {
    id: String,
    form: Form,
    document: Value,
    expected: Value,
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/config")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

fn vectors() -> Vec<Vector> {
    let minimal: Value = serde_json::from_str(&fixture("minimal.json")).unwrap();
    fixture("vectors.jsonl")
        .lines()
        .map(|line| {
            let expected: Value = serde_json::from_str(line).unwrap();
            let document = match expected.get("doc") {
                Some(document) => document.clone(),
                None => changed(&minimal, &expected),
            };
            Vector {
                id: expected["id"].as_str().unwrap().to_owned(),
                form: match expected["form"].as_str().unwrap() {
                    "full" => Form::Full,
                    "overlay" => Form::Overlay,
                    other => panic!("{other} is no form"),
                },
                document,
                expected,
            }
        })
        .collect()
}

fn changed(minimal: &Value, vector: &Value) -> Value {
    let mut document = minimal.clone();
    for (at, value) in vector
        .get("set")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let mut place = &mut document;
        for step in pointer::steps(at) {
            place = &mut place[step.as_ref()];
        }
        *place = value.clone();
    }
    for at in vector
        .get("remove")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let at = at.as_str().unwrap();
        let name = pointer::steps(at).last().unwrap().into_owned();
        let parent = document.pointer_mut(pointer::parent(at).unwrap()).unwrap();
        parent.as_object_mut().unwrap().shift_remove(&name).unwrap();
    }
    document
}

#[test]
fn every_vector_has_its_verdict_pointer_and_code() {
    let vectors = vectors();
    assert!(vectors.len() > 90);
    let mut ids = std::collections::HashSet::new();
    for Vector {
        id,
        form,
        document,
        expected,
    } in vectors
    {
        assert!(ids.insert(id.clone()), "{id} stands twice");
        let found = schema::validate(&Document::from_value(id.as_str(), document), form);
        assert_eq!(
            found.is_empty(),
            expected["valid"].as_bool().unwrap(),
            "{id}: {found:?}"
        );
        let Some(first) = found.first() else { continue };
        assert_eq!(
            first.pointer.as_deref(),
            expected["pointer"].as_str(),
            "{id}: {found:?}"
        );
        if let Some(code) = expected.get("code").and_then(Value::as_str) {
            assert_eq!(first.code, code, "{id}");
        }
        assert!(first.help.is_some(), "{id} has no way out");
    }
}

#[test]
fn ajv_in_strict_mode_compiles_every_file_and_gives_the_same_verdicts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let files = [
        compose::FULL,
        compose::OVERLAY,
        "desktop-core.schema.json",
        "cloud.schema.json",
        "gateway.schema.json",
    ];
    let schemas: Vec<PathBuf> = files.iter().map(|name| folder.join(name)).collect();
    let mut named: Vec<(String, Form, Value)> = vectors()
        .into_iter()
        .filter(|vector| !vector.document.is_null()) // a null layer is the loader's rule (02 §2.4)
        .map(|vector| (vector.id, vector.form, vector.document))
        .collect();
    for branch in 0..9 {
        let document = sample::maximal(branch, &mut |_, schema| sample::allowed_text(schema));
        named.push((format!("every key, branch {branch}"), Form::Full, document));
    }
    for seed in 0..100u32 {
        let bytes: Vec<u8> = (0..2000u32)
            .map(|n| (n.wrapping_add(seed * 7919).wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for form in [Form::Full, Form::Overlay] {
            let document = sample::document(form, &mut Bytes::new(&bytes));
            named.push((format!("random {seed}"), form, document));
        }
    }
    let documents: Vec<(usize, Value)> = named
        .iter()
        .map(|(_, form, document)| (usize::from(*form == Form::Overlay), document.clone()))
        .collect();
    let verdicts = ajv::verdicts(&schemas, &documents);
    for ((id, form, document), verdict) in named.into_iter().zip(verdicts) {
        let found = schema::validate(&Document::from_value(id.as_str(), document), form);
        assert_eq!(found.is_empty(), verdict.valid, "{id}: {found:?}");
        // Where Ajv blames the first branch of a union, we speak of the one that was meant.
        let union = found.iter().any(|finding| {
            finding.pointer.as_deref().is_some_and(|at| {
                at.starts_with("/updates/releaseSource") || at.contains("/defaultProjectSource")
            })
        });
        if let (Some(first), false) = (found.first(), union) {
            assert_eq!(first.pointer, verdict.pointer, "{id}: {found:?}");
        }
    }
}
