//! The document as Rust types: every key of 02 §4, one file per section.
//!
//! A document is validated as JSON first and converted afterwards, so that these types never have to
//! explain what is wrong ([`Config::from_document`]). What the schema can say, a type needn't repeat:
//! lengths and patterns are not checked again.
//!
//! | module | section |
//! |---|---|
//! | [`branding`], [`public_branding`] | identity of the desktop, of the web surfaces |
//! | [`auth`], [`permissions`], [`features`], [`i18n`], [`telemetry`], [`updates`] | the desktop |
//! | [`providers`], [`credentials`] | model providers and what they ask for |
//! | [`tools`], [`mcps`], [`agents`], [`tool_trace`], [`bundles`] | what agents work with |
//! | [`cloud`], [`cloud_desktop`], [`gateway`] | the cloud, its place on the desktop, the gateway |
//! | [`number`], [`nullable`], [`secret`] | kinds of values that plain serde gets wrong (02 §12) |

pub mod agents;
pub mod auth;
pub mod branding;
pub mod bundles;
pub mod cloud;
pub mod cloud_desktop;
pub mod credentials;
pub mod features;
pub mod gateway;
pub mod i18n;
pub mod mcps;
pub mod nullable;
pub mod number;
pub mod permissions;
pub mod providers;
pub mod public_branding;
pub mod secret;
pub mod telemetry;
mod text_enum;
pub mod tool_trace;
pub mod tools;
pub mod updates;

pub use nullable::Nullable;
pub use number::{ContractVersion, JsNumber, Whole};
pub use secret::{Secret, SecretRef};

use crate::document::Document;
use crate::schema::{self, Form};
use open_cowork_contracts::finding::{Finding, Severity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use agents::{Agent, AgentStarter, BuiltInAgents};
use auth::Auth;
use branding::Branding;
use bundles::CapabilityBundle;
use cloud::Cloud;
use cloud_desktop::CloudDesktop;
use features::Features;
use gateway::Gateway;
use i18n::I18n;
use mcps::Mcp;
use permissions::{Compaction, Permissions};
use providers::Providers;
use telemetry::Telemetry;
use tool_trace::ToolTrace;
use tools::{Skill, Tool};
use updates::Updates;

/// The whole document (02 §4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where an editor finds the schema; nothing reads it.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The version of this contract: 1.
    pub contract_version: ContractVersion,
    /// Environment variables that `{env:NAME}` in this file may name.
    pub allowed_env_placeholders: Vec<String>,
    /// The identity of the desktop.
    pub branding: Branding,
    /// Sign-in to the desktop.
    pub auth: Auth,
    /// Model providers.
    pub providers: Providers,
    /// Updates of the desktop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
    /// Tools that people can grant.
    pub tools: Vec<Tool>,
    /// Skills that are offered.
    pub skills: Vec<Skill>,
    /// MCP servers.
    pub mcps: Vec<Mcp>,
    /// Agents of this distribution.
    pub agents: Vec<Agent>,
    /// Bundles of capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability_bundles: Option<Vec<CapabilityBundle>>,
    /// Templates for agents of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_starter_templates: Option<Vec<AgentStarter>>,
    /// How tool calls are named in the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_trace: Option<ToolTrace>,
    /// Changes to the agents of the runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_in_agents: Option<BuiltInAgents>,
    /// The most that may be allowed.
    pub permissions: Permissions,
    /// How long threads are shortened for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<Compaction>,
    /// Language of the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub i18n: Option<I18n>,
    /// Reports of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// What the desktop shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// The cloud server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Clouds on the desktop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_desktop: Option<CloudDesktop>,
    /// The channel gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

impl Config {
    /// Reads a complete document: the full schema first, then the types.
    ///
    /// # Errors
    /// All findings of the schema, with their places when the document has them.
    pub fn from_document(document: &Document) -> Result<Config, Vec<Finding>> {
        let findings = schema::validate(document, Form::Full);
        if !findings.is_empty() {
            return Err(findings);
        }
        // serde's own message may quote a value, so it is not passed on. A test reads a document
        // with every key, so nobody should ever see this sentence.
        Config::deserialize(document.value()).map_err(|_| {
            vec![document.finding(
                "CONFIG_TYPE",
                Severity::Error,
                "",
                "The document passes the schema, but this program can't read it: a defect of the program; please report it.",
            )]
        })
    }

    /// As [`Config::from_document`], for a value without places.
    ///
    /// # Errors
    /// All findings of the schema.
    pub fn from_value(value: &Value) -> Result<Config, Vec<Finding>> {
        Config::from_document(&Document::from_value("resolved config", value.clone()))
    }
}
