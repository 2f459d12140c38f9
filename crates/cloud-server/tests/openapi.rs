//! docs/openapi.json is what the server says about itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use open_cowork_cloud_server::{Options, http, openapi};
use std::collections::BTreeSet;

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let document = openapi::document(&http::routes(&Options::default()));
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored.replace("\r\n", "\n") == text,
        "run this test with UPDATE_OPENAPI=1 and read the difference"
    );
}

#[test]
fn the_document_names_every_route_once_and_refers_to_nothing_that_is_missing() {
    let routes = http::routes(&Options::default());
    let document = openapi::document(&routes);
    let mut ids = BTreeSet::new();
    let mut operations = 0;
    for (_, item) in document["paths"].as_object().unwrap() {
        for (_, operation) in item.as_object().unwrap() {
            operations += 1;
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["responses"]["default"].is_object());
        }
    }
    assert_eq!(operations, routes.len());
    let text = document.to_string();
    let known = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(known.contains_key(name), "{name}");
    }
}
