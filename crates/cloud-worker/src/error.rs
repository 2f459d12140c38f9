//! Why a worker can't do something.

use open_cowork_providers::store::StoreError;
use open_cowork_runtime_host::error::HostError;
use open_cowork_thread_log::LogError;

/// One sentence each, by what the caller can do; never a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Options to mend; all findings.
    #[error("{}", .0.join(" "))]
    Options(Vec<String>),
    /// An isolation mode that this version doesn't have.
    #[error(
        "The isolation mode {0:?} is not available in this version; choose development-process, and read what it doesn't protect from."
    )]
    Isolation(String),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log refused or failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// OpenCode can't be run.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// This process lost its lease: it stops what it does for that scope and says nothing more.
pub(crate) fn is_stale(error: &StoreError) -> bool {
    matches!(error, StoreError::StaleFence)
}
