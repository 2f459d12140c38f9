//! Workflows, runs, schedules, webhook secrets (04 §2.5).

use async_trait::async_trait;

/// Workflows, runs, schedules, webhook secrets (04 §2.5).
#[async_trait]
pub trait WorkflowStore: Send + Sync + 'static {}
