//! The JSON of bundles and of what an import answers.

#![allow(clippy::unwrap_used)] // a test file: failing is its job

use open_cowork_contracts::setup_bundle::*;
use serde_json::{Value, json};

fn bundle() -> Value {
    json!({
        "format": "open-cowork-setup-bundle",
        "version": 1,
        "exportedAt": "2026-01-01T00:00:00.000Z",
        "exportedBy": "Sample Cowork",
        "skills": [],
        "mcps": [{
            "schemaVersion": 1,
            "id": "mcp:wiki",
            "kind": "mcp",
            "name": "wiki",
            "description": "Reads the wiki.",
            "source": {"origin": "export", "scope": "machine"},
            "secrets": [{"key": "env:TOKEN", "location": "env", "label": "Variable TOKEN", "required": true}],
            "setup": [{"kind": "configure-secret", "detail": "Enter the variable TOKEN."}],
            "payload": {"kind": "mcp", "mcp": {
                "name": "wiki", "type": "stdio", "command": "node", "args": ["wiki.js"], "env": {"TOKEN": REDACTED}
            }}
        }],
        "agents": []
    })
}

#[test]
fn a_bundle_travels() {
    let read: SetupBundle = serde_json::from_value(bundle()).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written, bundle());
    insta::assert_json_snapshot!("setup_bundle", written);
}

#[test]
fn a_result_counts_its_items_and_travels() {
    let item = |kind, name: &str, status, missing: &[&str]| ImportItem {
        kind,
        id: format!("{kind}:{name}"),
        name: name.into(),
        status,
        detail: "One sentence.".into(),
        missing_secrets: missing.iter().map(ToString::to_string).collect(),
    };
    let result = ImportResult::of(vec![
        item(
            ExtensionKind::Mcp,
            "a",
            ImportStatus::NeedsSecret,
            &["env:TOKEN"],
        ),
        item(
            ExtensionKind::Mcp,
            "b",
            ImportStatus::SkippedUnsupported,
            &[],
        ),
        item(
            ExtensionKind::Skill,
            "c",
            ImportStatus::SkippedConflict,
            &[],
        ),
        item(ExtensionKind::Agent, "d", ImportStatus::Applied, &[]),
    ]);
    let written = serde_json::to_value(&result).unwrap();
    let read: ImportResult = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read, result);
    insta::assert_json_snapshot!("import_result", written);
}

#[test]
fn debug_shows_neither_a_payload_nor_an_entered_secret() {
    let mut foreign = bundle();
    foreign["mcps"][0]["payload"]["mcp"]["env"]["TOKEN"] = json!("canary-1");
    let read: SetupBundle = serde_json::from_value(foreign).unwrap();
    let options: ImportOptions = serde_json::from_value(json!({
        "target": {"scope": "project", "directory": "site"},
        "secretValues": {"mcp:wiki": {"env:TOKEN": "canary-2"}},
        "overwrite": true
    }))
    .unwrap();
    let shown = format!("{read:?} {options:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("mcp:wiki"));
}
