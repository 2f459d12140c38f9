//! Skills, MCP servers, agents and providers as data that travels: the extension descriptor, the setup bundle
//! that holds several, and what an import answers (07 §6.5, 02 §11).
//!
//! Nothing here decides: exporting, reading and planning an import are `policy::setup_bundle`.

use crate::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What stands where a secret or an absolute path stood.
pub const REDACTED: &str = "__OPEN_COWORK_REDACTED__";

/// The version of descriptors, bundles and results.
pub const VERSION: u32 = 1;

names! {
    /// What a file calls itself that holds a bundle.
    BundleFormat {
        /// The only one.
        SetupBundle = "open-cowork-setup-bundle",
    }
    /// What is described.
    ExtensionKind {
        /// A skill: instructions in files.
        Skill = "skill",
        /// An MCP server.
        Mcp = "mcp",
        /// A custom agent.
        Agent = "agent",
        /// A model provider; it is described alone, never in a bundle.
        Provider = "provider",
    }
    /// Where it came from.
    SourceOrigin {
        /// An export of an installation.
        Export = "export",
        /// It ships with the product.
        Builtin = "builtin",
        /// The user made it.
        Custom = "custom",
        /// Somewhere else.
        External = "external",
    }
    /// For whom it is installed.
    ExtensionScope {
        /// For every folder of this machine.
        Machine = "machine",
        /// For one project.
        Project = "project",
    }
    /// What kind of place wants a secret.
    SecretLocation {
        /// A variable of a program's environment.
        Env = "env",
        /// A header of a request.
        Header = "header",
        /// An option or a part of an address.
        Credential = "credential",
        /// The program or one of its arguments.
        Path = "path",
    }
    /// What somebody has to do before it works.
    SetupStepKind {
        /// Install a program.
        Install = "install",
        /// Enter a secret.
        ConfigureSecret = "configure-secret",
        /// Know something.
        Note = "note",
    }
    /// What became of one entry of a bundle.
    ImportStatus {
        /// It is installed.
        Applied = "applied",
        /// A required secret is missing.
        NeedsSecret = "needs-secret",
        /// The name is taken.
        SkippedConflict = "skipped-conflict",
        /// It can't or may not be installed.
        SkippedUnsupported = "skipped-unsupported",
    }
}

/// Where a descriptor came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionSource {
    /// What made it.
    pub origin: SourceOrigin,
    /// For whom it was installed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ExtensionScope>,
    /// Where to find the original, such as a web address; never a path of a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// A secret or path that isn't in the descriptor and has to be entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRequirement {
    /// Which place of the payload, such as `env:TOKEN`, `header:Authorization`, `credential:apiKey`,
    /// `path:command`, `path:arg:0`.
    pub key: String,
    /// What kind of place.
    pub location: SecretLocation,
    /// Name for people.
    pub label: String,
    /// Whether it works without.
    pub required: bool,
}

/// One thing to do or to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetupStep {
    /// What to do.
    pub kind: SetupStepKind,
    /// One sentence.
    pub detail: String,
}

/// The thing itself: `{kind, <kind>: {…}}`. `Debug` shows the kind only: a foreign bundle may hold secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ExtensionPayload {
    /// `{name, label?, description?, content, files?[{path, content}], toolIds?}`.
    Skill {
        /// The skill.
        skill: JsonObject,
    },
    /// `{name, type: stdio|http, command?, args?, env?, url?, headers?, …}`.
    Mcp {
        /// The server.
        mcp: JsonObject,
    },
    /// What the files of a custom agent hold (05 §9).
    Agent {
        /// The agent.
        agent: JsonObject,
    },
    /// A provider as the configuration writes it (02 §4.4).
    Provider {
        /// The provider.
        provider: JsonObject,
    },
}

impl ExtensionPayload {
    /// The payload of a kind.
    #[must_use]
    pub fn new(kind: ExtensionKind, body: JsonObject) -> Self {
        match kind {
            ExtensionKind::Skill => ExtensionPayload::Skill { skill: body },
            ExtensionKind::Mcp => ExtensionPayload::Mcp { mcp: body },
            ExtensionKind::Agent => ExtensionPayload::Agent { agent: body },
            ExtensionKind::Provider => ExtensionPayload::Provider { provider: body },
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ExtensionKind {
        match self {
            ExtensionPayload::Skill { .. } => ExtensionKind::Skill,
            ExtensionPayload::Mcp { .. } => ExtensionKind::Mcp,
            ExtensionPayload::Agent { .. } => ExtensionKind::Agent,
            ExtensionPayload::Provider { .. } => ExtensionKind::Provider,
        }
    }

    /// What is in it.
    #[must_use]
    pub fn body(&self) -> &JsonObject {
        match self {
            ExtensionPayload::Skill { skill: body }
            | ExtensionPayload::Mcp { mcp: body }
            | ExtensionPayload::Agent { agent: body }
            | ExtensionPayload::Provider { provider: body } => body,
        }
    }
}

impl fmt::Debug for ExtensionPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtensionPayload")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// One skill, MCP server, agent or provider without its secrets (02 §11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionDescriptor {
    /// [`VERSION`].
    #[schemars(extend("const" = 1))]
    pub schema_version: u32,
    /// `<kind>:<name>`.
    pub id: String,
    /// What it is; the same as the payload's.
    pub kind: ExtensionKind,
    /// Its name, unique within its kind.
    pub name: String,
    /// One line about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it came from.
    pub source: ExtensionSource,
    /// What has to be entered.
    pub secrets: Vec<SecretRequirement>,
    /// What has to be done.
    pub setup: Vec<SetupStep>,
    /// The thing itself, with [`REDACTED`] where a secret stood.
    pub payload: ExtensionPayload,
}

/// Skills, MCP servers and agents in one file (07 §6.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetupBundle {
    /// What the file is.
    pub format: BundleFormat,
    /// [`VERSION`].
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// When it was made, as the exporter wrote it; not blank.
    pub exported_at: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported_by: Option<String>,
    /// Entries of kind `skill`.
    #[serde(default)]
    pub skills: Vec<ExtensionDescriptor>,
    /// Entries of kind `mcp`.
    #[serde(default)]
    pub mcps: Vec<ExtensionDescriptor>,
    /// Entries of kind `agent`.
    #[serde(default)]
    pub agents: Vec<ExtensionDescriptor>,
}

/// For whom an import installs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportTarget {
    /// For whom.
    pub scope: ExtensionScope,
    /// The project's folder; a project needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// Secrets by descriptor id and requirement key. `Debug` shows the ids only.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretValues(pub BTreeMap<String, BTreeMap<String, String>>);

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How to import. It is only ever read, never written: it holds secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportOptions {
    /// Into which workspace.
    #[serde(default)]
    pub workspace_id: Option<String>,
    /// For whom; absent: for the machine.
    #[serde(default)]
    pub target: Option<ImportTarget>,
    /// What was entered.
    #[serde(default)]
    pub secret_values: SecretValues,
    /// Whether an entry replaces what has its name.
    #[serde(default)]
    pub overwrite: bool,
    /// Ours: whether a server keeps what it grants itself: `permissionMode`, `googleAuth`,
    /// `allowPrivateNetwork`.
    #[serde(default)]
    pub keep_grants: bool,
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportItem {
    /// What it is.
    pub kind: ExtensionKind,
    /// Its id in the bundle.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub status: ImportStatus,
    /// One sentence: why, and what to do. Never a secret.
    pub detail: String,
    /// Keys of the requirements that aren't met; only with `needs-secret`.
    pub missing_secrets: Vec<String>,
}

/// What an import answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportResult {
    /// [`VERSION`].
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// How many are installed.
    pub applied_count: u32,
    /// How many wait for a secret.
    pub needs_secret_count: u32,
    /// How many were left out, for either reason.
    pub skipped_count: u32,
    /// Every entry: servers, then skills, then agents.
    pub items: Vec<ImportItem>,
}

impl ImportResult {
    /// The result of these items.
    #[must_use]
    pub fn of(items: Vec<ImportItem>) -> Self {
        let mut result = ImportResult {
            version: VERSION,
            applied_count: 0,
            needs_secret_count: 0,
            skipped_count: 0,
            items,
        };
        for item in &result.items {
            match item.status {
                ImportStatus::Applied => result.applied_count += 1,
                ImportStatus::NeedsSecret => result.needs_secret_count += 1,
                ImportStatus::SkippedConflict | ImportStatus::SkippedUnsupported => {
                    result.skipped_count += 1;
                }
            }
        }
        result
    }
}
