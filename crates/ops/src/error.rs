//! Why a command couldn't do its job at all. What a validator finds is a report, not an error.

use crate::exit::Exit;

/// Variants by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Change the command line or the environment.
    #[error("{0}")]
    Usage(String),
    /// Provide what is missing: a file to write to, a program, a target.
    #[error("{0}")]
    Missing(String),
    /// Report a defect.
    #[error("{0}")]
    Internal(String),
}

impl CommandError {
    /// The exit code that says the same to a script (09 §1.2).
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::Usage(_) => Exit::Usage,
            CommandError::Missing(_) => Exit::Missing,
            CommandError::Internal(_) => Exit::Internal,
        }
    }
}
