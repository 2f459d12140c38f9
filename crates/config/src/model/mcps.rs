//! MCP servers (02 §4.6).

use crate::model::credentials::Credential;
use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use crate::redact::command_masked;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// An MCP server. `Debug` shows the program of its command and counts the arguments; `Serialize` masks those that
/// look like secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "without_secrets"
    )]
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

/// Arguments that look like secrets are written as everything secret of these types is: not at all.
#[expect(clippy::ref_option, reason = "serde calls it with the field")]
fn without_secrets<S: Serializer>(
    command: &Option<Vec<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let command = command.as_ref();
    let shown = command.map(|list| command_masked(list.iter().map(String::as_str)));
    shown.serialize(serializer)
}

impl fmt::Debug for Mcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only the program: an argument may hold a secret, whatever it is called.
        let program = self.command.as_ref().and_then(|command| command.first());
        let arguments = self
            .command
            .as_ref()
            .map(|command| command.len().saturating_sub(1));
        f.debug_struct("Mcp")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("description", &self.description)
            .field("auth_mode", &self.auth_mode)
            .field("package_name", &self.package_name)
            .field("program", &program)
            .field("arguments", &arguments)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("header_settings", &self.header_settings)
            .field("env_settings", &self.env_settings)
            .field("credentials", &self.credentials)
            .field("credential_help", &self.credential_help)
            .field("allow_private_network", &self.allow_private_network)
            .field("google_auth", &self.google_auth)
            .finish()
    }
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
