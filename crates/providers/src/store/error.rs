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
    /// A record other than a session doesn't exist in this tenant, or belongs to somebody else; the text names
    /// its kind, such as `workflow`, never an id of somebody else.
    #[error("Unknown {0}.")]
    Missing(&'static str),
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
    /// A value can't be stored as it is: too long, too many, of a form that is not allowed. One sentence that
    /// names the field and the way out.
    #[error("{0}")]
    Invalid(String),
    /// The rules of the organisation don't let this actor do it: the last owner, the own role, an owner's rank
    /// (04 §1.4). One sentence for people; the status on the wire is 403.
    #[error("{0}")]
    Forbidden(String),
    /// A quota of the organisation is used up; nothing was written (04 §2.1). The code on the wire is `code`,
    /// the status 429.
    #[error("{}", .0.message)]
    Quota(Box<QuotaDenial>),
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
    /// The database needs migrations, and this program was told not to apply them (04 §10).
    #[error("{} has schema {found} and this version needs {known}; run `open-cowork cloud migrate`, then start again.", path.display())]
    Unmigrated {
        /// The database.
        path: PathBuf,
        /// Version found in it, 0 for an empty one.
        found: i64,
        /// Version needed.
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

/// What a refused caller is told about a quota (04 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaDenial {
    /// Policy code, such as `quota.concurrent_sessions`.
    pub code: String,
    /// How many are allowed.
    pub limit: u64,
    /// How many there are, or were in the window.
    pub used: u64,
    /// ISO-8601 time when the window ends; absent for a quota on what exists at once.
    pub reset_at: Option<String>,
    /// When to try again, in milliseconds.
    pub retry_after_ms: u64,
    /// One public sentence.
    pub message: String,
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
                | StoreError::Missing(_)
                | StoreError::Invalid(_)
                | StoreError::Quota(_)
                | StoreError::Conflict(_)
                | StoreError::EventIdReused(_)
                | StoreError::ReservedEventId(_)
                | StoreError::UnsupportedEventType(_)
                | StoreError::StaleFence
                | StoreError::InvalidCursor
                | StoreError::Forbidden(_)
        )
    }
}
