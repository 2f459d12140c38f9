//! Schema, standard validator and Rust types say the same (02 §12, decision 23 of the contract).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // a test stops at what it does not expect

mod support;

use open_cowork_config::document::Document;
use open_cowork_config::model::cloud::project_sources::{GitSource, SnapshotSource};
use open_cowork_config::model::secret::{self, SECRETS};
use open_cowork_config::model::updates::{
    Gcs, GcsGoogleOauth, GcsSignedUrlBroker, GenericHttp, GithubAuthKind, GithubReleases,
    HttpAuthKind,
};
use open_cowork_config::model::{Config, JsNumber};
use open_cowork_config::pointer;
use open_cowork_config::schema::{self, FRAGMENTS, Form};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::sample::{self, Bytes};
use support::{fields, reference};

/// The same value with every number in one spelling: `28.0` becomes `28`.
fn spelled(value: &Value) -> Value {
    match value {
        Value::Number(number) => JsNumber(number.as_f64().unwrap()).to_value(),
        Value::Array(items) => items.iter().map(spelled).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), spelled(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// What a converted document must serialize to: the same, without its secrets.
fn expected(document: &Value) -> Value {
    let mut out = document.clone();
    secret::redact(&mut out);
    spelled(&out)
}

fn validate(form: Form, value: &Value) -> Vec<open_cowork_contracts::finding::Finding> {
    schema::validate(&Document::from_value("sample", value.clone()), form)
}

#[test]
fn every_schema_file_compiles_on_its_own_in_a_standard_validator() {
    for (name, text) in FRAGMENTS {
        reference::compile(&serde_json::from_str(text).expect(name));
    }
    reference::of(Form::Full);
    reference::of(Form::Overlay);
}

#[test]
fn a_document_with_every_key_survives_validation_conversion_and_serialization() {
    for branch in 0..9 {
        let document = sample::maximal(branch, &mut |_, schema| sample::allowed_text(schema));
        assert_eq!(validate(Form::Full, &document), [], "branch {branch}");
        assert!(reference::of(Form::Full).is_valid(&document));
        let config = Config::from_value(&document).unwrap();
        assert_eq!(
            spelled(&serde_json::to_value(&config).unwrap()),
            expected(&document),
            "branch {branch}"
        );
    }
}

#[test]
fn every_struct_has_the_keys_of_its_object_in_the_schema() {
    // A document with every key, so that an object's keys are those of the schema.
    let document = sample::maximal(0, &mut |_, schema| sample::allowed_text(schema));
    let structs = fields::announced::<Config>(&document).structs;
    assert!(structs.len() > 60, "{}", structs.len());
    for (at, announced) in structs {
        let keys: BTreeSet<&str> = document
            .pointer(&at)
            .and_then(Value::as_object)
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(BTreeSet::from_iter(announced), keys, "{at}");
    }
}

#[test]
fn every_enum_has_the_members_of_the_schema() {
    fn lists(schema: &Value, out: &mut BTreeSet<Vec<String>>) {
        match schema {
            Value::Object(keywords) => {
                for (keyword, value) in keywords {
                    match (keyword.as_str(), value) {
                        ("if", _) => {} // names some members of an enum that stands elsewhere
                        ("enum", members) => {
                            out.insert(serde_json::from_value(members.clone()).unwrap());
                        }
                        (_, value) => lists(value, out),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| lists(item, out)),
            _ => {}
        }
    }
    let mut in_schema = BTreeSet::new();
    lists(schema::value(Form::Full), &mut in_schema);
    let document = sample::maximal(0, &mut |_, schema| sample::allowed_text(schema));
    let owned = |members: &[&str]| members.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>();
    let mut in_types: BTreeSet<Vec<String>> = fields::announced::<Config>(&document)
        .enums
        .values()
        .map(|m| owned(m))
        .collect();
    // Inside of a union serde reads from a copy, so these two don't announce themselves.
    in_types.insert(
        GithubAuthKind::ALL
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect(),
    );
    in_types.insert(
        HttpAuthKind::ALL
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect(),
    );
    // A constant for the schema, an enum of one member for the types.
    assert!(in_types.remove(&owned(&["open-cowork-capability-bundle-v1"])));
    assert_eq!(in_types, in_schema);
}

#[test]
fn every_branch_of_a_union_has_the_keys_of_the_schema() {
    let branches = |at: &str| -> Vec<Value> {
        let full = schema::value(Form::Full);
        full.pointer(at)
            .and_then(Value::as_array)
            .unwrap()
            .iter()
            .map(|branch| match branch["$ref"].as_str() {
                Some(target) => full
                    .pointer(target.trim_start_matches('#'))
                    .unwrap()
                    .clone(),
                None => branch.clone(),
            })
            .collect()
    };
    let source = branches("/properties/updates/properties/releaseSource/oneOf");
    let gcs = branches("/$defs/gcsReleaseSource/properties/auth/oneOf");
    let project = branches(
        "/properties/cloud/properties/profiles/additionalProperties/properties/defaultProjectSource/oneOf",
    );
    for (branch, announced) in [
        (&source[0], fields::of::<GithubReleases>()),
        (&source[1], fields::of::<GenericHttp>()),
        (&source[2], fields::of::<Gcs>()),
        (&gcs[0], fields::of::<GcsGoogleOauth>()),
        (&gcs[1], fields::of::<GcsSignedUrlBroker>()),
        (&project[0], fields::of::<GitSource>()),
        (&project[1], fields::of::<SnapshotSource>()),
    ] {
        let mut keys: BTreeSet<&str> = branch["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert!(keys.remove("kind"), "the tag is the enum's");
        assert_eq!(BTreeSet::from_iter(announced), keys);
    }
    assert_eq!(
        (source.len(), gcs.len(), project.len()),
        (3, 2, 3),
        "null is the third project"
    );
}

#[test]
fn the_table_of_secrets_is_that_of_the_types() {
    for branch in 0..4 {
        let mut number = 0;
        let mut planted = Vec::new();
        let document = sample::maximal(branch, &mut |at, schema| {
            let text = sample::allowed_text(schema);
            if schema.contains_key("pattern") || text.len() != 1 && !text.is_empty() {
                return text;
            }
            number += 1;
            let canary = format!("cAnary{number}");
            let most = schema.get("maxLength").and_then(Value::as_u64);
            if most.is_some_and(|most| (most as usize) < canary.len()) {
                return text;
            }
            planted.push((at.to_owned(), canary.clone()));
            canary
        });
        assert_eq!(validate(Form::Full, &document), []);
        let config = Config::from_value(&document).unwrap();
        let debug = format!("{config:?}");
        let serialized = serde_json::to_string(&config).unwrap();
        for (at, canary) in planted {
            let hidden = secret::place_of(&at).is_some();
            for shown in [&debug, &serialized] {
                let found = shown.contains(&format!("\"{canary}\""));
                assert_eq!(found, !hidden, "{at}");
            }
        }
    }
}

#[test]
fn every_secret_place_is_in_the_schema() {
    let document = |branch| sample::maximal(branch, &mut |_, schema| sample::allowed_text(schema));
    let documents: Vec<Value> = (0..6).map(document).collect();
    for place in SECRETS {
        let found = documents.iter().any(|document| {
            let mut pointers = Vec::new();
            leaves(document, String::new(), &mut pointers);
            pointers
                .iter()
                .any(|at| secret::place_of(at) == Some(place))
        });
        assert!(found, "{}", place.pattern);
    }
}

fn leaves(value: &Value, at: String, out: &mut Vec<String>) {
    out.push(at.clone());
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| leaves(member, pointer::child(&at, name), out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| leaves(item, pointer::child(&at, &index.to_string()), out)),
        _ => {}
    }
}

/// Breaks a document at one place, somehow; gives the pointer of that place.
fn mutate(document: &mut Value, bytes: &mut Bytes<'_>, forms: &[&str]) -> String {
    let mut pointers = Vec::new();
    leaves(document, String::new(), &mut pointers);
    let at = pointers[(bytes.below(256) * 256 + bytes.below(256)) % pointers.len()].clone();
    let value = document.pointer_mut(&at).unwrap();
    match (bytes.below(9), value) {
        (0, value) => *value = Value::Null,
        (1, value) => *value = json!("text"),
        (2, value) => *value = json!(-1.5),
        (3, value) => *value = json!({"kind": forms[bytes.below(forms.len())]}),
        (4, value) => *value = json!([[], []]),
        (5, Value::Object(members)) => {
            members.insert(forms[bytes.below(forms.len())].to_owned(), json!("x"));
        }
        (6, Value::Object(members)) => {
            if let Some(name) = members
                .keys()
                .nth(bytes.below(members.len().max(1)))
                .cloned()
            {
                members.shift_remove(&name);
            }
        }
        (_, Value::String(text)) => match bytes.below(5) {
            0 => text.push('\n'),
            1 => *text = text.repeat(40),
            2 => text.clear(),
            3 => *text = text.to_uppercase(),
            _ => text.insert(0, '/'),
        },
        (_, Value::Array(items)) => {
            let copy = items.first().cloned().unwrap_or(Value::Null);
            items.push(copy);
        }
        (_, value) => *value = json!(0),
    }
    at
}

const NAMES: &[&str] = &[
    "kind",
    "gcs",
    "label",
    "auth",
    "type",
    "select",
    "discord",
    "owner",
    "bucket",
    "generic-http",
    "git",
    "snapshot",
    "title",
    "unheardOf",
    "settings",
    "credentials",
    "google-oauth",
    "url",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_valid_document_converts_and_serializes_back(
        bytes in prop::collection::vec(any::<u8>(), 0..3000)
    ) {
        let document = sample::document(Form::Full, &mut Bytes::new(&bytes));
        prop_assert_eq!(validate(Form::Full, &document), []);
        prop_assert!(reference::of(Form::Full).is_valid(&document));
        prop_assert_eq!(validate(Form::Overlay, &document), [], "a full document is a layer too");
        let config = Config::from_value(&document).unwrap();
        prop_assert_eq!(spelled(&serde_json::to_value(&config).unwrap()), expected(&document));
    }

    #[test]
    fn a_broken_document_is_refused_exactly_when_the_standard_validator_refuses_it(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        breaks in prop::collection::vec(any::<u8>(), 8..40),
        overlay in any::<bool>(),
        times in 1..4usize,
    ) {
        let form = if overlay { Form::Overlay } else { Form::Full };
        let mut document = sample::document(form, &mut Bytes::new(&bytes));
        let mut breaks = Bytes::new(&breaks);
        let mut places = Vec::new();
        for _ in 0..times {
            places.push(mutate(&mut document, &mut breaks, NAMES));
        }
        let findings = validate(form, &document);
        let null_layer = overlay && document.is_null(); // the loader's rule (02 §2.4)
        let accepted = null_layer || reference::of(form).is_valid(&document);
        prop_assert_eq!(findings.is_empty(), accepted, "{:?}\n{}", findings, document);
        prop_assert_eq!(Config::from_value(&document).is_err(), !validate(Form::Full, &document).is_empty());
        for finding in &findings {
            let at = finding.pointer.as_deref().unwrap();
            let near = places.iter().any(|place| {
                let parent = pointer::parent(place).unwrap_or("");
                at.starts_with(place.as_str()) || place.starts_with(at) || at.starts_with(parent)
            });
            prop_assert!(near, "{} is far from {:?}", at, places);
        }
    }
}
