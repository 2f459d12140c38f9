//! Which MCP servers OpenCode gets, and why the others don't (05 §7).
//!
//! [`evaluate`] looks once, before a config is composed: the permission policy, the settings, the files of this
//! machine and, for addresses, the name server. What comes out is data: a ready server is its entry of the
//! config, any other one is a reason code. Nothing that is not ready is ever registered.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`server`] | what goes in and comes out | 05 §7.1, §7.2 |
//! | `local` | programs: where they are, what they really are | 05 §7.3 |
//! | `remote` | addresses: headers, name look-ups | 05 §7.4 |

mod local;
mod remote;
pub mod server;

pub use local::Places;
pub use remote::{Resolve, SystemResolver};
pub use server::{
    Entry, GoogleLogin, OwnServer, OwnTransport, Scope, Server, ServerSettings, Servers, Source,
    State,
};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use local::LocalRequest;
use open_cowork_config::model::credentials::{Credential, WhenOp};
use open_cowork_config::model::mcps::{Mcp, McpAuthMode, McpType};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::health::CapabilityReason as Reason;
use open_cowork_policy::Action;
use open_cowork_policy::mcp::stdio::Origin;
use remote::RemoteRequest;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::collections::BTreeMap;

/// What [`evaluate`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct McpInput<'a> {
    /// Servers of the distribution.
    pub product: &'a [Mcp],
    /// Servers that the user or a project added.
    pub own: &'a [OwnServer],
    /// What the user chose and stored.
    pub settings: &'a ServerSettings,
    /// The MCP dimension of the effective policy: at *deny* nothing is looked up at all (05 §19.17).
    pub mcp: Action,
    /// The managed policy permits servers that users add.
    pub own_permitted: bool,
    /// Where programs and scripts are.
    pub places: &'a Places,
}

/// Judges every server, the distribution's first. An own server of the same name takes its place.
pub async fn evaluate(input: &McpInput<'_>, resolver: &dyn Resolve) -> Servers {
    let (overridden, product): (Vec<&Mcp>, Vec<&Mcp>) = input
        .product
        .iter()
        .partition(|server| own_of(input, &server.name).is_some());
    // Boxed: the compiler can't see that such a stream may be sent between threads otherwise.
    let mut looks: Vec<BoxFuture<'_, Server>> = Vec::new();
    for server in product {
        looks.push(product_server(server, input, resolver).boxed());
    }
    for server in effective_own(input.own) {
        looks.push(own_server(server, input, resolver).boxed());
    }
    Servers {
        rows: stream::iter(looks).buffered(AT_ONCE).collect().await,
        overridden: overridden
            .into_iter()
            .map(|server| server.name.clone())
            .collect(),
    }
}

/// Another server that counts and whose tools would be called like this one's: `wiki` with a tool `admin_run`
/// and `wiki_admin` with `run` are one name for OpenCode, so that a rule about the one would hold for the other
/// (05 §6.6). Servers that are off count too: patterns may name their tools. The longer name gives way; between
/// a server of the distribution and an own one, the own one does.
fn namesake<'a>(input: &McpInput<'a>, name: &str, is_own: bool) -> Option<&'a str> {
    let inside = |long: &str, short: &str| {
        let rest = long.strip_prefix(short);
        rest.is_some_and(|rest| rest.starts_with('_'))
    };
    let names = || input.product.iter().map(|server| server.name.as_str());
    let shorter_product = |name: &str| names().find(|other| inside(name, other));
    if !is_own {
        return shorter_product(name);
    }
    // One that gives way to another of the distribution takes nobody's place.
    let longer = || names().find(|other| inside(other, name) && shorter_product(other).is_none());
    let own = || effective_own(input.own).map(|server| server.name.as_str());
    shorter_product(name)
        .or_else(longer)
        .or_else(|| own().find(|other| inside(name, other)))
}

fn ambiguous(other: &str) -> Verdict {
    Verdict::refused(
        Reason::McpInvalid,
        format!(
            "Its tools could have the same names as those of the server `{other}`; rename one so that neither \
             name is the other one with _ and more behind it."
        ),
    )
}

async fn product_server(server: &Mcp, input: &McpInput<'_>, resolver: &dyn Resolve) -> Server {
    let verdict = match input.mcp == Action::Deny {
        true => Verdict::off(Reason::McpPolicyDenied),
        false => product(server, input, resolver).await,
    };
    Server {
        name: server.name.clone(),
        source: Source::Product,
        permission: input.mcp,
        evidence: product_evidence(server, input.settings),
        state: verdict.state,
        remark: verdict.remark,
    }
}

async fn own_server(server: &OwnServer, input: &McpInput<'_>, resolver: &dyn Resolve) -> Server {
    let verdict = match input.mcp == Action::Deny || !input.own_permitted {
        true => Verdict::off(Reason::McpPolicyDenied),
        false => own(server, input, resolver).await,
    };
    Server {
        name: server.name.clone(),
        source: Source::Own(server.scope),
        permission: server.permission.clamp_to(input.mcp),
        evidence: own_evidence(server, &verdict.state),
        state: verdict.state,
        remark: verdict.remark,
    }
}

/// So many servers are looked at at the same time.
const AT_ONCE: usize = 8;

/// A verdict with the sentence that explains it.
struct Verdict {
    state: State,
    remark: Option<String>,
}

impl Verdict {
    fn off(reason: Reason) -> Self {
        Self {
            state: State::Off(reason),
            remark: None,
        }
    }

    fn refused(reason: Reason, why: impl std::fmt::Display) -> Self {
        Self {
            state: State::Off(reason),
            remark: Some(why.to_string()),
        }
    }
}

/// Own servers that count: a project's beats the machine's of the same name (05 §7.2).
fn effective_own(own: &[OwnServer]) -> impl Iterator<Item = &OwnServer> {
    own.iter().filter(|server| {
        server.scope == Scope::Project
            || !own
                .iter()
                .any(|other| other.scope == Scope::Project && other.name == server.name)
    })
}

/// The own server that takes the place of a distribution's one. A managed policy that forbids own servers also
/// forbids them to push others out.
fn own_of<'a>(input: &McpInput<'a>, name: &str) -> Option<&'a OwnServer> {
    let permitted = input.own_permitted && input.mcp != Action::Deny;
    input
        .own
        .iter()
        .find(|server| permitted && server.name == name)
}

/// A name must fit into the names of its tools: `<name>_<tool>`.
fn is_name(name: &str) -> bool {
    name.len() <= 256
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !name.contains("__")
}

/// The order of 05 §7.1 is the contract: the first thing that stands in the way is what people are told.
async fn product(server: &Mcp, input: &McpInput<'_>, resolver: &dyn Resolve) -> Verdict {
    let settings = input.settings;
    let chosen = settings.enabled.get(&server.name).copied();
    if chosen == Some(false) || (server.name == "semantic-ui" && settings.semantic_ui_disabled) {
        return Verdict::off(Reason::McpDisabledByUser);
    }
    if !is_name(&server.name) {
        return Verdict::refused(
            Reason::McpInvalid,
            "The name of a server is letters, digits, single _ and -.",
        );
    }
    if let Some(other) = namesake(input, &server.name, false) {
        return ambiguous(other);
    }
    let empty = BTreeMap::new();
    let stored = settings.credentials.get(&server.name).unwrap_or(&empty);
    let value = |key: &str| {
        stored
            .get(key)
            .filter(|value| !value.expose_secret().is_empty())
    };

    let local = match server.kind {
        McpType::Local => match input.places.product_command(server) {
            Some(Err(reason)) => return Verdict::refused(reason.0, reason.1),
            Some(Ok(command)) => Some(command),
            None => None,
        },
        McpType::Remote => None,
    };
    if chosen != Some(true) && server.auth_mode == McpAuthMode::Oauth {
        return Verdict::off(Reason::McpAwaitingOauthOptIn);
    }
    let google = match server.google_auth == Some(true) {
        true if settings.google.is_none() => return Verdict::off(Reason::McpNotSignedInGoogle),
        true => settings.google.as_ref(),
        false => None,
    };
    if missing_credential(server.credentials.as_deref().unwrap_or_default(), stored) {
        return Verdict::off(Reason::McpNotConfigured);
    }
    let declared = server.credentials.iter().flatten();
    let secrets: Vec<SecretString> = declared
        .filter(|credential| credential.secret != Some(false))
        .filter_map(|credential| value(&credential.key).cloned())
        .chain(google.and_then(|google| google.access_token.clone()))
        .collect();
    match (server.kind, local, &server.url) {
        (McpType::Local, Some(command), _) => {
            let mut environment: Vec<(String, SecretString)> = server
                .env_settings
                .iter()
                .flatten()
                .filter_map(|setting| Some((setting.env.clone(), value(&setting.key)?.clone())))
                .collect();
            environment.extend(google.map(GoogleLogin::variables).into_iter().flatten());
            local::check(&LocalRequest {
                command: &command.command,
                args: &command.args,
                environment: &environment,
                secrets: &secrets,
                timeout_ms: command.timeout_ms,
                origin: Origin::Product,
                places: input.places,
            })
        }
        (McpType::Remote, _, Some(url)) => {
            let fixed = server.headers.iter().flatten();
            let mut headers: Vec<(String, SecretString)> = fixed
                .map(|(name, value)| (name.clone(), value.expose().clone().into()))
                .collect();
            for setting in server.header_settings.iter().flatten() {
                if let Some(value) = value(&setting.key) {
                    let prefix = setting.prefix.as_deref().unwrap_or_default();
                    let text = format!("{prefix}{}", value.expose_secret());
                    headers.push((setting.header.clone(), text.into()));
                }
            }
            remote::check(
                &RemoteRequest {
                    url,
                    headers: &headers,
                    secrets: &secrets,
                    allow_private: server.allow_private_network == Some(true),
                    oauth: server.auth_mode == McpAuthMode::Oauth,
                },
                resolver,
            )
            .await
        }
        _ => Verdict::refused(
            Reason::McpInvalid,
            "The server has neither a command nor a package nor an address.",
        ),
    }
}

async fn own(server: &OwnServer, input: &McpInput<'_>, resolver: &dyn Resolve) -> Verdict {
    if input.settings.enabled.get(&server.name) == Some(&false) {
        return Verdict::off(Reason::McpDisabledByUser);
    }
    if !is_name(&server.name) {
        return Verdict::refused(
            Reason::McpInvalid,
            "The name of a server is letters, digits, single _ and -.",
        );
    }
    if let Some(other) = namesake(input, &server.name, true) {
        return ambiguous(other);
    }
    let google = match server.google_auth {
        true if input.settings.google.is_none() => {
            return Verdict::off(Reason::McpNotSignedInGoogle);
        }
        true => input.settings.google.as_ref(),
        false => None,
    };
    let token = google.and_then(|google| google.access_token.clone());
    let secrets: Vec<SecretString> = token.into_iter().collect();
    match &server.transport {
        OwnTransport::Stdio {
            command,
            args,
            environment,
        } => {
            let mut environment: Vec<(String, SecretString)> = environment
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            environment.extend(google.map(GoogleLogin::variables).into_iter().flatten());
            local::check(&LocalRequest {
                command,
                args,
                environment: &environment,
                secrets: &secrets,
                timeout_ms: 10_000,
                origin: match server.scope {
                    Scope::Machine => Origin::Machine,
                    Scope::Project => Origin::Project,
                },
                places: input.places,
            })
        }
        OwnTransport::Http { url, headers } => {
            let headers: Vec<(String, SecretString)> = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let request = RemoteRequest {
                url,
                headers: &headers,
                secrets: &secrets,
                allow_private: server.allow_private_network,
                oauth: true,
            };
            remote::check(&request, resolver).await
        }
    }
}

/// A visible, required credential has no value (05 §7.1). A hidden one is not asked for.
fn missing_credential(credentials: &[Credential], stored: &BTreeMap<String, SecretString>) -> bool {
    let value = |key: &str| stored.get(key).map_or("", |value| value.expose_secret());
    credentials.iter().any(|credential| {
        let visible = credential.when.as_ref().is_none_or(|when| match when.op {
            WhenOp::Eq => value(&when.key) == when.value,
            WhenOp::Neq => value(&when.key) != when.value,
        });
        visible && credential.required != Some(false) && value(&credential.key).trim().is_empty()
    })
}

/// Names only (05 §11.3).
fn product_evidence(server: &Mcp, settings: &ServerSettings) -> JsonObject {
    let mut keys: Vec<&str> = server
        .credentials
        .iter()
        .flatten()
        .map(|credential| credential.key.as_str())
        .collect();
    keys.sort_unstable();
    let stored = settings.credentials.get(&server.name);
    let configured: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| {
            stored
                .and_then(|stored| stored.get(*key))
                .is_some_and(|value| !value.expose_secret().trim().is_empty())
        })
        .collect();
    JsonObject::from_iter([
        ("type".to_owned(), json!(server.kind)),
        ("authMode".to_owned(), json!(server.auth_mode)),
        ("credentialKeys".to_owned(), json!(keys)),
        ("configuredCredentialKeys".to_owned(), json!(configured)),
    ])
}

fn own_evidence(server: &OwnServer, state: &State) -> JsonObject {
    let kind = match server.transport {
        OwnTransport::Stdio { .. } => "local",
        OwnTransport::Http { .. } => "remote",
    };
    let mut evidence = JsonObject::from_iter([
        ("type".to_owned(), json!(kind)),
        ("scope".to_owned(), json!(server.scope.as_str())),
        ("permissionMode".to_owned(), json!(server.permission)),
    ]);
    if let State::Ready(Entry {
        host: Some(host), ..
    }) = state
    {
        evidence.insert("host".to_owned(), json!(host));
    }
    evidence
}

#[cfg(test)]
mod tests;
