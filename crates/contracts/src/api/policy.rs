//! Managed policy (03 §8.15). The rules and the view are in the crate `policy`; here is what travels.

use crate::JsonObject;
use crate::OrgId;
use crate::api::lenient::nullable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The policy as it was stored: its own fields, and where it belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPolicyRecord {
    /// Organisation.
    pub org_id: OrgId,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
    /// `allowedProviders`, `deniedProviders`, `allowedModels`, `deniedModels`, `keyManagement`, `extensions`,
    /// `features`, `permissionCeilings`, `updateChannel`.
    #[serde(flatten)]
    pub policy: JsonObject,
}

/// `GET` and `PUT /api/policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPolicyAnswer {
    /// Null: nothing was ever set.
    pub policy: Option<ManagedPolicyRecord>,
    /// The policy in force, with `disabledByPolicy`.
    pub view: JsonObject,
}

/// `GET /api/policy/effective`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectivePolicyAnswer {
    /// The policy in force, with `disabledByPolicy`.
    pub policy: JsonObject,
}

/// `PUT /api/policy`: absent keeps, `null` lifts, a value sets; objects merge by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedPolicyChange {
    /// Provider ids that may be used; null: any.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub allowed_providers: Option<Option<Vec<String>>>,
    /// Provider ids that may not; this list wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_providers: Option<Vec<String>>,
    /// Models that may be used; null: any.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<Option<Vec<String>>>,
    /// Models that may not; this list wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_models: Option<Vec<String>>,
    /// `any`, `byok_required` or `org_managed_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_management: Option<String>,
    /// `customProviders`, `customMcps`, `customSkills`: true or false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<JsonObject>,
    /// Switches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<std::collections::BTreeMap<String, bool>>,
    /// `bash`, `fileWrite`, `web`, `webSearch`, `task`, `mcp`, `externalDirectory`: `allow`, `ask` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_ceilings: Option<std::collections::BTreeMap<String, String>>,
    /// Release channel; null: any.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub update_channel: Option<Option<String>>,
}
