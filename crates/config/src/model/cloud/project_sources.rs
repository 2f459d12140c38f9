//! Where projects may come from, and where one is (02 §4.10).

use crate::model::nullable::Nullable;
use crate::model::number::Whole;
use crate::model::secret::SecretRef;
use serde::{Deserialize, Serialize};

/// A project in an uploaded snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSource {
    /// Its id.
    pub snapshot_id: String,
    /// The object that holds it.
    pub object_key: String,
    /// Files in it.
    pub file_count: Whole,
    /// Bytes in it.
    pub byte_count: Whole,
    /// What people see; null for nothing.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub title: Nullable<String>,
}

/// A project in a git repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// Its address.
    pub repository_url: String,
    /// Branch, tag or commit; null for the default branch.
    #[serde(rename = "ref", default, skip_serializing_if = "Nullable::is_absent")]
    pub git_ref: Nullable<String>,
    /// Folder in it; null for the whole.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub subdirectory: Nullable<String>,
    /// Reference to a credential; null for none.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub credential_ref: Nullable<SecretRef>,
}

/// Where projects may come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectSources {
    /// Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitPolicy>,
    /// Uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded_snapshots: Option<SnapshotPolicy>,
    /// Workspaces that the cloud keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_workspaces: Option<ManagedWorkspaces>,
}

/// Workspaces that the cloud keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManagedWorkspaces {
    /// Whether they may be used; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Projects from uploaded snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotPolicy {
    /// Whether they may be used; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Files in one snapshot; 2000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<Whole>,
    /// Bytes of one snapshot; 26214400 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Whole>,
}

/// Projects from git.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitPolicy {
    /// Whether they may be used; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether `file:` addresses may be used; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_file_urls: Option<bool>,
    /// Hosts; github.com and gitlab.com when absent, any when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_hosts: Option<Vec<String>>,
    /// Repositories as `host/owner/name`; any when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_repositories: Option<Vec<String>>,
}

/// Where the project of a new session is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum ProjectSource {
    /// A project in a git repository.
    #[serde(rename = "git")]
    Git(GitSource),
    /// A project in an uploaded snapshot.
    #[serde(rename = "snapshot")]
    Snapshot(SnapshotSource),
}
