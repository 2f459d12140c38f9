//! Why a store refused, by what the caller can do about it.

use open_cowork_contracts::EventId;
use std::path::PathBuf;

/// Every message is one sentence: what, where, what to do next. No message holds a payload or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The session doesn't exist in this tenant.
    #[error("Unknown session {0}.")]
    NotFound(String),
    /// The id is taken by something that the caller may not see, or the write contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// The event id exists with another type or payload: a caller's mistake, retrying won't help (01 §7.1).
    #[error("Event id {0} was reused with different content.")]
    EventIdReused(EventId),
    /// The id has the form `<session>:<sequence>` of an event that doesn't exist yet; the log itself gives
    /// these ids out.
    #[error("Event id {0} is reserved for a later event of the log; choose an id of another form.")]
    ReservedEventId(EventId),
    /// The type is transport only or unknown to this version (01 §2).
    #[error("Unsupported cloud projection event type: {0}")]
    UnsupportedEventType(String),
    /// The fence isn't the current lease: the caller lost the session (04 §2.3).
    #[error("Worker lease is stale.")]
    StaleFence,
    /// The cursor is malformed or belongs to another list; the code on the wire is `sessions.cursor.invalid`.
    #[error("The page cursor doesn't belong to this list; start again from the first page.")]
    InvalidCursor,
    /// The disk or the quota is full; nothing of the request was written.
    #[error("The disk is full: nothing more can be saved to {}; free some space, then try again.", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The file isn't a database of ours, or is damaged.
    #[error("{} is damaged or is not a database of this program; move it aside, or restore it from a backup.", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
    },
    /// The file or its folder can't be written.
    #[error("{} can't be written; make the file and its folder writable for this user.", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// A newer version of the program has changed the layout.
    #[error("{} was written by a newer version (schema {found}, this version knows {known}); update this program.", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Version found in it.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The file is a database, but not one of ours.
    #[error("{} holds tables of another program; choose another place.", path.display())]
    ForeignSchema {
        /// The database.
        path: PathBuf,
    },
    /// The server refuses this program: a wrong password, a missing right, no such database.
    #[error(
        "{place} refuses this program ({reason}); check its user, password, rights and database."
    )]
    Denied {
        /// The database, without user and password.
        place: String,
        /// In the server's words.
        reason: String,
    },
    /// Locked or gone for the moment; the same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The store was closed.
    #[error("The store is closed; open it again.")]
    Closed,
    /// Anything else of the database, in its own words.
    #[error("The store failed: {0}; look at the log of the program, then try again.")]
    Backend(String),
}

impl StoreError {
    /// True when the same call may succeed in a moment without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Unavailable(_) | StoreError::Backend(_))
    }

    /// True when the request itself is at fault: no repetition and no repair of the store will help.
    pub fn is_callers_fault(&self) -> bool {
        matches!(
            self,
            StoreError::NotFound(_)
                | StoreError::Conflict(_)
                | StoreError::EventIdReused(_)
                | StoreError::ReservedEventId(_)
                | StoreError::UnsupportedEventType(_)
                | StoreError::StaleFence
                | StoreError::InvalidCursor
        )
    }
}
