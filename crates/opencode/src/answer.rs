//! What calls give beside the model (docs/contract/08-opencode.md §1.1, §4.4, §13).

use crate::model::MessageWithParts;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Answer of the health route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// True when the server says so.
    pub healthy: bool,
    /// OpenCode's version, e.g. `1.18.33`. Only this route gives it.
    pub version: String,
}

/// What a server can do, by its own OpenAPI document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Routes, as `GET /session/{sessionID}`.
    pub routes: BTreeSet<String>,
    /// Kinds of events, as `session.created`.
    pub event_kinds: BTreeSet<String>,
}

/// A page of a session's messages.
#[derive(Clone, Debug, PartialEq)]
pub struct MessagePage {
    /// Oldest first.
    pub messages: Vec<MessageWithParts>,
    /// Cursor of the next **older** page; `None` on the page with the session's first message.
    pub before: Option<String>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AgentInfo {
    /// Name, its id.
    pub name: String,
    /// `primary`, `subagent`, `all`.
    pub mode: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Built in.
    #[serde(default, deserialize_with = "null_is_false")]
    pub native: bool,
    /// Not for people to choose.
    #[serde(default, deserialize_with = "null_is_false")]
    pub hidden: bool,
}

/// A config that touches an agent makes OpenCode answer `"hidden": null`.
fn null_is_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_a_config_touched_can_be_read() {
        let agent: AgentInfo = serde_json::from_str(
            r#"{"name":"build","mode":"primary","native":true,"hidden":null}"#,
        )
        .unwrap();
        assert!(agent.native && !agent.hidden);
    }
}

/// The providers that OpenCode could call, without their options: those hold the keys (§3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsableProviders {
    /// By OpenCode's order.
    pub providers: Vec<ProviderInfo>,
    /// Default model id by provider id.
    pub default: BTreeMap<String, String>,
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// Id.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
    /// Its models.
    pub models: Vec<ModelInfo>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Id inside its provider.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
}
