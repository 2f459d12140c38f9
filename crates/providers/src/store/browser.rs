//! Browser sessions, idempotency keys, rate limits, back-off (03 §5, §6.4, §12 #7).

use async_trait::async_trait;

/// Browser sessions, idempotency keys, rate limits, back-off (03 §5, §6.4, §12 #7).
#[async_trait]
pub trait BrowserStore: Send + Sync + 'static {}
