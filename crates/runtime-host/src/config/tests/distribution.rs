//! What a distribution's config does to the document.

use super::*;
use crate::mcp::McpInput;
use crate::mcp::{OwnServer, OwnTransport, Places, Resolve, Scope, ServerSettings, evaluate};
use open_cowork_config::{defaults, merge};
use open_cowork_policy::PermissionObject;
use std::net::IpAddr;

/// The built-in defaults with `change` on top.
#[allow(clippy::needless_pass_by_value)] // json!(…) is handed over
fn product(change: Value) -> Option<Arc<Config>> {
    let mut document = defaults::document();
    merge::merge(&mut document, &change);
    let config = Config::from_value(&document).unwrap_or_else(|findings| panic!("{findings:#?}"));
    Some(Arc::new(config))
}

fn configured(id: &str) -> ComposeInput {
    ComposeInput::new(ProviderChoice::Configured { id: id.into() }, "")
}

fn document(config: &ComposedConfig) -> Value {
    serde_json::from_str(text(config)).unwrap()
}

fn refused(input: &ComposeInput) -> HostError {
    compose(input, &HomePaths::new("/data/runtime-home")).unwrap_err()
}

fn permission(config: &ComposedConfig, agent: Option<&str>) -> PermissionObject {
    let document = document(config);
    let value = match agent {
        Some(agent) => &document["agent"][agent]["permission"],
        None => &document["permission"],
    };
    serde_json::from_value(value.clone()).unwrap()
}

/// A distribution with three providers of every kind.
fn offers() -> Value {
    json!({
        "allowedEnvPlaceholders": ["ACME_KEY", "ACME_REGION"],
        "providers": {
            "available": ["acme", "openrouter", "anthropic"],
            "defaultProvider": "acme",
            "defaultModel": "acme/large-1",
            "descriptors": {
                "openrouter": {
                    "runtime": "builtin", "name": "OpenRouter", "description": "d",
                    "credentials": [{"key": "apiKey", "label": "l", "description": "d", "secret": true}],
                    "models": [{"id": "vendor/star", "name": "Star", "featured": true}, {"id": "vendor/rest", "name": "Rest"}],
                },
                "anthropic": {
                    "runtime": "builtin", "name": "Anthropic", "description": "d", "smallModel": "small-2",
                    "options": {"timeout": 5000},
                    "credentials": [{"key": "key", "runtimeKey": "apiKey", "label": "l", "description": "d"}],
                    "models": [{"id": "big-2", "name": "Big", "limit": {"context": 10, "output": 5}, "cost": {"input": 1}}],
                },
            },
            "custom": {
                "acme": {
                    "npm": "@ai-sdk/openai-compatible", "name": "Acme", "smallModel": "mini-1",
                    "options": {"baseURL": "https://{env:ACME_REGION}.acme.test/v1", "apiKey": "{env:ACME_KEY}", "headers": {"x-home": "{env:HOME}"}},
                    "credentials": [{"key": "key", "env": "ACME_KEY", "label": "l", "description": "d"}],
                    "models": {"large-1": {"name": "Large", "options": {"maxOutputTokens": 100}}},
                },
                "beta": {
                    "npm": "@ai-sdk/openai-compatible", "name": "Beta",
                    "options": {"baseURL": "https://beta.test/v1", "apiKey": "{env:ACME_KEY}"},
                    "models": {"b": {}},
                },
            },
            "modelInfo": {"mini-1": {"limit": {"context": 1000, "output": 100}}},
        },
    })
}

fn distribution(provider: &str) -> ComposeInput {
    let keys = [
        ("acme", "key"),
        ("openrouter", "apiKey"),
        ("anthropic", "key"),
    ];
    ComposeInput {
        product: product(offers()),
        credentials: keys
            .map(|(id, key)| {
                let value = SecretString::from(format!("stored-{id}-key"));
                (id.to_owned(), BTreeMap::from([(key.to_owned(), value)]))
            })
            .into(),
        variables: BTreeMap::from([
            ("ACME_KEY".to_owned(), "process-acme-key".to_owned()),
            ("ACME_REGION".to_owned(), "north".to_owned()),
            ("HOME".to_owned(), "/home/me".to_owned()),
        ]),
        ..configured(provider)
    }
}

#[test]
fn a_key_reaches_a_custom_provider_that_declares_no_field_for_it() {
    let mut offers = offers();
    offers["providers"]["available"] = json!(["acme", "beta"]);
    let config = composed(&ComposeInput {
        product: product(offers),
        api_key: Some("organisation-key".into()),
        model: "b".into(),
        ..distribution("beta")
    });
    let document = document(&config);
    let providers = &document["provider"];
    assert_eq!(providers["beta"]["options"]["apiKey"], "organisation-key");
    assert_eq!(text(&config).matches("organisation-key").count(), 1);
    assert!(!config.redacted().to_string().contains("organisation-key"));
}

/// 05 §18.2: an agent may name a model of any provider that the organisation has a key of.
#[test]
fn every_provider_with_a_key_of_the_organisation_gets_it_chosen_or_not() {
    let mut offers = offers();
    offers["providers"]["available"] =
        json!(["acme", "beta", "openrouter", "anthropic", "openai", "groq"]);
    let ids = [
        "acme",
        "beta",
        "openrouter",
        "anthropic",
        "openai",
        "mistral",
    ];
    let keys = ids.map(|id| {
        (
            id.to_owned(),
            SecretString::from(format!("org-key-of-{id}")),
        )
    });
    let config = composed(&ComposeInput {
        product: product(offers),
        credentials: BTreeMap::new(),
        keys: keys.into(),
        ..distribution("acme")
    });
    let document = document(&config);
    let key = |id: &str| document["provider"][id]["options"]["apiKey"].as_str();
    // Chosen, with a declared field that a placeholder uses.
    assert_eq!(key("acme"), Some("org-key-of-acme"));
    // Custom, not chosen, no field declared.
    assert_eq!(key("beta"), Some("org-key-of-beta"));
    // Built in, not chosen, with a field, under the name that the runtime knows.
    assert_eq!(key("anthropic"), Some("org-key-of-anthropic"));
    assert_eq!(
        document["provider"]["anthropic"]["options"]["timeout"],
        5000
    );
    assert_eq!(key("or"), Some("org-key-of-openrouter"));
    let models = document["provider"]["or"]["models"].as_object().unwrap();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["vendor/star"]);
    // Built in, offered, not described.
    assert_eq!(key("openai"), Some("org-key-of-openai"));
    // Without a key there is no entry, and what isn't offered gets none either.
    assert!(document["provider"].get("groq").is_none());
    assert!(!text(&config).contains("org-key-of-mistral"));
    for id in &ids[..5] {
        let key = format!("org-key-of-{id}");
        assert_eq!(text(&config).matches(&key).count(), 1, "{id}");
        assert!(!config.redacted().to_string().contains(&key), "{id}");
        let learned = |secret: &SecretString| secret.expose_secret() == key;
        assert!(config.secrets().iter().any(learned), "{id}");
    }
}

#[test]
fn the_built_in_defaults_change_nothing() {
    let plain = composed(&input());
    let config = composed(&ComposeInput {
        product: product(json!({})),
        ..input()
    });
    assert_eq!(text(&config), text(&plain));
}

#[test]
fn a_custom_provider_is_handed_over_with_its_placeholders_resolved() {
    let config = composed(&distribution("acme"));
    assert_eq!(
        (config.model(), config.small_model()),
        ("acme/large-1", "acme/mini-1")
    );
    let document = document(&config);
    assert_eq!(
        document["enabled_providers"],
        json!(["acme", "or", "anthropic"])
    );
    assert_eq!(
        document["provider"],
        json!({
            "acme": {
                "npm": "@ai-sdk/openai-compatible", "name": "Acme",
                "options": {"baseURL": "https://north.acme.test/v1", "apiKey": "stored-acme-key", "headers": {"x-home": ""}},
                "models": {
                    "large-1": {"name": "Large", "tool_call": true, "options": {"maxOutputTokens": 100}},
                    "mini-1": {"name": "mini-1", "tool_call": true, "limit": {"context": 1000, "output": 100}},
                },
            },
            // Its key names a variable that only a credential may fill; this provider has none, so it gets no key.
            "beta": {
                "npm": "@ai-sdk/openai-compatible", "name": "Beta",
                "options": {"baseURL": "https://beta.test/v1"},
                "models": {"b": {"name": "b", "tool_call": true}},
            },
        })
    );
    for shown in [config.redacted().to_string(), format!("{config:?}")] {
        for secret in ["stored-acme-key", "process-acme-key"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert!(!text(&config).contains("process-acme-key") && !text(&config).contains("/home/me"));
}

#[test]
fn a_known_provider_gets_what_the_config_adds_to_it() {
    let input = ComposeInput {
        model: "anthropic/big-2".into(),
        ..distribution("anthropic")
    };
    let config = composed(&input);
    assert_eq!(config.small_model(), "anthropic/small-2");
    assert_eq!(
        document(&config)["provider"]["anthropic"],
        json!({
            "name": "Anthropic",
            "options": {"timeout": 5000, "apiKey": "stored-anthropic-key"},
            "models": {"big-2": {"id": "big-2", "name": "Big", "limit": {"context": 10, "output": 5}}},
        })
    );
}

#[test]
fn openrouter_runs_with_the_chosen_and_the_featured_models() {
    let input = ComposeInput {
        model: "openrouter/a/b".into(),
        ..distribution("openrouter")
    };
    let document = document(&composed(&input));
    let models = document["provider"]["or"]["models"].as_object().unwrap();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["a/b", "vendor/star"]);
    assert_eq!(
        document["provider"]["or"]["options"]["apiKey"],
        "stored-openrouter-key"
    );
}

#[test]
fn a_name_only_entry_is_written_only_where_the_config_wants_it() {
    for (activation, expected) in [
        ("implicit", None),
        ("config", Some(json!({"name": "Quiet"}))),
    ] {
        let config = composed(&ComposeInput {
            product: product(json!({"providers": {
                "available": ["quiet"],
                "descriptors": {"quiet": {"runtimeActivation": activation, "name": "Quiet", "description": "d", "credentials": [], "models": []}},
            }})),
            model: "m".into(),
            ..configured("quiet")
        });
        let entry = document(&config).pointer("/provider/quiet").cloned();
        assert_eq!(entry, expected, "{activation}");
    }
}

#[test]
fn a_provider_that_is_not_offered_is_refused_and_named() {
    let input = ComposeInput {
        product: product(offers()),
        provider: ProviderChoice::Known {
            id: "mistral".into(),
            options: Map::new(),
        },
        model: "m".into(),
        ..distribution("acme")
    };
    assert!(
        refused(&input)
            .to_string()
            .contains("acme, openrouter, anthropic")
    );
    assert!(
        refused(&configured("acme"))
            .to_string()
            .contains("not described")
    );
}

/// 05 §19.2: upstream restores the full list here.
#[test]
fn a_policy_that_leaves_no_provider_stops_the_start() {
    for policy in [
        r#"{"allowedProviders":[]}"#,
        r#"{"allowedProviders":["elsewhere"]}"#,
        r#"{"deniedProviders":["ACME"]}"#,
        r#"{"extensions":{"customProviders":false}}"#,
    ] {
        let input = ComposeInput {
            managed: ManagedPolicy::parse(policy).unwrap(),
            ..distribution("acme")
        };
        assert!(matches!(refused(&input), HostError::Policy(_)), "{policy}");
    }
    let config = composed(&ComposeInput {
        managed: ManagedPolicy::parse(r#"{"deniedProviders":["anthropic"]}"#).unwrap(),
        ..distribution("acme")
    });
    assert_eq!(
        document(&config)["enabled_providers"],
        json!(["acme", "or"])
    );
}

#[test]
fn a_policy_that_forbids_own_providers_drops_their_entries() {
    let config = composed(&ComposeInput {
        managed: ManagedPolicy::parse(r#"{"extensions":{"customProviders":false}}"#).unwrap(),
        model: "big-2".into(),
        ..distribution("anthropic")
    });
    let document = document(&config);
    assert_eq!(document["enabled_providers"], json!(["or", "anthropic"]));
    assert_eq!(document["provider"].as_object().unwrap().len(), 1);
}

#[test]
fn models_that_the_policy_forbids_are_refused_everywhere_and_not_offered() {
    let policy = |json: &str| ManagedPolicy::parse(json).unwrap();
    let only_large = r#"{"allowedModels":["acme/LARGE-1","mini-1"]}"#;
    let config = composed(&ComposeInput {
        managed: policy(only_large),
        ..distribution("acme")
    });
    let entry = &document(&config)["provider"]["acme"];
    assert_eq!(entry["whitelist"], json!(["LARGE-1", "mini-1", "large-1"]));
    assert!(matches!(
        refused(&ComposeInput {
            managed: policy(r#"{"deniedModels":["mini-1"]}"#),
            ..distribution("acme")
        }),
        HostError::Policy(_)
    ));
    let denied = document(&composed(&ComposeInput {
        managed: policy(r#"{"deniedModels":["anthropic/big-2","b"]}"#),
        ..distribution("acme")
    }));
    assert_eq!(
        denied["provider"]["anthropic"]["blacklist"],
        json!(["big-2", "b"])
    );
    // An agent's own model is a model.
    let mut with_agent = offers();
    with_agent["builtInAgents"] = json!({"plan": {"model": "anthropic/big-2"}});
    let input = ComposeInput {
        product: product(with_agent),
        managed: policy(r#"{"deniedModels":["big-2"]}"#),
        ..distribution("acme")
    };
    assert!(matches!(refused(&input), HostError::Policy(_)));
}

#[test]
fn permissions_of_the_config_are_maxima() {
    let everything = Dimensions {
        bash: Action::Allow,
        file_write: Action::Allow,
        web: Action::Allow,
        web_search: Action::Allow,
        task: Action::Allow,
        mcp: Action::Allow,
        external_directory: Action::Allow,
    };
    let config = composed(&ComposeInput {
        product: product(json!({"permissions": {
            "bash": "deny", "fileWrite": "ask", "web": "ask", "task": "ask", "webSearch": false,
        }})),
        dimensions: everything,
        managed: ManagedPolicy::parse(r#"{"permissionCeilings":{"mcp":"deny"}}"#).unwrap(),
        ..input()
    });
    let top = permission(&config, None);
    for (tool, expected) in [
        ("bash", Action::Deny),
        ("edit", Action::Ask),
        ("webfetch", Action::Ask),
        ("websearch", Action::Deny),
        ("task", Action::Ask),
    ] {
        assert_eq!(top.action_for(tool, "x"), Some(expected), "{tool}");
    }
    assert_eq!(config.dimensions().mcp, Action::Deny);
    assert!(!config.offers_web_search());
    // Stricter settings stay.
    let strict = composed(&ComposeInput {
        product: product(json!({"permissions": {"bash": "allow", "fileWrite": "allow"}})),
        ..input()
    });
    assert_eq!(
        permission(&strict, None).action_for("bash", "x"),
        Some(Action::Ask)
    );
}

#[test]
fn compaction_and_its_agent_come_from_the_config() {
    let mut config = offers();
    config["compaction"] = json!({"auto": false, "reserved": 5, "agent": {
        "model": "openrouter/vendor/star", "prompt": "Shorten.", "temperature": 0.5,
    }});
    let document = document(&composed(&ComposeInput {
        product: product(config),
        ..distribution("acme")
    }));
    assert_eq!(
        document["compaction"],
        json!({"auto": false, "prune": true, "reserved": 5})
    );
    assert_eq!(
        document["agent"]["compaction"],
        json!({"model": "or/vendor/star", "prompt": "Shorten.", "temperature": 0.5})
    );
}

/// Agents, tools and servers of a small distribution.
fn with_agents() -> Value {
    let mut config = offers();
    config["permissions"] = json!({"bash": "allow", "fileWrite": "allow"});
    config["tools"] = json!([
        {"id": "wiki", "name": "Wiki", "description": "d", "kind": "mcp", "namespace": "wiki",
            "askPatterns": ["mcp__wiki__save"], "allowPatterns": ["mcp__wiki__read"]},
        {"id": "shell", "name": "Shell", "description": "d", "kind": "built-in", "patterns": ["bash"]},
    ]);
    config["mcps"] = json!([
        {"name": "wiki", "type": "remote", "url": "https://wiki.example.test/mcp", "description": "d",
            "authMode": "api_token",
            "credentials": [{"key": "token", "label": "l", "description": "d"}],
            "headerSettings": [{"header": "Authorization", "key": "token", "prefix": "Bearer "}]},
        {"name": "gone", "type": "local", "command": ["gone-mcp"], "description": "d", "authMode": "none"},
    ]);
    config["agents"] = json!([
        {"name": "scribe", "description": "Writes the wiki.", "instructions": "Write.", "toolIds": ["wiki"],
            "color": "not-a-color", "temperature": 0, "steps": 5.0, "options": {"secretOption": "hush-hush-value"}},
    ]);
    config["skills"] = json!([
        {"name": "reports", "description": "d", "badge": "Skill", "sourceName": "reports", "toolIds": ["wiki"]},
        {"name": "absent", "description": "d", "badge": "Skill", "sourceName": "absent"},
    ]);
    config["builtInAgents"] = json!({"explore": {"disable": true}, "plan": {"description": "Plans.", "model": "large-1"}});
    config
}

struct Known;

#[async_trait::async_trait]
impl Resolve for Known {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec!["93.184.216.34".parse().unwrap()])
    }
}

/// The distribution with its servers evaluated under its own effective dimensions.
async fn with_servers(input: ComposeInput, own: &[OwnServer]) -> ComposeInput {
    servers_of(with_agents(), input, own).await
}

async fn servers_of(config: Value, mut input: ComposeInput, own: &[OwnServer]) -> ComposeInput {
    input.product = product(config);
    input.skills = vec!["reports".into()];
    let settings = ServerSettings {
        credentials: BTreeMap::from([(
            "wiki".to_owned(),
            BTreeMap::from([("token".to_owned(), "wiki-token-value".into())]),
        )]),
        ..ServerSettings::default()
    };
    let product = input.product.clone().unwrap();
    input.servers = evaluate(
        &McpInput {
            product: &product.mcps,
            own,
            settings: &settings,
            mcp: input.effective_dimensions().mcp,
            own_permitted: input.managed.extensions.custom_mcps,
            places: &Places::default(),
        },
        &Known,
    )
    .await;
    input
}

fn own_wiki(permission: Action) -> OwnServer {
    OwnServer {
        name: "mine".into(),
        scope: Scope::Machine,
        transport: OwnTransport::Http {
            url: "https://mine.example.test/path-with-token?key=url-token-value".into(),
            headers: BTreeMap::from([("X-Key".to_owned(), "header-token-value".into())]),
        },
        permission,
        allow_private_network: false,
        google_auth: false,
    }
}

#[tokio::test]
async fn agents_tools_and_servers_of_the_config_are_composed() {
    let config = composed(&with_servers(distribution("acme"), &[]).await);
    let document = document(&config);
    assert_eq!(
        document["mcp"],
        json!({"wiki": {
            "type": "remote", "url": "https://wiki.example.test/mcp", "enabled": true,
            "headers": {"Authorization": "Bearer wiki-token-value"}, "oauth": false,
        }})
    );
    let agents: Vec<&String> = document["agent"].as_object().unwrap().keys().collect();
    assert_eq!(agents, ["build", "plan", "general", "scribe", "explore"]);
    assert_eq!(document["agent"]["explore"], json!({"disable": true}));
    assert_eq!(document["agent"]["plan"]["model"], "acme/large-1");
    let scribe = &document["agent"]["scribe"];
    assert_eq!(scribe["mode"], "subagent");
    assert_eq!(
        scribe["color"], "accent",
        "an unknown colour would break OpenCode's whole config"
    );
    assert_eq!(
        (&scribe["temperature"], &scribe["steps"]),
        (&json!(0), &json!(5))
    );
    // Under "ask", what the config grants asks too, in both spellings; nothing native that it doesn't name.
    let scribe = permission(&config, Some("scribe"));
    for tool in ["mcp__wiki__read", "wiki_read", "wiki_save"] {
        assert_eq!(scribe.action_for(tool, "x"), Some(Action::Ask), "{tool}");
    }
    for tool in ["bash", "edit", "webfetch", "task", "question"] {
        assert_eq!(scribe.action_for(tool, "x"), Some(Action::Deny), "{tool}");
    }
    assert_eq!(
        permission(&config, Some("build")).action_for("task", "scribe"),
        Some(Action::Allow)
    );
    assert_eq!(
        permission(&config, None).get("skill"),
        Some(&serde_json::from_value(json!({"*": "deny", "reports": "allow"})).unwrap())
    );
}

/// OpenCode runs an MCP tool that no rule names. So a rule names them all, for everybody.
#[tokio::test]
async fn a_tool_that_nobody_named_is_denied_for_everybody() {
    for mcp in [Action::Ask, Action::Allow] {
        let mut input = distribution("acme");
        input.dimensions.mcp = mcp;
        let mut with = with_agents();
        with["mcps"].as_array_mut().unwrap().push(
            json!({"name": "bare", "type": "remote", "url": "https://bare.example.test/mcp", "description": "d", "authMode": "none"}),
        );
        let input = servers_of(with, input, &[own_wiki(Action::Allow)]).await;
        let config = composed(&input);
        assert!(document(&config)["mcp"]["bare"].is_object());
        let top = permission(&config, None);
        for agent in ["build", "plan", "general", "scribe"] {
            let permission = permission(&config, Some(agent));
            let effective = |tool: &str| {
                let own = permission.action_for(tool, "x");
                own.or_else(|| top.action_for(tool, "x"))
            };
            for tool in ["wiki_delete_all", "bare_run", "mcp__bare__run"] {
                assert_eq!(effective(tool), Some(Action::Deny), "{agent} {tool}");
                assert_eq!(top.action_for(tool, "x"), Some(Action::Deny), "{tool}");
            }
            if agent != "scribe" {
                assert_eq!(effective("mine_act"), Some(mcp), "{agent}");
            }
            assert_eq!(effective("wiki_read"), Some(mcp), "{agent}");
        }
        let rows = config.diagnostics(None, "desktop-local").capabilities;
        let remark = |name: &str| {
            let row = rows.iter().find(|row| row.id == name).unwrap();
            row.evidence.as_ref()?.get("reason").cloned()
        };
        let text = remark("bare").unwrap();
        assert!(
            text.as_str().unwrap().contains("namespace `bare`"),
            "{text}"
        );
        assert_eq!((remark("wiki"), remark("mine")), (None, None));
    }
}

#[test]
fn a_plain_number_is_no_name_of_an_agent_and_no_pattern() {
    for (config, place) in [
        (
            json!({"agents": [{"name": "7", "description": "d", "instructions": "i"}]}),
            "agents[0].name",
        ),
        (
            json!({"tools": [{"id": "t", "name": "T", "description": "d", "kind": "mcp", "askPatterns": ["7"]}]}),
            "tools[0]",
        ),
    ] {
        let error = refused(&ComposeInput {
            product: product(config),
            ..input()
        });
        assert!(error.to_string().contains(place), "{error}");
    }
}

#[tokio::test]
async fn where_tools_are_denied_no_server_is_registered() {
    let mut input = with_servers(distribution("acme"), &[own_wiki(Action::Allow)]).await;
    assert!(document(&composed(&input))["mcp"]["mine"].is_object());
    // The verdicts are from before; composing looks at the policy itself.
    input.managed = ManagedPolicy::parse(r#"{"permissionCeilings":{"mcp":"deny"}}"#).unwrap();
    let config = composed(&input);
    assert_eq!(document(&config)["mcp"], json!({}));
    for agent in [None, Some("build"), Some("scribe")] {
        for tool in ["mine_act", "mcp__mine__act", "wiki_read", "mcp__wiki__save"] {
            assert_eq!(
                permission(&config, agent).action_for(tool, "x"),
                Some(Action::Deny),
                "{agent:?} {tool}"
            );
        }
    }
    let rows = config.diagnostics(None, "desktop-local").capabilities;
    let denied = |name: &str| {
        rows.iter()
            .find(|row| row.id == name)
            .unwrap()
            .reason_code
            .as_str()
    };
    assert_eq!(denied("mine"), "mcp.policy-denied");
}

#[tokio::test]
async fn an_own_server_asks_unless_the_user_said_otherwise() {
    for (permission_mode, dimension, expected) in [
        (Action::Ask, Action::Allow, Action::Ask),
        (Action::Allow, Action::Allow, Action::Allow),
        (Action::Allow, Action::Ask, Action::Ask),
    ] {
        let mut input = distribution("acme");
        input.dimensions.mcp = dimension;
        let config = composed(&with_servers(input, &[own_wiki(permission_mode)]).await);
        for tool in ["mine_act", "mcp__mine__act"] {
            assert_eq!(
                permission(&config, Some("build")).action_for(tool, "x"),
                Some(expected),
                "{permission_mode:?} {dimension:?} {tool}"
            );
        }
    }
}

#[tokio::test]
async fn diagnostics_are_the_documents_own_and_hold_no_secret() {
    let input = ComposeInput {
        selected_provider: Some("acme".into()),
        selected_model: Some("mini-1".into()),
        model: "mini-1".into(),
        ..distribution("acme")
    };
    let config = composed(&with_servers(input, &[own_wiki(Action::Ask)]).await);
    let diagnostics = config.diagnostics(Some("1.18.33"), "desktop-local");
    let mut shown = serde_json::to_value(&diagnostics).unwrap();
    shown.as_object_mut().unwrap().shift_remove("compatibility");
    let everything = format!("{diagnostics:?}{}{}{config:?}", shown, config.redacted());
    for secret in [
        "stored-acme-key",
        "wiki-token-value",
        "header-token-value",
        "url-token-value",
        "path-with-token",
        "hush-hush-value",
    ] {
        assert!(!everything.contains(secret), "{secret}");
        assert!(!secret.contains("hush") || text(&config).contains(secret));
    }
    // It tells what runs: upstream shows another model id than the one that runs (05 §19.13).
    assert_eq!(diagnostics.runtime_model, config.model());
    insta::assert_json_snapshot!(shown);
}

#[test]
fn sources_say_who_decided() {
    let source = |provider: Option<&str>, model: Option<&str>| {
        let config = composed(&ComposeInput {
            selected_provider: provider.map(str::to_owned),
            selected_model: model.map(str::to_owned),
            model: model.unwrap_or_default().to_owned(),
            ..distribution("acme")
        });
        let diagnostics = config.diagnostics(None, "desktop-local");
        (
            diagnostics.provider_source,
            diagnostics.model_source,
            diagnostics.conflicts.len(),
        )
    };
    use InputSource::{Default, Fallback, Settings};
    assert_eq!(source(None, None), (Default, Default, 0));
    assert_eq!(
        source(Some("acme"), Some("acme/large-1")),
        (Settings, Settings, 0)
    );
    assert_eq!(
        source(Some("acme"), Some("mini-1")),
        (Settings, Settings, 1)
    );
    assert_eq!(source(Some("gone"), None), (Fallback, Default, 0));
}
