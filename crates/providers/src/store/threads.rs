//! Tags, smart filters, full-text search, facets (04 §2.11, 03 §8.7).

use async_trait::async_trait;

/// Tags, smart filters, full-text search, facets (04 §2.11, 03 §8.7).
#[async_trait]
pub trait ThreadIndexStore: Send + Sync + 'static {}
