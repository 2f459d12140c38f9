//! Bytes by key (04 §6, §13.5). Keys are relative POSIX paths of at most 1024 bytes, without empty, `.` or `..`
//! segments, backslash or NUL.

use async_trait::async_trait;
use bytes::Bytes;

/// Why an object can't be had. A missing object is no error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The key isn't one.
    #[error("The object key is not a relative path of plain segments.")]
    InvalidKey,
    /// The store doesn't answer, is full or refuses; nothing half-written is visible.
    #[error("The object store can't do that now: {0}")]
    Unavailable(String),
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Bytes.
    pub size: u64,
}

/// Keeps bytes. Writes are atomic: a reader sees the old object or the new one.
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Writes or replaces.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), ObjectError>;
    /// The bytes, or `None`.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError>;
    /// What is known, or `None`.
    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, ObjectError>;
    /// Removes; a missing object is success.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;
}
