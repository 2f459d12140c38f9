//! Single sign-on of an organisation, as it may be shown (03 §8.17, 04 §1.6).

use crate::OrgId;
use crate::api::lenient::nullable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// How the identity provider speaks.
    SsoProtocol {
        /// SAML 2.0.
        Saml = "saml",
        /// OpenID Connect.
        Oidc = "oidc",
    }
}

/// The record without its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SsoConfig {
    /// Organisation.
    pub org_id: OrgId,
    /// Protocol.
    pub protocol: SsoProtocol,
    /// In use.
    pub enabled: bool,
    /// Nobody of the verified domains may come in another way.
    pub enforced: bool,
    /// Name for people.
    pub display_name: Option<String>,
    /// Lowercase, sorted.
    pub verified_domains: Vec<String>,
    /// To be published in the domain's DNS.
    pub domain_verification_token: String,
    /// Issuer.
    pub oidc_issuer: Option<String>,
    /// Client id.
    pub oidc_client_id: Option<String>,
    /// Our entity id.
    pub saml_entity_id: Option<String>,
    /// Where assertions come to.
    pub saml_acs_url: Option<String>,
    /// Where logouts come to.
    pub saml_slo_url: Option<String>,
    /// The provider's entity id.
    pub saml_idp_entity_id: Option<String>,
    /// The provider's login.
    pub saml_idp_sso_url: Option<String>,
    /// The provider's metadata.
    pub saml_idp_metadata_url: Option<String>,
    /// People are provisioned by SCIM.
    pub scim_enabled: bool,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
    /// A client secret is stored.
    pub has_oidc_client_secret: bool,
    /// A certificate is stored.
    pub has_saml_idp_certificate: bool,
    /// A SCIM token was issued.
    pub has_scim_token: bool,
}

/// `GET` and `POST /api/admin/sso`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SsoAnswer {
    /// Null: none is configured.
    pub sso: Option<SsoConfig>,
}

/// `POST /api/admin/sso`. Absent keeps, `null` clears; unknown members are refused.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateSso {
    /// Protocol; a new record has `oidc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<SsoProtocol>,
    /// In use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Nobody of the verified domains may come in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced: Option<bool>,
    /// At most 128 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Option<String>>,
    /// At most 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_domains: Option<Vec<String>>,
    /// https, at most 2048 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<Option<String>>,
    /// At most 512 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub oidc_client_id: Option<Option<String>>,
    /// Write only.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub oidc_client_secret: Option<Option<String>>,
    /// At most 1024 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_entity_id: Option<Option<String>>,
    /// https, at most 2048 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_acs_url: Option<Option<String>>,
    /// https, at most 2048 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_slo_url: Option<Option<String>>,
    /// At most 1024 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_idp_entity_id: Option<Option<String>>,
    /// https, at most 2048 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_idp_sso_url: Option<Option<String>>,
    /// https, at most 2048 characters.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_idp_metadata_url: Option<Option<String>>,
    /// Write only.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub saml_idp_certificate: Option<Option<String>>,
}

impl std::fmt::Debug for UpdateSso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateSso").finish_non_exhaustive()
    }
}

/// `POST /api/admin/sso/scim-token`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedScimToken {
    /// The record, with SCIM on.
    pub config: SsoConfig,
    /// Shown once.
    pub scim_token: String,
}

impl std::fmt::Debug for IssuedScimToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedScimToken").finish_non_exhaustive()
    }
}
