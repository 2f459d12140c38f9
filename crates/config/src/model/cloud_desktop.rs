//! Clouds on the desktop (02 §4.11).

use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// Clouds on the desktop (02 §4.11).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudDesktop {
    /// Whether there are any; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether people may add one; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_user_added_connections: Option<bool>,
    /// Clouds that are known from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconfigured_connections: Option<Vec<PreconfiguredConnection>>,
    /// Whether only these are shown; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_managed_org: Option<bool>,
    /// What is kept; `full` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_mode: Option<CacheMode>,
    /// What happens where the machine can't encrypt; `metadata-only` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_encryption_fallback: Option<CacheEncryptionFallback>,
}

/// A cloud that the desktop knows from the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreconfiguredConnection {
    /// Its address.
    pub base_url: String,
    /// What people see; the host when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

text_enum! {
    /// What the desktop keeps of a cloud workspace.
    pub enum CacheMode {
        /// Everything.
        Full = "full",
        /// Names and times only.
        MetadataOnly = "metadata-only",
        /// Nothing.
        Disabled = "disabled",
    }
}

text_enum! {
    /// What happens where the machine can't encrypt.
    pub enum CacheEncryptionFallback {
        /// Names and times only are kept.
        MetadataOnly = "metadata-only",
        /// Nothing is kept.
        Disabled = "disabled",
        /// The desktop doesn't start.
        FailStartup = "fail-startup",
    }
}
