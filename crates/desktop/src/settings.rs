//! Provider settings: a JSON file without secrets, and the key in a file of its own with mode 0600.

use crate::data::{is_exposed, write_private};
use crate::error::DesktopError;
use crate::offer::Offer;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The chosen provider and model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderSettings {
    /// `openai`, `anthropic`, …, or `custom`.
    pub provider: String,
    /// Endpoint of `custom`, up to and including `/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Model id at the provider.
    pub model: String,
}

/// A provider that can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct KnownProvider {
    /// Id in the settings and in OpenCode's catalogue.
    pub id: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// How its API is called for a connection test.
    pub api: Api,
    /// Address up to and including the version; empty for `custom`.
    pub base_url: &'static str,
}

/// Kind of a provider's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Chat completions with a bearer token.
    OpenAi,
    /// Messages with `x-api-key`.
    Anthropic,
    /// `generateContent` with `x-goog-api-key`.
    Google,
}

/// The providers of the settings page. OpenCode's catalogue has many more; `custom` takes any endpoint that
/// speaks OpenAI's chat completions.
pub const PROVIDERS: &[KnownProvider] = &[
    KnownProvider {
        id: "anthropic",
        name: "Anthropic",
        api: Api::Anthropic,
        base_url: "https://api.anthropic.com/v1",
    },
    KnownProvider {
        id: "openai",
        name: "OpenAI",
        api: Api::OpenAi,
        base_url: "https://api.openai.com/v1",
    },
    KnownProvider {
        id: "google",
        name: "Google Gemini",
        api: Api::Google,
        base_url: "https://generativelanguage.googleapis.com/v1beta",
    },
    KnownProvider {
        id: "openrouter",
        name: "OpenRouter",
        api: Api::OpenAi,
        base_url: "https://openrouter.ai/api/v1",
    },
    KnownProvider {
        id: "mistral",
        name: "Mistral",
        api: Api::OpenAi,
        base_url: "https://api.mistral.ai/v1",
    },
    KnownProvider {
        id: "groq",
        name: "Groq",
        api: Api::OpenAi,
        base_url: "https://api.groq.com/openai/v1",
    },
    KnownProvider {
        id: "xai",
        name: "xAI",
        api: Api::OpenAi,
        base_url: "https://api.x.ai/v1",
    },
    KnownProvider {
        id: "deepseek",
        name: "DeepSeek",
        api: Api::OpenAi,
        base_url: "https://api.deepseek.com/v1",
    },
    KnownProvider {
        id: "custom",
        name: "Other (OpenAI-compatible endpoint)",
        api: Api::OpenAi,
        base_url: "",
    },
];

impl ProviderSettings {
    /// Refuses what can't work with the providers that are offered, with one sentence per problem.
    pub fn check(&self, offer: &Offer) -> Result<(), DesktopError> {
        let invalid = |message: String| Err(DesktopError::InvalidSetting(message));
        let Some(provider) = offer.find(&self.provider) else {
            let known: Vec<&str> = offer
                .providers()
                .iter()
                .map(|provider| provider.id.as_str())
                .collect();
            return invalid(format!(
                "the provider {:?} is not known; choose one of {}",
                self.provider,
                known.join(", ")
            ));
        };
        let model = self.model.trim();
        if model.is_empty() {
            return invalid(format!(
                "a model id is needed, as {} names it",
                provider.name
            ));
        }
        if model.len() > MAX_FIELD || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return invalid(format!(
                "a model id is one short word, as {} names it",
                provider.name
            ));
        }
        match self
            .base_url
            .as_deref()
            .map(str::trim)
            .filter(|url| !url.is_empty())
        {
            None if provider.needs_address => {
                invalid("an endpoint is needed, such as https://models.example.com/v1".to_owned())
            }
            None => Ok(()),
            Some(url) => check_endpoint(url),
        }
    }

    /// Address for calls.
    pub fn endpoint(&self, offer: &Offer) -> String {
        let known = offer
            .find(&self.provider)
            .map_or("", |provider| provider.base_url.as_str());
        let chosen = self
            .base_url
            .as_deref()
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .unwrap_or(known);
        chosen.trim_end_matches('/').to_owned()
    }
}

/// Longest endpoint and model id, bytes.
const MAX_FIELD: usize = 2048;
/// Longest key, bytes.
const MAX_KEY: usize = 16 * 1024;

/// No message repeats what stands before an `@` or behind a `?`: people paste keys into the wrong field.
fn check_endpoint(url: &str) -> Result<(), DesktopError> {
    let invalid = |message: String| Err(DesktopError::InvalidSetting(message));
    if url.contains('@') {
        return invalid(
            "the endpoint must not hold a user name or key; the key has its own field".to_owned(),
        );
    }
    if url.contains(['?', '#']) {
        return invalid(
            "the endpoint ends with its path, such as /v1; leave out what follows ? or #"
                .to_owned(),
        );
    }
    let host = url
        .parse::<axum::http::Uri>()
        .ok()
        .and_then(|uri| Some(uri.host()?.to_owned()));
    let is_address =
        url.len() <= MAX_FIELD && host.is_some_and(|host| !host.is_empty()) && url.contains("://");
    if !is_address {
        return invalid(
            "the endpoint is not an address; write one such as https://models.example.com/v1"
                .to_owned(),
        );
    }
    if !url.starts_with("https://") && !is_loopback(url) {
        return invalid(format!(
            "the endpoint {url} must begin with https:// (http:// only on this machine)"
        ));
    }
    Ok(())
}

fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host == "::1"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Settings and key on disk.
#[derive(Clone, Debug)]
pub struct SettingsStore {
    file: PathBuf,
    keys: PathBuf,
    offer: Arc<Offer>,
}

impl SettingsStore {
    /// The settings of a data folder, for these providers.
    pub fn new(data_dir: &Path, offer: Offer) -> Self {
        SettingsStore {
            file: data_dir.join("settings.json"),
            keys: data_dir.join("keys"),
            offer: Arc::new(offer),
        }
    }

    /// The providers that can be chosen.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where the settings are.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The stored settings; `None` before the first save.
    pub fn load(&self) -> Result<Option<ProviderSettings>, DesktopError> {
        let damaged = |reason: String| DesktopError::Settings {
            path: self.file.clone(),
            reason,
        };
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let settings: ProviderSettings =
            serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(settings))
    }

    /// Saves settings and, when one is given, the key.
    pub fn save(
        &self,
        settings: &ProviderSettings,
        key: Option<&SecretString>,
    ) -> Result<(), DesktopError> {
        settings.check(&self.offer)?;
        let write = |path: &Path, content: &[u8]| {
            write_private(path, content).map_err(|error| DesktopError::data(path, &error))
        };
        if let Some(key) = key {
            let key = key.expose_secret().trim();
            // It becomes an HTTP header; anything else was pasted with something around it.
            if key.is_empty()
                || key.len() > MAX_KEY
                || !key.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(DesktopError::InvalidSetting(
                    "the key must be one line of letters, digits and signs without spaces; copy it again".to_owned(),
                ));
            }
            std::fs::create_dir_all(&self.keys)
                .map_err(|error| DesktopError::data(&self.keys, &error))?;
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&self.keys, private)
                .map_err(|error| DesktopError::data(&self.keys, &error))?;
            write(&self.key_file(&settings.provider), key.as_bytes())?;
        }
        let mut text =
            serde_json::to_string_pretty(settings).map_err(|error| DesktopError::Settings {
                path: self.file.clone(),
                reason: error.to_string(),
            })?;
        text.push('\n');
        write(&self.file, text.as_bytes())
    }

    /// The key of a provider, if one is stored.
    pub fn key(&self, provider: &str) -> Result<Option<SecretString>, DesktopError> {
        let path = self.key_file(provider);
        if is_exposed(&path) {
            return Err(DesktopError::KeyExposed { path });
        }
        match std::fs::read_to_string(&path) {
            Ok(key) => Ok(Some(key.trim().to_owned())
                .filter(|key| !key.is_empty())
                .map(SecretString::from)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DesktopError::data(&path, &error)),
        }
    }

    /// The values of all stored keys, for whoever must never let one through.
    pub(crate) fn all_keys(&self) -> Result<Vec<String>, DesktopError> {
        let keys = self.offer.providers().iter();
        let keys = keys.map(|provider| self.key(&provider.id));
        let keys: Vec<Option<SecretString>> = keys.collect::<Result<_, _>>()?;
        Ok(keys
            .into_iter()
            .flatten()
            .map(|key| key.expose_secret().to_owned())
            .collect())
    }

    fn key_file(&self, provider: &str) -> PathBuf {
        // Ids are from the list that is offered, and are plain there: no path can be smuggled in.
        let id = self
            .offer
            .find(provider)
            .map_or("unknown", |provider| provider.id.as_str());
        self.keys.join(format!("{id}.key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ProviderSettings {
        ProviderSettings {
            provider: "openai".into(),
            base_url: None,
            model: "m1".into(),
        }
    }

    #[test]
    fn the_key_is_in_a_private_file_and_never_in_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        let store = SettingsStore::new(dir.path(), Offer::default());
        store
            .save(&settings(), Some(&SecretString::from("sk-canary")))
            .unwrap();
        let text = std::fs::read_to_string(store.path()).unwrap();
        assert!(!text.contains("canary"));
        assert_eq!(store.load().unwrap().unwrap(), settings());
        assert_eq!(
            store.key("openai").unwrap().unwrap().expose_secret(),
            "sk-canary"
        );
        assert!(!is_exposed(&dir.path().join("keys/openai.key")));
        // A save without a key keeps it.
        store.save(&settings(), None).unwrap();
        assert!(store.key("openai").unwrap().is_some());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = SettingsStore::new(dir.path(), Offer::default());
        store
            .save(&settings(), Some(&SecretString::from("sk-canary")))
            .unwrap();
        let file = dir.path().join("keys/openai.key");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .unwrap();
        let error = store.key("openai").unwrap_err().to_string();
        assert!(
            error.contains("chmod 600") && !error.contains("canary"),
            "{error}"
        );
    }

    #[test]
    fn settings_that_cannot_work_say_what_is_wrong() {
        for (provider, url, model, word) in [
            ("nope", None, "m", "not known"),
            ("openai", None, " ", "model id"),
            ("custom", None, "m", "endpoint is needed"),
            (
                "custom",
                Some("http://models.example.com/v1"),
                "m",
                "https://",
            ),
            (
                "custom",
                Some("http://127.0.0.1.example.com/v1"),
                "m",
                "https://",
            ),
            (
                "custom",
                Some("https://user:pw@example.com/v1"),
                "m",
                "user name",
            ),
            (
                "custom",
                Some("http://127.0.0.1:80@example.com/v1"),
                "m",
                "user name",
            ),
            (
                "custom",
                Some("https://example.com/v1?key=pw@"),
                "m",
                "user name",
            ),
            (
                "custom",
                Some("https://example.com/v1?key=pw"),
                "m",
                "leave out",
            ),
            ("custom", Some("https://"), "m", "not an address"),
            (
                "custom",
                Some("https:// example.com"),
                "m",
                "not an address",
            ),
            ("custom", Some("localhost:8080"), "m", "not an address"),
            ("custom", Some("file:///etc/passwd"), "m", "not an address"),
            ("openai", Some("ftp://example.com/v1"), "m", "https://"),
            ("openai", None, "m\n1", "one short word"),
        ] {
            let settings = ProviderSettings {
                provider: provider.into(),
                base_url: url.map(Into::into),
                model: model.into(),
            };
            let error = settings.check(&Offer::default()).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("pw"), "{error}");
        }
        let local = ProviderSettings {
            provider: "custom".into(),
            base_url: Some("http://127.0.0.1:8080/v1/".into()),
            model: "m".into(),
        };
        local.check(&Offer::default()).unwrap();
        assert_eq!(
            local.endpoint(&Offer::default()),
            "http://127.0.0.1:8080/v1"
        );
    }

    #[test]
    fn a_key_that_is_no_header_is_refused_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = SettingsStore::new(dir.path(), Offer::default());
        for key in [
            "",
            "sk-canary\nX-Evil: 1",
            "sk canary",
            "sk-canary\u{2019}",
            &"k".repeat(MAX_KEY + 1),
        ] {
            let error = store
                .save(&settings(), Some(&SecretString::from(key)))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("one line") && !error.contains("canary"),
                "{error}"
            );
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_settings_file_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = SettingsStore::new(dir.path(), Offer::default());
        std::fs::write(store.path(), "{ \"provider\": ").unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(
            error.contains("settings.json") && error.contains("line 1"),
            "{error}"
        );
        assert_eq!(
            std::fs::read_to_string(store.path()).unwrap(),
            "{ \"provider\": "
        );
    }
}
