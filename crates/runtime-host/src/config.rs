//! The composed OpenCode config (05 §6): one document, fixed for the life of a process (08 §3.1).
//!
//! It is the only place in which a provider key exists outside the user's key store: in
//! `provider.<id>.options`, in a file of mode 0600 inside a folder of mode 0700. A [`ComposedConfig`] shows the
//! key neither in `Debug` nor in [`ComposedConfig::redacted`].

mod provider;

pub use provider::{ModelCost, ModelEntry, ModelLimit, ProviderChoice};

use crate::error::HostError;
use crate::home::HomePaths;
use open_cowork_policy::agent::{self, Shared};
use open_cowork_policy::managed::ManagedPolicy;
use open_cowork_policy::{Action, Dimensions, permission};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a config is composed from.
#[derive(Clone, Debug)]
pub struct ComposeInput {
    /// Which provider answers.
    pub provider: ProviderChoice,
    /// Model id, bare or as `provider/model`. Required: without one OpenCode may fall back to a public vendor
    /// gateway, and prompts would leave the machine for a place that nobody chose (08 §3.1).
    pub model: String,
    /// Model of titles and summaries; absent: the model.
    pub small_model: Option<String>,
    /// Key of the provider; absent for endpoints that need none.
    pub api_key: Option<SecretString>,
    /// Effective permission policy, see [`Dimensions::resolve`].
    pub dimensions: Dimensions,
    /// The organisation's policy; the default restricts nothing.
    pub managed: ManagedPolicy,
    /// Names of the skills in the catalog.
    pub skills: Vec<String>,
}

/// A config that is ready to be written.
pub struct ComposedConfig {
    text: SecretString,
    redacted: Value,
    model: String,
    small_model: String,
    secrets: Vec<SecretString>,
}

impl std::fmt::Debug for ComposedConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComposedConfig")
            .field("document", &self.redacted.to_string())
            .finish()
    }
}

impl ComposedConfig {
    /// The document without options that hold secrets (05 §11.3); the source of diagnostics.
    #[must_use]
    pub fn redacted(&self) -> &Value {
        &self.redacted
    }

    /// `provider/model` as OpenCode knows it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// `provider/model` of titles and summaries.
    #[must_use]
    pub fn small_model(&self) -> &str {
        &self.small_model
    }

    /// Values that no log and no message may show.
    pub(crate) fn secrets(&self) -> &[SecretString] {
        &self.secrets
    }

    /// Writes `opencode.json` into a private folder: mode 0600, at once or not at all.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, HostError> {
        let (path, fresh) = (dir.join("opencode.json"), dir.join(".opencode.json.new"));
        let write = || {
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(self.text.expose_secret().as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(HostError::io("written", &path))?;
        Ok(path)
    }
}

/// Composes the document (05 §6.1–6.3, 6.5, 6.7). Errors are settings to mend; trying again won't help.
pub fn compose(input: &ComposeInput, home: &HomePaths) -> Result<ComposedConfig, HostError> {
    let choice = &input.provider;
    choice.check()?;
    let model = bare_model(&input.model, choice)?;
    let small = input
        .small_model
        .as_deref()
        .filter(|small| !small.trim().is_empty());
    let small = small.map_or(Ok(model), |small| bare_model(small, choice))?;
    input
        .managed
        .check(choice.id(), choice.is_custom(), &[model, small])?;

    let runtime_id = choice.runtime_id();
    let entry = provider::entry(choice, input.api_key.as_ref(), &[model, small])?;
    let shared = Shared {
        read: permission::read_with_secrets_asked(),
        external_directory: external_directories(input.dimensions.external_directory, home),
        allow: Vec::new(),
        ask: Vec::new(),
        denied: Vec::new(),
    };
    let mut document = Map::new();
    let mut set = |key: &str, value: Value| document.insert(key.to_owned(), value);
    set("$schema", json!("https://opencode.ai/config.json"));
    set("autoupdate", json!(false));
    // Sharing uploads the thread to a public host; nobody asked for that (08 §3.2).
    set("share", json!("disabled"));
    set("enabled_providers", json!([runtime_id]));
    if runtime_id != VENDOR_GATEWAY {
        set("disabled_providers", json!([VENDOR_GATEWAY]));
    }
    let (model, small_model) = (
        format!("{runtime_id}/{model}"),
        format!("{runtime_id}/{small}"),
    );
    set("model", json!(model));
    set("small_model", json!(small_model));
    set(
        "compaction",
        json!({"auto": true, "prune": true, "reserved": 10000}),
    );
    set("skills", json!({"paths": [home.skill_catalog()]}));
    set("mcp", json!({}));
    if let Some(entry) = entry {
        set("provider", json!({ runtime_id: entry }));
    }
    let top = agent::top_level(&input.dimensions, &shared, &input.skills);
    set("permission", to_value(&top)?);
    let mut agents = Map::new();
    for agent in agent::native_agents(&input.dimensions, &shared) {
        let mut entry = Map::new();
        entry.insert("mode".into(), json!(agent.mode));
        entry.insert("description".into(), json!(agent.description));
        entry.insert("color".into(), json!(agent.color));
        entry.insert("permission".into(), to_value(&agent.permission)?);
        agents.insert(agent.name.into(), Value::Object(entry));
    }
    set("agent", Value::Object(agents));

    let document = Value::Object(document);
    Ok(ComposedConfig {
        text: to_text(&document)?.into(),
        secrets: secret_values(&document),
        redacted: redact(&document),
        model,
        small_model,
    })
}

/// OpenCode's public gateway with a built-in key (08 §3.1).
const VENDOR_GATEWAY: &str = "opencode";

/// Skills and OpenCode's own scratch are open; every other foreign folder follows the policy. Upstream denies
/// them without asking.
fn external_directories(policy: Action, home: &HomePaths) -> permission::Rule {
    let roots = [
        home.config_home().join("opencode/skills"),
        home.skill_catalog(),
    ];
    let mut rule = permission::external_roots(
        policy,
        roots.iter().map(|root| root.to_string_lossy()),
        policy,
    );
    if let permission::Rule::Patterns(patterns) = &mut rule {
        for own in [home.tool_output(), home.scratch()] {
            patterns.insert(format!("{}/*", own.display()), Action::Allow);
        }
    }
    rule
}

/// The model id without the provider's prefix (05 §6.2).
fn bare_model<'a>(model: &'a str, choice: &ProviderChoice) -> Result<&'a str, HostError> {
    let model = model.trim();
    let bare = [choice.id(), choice.runtime_id()]
        .iter()
        .find_map(|id| model.strip_prefix(id)?.strip_prefix('/'))
        .unwrap_or(model);
    match bare.is_empty() || bare.chars().any(|c| c.is_control() || c.is_whitespace()) {
        true => Err(HostError::Config(format!(
            "the model {model:?} is not a model id; choose one in the settings"
        ))),
        false => Ok(bare),
    }
}

/// Secret-looking option names (05 §11.3).
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    [
        "token",
        "secret",
        "password",
        "authorization",
        "header",
        "cookie",
        "apikey",
        "privatekey",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// Drops secret options; objects that become empty go too (05 §11.3). Only providers and MCP servers have
/// options of foreign make; the rest is our own.
fn redact(document: &Value) -> Value {
    fn clean(value: &Value) -> Option<Value> {
        let Value::Object(object) = value else {
            return Some(value.clone());
        };
        let kept: Map<String, Value> = object
            .iter()
            .filter(|(name, _)| !is_secret_name(name))
            .filter_map(|(name, value)| Some((name.clone(), clean(value)?)))
            .collect();
        (object.is_empty() || !kept.is_empty()).then_some(Value::Object(kept))
    }
    let mut document = document.clone();
    if let Some(Value::Object(providers)) = document.get_mut("provider") {
        for entry in providers.values_mut() {
            if let Some(options) = entry.get_mut("options") {
                *options = clean(options).unwrap_or_else(|| json!({}));
            }
        }
    }
    document
}

/// Every string under a secret-looking name.
fn secret_values(document: &Value) -> Vec<SecretString> {
    fn walk(value: &Value, secret: bool, found: &mut Vec<SecretString>) {
        match value {
            Value::String(text) if secret && !text.is_empty() => found.push(text.clone().into()),
            Value::Array(items) => items.iter().for_each(|item| walk(item, secret, found)),
            Value::Object(object) => {
                object
                    .iter()
                    .for_each(|(name, value)| walk(value, secret || is_secret_name(name), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Some(providers) = document.get("provider") {
        walk(providers, false, &mut found);
    }
    found
}

fn to_value(object: &impl serde::Serialize) -> Result<Value, HostError> {
    serde_json::to_value(object).map_err(|error| HostError::Config(error.to_string()))
}

/// OpenCode replaces `{env:…}` and `{file:…}` in the text of its config before it parses it. Everything here is
/// meant literally, so these braces are written as escapes.
fn to_text(document: &Value) -> Result<String, HostError> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| HostError::Config(error.to_string()))?;
    Ok(text
        .replace("{env:", "\\u007benv:")
        .replace("{file:", "\\u007bfile:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn input() -> ComposeInput {
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
            small_model: None,
            api_key: Some("sk-very-secret".into()),
            dimensions: Dimensions::desktop(),
            managed: ManagedPolicy::default(),
            skills: vec![],
        }
    }

    fn composed(input: &ComposeInput) -> ComposedConfig {
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
        let refused =
            compose(&ComposeInput { managed, ..input() }, &HomePaths::new("/h")).unwrap_err();
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
}
