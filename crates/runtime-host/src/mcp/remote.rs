//! MCP servers at an address: headers, name look-ups, what OpenCode is given (05 §7.4).

use super::Verdict;
use super::server::{Entry, State, secrets_of};
use async_trait::async_trait;
use open_cowork_contracts::health::CapabilityReason as Reason;
use open_cowork_policy::mcp::url::{self, UrlRefusal};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::time::Duration;

/// A name server that doesn't answer within this doesn't know the name.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Most headers (05 §7.2).
const MAX_HEADERS: usize = 64;

/// Looks names up. Injected, so that tests and a cloud decide where names lead.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a host.
    ///
    /// # Errors
    /// The name server's.
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>>;
}

/// The resolver of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, port)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// An address that asks to be registered.
pub(super) struct RemoteRequest<'a> {
    pub(super) url: &'a str,
    pub(super) headers: &'a [(String, SecretString)],
    /// Values of credentials in them.
    pub(super) secrets: &'a [SecretString],
    pub(super) allow_private: bool,
    /// OpenCode may start a sign-in when the server asks for one.
    pub(super) oauth: bool,
}

/// Judges it: text, then every address that its name leads to.
pub(super) async fn check(request: &RemoteRequest<'_>, resolver: &dyn Resolve) -> Verdict {
    let refused = |refusal: &UrlRefusal| Verdict::refused(Reason::McpUrlPolicyBlocked, refusal);
    let endpoint = match url::check(request.url, request.allow_private) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return refused(&refusal),
    };
    let mut headers = match plain_headers(request.headers) {
        Some(headers) => headers,
        None => {
            return Verdict::refused(
                Reason::McpInvalid,
                "A header of the server has a name or a value that HTTP doesn't permit.",
            );
        }
    };
    let addresses = match endpoint.to_resolve() {
        None => Vec::new(),
        Some((host, port)) => {
            match tokio::time::timeout(LOOK_UP, resolver.resolve(host, port)).await {
                Ok(Ok(addresses)) => addresses,
                // Whatever went wrong: without an address there is nothing to judge.
                Ok(Err(_)) | Err(_) => Vec::new(),
            }
        }
    };
    let admitted = match endpoint.admit(&addresses) {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    if let Some(host) = &admitted.host_header {
        headers.insert("Host".to_owned(), json!(host));
    }
    let mut entry = Map::from_iter([
        ("type".to_owned(), json!("remote")),
        ("url".to_owned(), json!(admitted.url)),
        ("enabled".to_owned(), json!(true)),
    ]);
    if !headers.is_empty() {
        entry.insert("headers".to_owned(), Value::Object(headers));
    }
    if !request.oauth {
        entry.insert("oauth".to_owned(), json!(false));
    }
    Verdict {
        state: State::Ready(Entry {
            value: Value::Object(entry),
            secrets: secrets_of(request.secrets, request.headers),
            host: Some(admitted.host),
        }),
        remark: None,
    }
}

/// Headers that HTTP permits, without a `Host` of the config. `None`: one is not permitted.
fn plain_headers(headers: &[(String, SecretString)]) -> Option<Map<String, Value>> {
    let mut plain = Map::new();
    for (name, value) in headers {
        let value = value.expose_secret();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let named = !name.is_empty() && name.len() <= 256 && name.bytes().all(token);
        let valued = value.len() <= 8192 && !value.chars().any(|c| c.is_control() && c != '\t');
        if !named || !valued {
            return None;
        }
        if !name.eq_ignore_ascii_case("host") && !value.trim().is_empty() {
            plain.insert(name.clone(), json!(value));
        }
    }
    (plain.len() <= MAX_HEADERS).then_some(plain)
}
