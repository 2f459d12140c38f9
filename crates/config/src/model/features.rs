//! What the desktop shows (02 §4.9).

use serde::{Deserialize, Serialize};

/// What the desktop shows (02 §4.9).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Features {
    /// Projects; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<bool>,
    /// Knowledge; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<bool>,
    /// Approvals; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<bool>,
    /// The team; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<bool>,
    /// Playbooks; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbooks: Option<bool>,
    /// Channels; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<bool>,
    /// Tools; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Artifacts; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<bool>,
    /// Voice; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<bool>,
}
