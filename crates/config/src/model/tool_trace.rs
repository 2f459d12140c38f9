//! How tool calls are named in the trace (02 §4.6).

use serde::{Deserialize, Serialize};

/// How tool calls are named in the trace (02 §4.6).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolTrace {
    /// Replace the built-in rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<TraceRule>>,
    /// Tried before all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_rules: Option<Vec<TraceRule>>,
}

/// How a group of tool calls is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceRule {
    /// Its id.
    pub id: String,
    /// Name of one call.
    pub label: String,
    /// Name of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural_label: Option<String>,
    /// The tools; one match is enough.
    #[serde(rename = "match")]
    pub matches: Vec<TraceMatch>,
}

/// What a tool is called: every list that isn't empty must hit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceMatch {
    /// Whole names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<Vec<String>>,
    /// Beginnings of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Vec<String>>,
    /// Parts of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Vec<String>>,
}
