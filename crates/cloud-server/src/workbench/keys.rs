//! Provider keys of an organisation, and which model answers (04 §7.2, 07 §13).

use super::workspace::{CloudWorkspace, refusal};
use crate::cloud::Cloud;
use crate::service::byok;
use open_cowork_config::model::Config;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::byok::{ByokSecret, ByokStatus};
use open_cowork_providers::secrets::SecretMode;
use open_cowork_workbench::{KeyRow, Settings, SettingsInput, WorkspaceError};
use secrecy::SecretString;

/// Providers that OpenCode knows by itself, offered when the configuration names none.
const KNOWN: [(&str, &str); 8] = [
    ("anthropic", "Anthropic"),
    ("openai", "OpenAI"),
    ("google", "Google"),
    ("openrouter", "OpenRouter"),
    ("mistral", "Mistral"),
    ("groq", "Groq"),
    ("xai", "xAI"),
    ("deepseek", "DeepSeek"),
];

/// Which model answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// `provider/model`, where it is known.
    pub(super) shown: Option<String>,
    /// Something answers at all.
    pub(super) configured: bool,
}

/// What the configuration and the organisation's keys come to.
pub(super) async fn model(cloud: &Cloud, tenant: &TenantId, config: &Config) -> Model {
    let keys = cloud.store.active_byoks(tenant).await;
    let keys: Vec<String> = keys
        .unwrap_or_default()
        .into_iter()
        .map(|key| key.secret.provider_id)
        .collect();
    let providers = &config.providers;
    let default = providers
        .default_provider
        .as_deref()
        .filter(|id| !id.trim().is_empty());
    let keyed = |id: &str| keys.iter().any(|known| known == id);
    let chosen = match default {
        Some(id) if keyed(id) || is_complete(config, id) => Some(id.to_owned()),
        _ => providers
            .available
            .iter()
            .find(|id| keyed(id))
            .or_else(|| keys.first().filter(|_| providers.available.is_empty()))
            .cloned(),
    };
    let model = providers
        .default_model
        .as_deref()
        .filter(|_| default.is_some() && default == chosen.as_deref());
    Model {
        configured: chosen.is_some(),
        shown: match (&chosen, model) {
            (Some(provider), Some(model)) => {
                Some(match model.starts_with(&format!("{provider}/")) {
                    true => model.to_owned(),
                    false => format!("{provider}/{model}"),
                })
            }
            _ => None,
        },
    }
}

/// Whether the configuration says all that a provider needs, so that no key has to be entered.
fn is_complete(config: &Config, id: &str) -> bool {
    let providers = &config.providers;
    let custom = providers.custom.as_ref().and_then(|all| all.get(id));
    let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
    let credentials = match (custom, descriptor) {
        (Some(custom), _) => custom.credentials.as_deref().unwrap_or_default(),
        (None, Some(descriptor)) => descriptor.credentials.as_slice(),
        (None, None) => return false,
    };
    !credentials
        .iter()
        .any(|field| field.secret == Some(true) && field.required == Some(true))
}

/// The providers that a key can be entered for: id and name.
fn offered(config: &Config) -> Vec<(String, String)> {
    let providers = &config.providers;
    if providers.available.is_empty() {
        return KNOWN
            .map(|(id, name)| (id.to_owned(), name.to_owned()))
            .to_vec();
    }
    let name = |id: &String| {
        let custom = providers.custom.as_ref().and_then(|all| all.get(id));
        let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
        let name = descriptor
            .map(|descriptor| &descriptor.name)
            .or_else(|| custom.map(|custom| &custom.name));
        (id.clone(), name.unwrap_or(id).clone())
    };
    providers.available.iter().map(name).collect()
}

/// What the page shows; who may not read keys sees none.
pub(super) async fn settings(workspace: &CloudWorkspace) -> Result<Settings, WorkspaceError> {
    workspace.may(CloudAction::ByokRead)?;
    let stored = byok::list(&workspace.cloud, &workspace.who.principal).await;
    let stored = stored.map_err(refusal)?;
    let providers = offered(&workspace.config);
    let name = |id: &str| {
        let known = providers.iter().find(|(known, _)| known == id);
        known.map_or(id, |(_, name)| name.as_str()).to_owned()
    };
    let keys: Vec<KeyRow> = stored
        .iter()
        .filter(|key| key.status != ByokStatus::Disabled)
        .map(|key| row(key, name(&key.provider_id)))
        .collect();
    Ok(Settings {
        provider: workspace
            .config
            .providers
            .default_provider
            .clone()
            .unwrap_or_default(),
        has_key: keys.iter().any(|key| key.active),
        key_storage: match workspace.cloud.secrets.mode() {
            SecretMode::EnvelopeV1 => {
                "It is kept encrypted, and used for everybody in this organisation."
            }
            SecretMode::Plaintext => "It is kept as it is: this server has no key to encrypt with.",
            SecretMode::Unavailable => {
                "Keys can't be kept here until this server has a SECRET_KEY."
            }
        }
        .to_owned(),
        providers,
        keys,
        ..Settings::default()
    })
}

fn row(secret: &ByokSecret, provider: String) -> KeyRow {
    KeyRow {
        provider,
        ending: secret.last4.clone(),
        active: secret.status == ByokStatus::Active,
        state: match secret.status {
            ByokStatus::Active => "In use",
            ByokStatus::PendingValidation => "Not checked yet",
            ByokStatus::Disabled => "Withdrawn",
            ByokStatus::Expired => "Has run out",
            ByokStatus::Invalid => "Refused by the provider",
            ByokStatus::Unsupported => "Can't be checked here",
        }
        .to_owned(),
    }
}

/// Stores a key, which is then in force for the whole organisation.
pub(super) async fn save(
    workspace: &CloudWorkspace,
    input: SettingsInput,
) -> Result<(), WorkspaceError> {
    workspace.may(CloudAction::ByokWrite)?;
    let known = offered(&workspace.config);
    if known.iter().all(|(id, _)| *id != input.provider) {
        return Err(WorkspaceError::Invalid(
            "That provider is not offered here; choose one of the list.".to_owned(),
        ));
    }
    let key = input.key.as_deref().map(str::trim);
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Err(WorkspaceError::Invalid(
            "Enter the provider's key.".to_owned(),
        ));
    };
    let principal = &workspace.who.principal;
    let key = SecretString::from(key);
    let kept = byok::set_and_validate(&workspace.cloud, principal, &input.provider, key).await;
    workspace.forget_model();
    let kept = kept.map_err(refusal)?;
    match kept.status {
        ByokStatus::Active => Ok(()),
        _ => Err(WorkspaceError::Invalid(match kept.validation_error {
            Some(why) => format!("The key is stored but not in use: {why}"),
            None => "The key is stored but not in use until it has been checked.".to_owned(),
        })),
    }
}
