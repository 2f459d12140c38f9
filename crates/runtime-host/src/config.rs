//! The composed OpenCode config (05 §6): one document, fixed for the life of a process (08 §3.1).
//!
//! It is the only place in which a provider key exists outside the user's key store: in
//! `provider.<id>.options`, in a file of mode 0600 inside a folder of mode 0700. A [`ComposedConfig`] shows the
//! key neither in `Debug` nor in [`ComposedConfig::redacted`].
//!
//! [`compose`] is pure. What needs the machine is done before: which servers are ready ([`crate::mcp`]), which
//! skills are in the catalog. It records where each part came from, and [`ComposedConfig::diagnostics`] is made
//! of that record, so that diagnostics can't tell another story than the config (05 §19.13).

mod diagnostics;
mod handover;
mod product;
mod provider;
mod redact;
mod restriction;

pub use diagnostics::{InputSource, RuntimeInputDiagnostics};
pub use provider::{ModelCost, ModelEntry, ModelLimit, ProviderChoice, key_field};
pub use restriction::Restriction;

pub(crate) use redact::is_secret_name;

use crate::error::HostError;
use crate::home::HomePaths;
use crate::mcp::{Servers, State};
use diagnostics::Provenance;
use open_cowork_config::model::Config;
use open_cowork_config::model::permissions::Compaction;
use open_cowork_config::placeholder::Inserted;
use open_cowork_policy::agent::{self, RosterInput, Shared};
use open_cowork_policy::effective::EffectivePolicy;
use open_cowork_policy::managed::ManagedPolicy;
use open_cowork_policy::tool::{self, CustomServer};
use open_cowork_policy::{Action, Dimensions, inheritance, permission};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a config is composed from. [`ComposeInput::new`] fills in what a product without a config of its own
/// has.
#[derive(Clone, Debug)]
pub struct ComposeInput {
    /// Which provider answers.
    pub provider: ProviderChoice,
    /// Model id, bare or as `provider/model`; blank: the distribution's default. Without one OpenCode may fall
    /// back to a public vendor gateway, and prompts would leave the machine for a place that nobody chose
    /// (08 §3.1).
    pub model: String,
    /// Model of titles and summaries; absent: the provider's small model, else the model.
    pub small_model: Option<String>,
    /// Key of the chosen provider where the config declares no field for it; absent for endpoints that need none.
    pub api_key: Option<SecretString>,
    /// What the user's settings grant, see [`Dimensions::resolve`]; composing clamps it once more.
    pub dimensions: Dimensions,
    /// The organisation's policy; the default restricts nothing.
    pub managed: ManagedPolicy,
    /// Names of the skills in the catalog.
    pub skills: Vec<String>,
    /// The distribution's config; absent: the product's own defaults.
    pub product: Option<Arc<Config>>,
    /// MCP servers with their verdicts, from [`crate::mcp::evaluate`].
    pub servers: Servers,
    /// Stored credentials by provider and key.
    pub credentials: BTreeMap<String, BTreeMap<String, SecretString>>,
    /// Keys of an organisation by provider (05 §18.2): every provider with one gets its entry, chosen or not, and the
    /// key goes into the field that the config declares for it ([`key_field`]), else into `apiKey`.
    pub keys: BTreeMap<String, SecretString>,
    /// Variables of the process that placeholders of custom providers may read.
    pub variables: BTreeMap<String, String>,
    /// Files that placeholders of custom providers name, by the path as written.
    pub files: BTreeMap<String, Inserted>,
    /// The provider that the user chose; absent: nothing was chosen.
    pub selected_provider: Option<String>,
    /// The model that the user chose.
    pub selected_model: Option<String>,
    /// What a cloud profile takes away; absent: nothing.
    pub restriction: Option<Restriction>,
}

impl ComposeInput {
    /// A provider and a model with the safe permissions of a new desktop, nothing else.
    #[must_use]
    pub fn new(provider: ProviderChoice, model: impl Into<String>) -> Self {
        Self {
            provider,
            model: model.into(),
            small_model: None,
            api_key: None,
            dimensions: Dimensions::desktop(),
            managed: ManagedPolicy::default(),
            skills: Vec::new(),
            product: None,
            servers: Servers::default(),
            credentials: BTreeMap::new(),
            keys: BTreeMap::new(),
            variables: BTreeMap::new(),
            files: BTreeMap::new(),
            selected_provider: None,
            selected_model: None,
            restriction: None,
        }
    }

    /// The effective dimensions: settings, under the config's maxima, under the managed policy (05 §6.3). What
    /// is decided before composing, such as which servers to look at, is decided by these.
    #[must_use]
    pub fn effective_dimensions(&self) -> Dimensions {
        let maxima = self.product.as_ref().map(|config| &config.permissions);
        product::clamp(self.dimensions, maxima, &self.managed.permission_ceilings)
    }
}

/// A config that is ready to be written.
pub struct ComposedConfig {
    text: SecretString,
    redacted: Value,
    model: String,
    small_model: String,
    secrets: Vec<SecretString>,
    dimensions: Dimensions,
    provenance: Provenance,
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

    /// What agents may do at most.
    #[must_use]
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// Whether OpenCode's own search may be offered at all: it needs a switch in the environment (05 §5.2).
    #[must_use]
    pub fn offers_web_search(&self) -> bool {
        self.dimensions.web_search != Action::Deny
    }

    /// Where each part came from (05 §11.3). `opencode_version` is the running one, if one runs; `product_mode`
    /// is e.g. `desktop-local`.
    #[must_use]
    pub fn diagnostics(
        &self,
        opencode_version: Option<&str>,
        product_mode: &str,
    ) -> RuntimeInputDiagnostics {
        self.provenance
            .diagnostics(&self.redacted, opencode_version, product_mode)
    }

    /// What the check of delegations changed, before it was changed (05 §6.8).
    #[must_use]
    pub fn inheritance_issues(&self) -> &[inheritance::Issue] {
        &self.provenance.inheritance
    }

    /// Values that no log, no message and no event may show.
    #[must_use]
    pub fn secrets(&self) -> &[SecretString] {
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

/// Composes the document (05 §6.1–6.8). Errors are settings to mend; trying again won't help.
pub fn compose(input: &ComposeInput, home: &HomePaths) -> Result<ComposedConfig, HostError> {
    let product = input.product.as_deref();
    if let Some(config) = product {
        product::check_keys(config)?;
    }
    let choice = &input.provider;
    choice.check()?;
    let chosen = provider::chosen(input)?;
    let (model, small) = (chosen.model.as_str(), chosen.small.as_str());
    input
        .managed
        .check(choice.id(), chosen.custom, &[model, small])?;
    let enabled = provider::enabled(input, chosen.custom)?;
    let entries = provider::entries(input, &chosen, &enabled)?;
    let runtime_id = choice.runtime_id();

    let dimensions = input.effective_dimensions();
    let mut tools = product.map_or_else(Vec::new, |config| product::tools(&config.tools));
    if let Some(restriction) = &input.restriction {
        restriction.check(&tools)?;
        tools.retain(|tool| restriction.allows(tool));
    }
    let policy = effective_policy(input, &dimensions, &tools, home);
    let name_model = |agent: &str, model: &str| provider::name_model(input, &enabled, agent, model);
    let overrides = match product {
        Some(config) => product::overrides(config, &name_model)?,
        None => BTreeMap::new(),
    };
    let configured = match product {
        Some(config) => product::configured(&config.agents, &name_model)?,
        None => Vec::new(),
    };
    let mut roster = agent::roster(&RosterInput {
        policy: &policy,
        tools: &tools,
        skills: &input.skills,
        overrides: &overrides,
        configured: &configured,
        custom: &[],
        product_agents: false,
    });
    let issues = inheritance::enforce(&mut roster.agents);
    if let Some(restriction) = &input.restriction {
        roster = restriction.roster(roster);
    }

    let mut document = Map::new();
    let mut set = |key: &str, value: Value| document.insert(key.to_owned(), value);
    set("$schema", json!("https://opencode.ai/config.json"));
    set("autoupdate", json!(false));
    // Sharing uploads the thread to a public host; nobody asked for that (08 §3.2).
    set("share", json!("disabled"));
    let enabled_ids: Vec<&str> = enabled.iter().map(|id| provider::runtime_id(id)).collect();
    set("enabled_providers", json!(enabled_ids));
    if !enabled_ids.contains(&VENDOR_GATEWAY) {
        set("disabled_providers", json!([VENDOR_GATEWAY]));
    }
    let (model, small_model) = (
        format!("{runtime_id}/{model}"),
        format!("{runtime_id}/{small}"),
    );
    set("model", json!(model));
    set("small_model", json!(small_model));
    let compaction = product.and_then(|config| config.compaction.as_ref());
    set("compaction", compaction_of(compaction));
    set("skills", json!({"paths": [home.skill_catalog()]}));
    let registered = registered_servers(&input.servers, dimensions.mcp);
    set("mcp", Value::Object(registered));
    if !entries.document.is_empty() {
        set("provider", Value::Object(entries.document));
    }
    let mut top = agent::top_level(&dimensions, &policy.shared, &input.skills);
    if let Some(restriction) = &input.restriction {
        top = restriction.object(&top);
    }
    set("permission", to_value(&top)?);
    let mut agents = Map::new();
    for agent in &roster.agents {
        agents.insert(agent.name.clone(), agent.entry());
    }
    for name in &roster.disabled {
        agents.insert(name.clone(), json!({"disable": true}));
    }
    if let Some(agent) = compaction.and_then(|compaction| compaction.agent.as_ref()) {
        agents.insert("compaction".into(), compaction_agent(agent, &name_model)?);
    }
    set("agent", Value::Object(agents));

    let document = Value::Object(document);
    let (mut secrets, hosts) = server_secrets(&input.servers);
    secrets.extend(entries.secrets);
    secrets.extend(redact::secret_values(&document));
    // Views also hide what variables and files inserted; elsewhere those may be ordinary words.
    let hidden = [&secrets[..], &entries.inserted].concat();
    let redacted = redact::redact(&document, &hosts, &hidden);
    let provenance = Provenance::new(input, &chosen, &roster, issues);
    Ok(ComposedConfig {
        text: to_text(&document)?.into(),
        redacted,
        secrets,
        model,
        small_model,
        dimensions,
        provenance,
    })
}

/// OpenCode's public gateway with a built-in key (08 §3.1).
const VENDOR_GATEWAY: &str = "opencode";

/// One policy for all agents: dimensions, and the patterns of tools and servers under them (05 §6.6).
fn effective_policy(
    input: &ComposeInput,
    dimensions: &Dimensions,
    tools: &[tool::Tool],
    home: &HomePaths,
) -> EffectivePolicy {
    let ready = |server: &&crate::mcp::Server| matches!(server.state, State::Ready(_));
    let registered = registered_servers(&input.servers, dimensions.mcp);
    let own: Vec<CustomServer> = input
        .servers
        .rows
        .iter()
        .filter(|server| server.source != crate::mcp::Source::Product)
        .filter(ready)
        .map(|server| CustomServer {
            name: server.name.clone(),
            permission: server.permission,
        })
        .collect();
    let patterns = tool::tool_policy(dimensions.mcp, tools, &own);
    let shared = Shared {
        registered: registered.keys().cloned().collect(),
        read: permission::read_with_secrets_asked(),
        external_directory: external_directories(dimensions.external_directory, home),
        allow: patterns.allow,
        ask: patterns.ask,
        denied: patterns.denied,
    };
    // Servers that are off count too: their names must not become a way around a rule.
    let servers = input.servers.rows.iter().map(|server| server.name.clone());
    EffectivePolicy::new(*dimensions, shared, servers.collect())
}

/// Only ready servers, and none at all where the policy denies MCP tools, whatever was evaluated before.
fn registered_servers(servers: &Servers, mcp: Action) -> Map<String, Value> {
    let mut registered = Map::new();
    for server in &servers.rows {
        if let (State::Ready(entry), true) = (&server.state, mcp != Action::Deny) {
            registered.insert(server.name.clone(), entry.value.clone());
        }
    }
    registered
}

/// The secrets of all servers, and the host of each one that has an address.
fn server_secrets(servers: &Servers) -> (Vec<SecretString>, Vec<(String, Option<String>)>) {
    let (mut secrets, mut hosts) = (Vec::new(), Vec::new());
    for server in &servers.rows {
        if let State::Ready(entry) = &server.state {
            secrets.extend(entry.secrets.iter().cloned());
            hosts.push((server.name.clone(), entry.host.clone()));
        }
    }
    (secrets, hosts)
}

fn compaction_of(compaction: Option<&Compaction>) -> Value {
    let whole = compaction.and_then(|compaction| compaction.reserved);
    json!({
        "auto": compaction.and_then(|compaction| compaction.auto).unwrap_or(true),
        "prune": compaction.and_then(|compaction| compaction.prune).unwrap_or(true),
        "reserved": whole.map_or(10_000, |reserved| reserved.get()),
    })
}

fn compaction_agent(
    agent: &open_cowork_config::model::permissions::CompactionAgent,
    name_model: &product::NameModel<'_>,
) -> Result<Value, HostError> {
    let mut entry = Map::new();
    if let Some(model) = agent
        .model
        .as_deref()
        .filter(|model| !model.trim().is_empty())
    {
        entry.insert("model".into(), json!(name_model("compaction", model)?));
    }
    if let Some(prompt) = &agent.prompt {
        entry.insert("prompt".into(), json!(prompt));
    }
    if let Some(temperature) = agent.temperature.and_then(product::number) {
        entry.insert("temperature".into(), Value::Number(temperature));
    }
    Ok(Value::Object(entry))
}

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
mod tests;
