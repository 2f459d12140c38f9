//! Database errors as store errors: by what the caller can do, naming the database.

use crate::dialect::Dialect;
use open_cowork_providers::store::StoreError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Knows the database that errors are about.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    dialect: Dialect,
    /// A file, or the address of a server without user and password.
    place: PathBuf,
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
    pub(crate) fn of_file(path: &Path) -> Self {
        Failure {
            dialect: Dialect::Sqlite,
            place: path.to_owned(),
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn of_server(address: String) -> Self {
        Failure {
            dialect: Dialect::Postgres,
            place: address.into(),
        }
    }

    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// The store error that a database error stands for. The databases' messages name tables, files and users,
    /// never values; what goes with a message (`Debug`, PostgreSQL's detail) may, and isn't used.
    pub(crate) fn of(&self, error: &sqlx::Error) -> StoreError {
        let path = self.place.clone();
        match error {
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => return StoreError::Closed,
            sqlx::Error::PoolTimedOut => return self.unavailable(),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                return StoreError::Corrupt { path };
            }
            _ => {}
        }
        match self.dialect {
            Dialect::Sqlite => self.of_sqlite(error),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => self.of_postgres(error),
        }
    }

    fn of_sqlite(&self, error: &sqlx::Error) -> StoreError {
        let path = self.place.clone();
        if let sqlx::Error::Io(io) = error {
            match io.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    return StoreError::Full { path };
                }
                ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory => return StoreError::ReadOnly { path },
                _ => {}
            }
        }
        match sqlite_code(error) {
            Some(code::BUSY | code::LOCKED) => self.unavailable(),
            Some(code::READONLY | code::CANTOPEN | code::PERM | code::AUTH) => {
                StoreError::ReadOnly { path }
            }
            Some(code::CORRUPT | code::NOTADB) => StoreError::Corrupt { path },
            Some(code::FULL) => StoreError::Full { path },
            _ => self.backend(error),
        }
    }

    #[cfg(feature = "postgres")]
    fn of_postgres(&self, error: &sqlx::Error) -> StoreError {
        let path = self.place.clone();
        let denied = |reason: &str| StoreError::Denied {
            place: self.place.display().to_string(),
            reason: reason.to_owned(),
        };
        let server = match error {
            sqlx::Error::Database(server) => server,
            sqlx::Error::Io(_) => return self.unavailable(),
            sqlx::Error::Tls(reason) => return denied(&reason.to_string()),
            other => return self.backend(other),
        };
        let code = server.code().unwrap_or_default();
        match &*code {
            // Disk full.
            "53100" => StoreError::Full { path },
            // Damaged data, damaged index.
            "XX001" | "XX002" => StoreError::Corrupt { path },
            // A value is too long for an index.
            "54000" => StoreError::Conflict(
                "An id is too long for the database; use ids of at most 2000 bytes.".to_owned(),
            ),
            // No such database, no such schema, no right to it.
            "3D000" | "3F000" | "42501" => denied(server.message()),
            // A standby, no free connection, shutting down or starting, a lock, a cancelled statement, a transaction
            // that did nothing for too long, two transactions that couldn't be put in an order.
            "25006" | "25P03" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "40001"
            | "40P01" => self.unavailable(),
            code if code.starts_with("08") || code.starts_with("53") => self.unavailable(),
            // The password or the right to log in.
            code if code.starts_with("28") => denied(server.message()),
            _ => self.backend(error),
        }
    }

    /// Locked, or gone for the moment.
    pub(crate) fn unavailable(&self) -> StoreError {
        let place = self.place.display();
        StoreError::Unavailable(match self.dialect {
            Dialect::Sqlite => {
                format!("{place} is locked by another program; close that program, or try again.")
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!(
                "{place} doesn't answer or is busy; try again, or check that the server runs and can be reached."
            ),
        })
    }

    fn backend(&self, error: &sqlx::Error) -> StoreError {
        StoreError::Backend(format!("{error} ({})", self.place.display()))
    }

    /// True when a group may get through when it is done again with care: a unique key was taken (an event id,
    /// or a sequence that another process gave out), or the database gave precedence to another transaction.
    pub(crate) fn is_conflict(&self, error: &sqlx::Error) -> bool {
        match self.dialect {
            Dialect::Sqlite => sqlite_code(error) == Some(code::CONSTRAINT),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => error
                .as_database_error()
                .and_then(|error| error.code())
                .is_some_and(|code| matches!(&*code, "23505" | "40001" | "40P01")),
        }
    }
}

fn sqlite_code(error: &sqlx::Error) -> Option<i64> {
    let extended: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
