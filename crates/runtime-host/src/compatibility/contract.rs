//! The parts of OpenCode's wire that we call, read and write, as data (05 §13.2).

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The runtime contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuntimeContract {
    /// 1.
    pub format_version: u32,
    /// The version that it describes.
    pub opencode_version: String,
    /// Every assumption of the registry, sorted.
    pub required_assumption_ids: Vec<String>,
    /// Keys of the composed config.
    pub runtime_config: Vec<ConfigKey>,
    /// Events of recorded streams.
    pub sdk_events: Vec<StreamEvents>,
    /// Routes that are called.
    pub http_routes: Vec<HttpRoute>,
    /// Methods of the port that carry a turn.
    pub client_methods: Vec<ClientMethod>,
}

/// A key of the composed config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigKey {
    /// Kebab-case.
    pub id: String,
    /// The crate that answers for it.
    pub owner: String,
    /// Dotted.
    pub key: String,
    /// The file that writes it.
    pub evidence: String,
    /// Tests of it.
    pub tests: Vec<String>,
}

/// Events that a recorded stream shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamEvents {
    /// Kebab-case.
    pub id: String,
    /// The crate that answers for it.
    pub owner: String,
    /// The recording, one JSON object per line.
    pub fixture_path: String,
    /// Types that must occur in it.
    pub events: Vec<String>,
    /// Tests of it.
    pub tests: Vec<String>,
}

/// A route that is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRoute {
    /// Kebab-case.
    pub id: String,
    /// The crate that answers for it.
    pub owner: String,
    /// GET, POST, PATCH, PUT or DELETE.
    pub method: String,
    /// Absolute, parameters in braces.
    pub path: String,
    /// Tests of it.
    pub tests: Vec<String>,
}

/// A method of the port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientMethod {
    /// Kebab-case.
    pub id: String,
    /// The crate that answers for it.
    pub owner: String,
    /// Its name.
    pub method: String,
    /// The file that declares it.
    pub evidence: String,
    /// Tests of it.
    pub tests: Vec<String>,
}

/// The contract that is compiled in.
#[must_use]
pub fn runtime_contract() -> &'static RuntimeContract {
    static CONTRACT: LazyLock<RuntimeContract> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../../compat/runtime-contract.json")).unwrap_or_default()
    });
    &CONTRACT
}
