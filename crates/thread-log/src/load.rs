//! Folding a cold thread from its snapshot and its log, and the rule for when a snapshot is due.

use crate::error::LogError;
use crate::options::ThreadLogOptions;
use crate::thread::Loaded;
use open_cowork_contracts::{Session, SessionStatus, View};
use open_cowork_projection::{PROJECTOR_VERSION, Projector, normalize};
use open_cowork_providers::store::{
    EVENT_PAGE, SessionKey, SessionRow, Snapshot, Store, StoreError,
};
use serde_json::Value;

/// Memory of a view that holds nothing yet.
const EMPTY_VIEW_BYTES: usize = 2 * 1024;

/// Whether events could be folded as far as they reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// All of them.
    Whole,
    /// The next one is gone.
    Gap,
}

/// Loads a thread: the snapshot verbatim when this program's reducer made it, else the log's base, else nothing; then
/// the rest of the log on top (decision 13). Returns the state and the sequence that was begun at.
pub(crate) async fn load(store: &dyn Store, key: &SessionKey) -> Result<(Loaded, u64), LogError> {
    let row = session(store, key).await?;
    let snapshot = store.snapshot(key).await?;
    let begun = match snapshot.and_then(|snapshot| usable(&snapshot, &row)) {
        Some((view, sequence, bytes)) => Loaded {
            row,
            projector: Projector::from_view(view),
            sequence,
            bytes: EMPTY_VIEW_BYTES + bytes,
        },
        None => from_base(store, row).await?,
    };
    fold_rest(store, key, begun).await
}

/// Folds the whole log from its base, whatever the snapshot says. Returns the state and the sequence of the base.
pub(crate) async fn fold_all(
    store: &dyn Store,
    key: &SessionKey,
) -> Result<(Loaded, u64), LogError> {
    let begun = from_base(store, session(store, key).await?).await?;
    fold_rest(store, key, begun).await
}

async fn session(store: &dyn Store, key: &SessionKey) -> Result<SessionRow, LogError> {
    let row = store.session(key).await?;
    row.ok_or_else(|| StoreError::NotFound(key.session_id.to_string()).into())
}

/// The state at the beginning of the log: its base, or a new view.
///
/// A base is taken as it is, whichever reducer folded it last: what it was folded from is gone. One that this program
/// can't read as its own is read as any foreign view is (01 §5.7).
pub(crate) async fn from_base(store: &dyn Store, row: SessionRow) -> Result<Loaded, LogError> {
    let key = SessionKey::of(&row.session);
    let Some(base) = store.base(&key).await? else {
        return Ok(unfolded(row));
    };
    let unreadable = |error: serde_json::Error| {
        tracing::error!(session = %key, %error, "the base of a log can't be read");
        LogError::Store(StoreError::Backend(format!(
            "the base of the log of {key} at {} can't be read; restore the database from a backup",
            base.sequence
        )))
    };
    let view = match serde_json::from_str::<View>(&base.view) {
        Ok(view) => view,
        Err(error) if base.projector_version == PROJECTOR_VERSION => return Err(unreadable(error)),
        Err(_) => {
            let foreign: Value = serde_json::from_str(&base.view).map_err(unreadable)?;
            let session = before_the_first_event(&row.session);
            normalize(&foreign, &session, &base.updated_at)
        }
    };
    let projector = Projector::from_view(view);
    Ok(Loaded {
        projector,
        sequence: base.sequence,
        bytes: EMPTY_VIEW_BYTES + base.view.len(),
        row,
    })
}

/// Folds all that the store has on top. Where events are gone that were to be folded, somebody has pruned them, after
/// the state was begun or before: the base has them.
async fn fold_rest(
    store: &dyn Store,
    key: &SessionKey,
    mut loaded: Loaded,
) -> Result<(Loaded, u64), LogError> {
    loop {
        let begun = loaded.sequence;
        if fold_to(store, key, &mut loaded, u64::MAX).await? == Folded::Whole {
            return Ok((loaded, begun));
        }
        let reached = loaded.sequence;
        loaded = from_base(store, session(store, key).await?).await?;
        if loaded.sequence <= begun {
            return Err(LogError::Store(StoreError::Backend(format!(
                "the log of {key} has no event {}",
                reached + 1
            ))));
        }
    }
}

/// Folds the events up to a sequence, or to the log's end.
pub(crate) async fn fold_to(
    store: &dyn Store,
    key: &SessionKey,
    loaded: &mut Loaded,
    last: u64,
) -> Result<Folded, LogError> {
    while loaded.sequence < last {
        let left = u32::try_from(last - loaded.sequence).unwrap_or(EVENT_PAGE);
        let events = store
            .list_events(key, loaded.sequence, left.min(EVENT_PAGE))
            .await?;
        let Some(newest) = events.last() else {
            // The row counts what was given out, retained or not.
            let whole = loaded.sequence >= loaded.row.last_sequence.min(last);
            return Ok(if whole { Folded::Whole } else { Folded::Gap });
        };
        loaded.row.last_sequence = loaded.row.last_sequence.max(newest.sequence);
        // No more were asked for than are wanted, so one beyond the last comes after a gap.
        if !events.iter().all(|record| loaded.fold(record)) {
            return Ok(Folded::Gap);
        }
    }
    Ok(Folded::Whole)
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
