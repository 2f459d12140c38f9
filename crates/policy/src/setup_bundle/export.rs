//! From a skill, server, agent or provider to a descriptor that anybody may read (02 §11).

use super::place::{self, What};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::setup_bundle::{
    ExtensionDescriptor, ExtensionKind, ExtensionPayload, ExtensionSource, REDACTED,
    SecretRequirement, SetupStep, SetupStepKind, VERSION,
};
use serde_json::Value;

/// What stands in a text for people where it repeated a secret. The placeholder stands only where a value can be
/// entered.
const MASKED: &str = "[redacted]";

/// A shorter text says too little to be looked for elsewhere.
const SHORTEST_SECRET: usize = 8;

/// The descriptor of one thing.
///
/// `name` is the name under which it is installed (for a provider: its id). `body` is what the product knows of
/// it; only members that are listed here leave, so that a new one is private until somebody lists it. Secrets
/// and absolute paths are replaced by [`REDACTED`] and declared as requirements; a label, description or
/// argument that repeats one of them loses it too. Skills and agents are instructions and leave as they are,
/// except for an agent's `options`.
#[must_use]
pub fn export(
    kind: ExtensionKind,
    name: &str,
    mut source: ExtensionSource,
    body: &JsonObject,
) -> ExtensionDescriptor {
    let mut body = listed(kind, name, body);
    let mut hidden = named_secrets(kind, &mut body);
    let mut secrets = Vec::new();
    let mut setup = Vec::new();
    place::visit(kind, &mut body, &mut |place| {
        if !is_secret(place.what, place.value, &hidden) {
            return true;
        }
        if !secrets
            .iter()
            .any(|known: &SecretRequirement| known.key == place.key)
        {
            let label = label(place.what, &place.name, place.value);
            let verb = match place.what {
                What::Command => (SetupStepKind::Install, "Install the program and enter: "),
                _ => (SetupStepKind::ConfigureSecret, "Enter: "),
            };
            setup.push(SetupStep {
                kind: verb.0,
                detail: format!("{}{label}.", verb.1),
            });
            secrets.push(SecretRequirement {
                key: place.key,
                location: place.what.location(),
                label,
                required: place.value.as_str() != Some(""),
            });
        }
        texts(place.value, &mut hidden);
        *place.value = Value::String(REDACTED.into());
        true
    });
    longest_first(&mut hidden);
    for member in [
        "name",
        "label",
        "description",
        "traceLabel",
        "tracePluralLabel",
    ] {
        match body.get_mut(member) {
            Some(Value::String(text)) if member != "name" || kind == ExtensionKind::Provider => {
                scrub(text, &hidden);
            }
            _ => {}
        }
    }
    source.reference = source.reference.filter(|reference| {
        !place::is_absolute(reference)
            && !place::address_carries_secret(reference)
            && !hidden.iter().any(|secret| reference.contains(secret))
    });
    let description = body.get("description").and_then(Value::as_str);
    ExtensionDescriptor {
        schema_version: VERSION,
        id: format!("{kind}:{name}"),
        kind,
        name: name.to_owned(),
        description: description.map(str::to_owned),
        source,
        secrets,
        setup,
        payload: ExtensionPayload::new(kind, body),
    }
}

/// The members that may leave, with the right name. Members of the wrong type don't leave either: nobody could
/// say what is in them.
fn listed(kind: ExtensionKind, name: &str, body: &JsonObject) -> JsonObject {
    let members: &[&str] = match kind {
        ExtensionKind::Skill => &["label", "description", "content", "files", "toolIds"],
        ExtensionKind::Mcp => &[
            "type",
            "label",
            "description",
            "command",
            "args",
            "env",
            "url",
            "headers",
            "googleAuth",
            "allowPrivateNetwork",
            "permissionMode",
            "traceLabel",
            "tracePluralLabel",
        ],
        ExtensionKind::Agent => &[
            "label",
            "description",
            "instructions",
            "enabled",
            "mode",
            "color",
            "avatar",
            "model",
            "variant",
            "temperature",
            "top_p",
            "steps",
            "options",
            "skillNames",
            "toolIds",
            "deniedToolPatterns",
            "permissionOverrides",
        ],
        ExtensionKind::Provider => &[
            "id",
            "name",
            "description",
            "npm",
            "runtime",
            "runtimeActivation",
            "defaultModel",
            "smallModel",
            "options",
            "credentials",
            "models",
            "dynamicCatalog",
        ],
    };
    let mut out = JsonObject::new();
    if kind != ExtensionKind::Provider {
        out.insert("name".into(), name.into());
    }
    for (member, value) in body {
        let fits = match member.as_str() {
            "env" | "headers" | "options" | "dynamicCatalog" => value.is_object(),
            "args" => value.is_array(),
            "command" | "url" | "description" => value.is_string(),
            _ => true,
        };
        if fits && members.contains(&member.as_str()) {
            out.insert(member.clone(), value.clone());
        }
    }
    out
}

/// The texts at places that are secret by their name alone.
fn named_secrets(kind: ExtensionKind, body: &mut JsonObject) -> Vec<String> {
    let mut found = Vec::new();
    place::visit(kind, body, &mut |place| {
        if matches!(
            place.what,
            What::Variable | What::Header | What::SecretOption
        ) {
            texts(place.value, &mut found);
        }
        true
    });
    found
}

fn is_secret(what: What, value: &Value, known: &[String]) -> bool {
    let repeats = |text: &str| known.iter().any(|secret| text.contains(secret));
    match (what, value) {
        (What::Variable | What::Header | What::SecretOption, _) => true,
        (What::Command, Value::String(text)) => {
            place::is_absolute(text) || place::looks_secret(text) || repeats(text)
        }
        (What::Argument { follows_secret }, Value::String(text)) => {
            follows_secret
                || place::is_absolute(text)
                || place::carries_secret(text)
                || repeats(text)
        }
        (What::Argument { .. }, Value::Number(_) | Value::Bool(_)) => false,
        // What can't be read as an address may be anything.
        (What::Address, Value::String(text)) => {
            url::Url::parse(text.trim()).is_err()
                || place::address_carries_secret(text)
                || repeats(text)
        }
        (What::Text, Value::String(text)) => {
            place::looks_secret(text) || place::address_carries_secret(text) || repeats(text)
        }
        _ => true,
    }
}

fn label(what: What, name: &str, value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match what {
        What::Variable => format!("variable {name}"),
        What::Header => format!("header {name}"),
        What::SecretOption | What::Text => format!("option {name}"),
        What::Command => "absolute path of the program".into(),
        What::Argument { .. } => match text.split_once('=') {
            Some((flag, _)) if is_plain_flag(flag) => {
                format!("argument {name} of the program, {flag}=…")
            }
            _ => format!("argument {name} of the program"),
        },
        What::Address => "address of the server".into(),
    }
}

fn is_plain_flag(flag: &str) -> bool {
    flag.starts_with('-')
        && flag.len() <= 40
        && flag.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// Every text in a value that is long enough to be looked for.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) if text.trim().len() >= SHORTEST_SECRET && text != REDACTED => {
            let text = text.trim();
            out.push(text.to_owned());
            // `Bearer abc…`: the key alone is the secret.
            let word = text.rsplit(char::is_whitespace).next().unwrap_or(text);
            if word.len() >= SHORTEST_SECRET {
                out.push(word.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(map) => map.values().for_each(|item| texts(item, out)),
        _ => {}
    }
}

/// A longer secret may hold a shorter one; it goes first.
fn longest_first(secrets: &mut Vec<String>) {
    secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    secrets.dedup();
}

/// Takes secrets out of a text for people.
fn scrub(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret) {
            *text = text.replace(secret, MASKED);
        }
    }
}
