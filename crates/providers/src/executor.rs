//! The way from the HTTP side to a worker in the same process (04 §3.1, "inline"). Split roles have none: they
//! enqueue, publish [`crate::bus::Topic::Commands`], and a worker of another process takes over.

use crate::store::SessionKey;
use async_trait::async_trait;

/// Why a command of this call failed; it is stored as failed, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExecutionError {
    /// HTTP status of the answer, such as 409 for `byok.missing_required_byok`.
    pub status: u16,
    /// Policy code, if one exists.
    pub code: Option<String>,
    /// One sentence.
    pub message: String,
}

/// A worker in this process.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Runs what is queued for a session, up to admission by the runtime, and tells how many commands that
    /// were. Another worker's lease gives 0. Cancelling the call doesn't stop the work.
    async fn process(&self, key: &SessionKey) -> Result<u32, ExecutionError>;
}
