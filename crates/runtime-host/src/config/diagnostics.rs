//! Where each part of the composed config came from, and which source won (05 §11.3).
//!
//! Composing fills [`Provenance`]; rows are made of nothing else, so that what is reported is what runs. Names,
//! kinds and reason codes only: no value of a credential, no command, no path.

use super::ComposeInput;
use super::provider::{Chosen, ProviderChoice};
use crate::compatibility::{self, Compatibility};
use crate::mcp::{Server, Source, State};
use open_cowork_config::model::Config;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::health::{
    CapabilityKind as Kind, CapabilityReason as Reason, CapabilityRow, CapabilityStatus as Status,
    ConflictRow,
};
use open_cowork_policy::agent::Roster;
use open_cowork_policy::inheritance::Issue;
use open_cowork_policy::tool;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};

/// Where a provider or a model came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InputSource {
    /// The user chose it.
    Settings,
    /// The config's default.
    Default,
    /// Neither: what was left.
    Fallback,
}

impl InputSource {
    fn of(selected: Option<&str>, default: Option<&str>, effective: &str) -> Self {
        match (selected, default) {
            (Some(selected), _) if selected == effective => Self::Settings,
            (None, Some(default)) if default == effective => Self::Default,
            _ => Self::Fallback,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Default => "default",
            Self::Fallback => "fallback",
        }
    }
}

/// What the runtime was given, and why (05 §11.3).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeInputDiagnostics {
    /// The running version; null while none runs.
    pub opencode_version: Option<String>,
    /// Provider id in our settings.
    pub provider_id: String,
    /// Its name for people.
    pub provider_name: String,
    /// Its package; null for one that OpenCode knows.
    pub provider_package: Option<String>,
    /// Model id at the provider.
    pub model_id: String,
    /// `provider/model` exactly as OpenCode was told.
    pub runtime_model: String,
    /// The config's default provider.
    pub default_provider_id: Option<String>,
    /// The config's default model.
    pub default_model_id: Option<String>,
    /// Where the provider came from.
    pub provider_source: InputSource,
    /// Where the model came from.
    pub model_source: InputSource,
    /// Options of the provider without anything that looks secret.
    pub provider_options: JsonObject,
    /// Names of stored credentials, sorted.
    pub credential_override_keys: Vec<String>,
    /// One row per capability.
    pub capabilities: Vec<CapabilityRow>,
    /// One row per name that two sources claimed.
    pub conflicts: Vec<ConflictRow>,
    /// What is relied on in OpenCode (05 §13.1).
    pub compatibility: Compatibility,
    /// Delegations that were tightened, because a sub-agent could do more than its caller (05 §6.8).
    pub inheritance: Vec<Issue>,
}

/// Why a server stands as it does.
struct ServerFact {
    name: String,
    source: Source,
    /// `None`: it is registered.
    off: Option<Reason>,
    evidence: JsonObject,
    remark: Option<String>,
}

/// The sentence for a server of the distribution that is registered although no pattern names a tool of it: all
/// its tools are denied (05 §6.5), and nobody should have to guess why.
fn unnamed(config: Option<&Config>, server: &Server) -> Option<String> {
    let (State::Ready(_), Source::Product, Some(config)) = (&server.state, server.source, config)
    else {
        return None;
    };
    let tools = super::product::tools(&config.tools);
    let of_tools = tools
        .iter()
        .flat_map(|tool| tool.allow().into_iter().chain(tool.ask()));
    let of_agents = config.agents.iter().flat_map(|agent| {
        let lists = [&agent.allow_tools, &agent.ask_tools];
        lists.into_iter().flatten().flatten().cloned()
    });
    let named = of_tools
        .chain(of_agents)
        .any(|pattern| tool::names_tool_of(&pattern, &server.name));
    (!named).then(|| {
        format!(
            "No pattern names a tool of this server, so all of them are denied; add an entry to `tools` with \
             the namespace `{}`.",
            server.name
        )
    })
}

/// A skill and how it stands.
struct SkillFact {
    name: String,
    available: bool,
    tool_ids: Vec<String>,
}

/// What composing decided.
pub(super) struct Provenance {
    provider_id: String,
    runtime_provider: String,
    provider_name: String,
    provider_package: Option<String>,
    model_id: String,
    default_provider_id: Option<String>,
    default_model_id: Option<String>,
    provider_source: InputSource,
    model_source: InputSource,
    credential_override_keys: Vec<String>,
    servers: Vec<ServerFact>,
    overridden: Vec<(String, String)>,
    skills: Vec<SkillFact>,
    configured_agents: Vec<String>,
    pub(super) inheritance: Vec<Issue>,
}

impl Provenance {
    pub(super) fn new(
        input: &ComposeInput,
        chosen: &Chosen,
        roster: &Roster,
        inheritance: Vec<Issue>,
    ) -> Self {
        let config = input.product.as_deref();
        let providers = config.map(|config| &config.providers);
        let id = input.provider.id();
        let default_provider = providers.and_then(|providers| providers.default_provider.clone());
        let default_model = providers.and_then(|providers| providers.default_model.clone());
        let bare = |model: &str| {
            let own = model
                .strip_prefix(id)
                .and_then(|rest| rest.strip_prefix('/'));
            own.unwrap_or(model).trim().to_owned()
        };
        let mut keys: Vec<String> = input
            .credentials
            .get(id)
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.expose_secret().trim().is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        if let Some(key) = &input.api_key
            && !key.expose_secret().trim().is_empty()
            && !matches!(input.provider, ProviderChoice::Configured { .. })
        {
            keys.push("apiKey".to_owned());
        }
        keys.sort();
        keys.dedup();
        let facts = input.servers.rows.iter().map(|server| ServerFact {
            name: server.name.clone(),
            source: server.source,
            off: match &server.state {
                State::Off(reason) => Some(*reason),
                State::Ready(_) if input.effective_dimensions().mcp == super::Action::Deny => {
                    Some(Reason::McpPolicyDenied)
                }
                State::Ready(_) => None,
            },
            evidence: server.evidence.clone(),
            remark: server.remark.clone().or_else(|| unnamed(config, server)),
        });
        let own_scope = |name: &str| {
            let row = input.servers.rows.iter().find(|row| row.name == name);
            row.map_or_else(|| "custom".to_owned(), |row| source_of(row.source))
        };
        let listed = config.map_or(&[][..], |config| &config.skills);
        let tool_ids = |name: &str| {
            let skill = listed.iter().find(|skill| skill.name == name);
            skill
                .and_then(|skill| skill.tool_ids.clone())
                .unwrap_or_default()
        };
        let mut skills: Vec<SkillFact> = input
            .skills
            .iter()
            .map(|name| SkillFact {
                name: name.clone(),
                available: true,
                tool_ids: tool_ids(name),
            })
            .collect();
        let missing = listed
            .iter()
            .filter(|skill| !input.skills.contains(&skill.name));
        skills.extend(missing.map(|skill| SkillFact {
            name: skill.name.clone(),
            available: false,
            tool_ids: Vec::new(),
        }));
        Self {
            provider_source: InputSource::of(
                input.selected_provider.as_deref(),
                default_provider.as_deref(),
                id,
            ),
            model_source: InputSource::of(
                input.selected_model.as_deref().map(bare).as_deref(),
                default_model.as_deref().map(bare).as_deref(),
                &chosen.model,
            ),
            provider_id: id.to_owned(),
            runtime_provider: input.provider.runtime_id().to_owned(),
            provider_name: chosen.name.clone(),
            provider_package: chosen.package.clone(),
            model_id: chosen.model.clone(),
            default_provider_id: default_provider,
            default_model_id: default_model,
            credential_override_keys: keys,
            servers: facts.collect(),
            overridden: input
                .servers
                .overridden
                .iter()
                .map(|name| (name.clone(), own_scope(name)))
                .collect(),
            skills,
            configured_agents: config.map_or_else(Vec::new, |config| {
                let names = config.agents.iter().map(|agent| &agent.name);
                names
                    .filter(|name| roster.agents.iter().any(|agent| &agent.name == *name))
                    .cloned()
                    .collect()
            }),
            inheritance,
        }
    }

    pub(super) fn diagnostics(
        &self,
        redacted: &Value,
        opencode_version: Option<&str>,
        product_mode: &str,
    ) -> RuntimeInputDiagnostics {
        let options = redacted
            .get("provider")
            .and_then(|providers| providers.get(&self.runtime_provider)?.get("options"));
        RuntimeInputDiagnostics {
            opencode_version: opencode_version.map(str::to_owned),
            provider_id: self.provider_id.clone(),
            provider_name: self.provider_name.clone(),
            provider_package: self.provider_package.clone(),
            model_id: self.model_id.clone(),
            runtime_model: redacted["model"].as_str().unwrap_or_default().to_owned(),
            default_provider_id: self.default_provider_id.clone(),
            default_model_id: self.default_model_id.clone(),
            provider_source: self.provider_source,
            model_source: self.model_source,
            provider_options: options
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            credential_override_keys: self.credential_override_keys.clone(),
            capabilities: self.capabilities(redacted, product_mode),
            conflicts: self.conflicts(),
            compatibility: compatibility::report(),
            inheritance: self.inheritance.clone(),
        }
    }

    /// In the contract's order: provider, model, servers, skills, plugins, agents and their delegation.
    fn capabilities(&self, redacted: &Value, product_mode: &str) -> Vec<CapabilityRow> {
        let row =
            |id: &str, kind, status, reason_code, source: &str, evidence: Value| CapabilityRow {
                id: id.to_owned(),
                kind,
                status,
                reason_code,
                source: source.to_owned(),
                product_mode: product_mode.to_owned(),
                evidence: match evidence {
                    Value::Object(evidence) if !evidence.is_empty() => Some(evidence),
                    _ => None,
                },
                redacted: true,
            };
        let provider_reason = match self.provider_source {
            InputSource::Settings => Reason::ProviderSettings,
            InputSource::Default => Reason::ProviderDefault,
            InputSource::Fallback => Reason::ProviderFallback,
        };
        let model_reason = match self.model_source {
            InputSource::Settings => Reason::ModelSettings,
            InputSource::Default => Reason::ModelDefault,
            InputSource::Fallback => Reason::ModelFallback,
        };
        let mut rows = vec![
            row(
                &self.provider_id,
                Kind::Provider,
                Status::Active,
                provider_reason,
                self.provider_source.as_str(),
                json!({
                    "providerName": self.provider_name, "providerPackage": self.provider_package,
                    "credentialOverrideKeys": self.credential_override_keys,
                }),
            ),
            row(
                &self.model_id,
                Kind::Model,
                Status::Active,
                model_reason,
                self.model_source.as_str(),
                json!({"runtimeModel": redacted["model"], "defaultModelId": self.default_model_id}),
            ),
        ];
        for server in &self.servers {
            let mut evidence = server.evidence.clone();
            if let Some(remark) = &server.remark {
                evidence.insert("reason".to_owned(), json!(remark));
            }
            let is_remote = evidence.get("type").is_some_and(|kind| kind == "remote");
            let (status, reason) = match server.off {
                Some(reason) => (status_of(reason), reason),
                None => (
                    Status::Active,
                    match (server.source, is_remote) {
                        (Source::Product, _) => Reason::McpConfigured,
                        (Source::Own(_), true) => Reason::McpCustomHttpConfigured,
                        (Source::Own(_), false) => Reason::McpCustomStdioConfigured,
                    },
                ),
            };
            let source = source_of(server.source);
            rows.push(row(
                &server.name,
                Kind::Mcp,
                status,
                reason,
                &source,
                Value::Object(evidence),
            ));
        }
        for skill in &self.skills {
            let (status, reason) = match skill.available {
                true => (Status::Active, Reason::SkillBuiltin),
                false => (Status::Missing, Reason::SkillConfiguredMissing),
            };
            let evidence = match skill.available {
                true => {
                    json!({"origin": "open-cowork", "scope": "machine", "toolIds": skill.tool_ids})
                }
                false => Value::Null,
            };
            rows.push(row(
                &skill.name,
                Kind::Skill,
                status,
                reason,
                "builtin",
                evidence,
            ));
        }
        rows.extend(plugins());
        for agent in &self.configured_agents {
            rows.push(row(
                agent,
                Kind::Agent,
                Status::Active,
                Reason::AgentConfigured,
                "builtin",
                Value::Null,
            ));
        }
        rows.push(row(
            "subagent-delegation",
            Kind::Agent,
            Status::AskGated,
            Reason::AgentDelegationParentPermissionGated,
            "policy",
            json!({"parentDenyRulesInherited": true, "delegatedRemoteApproval": "policy-gated"}),
        ));
        rows
    }

    fn conflicts(&self) -> Vec<ConflictRow> {
        let mut rows = Vec::new();
        for (kind, source, effective, default, reason_code) in [
            (
                Kind::Provider,
                self.provider_source,
                &self.provider_id,
                &self.default_provider_id,
                Reason::ProviderSourceConflictWinner,
            ),
            (
                Kind::Model,
                self.model_source,
                &self.model_id,
                &self.default_model_id,
                Reason::ModelSourceConflictWinner,
            ),
        ] {
            let Some(default) = default else { continue };
            let bare = default
                .strip_prefix(&self.provider_id)
                .and_then(|rest| rest.strip_prefix('/'))
                .unwrap_or(default);
            if default != effective && bare != effective {
                rows.push(ConflictRow {
                    id: effective.clone(),
                    kind,
                    winner_source: source.as_str().to_owned(),
                    loser_sources: vec![format!("default:{default}")],
                    reason_code,
                    redacted: true,
                });
            }
        }
        for (name, winner) in &self.overridden {
            rows.push(ConflictRow {
                id: name.clone(),
                kind: Kind::Mcp,
                winner_source: winner.clone(),
                loser_sources: vec!["builtin".to_owned()],
                reason_code: Reason::McpCustomOverridesBuiltin,
                redacted: true,
            });
        }
        rows
    }
}

fn source_of(source: Source) -> String {
    match source {
        Source::Product => "builtin".to_owned(),
        Source::Own(scope) => format!("custom:{}", scope.as_str()),
    }
}

/// How a server stands for each reason not to register it.
fn status_of(reason: Reason) -> Status {
    match reason {
        Reason::McpDisabledByUser => Status::Disabled,
        Reason::McpNotSignedInGoogle | Reason::McpAwaitingOauthOptIn => Status::AuthPending,
        Reason::McpNotConfigured | Reason::McpCommandNotInstalled => Status::Missing,
        _ => Status::Blocked,
    }
}

/// Plugins of the registry: none runs in any remote mode (05 §13.1).
fn plugins() -> Vec<CapabilityRow> {
    let registry = compatibility::registry();
    let plugins = registry
        .assumptions
        .iter()
        .filter(|row| row.category == "plugin");
    plugins
        .map(|row| {
            let (status, reason_code) = match row.status.as_str() {
                "blocked" => (Status::Unsupported, Reason::PluginProductModeUnsupported),
                "supported" => (Status::Available, Reason::PluginSupported),
                "shim" => (Status::Available, Reason::PluginShim),
                "private-assumption" => (Status::Available, Reason::PluginPrivateAssumption),
                _ => (Status::Unknown, Reason::PluginUnknown),
            };
            CapabilityRow {
                id: row.id.clone(),
                kind: Kind::OpencodePlugin,
                status,
                reason_code,
                source: "opencode-compatibility-registry".to_owned(),
                product_mode: row.product_modes.join(","),
                evidence: None,
                redacted: true,
            }
        })
        .collect()
}
