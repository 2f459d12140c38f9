//! Why the log refused.

use open_cowork_providers::store::StoreError;

/// One sentence each; never a payload or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A batch wasn't appended. The first `accepted` events of it were taken (they wait for the window and
    /// will be stored later); a caller who tries again sends the others, from `accepted` on.
    #[error("{source}")]
    NotAppended {
        /// Events of the batch, from its start, that the log has taken over.
        accepted: usize,
        /// What the store said.
        source: StoreError,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is closing or closed; the program ends.
    #[error("The log is closed; nothing more can be saved by this process.")]
    Closed,
}

impl LogError {
    /// What the store said, if it was the store.
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            LogError::NotAppended { source, .. } | LogError::Store(source) => Some(source),
            LogError::Closed => None,
        }
    }
}
