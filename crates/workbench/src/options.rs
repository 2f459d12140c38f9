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
        format!("{}?token={}", self.base.home(), segment(&self.access.token))
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

/// Who may open the page: the holder of the per-start token, under the given host names only. `Debug` shows no
/// token.
#[derive(Clone)]
pub struct Access {
    pub(crate) token: String,
    pub(crate) hosts: Vec<String>,
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
        Access {
            token: token.into(),
            hosts,
        }
    }

    /// The token, for the address that opens the page.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("hosts", &self.hosts)
            .field("token", &"[hidden]")
            .finish()
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
