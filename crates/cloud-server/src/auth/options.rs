//! How a deployment signs people in, as plain data (03 §3, §6).

use super::source::TrustedProxies;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::store::browser::BackoffRule;
use secrecy::SecretString;
use std::time::Duration;

/// How people sign in, beside cookies and API tokens.
#[derive(Clone, Debug, Default)]
pub enum Mode {
    /// Not at all: everybody is the fixed local owner.
    #[default]
    None,
    /// A proxy says who asks.
    Header(HeaderOptions),
    /// An OpenID provider; it is one of [`super::SignInParts`].
    Oidc,
}

/// Signed proxy headers (03 §6.2).
#[derive(Clone, Debug)]
pub struct HeaderOptions {
    /// What the proxy signs with; `None`: unsigned headers are believed, but never for owners and admins.
    pub secret: Option<SecretString>,
    /// How far its clock may be from ours.
    pub max_age: Duration,
    /// Signatures of version 1 count too; they cover neither method nor path nor body.
    pub accept_v1: bool,
}

impl Default for HeaderOptions {
    fn default() -> Self {
        HeaderOptions {
            secret: None,
            max_age: Duration::from_millis(300_000),
            accept_v1: true,
        }
    }
}

/// Cookie sessions (03 §6.4). Without them there are none.
#[derive(Clone, Debug)]
pub struct CookieOptions {
    /// Signs cookies; at least 32 bytes.
    pub secret: SecretString,
    /// They travel over https only.
    pub secure: bool,
}

/// How people sign in.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// The mode.
    pub mode: Mode,
    /// Cookie sessions.
    pub cookies: Option<CookieOptions>,
    /// The address that the outside uses.
    pub public_url: Option<String>,
    /// Hosts beside this machine's own that a login may end on when there is no public URL.
    pub allowed_hosts: Vec<String>,
    /// Where the provider sends a browser back to.
    pub callback_path: String,
    /// Who may join.
    pub signup: SignupMode,
    /// For [`SignupMode::Domain`]; lowercase.
    pub allowed_email_domains: Vec<String>,
    /// The one organisation of everybody: id and name.
    pub single_org: Option<(String, String)>,
    /// Proxies that say whose request they pass on.
    pub proxies: TrustedProxies,
    /// Failed attempts; `None`: nobody counts them.
    pub back_off: Option<BackoffRule>,
    /// Other processes work on the same store: a nonce is claimed there too.
    pub shared_store: bool,
    /// How long something verified is believed without looking again. A change in this process, or one that a
    /// wake-up tells of, ends it at once; so this is the bound for changes that nobody told us.
    pub trust: Duration,
}

impl Default for AuthOptions {
    fn default() -> Self {
        AuthOptions {
            mode: Mode::None,
            cookies: None,
            public_url: None,
            allowed_hosts: Vec::new(),
            callback_path: "/auth/callback".to_owned(),
            signup: SignupMode::Open,
            allowed_email_domains: Vec::new(),
            single_org: None,
            proxies: TrustedProxies::none(),
            back_off: Some(BackoffRule {
                window_ms: 60_000,
                max_failures: 10,
                backoff_ms: 60_000,
            }),
            shared_store: false,
            trust: Duration::from_secs(30),
        }
    }
}
