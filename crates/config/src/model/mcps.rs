//! MCP servers (02 §4.6).

use crate::model::credentials::Credential;
use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// An MCP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mcp {
    /// Its name, which its tools carry.
    pub name: String,
    /// How it is reached.
    #[serde(rename = "type")]
    pub kind: McpType,
    /// What it does.
    pub description: String,
    /// How it is signed in to.
    pub auth_mode: McpAuthMode,
    /// Bundled package, for a local server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_name: Option<String>,
    /// Command and arguments, for a local server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Address, for a remote server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Fixed header values by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<IndexMap<String, Secret>>,
    /// Credentials that become headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_settings: Option<Vec<HeaderSetting>>,
    /// Credentials that become environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_settings: Option<Vec<EnvSetting>>,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Vec<Credential>>,
    /// How people get the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_help: Option<String>,
    /// Whether it may be on a private network; never opens metadata addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_private_network: Option<bool>,
    /// Whether it gets the Google credentials of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_auth: Option<bool>,
}

/// A stored credential that becomes an environment variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvSetting {
    /// Name of the variable.
    pub env: String,
    /// Key of the credential.
    pub key: String,
}

/// A stored credential that becomes a header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderSetting {
    /// Name of the header.
    pub header: String,
    /// Key of the credential.
    pub key: String,
    /// Text before the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

text_enum! {
    /// How an MCP server is reached.
    pub enum McpType {
        /// As a process.
        Local = "local",
        /// By its address.
        Remote = "remote",
    }
}

text_enum! {
    /// How an MCP server is signed in to.
    pub enum McpAuthMode {
        /// Not at all.
        None = "none",
        /// With OAuth.
        Oauth = "oauth",
        /// With a token.
        ApiToken = "api_token",
    }
}
