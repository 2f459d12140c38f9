//! Language of the interface (02 §4.9).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Language of the interface (02 §4.9).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct I18n {
    /// Language tag, such as `fr-CA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Texts by key, over the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strings: Option<IndexMap<String, String>>,
}
