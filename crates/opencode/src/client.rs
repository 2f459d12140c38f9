//! The client of one OpenCode process: where it is, who we are, how long and how much.

use crate::error::Error;
use crate::stream::{self, EventStream};
use base64::Engine;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

/// Configuration of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// From the readiness line: `http://127.0.0.1:<port>`. Loopback only: the protocol is plain HTTP with a password.
    pub base_url: String,
    /// User name; OpenCode's default is `opencode` (docs/contract/08-opencode.md §1.2).
    pub username: String,
    /// Password of the process.
    pub password: SecretString,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Sizes.
    pub limits: Limits,
}

impl ClientConfig {
    /// The defaults for a process.
    pub fn new(base_url: impl Into<String>, password: SecretString) -> Self {
        Self {
            base_url: base_url.into(),
            username: "opencode".into(),
            password,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

/// Deadlines. Each covers a whole call: connecting, the headers and the last byte of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Reads and answers. Default 15 s: the first call of a directory boots it (§1.1), slowly on a busy machine.
    pub call: Duration,
    /// One page of a history. Default 60 s.
    pub history: Duration,
    /// A prompt, which may boot plugins and take a snapshot. Default 30 s.
    pub prompt: Duration,
    /// Headers and first frame of the event stream. Default 10 s.
    pub connect: Duration,
    /// Longest silence of the event stream before it counts as broken. Default 25 s, the heartbeat comes every
    /// 10 s (§12.5).
    pub heartbeat: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(15),
            history: Duration::from_secs(60),
            prompt: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            heartbeat: Duration::from_secs(25),
        }
    }
}

/// Largest sizes, in bytes where not said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Body of a request. Default 8 MiB (§15.6); OpenCode itself has no limit (§1.4).
    pub request: usize,
    /// Body of an answer. Default 1 MiB.
    pub answer: usize,
    /// Body of one page of a history, and of catalogues. Default 64 MiB.
    pub history: usize,
    /// Sum of the pages of one history. Default 512 MiB.
    pub history_total: usize,
    /// Messages per page. Default 200.
    pub page: usize,
    /// One frame of the event stream. Default 32 MiB.
    pub frame: usize,
    /// Frames in the queue between socket and reader. Default 4096.
    pub queued_frames: usize,
    /// Bytes in that queue. Default 16 MiB; a larger frame passes alone.
    pub queued_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            request: 8 * MIB,
            answer: MIB,
            history: 64 * MIB,
            history_total: 512 * MIB,
            page: 200,
            frame: 32 * MIB,
            queued_frames: 4096,
            queued_bytes: 16 * MIB,
        }
    }
}

/// Client of one OpenCode process. Cheap to clone; clones share the connections.
///
/// ```
/// use open_cowork_opencode::{Client, ClientConfig};
/// let password = secrecy::SecretString::from("of this process");
/// assert!(Client::new(ClientConfig::new("http://127.0.0.1:4096", password.clone())).is_ok());
/// assert!(Client::new(ClientConfig::new("http://example.com", password)).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) http: reqwest::Client,
    /// `http://127.0.0.1:port`, without a slash at the end.
    pub(crate) base: String,
    /// Marked sensitive: never printed.
    pub(crate) authorization: HeaderValue,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
}

impl Client {
    /// Makes a client; connects to nothing yet.
    ///
    /// Fails with [`Error::Config`] when the address isn't plain HTTP on loopback, when the user name holds a colon,
    /// or when a limit is zero.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let ClientConfig {
            base_url,
            username,
            password,
            timeouts,
            limits,
        } = config;
        let base = loopback_base(&base_url)?;
        let authorization = basic(&username, &password)?;
        if [
            limits.page,
            limits.frame,
            limits.queued_frames,
            limits.queued_bytes,
        ]
        .contains(&0)
        {
            return Err(Error::Config(
                "page, frame and queue limits must be above zero".into(),
            ));
        }
        let http = reqwest::Client::builder()
            // A proxy of the environment must never see loopback traffic, and a redirect never our password.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(timeouts.connect)
            .tcp_nodelay(true)
            // Shorter than the server's own keep-alive, so that a call doesn't meet a connection that just closes.
            .pool_idle_timeout(Duration::from_secs(4))
            .build()
            .map_err(|error| Error::Config(format!("the HTTP client can't be made ({error})")))?;
        Ok(Self {
            shared: Arc::new(Shared {
                http,
                base,
                authorization,
                timeouts,
                limits,
            }),
        })
    }

    /// Opens one connection to `/global/event`: the events of all directories (§7). Must be called inside a tokio
    /// runtime. What comes after [`Broken`](crate::StreamItem::Broken) is the caller's decision: usually wait for
    /// [`Backoff`](crate::Backoff), connect anew and read the sessions again (§12).
    pub fn global_events(&self) -> EventStream {
        stream::connect(self.clone())
    }
}

/// The address without its trailing slash, if it is plain HTTP on loopback.
fn loopback_base(base_url: &str) -> Result<String, Error> {
    let refuse = |reason: &str| {
        Err(Error::Config(format!(
            "the address must look like http://127.0.0.1:4096, but {reason}"
        )))
    };
    let Ok(url) = reqwest::Url::parse(base_url) else {
        return refuse("it is not a URL");
    };
    if url.scheme() != "http" {
        return refuse("its scheme is not http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it holds credentials");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return refuse("it has a path, a query or a fragment");
    }
    // `localhost` may resolve to anything; the address that it stands for is unambiguous.
    let host = match url.host_str() {
        Some("localhost") => "127.0.0.1",
        Some(host) => host,
        None => return refuse("it has no host"),
    };
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    if !address.is_ok_and(|address| address.is_loopback()) {
        return refuse("its host is not a loopback address");
    }
    Ok(format!("http://{host}:{}", url.port().unwrap_or(80)))
}

/// The value of the authorization header (§4.1).
fn basic(username: &str, password: &SecretString) -> Result<HeaderValue, Error> {
    if username.contains(':') {
        return Err(Error::Config("the user name must not hold a colon".into()));
    }
    let plain = format!("{username}:{}", password.expose_secret());
    let encoded = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(plain)
    );
    let mut header = HeaderValue::from_str(&encoded)
        .map_err(|_| Error::Config("the credentials can't be sent as a header".into()))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_on_loopback_is_accepted() {
        for good in [
            "http://127.0.0.1:4096",
            "http://127.0.0.1:4096/",
            "http://[::1]:4096",
            "http://127.9.9.9",
        ] {
            assert!(loopback_base(good).is_ok(), "{good}");
        }
        assert_eq!(
            loopback_base("http://localhost:7").unwrap(),
            "http://127.0.0.1:7"
        );
        for bad in [
            "https://127.0.0.1:4096",
            "http://example.com",
            "http://10.0.0.1:4096",
            "http://u:p@127.0.0.1:1",
            "http://127.0.0.1:1/path",
            "http://127.0.0.1.example.com",
            "127.0.0.1:4096",
            "",
        ] {
            assert!(loopback_base(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn neither_debug_output_nor_errors_show_the_password() {
        let password = "s3cret-value:with colon";
        let config = ClientConfig::new("http://127.0.0.1:1", password.to_owned().into());
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("opencode:{password}"));
        let client = Client::new(config.clone()).unwrap();
        for text in [format!("{config:?}"), format!("{client:?}")] {
            assert!(
                !text.contains("s3cret") && !text.contains(&encoded),
                "{text}"
            );
        }
    }
}
