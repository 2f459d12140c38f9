//! Where secrets and paths may stand in a payload, and what each such place is called (02 §11).
//!
//! Export and import walk the same places, so that what one takes out the other can put back.

use open_cowork_contracts::JsonObject;
use open_cowork_contracts::setup_bundle::{ExtensionKind, SecretLocation};
use serde_json::Value;

/// What kind of place it is; it decides what an export hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A variable of a server.
    Variable,
    /// A header.
    Header,
    /// An option whose name says that it is secret.
    SecretOption,
    /// Any other text within options.
    Text,
    /// The program.
    Command,
    /// An argument of the program; `follows_secret`: the one before it is an option that names a secret.
    Argument {
        /// Whether the value of a secret option is expected here.
        follows_secret: bool,
    },
    /// The server's address.
    Address,
}

impl What {
    /// The location of a requirement for it.
    #[must_use]
    pub fn location(self) -> SecretLocation {
        match self {
            What::Variable => SecretLocation::Env,
            What::Header => SecretLocation::Header,
            What::Command | What::Argument { .. } => SecretLocation::Path,
            What::SecretOption | What::Text | What::Address => SecretLocation::Credential,
        }
    }

    /// Whether a payload still has its shape when this is left out.
    #[must_use]
    pub fn may_be_left_out(self) -> bool {
        matches!(self, What::Variable | What::Header | What::SecretOption)
    }
}

/// One place of a payload. It has no `Debug`: its value may be a secret.
pub struct Place<'a> {
    /// The key of its requirement, such as `env:TOKEN`.
    pub key: String,
    /// What kind of place.
    pub what: What,
    /// What people call it, such as the variable's name.
    pub name: String,
    /// What stands there.
    pub value: &'a mut Value,
}

/// Shows every place of a payload to `see`; where it answers false, the member is left out.
/// (An argument can't be left out: it would move the others.)
pub fn visit(kind: ExtensionKind, body: &mut JsonObject, see: &mut dyn FnMut(Place<'_>) -> bool) {
    match kind {
        ExtensionKind::Skill => {}
        ExtensionKind::Mcp => server(body, see),
        ExtensionKind::Agent => {
            if let Some(Value::Object(inner)) = body.get_mut("options") {
                options(inner, "", see);
            }
        }
        ExtensionKind::Provider => provider(body, see),
    }
}

/// The key under which a requirement and what was entered for it meet: `path:0` is another way to write
/// `path:arg:0` (07 §6.5 has one, 02 §11 the other).
#[must_use]
pub fn canonical(key: &str) -> String {
    match key.strip_prefix("path:") {
        Some(index) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
            format!("path:arg:{index}")
        }
        _ => key.to_owned(),
    }
}

fn server(body: &mut JsonObject, see: &mut dyn FnMut(Place<'_>) -> bool) {
    for (member, what, prefix) in [
        ("env", What::Variable, "env"),
        ("headers", What::Header, "header"),
    ] {
        if let Some(Value::Object(map)) = body.get_mut(member) {
            every_value(map, what, |name| format!("{prefix}:{name}"), see);
        }
    }
    if let Some(value) = body.get_mut("command") {
        see(Place {
            key: "path:command".into(),
            what: What::Command,
            name: "command".into(),
            value,
        });
    }
    if let Some(Value::Array(args)) = body.get_mut("args") {
        let mut follows_secret = false;
        for (index, value) in args.iter_mut().enumerate() {
            let what = What::Argument { follows_secret };
            follows_secret = value.as_str().is_some_and(is_secret_flag);
            see(Place {
                key: format!("path:arg:{index}"),
                what,
                name: (index + 1).to_string(),
                value,
            });
        }
    }
    if let Some(value) = body.get_mut("url") {
        see(Place {
            key: "credential:url".into(),
            what: What::Address,
            name: "url".into(),
            value,
        });
    }
}

fn provider(body: &mut JsonObject, see: &mut dyn FnMut(Place<'_>) -> bool) {
    if let Some(Value::Object(inner)) = body.get_mut("options") {
        options(inner, "", see);
    }
    if let Some(Value::Object(models)) = body.get_mut("models") {
        for (id, model) in models.iter_mut() {
            if let Some(Value::Object(inner)) = model.get_mut("options") {
                options(inner, &format!("models.{id}.options"), see);
            }
        }
    }
    if let Some(Value::Object(catalog)) = body.get_mut("dynamicCatalog") {
        catalog.retain(|name, value| match name.as_str() {
            "authHeader" | "url" => see(Place {
                key: format!("credential:dynamicCatalog.{name}"),
                what: if name == "url" {
                    What::Text
                } else {
                    What::SecretOption
                },
                name: format!("dynamicCatalog.{name}"),
                value,
            }),
            _ => true,
        });
    }
}

fn every_value(
    map: &mut JsonObject,
    what: What,
    key: impl Fn(&str) -> String,
    see: &mut dyn FnMut(Place<'_>) -> bool,
) {
    map.retain(|name, value| {
        see(Place {
            key: key(name),
            what,
            name: name.clone(),
            value,
        })
    });
}

fn options(map: &mut JsonObject, path: &str, see: &mut dyn FnMut(Place<'_>) -> bool) {
    map.retain(|name, value| option(name, &joined(path, name), value, see));
}

fn option(
    name: &str,
    path: &str,
    value: &mut Value,
    see: &mut dyn FnMut(Place<'_>) -> bool,
) -> bool {
    let place = |what, value| Place {
        key: format!("credential:{path}"),
        what,
        name: path.to_owned(),
        value,
    };
    if names_secret(name, value) {
        return see(place(What::SecretOption, value));
    }
    match value {
        Value::String(_) => see(place(What::Text, value)),
        Value::Object(inner) if name.eq_ignore_ascii_case("headers") => {
            let key = |header: &str| format!("credential:{}", joined(path, header));
            every_value(inner, What::SecretOption, key, see);
            true
        }
        Value::Object(inner) => {
            options(inner, path, see);
            true
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                // An item can't be left out: it would move the others.
                option("", &joined(path, &index.to_string()), item, see);
            }
            true
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// Whether an option's name says that its value is secret. The first four endings are the contract's; plurals
/// count except for numbers, such as `maxTokens: 4096`.
fn names_secret(name: &str, value: &Value) -> bool {
    const ENDINGS: [&str; 10] = [
        "key",
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "authorization",
        "credential",
        "cookie",
        "signature",
    ];
    let name = name.to_ascii_lowercase();
    let singular = name.strip_suffix('s').filter(|_| !value.is_number());
    ENDINGS.iter().any(|ending| {
        name.ends_with(ending) || singular.is_some_and(|singular| singular.ends_with(ending))
    })
}

/// Whether an argument is an option that expects a secret behind it, such as `--api-key`.
fn is_secret_flag(arg: &str) -> bool {
    arg.starts_with('-') && !arg.contains('=') && names_secret(arg, &Value::Null)
        || matches!(arg, "-H" | "--header")
}

/// Whether an argument carries a secret itself, such as `--token=…`, `X-Api-Key: …` or an address with a
/// password.
#[must_use]
pub fn carries_secret(arg: &str) -> bool {
    let named = arg
        .split_once(['=', ':'])
        .is_some_and(|(name, _)| names_secret(name.trim(), &Value::Null));
    let address = arg.split_once('=').map_or(arg, |(_, value)| value);
    named || looks_secret(arg) || address_carries_secret(arg) || address_carries_secret(address)
}

/// Whether a text has the shape of a key that some service issues.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "sk-",
        "sk_",
        "rk_",
        "pk_",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "xapp-",
        "AIza",
        "AKIA",
        "ya29.",
        "eyJ",
    ];
    if text.contains("-----BEGIN ") {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    if ["bearer ", "basic "]
        .iter()
        .any(|scheme| lower.contains(scheme))
    {
        return true;
    }
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .any(|word| {
            word.len() >= 16
                && BEGINNINGS
                    .iter()
                    .any(|beginning| word.starts_with(beginning))
        })
}

/// Whether a text is an address that holds a user name, a password, or a key in its path, query or fragment.
#[must_use]
pub fn address_carries_secret(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text.trim()) else {
        // A connection string that isn't quite an address.
        return text
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('@'));
    };
    let named = |pairs: url::form_urlencoded::Parse<'_>| {
        pairs
            .into_iter()
            .any(|(name, value)| is_secret_parameter(&name) || looks_secret(&value))
    };
    !url.username().is_empty()
        || url.password().is_some()
        || named(url.query_pairs())
        || url
            .fragment()
            .is_some_and(|part| named(url::form_urlencoded::parse(part.as_bytes())))
        || looks_secret(text)
}

fn is_secret_parameter(name: &str) -> bool {
    names_secret(name, &Value::Null)
        || ["sig", "code", "auth", "pwd", "pass", "jwt"]
            .iter()
            .any(|short| name.eq_ignore_ascii_case(short))
}

/// Whether a path is absolute on any system: POSIX, with a drive, or UNC; also as `file:` address, and as the
/// value of an option (`--config=/etc/x`).
#[must_use]
pub fn is_absolute(text: &str) -> bool {
    let absolute = |path: &str| {
        let path = path.trim_start();
        let bytes = path.as_bytes();
        path.starts_with(['/', '\\'])
            || path
                .get(..5)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
            || (bytes.len() > 2
                && bytes[0].is_ascii_alphabetic()
                && bytes[1] == b':'
                && matches!(bytes[2], b'/' | b'\\'))
    };
    absolute(text)
        || text
            .split_once('=')
            .is_some_and(|(_, value)| absolute(value))
}
