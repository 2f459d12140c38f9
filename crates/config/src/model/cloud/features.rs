//! What the cloud offers (02 §4.10).

use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// Whether plans limit what an organization may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntitlementsSettings {
    /// Whether they do; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who decides; `none` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<EntitlementsProvider>,
}

/// What the cloud offers; on when absent, where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudFeatures {
    /// Chats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<bool>,
    /// Agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<bool>,
    /// Artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<bool>,
    /// The list of threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_index: Option<bool>,
    /// Workflows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflows: Option<bool>,
    /// Webhooks; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<bool>,
    /// Settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<bool>,
    /// Skills of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_skills: Option<bool>,
    /// Agents of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_agents: Option<bool>,
    /// MCP servers of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_mcps: Option<bool>,
    /// Knowledge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<bool>,
    /// Channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<bool>,
    /// Provider keys of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byok: Option<bool>,
}

text_enum! {
    /// Who decides on entitlements.
    pub enum EntitlementsProvider {
        /// Nobody.
        None = "none",
        /// Stripe.
        Stripe = "stripe",
        /// A service of one's own.
        Custom = "custom",
    }
}
