//! Sign-in to the cloud (02 §4.10).

use crate::model::number::Whole;
use crate::model::secret::Secret;
use crate::model::secret::SecretRef;
use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// Sign-in to the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudAuth {
    /// How people sign in; `none` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CloudAuthMode>,
    /// The OpenID issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_url: Option<String>,
    /// The OpenID client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Reference to the client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretRef>,
    /// Reference to the key of the session cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_secret_ref: Option<SecretRef>,
    /// Reference to the key of the header signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_secret_ref: Option<SecretRef>,
    /// The key of the header signature itself; a reference is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_secret: Option<Secret>,
    /// Whether an unsigned header is believed; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_allow_unsigned: Option<bool>,
    /// How old a signature may be, milliseconds; 300000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_max_signature_age_ms: Option<Whole>,
    /// Path that the issuer sends people back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_path: Option<String>,
    /// Mail domains for signup mode `domain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_email_domains: Option<Vec<String>>,
    /// Whether people may sign up by themselves; true when absent, false with `oidc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_self_service_signup: Option<bool>,
    /// Who may sign up; `open` when absent, `invite` with `oidc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signup_mode: Option<SignupMode>,
    /// API tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_tokens: Option<ApiTokens>,
}

/// API tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiTokens {
    /// How long a token lives, milliseconds; 90 days when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl_ms: Option<Whole>,
    /// How long it may live, milliseconds; 365 days when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl_ms: Option<Whole>,
    /// Scopes that may be asked for; the first four when absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<Vec<TokenScope>>,
}

text_enum! {
    /// How people sign in to the cloud.
    pub enum CloudAuthMode {
        /// Not at all.
        None = "none",
        /// By a header that a proxy signs.
        Header = "header",
        /// By OpenID Connect.
        Oidc = "oidc",
    }
}

text_enum! {
    /// Who may sign up.
    pub enum SignupMode {
        /// Nobody.
        Disabled = "disabled",
        /// Who is invited.
        Invite = "invite",
        /// Who has an address in a listed domain.
        Domain = "domain",
        /// Anybody.
        Open = "open",
    }
}

text_enum! {
    /// What an API token opens.
    pub enum TokenScope {
        /// A desktop.
        Desktop = "desktop",
        /// A gateway.
        Gateway = "gateway",
        /// Administration.
        Admin = "admin",
        /// Operation.
        Operator = "operator",
        /// A worker.
        WorkerInternal = "worker-internal",
    }
}
