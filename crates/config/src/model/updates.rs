//! Where updates of the desktop come from (02 §4.5).

use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Updates of the desktop (02 §4.5).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Updates {
    /// Whether updates are looked for; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where a person finds a release by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_fallback_url: Option<String>,
    /// Where releases come from; the repository of `branding.helpUrl` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_source: Option<ReleaseSource>,
}

/// Objects in a Google Cloud Storage bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gcs {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Release channel; `latest` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// Folder in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Sign-in; `google-oauth` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<GcsAuth>,
}

/// With addresses that a broker signs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsSignedUrlBroker {
    /// The broker.
    pub broker_url: String,
    /// OAuth scopes; read-only storage when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_scopes: Option<Vec<String>>,
}

/// With the Google account of the person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsGoogleOauth {
    /// OAuth scopes; read-only storage when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_scopes: Option<Vec<String>>,
}

/// A feed at an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenericHttp {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Release channel; `latest` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Where the feed is.
    pub url: String,
    /// Sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HttpAuth>,
}

/// Releases of a GitHub repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GithubReleases {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Release channel; `latest` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Owner of the repository; that of `branding.helpUrl` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<GithubAuth>,
}

/// Sign-in to a feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpAuth {
    /// How.
    pub kind: HttpAuthKind,
    /// Header values by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<IndexMap<String, Secret>>,
}

/// Sign-in to GitHub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubAuth {
    /// How.
    pub kind: GithubAuthKind,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// Where releases come from: exactly one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum ReleaseSource {
    /// Releases of a GitHub repository.
    #[serde(rename = "github-releases")]
    GithubReleases(GithubReleases),
    /// A feed at an address.
    #[serde(rename = "generic-http")]
    GenericHttp(GenericHttp),
    /// Objects in a Google Cloud Storage bucket.
    #[serde(rename = "gcs")]
    Gcs(Gcs),
}

/// How a bucket is signed in to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum GcsAuth {
    /// With the Google account of the person.
    #[serde(rename = "google-oauth")]
    GoogleOauth(GcsGoogleOauth),
    /// With addresses that a broker signs.
    #[serde(rename = "signed-url-broker")]
    SignedUrlBroker(GcsSignedUrlBroker),
}

text_enum! {
    /// How a GitHub source signs in.
    pub enum GithubAuthKind {
        /// Not at all.
        None = "none",
        /// With a token.
        GithubToken = "github-token",
    }
}

text_enum! {
    /// How a feed signs in.
    pub enum HttpAuthKind {
        /// Not at all.
        None = "none",
        /// With fixed headers.
        StaticHeaders = "static-headers",
    }
}
