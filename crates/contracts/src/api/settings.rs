//! Settings that travel with a user (03 §8.8).

use crate::{JsonObject, TenantId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of a key at most.
pub const MAX_SETTING_KEY: usize = 256;

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Owner; null: the whole tenant.
    pub user_id: Option<UserId>,
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// `GET /api/settings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// By key.
    pub settings: Vec<Setting>,
}

/// `GET /api/settings/:key` and every write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingAnswer {
    /// Null: never set.
    pub setting: Option<Setting>,
}

/// A write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PutSetting {
    /// Its name, unless the path has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its value.
    pub value: Option<JsonObject>,
}
