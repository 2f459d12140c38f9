//! The connection test of the settings: one small real call to the provider.

use crate::settings::{Api, ProviderSettings, known_provider};
use open_cowork_workbench::ConnectionReport;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// The call must be answered within that.
const DEADLINE: Duration = Duration::from_secs(20);
/// More of an answer is not read.
const MAX_ANSWER: usize = 256 * 1024;

/// Asks the provider for one short answer of the chosen model.
pub async fn test(settings: &ProviderSettings, key: Option<&SecretString>) -> ConnectionReport {
    let report = |ok, message: String| ConnectionReport { ok, message };
    if let Err(error) = settings.check() {
        return report(false, format!("{error}."));
    }
    let provider = known_provider(&settings.provider);
    let name = provider.filter(|known| known.id != "custom").map_or("The endpoint", |known| known.name);
    let answer = match tokio::time::timeout(DEADLINE, call(settings, key)).await {
        Ok(answer) => answer,
        Err(_) => {
            return report(false, format!("{name} did not answer within {} seconds; check the address and your network.", DEADLINE.as_secs()));
        }
    };
    match answer {
        Ok((status, _)) if (200..300).contains(&status) => {
            report(true, format!("{name} answered with the model {}.", settings.model))
        }
        Ok((401 | 403, _)) if key.is_none() => report(false, format!("{name} wants a key; enter one.")),
        Ok((status @ (401 | 403), _)) => {
            report(false, format!("{name} refused the key (status {status}); check that it is complete and still valid."))
        }
        Ok((404, body)) => report(
            false,
            format!("{name} doesn't know the model {} or the address is wrong{}.", settings.model, hint(&body, key)),
        ),
        Ok((429, body)) => {
            report(false, format!("{name} says that the limit or the credit is used up{}.", hint(&body, key)))
        }
        Ok((status, body)) => report(false, format!("{name} answered with status {status}{}.", hint(&body, key))),
        Err(error) => report(false, format!("{name} can't be reached ({error}); check the address and your network.")),
    }
}

/// The provider's own words, shortened, without the key.
fn hint(body: &Value, key: Option<&SecretString>) -> String {
    let message = body.pointer("/error/message").or_else(|| body.get("message")).and_then(Value::as_str);
    let Some(message) = message.map(|message| message.lines().next().unwrap_or_default()) else {
        return String::new();
    };
    if key.is_some_and(|key| message.contains(key.expose_secret())) {
        return String::new();
    }
    let short: String = message.trim_end_matches('.').chars().take(160).collect();
    format!(": {short}")
}

async fn call(settings: &ProviderSettings, key: Option<&SecretString>) -> Result<(u16, Value), String> {
    // The provider of TLS is chosen once per process; a second choice is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = settings.endpoint();
    let api = known_provider(&settings.provider).map_or(Api::OpenAi, |known| known.api);
    let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    if endpoint.starts_with("http://") {
        client = client.no_proxy(); // loopback only, see the check of the settings
    }
    let client = client.build().map_err(|error| cause(&error))?;
    let model = settings.model.trim();
    let question = json!([{ "role": "user", "content": "Answer with the word ok." }]);
    let mut request = match api {
        Api::OpenAi => client
            .post(format!("{endpoint}/chat/completions"))
            .json(&json!({ "model": model, "messages": question, "max_tokens": 16 })),
        Api::Anthropic => client
            .post(format!("{endpoint}/messages"))
            .header("anthropic-version", "2023-06-01")
            .json(&json!({ "model": model, "messages": question, "max_tokens": 16 })),
        Api::Google => client
            .post(format!("{endpoint}/models/{}:generateContent", model.replace('/', "%2F")))
            .json(&json!({ "contents": [{ "parts": [{ "text": "Answer with the word ok." }] }] })),
    };
    if let Some(key) = key {
        let mut value = match api {
            Api::OpenAi => format!("Bearer {}", key.expose_secret()),
            _ => key.expose_secret().to_owned(),
        }
        .parse::<reqwest::header::HeaderValue>()
        .map_err(|_| "the key has characters that can't be sent".to_owned())?;
        value.set_sensitive(true);
        request = match api {
            Api::OpenAi => request.header("authorization", value),
            Api::Anthropic => request.header("x-api-key", value),
            Api::Google => request.header("x-goog-api-key", value),
        };
    }
    let mut response = request.send().await.map_err(|error| cause(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// The innermost reason, without the address (it is on the page already).
fn cause(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
