//! What a runtime in the cloud may do (02 §4.10).

use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// What a runtime in the cloud may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudRuntime {
    /// Whose configuration it takes; `app` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_source: Option<ConfigSource>,
    /// What launches it; `node` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launcher: Option<Launcher>,
    /// Whether it may take the machine's configuration; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_machine_runtime_config: Option<bool>,
    /// Whether MCP servers may be processes; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_local_stdio_mcps: Option<bool>,
    /// Whether any folder of the host may be a project; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_host_project_directories: Option<bool>,
    /// Whether approvals may be answered from afar; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_remote_approval_responses: Option<bool>,
    /// MCP servers that may be processes all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_local_mcp_names: Option<Vec<String>>,
    /// Folders of the host that may be projects all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_host_project_directories: Option<Vec<String>>,
}

text_enum! {
    /// Whose configuration the runtime takes.
    pub enum ConfigSource {
        /// That of the product.
        App = "app",
    }
}

text_enum! {
    /// What launches the runtime.
    pub enum Launcher {
        /// The only one.
        Node = "node",
    }
}
