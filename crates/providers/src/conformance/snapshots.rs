//! Cases about stored views (01 §7.1, decision 13).

use super::{T0, USER, append, create, key, new_session, text};
use crate::store::{SessionKey, Snapshot, SnapshotRule, SnapshotWrite, Store, StoreError};
use std::sync::Arc;

fn snapshot(sequence: u64, projector_version: u32, view: &str) -> Snapshot {
    Snapshot {
        sequence,
        projector_version,
        view: view.into(),
        updated_at: T0.into(),
    }
}

async fn write(store: &Arc<dyn Store>, snapshot: Snapshot) -> Result<SnapshotWrite, StoreError> {
    store
        .write_snapshot(&key("s"), snapshot, SnapshotRule::Advance)
        .await
}

async fn prepare(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", (0..9).map(|n| text(&n.to_string())).collect())
        .await
        .unwrap();
}

/// One per session; text in, the same text out.
pub async fn the_newest_snapshot_is_read_back_verbatim(store: &Arc<dyn Store>) {
    prepare(store).await;
    assert_eq!(store.snapshot(&key("s")).await.unwrap(), None);
    let long = format!(r#"{{ "b":1.0, "a":"{}" }}"#, "ü\u{1f600} ".repeat(50_000));
    assert_eq!(
        write(store, snapshot(3, 1, r#"{"a":1}"#)).await,
        Ok(SnapshotWrite::Written)
    );
    assert_eq!(
        write(store, snapshot(7, 1, &long)).await,
        Ok(SnapshotWrite::Written)
    );
    assert_eq!(
        store.snapshot(&key("s")).await.unwrap(),
        Some(snapshot(7, 1, &long))
    );
}

/// `Projection sequence must be monotonic.`
pub async fn a_lower_sequence_is_refused(store: &Arc<dyn Store>) {
    prepare(store).await;
    write(store, snapshot(5, 1, "{}")).await.unwrap();
    for version in [1, 2] {
        let error = write(store, snapshot(4, version, "{}")).await.unwrap_err();
        assert_eq!(error.to_string(), "Projection sequence must be monotonic.");
    }
    assert_eq!(
        store.snapshot(&key("s")).await.unwrap().unwrap().sequence,
        5
    );
}

/// `Projection sequence was reused with different content.`
pub async fn an_equal_sequence_needs_equal_content(store: &Arc<dyn Store>) {
    prepare(store).await;
    write(store, snapshot(5, 1, r#"{"a":1,"b":2}"#))
        .await
        .unwrap();
    assert_eq!(
        write(store, snapshot(5, 1, r#"{"b":2,"a":1.0}"#)).await,
        Ok(SnapshotWrite::Unchanged)
    );
    let error = write(store, snapshot(5, 1, r#"{"a":2,"b":2}"#))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Projection sequence was reused with different content."
    );
}

/// A mended reducer may mend what is stored.
pub async fn a_higher_projector_version_may_replace_an_equal_sequence(store: &Arc<dyn Store>) {
    prepare(store).await;
    write(store, snapshot(5, 1, "{}")).await.unwrap();
    assert_eq!(
        write(store, snapshot(5, 2, r#"{"a":1}"#)).await,
        Ok(SnapshotWrite::Written)
    );
    assert!(
        write(store, snapshot(5, 1, "{}")).await.is_err(),
        "never back to an older reducer's"
    );
    assert_eq!(
        store
            .snapshot(&key("s"))
            .await
            .unwrap()
            .unwrap()
            .projector_version,
        2
    );
}

/// The log is the truth.
pub async fn a_repair_replaces_anything(store: &Arc<dyn Store>) {
    prepare(store).await;
    write(store, snapshot(9, 2, r#"{"a":"damaged"}"#))
        .await
        .unwrap();
    let right = snapshot(8, 1, r#"{"a":1}"#);
    let repair = async || {
        store
            .write_snapshot(&key("s"), right.clone(), SnapshotRule::Repair)
            .await
    };
    assert_eq!(repair().await, Ok(SnapshotWrite::Written));
    assert_eq!(repair().await, Ok(SnapshotWrite::Unchanged));
    assert_eq!(
        store.snapshot(&key("s")).await.unwrap(),
        Some(right.clone())
    );
}

/// No orphan snapshots.
pub async fn a_snapshot_of_an_unknown_session_is_refused(store: &Arc<dyn Store>) {
    assert_eq!(
        write(store, snapshot(1, 1, "{}")).await,
        Err(StoreError::NotFound("s".into()))
    );
    assert_eq!(store.snapshot(&key("s")).await.unwrap(), None);
}

/// Tenant isolation.
pub async fn snapshots_of_two_tenants_do_not_meet(store: &Arc<dyn Store>) {
    prepare(store).await;
    store
        .create_session(new_session("t2", USER, "s", T0))
        .await
        .unwrap();
    write(store, snapshot(5, 1, "{}")).await.unwrap();
    assert_eq!(
        store.snapshot(&SessionKey::new("t2", "s")).await.unwrap(),
        None
    );
}
