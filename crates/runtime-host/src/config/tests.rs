use super::*;
use std::os::unix::fs::MetadataExt;

pub(super) fn input() -> ComposeInput {
    ComposeInput {
        provider: ProviderChoice::OpenAiCompatible {
            id: "acme".into(),
            name: "Acme".into(),
            base_url: "https://models.acme.test/v1".into(),
            models: vec![ModelEntry {
                id: "large-1".into(),
                name: Some("Large".into()),
                limit: Some(ModelLimit {
                    context: 100_000,
                    output: 8192,
                }),
                cost: Some(ModelCost {
                    input: 3.0,
                    output: 15.0,
                    cache_read: Some(0.3),
                    cache_write: None,
                }),
                reasoning: None,
            }],
        },
        model: "acme/large-1".into(),
        api_key: Some("sk-very-secret".into()),
        ..ComposeInput::new(
            ProviderChoice::Configured { id: String::new() },
            String::new(),
        )
    }
}

pub(super) fn composed(input: &ComposeInput) -> ComposedConfig {
    compose(input, &HomePaths::new("/data/runtime-home")).unwrap()
}

fn text(config: &ComposedConfig) -> &str {
    config.text.expose_secret()
}

#[test]
fn keys_come_in_the_order_of_the_contract() {
    let config = composed(&input());
    let keys: Vec<&String> = config.redacted().as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "$schema",
            "autoupdate",
            "share",
            "enabled_providers",
            "disabled_providers",
            "model",
            "small_model",
            "compaction",
            "skills",
            "mcp",
            "provider",
            "permission",
            "agent"
        ]
    );
    // The text keeps it: OpenCode reads the order of permissions.
    let reread: Value = serde_json::from_str(text(&config)).unwrap();
    assert_eq!(reread.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
}

#[test]
fn a_config_of_a_new_desktop_is_pinned() {
    insta::assert_json_snapshot!(composed(&input()).redacted());
}

#[test]
fn the_key_is_in_the_provider_options_and_nowhere_else() {
    let config = composed(&input());
    let document: Value = serde_json::from_str(text(&config)).unwrap();
    assert_eq!(
        document["provider"]["acme"]["options"]["apiKey"],
        "sk-very-secret"
    );
    assert_eq!(text(&config).matches("sk-very-secret").count(), 1);
    for shown in [
        format!("{config:?}"),
        config.redacted().to_string(),
        format!("{:?}", input()),
    ] {
        assert!(!shown.contains("sk-very-secret"), "{shown}");
    }
    assert_eq!(config.secrets().len(), 1);
}

#[test]
fn openrouter_goes_by_the_id_that_opencode_can_load() {
    let config = composed(&ComposeInput {
        provider: ProviderChoice::Known {
            id: "openrouter".into(),
            options: Map::new(),
        },
        model: "openrouter/acme/large".into(),
        small_model: Some("acme/mini".into()),
        ..input()
    });
    assert_eq!(config.model(), "or/acme/large");
    assert_eq!(config.small_model(), "or/acme/mini");
    let entry = &config.redacted()["provider"]["or"];
    assert_eq!(entry["options"]["baseURL"], "https://openrouter.ai/api/v1");
    assert_eq!(
        entry["models"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["acme/large", "acme/mini"]
    );
}

#[test]
fn a_known_provider_without_key_and_options_has_no_entry() {
    let config = composed(&ComposeInput {
        provider: ProviderChoice::Known {
            id: "anthropic".into(),
            options: Map::new(),
        },
        model: "claude-x".into(),
        api_key: None,
        ..input()
    });
    assert!(config.redacted().get("provider").is_none());
    assert_eq!(config.redacted()["enabled_providers"], json!(["anthropic"]));
}

#[test]
fn the_public_gateway_is_off_unless_it_was_chosen() {
    assert_eq!(
        composed(&input()).redacted()["disabled_providers"],
        json!(["opencode"])
    );
    let chosen = composed(&ComposeInput {
        provider: ProviderChoice::Known {
            id: "opencode".into(),
            options: Map::new(),
        },
        ..input()
    });
    assert!(chosen.redacted().get("disabled_providers").is_none());
}

#[test]
fn a_value_that_looks_like_a_placeholder_is_meant_literally() {
    let config = composed(&ComposeInput {
        api_key: Some("k{file:/etc/passwd}{env:HOME}".into()),
        ..input()
    });
    assert!(!text(&config).contains("{file:") && !text(&config).contains("{env:"));
    let parsed: Value = serde_json::from_str(text(&config)).unwrap();
    let key = parsed.pointer("/provider/acme/options/apiKey").unwrap();
    assert_eq!(key, "k{file:/etc/passwd}{env:HOME}");
}

#[test]
fn a_config_without_a_model_is_refused() {
    for model in ["", "  ", "acme/", "a b"] {
        let refused = compose(
            &ComposeInput {
                model: model.into(),
                ..input()
            },
            &HomePaths::new("/h"),
        );
        assert!(matches!(refused, Err(HostError::Config(_))), "{model:?}");
    }
}

#[test]
fn a_managed_policy_that_forbids_the_provider_stops_the_start() {
    let managed = ManagedPolicy::parse(r#"{"allowedProviders":[]}"#).unwrap();
    let refused = compose(&ComposeInput { managed, ..input() }, &HomePaths::new("/h")).unwrap_err();
    assert!(matches!(refused, HostError::Policy(_)) && !refused.is_retryable());
}

#[test]
fn the_written_file_is_private_and_replaces_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = composed(&input());
    config.write(dir.path()).unwrap();
    let path = config.write(dir.path()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), text(&config));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn no_composed_config_names_a_plugin() {
    let config = composed(&input());
    assert!(config.redacted().get("plugin").is_none());
}

mod distribution;
