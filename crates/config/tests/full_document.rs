//! `fixtures/config/full.json`: one document with every key of the contract, made from the schema. The
//! bench loads it; `UPDATE_FIXTURES=1` writes it anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // in functions beside the tests too

mod support;

use open_cowork_config::load::load;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use serde_json::{Value, json};
use std::path::Path;
use support::sample;

fn full() -> Value {
    let mut document = sample::maximal(0, &mut |_, schema| sample::allowed_text(schema));
    let name = |document: &Value, map: &str| {
        document
            .pointer(map)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap()
            .clone()
    };
    let provider = name(&document, "/providers/descriptors");
    let profile = name(&document, "/cloud/profiles");
    let plan = name(&document, "/cloud/billing/plans");
    for (pointer, text) in [
        ("/providers/available/0", provider.as_str()),
        ("/providers/defaultProvider", &provider),
        ("/cloud/defaultProfile", &profile),
        ("/cloud/billing/defaultPlanKey", &plan),
        ("/gateway/server/host", "127.0.0.1"),
        ("/branding/dataDirName", "sample-cowork"),
    ] {
        *document.pointer_mut(pointer).unwrap() = json!(text);
    }
    document
}

#[test]
fn the_document_with_every_key_is_up_to_date_and_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/config/full.json");
    let text = serde_json::to_string_pretty(&full()).unwrap() + "\n";
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "fixtures/config/full.json is out of date; run this test with UPDATE_FIXTURES=1"
    );
    let sources = Sources::new(Surface::Every).with(LayerKind::Base, "full.json", stored);
    load(&sources).unwrap_or_else(|findings| panic!("{findings:#?}"));
}
