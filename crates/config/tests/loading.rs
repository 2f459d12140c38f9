//! Loading: layers, precedence, findings, placeholders (02 §2).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too

use open_cowork_config::load::{Loaded, load};
use open_cowork_config::placeholder::Inserted;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::{Value, json};

fn sources(layers: &[&str]) -> Sources {
    let kinds = [
        LayerKind::Base,
        LayerKind::ConfigPath,
        LayerKind::User,
        LayerKind::Managed,
    ];
    layers
        .iter()
        .enumerate()
        .fold(Sources::new(Surface::Every), |sources, (at, text)| {
            sources.with(kinds[at], format!("layer-{at}.json"), *text)
        })
}

fn loaded(layers: &[&str]) -> Loaded {
    load(&sources(layers)).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn refused(layers: &[&str]) -> Vec<Finding> {
    load(&sources(layers)).unwrap_err()
}

fn places(findings: &[Finding]) -> Vec<(&str, Option<&str>, Option<&str>)> {
    findings
        .iter()
        .map(|finding| {
            (
                finding.code.as_str(),
                finding.file.as_deref(),
                finding.pointer.as_deref(),
            )
        })
        .collect()
}

#[test]
fn no_layer_at_all_is_a_valid_configuration() {
    let loaded = loaded(&[]);
    assert_eq!(loaded.config().branding.name, "Cowork");
    assert_eq!(loaded.warnings(), []);
    assert_eq!(loaded.written(), &json!({}));
}

#[test]
fn a_higher_layer_wins_and_inherits_the_rest() {
    let loaded = loaded(&[
        r#"{"branding": {"dataDirName": "from-base", "helpUrl": "https://base.example.com"}, "tools": []}"#,
        "",
        r#"{"branding": {"helpUrl": "https://user.example.com"}}"#,
    ]);
    assert_eq!(loaded.value()["branding"]["dataDirName"], "from-base");
    assert_eq!(
        loaded.value()["branding"]["helpUrl"],
        "https://user.example.com"
    );
}

#[test]
fn every_error_of_every_layer_is_told_at_once() {
    let findings = refused(&[
        "{\n \"contractVersion\": 2,\n \"brandng\": {},\n \"branding\": {\"name\": 5}\n}",
        r#"{"permissions": {"bash": "maybe"}}"#,
    ]);
    let told = places(&findings);
    assert_eq!(
        told,
        [
            (
                "CONFIG_VERSION",
                Some("layer-0.json"),
                Some("/contractVersion")
            ),
            ("CONFIG_UNKNOWN_KEY", Some("layer-0.json"), Some("/brandng")),
            ("CONFIG_TYPE", Some("layer-0.json"), Some("/branding/name")),
            (
                "CONFIG_ENUM",
                Some("layer-1.json"),
                Some("/permissions/bash")
            ),
        ]
    );
    assert_eq!((findings[1].line, findings[1].column), (Some(3), Some(2)));
}

#[test]
fn what_only_the_sum_shows_is_told_at_the_layer_that_had_the_last_word() {
    let findings = refused(&[
        r#"{"updates": {"releaseSource": {"kind": "github-releases", "owner": "a", "repo": "b"}}}"#,
        r#"{"updates": {"releaseSource": {"kind": "generic-http", "url": "https://u.example.com/x"}}}"#,
    ]);
    assert!(!findings.is_empty());
    for finding in &findings {
        assert!(
            finding
                .pointer
                .as_deref()
                .unwrap()
                .starts_with("/updates/releaseSource"),
            "{finding:?}"
        );
        assert!(
            finding.file.as_deref().unwrap().starts_with("layer-"),
            "{finding:?}"
        );
        assert!(finding.line.is_some());
    }
}

#[test]
fn a_half_written_item_passes_its_layer_and_fails_the_sum() {
    let findings = refused(&[r#"{"tools": [{"id": "a"}]}"#]);
    assert!(
        places(&findings).contains(&(
            "CONFIG_REQUIRED",
            Some("layer-0.json"),
            Some("/tools/0/name")
        )),
        "{findings:#?}"
    );
}

#[test]
fn a_host_and_its_token_may_come_from_different_layers() {
    let host = r#"{"gateway": {"server": {"host": "0.0.0.0"}, "metrics": {"enabled": true}}}"#;
    let findings = refused(&[host]);
    assert_eq!(
        places(&findings),
        [(
            "CONFIG_SEMANTIC_ADMIN_TOKEN",
            Some("layer-0.json"),
            Some("/gateway/server/adminToken")
        )]
    );
    loaded(&[host, r#"{"gateway": {"server": {"adminToken": "t"}}}"#]);
}

#[test]
fn a_gateways_missing_secret_does_not_stop_the_desktop() {
    let webhook = r#"{"gateway": {"providers": [{"kind": "webhook", "channelBindingId": "w"}]}}"#;
    let desktop = Sources::new(Surface::Desktop).with(LayerKind::Base, "site.json", webhook);
    let loaded = load(&desktop).unwrap();
    assert_eq!(loaded.warnings()[0].code, "CONFIG_SEMANTIC_WEBHOOK_SECRET");
    assert_eq!(loaded.warnings()[0].severity, Severity::Warning);
    for surface in [Surface::Gateway, Surface::Every] {
        let sources = Sources {
            surface,
            ..desktop.clone()
        };
        assert_eq!(
            load(&sources).unwrap_err()[0].code,
            "CONFIG_SEMANTIC_WEBHOOK_SECRET"
        );
    }
}

#[test]
fn a_layer_that_is_no_object_is_refused_and_a_blank_one_is_empty() {
    for text in ["[]", "null", "5"] {
        let findings = refused(&[text]);
        assert_eq!(findings[0].message, "Expected a top-level object.");
    }
    loaded(&["", "\u{feff} \n"]);
}

#[test]
fn a_syntax_error_names_its_file_and_place() {
    let findings = refused(&["{\n \"a\": 'b'}"]);
    assert_eq!(findings[0].code, "CONFIG_SYNTAX");
    assert_eq!(
        (findings[0].file.as_deref(), findings[0].line),
        (Some("layer-0.json"), Some(2))
    );
}

#[test]
fn placeholders_are_resolved_before_the_schema_with_the_allow_list_of_their_own_file() {
    let text =
        r#"{"allowedEnvPlaceholders": ["NAME"], "branding": {"name": "{env:NAME}{file:./n.txt}"}}"#;
    let mut sources = sources(&[text])
        .with_env("NAME", "A")
        .with_env("OTHER", "canary");
    sources.layers[0]
        .files
        .insert("./n.txt".into(), Inserted::Text("B\n".into()));
    assert_eq!(load(&sources).unwrap().value()["branding"]["name"], "AB\n");

    let other = sources.with(
        LayerKind::User,
        "user.json",
        r#"{"branding": {"name": "{env:NAME}", "helpUrl": "{env:OTHER}"}}"#,
    );
    let findings = load(&other).unwrap_err();
    let told: Vec<_> = findings
        .iter()
        .map(|finding| {
            (
                finding.code.as_str(),
                finding.file.as_deref(),
                finding.message.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "CONFIG_PLACEHOLDER",
                Some("user.json"),
                "`{env:NAME}` is not allowlisted in this file."
            ),
            (
                "CONFIG_PLACEHOLDER",
                Some("user.json"),
                "`{env:OTHER}` is not allowlisted in this file."
            ),
        ]
    );
    assert!(!format!("{findings:?}").contains("canary"));
}

#[test]
fn an_unset_variable_is_named_where_its_nothing_breaks_a_rule() {
    let text =
        r#"{"allowedEnvPlaceholders": ["SITE"], "cloud": {"auth": {"issuerUrl": "{env:SITE}"}}}"#;
    let findings = refused(&[text]);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(
        findings[0].help.as_deref(),
        Some("The environment variable SITE is not set, so it inserts nothing: set it.")
    );
}

#[test]
fn raw_provider_options_reach_the_runtime_unresolved() {
    let text = r#"{"allowedEnvPlaceholders": ["KEY"], "providers": {"available": ["p"], "defaultProvider": "p", "custom": {
        "p": {"npm": "n", "name": "P", "models": {}, "options": {"apiKey": "{env:KEY}"}}}}}"#;
    let loaded = load(&sources(&[text]).with_env("KEY", "canary")).unwrap();
    assert_eq!(
        loaded.value()["providers"]["custom"]["p"]["options"]["apiKey"],
        "{env:KEY}"
    );
}

#[test]
fn theme_tokens_are_derived_per_layer_and_an_explicit_one_beats_them() {
    let loaded = loaded(&[
        r##"{"cloud": {"publicBranding": {"theme": {"accentHover": "#111111"}}}}"##,
        r##"{"cloud": {"publicBranding": {"theme": {"surface": "#ffffff", "mutedSurface": "#ecefed", "accent": "#0f6b4b", "accentStrong": "#13845d"}}}}"##,
        r##"{"cloud": {"publicBranding": {"theme": {"surfaceHover": "#222222"}}}}"##,
    ]);
    let theme = &loaded.value()["cloud"]["publicBranding"]["theme"];
    assert_eq!(theme["elevated"], "#ffffff");
    assert_eq!(
        theme["surfaceHover"], "#222222",
        "explicit in a later layer"
    );
    assert_eq!(theme["accentHover"], "#13845d", "derived beats inherited");
    assert_eq!(theme["accentForeground"], "#ffffff");
    let defaults = open_cowork_config::defaults::public_branding();
    for untouched in ["focus", "amber", "red", "green", "bgImage"] {
        assert_eq!(
            theme[untouched], defaults["theme"][untouched],
            "{untouched}"
        );
    }
}

#[test]
fn null_survives_where_it_means_something() {
    let loaded = loaded(&[r#"{"cloud": {"abuse": {"maxPromptsPerHour": null}}}"#]);
    assert_eq!(
        loaded.value()["cloud"]["abuse"]["maxPromptsPerHour"],
        Value::Null
    );
    assert_eq!(loaded.value()["cloud"]["abuse"]["maxQueueAgeMs"], 1_800_000);
}

#[test]
fn names_of_javascripts_own_members_are_ordinary_unknown_names() {
    let loaded = loaded(&[
        r#"{"cloud": {"defaultProfile": "toString", "billing": {"defaultPlanKey": "valueOf"}}}"#,
    ]);
    assert_eq!(loaded.value()["cloud"]["defaultProfile"], "full");
    let findings =
        refused(&[r#"{"providers": {"available": ["toString"], "defaultProvider": "toString"}}"#]);
    assert_eq!(
        places(&findings),
        [(
            "CONFIG_SEMANTIC_PROVIDER_UNDEFINED",
            Some("layer-0.json"),
            Some("/providers/available")
        )]
    );
    let accent = loaded_theme("constructor");
    assert_eq!(
        accent["accentForeground"], "#ffffff",
        "a colour that nobody knows"
    );
}

fn loaded_theme(accent: &str) -> Value {
    let layer = json!({"cloud": {"publicBranding": {"theme": {"accent": accent}}}}).to_string();
    loaded(&[&layer]).value()["cloud"]["publicBranding"]["theme"].clone()
}

#[test]
fn warnings_have_places_and_don_t_stop_a_load() {
    let loaded = loaded(&[
        "{\n \"cloud\": {\"defaultProfile\": \"gone\", \"auth\": {\"headerSecret\": \"hunter2\"}},\n \"tools\": [], \"tools\": []}",
    ]);
    let told = places(loaded.warnings());
    assert_eq!(
        told,
        [
            ("CONFIG_DUPLICATE", Some("layer-0.json"), Some("/tools")),
            (
                "CONFIG_SEMANTIC_INLINE_SECRET",
                Some("layer-0.json"),
                Some("/cloud/auth/headerSecret")
            ),
            (
                "CONFIG_SEMANTIC_UNKNOWN_PROFILE",
                Some("layer-0.json"),
                Some("/cloud/defaultProfile")
            ),
        ]
    );
    assert!(!format!("{loaded:?}{:?}", loaded.warnings()).contains("hunter2"));
}
