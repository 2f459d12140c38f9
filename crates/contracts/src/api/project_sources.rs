//! Project sources: what a session works on (03 §8.2).

use crate::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A source as a client names it. The stored form is [`crate::view::ProjectSource`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum ProjectSourceInput {
    /// A git repository.
    Git {
        /// Clone URL, without credentials.
        repository_url: String,
        /// Branch, tag or commit.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Folder inside the repository.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subdirectory: Option<String>,
        /// Name of a stored credential.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential_ref: Option<String>,
    },
    /// An uploaded snapshot.
    Snapshot {
        /// Its id.
        snapshot_id: String,
        /// Its place in the object store.
        object_key: String,
        /// Files in it.
        file_count: u64,
        /// Bytes in it.
        byte_count: u64,
        /// Display title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
}

/// Body of `POST /api/project-sources/validate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidateProjectSource {
    /// The source; open, since each wrong form has its own refusal.
    pub project_source: Value,
}

/// Answer of `POST /api/project-sources/validate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSourceVerdict {
    /// True: it may be used.
    pub allowed: bool,
    /// Why not.
    pub reason: Option<String>,
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_code: Option<String>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotFile {
    /// Relative path with `/`.
    pub path: String,
    /// Its bytes, base64.
    pub data_base64: String,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_count: Option<u64>,
    /// Its permission bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// A file that was left out of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedFile {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Body of `POST /api/project-sources/snapshots`; at most 2000 files and 25 MiB of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadSnapshot {
    /// Display title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The files.
    pub files: Vec<SnapshotFile>,
    /// What was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<ExcludedFile>,
    /// Sentences for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Number of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_count: Option<u64>,
    /// Number of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_count: Option<u64>,
}

/// Answer of `POST /api/project-sources/snapshots`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Its id.
    pub snapshot_id: String,
    /// Its place in the object store.
    pub object_key: String,
    /// Files in it.
    pub file_count: u64,
    /// Bytes in it.
    pub byte_count: u64,
    /// ISO-8601.
    pub created_at: String,
    /// The source to create a session with.
    pub project_source: JsonObject,
}
