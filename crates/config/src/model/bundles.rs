//! Bundles of capabilities (02 §4.7).

use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A bundle of capabilities (02 §4.7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilityBundle {
    /// Format of the manifest.
    pub format: BundleFormat,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who answers for it.
    pub owner: String,
    /// What it brings.
    pub resources: Vec<Resource>,
    /// What it needs to be allowed.
    pub permissions: Vec<BundlePermission>,
    /// What it works with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<Compatibility>,
    /// What happens when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uninstall: Option<Uninstall>,
}

/// What a bundle needs to be allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundlePermission {
    /// What it opens.
    pub kind: PermissionKind,
    /// What exactly.
    pub id: String,
    /// Why it is needed.
    pub reason: String,
    /// Whether the bundle is useless without; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

/// A part of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id.
    pub id: String,
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether it goes with the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by_bundle: Option<bool>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_modes: Option<Vec<ProductMode>>,
    /// How well it is supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility_tier: Option<CompatibilityTier>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The command that starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What happens when a bundle goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Uninstall {
    /// Resources that go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removes: Option<Vec<ResourceSelector>>,
    /// Resources that stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserves: Option<Vec<ResourceSelector>>,
}

/// Names one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceSelector {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id.
    pub id: String,
}

/// What a bundle works with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compatibility {
    /// Versions of OpenCode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opencode: Option<String>,
    /// Tier by product mode; a mode that isn't listed is unsupported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_modes: Option<IndexMap<ProductMode, CompatibilityTier>>,
}

text_enum! {
    /// Where a bundle runs.
    pub enum ProductMode {
        /// Desktop with its own runtime.
        DesktopLocal = "desktop-local",
        /// Desktop on a cloud workspace.
        DesktopCloud = "desktop-cloud",
        /// Browser on the cloud.
        CloudWeb = "cloud-web",
        /// Chat channels of the cloud.
        CloudChannelGateway = "cloud-channel-gateway",
        /// A gateway of its own.
        StandaloneGateway = "standalone-gateway",
        /// A paired desktop.
        PairedDesktop = "paired-desktop",
        /// A host without a screen.
        HeadlessHost = "headless-host",
    }
}

text_enum! {
    /// How well something is supported.
    pub enum CompatibilityTier {
        /// Supported.
        Supported = "supported",
        /// Works, may change.
        Experimental = "experimental",
        /// Must not run.
        Blocked = "blocked",
        /// Isn't supported.
        Unsupported = "unsupported",
    }
}

text_enum! {
    /// What a resource is.
    pub enum ResourceKind {
        /// A plugin of OpenCode.
        OpencodePlugin = "opencode-plugin",
        /// A skill.
        Skill = "skill",
        /// An agent.
        Agent = "agent",
        /// An MCP server.
        Mcp = "mcp",
        /// A model provider.
        Provider = "provider",
        /// A workflow.
        Workflow = "workflow",
        /// A command.
        Command = "command",
        /// A native program.
        NativeHelper = "native-helper",
    }
}

text_enum! {
    /// What a permission opens.
    pub enum PermissionKind {
        /// A model provider.
        Provider = "provider",
        /// Files.
        Filesystem = "filesystem",
        /// MCP servers.
        Mcp = "mcp",
        /// The shell.
        Shell = "shell",
        /// Workflows.
        Workflow = "workflow",
        /// Plugins.
        Plugin = "plugin",
        /// The network.
        Network = "network",
        /// Credentials.
        Credential = "credential",
    }
}

text_enum! {
    /// Format of a manifest.
    pub enum BundleFormat {
        /// The only one.
        V1 = "open-cowork-capability-bundle-v1",
    }
}
