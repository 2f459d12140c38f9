//! A secret is planted at every text of the schema, and looked for in everything that leaves (02 §9).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // in functions beside the tests too

mod support;

use open_cowork_config::load::{Loaded, load};
use open_cowork_config::model::secret::place_of;
use open_cowork_config::pointer;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use open_cowork_config::view::{self, View, public};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use support::sample;

/// A text with a mark of its own that the schema takes at that place; `None` where it takes fixed words
/// only. `secret` makes marks that look like a key.
fn planted(schema: &Map<String, Value>, number: usize, secret: bool) -> Option<String> {
    let mark = if secret {
        format!("sk-canary{number:04}abcdefghijkl")
    } else {
        format!("canary{number:04}x")
    };
    let pattern = schema
        .get("pattern")
        .and_then(Value::as_str)
        .map(|pattern| regress::Regex::with_flags(pattern, "u").unwrap());
    let most = schema
        .get("maxLength")
        .and_then(Value::as_u64)
        .unwrap_or(4096) as usize;
    let hex = format!("{number:064x}");
    let candidates = [
        mark.clone(),
        format!("https://{mark}.example.com/x"),
        format!("https://example.com/{mark}"),
        format!("branding/{mark}.svg"),
        format!("/{mark}"),
        mark.replace('-', "_"),
        format!("rgb({mark})"),
        hex,
    ];
    candidates.into_iter().find(|text| {
        text.chars().count() <= most
            && pattern
                .as_ref()
                .is_none_or(|pattern| pattern.find(text).is_some())
    })
}

struct Planted {
    /// What stands at which pointer.
    marks: BTreeMap<String, String>,
    loaded: Loaded,
    text: String,
}

fn plant(branch: usize, secret: bool) -> Planted {
    let mut marks = BTreeMap::new();
    let mut skipped = 0_usize;
    let mut document = sample::maximal(branch, &mut |pointer, schema| match planted(
        schema,
        marks.len(),
        secret,
    ) {
        Some(text) => {
            marks.insert(pointer.to_owned(), text.clone());
            text
        }
        None => {
            skipped += 1;
            sample::allowed_text(schema)
        }
    });
    assert!(
        marks.len() > 300,
        "most texts of the schema are planted, not {} ({skipped} are not)",
        marks.len()
    );
    // What must fit together for the document to load at all.
    let provider = document["providers"]["descriptors"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    for (pointer, text) in [
        ("/providers/available/0", provider.as_str()),
        ("/providers/defaultProvider", &provider),
        ("/gateway/server/host", "127.0.0.1"),
        ("/branding/dataDirName", "sample"),
    ] {
        *document.pointer_mut(pointer).unwrap() = json!(text);
        marks.remove(pointer);
    }
    let names = [
        ("/cloud/defaultProfile", "/cloud/profiles"),
        ("/cloud/billing/defaultPlanKey", "/cloud/billing/plans"),
    ];
    for (pointer, map) in names {
        let name = document
            .pointer(map)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .next()
            .unwrap()
            .clone();
        *document.pointer_mut(pointer).unwrap() = json!(name);
        marks.remove(pointer);
    }
    for (at, argument) in ["--api-key", "canary9001x", "--password=canary9002x"]
        .into_iter()
        .enumerate()
    {
        let command = document["mcps"][0]["command"].as_array_mut().unwrap();
        command.truncate(at);
        command.push(json!(argument));
        let pointer = format!("/mcps/0/command/{at}");
        marks.remove(&pointer);
        if argument.contains("canary") {
            marks.insert(pointer, argument.to_owned());
        }
    }
    let text = serde_json::to_string_pretty(&document).unwrap();
    let sources = Sources::new(Surface::Every).with(LayerKind::Base, "site.json", text.as_str());
    let loaded = load(&sources).unwrap_or_else(|found| panic!("{found:#?}"));
    Planted {
        marks,
        loaded,
        text,
    }
}

fn is_public(view: View, pointer: &str) -> bool {
    public::keys(view)
        .iter()
        .any(|pattern| pointer::matches(pattern, pointer))
}

/// What a mark becomes when it is percent-encoded, lower-cased or cut is still the mark's core.
fn core(mark: &str) -> String {
    let at = mark.find("canary").unwrap_or(0);
    mark[at..].chars().take("canary0000".len()).collect()
}

#[test]
fn a_text_leaves_only_by_the_listed_public_keys() {
    for branch in 0..3 {
        let planted = plant(branch, false);
        for view in [View::Web, View::Desktop, View::Gateway] {
            let shown = view::of(&planted.loaded, view).to_string();
            let mut seen = 0;
            for (pointer, mark) in &planted.marks {
                if !mark.contains("canary") || !shown.contains(&core(mark)) {
                    continue;
                }
                seen += 1;
                assert!(
                    is_public(view, pointer),
                    "{pointer} is in the view for {}",
                    view.name()
                );
            }
            assert!(seen > 10, "{}: public keys are shown ({seen})", view.name());
        }
    }
}

#[test]
fn what_looks_like_a_secret_leaves_by_no_key_at_all() {
    for branch in 0..3 {
        let planted = plant(branch, true);
        for view in View::ALL {
            let shown = view::of(&planted.loaded, view).to_string();
            for (pointer, mark) in planted
                .marks
                .iter()
                .filter(|(_, mark)| mark.contains("sk-canary"))
            {
                assert!(
                    !shown.contains(&core(mark)),
                    "{pointer} is in the view for {}",
                    view.name()
                );
            }
        }
    }
}

#[test]
fn no_secret_place_is_in_any_view_debug_explanation_warning_or_error() {
    for branch in 0..3 {
        let planted = plant(branch, false);
        let secrets: Vec<(&String, &String)> = planted
            .marks
            .iter()
            .filter(|(pointer, mark)| {
                let is_argument = pointer.starts_with("/mcps/0/command/");
                (is_argument || place_of(pointer).is_some()) && mark.contains("canary")
            })
            .collect();
        assert!(secrets.len() > 15);
        let mut said: Vec<(String, String)> = View::ALL
            .iter()
            .map(|view| {
                (
                    view.name().to_owned(),
                    view::of(&planted.loaded, *view).to_string(),
                )
            })
            .collect();
        said.push((
            "debug".into(),
            format!(
                "{:?} {:?} {:#?}",
                planted.loaded,
                planted.loaded.layers(),
                planted.loaded.config()
            ),
        ));
        said.push((
            "serialized types".into(),
            serde_json::to_string(planted.loaded.config()).unwrap(),
        ));
        said.push((
            "warnings".into(),
            format!("{:?}", planted.loaded.warnings()),
        ));
        for (pointer, _) in &secrets {
            let why = planted.loaded.explain(pointer).unwrap();
            said.push((
                format!("explanation of {pointer}"),
                format!("{why:?}{}", serde_json::to_string(&why).unwrap()),
            ));
        }
        let whole = planted.loaded.explain("").unwrap();
        said.push((
            "explanation of everything".into(),
            serde_json::to_string(&whole).unwrap(),
        ));
        for (wherever, text) in &said {
            for (pointer, mark) in &secrets {
                assert!(
                    !text.contains(&core(mark)),
                    "{pointer} is in the {wherever}"
                );
            }
        }
    }
}

#[test]
fn no_error_tells_any_text_of_the_document() {
    let planted = plant(0, true);
    // Each of these breaks the document in another way; all of them keep the planted texts.
    let mut broken: Vec<String> = vec![
        planted.text.replace("\"name\"", "\"nmae\""),
        planted
            .text
            .replace(": true", ": \"yes\"")
            .replace(": false", ": 5"),
        planted
            .text
            .replacen("\"contractVersion\": 1", "\"contractVersion\": 3", 1),
        planted.text.replacen('{', "[", 2),
        planted
            .text
            .replace("\": \"sk-canary", "\": \"{env:NOPE} sk-canary"),
        planted.text.replace("sk-canary", &"sk-canary".repeat(2000)),
    ];
    let cut = planted
        .text
        .char_indices()
        .nth(planted.text.chars().count() / 2)
        .unwrap()
        .0;
    broken.push(planted.text[..cut].to_owned());
    for (at, text) in broken.iter().enumerate() {
        let sources =
            Sources::new(Surface::Every).with(LayerKind::Base, "site.json", text.as_str());
        let findings = load(&sources).expect_err(&format!("document {at} is broken"));
        assert!(!findings.is_empty());
        for finding in &findings {
            let said = format!("{finding:?}");
            assert!(!said.contains("canary"), "document {at}: {said}");
        }
    }
}

#[test]
fn the_environment_is_in_no_debug_print() {
    let sources = Sources::new(Surface::Every)
        .with_env("SECRET", "canary")
        .with(LayerKind::Base, "site.json", "{\"x\": \"canary\"}");
    assert!(!format!("{sources:?}").contains("canary"));
}
