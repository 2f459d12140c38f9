//! Folding a cold thread from its snapshot and its log, and the rule for when a snapshot is due.

use crate::error::LogError;
use crate::options::ThreadLogOptions;
use crate::thread::Loaded;
use open_cowork_contracts::{Session, SessionStatus, View};
use open_cowork_projection::{PROJECTOR_VERSION, Projector};
use open_cowork_providers::store::{
    EVENT_PAGE, SessionKey, SessionRow, Snapshot, Store, StoreError,
};

/// Memory of a view that holds nothing yet.
const EMPTY_VIEW_BYTES: usize = 2 * 1024;

/// Loads a thread: the snapshot verbatim when this program's reducer made it, else nothing; then the rest of
/// the log on top (decision 13). Returns the state and the sequence of the snapshot that was used.
pub(crate) async fn load(store: &dyn Store, key: &SessionKey) -> Result<(Loaded, u64), LogError> {
    let row = store
        .session(key)
        .await?
        .ok_or_else(|| StoreError::NotFound(key.session_id.to_string()))?;
    let mut loaded = match store
        .snapshot(key)
        .await?
        .and_then(|snapshot| usable(&snapshot, &row))
    {
        Some((view, sequence, bytes)) => Loaded {
            row,
            projector: Projector::from_view(view),
            sequence,
            bytes: EMPTY_VIEW_BYTES + bytes,
        },
        None => unfolded(row),
    };
    let snapshot_sequence = loaded.sequence;
    fold_rest(store, key, &mut loaded).await?;
    Ok((loaded, snapshot_sequence))
}

/// Folds the whole log, whatever the snapshot says.
pub(crate) async fn fold_all(store: &dyn Store, key: &SessionKey) -> Result<Loaded, LogError> {
    let row = store
        .session(key)
        .await?
        .ok_or_else(|| StoreError::NotFound(key.session_id.to_string()))?;
    let mut loaded = unfolded(row);
    fold_rest(store, key, &mut loaded).await?;
    Ok(loaded)
}

async fn fold_rest(
    store: &dyn Store,
    key: &SessionKey,
    loaded: &mut Loaded,
) -> Result<(), LogError> {
    loop {
        let events = store.list_events(key, loaded.sequence, EVENT_PAGE).await?;
        let Some(last) = events.last() else {
            return Ok(());
        };
        loaded.row.last_sequence = loaded.row.last_sequence.max(last.sequence);
        for record in &events {
            if !loaded.fold(record) {
                let found = record.sequence;
                return Err(LogError::Store(StoreError::Backend(format!(
                    "the log of {key} has no event {}, but {found}",
                    loaded.sequence + 1
                ))));
            }
        }
    }
}

fn unfolded(row: SessionRow) -> Loaded {
    let projector = Projector::new(&before_the_first_event(&row.session));
    Loaded {
        row,
        projector,
        sequence: 0,
        bytes: EMPTY_VIEW_BYTES,
    }
}

/// The session as it was before its first event: a view must be a function of the log alone, so nothing that
/// events have done to the row may leak into the start of a fold.
pub(crate) fn before_the_first_event(session: &Session) -> Session {
    Session {
        status: SessionStatus::Idle,
        updated_at: session.created_at.clone(),
        ..session.clone()
    }
}

/// The view of a snapshot that this reducer made and that the log reaches.
fn usable(snapshot: &Snapshot, row: &SessionRow) -> Option<(View, u64, usize)> {
    if snapshot.projector_version != PROJECTOR_VERSION || snapshot.sequence > row.last_sequence {
        return None;
    }
    match serde_json::from_str(&snapshot.view) {
        Ok(view) => Some((view, snapshot.sequence, snapshot.view.len())),
        Err(error) => {
            tracing::warn!(session = %row.session.session_id, %error, "unreadable snapshot; folding the log anew");
            None
        }
    }
}

/// What has come since the last snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) events: u64,
    pub(crate) bytes: usize,
}

impl Since {
    /// True when a snapshot is worth its cost. Writing one costs as much as the view is long, so the distance
    /// grows with the thread: all snapshots of a thread together stay within a small multiple of its last one,
    /// and a cold load folds at most a tenth of the log. At rest a shorter distance is enough.
    pub(crate) fn is_due(
        self,
        sequence: u64,
        view_bytes: usize,
        at_rest: bool,
        options: &ThreadLogOptions,
    ) -> bool {
        let ease = if at_rest { 5 } else { 1 };
        let events = options.snapshot_every.max(sequence / 10) / ease;
        let bytes = options.snapshot_bytes.max(view_bytes / 10) / ease as usize;
        self.events > 0 && (self.events >= events || self.bytes >= bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_grow_rarer_as_a_thread_grows() {
        let options = ThreadLogOptions::default();
        let due = |events, bytes, sequence, view, at_rest| {
            Since { events, bytes }.is_due(sequence, view, at_rest, &options)
        };
        assert!(!due(499, 0, 499, 0, false));
        assert!(due(500, 0, 500, 0, false));
        assert!(!due(500, 0, 50_000, 0, false));
        assert!(due(5_000, 0, 50_000, 0, false));
        assert!(due(100, 0, 500, 0, true));
        assert!(!due(0, 0, 500, 0, true));
        assert!(due(1, 4 << 20, 500, 0, false));
        assert!(!due(1, 4 << 20, 500, 100 << 20, false));
    }
}
