//! What the log answers.

use open_cowork_contracts::{RuntimeEvent, View};
use open_cowork_providers::store::{AppendedEvent, SessionRow};

/// What an append did.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Sequence of the thread's last durable event.
    pub sequence: u64,
    /// Events that this call made durable, in order. Text that waited before may come first, and deltas of
    /// one message are one event. An id that was known with equal content has `created: false`.
    pub events: Vec<AppendedEvent>,
    /// False while deltas wait for the window. They are durable at the next boundary, flush or tick.
    pub durable: bool,
}

/// A thread while it is read.
#[derive(Clone, Copy, Debug)]
pub struct ThreadState<'a> {
    /// The row: session, folder, open asks.
    pub row: &'a SessionRow,
    /// The folded view.
    pub view: &'a View,
    /// Sequence of the last event in the view.
    pub sequence: u64,
}

/// How far a stored projection is behind its log (01 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Events that are retained.
    pub event_count: u64,
    /// The first of them.
    pub earliest_event_sequence: Option<u64>,
    /// Last sequence of the log.
    pub latest_event_sequence: u64,
    /// Sequence of the log's base, 0 while the log is whole.
    pub base_sequence: u64,
    /// Sequence of the stored snapshot, 0 without one.
    pub projection_sequence: u64,
    /// Difference of the two; ours folds the rest on load, so a lag is normal.
    pub lag: u64,
    /// Time of the last event in the snapshot.
    pub projection_updated_at: Option<String>,
}

/// What a repair did (01 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// True when what is stored had to change.
    pub repaired: bool,
    /// Events folded: those that are retained.
    pub event_count: u64,
    /// Sequence of the base that they were folded onto, 0 while the log is whole. What the base says can't be folded
    /// anew.
    pub base_sequence: u64,
    /// Workspace events of this session; ours are written with the event and derived from it, so none can be missing.
    pub workspace_event_count: u64,
    /// Last sequence of the log.
    pub latest_event_sequence: u64,
    /// Sequence of the snapshot before.
    pub prior_projection_sequence: u64,
    /// Sequence of the snapshot after.
    pub projection_sequence: u64,
    /// Difference of the two; 0 after a repair.
    pub lag: u64,
}

/// An event of before; see [`crate::ThreadLog::import`].
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedEvent {
    /// What happened. Give it an id, so that importing twice adds nothing.
    pub event: RuntimeEvent,
    /// When, ISO-8601, UTC, milliseconds.
    pub created_at: String,
}
