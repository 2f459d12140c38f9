//! Tenants, organizations, accounts, members, roles, tokens (04 §1).

use async_trait::async_trait;

/// Tenants, organizations, accounts, members, roles, tokens (04 §1).
#[async_trait]
pub trait IdentityStore: Send + Sync + 'static {}
