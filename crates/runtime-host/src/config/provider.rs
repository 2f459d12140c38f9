//! The provider entry of the config (05 §6.2, 08 §3.2).

use crate::error::HostError;
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
            Self::Known { id, .. } | Self::OpenAiCompatible { id, .. } => id,
        }
    }

    /// The id in OpenCode's config: `openrouter` is reserved there and runs as `or` (05 §6.2).
    #[must_use]
    pub fn runtime_id(&self) -> &str {
        match self.id() {
            "openrouter" => "or",
            id => id,
        }
    }

    pub(super) fn is_custom(&self) -> bool {
        matches!(self, Self::OpenAiCompatible { .. })
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

/// The entry under `provider`, or `None` when OpenCode's own metadata say it all: a name-only entry would
/// shadow them (05 §6.2).
pub(super) fn entry(
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
                "name": "OpenRouter", "npm": "@ai-sdk/openai-compatible", "options": options, "models": models,
            })))
        }
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
                "npm": "@ai-sdk/openai-compatible", "name": name, "options": options, "models": entries,
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
