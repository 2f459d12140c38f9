//! The workspace gate: what opening a folder would run as code, and whether the user agreed (08 §3.4, §15.3).
//!
//! OpenCode imports `.opencode/plugin/*.js` of a workspace into its own process at the first turn, whatever its
//! switches say, and reads `opencode.json` there, which may start programs and loosen permissions. So nothing of
//! an untrusted folder is given to OpenCode before the user saw these files and agreed. The agreement is bound to
//! a digest of their content: when they change, by a checkout or by the agent itself, it is asked again.
//!
//! **Where it looks.** In the folder and in *every* parent up to the file system's root. OpenCode stops at the
//! repository's root, but takes `git`'s word for where that is; a repository that git refuses (another owner, a
//! broken config) has no root, and then OpenCode reads up to `/` (measured). Looking everywhere can't be tricked.
//!
//! **What it doesn't see.** Files that a trusted plugin imports from elsewhere in the project, and programs that a
//! trusted config names. Trusting a plugin is trusting its author.
//!
//! Links that lead out of the folder that holds them, devices, and trees beyond the limits make a folder
//! uninspectable: it is refused with the reason, never half-checked.

mod effect;
mod trust;
mod walk;

pub use trust::{Gate, GateState};
pub use walk::{Inspector, Limits};

use crate::error::HostError;
use std::path::{Path, PathBuf};

/// What opening a folder would run or loosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRisk {
    /// The folder with all links resolved. Give OpenCode this spelling: it walks up the one it is given.
    pub directory: PathBuf,
    /// SHA-256 over paths and contents, hex. Trust is bound to it.
    pub digest: String,
    /// The files, those that run as code first; empty when there is nothing to ask.
    pub files: Vec<RiskFile>,
}

impl WorkspaceRisk {
    /// Nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// One file that the user should see before agreeing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskFile {
    /// Relative to the folder where it is inside, else absolute.
    pub path: String,
    /// What it does, one sentence.
    pub effect: &'static str,
    /// Its beginning, as text without control characters; empty for a group of files.
    pub excerpt: String,
}

/// Inspects a folder once, without a cache. Blocks.
pub fn inspect(directory: &Path) -> Result<WorkspaceRisk, HostError> {
    Inspector::default().inspect(directory)
}
