//! Channel agents, bindings, people, deliveries (04 §2.6).

use async_trait::async_trait;

/// Channel agents, bindings, people, deliveries (04 §2.6).
#[async_trait]
pub trait ChannelStore: Send + Sync + 'static {}
