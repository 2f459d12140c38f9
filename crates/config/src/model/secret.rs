//! Texts that must not be seen, and where in a document they stand.

use crate::pointer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// A value that neither `Debug`, `Display` nor `Serialize` shows; all three give [`REDACTED`].
/// Reading it takes a call of [`Secret::expose`], which a reviewer can search for.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: to use, never to print.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// A reference to a secret (02 §3 `Ref`). The schema checks only its length, so that somebody may
/// have written the secret itself: it is shown only while it looks like a reference.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(String);

impl SecretRef {
    /// Takes a reference as written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written: to resolve, never to print.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be printed.
    pub fn shown(&self) -> &str {
        if is_reference(&self.0) {
            &self.0
        } else {
            REDACTED
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

/// Whether a text has the form of a secret reference: `env:NAME` or a bare upper-case variable
/// name with an underscore, `gcp-sm://…`, `aws-sm://…`, `azure-kv://…`, or the https address of a secret in an
/// Azure vault without user info, fragment or a query other than `api-version` (02 §3).
pub fn is_reference(text: &str) -> bool {
    let variable = |name: &str| {
        !name.is_empty()
            && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    // Anything with user info, a query or a fragment could carry a key.
    let plain = |rest: &str| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
    };
    if let Some(name) = text.strip_prefix("env:") {
        return variable(name);
    }
    for scheme in ["gcp-sm://", "aws-sm://", "azure-kv://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return plain(rest);
        }
    }
    if let Some(rest) = text.strip_prefix("https://") {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some((host, path)) = path.split_once('/') else {
            return false;
        };
        let vault = host.strip_suffix(".vault.azure.net").is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
        let query = query.is_empty() || query.strip_prefix("api-version=").is_some_and(plain);
        return vault && query && path.strip_prefix("secrets/").is_some_and(plain);
    }
    // A key may be all upper case too; the name of a variable has an underscore in it.
    text.contains('_') && variable(text)
}

/// Why a place is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// The text is a secret.
    Text,
    /// The text refers to a secret; it is shown while it looks like a reference ([`is_reference`]).
    Reference,
    /// A member of an open object: it may hold anything, so it counts as a secret.
    Open,
}

/// Places of a document that may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretPlace {
    /// RFC 6901 pointer in which `*` stands for any key or index; what lies below belongs to it.
    pub pattern: &'static str,
    /// What kind of secret.
    pub kind: SecretKind,
    /// Members at the pattern's last `*` that are known and shown.
    pub except: &'static [&'static str],
}

const fn text(pattern: &'static str) -> SecretPlace {
    SecretPlace {
        pattern,
        kind: SecretKind::Text,
        except: &[],
    }
}

const fn reference(pattern: &'static str) -> SecretPlace {
    SecretPlace {
        pattern,
        kind: SecretKind::Reference,
        except: &[],
    }
}

const fn open(pattern: &'static str, except: &'static [&'static str]) -> SecretPlace {
    SecretPlace {
        pattern,
        kind: SecretKind::Open,
        except,
    }
}

/// Every place that may hold a secret. The types of this module tree agree with it (a test
/// compares them), so views, messages and the command need no list of their own.
pub const SECRETS: &[SecretPlace] = &[
    text("/auth/googleOAuth/clientSecret"),
    open("/providers/descriptors/*/options/*", &[]),
    text("/providers/descriptors/*/dynamicCatalog/authHeader"),
    open("/providers/custom/*/options/*", &[]),
    open(
        "/providers/custom/*/models/*/options/*",
        &["maxOutputTokens"],
    ),
    text("/updates/releaseSource/auth/token"),
    text("/updates/releaseSource/auth/headers/*"),
    text("/mcps/*/headers/*"),
    open("/agents/*/options/*", &[]),
    open("/builtInAgents/*/options/*", &[]),
    text("/telemetry/headers/*"),
    text("/telemetry/adoption/headers/*"),
    reference("/cloud/auth/clientSecretRef"),
    reference("/cloud/auth/cookieSecretRef"),
    text("/cloud/auth/headerSecret"),
    reference("/cloud/auth/headerSecretRef"),
    reference("/cloud/storage/controlPlane/urlRef"),
    reference("/cloud/storage/objectStore/credentialsRef"),
    reference("/cloud/billing/stripe/apiKeyRef"),
    reference("/cloud/billing/stripe/webhookSecretRef"),
    reference("/cloud/profiles/*/defaultProjectSource/credentialRef"),
    text("/gateway/server/adminToken"),
    text("/gateway/providers/*/credentials/*"),
    open("/gateway/providers/*/settings/*", &[]),
];

/// The secret place that a pointer is at or below, if any.
///
/// ```
/// use open_cowork_config::model::secret::{SecretKind, place_of};
/// assert_eq!(place_of("/gateway/providers/2/credentials/botToken").unwrap().kind, SecretKind::Text);
/// assert!(place_of("/providers/custom/acme/options/headers/x-key").is_some());
/// assert!(place_of("/providers/custom/acme/models/m/options/maxOutputTokens").is_none());
/// assert!(place_of("/branding/name").is_none());
/// ```
pub fn place_of(pointer: &str) -> Option<&'static SecretPlace> {
    SECRETS.iter().find(|place| {
        let depth = place.pattern.split('/').count();
        let at = pointer
            .match_indices('/')
            .nth(depth - 1)
            .map_or(pointer, |(end, _)| &pointer[..end]);
        pointer::matches(place.pattern, at)
            && !place
                .except
                .iter()
                .any(|known| at.rsplit('/').next() == Some(*known))
    })
}

/// The document with every secret replaced by [`REDACTED`]. Null stays null, and a reference that
/// looks like one stays.
pub fn redact(value: &mut Value) {
    redact_at(value, &mut String::new());
}

fn redact_at(value: &mut Value, pointer: &mut String) {
    if let Some(place) = place_of(pointer) {
        let shown = match (place.kind, &*value) {
            (SecretKind::Open, _) => false,
            (_, Value::Null) => true,
            (SecretKind::Reference, Value::String(text)) => is_reference(text),
            _ => false,
        };
        if !shown {
            *value = Value::from(REDACTED);
        }
        return;
    }
    let length = pointer.len();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                pointer::push(pointer, &index.to_string());
                redact_at(item, pointer);
                pointer.truncate(length);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                pointer::push(pointer, key);
                redact_at(item, pointer);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_shows_itself_only_when_asked() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(
            format!(
                "{secret:?} {secret} {}",
                serde_json::to_value(&secret).unwrap()
            ),
            r#"[redacted] [redacted] "[redacted]""#
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_reference_is_shown_and_a_secret_in_its_place_is_not() {
        for text in [
            "env:STRIPE_KEY",
            "STRIPE_KEY",
            "gcp-sm://projects/p/secrets/s/versions/1",
            "aws-sm://region/name",
            "azure-kv://vault/name",
            "https://vault-1.vault.azure.net/secrets/name/0123?api-version=7.4",
        ] {
            assert_eq!(SecretRef::new(text).to_string(), text);
        }
        for text in [
            "",
            "hunter2",
            "env:hunter2",
            "UPPERCASEKEY0123",
            "postgres://user:pass@host/db",
            "gcp-sm://user:pass@host",
            "https://user@vault.vault.azure.net/secrets/name",
            "https://vault.vault.azure.net/secrets/name?sig=abc",
            "https://evil.example/secrets/name",
        ] {
            assert_eq!(format!("{:?}", SecretRef::new(text)), REDACTED, "{text}");
        }
    }

    #[test]
    fn redaction_keeps_the_form() {
        let mut value = json!({
            "cloud": {"auth": {"clientSecretRef": "env:CLIENT", "cookieSecretRef": "oops", "clientId": "web"}},
            "gateway": {"server": {"adminToken": null, "port": 1}},
            "agents": [{"name": "a", "options": {"x": {"y": 1}}}],
            "providers": {"custom": {"a/b": {"models": {"m": {"options": {"maxOutputTokens": 4, "k": "v"}}}}}}
        });
        redact(&mut value);
        assert_eq!(
            value,
            json!({
                "cloud": {"auth": {"clientSecretRef": "env:CLIENT", "cookieSecretRef": REDACTED, "clientId": "web"}},
                "gateway": {"server": {"adminToken": null, "port": 1}},
                "agents": [{"name": "a", "options": {"x": REDACTED}}],
                "providers": {"custom": {"a/b": {"models": {"m": {"options": {"maxOutputTokens": 4, "k": REDACTED}}}}}}
            })
        );
    }
}
