//! Asks model providers whether a key works (04 §7.2, §13.6): one request that costs nothing, with a deadline, to the
//! address that OpenCode would use, and to no other. A key is in the header of that request and nowhere else: not in an
//! address, a log, an error or `Debug`.
//!
//! The client is the blocking one of the `oidc` feature, for its reason (docs/decisions/0006).

use async_trait::async_trait;
use open_cowork_providers::byok::{KeyValidator, KeyVerdict};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use url::{Host, Url};

/// One call, all of it.
const DEADLINE: Duration = Duration::from_secs(5);
/// More of an answer is not read: only a refusal's code is looked at.
const MOST_BYTES: u64 = 64 * 1024;
/// The version of Anthropic's interface that the request is written for.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// How a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `GET <base>/models` with a bearer token, as OpenAI and most others have it.
    OpenAi,
    /// `GET <base>/models` with `x-api-key`.
    Anthropic,
    /// `GET <base>/key` with a bearer token: its models are public.
    OpenRouter,
}

/// Where a provider is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    style: Style,
    base: Url,
}

/// An address that no key is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "The address of a provider must begin with https:// or http://, name a host, and hold no user, password, query or \
     fragment."
)]
pub struct EndpointError;

impl Endpoint {
    /// An endpoint at this address, up to and including `/v1`.
    ///
    /// # Errors
    /// [`EndpointError`], which never repeats the address.
    pub fn new(style: Style, base_url: &str) -> Result<Self, EndpointError> {
        let base = Url::parse(base_url.trim()).map_err(|_| EndpointError)?;
        let plain = matches!(base.scheme(), "https" | "http")
            && base.host().is_some()
            && base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        match plain {
            true => Ok(Endpoint { style, base }),
            false => Err(EndpointError),
        }
    }

    fn address(&self) -> String {
        let path = match self.style {
            Style::OpenAi | Style::Anthropic => "models",
            Style::OpenRouter => "key",
        };
        format!("{}/{path}", self.base.as_str().trim_end_matches('/'))
    }

    fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            None => false,
        }
    }
}

/// Knows OpenAI, Anthropic and OpenRouter, and what it is told besides.
#[derive(Clone, Debug)]
pub struct ProviderKeys {
    endpoints: BTreeMap<String, Endpoint>,
    outside: ureq::Agent,
    loopback: ureq::Agent,
}

impl Default for ProviderKeys {
    fn default() -> Self {
        let known = [
            ("openai", Style::OpenAi, "https://api.openai.com/v1"),
            (
                "anthropic",
                Style::Anthropic,
                "https://api.anthropic.com/v1",
            ),
            (
                "openrouter",
                Style::OpenRouter,
                "https://openrouter.ai/api/v1",
            ),
        ];
        let known = known.into_iter().filter_map(|(id, style, base)| {
            Some((id.to_owned(), Endpoint::new(style, base).ok()?))
        });
        let config = || {
            ureq::Agent::config_builder()
                .timeout_global(Some(DEADLINE))
                // A redirect would carry the key to a place that nobody named.
                .max_redirects(0)
                .http_status_as_error(false)
                .max_idle_connections(0)
        };
        let roots = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        ProviderKeys {
            endpoints: known.collect(),
            outside: config().tls_config(roots).build().into(),
            loopback: config().proxy(None).build().into(),
        }
    }
}

impl ProviderKeys {
    /// The same with this provider, instead of what was known of it.
    #[must_use]
    pub fn with(mut self, provider: impl Into<String>, endpoint: Endpoint) -> Self {
        self.endpoints.insert(provider.into(), endpoint);
        self
    }
}

#[async_trait]
impl KeyValidator for ProviderKeys {
    fn knows(&self, provider: &str) -> bool {
        self.endpoints.contains_key(provider)
    }

    async fn validate(&self, provider: &str, key: &SecretString) -> KeyVerdict {
        let Some(endpoint) = self.endpoints.get(provider).cloned() else {
            return KeyVerdict::Unknown;
        };
        let agent = match endpoint.is_loopback() {
            true => self.loopback.clone(),
            false => self.outside.clone(),
        };
        let key = key.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&agent, &endpoint, &key));
        asked.await.unwrap_or(KeyVerdict::Unknown)
    }
}

fn ask(agent: &ureq::Agent, endpoint: &Endpoint, key: &SecretString) -> KeyVerdict {
    let key = key.expose_secret();
    let request = agent
        .get(endpoint.address())
        .header("accept", "application/json");
    let request = match endpoint.style {
        Style::OpenAi | Style::OpenRouter => {
            request.header("authorization", format!("Bearer {key}"))
        }
        Style::Anthropic => request
            .header("x-api-key", key)
            .header("anthropic-version", ANTHROPIC_VERSION),
    };
    let Ok(mut response) = request.call() else {
        return KeyVerdict::Unknown;
    };
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(MOST_BYTES)
        .read_to_vec();
    let body: Value = body
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    verdict(status, &body)
}

/// What an answer says of the key. Whatever isn't about the key (too many requests, a redirect, no such route, a failure
/// of the provider) says nothing. The provider's words are not repeated: some quote the key.
fn verdict(status: u16, body: &Value) -> KeyVerdict {
    match status {
        200..=299 => KeyVerdict::Valid,
        401 if says_expired(body) => KeyVerdict::Expired,
        401 => KeyVerdict::Invalid(
            "The provider doesn't know this key; check that it was copied whole.".to_owned(),
        ),
        403 => KeyVerdict::Invalid(
            "The provider refuses this key; if it may only not list models, put it in force with an override."
                .to_owned(),
        ),
        _ => KeyVerdict::Unknown,
    }
}

fn says_expired(body: &Value) -> bool {
    let error = body.get("error").unwrap_or(body);
    ["code", "type"].iter().any(|name| {
        let word = error.get(name).and_then(Value::as_str);
        word.is_some_and(|word| word.contains("expired"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_about_the_key_is_a_verdict() {
        assert_eq!(verdict(200, &Value::Null), KeyVerdict::Valid);
        for body in [
            json!({"error": {"code": "key_expired"}}),
            json!({"type": "token_expired"}),
        ] {
            assert_eq!(verdict(401, &body), KeyVerdict::Expired);
        }
        for refused in [401, 403] {
            let body = json!({"error": {"message": "Incorrect key provided: sk-canary"}});
            let KeyVerdict::Invalid(reason) = verdict(refused, &body) else {
                panic!("{refused}");
            };
            assert!(!reason.contains("canary"));
        }
        for other in [301, 302, 307, 400, 402, 404, 405, 408, 429, 500, 502, 503] {
            assert_eq!(verdict(other, &Value::Null), KeyVerdict::Unknown, "{other}");
        }
    }

    #[test]
    fn a_key_is_sent_to_plain_addresses_only() {
        for fine in [
            "https://a.test/v1",
            "http://127.0.0.1:11434/v1/",
            "http://10.0.0.7/v1",
        ] {
            assert!(Endpoint::new(Style::OpenAi, fine).is_ok(), "{fine}");
        }
        for refused in [
            "",
            "a.test",
            "ftp://a.test",
            "file:///etc/passwd",
            "https://u:canary@a.test",
            "https://a.test/v1?key=canary",
            "https://a.test#canary",
            "https://{env:HOST}/v1",
        ] {
            let error = Endpoint::new(Style::OpenAi, refused).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{refused}");
        }
    }

    #[test]
    fn slashes_at_the_end_of_an_address_change_nothing() {
        let address = |style, base| Endpoint::new(style, base).unwrap().address();
        assert_eq!(
            address(Style::OpenAi, "https://a.test/v1/"),
            "https://a.test/v1/models"
        );
        assert_eq!(
            address(Style::OpenRouter, "https://a.test"),
            "https://a.test/key"
        );
    }
}
