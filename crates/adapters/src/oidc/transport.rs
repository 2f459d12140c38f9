//! The blocking HTTP client behind the provider: HTTPS with the platform's roots, or loopback. See
//! docs/decisions/0006 for why it isn't the workspace's other client.

use open_cowork_providers::identity_provider::IdentityError;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;
use url::{Host, Url};

/// One call, all of it.
const DEADLINE: Duration = Duration::from_secs(10);
/// More of an answer is not read.
const MOST_BYTES: u64 = 1024 * 1024;

/// Makes calls. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    outside: ureq::Agent,
    loopback: ureq::Agent,
}

/// Status and JSON body; a body that isn't JSON is null.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// How the client says who it is at the token endpoint.
pub(super) enum ClientSecret {
    /// A public client.
    None,
    /// In the form.
    Post(String),
    /// In the header, already encoded.
    Basic(String),
}

impl Transport {
    pub(super) fn new() -> Self {
        let config = || {
            ureq::Agent::config_builder()
                .timeout_global(Some(DEADLINE))
                .max_redirects(0)
                .http_status_as_error(false)
                .max_idle_connections(2)
        };
        let roots = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        Transport {
            outside: config().tls_config(roots).https_only(true).build().into(),
            loopback: config().proxy(None).build().into(),
        }
    }

    fn agent(&self, url: &Url) -> &ureq::Agent {
        match is_loopback(url) {
            true => &self.loopback,
            false => &self.outside,
        }
    }

    pub(super) async fn get(&self, url: Url) -> Result<Answer, IdentityError> {
        let agent = self.agent(&url).clone();
        blocking(move || {
            let request = agent.get(url.as_str()).header("accept", "application/json");
            read(request.call())
        })
        .await
    }

    pub(super) async fn post_form(
        &self,
        url: Url,
        mut form: Vec<(&'static str, String)>,
        secret: ClientSecret,
    ) -> Result<Answer, IdentityError> {
        let agent = self.agent(&url).clone();
        blocking(move || {
            let mut request = agent
                .post(url.as_str())
                .header("accept", "application/json");
            match secret {
                ClientSecret::None => {}
                ClientSecret::Post(secret) => form.push(("client_secret", secret)),
                ClientSecret::Basic(value) => request = request.header("authorization", value),
            }
            read(request.send_form(form))
        })
        .await
    }
}

async fn blocking(
    call: impl FnOnce() -> Result<Answer, IdentityError> + Send + 'static,
) -> Result<Answer, IdentityError> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|_| unavailable("the call was interrupted"))?
}

fn read(
    called: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Answer, IdentityError> {
    let mut response = called.map_err(|error| unavailable(in_words(&error)))?;
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(MOST_BYTES)
        .read_to_vec()
        .map_err(|error| unavailable(in_words(&error)))?;
    Ok(Answer {
        status,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

pub(super) fn unavailable(reason: impl Into<String>) -> IdentityError {
    IdentityError::Unavailable(reason.into())
}

/// Only kinds of failures; texts of the client may hold addresses with parameters.
fn in_words(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::HostNotFound => "its name is not known here",
        ureq::Error::Timeout(_) => "it took too long",
        ureq::Error::BodyExceedsLimit(_) => "its answer is too large",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::RequireHttpsOnly(_) => {
            "no trusted connection could be made; check its certificate"
        }
        _ => "it can't be reached",
    }
}

/// An address that may be called: HTTPS, or this machine.
pub(super) fn checked(text: &str) -> Result<Url, IdentityError> {
    let url = Url::parse(text)
        .map_err(|_| unavailable("one of its addresses can't be read; check the issuer"))?;
    let plain_here = url.scheme() == "http" && is_loopback(&url);
    if !(url.scheme() == "https" || plain_here) || url.host().is_none() {
        return Err(unavailable(
            "one of its addresses is not https; plain http is only for this machine",
        ));
    }
    Ok(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_only_for_this_machine() {
        for fine in [
            "https://id.example.test/x",
            "http://127.0.0.1:4000",
            "http://[::1]:1/",
            "http://localhost:3",
        ] {
            assert!(checked(fine).is_ok(), "{fine}");
        }
        for refused in [
            "http://id.example.test",
            "http://127.0.0.1.example.test",
            "http://localhost.example.test",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(checked(refused).is_err(), "{refused}");
        }
    }
}
