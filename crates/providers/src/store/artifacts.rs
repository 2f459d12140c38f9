//! The index of artifacts (04 §2.3, §2.8).

use async_trait::async_trait;

/// The index of artifacts (04 §2.3, §2.8).
#[async_trait]
pub trait ArtifactStore: Send + Sync + 'static {}
