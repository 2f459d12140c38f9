//! Reports of use (02 §4.9).

use crate::model::secret::Secret;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Reports of use (02 §4.9).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Telemetry {
    /// Whether they are sent; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Header values by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<IndexMap<String, Secret>>,
    /// Anonymous counts of use, a channel of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<AdoptionTelemetry>,
}

/// Anonymous counts of use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdoptionTelemetry {
    /// Whether they are sent; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Header values by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<IndexMap<String, Secret>>,
}
