//! Leases and commands (04 §2.4, decision 24).

use async_trait::async_trait;

/// Leases and commands (04 §2.4, decision 24).
#[async_trait]
pub trait ExecutionStore: Send + Sync + 'static {}
