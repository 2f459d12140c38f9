//! The files in `schema/` (02 §1.1): fragments by hand, the two published files from them.
//! After a change of a fragment: `UPDATE_SCHEMAS=1 cargo test -p open-cowork-config --test schema_files`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // a test stops at what it does not expect

use open_cowork_config::schema::compose::{self, FULL, ID_BASE, OVERLAY};
use open_cowork_config::schema::{self, FRAGMENTS, Form};
use serde_json::{Value, json};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema")
}

fn fragments() -> Vec<Value> {
    FRAGMENTS
        .iter()
        .map(|(_, text)| serde_json::from_str(text).unwrap())
        .collect()
}

/// Calls `visit` with every schema object below a schema.
fn walk(schema: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    let Value::Object(members) = schema else {
        return;
    };
    visit(members);
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(children)) => {
                children.values().for_each(|child| walk(child, visit));
            }
            ("anyOf" | "oneOf", Value::Array(children)) => {
                children.iter().for_each(|child| walk(child, visit));
            }
            ("items" | "additionalProperties" | "if" | "then", child) => walk(child, visit),
            _ => {}
        }
    }
}

#[test]
fn the_published_files_are_made_from_the_fragments() {
    let full = compose::full(&fragments());
    let overlay = compose::overlay(&full);
    for (name, composed, form) in [(FULL, full, Form::Full), (OVERLAY, overlay, Form::Overlay)] {
        let text = compose::serialized(&composed);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(folder().join(name), text).unwrap();
            continue;
        }
        assert_eq!(
            schema::text(form).replace("\r\n", "\n"),
            text,
            "{name}: run this test with UPDATE_SCHEMAS=1 and read the difference"
        );
    }
}

#[test]
fn every_file_is_in_the_one_serialization() {
    for (name, text) in FRAGMENTS {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            text.replace("\r\n", "\n"),
            compose::serialized(&value),
            "{name}"
        );
        assert_eq!(value["$id"], format!("{ID_BASE}{name}"));
        assert_eq!(
            value["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}

#[test]
fn shared_definitions_are_the_same_in_every_fragment() {
    let fragments = fragments();
    let composed = compose::full(&fragments);
    for fragment in &fragments {
        for (name, definition) in fragment["$defs"].as_object().unwrap() {
            assert_eq!(
                definition.to_string(),
                composed["$defs"][name].to_string(),
                "{name}"
            );
        }
    }
}

#[test]
fn each_fragment_holds_the_definitions_it_uses_and_no_other() {
    for fragment in fragments() {
        let mut used = std::collections::BTreeSet::new();
        walk(&fragment, &mut |schema| {
            if let Some(Value::String(target)) = schema.get("$ref") {
                used.insert(target.strip_prefix("#/$defs/").unwrap().to_owned());
            }
        });
        let held: std::collections::BTreeSet<String> = fragment["$defs"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(held, used, "{}", fragment["$id"]);
    }
}

#[test]
fn the_root_requires_ten_members_and_each_fragment_owns_its_own() {
    let full = schema::value(Form::Full);
    assert_eq!(
        full["required"],
        json!([
            "contractVersion",
            "allowedEnvPlaceholders",
            "branding",
            "auth",
            "providers",
            "tools",
            "skills",
            "mcps",
            "agents",
            "permissions"
        ])
    );
    let keys = |fragment: &Value| -> Vec<String> {
        fragment["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let fragments = fragments();
    assert_eq!(keys(&fragments[1]), ["cloud", "cloudDesktop"]);
    assert_eq!(keys(&fragments[2]), ["gateway"]);
    assert_eq!(keys(&fragments[0]).len(), 20);
    assert_eq!(keys(full).len(), 23);
}

#[test]
fn there_is_no_default_no_format_and_every_member_is_described() {
    for form in [Form::Full, Form::Overlay] {
        walk(schema::value(form), &mut |schema| {
            for keyword in ["default", "format", "nullable", "examples"] {
                assert!(!schema.contains_key(keyword), "{keyword} in {schema:?}");
            }
            let closed = schema.get("additionalProperties") == Some(&json!(false));
            if let (true, Some(Value::Object(members))) = (closed, schema.get("properties")) {
                for (name, member) in members {
                    let described = member["description"]
                        .as_str()
                        .is_some_and(|d| !d.is_empty());
                    assert!(described, "{name}");
                }
            }
        });
    }
}

#[test]
fn every_object_is_closed_unless_it_is_known_to_be_open() {
    let mut open = Vec::new();
    fn find(schema: &Value, path: String, open: &mut Vec<String>) {
        let Value::Object(members) = schema else {
            return;
        };
        if members.get("type") == Some(&json!("object")) {
            match members.get("additionalProperties") {
                Some(Value::Bool(false) | Value::Object(_)) => {}
                Some(Value::Bool(true)) => open.push(path.clone()),
                other => panic!("{path}: additionalProperties is {other:?}"),
            }
        }
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                ("properties" | "$defs", Value::Object(children)) => {
                    for (name, child) in children {
                        find(child, format!("{path}/{name}"), open);
                    }
                }
                ("items" | "additionalProperties", child) => find(child, format!("{path}/*"), open),
                ("oneOf" | "anyOf", Value::Array(children)) => {
                    children
                        .iter()
                        .for_each(|child| find(child, path.clone(), open));
                }
                _ => {}
            }
        }
    }
    find(schema::value(Form::Full), String::new(), &mut open);
    open.sort();
    assert_eq!(
        open,
        [
            "/agents/*/options",
            "/builtInAgent/options",
            "/gateway/providers/*/settings",
            "/providers/custom/*/models/*/options",
            "/providers/custom/*/options",
            "/providers/descriptors/*/options",
        ]
    );
}

#[test]
fn only_the_overlay_leaves_out_what_is_required() {
    fn required(schema: &Value) -> usize {
        let mut count = 0;
        walk(schema, &mut |schema| {
            count += usize::from(schema.contains_key("required"))
        });
        count
    }
    assert!(required(schema::value(Form::Full)) > 40);
    // Two forms of GCS sign-in, two project sources, select/radio, and the bridge rule, which
    // requires at three places and asks about the kind at one.
    let mut left = 0;
    walk(schema::value(Form::Overlay), &mut |schema| {
        left += usize::from(schema.contains_key("required"));
    });
    assert_eq!(left, 2 + 2 + 2 + 4);
}
