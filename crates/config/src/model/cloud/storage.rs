//! Where the cloud keeps what it knows (02 §4.10).

use crate::model::secret::SecretRef;
use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// Where the cloud keeps what it knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Storage {
    /// Records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<ControlPlane>,
    /// Objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStore>,
}

/// Objects: artifacts, snapshots, checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectStore {
    /// Where they are; `filesystem` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ObjectStoreKind>,
    /// The bucket or container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Folder in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Reference to a JSON object with the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretRef>,
}

/// Records of the control plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlPlane {
    /// Where they are; `local` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ControlPlaneKind>,
    /// Reference to the address of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_ref: Option<SecretRef>,
}

text_enum! {
    /// Where the control plane keeps its records.
    pub enum ControlPlaneKind {
        /// In a file.
        Local = "local",
        /// In PostgreSQL.
        Postgres = "postgres",
    }
}

text_enum! {
    /// Where objects are kept.
    pub enum ObjectStoreKind {
        /// In a folder.
        Filesystem = "filesystem",
        /// In Amazon S3.
        S3 = "s3",
        /// In Google Cloud Storage.
        Gcs = "gcs",
        /// In Azure Blob Storage.
        AzureBlob = "azure-blob",
        /// In DigitalOcean Spaces.
        DigitaloceanSpaces = "digitalocean-spaces",
        /// In MinIO.
        Minio = "minio",
    }
}
