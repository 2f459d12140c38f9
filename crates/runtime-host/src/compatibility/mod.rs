//! What this product relies on in OpenCode, as data, and the proof that it still holds (05 §13).
//!
//! Two files under `compat/` are compiled in: the *registry* (assumptions with an owner, a reason and tests)
//! and the *runtime contract* (config keys, events, routes, client methods). [`report`] is what diagnostics
//! ship; [`prove`] compares both with a source tree and fails closed: whatever is missing or not understood is
//! an error, never a pass.

mod contract;
mod prove;
mod source;
#[cfg(test)]
mod tests;

pub use contract::{
    ClientMethod, ConfigKey, HttpRoute, RuntimeContract, StreamEvents, runtime_contract,
};
pub use prove::{
    CompatibilityIssue, CompatibilityReport, IssueSeverity, ProofOptions, prove, prove_with,
};

use crate::probe::TESTED_VERSION;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Categories without which a registry proves nothing (05 §13.1).
pub const REQUIRED_CATEGORIES: [&str; 5] =
    ["config", "event", "permission", "plugin", "sdk-import"];
/// All categories.
pub(crate) const CATEGORIES: [&str; 7] = [
    "config",
    "event",
    "permission",
    "plugin",
    "route",
    "runtime-binary",
    "sdk-import",
];

/// All product modes.
pub(crate) const PRODUCT_MODES: [&str; 7] = [
    "desktop-local",
    "desktop-cloud",
    "cloud-web",
    "cloud-channel-gateway",
    "standalone-gateway",
    "paired-desktop",
    "headless-host",
];

/// One thing that we rely on, work around or forbid. Words stay strings, because a word that is not understood
/// has to be reported, not dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Assumption {
    /// Kebab-case.
    pub id: String,
    /// `sdk-import`, `config`, `event`, `permission`, `plugin`, `route` or `runtime-binary`.
    pub category: String,
    /// `supported`, `shim`, `private-assumption`, `blocked` or `unknown`.
    pub status: String,
    /// The crate that answers for it.
    pub owner: String,
    /// `bundled` for the pinned version; reports replace it by that version.
    pub source_version: String,
    /// What is relied on, and why.
    pub reason: String,
    /// Test functions of the repository that prove it: a file, `::` and the function's name.
    pub tests: Vec<String>,
    /// When a shim or a block may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_condition: Option<String>,
    /// Where it matters.
    pub product_modes: Vec<String>,
}

/// The registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Registry {
    /// 1.
    pub format_version: u32,
    /// All assumptions.
    pub assumptions: Vec<Assumption>,
}

/// What diagnostics ship (05 §13.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compatibility {
    /// The pinned version.
    pub opencode_version: String,
    /// All assumptions, with their version.
    pub assumptions: Vec<Assumption>,
}

/// The registry that is compiled in.
#[must_use]
pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        // A test reads the file; one that can't be read here would be empty, and an empty one proves nothing.
        serde_json::from_str(include_str!("../../compat/registry.json")).unwrap_or_default()
    });
    &REGISTRY
}

/// The registry with the pinned version in the place of `bundled`.
#[must_use]
pub fn report() -> Compatibility {
    let mut assumptions = registry().assumptions.clone();
    for assumption in &mut assumptions {
        if assumption.source_version == BUNDLED {
            TESTED_VERSION.clone_into(&mut assumption.source_version);
        }
    }
    Compatibility {
        opencode_version: TESTED_VERSION.to_owned(),
        assumptions,
    }
}

/// Stands for the pinned version.
pub(crate) const BUNDLED: &str = "bundled";
