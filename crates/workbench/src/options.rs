//! How a program sets the workbench up.

use crate::base_path::{BasePath, segment};
use crate::branding::Branding;
use crate::theme::Theme;
use jiff::{Timestamp, tz::TimeZone};
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Options of [`crate::router`].
#[derive(Clone)]
pub struct Options {
    /// Who may open the page.
    pub access: Access,
    /// The path below which all of it lives.
    pub base: BasePath,
    /// Key of the form tokens, where several processes serve one page; absent: a random one of this start.
    pub form_key: Option<Arc<[u8]>>,
    /// Whether people choose the folder that a chat works in; a managed workspace has one of its own for each.
    pub folders: bool,
    /// Whether the settings hold keys for all of an organisation, and models come from its configuration.
    pub managed_keys: bool,
    /// Name, words, links and pictures.
    pub branding: Branding,
    /// Colours of both themes.
    pub theme: Theme,
    /// Bounds.
    pub limits: Limits,
    /// Zone in which times are written.
    pub zone: TimeZone,
    /// The clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Ends the open event streams; a server that waits for its connections cancels it first.
    pub shutdown: CancellationToken,
}

impl Options {
    /// Defaults around an access rule.
    pub fn new(access: Access) -> Self {
        Options {
            access,
            base: BasePath::root(),
            form_key: None,
            folders: true,
            managed_keys: false,
            branding: Branding::default(),
            theme: Theme::default(),
            limits: Limits::default(),
            zone: TimeZone::system(),
            now: Arc::new(Timestamp::now),
            shutdown: CancellationToken::new(),
        }
    }

    /// Path and query of the first visit; put `http://127.0.0.1:PORT` before it.
    pub fn entry_path(&self) -> String {
        format!(
            "{}?token={}",
            self.base.home(),
            segment(self.access.token())
        )
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("access", &self.access)
            .field("base", &self.base)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Who may open the page. `Debug` shows no token.
#[derive(Clone)]
pub struct Access(pub(crate) Door);

#[derive(Clone)]
pub(crate) enum Door {
    /// The holder of the per-start token, under these host names only.
    Token { token: String, hosts: Vec<String> },
    /// Whoever the program in front signed in ([`SignedIn`]), under these origins only; empty: under any.
    SignedIn { origins: Vec<String> },
}

/// Somebody whom the program in front of the workbench signed in. It puts one into the extensions of each request; a
/// request without one is let nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// What the forms are bound to: the browser's session, or the person where there is none. Never shown.
    pub session: String,
    /// Who, in one line for the rail, such as an e-mail address.
    pub account: Option<String>,
    /// Whether they can sign out: the answer to that form carries [`SignOut`].
    pub can_sign_out: bool,
}

/// In the extensions of an answer: the person asked to be signed out, and the program in front does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignOut;

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// A page on loopback under `127.0.0.1`, `localhost` and `[::1]`, with a fresh random token.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn loopback(port: u16) -> Result<Self, getrandom::Error> {
        Ok(Access::with_token(port, random_token()?))
    }

    /// The same with a given token (at least 16 characters make sense; an empty one opens for nobody).
    pub fn with_token(port: u16, token: impl Into<String>) -> Self {
        let hosts = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .map(|host| format!("{host}:{port}"))
            .collect();
        Access(Door::Token {
            token: token.into(),
            hosts,
        })
    }

    /// A page behind a program that signs people in, under origins such as `https://cowork.example.com` or
    /// `http://127.0.0.1:8787`. Without any origin each host name is taken: only for a server that others reach
    /// through a proxy which checks it.
    pub fn signed_in(origins: impl IntoIterator<Item = String>) -> Self {
        Access(Door::SignedIn {
            origins: origins
                .into_iter()
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
        })
    }

    /// The token, for the address that opens the page; empty when the program in front signs people in.
    pub fn token(&self) -> &str {
        match &self.0 {
            Door::Token { token, .. } => token,
            Door::SignedIn { .. } => "",
        }
    }

    /// Whether the page answers under that host name, as a request names it in lower case.
    pub(crate) fn is_host(&self, host: &str) -> bool {
        match &self.0 {
            Door::Token { hosts, .. } => hosts.iter().any(|known| known == host),
            Door::SignedIn { origins } => {
                let authority = |origin: &String| {
                    origin
                        .split_once("://")
                        .is_some_and(|(_, known)| known == host)
                };
                !host.is_empty() && (origins.is_empty() || origins.iter().any(authority))
            }
        }
    }

    /// Whether a page of that origin is one of ours, when the request itself is for `host`.
    pub(crate) fn is_origin(&self, origin: &str, host: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match &self.0 {
            Door::SignedIn { origins } if !origins.is_empty() => origins.contains(&origin),
            Door::SignedIn { .. } => origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"))
                .is_some_and(|known| known == host),
            Door::Token { .. } => origin == format!("http://{host}"),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Door::Token { hosts, .. } => f
                .debug_struct("Access")
                .field("hosts", hosts)
                .field("token", &"[hidden]")
                .finish(),
            Door::SignedIn { origins } => {
                f.debug_struct("Access").field("origins", origins).finish()
            }
        }
    }
}

/// Bounds of one workbench.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest prompt, bytes.
    pub prompt_bytes: usize,
    /// Open event streams at a time.
    pub streams: usize,
    /// Items of a chat's timeline on one page.
    pub timeline_items: usize,
    /// Rows of the chat list on one page.
    pub list_rows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            prompt_bytes: 8 * 1024 * 1024,
            streams: 64,
            timeline_items: 100,
            list_rows: 50,
        }
    }
}

/// 32 random bytes, base64url.
pub(crate) fn random_token() -> Result<String, getrandom::Error> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
