//! Sign-in to the desktop (02 §4.3).

use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// Sign-in to the desktop (02 §4.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Auth {
    /// How people sign in.
    pub mode: AuthMode,
    /// The Google client, for `google-oauth`.
    #[serde(
        rename = "googleOAuth",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub google_oauth: Option<GoogleOauth>,
}

/// The Google client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoogleOauth {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// What is asked for; openid, email and cloud-platform when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

text_enum! {
    /// How people sign in to the desktop.
    pub enum AuthMode {
        /// Not at all.
        None = "none",
        /// With a Google account.
        GoogleOauth = "google-oauth",
    }
}
