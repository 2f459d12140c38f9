//! Tools and skills that people can grant (02 §4.6).

use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// A skill that is offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its badge.
    pub badge: SkillBadge,
    /// Folder that holds it.
    pub source_name: String,
    /// Tools it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_ids: Option<Vec<String>>,
}

/// A tool, or a family of tools, that people can grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tool {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Where it comes from.
    pub kind: ToolKind,
    /// A sign or emoji.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// MCP server whose tools it means, when no pattern says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Patterns that are allowed, when `allowPatterns` is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Vec<String>>,
    /// Patterns that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_patterns: Option<Vec<String>>,
    /// Patterns that ask first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_patterns: Option<Vec<String>>,
    /// Whether it changes things; decides whether Plan may delegate it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_access: Option<bool>,
    /// Whether every agent of the product gets it, read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_access: Option<bool>,
}

text_enum! {
    /// Where a tool comes from.
    pub enum ToolKind {
        /// An MCP server.
        Mcp = "mcp",
        /// The runtime.
        BuiltIn = "built-in",
    }
}

text_enum! {
    /// Badge of a skill.
    pub enum SkillBadge {
        /// The only one.
        Skill = "Skill",
    }
}
