//! Nothing that a placeholder inserted, and no secret in a command, is told by anybody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too

use open_cowork_config::document::Document;
use open_cowork_config::load::{Loaded, load, review};
use open_cowork_config::placeholder::{Inserted, Raw, Scope};
use open_cowork_config::semantics::{self, Stage};
use open_cowork_config::source::{LayerKind, Source, Sources, Surface};
use open_cowork_config::view::{self, View};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CANARY: &str = "CANARYvalue9f8e7d6c";

fn sources(document: &Value) -> Sources {
    let mut sources = Sources::new(Surface::Every).with_env("S", CANARY);
    sources.layers.push(Source {
        kind: LayerKind::Base,
        file: "site.json".into(),
        text: document.to_string(),
        files: BTreeMap::from([("secret.txt".into(), Inserted::Text(format!("{CANARY}\n")))]),
    });
    sources
}

fn loaded(document: &Value) -> Loaded {
    load(&sources(document)).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn explained(loaded: &Loaded, key: &str) -> Value {
    serde_json::to_value(loaded.explain(key).unwrap()).unwrap()
}

#[test]
fn a_message_names_a_text_as_it_is_written() {
    for (document, said) in [
        (
            json!({"cloud": {"defaultProfile": "{env:S}"}}),
            "There is no profile `{env:S}`",
        ),
        (
            json!({"providers": {"available": ["x{env:S}"]}}),
            "The provider `x{env:S}` is listed",
        ),
        (
            json!({"providers": {"defaultProvider": "{env:S}"}}),
            "The default provider `{env:S}`",
        ),
        (
            json!({"cloud": {"billing": {"defaultPlanKey": "{env:S}"}}}),
            "no plan `{env:S}`",
        ),
        (
            json!({"cloud": {"profiles": {"p": {"tools": ["{env:S}"]}}}}),
            "lists `{env:S}`",
        ),
        (
            json!({"gateway": {"providers": [{"kind": "slack", "id": "{env:S}", "channelBindingId": "c"}]}}),
            "refuse this provider id",
        ),
        (
            json!({"cloud": {"role": "{env:S}"}}),
            "cloud.role must be one of",
        ),
    ] {
        let mut document = document;
        document["allowedEnvPlaceholders"] = json!(["S"]);
        let found = review(&sources(&document));
        let all = format!("{found:?}");
        assert!(!all.contains("CANARY"), "{all}");
        assert!(
            found.iter().any(|finding| finding.message.contains(said)),
            "{all}"
        );
    }
}

#[test]
fn a_document_that_resolves_its_placeholders_remembers_how_they_were_written() {
    let text = r#"{"providers": {"available": ["{env:S}"]}}"#;
    let mut document = Document::parse("site.json", text).unwrap();
    let env = BTreeMap::from([("S".to_owned(), CANARY.to_owned())]);
    let scope = Scope {
        allowed: &["S".to_owned()],
        env: &env,
        files: &BTreeMap::new(),
    };
    document.resolve(Raw::ProviderOptions, scope);
    let found = semantics::check(&document, Stage::Resolved);
    assert!(found[0].message.contains("`{env:S}`"), "{found:?}");
}

#[test]
fn explanations_and_diagnostics_show_placeholders_as_written_and_views_their_value() {
    let loaded = loaded(&json!({
        "allowedEnvPlaceholders": ["S"],
        "branding": {"name": "N{env:S}"},
        "cloud": {
            "publicBranding": {"description": "{file:secret.txt}", "shortName": "mine",
                "supportUrl": "https://{env:S}.example.com"},
            "runtime": {"allowedLocalMcpNames": ["{env:S}"]}
        }
    }));
    let bundle = view::of(&loaded, View::Diagnostics);
    assert!(
        !bundle.to_string().to_lowercase().contains("canary"),
        "{bundle:#}"
    );
    let config = &bundle["config"];
    assert_eq!(config["branding"]["name"], "N{env:S}");
    let branding = &config["cloud"]["publicBranding"];
    assert_eq!(branding["description"], "{file:secret.txt}");
    assert_eq!(branding["supportUrl"], "https://{env:S}.example.com");
    assert_eq!(branding["shortName"], "mine");
    // What was copied to another place is known there too.
    let full = &config["cloud"]["profiles"]["full"]["runtime"]["allowedLocalMcpNames"];
    assert_eq!(*full, json!(["{env:S}"]));
    for key in [
        "",
        "branding.name",
        "cloud.publicBranding",
        "cloud.publicBranding.supportUrl",
        "cloud.profiles.full.runtime.allowedLocalMcpNames[0]",
    ] {
        let said = explained(&loaded, key).to_string();
        assert!(!said.to_lowercase().contains("canary"), "{key}: {said}");
    }
    assert_eq!(explained(&loaded, "branding.name")["value"], "N{env:S}");
    let desktop = view::of(&loaded, View::Desktop);
    assert_eq!(desktop["branding"]["name"], format!("N{CANARY}"));
}

#[test]
fn a_literal_text_stays_even_if_a_variable_has_the_same() {
    let document = json!({
        "allowedEnvPlaceholders": ["S"],
        "branding": {"name": "{env:S}", "helpUrl": "", "projectNamespace": "canary"},
    });
    let mut sources = sources(&document);
    sources.env.insert("S".into(), "canary".into());
    let loaded = load(&sources).unwrap();
    let value = |key| explained(&loaded, key)["value"].clone();
    assert_eq!(value("branding.name"), "{env:S}");
    assert_eq!(value("branding.projectNamespace"), "canary");
}

#[test]
fn secrets_in_the_arguments_of_a_command_are_told_by_nobody_and_warned_of() {
    let document = json!({
        "allowedEnvPlaceholders": ["S"],
        "mcps": [{"name": "m", "type": "local", "description": "", "authMode": "none",
            "command": ["x", "--api-key", "CANARYargvalue", "--password=CANARYpwarg", "-p", "{env:S}", "--token", "{env:S}", "--port", "80"]}],
    });
    let loaded = loaded(&document);
    let shown = json!([
        "x",
        "--api-key",
        "[redacted:14 chars]",
        "--password=[redacted:11 chars]",
        "-p",
        "{env:S}",
        "--token",
        "{env:S}",
        "--port",
        "80"
    ]);
    assert_eq!(explained(&loaded, "mcps[0].command")["value"], shown);
    let bundle = view::of(&loaded, View::Diagnostics);
    assert_eq!(bundle["config"]["mcps"][0]["command"], shown);
    assert_eq!(
        explained(&loaded, "mcps[0].command[2]")["value"],
        "[redacted:14 chars]"
    );
    assert_eq!(explained(&loaded, "mcps[0].command[9]")["value"], "80");
    let mut said = format!("{:?} {:#?}", loaded.warnings(), loaded.config());
    for key in [
        "",
        "mcps",
        "mcps[0]",
        "mcps[0].command",
        "mcps[0].command[2]",
        "mcps[0].command[3]",
    ] {
        said.push_str(&explained(&loaded, key).to_string());
    }
    for view in View::ALL {
        said.push_str(&view::of(&loaded, view).to_string());
    }
    assert!(!said.contains("CANARY"), "{said}");
    let places: Vec<_> = loaded
        .warnings()
        .iter()
        .filter(|finding| finding.code == "CONFIG_SEMANTIC_INLINE_SECRET")
        .filter_map(|finding| finding.pointer.as_deref())
        .collect();
    assert_eq!(places, ["/mcps/0/command/2", "/mcps/0/command/3"]);
}

#[test]
fn a_query_of_a_link_that_is_not_public_is_hidden() {
    let loaded =
        loaded(&json!({"telemetry": {"endpoint": "https://t.example.com/?k=CANARYkey&lang=de"}}));
    let hidden = "https://t.example.com/?k=[redacted:9 chars]&lang=de";
    assert_eq!(explained(&loaded, "telemetry.endpoint")["value"], hidden);
    let bundle = view::of(&loaded, View::Diagnostics);
    assert_eq!(bundle["config"]["telemetry"]["endpoint"], hidden);
}

#[test]
fn a_user_in_a_public_link_is_warned_of() {
    for document in [
        json!({"cloud": {"publicBranding": {"privacyUrl": "https://u:p@a.example.com/"}}}),
        json!({"gateway": {"branding": {"ogImageUrl": "https://u@a.example.com/"}}}),
        json!({"branding": {"home": {"greeting": "See https://u:p@a.example.com/"}}}),
    ] {
        let loaded = loaded(&document);
        let warned = loaded
            .warnings()
            .iter()
            .filter(|finding| finding.code == "CONFIG_SEMANTIC_URL");
        assert_eq!(warned.count(), 1, "{document}: {:?}", loaded.warnings());
    }
}

#[test]
fn an_explanation_names_the_variable_that_a_server_would_take() {
    let sources = |name: &str, value: &str| {
        load(&Sources::new(Surface::Every).with_env(name, value)).unwrap()
    };
    for (name, key, program) in [
        ("OPEN_COWORK_CLOUD_ROLE", "cloud.role", "cloud"),
        ("OPEN_COWORK_CLOUD_PROFILE", "cloud.defaultProfile", "cloud"),
        (
            "OPEN_COWORK_CLOUD_MAX_PROMPTS_PER_HOUR",
            "cloud.abuse.maxPromptsPerHour",
            "cloud",
        ),
        (
            "OPEN_COWORK_CLOUD_BRAND_NAME",
            "cloud.publicBranding.productName",
            "cloud",
        ),
        ("OPEN_COWORK_GATEWAY_PORT", "gateway.server.port", "gateway"),
    ] {
        let why = explained(&sources(name, CANARY), key);
        assert_eq!(
            why["note"],
            format!("The {program} process would take {name} instead.")
        );
        assert!(!why.to_string().contains("CANARY"));
        assert_eq!(explained(&sources(name, " "), key).get("note"), None);
    }
    let other = sources("OPEN_COWORK_CLOUD_ROLE", "web");
    assert_eq!(explained(&other, "branding.name").get("note"), None);
}

#[test]
fn keys_that_lead_nowhere_say_so() {
    let loaded = loaded(&json!({}));
    for (key, said) in [
        (
            "tools[99999999999999999999]",
            "The list `tools` has 0 items",
        ),
        ("tools[0].id", "The list `tools` has 0 items"),
        ("[", "a part without a name"),
        ("branding..name", "a part without a name"),
        ("tools[].id", "a part without a name"),
    ] {
        let found = loaded.explain(key).unwrap_err();
        assert!(found.message.contains(said), "{key}: {found:?}");
    }
}

#[test]
fn a_reserved_name_of_a_provider_is_told_as_such() {
    let document = json!({"providers": {"available": ["constructor"], "custom": {"constructor": {"npm": "p", "name": "n", "models": {}}}}});
    let found = review(&sources(&document));
    assert!(
        found.iter().any(|finding| finding
            .message
            .contains("The name `constructor` is reserved")),
        "{found:?}"
    );
}
