//! Database errors as store errors: by what the caller can do, naming the file.

use open_cowork_providers::store::StoreError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Knows the file that errors are about.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    path: PathBuf,
}

/// Primary result codes of SQLite (the low byte of the extended code).
mod code {
    pub(super) const PERM: i64 = 3;
    pub(super) const BUSY: i64 = 5;
    pub(super) const LOCKED: i64 = 6;
    pub(super) const READONLY: i64 = 8;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const CANTOPEN: i64 = 14;
    pub(super) const CONSTRAINT: i64 = 19;
    pub(super) const AUTH: i64 = 23;
    pub(super) const NOTADB: i64 = 26;
}

impl Failure {
    pub(crate) fn new(path: &Path) -> Self {
        Failure {
            path: path.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The store error that a database error stands for. SQLite's messages name tables and files, never values.
    pub(crate) fn of(&self, error: &sqlx::Error) -> StoreError {
        let path = self.path.clone();
        match error {
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => return StoreError::Closed,
            sqlx::Error::PoolTimedOut => return self.busy(),
            sqlx::Error::Io(io) => match io.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    return StoreError::Full { path };
                }
                ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory => {
                    return StoreError::ReadOnly { path };
                }
                _ => {}
            },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                return StoreError::Corrupt { path };
            }
            _ => {}
        }
        match primary_code(error) {
            Some(code::BUSY | code::LOCKED) => self.busy(),
            Some(code::READONLY | code::CANTOPEN | code::PERM | code::AUTH) => {
                StoreError::ReadOnly { path }
            }
            Some(code::CORRUPT | code::NOTADB) => StoreError::Corrupt { path },
            Some(code::FULL) => StoreError::Full { path },
            _ => StoreError::Backend(format!("{error} ({})", self.path.display())),
        }
    }

    fn busy(&self) -> StoreError {
        let path = self.path.display();
        StoreError::Unavailable(format!(
            "{path} is locked by another program; close that program, or try again."
        ))
    }
}

/// True when a unique key was taken: an event id, or a sequence that another process gave out.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(code::CONSTRAINT)
}

fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let extended: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
