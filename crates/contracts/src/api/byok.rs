//! Own provider keys (03 §8.14). The key itself is in no answer.

use crate::api::lenient::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// State of a key.
    ByokStatus {
        /// Stored; nobody has checked it.
        PendingValidation = "pending_validation",
        /// In use.
        Active = "active",
        /// Withdrawn or replaced.
        Disabled = "disabled",
        /// The provider says it has run out.
        Expired = "expired",
        /// The provider refused it.
        Invalid = "invalid",
        /// Nobody can check keys of this provider, and unchecked ones aren't taken.
        Unsupported = "unsupported",
    }
    /// What is stored.
    CredentialKind {
        /// The key, encrypted.
        Plaintext = "plaintext",
        /// A reference to a key service.
        KmsRef = "kms_ref",
    }
}

/// A key without its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByokSecret {
    /// `byok_<uuid>`.
    pub secret_id: String,
    /// Provider, `^[a-z0-9][a-z0-9._-]*$`, at most 64.
    pub provider_id: String,
    /// State.
    pub status: ByokStatus,
    /// What is stored.
    pub credential_kind: CredentialKind,
    /// Last four characters.
    pub last4: String,
    /// Tells equal keys, 24 hex digits.
    pub key_fingerprint: String,
    /// ISO-8601; null: never checked.
    pub last_validated_at: Option<String>,
    /// Why it isn't valid, or the note of an override.
    pub validation_error: Option<String>,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// `GET /api/byok`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByokSecrets {
    /// The newest of each provider, by provider.
    pub secrets: Vec<ByokSecret>,
}

/// `GET` and `POST /api/byok/:provider`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByokSecretAnswer {
    /// Null: none.
    pub secret: Option<ByokSecret>,
}

/// `POST /api/byok/:provider`: exactly one of the members.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetByokSecret {
    /// The key.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<String>,
    /// The same by another name.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The same by another name.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The same by another name.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// A reference to a key service.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub kms_ref: Option<String>,
}

impl std::fmt::Debug for SetByokSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetByokSecret").finish_non_exhaustive()
    }
}

/// `POST …/validate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidatedByokSecret {
    /// Null: none.
    pub secret: Option<ByokSecret>,
    /// It is valid and in use.
    pub validated: bool,
}

/// `POST …/override`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverrideByokSecret {
    /// Why it is taken unchecked.
    pub reason: String,
}

/// Answer of [`OverrideByokSecret`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverriddenByokSecret {
    /// Null: none.
    pub secret: Option<ByokSecret>,
    /// It is in use now.
    pub overridden: bool,
}

/// `DELETE /api/byok/:provider`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisabledByokSecret {
    /// Null: none was in use.
    pub secret: Option<ByokSecret>,
    /// It was in use until now.
    pub disabled: bool,
}
