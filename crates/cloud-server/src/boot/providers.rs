//! From what a process is told to whoever bills and whoever checks provider keys (04 §7.2, §8).

use crate::plans::Plans;
use crate::settings::Settings;
use open_cowork_adapters::provider_keys::{Endpoint, ProviderKeys, Style};
use open_cowork_config::model::Config;
use open_cowork_config::model::cloud::billing::BillingProvider;
use open_cowork_providers::billing::Billing;
use open_cowork_providers::byok::KeyValidator;
use open_cowork_providers::store::ControlPlane;
use std::sync::Arc;

/// Whoever bills, of those that this crate knows; `None`: nobody.
#[must_use]
pub fn billing(settings: &Settings, store: Arc<dyn ControlPlane>) -> Option<Arc<dyn Billing>> {
    let billing = settings.cloud.cloud.billing.as_ref()?;
    let bills = billing.enabled == Some(true) && billing.provider == Some(BillingProvider::Stub);
    bills.then(|| Arc::new(Plans::new(billing, store)) as _)
}

/// Asks providers whether keys work, at the addresses of the configuration; `None` when that is switched off.
#[must_use]
pub fn key_validator(settings: &Settings, config: &Config) -> Option<Arc<dyn KeyValidator>> {
    settings
        .keys
        .asks_providers
        .then(|| Arc::new(provider_keys(config)) as _)
}

/// The providers that can be asked: the well-known ones, and those whose package says how they speak and whose address
/// stands in the configuration in plain words. What placeholders make is known to workers only.
fn provider_keys(config: &Config) -> ProviderKeys {
    let providers = &config.providers;
    let mut keys = ProviderKeys::default();
    for (id, descriptor) in providers.descriptors.iter().flatten() {
        let style = match id.as_str() {
            "openai" => Style::OpenAi,
            "anthropic" => Style::Anthropic,
            "openrouter" => Style::OpenRouter,
            _ => continue,
        };
        let base = descriptor
            .options
            .as_ref()
            .and_then(|all| all.get("baseURL"));
        let base = base.and_then(|base| base.expose().as_str());
        if let Some(endpoint) = base.and_then(|base| Endpoint::new(style, base).ok()) {
            keys = keys.with(id, endpoint);
        }
    }
    for (id, custom) in providers.custom.iter().flatten() {
        let style = match custom.npm.trim() {
            "@ai-sdk/openai-compatible" | "@ai-sdk/openai" => Style::OpenAi,
            "@ai-sdk/anthropic" => Style::Anthropic,
            "@openrouter/ai-sdk-provider" => Style::OpenRouter,
            _ => continue,
        };
        let base = custom.options.as_ref().and_then(|all| all.get("baseURL"));
        let base = base.and_then(|base| base.expose().as_str());
        if let Some(endpoint) = base.and_then(|base| Endpoint::new(style, base).ok()) {
            keys = keys.with(id, endpoint);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{LayerKind, Sources, Surface};
    use open_cowork_store::{SqliteOptions, SqliteStore};
    use serde_json::json;

    fn loaded(document: &str) -> open_cowork_config::load::Loaded {
        let sources = Sources::new(Surface::Cloud);
        load(&sources.with(LayerKind::User, "test.json", document)).unwrap()
    }

    fn settings(document: &str, vars: &[(&str, &str)]) -> Settings {
        let vars = vars
            .iter()
            .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
        Settings::read(&loaded(document), &vars.collect()).unwrap()
    }

    #[test]
    fn providers_are_asked_where_the_configuration_says() {
        let custom = |npm: &str, base: &str| json!({"npm": npm, "name": "n", "models": {}, "options": {"baseURL": base}});
        let document = json!({ "allowedEnvPlaceholders": ["HOST"], "providers": { "custom": {
            "local": custom("@ai-sdk/openai-compatible", "http://127.0.0.1:9/v1"),
            "claude": custom("@ai-sdk/anthropic", "https://a.test/v1"),
            "made": custom("@ai-sdk/openai-compatible", "https://{env:HOST}/v1"),
            "strange": custom("@acme/sdk", "https://a.test/v1"),
        } } });
        let document = document.to_string();
        let validator =
            |vars| key_validator(&settings(&document, vars), loaded(&document).config());
        let asks = validator(&[]).unwrap();
        for known in ["openai", "anthropic", "openrouter", "local", "claude"] {
            assert!(asks.knows(known), "{known}");
        }
        for unknown in ["made", "strange", "azure"] {
            assert!(!asks.knows(unknown), "{unknown}");
        }
        assert!(validator(&[("BYOK_VALIDATION", "off")]).is_none());
    }

    #[tokio::test]
    async fn only_a_deployment_with_plans_bills() {
        let store = SqliteStore::in_memory(SqliteOptions::default())
            .await
            .unwrap();
        let store: Arc<dyn ControlPlane> = Arc::new(store);
        let bills = |vars: &[(&str, &str)]| billing(&settings("{}", vars), store.clone());
        assert!(bills(&[]).is_none());
        assert!(bills(&[("BILLING_PROVIDER", "stub")]).is_none());
        let on = [("BILLING_ENABLED", "true"), ("BILLING_PROVIDER", "stub")];
        let plans = bills(&on).unwrap();
        assert_eq!(plans.provider_id(), "stub");
        assert!(plans.plans().iter().any(|plan| plan.default));
    }
}
