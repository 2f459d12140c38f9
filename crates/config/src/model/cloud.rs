//! The cloud server (02 §4.10).

pub mod abuse;
pub mod auth;
pub mod billing;
pub mod features;
pub mod project_sources;
pub mod runtime;
pub mod storage;

use crate::model::cloud::abuse::Abuse;
use crate::model::cloud::auth::CloudAuth;
use crate::model::cloud::billing::Billing;
use crate::model::cloud::features::CloudFeatures;
use crate::model::cloud::features::EntitlementsSettings;
use crate::model::cloud::project_sources::ProjectSource;
use crate::model::cloud::project_sources::ProjectSources;
use crate::model::cloud::runtime::CloudRuntime;
use crate::model::cloud::storage::Storage;
use crate::model::nullable::Nullable;
use crate::model::public_branding::PublicBranding;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The cloud server (02 §4.10).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cloud {
    /// What this process does; `all-in-one` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<CloudRole>,
    /// The profile of a new session; `full` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    /// The identity of the web surfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_branding: Option<PublicBranding>,
    /// Profiles by name, beside the built-in full, focused-agent and custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiles: Option<IndexMap<String, Profile>>,
    /// Sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<CloudAuth>,
    /// Where it keeps what it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// What runtimes may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<CloudRuntime>,
    /// Where projects may come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_sources: Option<ProjectSources>,
    /// What it offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<CloudFeatures>,
    /// Whether plans limit what an organization may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlements: Option<EntitlementsSettings>,
    /// Limits that protect it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abuse: Option<Abuse>,
    /// Billing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
}

/// A profile that sessions run under. An absent list allows everything, an empty one nothing (02
/// §4.10).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// Tools by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// MCP servers by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcps: Option<Vec<String>>,
    /// What it offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<CloudFeatures>,
    /// What its runtime may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<CloudRuntime>,
    /// The project of a new session; null for none.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub default_project_source: Nullable<ProjectSource>,
}

text_enum! {
    /// What a cloud process does.
    pub enum CloudRole {
        /// Everything.
        AllInOne = "all-in-one",
        /// Answers requests.
        Web = "web",
        /// Runs sessions.
        Worker = "worker",
        /// Starts what is due.
        Scheduler = "scheduler",
    }
}
