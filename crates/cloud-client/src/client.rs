//! The client: where the cloud is, who asks, and within which bounds.

use crate::error::BuildError;
use crate::line::LineOptions;
use crate::retry::RetryPolicy;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// A client of one cloud. Cheap to clone; clones share connections and credentials.
#[derive(Clone)]
pub struct CloudClient {
    pub(crate) shared: Arc<Shared>,
    pub(crate) minimal: bool,
    pub(crate) key: Option<Arc<str>>,
}

pub(crate) struct Shared {
    pub(crate) http: reqwest::Client,
    /// Without a trailing slash.
    pub(crate) base: String,
    headers: HeaderMap,
    credential: RwLock<Credential>,
    pub(crate) deadline: Duration,
    pub(crate) upload_deadline: Duration,
    pub(crate) max_answer_bytes: usize,
    pub(crate) retry: RetryPolicy,
    pub(crate) line: LineOptions,
}

#[derive(Clone, Default)]
struct Credential {
    authorization: Option<HeaderValue>,
    cookie: Option<HeaderValue>,
    csrf: Option<HeaderValue>,
}

impl fmt::Debug for CloudClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudClient")
            .field("base", &self.shared.base)
            .finish_non_exhaustive()
    }
}

/// Options of a client.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    base: String,
    token: Option<String>,
    session: Option<(String, String)>,
    headers: Vec<(String, String)>,
    deadline: Duration,
    upload_deadline: Duration,
    connect: Duration,
    max_answer_bytes: usize,
    retry: RetryPolicy,
    line: LineOptions,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl CloudClient {
    /// A client of the cloud at this address, such as `https://cowork.example.com`. A path is kept, so that a cloud
    /// below a prefix can be used.
    pub fn builder(base: impl Into<String>) -> Builder {
        Builder {
            base: base.into(),
            token: None,
            session: None,
            headers: Vec::new(),
            deadline: Duration::from_secs(30),
            upload_deadline: Duration::from_secs(300),
            connect: Duration::from_secs(5),
            max_answer_bytes: 64 * 1024 * 1024,
            retry: RetryPolicy::default(),
            line: LineOptions::default(),
        }
    }

    /// The address, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.shared.base
    }

    /// Uses this token from the next call or reconnect on, in all clones: for tokens that are renewed.
    pub fn set_token(&self, token: &str) -> Result<(), BuildError> {
        let value = bearer(token)?;
        self.credential_mut(|credential| credential.authorization = Some(value));
        Ok(())
    }

    /// Uses this cookie session from the next call or reconnect on, in all clones: the value of the session cookie and
    /// its CSRF token (03 §6.4).
    pub fn set_cookie_session(&self, cookie: &str, csrf: &str) -> Result<(), BuildError> {
        let (cookie, csrf) = cookies(cookie, csrf)?;
        self.credential_mut(|credential| {
            credential.cookie = Some(cookie);
            credential.csrf = Some(csrf);
        });
        Ok(())
    }

    /// The same client, whose mutations ask for the short answer: no view (03 §12 #8). A prompt then costs the same
    /// however long its thread is.
    #[must_use]
    pub fn minimal(&self) -> CloudClient {
        CloudClient {
            minimal: true,
            ..self.clone()
        }
    }

    /// The same client, whose mutations carry this idempotency key: for a caller that keeps the key of a mutation until
    /// it knows the outcome, over its own restart. Use it for one mutation only: under a used key the cloud answers
    /// what it answered then, or refuses another body.
    #[must_use]
    pub fn with_idempotency_key(&self, key: impl Into<Arc<str>>) -> CloudClient {
        CloudClient {
            key: Some(key.into()),
            ..self.clone()
        }
    }

    fn credential_mut(&self, change: impl FnOnce(&mut Credential)) {
        // A poisoned lock holds whole values: each change is one assignment.
        let mut credential = match self.shared.credential.write() {
            Ok(credential) => credential,
            Err(poisoned) => poisoned.into_inner(),
        };
        change(&mut credential);
    }

    /// Headers of a call; `mutates` adds the CSRF token.
    pub(crate) fn headers(&self, mutates: bool) -> HeaderMap {
        let mut headers = self.shared.headers.clone();
        let credential = match self.shared.credential.read() {
            Ok(credential) => credential.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        if let Some(value) = credential.authorization {
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(value) = credential.cookie {
            headers.insert(COOKIE, value);
        }
        if let (Some(value), true) = (credential.csrf, mutates) {
            headers.insert("x-csrf-token", value);
        }
        headers
    }
}

impl Builder {
    /// Signs in with an API token or an OIDC token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Signs in with a browser session: the value of its cookie and its CSRF token (03 §6.4).
    pub fn cookie_session(mut self, cookie: impl Into<String>, csrf: impl Into<String>) -> Self {
        self.session = Some((cookie.into(), csrf.into()));
        self
    }

    /// Sends a header with every call, such as those of a proxy (03 §6.2).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long a call may take in all, its repetitions and its body included. 30 s when not given.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same for calls that carry files. 5 min when not given.
    pub fn upload_deadline(mut self, deadline: Duration) -> Self {
        self.upload_deadline = deadline;
        self
    }

    /// How long one connection may take to open. 5 s when not given.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect = deadline;
        self
    }

    /// Longest answer that is read. 64 MiB when not given.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// How calls are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How streams reconnect.
    pub fn line(mut self, options: LineOptions) -> Self {
        self.line = options;
        self
    }

    /// The client. Opens no connection yet.
    pub fn build(self) -> Result<CloudClient, BuildError> {
        let url = address(&self.base)?;
        let mut headers = HeaderMap::new();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!(
                "open-cowork-cloud-client/",
                env!("CARGO_PKG_VERSION")
            )),
        );
        for (name, value) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes());
            let header = header.map_err(|_| BuildError::Header { name: name.clone() })?;
            headers.insert(header, secret_value(name, value)?);
        }
        let mut credential = Credential::default();
        if let Some(token) = &self.token {
            credential.authorization = Some(bearer(token)?);
        }
        if let Some((cookie, csrf)) = &self.session {
            let (cookie, csrf) = cookies(cookie, csrf)?;
            credential.cookie = Some(cookie);
            credential.csrf = Some(csrf);
        }
        // A redirect would carry the token to a place that nobody named.
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect)
            .tcp_keepalive(Duration::from_secs(30));
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        #[cfg(feature = "rustls")]
        {
            http = http.tls_backend_preconfigured(tls()?);
        }
        let http = http.build().map_err(|error| BuildError::Http {
            reason: error.without_url().to_string(),
        })?;
        Ok(CloudClient {
            shared: Arc::new(Shared {
                http,
                base: url.as_str().trim_end_matches('/').to_owned(),
                headers,
                credential: RwLock::new(credential),
                deadline: self.deadline,
                upload_deadline: self.upload_deadline,
                max_answer_bytes: self.max_answer_bytes,
                retry: self.retry,
                line: self.line,
            }),
            minimal: false,
            key: None,
        })
    }
}

/// TLS with the roots of this machine. The crypto is named here: a program's default could be another one, or none.
#[cfg(feature = "rustls")]
fn tls() -> Result<rustls::ClientConfig, BuildError> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let refused = |error: rustls::Error| BuildError::Http {
        reason: error.to_string(),
    };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    let verified = config.with_platform_verifier().map_err(refused)?;
    Ok(verified.with_no_client_auth())
}

fn address(base: &str) -> Result<Url, BuildError> {
    let refuse = |reason: &str| {
        Err(BuildError::Address {
            reason: reason.to_owned(),
        })
    };
    let Ok(url) = Url::parse(base.trim()) else {
        return refuse("write it in full, such as https://cowork.example.com");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return refuse("it must begin with http:// or https:// and name a host");
    }
    if url.scheme() == "https" && !cfg!(feature = "rustls") {
        return refuse("this program was built without TLS; build it with the feature `rustls`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("leave user and password out; give a token instead");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("leave out what follows `?` or `#`");
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

fn secret_value(name: &str, value: &str) -> Result<HeaderValue, BuildError> {
    let value = HeaderValue::from_str(value);
    let mut value = value.map_err(|_| BuildError::Header {
        name: name.to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn bearer(token: &str) -> Result<HeaderValue, BuildError> {
    secret_value("authorization", &format!("Bearer {}", token.trim()))
}

fn cookies(session: &str, csrf: &str) -> Result<(HeaderValue, HeaderValue), BuildError> {
    let split = |text: &str| text.contains([';', ',', ' ']);
    if split(session) || split(csrf) {
        return Err(BuildError::Header {
            name: "cookie".to_owned(),
        });
    }
    let cookie = format!("open_cowork_cloud_session={session}; open_cowork_cloud_csrf={csrf}");
    Ok((
        secret_value("cookie", &cookie)?,
        secret_value("x-csrf-token", csrf)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(base: &str) -> String {
        match CloudClient::builder(base).build() {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{base} was taken"),
        }
    }

    #[test]
    fn an_address_is_refused_with_what_to_write_instead_and_never_repeated() {
        for base in [
            "",
            "cowork.example.com",
            "ftp://x",
            "http://",
            "http://u:canary@x",
            "http://x?t=canary",
            "http://x#canary",
        ] {
            let message = refused(base);
            assert!(!message.contains("canary"), "{message}");
        }
        #[cfg(not(feature = "rustls"))]
        assert!(refused("https://x").contains("feature `rustls`"));
    }

    #[test]
    fn an_address_loses_its_slashes_and_keeps_its_path() {
        let base = |text: &str| {
            CloudClient::builder(text)
                .build()
                .unwrap()
                .base()
                .to_owned()
        };
        assert_eq!(base("http://127.0.0.1:8787/"), "http://127.0.0.1:8787");
        assert_eq!(base(" http://h/cloud// "), "http://h/cloud");
    }

    #[test]
    fn no_credential_is_in_debug_or_in_an_error() {
        let client = CloudClient::builder("http://h")
            .token("canary-token")
            .cookie_session("canary-cookie", "canary-csrf")
            .header("x-secret", "canary-header")
            .build()
            .unwrap();
        assert!(!format!("{client:?} {:?}", client.headers(true)).contains("canary"));
        let builder = CloudClient::builder("http://h").token("canary");
        assert!(!format!("{builder:?}").contains("canary"));
        let error = CloudClient::builder("http://h")
            .token("canary\n")
            .header("x", "canary\u{7f}\n");
        assert!(!error.build().unwrap_err().to_string().contains("canary"));
        let split = client
            .set_cookie_session("canary; other=1", "x")
            .unwrap_err();
        assert!(!split.to_string().contains("canary"));
    }

    #[cfg(feature = "rustls")]
    #[tokio::test]
    async fn over_https_nothing_is_said_before_the_server_has_proved_itself() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = vec![0; 4096];
            let length = socket.read(&mut heard).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            heard.truncate(length);
            heard
        });
        let client = CloudClient::builder(base)
            .token("canary-token")
            .deadline(Duration::from_secs(2))
            .build()
            .unwrap();
        assert!(client.sessions().list(&Default::default()).await.is_err());
        let heard = heard.await.unwrap();
        assert_eq!(heard[0], 22, "a handshake of TLS");
        assert!(!heard.windows(6).any(|window| window == b"canary"));
    }

    #[test]
    fn the_csrf_token_goes_with_mutations_only() {
        let client = CloudClient::builder("http://h")
            .cookie_session("c", "t")
            .build()
            .unwrap();
        assert!(client.headers(true).contains_key("x-csrf-token"));
        assert!(!client.headers(false).contains_key("x-csrf-token"));
        assert_eq!(
            client.headers(false)["cookie"],
            "open_cowork_cloud_session=c; open_cowork_cloud_csrf=t"
        );
    }

    #[test]
    fn a_renewed_token_reaches_all_clones() {
        let client = CloudClient::builder("http://h")
            .token("old")
            .build()
            .unwrap();
        let clone = client.minimal();
        client.set_token("new").unwrap();
        assert_eq!(clone.headers(false)["authorization"], "Bearer new");
    }
}
