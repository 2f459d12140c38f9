//! Agents: own ones, those of the runtime, templates (02 §4.6).

use crate::model::nullable::Nullable;
use crate::model::number::JsNumber;
use crate::model::number::Whole;
use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A template for an agent of one's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentStarter {
    /// Its id.
    pub id: String,
    /// What people see.
    pub label: String,
    /// What it is for.
    pub description: String,
    /// Its colour.
    pub color: String,
    /// Its instructions.
    pub instructions: String,
    /// How the agent is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AgentMode>,
    /// Temperature; null for that of the model.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub temperature: Nullable<JsNumber>,
    /// Model steps it may take; null for no limit.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub steps: Nullable<Whole>,
    /// Tools it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_ids: Option<Vec<String>>,
    /// Skills it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_names: Option<Vec<String>>,
}

/// The agents of the runtime that can be changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuiltInAgents {
    /// The agent that builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuiltInAgent>,
    /// The agent that plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<BuiltInAgent>,
    /// The sub-agent for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general: Option<BuiltInAgent>,
    /// The sub-agent that explores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explore: Option<BuiltInAgent>,
}

/// Changes to an agent of the runtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuiltInAgent {
    /// Removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
    /// Whether menus leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Variant of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<JsNumber>,
    /// Nucleus sampling.
    #[serde(rename = "top_p", default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<JsNumber>,
    /// Model steps it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Whole>,
    /// Options of the model; any member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<IndexMap<String, Secret<Value>>>,
}

/// An agent of this distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agent {
    /// Its name; `workflow-designer` is needed by workflows.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its instructions.
    pub instructions: String,
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Skills it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_names: Option<Vec<String>>,
    /// Tools it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_ids: Option<Vec<String>>,
    /// Patterns that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_tools: Option<Vec<String>>,
    /// Patterns that ask first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_tools: Option<Vec<String>>,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Whether menus leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// How it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AgentMode>,
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Variant of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<JsNumber>,
    /// Nucleus sampling.
    #[serde(rename = "top_p", default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<JsNumber>,
    /// Model steps it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Whole>,
    /// Options of the model; any member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<IndexMap<String, Secret<Value>>>,
}

text_enum! {
    /// How an agent is used.
    pub enum AgentMode {
        /// People talk to it.
        Primary = "primary",
        /// Other agents call it.
        Subagent = "subagent",
    }
}
