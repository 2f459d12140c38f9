//! The catalogue of tools and skills (03 §8.9).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

names! {
    /// How a tool is provided.
    CapabilityToolKind {
        /// By an MCP server.
        Mcp = "mcp",
        /// By the runtime.
        BuiltIn = "built-in",
    }
    /// Who added it.
    CapabilitySource {
        /// It comes with the product or its configuration.
        Builtin = "builtin",
        /// A person added it.
        Custom = "custom",
    }
    /// How a tool signs in.
    CapabilityAuthMode {
        /// It doesn't.
        None = "none",
        /// By OAuth.
        Oauth = "oauth",
        /// By a token.
        ApiToken = "api_token",
    }
}

/// One function of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailableTool {
    /// Its id.
    pub id: String,
    /// One sentence.
    pub description: String,
}

/// A tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityTool {
    /// Its id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// One sentence.
    pub description: String,
    /// How it is provided.
    pub kind: CapabilityToolKind,
    /// Who added it.
    pub source: CapabilitySource,
    /// Where it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Prefix of its functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Permission patterns that it matches.
    pub patterns: Vec<String>,
    /// Its functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_tools: Option<Vec<AvailableTool>>,
    /// Agents that may use it.
    pub agent_names: Vec<String>,
    /// What it needs, never the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Value>,
    /// Integration that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_id: Option<String>,
    /// How it signs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_mode: Option<CapabilityAuthMode>,
    /// Whether it is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether it has what it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_ready: Option<bool>,
}

/// A skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilitySkill {
    /// Its name.
    pub name: String,
    /// Display name.
    pub label: String,
    /// One sentence.
    pub description: String,
    /// Who added it.
    pub source: CapabilitySource,
    /// Where it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Tools that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_ids: Option<Vec<String>>,
    /// Agents that may use it.
    pub agent_names: Vec<String>,
}

/// Answer of `GET /api/capabilities`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// The tools.
    pub tools: Vec<CapabilityTool>,
    /// The skills.
    pub skills: Vec<CapabilitySkill>,
}

/// Answer of `GET /api/capabilities/tools`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityTools {
    /// The tools.
    pub tools: Vec<CapabilityTool>,
}

/// Answer of `GET /api/capabilities/skills`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilitySkills {
    /// The skills.
    pub skills: Vec<CapabilitySkill>,
}

/// Answer of `GET /api/capabilities/tools/:id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityToolAnswer {
    /// The tool.
    pub tool: CapabilityTool,
}

/// Answer of `GET /api/capabilities/skills/:name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilitySkillAnswer {
    /// The skill.
    pub skill: CapabilitySkill,
}

/// One file of a skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillFile {
    /// Relative path with `/`.
    pub path: String,
    /// Additive: its text, where it is text and small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A skill with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillBundle {
    /// Its name.
    pub name: String,
    /// Who added it.
    pub source: CapabilitySource,
    /// Where it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The text of `SKILL.md`.
    pub content: Option<String>,
    /// The other files.
    pub files: Vec<SkillFile>,
}

/// Answer of `GET /api/capabilities/skills/:name/bundle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkillBundleAnswer {
    /// The bundle.
    pub bundle: SkillBundle,
}
