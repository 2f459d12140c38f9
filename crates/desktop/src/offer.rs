//! Which providers the settings offer: those of the distribution's config when it names some, else our own list.

use crate::settings::{Api, PROVIDERS, ProviderSettings};
use open_cowork_config::model::Config;
use open_cowork_config::model::credentials::Credential;
use open_cowork_config::model::providers::Providers;

/// A provider that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Id in the settings.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// How its API is called for a connection test.
    pub api: Api,
    /// Address up to and including the version; empty when the user names it, or when the config's placeholders
    /// make it up later.
    pub base_url: String,
    /// The user must name an address.
    pub needs_address: bool,
}

/// What can be chosen, in the order of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    providers: Vec<Offered>,
    described: bool,
}

impl Default for Offer {
    /// Our own list: a product without a config of its own.
    fn default() -> Self {
        let providers = PROVIDERS.iter().map(|known| Offered {
            id: known.id.to_owned(),
            name: known.name.to_owned(),
            api: known.api,
            base_url: known.base_url.to_owned(),
            needs_address: known.base_url.is_empty(),
        });
        Self {
            providers: providers.collect(),
            described: false,
        }
    }
}

impl Offer {
    /// The offer of a config (02 §4.4: `available`, in its order).
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let providers = &config.providers;
        if providers.available.is_empty() {
            return Self::default();
        }
        // An id becomes the name of a key file; what can't be one can't be a provider either.
        let plain = |id: &&String| {
            !id.starts_with('.')
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        Self {
            providers: providers
                .available
                .iter()
                .filter(plain)
                .map(|id| offered(providers, id))
                .collect(),
            described: true,
        }
    }

    /// All of them.
    pub fn providers(&self) -> &[Offered] {
        &self.providers
    }

    /// The provider of that id.
    pub fn find(&self, id: &str) -> Option<&Offered> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// The config describes them, so that their entries come from there.
    pub fn is_described(&self) -> bool {
        self.described
    }
}

fn offered(providers: &Providers, id: &str) -> Offered {
    let known = PROVIDERS.iter().find(|known| known.id == id);
    let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
    let custom = providers.custom.as_ref().and_then(|all| all.get(id));
    let name = descriptor
        .map(|descriptor| &descriptor.name)
        .or_else(|| custom.map(|custom| &custom.name));
    let options = descriptor
        .and_then(|descriptor| descriptor.options.as_ref())
        .or_else(|| custom.and_then(|custom| custom.options.as_ref()));
    let address = options
        .and_then(|options| options.get("baseURL")?.expose().as_str())
        .filter(|address| !address.contains('{'));
    let api = match custom.map(|custom| custom.npm.as_str()) {
        Some("@ai-sdk/anthropic") => Api::Anthropic,
        Some("@ai-sdk/google") => Api::Google,
        Some(_) => Api::OpenAi,
        None => known.map_or(Api::OpenAi, |known| known.api),
    };
    Offered {
        id: id.to_owned(),
        name: name.map_or_else(|| id.to_owned(), Clone::clone),
        api,
        base_url: address
            .or_else(|| known.map(|known| known.base_url))
            .unwrap_or_default()
            .to_owned(),
        needs_address: false,
    }
}

/// The credential that the one key of the settings is: the first secret one, else the first required one, else
/// the first.
pub(crate) fn key_credential<'a>(config: &'a Config, id: &str) -> Option<&'a Credential> {
    let providers = &config.providers;
    let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
    let custom = providers.custom.as_ref().and_then(|all| all.get(id));
    let credentials = custom
        .and_then(|custom| custom.credentials.as_deref())
        .or_else(|| descriptor.map(|descriptor| descriptor.credentials.as_slice()))?;
    let first = |test: fn(&Credential) -> bool| credentials.iter().find(|found| test(found));
    first(|found| found.secret == Some(true))
        .or_else(|| first(|found| found.required == Some(true)))
        .or_else(|| credentials.first())
}

/// The config's default provider and model, if nothing has to be asked for: no credential of it is required.
pub(crate) fn default_provider(config: &Config) -> Option<ProviderSettings> {
    let providers = &config.providers;
    let id = providers.default_provider.as_ref()?;
    let descriptor = providers.descriptors.as_ref().and_then(|all| all.get(id));
    let custom = providers.custom.as_ref().and_then(|all| all.get(id));
    let credentials = custom
        .and_then(|custom| custom.credentials.as_deref())
        .or_else(|| descriptor.map(|descriptor| descriptor.credentials.as_slice()))
        .unwrap_or_default();
    let model = descriptor
        .and_then(|descriptor| descriptor.default_model.as_ref())
        .or_else(|| custom.and_then(|custom| custom.default_model.as_ref()))
        .or(providers.default_model.as_ref())?;
    credentials
        .iter()
        .all(|credential| credential.required == Some(false))
        .then(|| ProviderSettings {
            provider: id.clone(),
            base_url: None,
            model: model.clone(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::{defaults, merge};
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value)] // json!(…) is handed over
    fn config(providers: serde_json::Value) -> Config {
        let mut document = defaults::document();
        merge::merge(&mut document, &json!({ "providers": providers }));
        Config::from_value(&document).unwrap()
    }

    #[test]
    fn without_a_list_our_own_is_offered() {
        let offer = Offer::of(&config(json!({})));
        assert_eq!(offer, Offer::default());
        assert!(offer.find("custom").unwrap().needs_address && !offer.is_described());
    }

    #[test]
    fn a_list_of_the_config_replaces_ours_in_its_order() {
        let config = config(json!({
            "available": ["acme", "anthropic"],
            "descriptors": {"anthropic": {"name": "Claude", "description": "d", "credentials": [], "models": []}},
            "custom": {"acme": {"npm": "@ai-sdk/openai-compatible", "name": "Acme", "models": {},
                "options": {"baseURL": "https://models.acme.test/v1"},
                "credentials": [{"key": "region", "label": "l", "description": "d"},
                    {"key": "key", "secret": true, "label": "l", "description": "d"}]}},
        }));
        let offer = Offer::of(&config);
        let ids: Vec<(&str, &str)> = offer
            .providers()
            .iter()
            .map(|offered| (offered.id.as_str(), offered.name.as_str()))
            .collect();
        assert_eq!(ids, [("acme", "Acme"), ("anthropic", "Claude")]);
        assert_eq!(
            offer.find("acme").unwrap().base_url,
            "https://models.acme.test/v1"
        );
        assert_eq!(offer.find("anthropic").unwrap().api, Api::Anthropic);
        assert_eq!(key_credential(&config, "acme").unwrap().key, "key");
        assert!(offer.find("openai").is_none());
    }

    #[test]
    fn a_default_that_asks_for_nothing_needs_no_settings() {
        for (credentials, expected) in [
            (json!([]), true),
            (
                json!([{"key": "k", "label": "l", "description": "d", "required": false}]),
                true,
            ),
            (
                json!([{"key": "k", "label": "l", "description": "d"}]),
                false,
            ),
        ] {
            let config = config(json!({
                "available": ["acme"], "defaultProvider": "acme", "defaultModel": "acme/m",
                "custom": {"acme": {"npm": "@ai-sdk/openai-compatible", "name": "Acme", "models": {},
                    "credentials": credentials}},
            }));
            let default = default_provider(&config);
            assert_eq!(default.is_some(), expected);
            assert!(default.is_none_or(|found| found.model == "acme/m"));
        }
        assert_eq!(default_provider(&config(json!({}))), None);
    }
}
