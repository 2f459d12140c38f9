//! Pruning a log (04 §2.11): the view at the end of the old events takes their place.
//!
//! Nothing here goes through the thread's writer: the view in memory stays what it is, since base and events say
//! the same before and after.

use crate::error::LogError;
use crate::load::{self, Folded};
use crate::thread::Loaded;
use open_cowork_projection::PROJECTOR_VERSION;
use open_cowork_providers::store::{SessionKey, Snapshot, Store, StoreError};
use open_cowork_providers::time::Timestamp;

/// Prunes one step; the number of events, 0 when there is nothing to do or somebody else does it.
pub(crate) async fn step(
    store: &dyn Store,
    key: &SessionKey,
    before: Timestamp,
    limit: u32,
) -> Result<u64, LogError> {
    let Some(step) = store.plan_prune(key, before, limit).await? else {
        return Ok(0);
    };
    let row = store.session(key).await?;
    let row = row.ok_or_else(|| StoreError::NotFound(key.session_id.to_string()))?;
    let mut view = load::from_base(store, row).await?;
    if view.sequence != step.after {
        return Ok(0);
    }
    if load::fold_to(store, key, &mut view, step.through).await? == Folded::Gap {
        return Ok(0);
    }
    let base = written(view).await?;
    Ok(store.prune_events(key, step, base).await?)
}

/// A view as it is stored. A long one takes a while to write out.
async fn written(view: Loaded) -> Result<Snapshot, LogError> {
    let writing = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_string(view.view()).ok()?;
        Some(Snapshot {
            sequence: view.sequence,
            projector_version: PROJECTOR_VERSION,
            view: text,
            updated_at: view.view().updated_at.clone(),
        })
    });
    writing.await.ok().flatten().ok_or(LogError::Closed)
}
