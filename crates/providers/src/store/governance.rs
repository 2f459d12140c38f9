//! Settings, managed policy, audit, quotas, usage, BYOK, subscriptions (04 §2.9–2.11).

use async_trait::async_trait;

/// Settings, managed policy, audit, quotas, usage, BYOK, subscriptions (04 §2.9–2.11).
#[async_trait]
pub trait GovernanceStore: Send + Sync + 'static {}
