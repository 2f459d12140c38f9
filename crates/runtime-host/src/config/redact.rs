//! What of the composed document may be shown, and what in it is secret (05 §11.3).

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

/// Stands where a secret was.
const REDACTED: &str = "[redacted]";
/// Shorter values are no keys, and replacing them would tear words apart.
const SHORTEST: usize = 6;

/// Secret-looking option names.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    [
        "token",
        "secret",
        "password",
        "authorization",
        "header",
        "cookie",
        "apikey",
        "privatekey",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// The document as it may be shown: options without secret-looking names, objects that become empty dropped;
/// servers as kind and host; agents without options. Last, every known secret is looked for wherever it stands.
pub(super) fn redact(
    document: &Value,
    hosts: &[(String, Option<String>)],
    secrets: &[SecretString],
) -> Value {
    let mut document = document.clone();
    let entries = |document: &mut Value, key: &str| match document.get_mut(key) {
        Some(Value::Object(entries)) => std::mem::take(entries),
        _ => Map::new(),
    };
    let mut providers = entries(&mut document, "provider");
    for entry in providers.values_mut() {
        if let Some(options) = entry.get_mut("options") {
            *options = without_secrets(options).unwrap_or_else(|| json!({}));
        }
        for model in entry
            .get_mut("models")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(Map::values_mut)
        {
            if let Some(options) = model.get_mut("options") {
                *options = without_secrets(options).unwrap_or_else(|| json!({}));
            }
        }
    }
    put_back(&mut document, "provider", providers);
    let mut servers = entries(&mut document, "mcp");
    for (name, entry) in &mut servers {
        let mut shown = Map::from_iter([("type".to_owned(), entry["type"].clone())]);
        let host = hosts.iter().find(|(server, _)| server == name);
        if let Some((_, Some(host))) = host {
            shown.insert("host".to_owned(), json!(host));
        }
        *entry = Value::Object(shown);
    }
    put_back(&mut document, "mcp", servers);
    let mut agents = entries(&mut document, "agent");
    for entry in agents.values_mut() {
        if let Some(entry) = entry.as_object_mut() {
            entry.shift_remove("options");
        }
    }
    put_back(&mut document, "agent", agents);
    scrub(&mut document, secrets);
    document
}

/// Keeps the place of a key that was there.
fn put_back(document: &mut Value, key: &str, entries: Map<String, Value>) {
    if let Some(place) = document.get_mut(key) {
        *place = Value::Object(entries);
    }
}

fn without_secrets(value: &Value) -> Option<Value> {
    let Value::Object(object) = value else {
        return Some(value.clone());
    };
    let kept: Map<String, Value> = object
        .iter()
        .filter(|(name, _)| !is_secret_name(name))
        .filter_map(|(name, value)| Some((name.clone(), without_secrets(value)?)))
        .collect();
    (object.is_empty() || !kept.is_empty()).then_some(Value::Object(kept))
}

fn scrub(value: &mut Value, secrets: &[SecretString]) {
    match value {
        Value::String(text) => {
            for secret in secrets.iter().map(ExposeSecret::expose_secret) {
                if secret.len() >= SHORTEST && text.contains(secret) {
                    *text = text.replace(secret, REDACTED);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, secrets)),
        Value::Object(object) => object.values_mut().for_each(|item| scrub(item, secrets)),
        _ => {}
    }
}

/// Every string under a secret-looking name of the providers' options.
pub(super) fn secret_values(document: &Value) -> Vec<SecretString> {
    fn walk(value: &Value, secret: bool, found: &mut Vec<SecretString>) {
        match value {
            Value::String(text) if secret && !text.is_empty() => found.push(text.clone().into()),
            Value::Array(items) => items.iter().for_each(|item| walk(item, secret, found)),
            Value::Object(object) => {
                object
                    .iter()
                    .for_each(|(name, value)| walk(value, secret || is_secret_name(name), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Some(providers) = document.get("provider") {
        walk(providers, false, &mut found);
    }
    found
}
