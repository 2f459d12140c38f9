//! Providers and models of the config (05 §6.2, 08 §3.2): which are enabled, which models run, what each entry
//! holds.

mod configured;
mod keys;

pub use keys::key_field;

use super::ComposeInput;
use crate::error::HostError;
use open_cowork_config::model::Config;
use open_cowork_config::model::providers::{
    CustomProvider, Descriptor, ProviderRuntime, Providers,
};
use open_cowork_policy::managed::ManagedPolicy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

/// Which provider answers.
#[derive(Clone)]
pub enum ProviderChoice {
    /// One that OpenCode's bundled catalogue knows, e.g. `openai`; `openrouter` too.
    Known {
        /// Its id in our settings.
        id: String,
        /// More options for `provider.<id>.options`, e.g. `baseURL`.
        options: Map<String, Value>,
    },
    /// Any endpoint that speaks OpenAI's chat completions, a local one included.
    OpenAiCompatible {
        /// Its id in our settings; must not be an id of the catalogue.
        id: String,
        /// Name for people.
        name: String,
        /// Address up to and including `/v1`.
        base_url: String,
        /// What is known of its models; the chosen ones are added when absent.
        models: Vec<ModelEntry>,
    },
    /// One that the distribution's config describes, among `providers.descriptors` or `providers.custom`.
    Configured {
        /// Its id in the config.
        id: String,
    },
}

impl std::fmt::Debug for ProviderChoice {
    /// Shows no options: they may hold headers and tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderChoice")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// What is known of a model. Costs and limits let OpenCode count and compact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelEntry {
    /// Model id at the provider.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
    /// Token limits; without them OpenCode does not compact by itself.
    pub limit: Option<ModelLimit>,
    /// Prices; without them costs are 0.
    pub cost: Option<ModelCost>,
    /// It thinks before it answers.
    pub reasoning: Option<bool>,
}

/// Token limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLimit {
    /// Tokens of a whole conversation.
    pub context: u64,
    /// Tokens of one answer.
    pub output: u64,
}

/// Prices in USD per million tokens (08 §3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelCost {
    /// Tokens in.
    pub input: f64,
    /// Tokens out.
    pub output: f64,
    /// Cached tokens in.
    pub cache_read: Option<f64>,
    /// Tokens written to the cache.
    pub cache_write: Option<f64>,
}

impl ProviderChoice {
    /// The id in our settings.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Known { id, .. }
            | Self::OpenAiCompatible { id, .. }
            | Self::Configured { id } => id,
        }
    }

    /// The id in OpenCode's config: `openrouter` is reserved there and runs as `or` (05 §6.2).
    #[must_use]
    pub fn runtime_id(&self) -> &str {
        runtime_id(self.id())
    }

    pub(super) fn check(&self) -> Result<(), HostError> {
        let id = self.id();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || !id.chars().all(plain) {
            return Err(HostError::Config(format!(
                "the provider id {id:?} may hold only letters, digits, - _ and ."
            )));
        }
        if let Self::OpenAiCompatible { base_url, .. } = self {
            check_base_url(base_url).map_err(|reason| {
                HostError::Config(format!(
                    "the endpoint of {id} {reason}; correct it in the settings"
                ))
            })?;
        }
        Ok(())
    }
}

/// An absolute http(s) address with a host, without credentials, query or fragment. The reason never repeats
/// the address, which may hold a password.
fn check_base_url(url: &str) -> Result<(), &'static str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or("must start with http:// or https://")?;
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("holds a space or a control character");
    }
    if rest.contains(['?', '#']) {
        return Err("must not have a query or a fragment");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user name or password");
    }
    match authority.is_empty() || authority.starts_with(':') {
        true => Err("has no host"),
        false => Ok(()),
    }
}

/// The id in OpenCode's config (05 §6.2).
pub(super) fn runtime_id(id: &str) -> &str {
    match id {
        "openrouter" => "or",
        id => id,
    }
}

/// What runs: provider and models, checked for their form only.
pub(super) struct Chosen {
    /// Model id without the provider's prefix.
    pub(super) model: String,
    /// The same of the small model.
    pub(super) small: String,
    /// The provider is of the class that a managed policy may forbid: not one that the product knows.
    pub(super) custom: bool,
    /// Name for people.
    pub(super) name: String,
    /// Package, if OpenCode doesn't know the provider by itself.
    pub(super) package: Option<String>,
}

/// Provider and models of the input, with the config's defaults (05 §6.2, 02 §4.4).
pub(super) fn chosen(input: &ComposeInput) -> Result<Chosen, HostError> {
    let choice = &input.provider;
    let id = choice.id();
    let providers = input.product.as_deref().map(|config| &config.providers);
    let described = providers.and_then(|providers| Described::find(providers, id));
    if let (ProviderChoice::Configured { .. }, None) = (choice, &described) {
        return Err(HostError::Config(format!(
            "the provider {id:?} is not described in the configuration; add it to providers.descriptors or providers.custom"
        )));
    }
    let described = described.filter(|_| matches!(choice, ProviderChoice::Configured { .. }));
    let default = || {
        let own = described.as_ref().and_then(Described::default_model);
        own.or_else(|| {
            providers
                .filter(|providers| providers.default_provider.as_deref() == Some(id))
                .and_then(|providers| providers.default_model.as_deref())
        })
    };
    let model = match input.model.trim().is_empty() {
        true => default().unwrap_or_default(),
        false => &input.model,
    };
    let model = bare_model(model, choice)?;
    let small = input
        .small_model
        .as_deref()
        .filter(|small| !small.trim().is_empty())
        .or_else(|| described.as_ref().and_then(Described::small_model));
    let small = small.map_or(Ok(model), |small| bare_model(small, choice))?;
    let (name, package) = match (&described, choice) {
        (Some(Described::BuiltIn(descriptor)), _) => (descriptor.name.clone(), None),
        (Some(Described::Custom(custom)), _) => (custom.name.clone(), Some(custom.npm.clone())),
        (None, ProviderChoice::OpenAiCompatible { name, .. }) => {
            (name.clone(), Some(OPENAI_COMPATIBLE.to_owned()))
        }
        (None, _) => (id.to_owned(), None),
    };
    Ok(Chosen {
        model: model.to_owned(),
        small: small.to_owned(),
        custom: match &described {
            Some(described) => matches!(described, Described::Custom(_)),
            None => matches!(choice, ProviderChoice::OpenAiCompatible { .. }),
        },
        name,
        package,
    })
}

/// Speaks OpenAI's chat completions; OpenCode brings it along.
const OPENAI_COMPATIBLE: &str = "@ai-sdk/openai-compatible";

/// How the config describes a provider.
enum Described<'a> {
    /// OpenCode knows it; the config says what is offered of it.
    BuiltIn(&'a Descriptor),
    /// The config says all of it.
    Custom(&'a CustomProvider),
}

impl<'a> Described<'a> {
    /// A descriptor with a built-in runtime wins over a custom entry of the same id (05 §6.2).
    fn find(providers: &'a Providers, id: &str) -> Option<Self> {
        let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
        let custom = providers.custom.as_ref().and_then(|all| all.get(id));
        match (descriptor, custom) {
            (Some(descriptor), Some(_)) if is_built_in(descriptor) => {
                Some(Self::BuiltIn(descriptor))
            }
            (_, Some(custom)) => Some(Self::Custom(custom)),
            (Some(descriptor), None) => Some(Self::BuiltIn(descriptor)),
            (None, None) => None,
        }
    }

    fn default_model(&self) -> Option<&'a str> {
        match self {
            Self::BuiltIn(descriptor) => descriptor.default_model.as_deref(),
            Self::Custom(custom) => custom.default_model.as_deref(),
        }
    }

    fn small_model(&self) -> Option<&'a str> {
        match self {
            Self::BuiltIn(descriptor) => descriptor.small_model.as_deref(),
            Self::Custom(custom) => custom.small_model.as_deref(),
        }
        .filter(|model| !model.trim().is_empty())
    }
}

fn is_built_in(descriptor: &Descriptor) -> bool {
    descriptor.runtime == Some(ProviderRuntime::Builtin)
}

/// Whether the config's provider of this id is of the class that a managed policy may forbid.
fn is_custom(config: Option<&Config>, id: &str) -> bool {
    let described = config.and_then(|config| Described::find(&config.providers, id));
    matches!(described, Some(Described::Custom(_)))
}

/// Ids of the providers that OpenCode may use, by our spelling: those that the config offers and the managed
/// policy permits. An empty list is an error, never the whole list (05 §19.2).
pub(super) fn enabled(input: &ComposeInput, custom: bool) -> Result<Vec<String>, HostError> {
    let config = input.product.as_deref();
    let id = input.provider.id();
    let available = config.map_or(&[][..], |config| &config.providers.available);
    if available.is_empty() {
        return Ok(vec![id.to_owned()]);
    }
    let mut offered = Vec::new();
    for id in available {
        if !offered.contains(id) {
            offered.push(id.clone());
        }
    }
    if !available.iter().any(|listed| listed == id) {
        match &input.provider {
            // The user's own endpoint, or the demo's: the managed policy decides about this class.
            ProviderChoice::OpenAiCompatible { .. } => offered.push(id.to_owned()),
            _ => {
                return Err(HostError::Config(format!(
                    "the provider {id:?} is not offered here; choose one of {}",
                    available.join(", ")
                )));
            }
        }
    }
    let permitted = |listed: &String| {
        let custom = (listed == id && custom) || is_custom(config, listed);
        input.managed.check(listed, custom, &[]).is_ok()
    };
    let enabled: Vec<String> = offered.into_iter().filter(permitted).collect();
    match enabled.iter().any(|enabled| enabled == id) {
        true => Ok(enabled),
        // The caller has checked the chosen one, so this can't happen; if it does, nothing runs.
        false => Err(HostError::Config(format!(
            "no provider that is offered here is permitted, not even {id:?}"
        ))),
    }
}

/// A model of an agent as OpenCode names it: `provider/model` of an enabled provider, else a model of the chosen
/// one. What the managed policy forbids is an error here too (05 §19.2).
pub(super) fn name_model(
    input: &ComposeInput,
    enabled: &[String],
    agent: &str,
    model: &str,
) -> Result<String, HostError> {
    let named = model.split_once('/').and_then(|(provider, rest)| {
        let id = enabled
            .iter()
            .find(|id| id.as_str() == provider || runtime_id(id) == provider)?;
        Some((id.as_str(), rest))
    });
    let (id, bare) = named.unwrap_or((input.provider.id(), model));
    if bare.is_empty() || bare.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(HostError::Config(format!(
            "the model of the agent {agent:?} is not a model id; correct it in the configuration"
        )));
    }
    input
        .managed
        .check(id, is_custom(input.product.as_deref(), id), &[bare])?;
    Ok(format!("{}/{bare}", runtime_id(id)))
}

/// Entries under `provider`.
pub(super) struct Entries {
    /// By the runtime's id.
    pub(super) document: Map<String, Value>,
    /// Values of credentials in them.
    pub(super) secrets: Vec<SecretString>,
    /// Values that placeholders inserted: credentials, but also ordinary words.
    pub(super) inserted: Vec<SecretString>,
}

/// The chosen provider's entry first, then the config's own providers (05 §6.2), each under the managed policy's
/// list of models.
pub(super) fn entries(
    input: &ComposeInput,
    chosen: &Chosen,
    enabled: &[String],
) -> Result<Entries, HostError> {
    let choice = &input.provider;
    let models = [chosen.model.as_str(), chosen.small.as_str()];
    let mut entries = Entries {
        document: Map::new(),
        secrets: Vec::new(),
        inserted: Vec::new(),
    };
    if let Some(entry) = entry(choice, keys::bare(input, choice.id()), &models)? {
        entries
            .document
            .insert(choice.runtime_id().to_owned(), entry);
    }
    if let Some(config) = input.product.as_deref() {
        configured::entries(input, config, chosen, &mut entries)?;
    }
    keys::further(input, enabled, &mut entries);
    let managed = &input.managed;
    if managed.allowed_models.is_some() || !managed.denied_models.is_empty() {
        for id in enabled {
            let own: &[&str] = if id == choice.id() { &models } else { &[] };
            let entry = entries
                .document
                .entry(runtime_id(id))
                .or_insert_with(|| json!({}));
            restrict(entry, id, managed, own);
        }
    }
    Ok(entries)
}

/// Writes the managed policy's models into an entry, so that OpenCode itself offers no other.
fn restrict(entry: &mut Value, id: &str, managed: &ManagedPolicy, chosen: &[&str]) {
    let of_provider = |list: &[String]| -> Vec<String> {
        let bare = |model: &String| {
            let model = model.trim();
            let (prefix, rest) = model.split_once('/').unwrap_or(("", model));
            match prefix.eq_ignore_ascii_case(id) {
                true => rest.to_owned(),
                false => model.to_owned(),
            }
        };
        list.iter().map(bare).collect()
    };
    if let Some(models) = entry.get_mut("models").and_then(Value::as_object_mut) {
        let permitted: Map<String, Value> = std::mem::take(models)
            .into_iter()
            .filter(|(model, _)| managed.check(id, false, &[model]).is_ok())
            .collect();
        *models = permitted;
    }
    if let Some(allowed) = &managed.allowed_models {
        let mut allowed = of_provider(allowed);
        // The chosen ones have passed the check; the list may spell them in other letters.
        for model in chosen {
            if !allowed.iter().any(|listed| listed == model) {
                allowed.push((*model).to_owned());
            }
        }
        entry["whitelist"] = json!(allowed);
    }
    if !managed.denied_models.is_empty() {
        entry["blacklist"] = json!(of_provider(&managed.denied_models));
    }
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

/// The entry of a provider that no config describes, or `None` when OpenCode's own metadata say it all: a
/// name-only entry would shadow them (05 §6.2).
fn entry(
    choice: &ProviderChoice,
    api_key: Option<&SecretString>,
    chosen: &[&str],
) -> Result<Option<Value>, HostError> {
    let with_key = |mut options: Map<String, Value>| {
        if let Some(key) = api_key
            .map(ExposeSecret::expose_secret)
            .filter(|key| !key.trim().is_empty())
        {
            options.insert("apiKey".into(), json!(key.trim()));
        }
        options
    };
    match choice {
        ProviderChoice::Known { id, options } if id == "openrouter" => {
            let mut all =
                Map::from_iter([("baseURL".to_owned(), json!("https://openrouter.ai/api/v1"))]);
            all.extend(options.clone());
            let options = with_key(all);
            if !options.contains_key("apiKey") {
                return Err(HostError::Config(
                    "OpenRouter needs an API key; add it in the settings".into(),
                ));
            }
            let models: Map<String, Value> = chosen
                .iter()
                .map(|model| ((*model).to_owned(), json!({"name": model, "tools": true})))
                .collect();
            Ok(Some(json!({
                "name": "OpenRouter", "npm": OPENAI_COMPATIBLE, "options": options, "models": models,
            })))
        }
        // Described by the config, see [`configured`].
        ProviderChoice::Configured { .. } => Ok(None),
        ProviderChoice::Known { options, .. } => {
            let options = with_key(options.clone());
            Ok((!options.is_empty()).then(|| json!({ "options": options })))
        }
        ProviderChoice::OpenAiCompatible {
            name,
            base_url,
            models,
            ..
        } => {
            let options = with_key(Map::from_iter([("baseURL".to_owned(), json!(base_url))]));
            let mut entries: Map<String, Value> = models
                .iter()
                .map(|model| (model.id.clone(), model_entry(model)))
                .collect();
            for model in chosen {
                entries
                    .entry(*model)
                    .or_insert_with(|| json!({"name": model, "tool_call": true}));
            }
            Ok(Some(json!({
                "npm": OPENAI_COMPATIBLE, "name": name, "options": options, "models": entries,
            })))
        }
    }
}

fn model_entry(model: &ModelEntry) -> Value {
    let mut entry = Map::new();
    entry.insert(
        "name".into(),
        json!(model.name.as_deref().unwrap_or(&model.id)),
    );
    entry.insert("tool_call".into(), json!(true));
    if let Some(reasoning) = model.reasoning {
        entry.insert("reasoning".into(), json!(reasoning));
    }
    if let Some(limit) = model.limit {
        entry.insert(
            "limit".into(),
            json!({"context": limit.context, "output": limit.output}),
        );
    }
    if let Some(cost) = model.cost {
        let mut prices = Map::from_iter([
            ("input".to_owned(), json!(cost.input)),
            ("output".to_owned(), json!(cost.output)),
        ]);
        prices.extend(
            cost.cache_read
                .map(|price| ("cache_read".to_owned(), json!(price))),
        );
        prices.extend(
            cost.cache_write
                .map(|price| ("cache_write".to_owned(), json!(price))),
        );
        entry.insert("cost".into(), Value::Object(prices));
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_web_address() {
        for good in [
            "https://a.test/v1",
            "http://127.0.0.1:11434/v1",
            "http://[::1]:1/v1",
        ] {
            assert_eq!(check_base_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a.test",
            "file:///etc/passwd",
            "https://",
            "https://u:p@a.test",
            "https://a.test?k=1",
            "https://a b",
        ] {
            assert!(check_base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_about_an_endpoint_never_repeats_it() {
        let choice = ProviderChoice::OpenAiCompatible {
            id: "acme".into(),
            name: "Acme".into(),
            base_url: "https://user:hunter2@a.test".into(),
            models: vec![],
        };
        assert!(!choice.check().unwrap_err().to_string().contains("hunter2"));
        assert!(!format!("{choice:?}").contains("hunter2"));
    }

    #[test]
    fn openrouter_needs_a_key() {
        let choice = ProviderChoice::Known {
            id: "openrouter".into(),
            options: Map::new(),
        };
        assert!(entry(&choice, None, &["m"]).is_err());
        assert!(entry(&choice, Some(&"  ".into()), &["m"]).is_err());
    }
}
