//! Entries of the providers that a distribution's config describes (05 §6.2, 02 §4.4).

use super::super::handover::Handover;
use super::super::product;
use super::{Chosen, Described, Entries, OPENAI_COMPATIBLE, ProviderChoice, keys};
use crate::config::ComposeInput;
use crate::error::HostError;
use open_cowork_config::model::Config;
use open_cowork_config::model::credentials::Credential;
use open_cowork_config::model::providers::{
    CustomModel, CustomProvider, Descriptor, ModelCost, ModelLimit, Providers, RuntimeActivation,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Adds the chosen provider's entry if the config describes it, and all of the config's own providers, unless
/// the managed policy forbids their class.
pub(super) fn entries(
    input: &ComposeInput,
    config: &Config,
    chosen: &Chosen,
    entries: &mut Entries,
) -> Result<(), HostError> {
    let providers = &config.providers;
    let is_chosen =
        |id: &str| matches!(&input.provider, ProviderChoice::Configured { id: own } if own == id);
    let id = input.provider.id();
    if let (true, Some(Described::BuiltIn(descriptor))) =
        (is_chosen(id), Described::find(providers, id))
        && let Some(entry) = built_in(input, providers, id, descriptor, chosen, entries)?
    {
        let runtime_id = input.provider.runtime_id().to_owned();
        entries.document.insert(runtime_id, entry);
    }
    let declared: BTreeSet<String> = all_credentials(providers)
        .filter_map(|credential| credential.env.clone())
        .collect();
    let handover = Handover {
        allowed: &config.allowed_env_placeholders,
        declared: &declared,
        variables: &input.variables,
        files: &input.files,
    };
    for (id, custom) in providers.custom.iter().flatten() {
        let described = Described::find(providers, id);
        if !matches!(described, Some(Described::Custom(_)))
            || input.managed.check(id, true, &[]).is_err()
            // The user's own endpoint has taken this id.
            || entries.document.contains_key(super::runtime_id(id))
        {
            continue;
        }
        let models: &[&str] = match is_chosen(id) {
            true => &[&chosen.model, &chosen.small],
            false => &[],
        };
        let mut entry = custom_entry(input, providers, (id, custom), models, &handover, entries);
        // A key that no declared field takes goes over what the config says, as with built-in providers.
        if let Some(key) = keys::bare(input, id) {
            entry["options"]["apiKey"] = json!(key.expose_secret().trim());
        }
        entries
            .document
            .insert(super::runtime_id(id).to_owned(), entry);
    }
    Ok(())
}

fn all_credentials(providers: &Providers) -> impl Iterator<Item = &Credential> {
    let descriptors = providers.descriptors.iter().flatten();
    let custom = providers.custom.iter().flatten();
    descriptors
        .flat_map(|(_, descriptor)| &descriptor.credentials)
        .chain(custom.flat_map(|(_, custom)| custom.credentials.iter().flatten()))
}

/// Stored values of declared credentials under the names that the runtime knows; blank ones are absent.
pub(super) fn overlay(
    options: &mut Map<String, Value>,
    credentials: &[Credential],
    stored: &BTreeMap<String, SecretString>,
    secrets: &mut Vec<SecretString>,
) {
    for credential in credentials {
        let value = stored.get(&credential.key);
        let Some(value) = value.map(|value| value.expose_secret().trim()) else {
            continue;
        };
        if !value.is_empty() {
            let name = credential.runtime_key.as_ref().unwrap_or(&credential.key);
            options.insert(name.clone(), json!(value));
            if credential.secret != Some(false) {
                secrets.push(value.to_owned().into());
            }
        }
    }
}

/// A provider that OpenCode knows: options, the models that the config adds, or nothing at all, so that
/// OpenCode's own metadata stay.
fn built_in(
    input: &ComposeInput,
    providers: &Providers,
    id: &str,
    descriptor: &Descriptor,
    chosen: &Chosen,
    entries: &mut Entries,
) -> Result<Option<Value>, HostError> {
    let mut options = product::options(descriptor.options.as_ref());
    let stored = keys::stored(input, id);
    overlay(
        &mut options,
        &descriptor.credentials,
        &stored,
        &mut entries.secrets,
    );
    if let Some(key) = keys::bare(input, id) {
        options.insert("apiKey".into(), json!(key.expose_secret().trim()));
    }
    if id == "openrouter" {
        let chosen = [chosen.model.as_str(), chosen.small.as_str()];
        return openrouter(Some(descriptor), options, &chosen).map(Some);
    }
    let models = built_in_models(providers, id, descriptor);
    let nothing = options.is_empty() && models.is_empty() && descriptor.dynamic_catalog.is_none();
    if nothing && descriptor.runtime_activation != Some(RuntimeActivation::Config) {
        return Ok(None);
    }
    let mut entry = Map::from_iter([("name".to_owned(), json!(descriptor.name))]);
    if !options.is_empty() {
        entry.insert("options".into(), Value::Object(options));
    }
    if !models.is_empty() {
        entry.insert("models".into(), Value::Object(models));
    }
    Ok(Some(Value::Object(entry)))
}

/// The models that the config adds to those that OpenCode knows of the provider.
pub(super) fn built_in_models(
    providers: &Providers,
    id: &str,
    descriptor: &Descriptor,
) -> Map<String, Value> {
    let models = descriptor.models.iter().map(|model| {
        let mut entry = Map::from_iter([
            ("id".to_owned(), json!(model.id)),
            ("name".to_owned(), json!(model.name)),
        ]);
        let (limit, cost) = known(providers, id, &model.id);
        facts(
            &mut entry,
            model.limit.as_ref().or(limit),
            model.cost.as_ref().or(cost),
        );
        (model.id.clone(), Value::Object(entry))
    });
    models.collect()
}

/// OpenRouter runs as a plain endpoint with the chosen and the featured models (05 §6.2).
pub(super) fn openrouter(
    descriptor: Option<&Descriptor>,
    given: Map<String, Value>,
    chosen: &[&str],
) -> Result<Value, HostError> {
    let mut options =
        Map::from_iter([("baseURL".to_owned(), json!("https://openrouter.ai/api/v1"))]);
    options.extend(given);
    if !options.contains_key("apiKey") {
        return Err(HostError::Config(
            "OpenRouter needs an API key; add it in the settings".into(),
        ));
    }
    let featured = descriptor
        .iter()
        .flat_map(|descriptor| &descriptor.models)
        .filter(|model| model.featured == Some(true))
        .map(|model| model.id.trim().trim_start_matches("openrouter/"));
    let models: Map<String, Value> = chosen
        .iter()
        .copied()
        .chain(featured)
        .filter(|model| !model.is_empty())
        .map(|model| (model.to_owned(), json!({"name": model, "tools": true})))
        .collect();
    Ok(json!({
        "name": "OpenRouter", "npm": OPENAI_COMPATIBLE, "options": options, "models": models,
    }))
}

/// A provider that the config describes in full.
fn custom_entry(
    input: &ComposeInput,
    providers: &Providers,
    (id, custom): (&str, &CustomProvider),
    chosen: &[&str],
    handover: &Handover<'_>,
    entries: &mut Entries,
) -> Value {
    let stored = &keys::stored(input, id);
    let credentials = custom.credentials.as_deref().unwrap_or_default();
    let mut options = Value::Object(product::options(custom.options.as_ref()));
    entries
        .inserted
        .extend(handover.resolve(&mut options, credentials, stored));
    let secret = credentials
        .iter()
        .filter(|credential| credential.secret != Some(false));
    let stored_secrets = secret.filter_map(|credential| stored.get(&credential.key));
    entries.secrets.extend(stored_secrets.cloned());
    if let Some(options) = options.as_object_mut() {
        // One that names a variable is used where the options name that variable; any other is an option itself.
        let direct: Vec<Credential> = credentials
            .iter()
            .filter(|credential| credential.env.is_none())
            .cloned()
            .collect();
        overlay(options, &direct, stored, &mut entries.secrets);
        options.retain(|_, value| value.as_str() != Some(""));
    }
    let mut models: Map<String, Value> = custom
        .models
        .iter()
        .map(|(model, about)| (model.clone(), custom_model(providers, id, model, about)))
        .collect();
    for model in chosen {
        if !models.contains_key(*model) {
            let entry = custom_model(providers, id, model, &CustomModel::default());
            models.insert((*model).to_owned(), entry);
        }
    }
    json!({"npm": custom.npm, "name": custom.name, "options": options, "models": models})
}

fn custom_model(providers: &Providers, id: &str, model: &str, about: &CustomModel) -> Value {
    let name = about.name.as_deref().unwrap_or(model);
    let mut entry = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("tool_call".to_owned(), json!(true)),
    ]);
    let (limit, cost) = known(providers, id, model);
    facts(
        &mut entry,
        about.limit.as_ref().or(limit),
        about.cost.as_ref().or(cost),
    );
    if let Some(options) = &about.options {
        let mut given = product::options(Some(&options.others));
        if let Some(max) = options.max_output_tokens {
            given.insert("maxOutputTokens".into(), json!(max.get()));
        }
        entry.insert("options".into(), Value::Object(given));
    }
    Value::Object(entry)
}

/// `modelInfo` by `provider/model`, by the id, by the id's last part (02 §4.4).
fn known<'a>(
    providers: &'a Providers,
    id: &str,
    model: &str,
) -> (Option<&'a ModelLimit>, Option<&'a ModelCost>) {
    let qualified = format!("{id}/{model}");
    let last = model.rsplit('/').next().unwrap_or(model);
    let info = providers.model_info.as_ref().and_then(|info| {
        [qualified.as_str(), model, last]
            .into_iter()
            .find_map(|key| info.get(key))
    });
    (
        info.and_then(|info| info.limit.as_ref()),
        info.and_then(|info| info.cost.as_ref()),
    )
}

/// Limits and prices. OpenCode refuses its whole config over half of either, so halves are left out.
fn facts(entry: &mut Map<String, Value>, limit: Option<&ModelLimit>, cost: Option<&ModelCost>) {
    if let Some(ModelLimit {
        context: Some(context),
        output: Some(output),
    }) = limit
    {
        entry.insert(
            "limit".into(),
            json!({"context": context.get(), "output": output.get()}),
        );
    }
    if let Some(cost) = cost
        && let (Some(input), Some(output)) = (cost.input, cost.output)
    {
        let mut prices = Map::from_iter([
            ("input".to_owned(), json!(input)),
            ("output".to_owned(), json!(output)),
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
}
