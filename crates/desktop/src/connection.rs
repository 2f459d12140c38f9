//! The connection test of the settings: one small real call to the provider.

use crate::offer::Offer;
use crate::settings::{Api, ProviderSettings};
use open_cowork_workbench::ConnectionReport;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// The call must be answered within that.
const DEADLINE: Duration = Duration::from_secs(20);
/// More of an answer is not read.
const MAX_ANSWER: u64 = 256 * 1024;

/// Asks the provider for one short answer of the chosen model.
pub async fn test(
    settings: &ProviderSettings,
    offer: &Offer,
    key: Option<&SecretString>,
) -> ConnectionReport {
    let report = |ok, message: String| ConnectionReport { ok, message };
    if let Err(error) = settings.check(offer) {
        return report(false, format!("{error}."));
    }
    let provider = offer.find(&settings.provider);
    let name = provider
        .filter(|offered| offered.id != "custom")
        .map_or("The endpoint", |offered| offered.name.as_str());
    if settings.endpoint(offer).is_empty() {
        return report(
            false,
            format!("{name} has no address that can be tested here; save, and ask something."),
        );
    }
    let answer = match tokio::time::timeout(DEADLINE, call(settings, offer, key)).await {
        Ok(answer) => answer,
        Err(_) => {
            return report(
                false,
                format!(
                    "{name} did not answer within {} seconds; check the address and your network.",
                    DEADLINE.as_secs()
                ),
            );
        }
    };
    match answer {
        Ok((status, _)) if (200..300).contains(&status) => report(
            true,
            format!("{name} answered with the model {}.", settings.model),
        ),
        Ok((401 | 403, _)) if key.is_none() => {
            report(false, format!("{name} wants a key; enter one."))
        }
        Ok((status @ (401 | 403), _)) => report(
            false,
            format!(
                "{name} refused the key (status {status}); check that it is complete and still valid."
            ),
        ),
        Ok((404, body)) => report(
            false,
            format!(
                "{name} doesn't know the model {} or the address is wrong{}.",
                settings.model,
                hint(&body, key)
            ),
        ),
        Ok((429, body)) => report(
            false,
            format!(
                "{name} says that the limit or the credit is used up{}.",
                hint(&body, key)
            ),
        ),
        Ok((status, body)) => report(
            false,
            format!("{name} answered with status {status}{}.", hint(&body, key)),
        ),
        Err(error) => report(
            false,
            format!("{name} can't be reached ({error}); check the address and your network."),
        ),
    }
}

/// The provider's own words, shortened, without the key.
fn hint(body: &Value, key: Option<&SecretString>) -> String {
    let message = body
        .pointer("/error/message")
        .or_else(|| body.get("message"))
        .and_then(Value::as_str);
    let Some(message) = message.map(|message| message.lines().next().unwrap_or_default()) else {
        return String::new();
    };
    if key.is_some_and(|key| message.contains(key.expose_secret())) {
        return String::new();
    }
    let short: String = message
        .trim_end_matches('.')
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    format!(": {short}")
}

async fn call(
    settings: &ProviderSettings,
    offer: &Offer,
    key: Option<&SecretString>,
) -> Result<(u16, Value), String> {
    let endpoint = settings.endpoint(offer);
    let api = offer
        .find(&settings.provider)
        .map_or(Api::OpenAi, |offered| offered.api);
    let (model, key) = (settings.model.trim().to_owned(), key.cloned());
    let called =
        tokio::task::spawn_blocking(move || blocking_call(&endpoint, api, &model, key.as_ref()))
            .await;
    called.map_err(|error| error.to_string())?
}

fn blocking_call(
    endpoint: &str,
    api: Api,
    model: &str,
    key: Option<&SecretString>,
) -> Result<(u16, Value), String> {
    let mut agent = ureq::Agent::config_builder()
        .timeout_global(Some(DEADLINE))
        .max_redirects(0)
        .http_status_as_error(false)
        .tls_config(
            ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .build(),
        );
    if endpoint.starts_with("http://") {
        agent = agent.proxy(None); // loopback only, see the check of the settings
    }
    let agent = ureq::Agent::new_with_config(agent.build());
    let question = json!([{ "role": "user", "content": "Answer with the word ok." }]);
    let (address, body) = match api {
        Api::OpenAi => (
            format!("{endpoint}/chat/completions"),
            json!({ "model": model, "messages": question, "max_tokens": 16 }),
        ),
        Api::Anthropic => (
            format!("{endpoint}/messages"),
            json!({ "model": model, "messages": question, "max_tokens": 16 }),
        ),
        Api::Google => (
            format!(
                "{endpoint}/models/{}:generateContent",
                model.replace('/', "%2F")
            ),
            json!({ "contents": [{ "parts": [{ "text": "Answer with the word ok." }] }] }),
        ),
    };
    let mut request = agent.post(&address);
    if api == Api::Anthropic {
        request = request.header("anthropic-version", "2023-06-01");
    }
    if let Some(key) = key {
        let (name, value) = match api {
            Api::OpenAi => ("authorization", format!("Bearer {}", key.expose_secret())),
            Api::Anthropic => ("x-api-key", key.expose_secret().to_owned()),
            Api::Google => ("x-goog-api-key", key.expose_secret().to_owned()),
        };
        request = request.header(name, value);
    }
    let mut response = request.send_json(&body).map_err(|error| in_words(&error))?;
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_vec()
        .unwrap_or_default();
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// What kept the call from being made, for people.
fn in_words(error: &ureq::Error) -> String {
    use std::io::ErrorKind;
    match error {
        ureq::Error::HostNotFound => "its name is not known here".to_owned(),
        ureq::Error::Timeout(_) => "it took too long".to_owned(),
        ureq::Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused => "nothing listens at that address".to_owned(),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
                "it closed the connection".to_owned()
            }
            _ => io.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_testkit::model::{Scenario, ScriptedModel};

    fn settings(model: &ScriptedModel) -> ProviderSettings {
        ProviderSettings {
            provider: "custom".into(),
            base_url: Some(model.base_url()),
            model: "fake-model".into(),
        }
    }

    #[tokio::test]
    async fn a_working_endpoint_is_called_for_real_and_a_wrong_key_is_named() {
        let scenario = Scenario::builtin().unwrap().requiring_key("sk-right");
        let model = ScriptedModel::start_with(scenario, 0).await.unwrap();
        let (right, wrong) = (
            SecretString::from("sk-right"),
            SecretString::from("sk-canary"),
        );
        let report = test(&settings(&model), &Offer::default(), Some(&right)).await;
        assert!(report.ok, "{}", report.message);
        assert_eq!(model.requests().len(), 1);
        let report = test(&settings(&model), &Offer::default(), Some(&wrong)).await;
        assert!(
            !report.ok && report.message.contains("refused the key"),
            "{}",
            report.message
        );
        assert!(!report.message.contains("canary"));
        let report = test(&settings(&model), &Offer::default(), None).await;
        assert!(
            !report.ok && report.message.contains("wants a key"),
            "{}",
            report.message
        );
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_there_is_named_with_the_way_out() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let settings = ProviderSettings {
            provider: "custom".into(),
            base_url: Some(format!("http://127.0.0.1:{port}/v1")),
            model: "m".into(),
        };
        let report = test(&settings, &Offer::default(), None).await;
        assert!(
            !report.ok && report.message.contains("check the address"),
            "{}",
            report.message
        );
    }
}
