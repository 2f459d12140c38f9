//! What may be allowed at most, and how threads are compacted (02 §4.8).

use crate::model::number::JsNumber;
use crate::model::number::Whole;
use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// How long threads are shortened for the model (02 §4.8).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compaction {
    /// Whether it happens by itself; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// Whether old tool output goes; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Tokens kept free; 10000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Whole>,
    /// The agent that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<CompactionAgent>,
}

/// The agent that compacts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompactionAgent {
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<JsNumber>,
}

/// The most that may be allowed; people can only be stricter (02 §4.8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permissions {
    /// Commands in the shell.
    pub bash: Access,
    /// Changes to files.
    pub file_write: Access,
    /// Calls of sub-agents.
    pub task: Access,
    /// Fetching pages and searching code.
    pub web: Access,
    /// Whether the hosted web search is on; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search: Option<bool>,
}

text_enum! {
    /// Whether something may be done.
    pub enum Access {
        /// Without asking.
        Allow = "allow",
        /// After asking.
        Ask = "ask",
        /// Not at all.
        Deny = "deny",
    }
}
