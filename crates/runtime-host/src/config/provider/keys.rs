//! Where a provider's key goes, and the entries of providers that aren't chosen but have one (05 §18.2).

use super::super::product;
use super::{Described, Entries, configured, runtime_id};
use crate::config::ComposeInput;
use open_cowork_config::model::Config;
use open_cowork_config::model::credentials::Credential;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The field that takes a provider's key: the first secret one, else the first required one, else the first; `None`
/// when the config declares none (05 §18.2).
#[must_use]
pub fn key_field<'a>(config: &'a Config, id: &str) -> Option<&'a Credential> {
    let providers = &config.providers;
    let custom = providers.custom.as_ref().and_then(|all| all.get(id));
    let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
    let fields = custom
        .and_then(|custom| custom.credentials.as_deref())
        .or_else(|| descriptor.map(|descriptor| descriptor.credentials.as_slice()))?;
    fields
        .iter()
        .find(|field| field.secret == Some(true))
        .or_else(|| fields.iter().find(|field| field.required == Some(true)))
        .or_else(|| fields.first())
}

fn declared<'a>(input: &'a ComposeInput, id: &str) -> Option<&'a Credential> {
    let config = input.product.as_deref()?;
    key_field(config, id)
}

/// Stored credentials of a provider, the organisation's key among them where the config declares a field for it.
pub(super) fn stored(input: &ComposeInput, id: &str) -> BTreeMap<String, SecretString> {
    let mut stored = input.credentials.get(id).cloned().unwrap_or_default();
    if let (Some(key), Some(field)) = (input.keys.get(id), declared(input, id)) {
        stored.insert(field.key.clone(), key.clone());
    }
    stored
}

/// The key of a provider for which the config declares no field; a blank one is none.
pub(super) fn bare<'a>(input: &'a ComposeInput, id: &str) -> Option<&'a SecretString> {
    let chosen = input.api_key.as_ref();
    chosen
        .filter(|_| id == input.provider.id())
        .or_else(|| {
            let key = input.keys.get(id);
            key.filter(|_| declared(input, id).is_none())
        })
        .filter(|key| !key.expose_secret().trim().is_empty())
}

/// Entries of the providers that OpenCode knows and that have a key without being chosen: of the user's own there is
/// none such. Custom ones have theirs already.
pub(super) fn further(input: &ComposeInput, enabled: &[String], entries: &mut Entries) {
    let providers = input.product.as_deref().map(|config| &config.providers);
    for id in input.keys.keys() {
        if id == input.provider.id()
            || !enabled.contains(id)
            || entries.document.contains_key(runtime_id(id))
        {
            continue;
        }
        let descriptor = match providers.and_then(|providers| Described::find(providers, id)) {
            Some(Described::BuiltIn(descriptor)) => Some(descriptor),
            // The managed policy forbids it.
            Some(Described::Custom(_)) => continue,
            None => None,
        };
        let mut options =
            descriptor.map_or_else(Map::new, |found| product::options(found.options.as_ref()));
        if let Some(descriptor) = descriptor {
            let (stored, secrets) = (stored(input, id), &mut entries.secrets);
            configured::overlay(&mut options, &descriptor.credentials, &stored, secrets);
        }
        if let Some(key) = bare(input, id) {
            options.insert("apiKey".to_owned(), json!(key.expose_secret().trim()));
        }
        let entry = match id.as_str() {
            // Without a key it has no entry.
            "openrouter" => configured::openrouter(descriptor, options, &[]).ok(),
            _ => Some(built_in(input, id, options)),
        };
        if let Some(entry) = entry {
            entries.document.insert(runtime_id(id).to_owned(), entry);
        }
    }
}

fn built_in(input: &ComposeInput, id: &str, options: Map<String, Value>) -> Value {
    let mut entry = Map::from_iter([("options".to_owned(), Value::Object(options))]);
    let providers = input.product.as_deref().map(|config| &config.providers);
    if let Some(providers) = providers
        && let Some(Described::BuiltIn(descriptor)) = Described::find(providers, id)
    {
        entry.insert("name".to_owned(), json!(descriptor.name));
        let models = configured::built_in_models(providers, id, descriptor);
        if !models.is_empty() {
            entry.insert("models".to_owned(), Value::Object(models));
        }
    }
    Value::Object(entry)
}
