//! Cases about pruning (04 §2.11): whatever was pruned, base and events together say the same.

use super::{TENANT, USER, append, create, event, key, new_session, scope, text, with_id};
use crate::store::{
    AppendRequest, EVENT_PAGE, NewEvent, PruneStep, SessionKey, Snapshot, Store, StoreError,
};
use crate::time::{Timestamp, parse_iso};
use futures::future::join_all;
use open_cowork_contracts::EventType;
use serde_json::{Value, json};
use std::sync::Arc;

/// A time so many seconds after the first.
fn at(second: u32) -> String {
    format!("2026-01-01T00:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn before(second: u32) -> Timestamp {
    parse_iso(&at(second)).unwrap()
}

/// A delta of that second.
fn said(second: u32, content: &str) -> NewEvent {
    NewEvent {
        created_at: at(second),
        ..text(content)
    }
}

/// An id that the log would mint.
fn minted(session: &str, n: u32) -> String {
    format!("runtime:{session}:123e4567-e89b-12d3-a456-{n:012}")
}

/// What the cases take for a view: all contents, one after the other.
fn content(event: &Value) -> &str {
    event.get("content").and_then(Value::as_str).unwrap_or("-")
}

/// Base and events of a log, folded; and whether the events follow the base without a gap.
async fn whole(store: &Arc<dyn Store>, key: &SessionKey) -> String {
    let base = store.base(key).await.unwrap();
    let mut sequence = base.as_ref().map_or(0, |base| base.sequence);
    let mut folded: String = base.map_or_else(String::new, |base| {
        serde_json::from_str(&base.view).unwrap()
    });
    loop {
        let page = store.list_events(key, sequence, EVENT_PAGE).await.unwrap();
        if page.is_empty() {
            return folded;
        }
        for event in page {
            sequence += 1;
            assert_eq!(event.sequence, sequence, "no gap after the base");
            folded.push_str(content(&Value::Object(event.payload.clone())));
        }
    }
}

/// The view at the end of a step; `None`: somebody else has pruned meanwhile.
async fn base_of(store: &Arc<dyn Store>, key: &SessionKey, step: PruneStep) -> Option<Snapshot> {
    let base = store.base(key).await.unwrap();
    if base.as_ref().map_or(0, |base| base.sequence) != step.after {
        return None;
    }
    let mut folded: String = base.map_or_else(String::new, |base| {
        serde_json::from_str(&base.view).unwrap()
    });
    let mut sequence = step.after;
    while sequence < step.through {
        let left = u32::try_from(step.through - sequence).unwrap();
        let page = store.list_events(key, sequence, left).await.unwrap();
        for event in page {
            if event.sequence != sequence + 1 {
                return None;
            }
            sequence += 1;
            folded.push_str(content(&Value::Object(event.payload.clone())));
        }
    }
    Some(Snapshot {
        sequence,
        projector_version: 1,
        view: serde_json::to_string(&folded).unwrap(),
        updated_at: at(0),
    })
}

/// One step, as the thread log does it; the number of events.
async fn prune(store: &Arc<dyn Store>, session: &str, second: u32, limit: u32) -> u64 {
    let key = key(session);
    let step = store.plan_prune(&key, before(second), limit).await.unwrap();
    let Some(step) = step else { return 0 };
    match base_of(store, &key, step).await {
        Some(base) => store.prune_events(&key, step, base).await.unwrap(),
        None => 0,
    }
}

/// Sequences go on, and what was folded stays.
pub async fn pruning_moves_the_beginning_of_a_log(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let events = (1..=6).map(|n| said(n, &n.to_string())).collect();
    append(store, "s", events).await.unwrap();
    assert_eq!(prune(store, "s", 4, 100).await, 3);
    let stats = store.event_stats(&key("s")).await.unwrap();
    assert_eq!(
        (stats.count, stats.earliest_sequence, stats.latest_sequence),
        (3, Some(4), 6)
    );
    let listed = store.list_events(&key("s"), 0, 1).await.unwrap();
    assert_eq!(listed[0].sequence, 4);
    let base = store.base(&key("s")).await.unwrap().unwrap();
    assert_eq!((base.sequence, base.view.as_str()), (3, r#""123""#));

    let appended = append(store, "s", vec![said(7, "7")]).await.unwrap();
    assert_eq!(appended.row.last_sequence, 7);
    assert_eq!(prune(store, "s", 60, 100).await, 4);
    let stats = store.event_stats(&key("s")).await.unwrap();
    assert_eq!(
        (stats.count, stats.earliest_sequence, stats.latest_sequence),
        (0, None, 7)
    );
    assert_eq!(whole(store, &key("s")).await, "1234567");
    append(store, "s", vec![said(8, "8")]).await.unwrap();
    assert_eq!(whole(store, &key("s")).await, "12345678");
}

/// A log is never cut in the middle, and never by more than asked for.
pub async fn only_the_old_beginning_of_a_log_is_pruned(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let times = [1, 2, 9, 3, 4];
    let events = times.iter().map(|n| said(*n, "x")).collect();
    append(store, "s", events).await.unwrap();
    let plan = async |second, limit| {
        let step = store.plan_prune(&key("s"), before(second), limit).await;
        step.unwrap().map(|step| (step.after, step.through))
    };
    assert_eq!(plan(1, 100).await, None);
    assert_eq!(plan(5, 100).await, Some((0, 2)));
    assert_eq!(plan(5, 1).await, Some((0, 1)));
    assert_eq!(plan(60, 4).await, Some((0, 4)));
    assert_eq!(prune(store, "s", 60, 4).await, 4);
    assert_eq!(plan(60, 4).await, Some((4, 5)));
    assert_eq!(prune(store, "s", 60, 4).await, 1);
    assert_eq!(plan(60, 4).await, None);
    let unknown = store.plan_prune(&key("nobody"), before(60), 4).await;
    assert_eq!(unknown, Ok(None));
}

/// Its events may still be compared with the runtime's.
pub async fn an_unfinished_turn_keeps_its_log(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let busy = event(EventType::SessionStatus, json!({ "statusType": "busy" }));
    append(store, "s", vec![said(1, "a"), said(2, "b")])
        .await
        .unwrap();
    let step = store.plan_prune(&key("s"), before(60), 10).await.unwrap();
    let step = step.unwrap();
    let base = base_of(store, &key("s"), step).await.unwrap();
    append(store, "s", vec![busy]).await.unwrap();
    let running = store.plan_prune(&key("s"), before(60), 10).await;
    assert_eq!(running, Ok(None));
    let done = store.prune_events(&key("s"), step, base.clone()).await;
    assert_eq!(done, Ok(0), "it began in between");
    assert_eq!(store.base(&key("s")).await, Ok(None));
    append(store, "s", vec![super::idle()]).await.unwrap();
    assert_eq!(store.prune_events(&key("s"), step, base).await, Ok(2));
}

/// Two that prune at once do it once.
pub async fn a_step_is_done_once_and_with_its_own_base(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", vec![said(1, "a"), said(2, "b")])
        .await
        .unwrap();
    let step = store.plan_prune(&key("s"), before(2), 10).await.unwrap();
    let step = step.unwrap();
    let base = base_of(store, &key("s"), step).await.unwrap();
    let wrong = Snapshot {
        sequence: 2,
        ..base.clone()
    };
    let refused = store.prune_events(&key("s"), step, wrong).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    let prune = async || store.prune_events(&key("s"), step, base.clone()).await;
    assert_eq!(prune().await, Ok(1));
    assert_eq!(prune().await, Ok(0));
    let beyond = PruneStep {
        after: 1,
        through: 9,
    };
    let too_far = Snapshot {
        sequence: 9,
        ..base.clone()
    };
    let done = store.prune_events(&key("s"), beyond, too_far).await;
    assert_eq!(done, Ok(0), "the log isn't that long");
    assert_eq!(whole(store, &key("s")).await, "ab");
    let nobody = store.prune_events(&key("nobody"), step, base).await;
    assert_eq!(nobody, Err(StoreError::NotFound("nobody".into())));
}

/// Recovery and retries bring events again, long after; only what was minted at random can't come twice.
pub async fn ids_of_pruned_events_stay_known(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let random = minted("s", 1);
    let events = vec![
        with_id("s:command:c1:prompt-submitted", said(1, "a")),
        with_id(&random, said(2, "b")),
        said(3, "c"),
        with_id("other", said(4, "d")),
    ];
    let first = append(store, "s", events).await.unwrap();
    assert_eq!(prune(store, "s", 60, 3).await, 3);
    for content in ["a", "other content, which nobody can compare any more"] {
        let again = with_id("s:command:c1:prompt-submitted", said(9, content));
        let again = append(store, "s", vec![again]).await.unwrap();
        assert!(!again.events[0].created);
        assert_eq!(again.events[0].record.sequence, 1);
        assert_eq!(again.events[0].record.created_at, at(1));
        assert_eq!(
            again.events[0].workspace_sequence,
            first.events[0].workspace_sequence
        );
        assert_eq!(again.row.last_sequence, 4);
    }
    let default = append(store, "s", vec![with_id("s:3", said(9, "c"))]).await;
    assert!(!default.unwrap().events[0].created);
    let kind = event(EventType::SessionIdle, json!({}));
    let kind = append(
        store,
        "s",
        vec![with_id("s:command:c1:prompt-submitted", kind)],
    );
    let reused = StoreError::EventIdReused("s:command:c1:prompt-submitted".into());
    assert_eq!(kind.await, Err(reused));
    let kept = append(store, "s", vec![with_id("other", said(9, "changed"))]).await;
    assert_eq!(kept, Err(StoreError::EventIdReused("other".into())));
    let new = append(store, "s", vec![with_id(&random, said(9, "e"))]).await;
    let new = new.unwrap();
    assert!(new.events[0].created);
    assert_eq!(new.events[0].record.sequence, 5);
    assert_eq!(whole(store, &key("s")).await, "abcde");
}

/// A store may keep a delta as its difference from an earlier one.
pub async fn what_stays_is_whole_whatever_it_was_stored_with(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let mut expected = String::new();
    let mut next = 0;
    let mut some = |count: u32| -> Vec<NewEvent> {
        let events = (next..next + count).map(|n| {
            let id = minted("s", n);
            let delta = said(n, &format!("{n},"));
            if n % 7 == 3 {
                delta
            } else {
                with_id(&id, delta)
            }
        });
        let events: Vec<NewEvent> = events.collect();
        next += count;
        events
    };
    for count in [5, 40, 1, 3] {
        for event in some(count) {
            expected.push_str(content(&Value::Object(event.payload.clone())));
            append(store, "s", vec![event]).await.unwrap();
        }
        prune(store, "s", 59, 4).await;
        assert_eq!(whole(store, &key("s")).await, expected);
    }
    while prune(store, "s", 59, 7).await > 0 {
        assert_eq!(whole(store, &key("s")).await, expected);
    }
    for event in some(3) {
        expected.push_str(content(&Value::Object(event.payload.clone())));
        append(store, "s", vec![event]).await.unwrap();
        assert_eq!(whole(store, &key("s")).await, expected);
    }
}

/// Dense from its beginning on, so that a reader can tell a gap.
pub async fn a_workspace_stream_begins_after_what_was_pruned(store: &Arc<dyn Store>) {
    create(store, "a").await;
    create(store, "b").await;
    for (session, second) in [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5)] {
        append(store, session, vec![said(second, session)])
            .await
            .unwrap();
    }
    assert_eq!(prune(store, "a", 4, 100).await, 2);
    let listed = store.list_workspace_events(&scope(), 0, 10).await.unwrap();
    let sequences: Vec<u64> = listed.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [4, 5]);
    let cursor = store.workspace_cursor(&scope()).await.unwrap();
    assert_eq!(
        (cursor.earliest_sequence, cursor.latest_sequence),
        (Some(4), 5)
    );
    let of_b = store.event_stats(&key("b")).await.unwrap();
    assert_eq!((of_b.count, of_b.earliest_sequence), (2, Some(1)));
    prune(store, "b", 2, 100).await;
    let cursor = store.workspace_cursor(&scope()).await.unwrap();
    assert_eq!(cursor.earliest_sequence, Some(4), "it never goes back");
    let next = append(store, "b", vec![said(6, "b")]).await.unwrap();
    assert_eq!(next.events[0].workspace_sequence, 6);
}

/// The threads keep their events.
pub async fn a_workspace_stream_can_be_pruned_by_itself(store: &Arc<dyn Store>) {
    create(store, "s").await;
    store
        .create_session(new_session(TENANT, "u2", "other", &at(0)))
        .await
        .unwrap();
    let events = (1..=4).map(|n| said(n, "x")).collect();
    append(store, "s", events).await.unwrap();
    append(store, "other", vec![said(1, "x"), said(50, "x")])
        .await
        .unwrap();
    assert_eq!(store.prune_workspaces(before(1), 10).await, Ok(0));
    assert_eq!(store.prune_workspaces(before(4), 2).await, Ok(2));
    assert_eq!(store.prune_workspaces(before(4), 10).await, Ok(2));
    assert_eq!(store.prune_workspaces(before(4), 10).await, Ok(0));
    let cursor = store.workspace_cursor(&scope()).await.unwrap();
    assert_eq!(
        (cursor.earliest_sequence, cursor.latest_sequence),
        (Some(4), 4)
    );
    let listed = store.list_workspace_events(&scope(), 1, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    let stats = store.event_stats(&key("s")).await.unwrap();
    assert_eq!((stats.count, stats.earliest_sequence), (4, Some(1)));
    assert_eq!(store.prune_workspaces(before(60), 10).await, Ok(2));
    let cursor = store.workspace_cursor(&scope()).await.unwrap();
    assert_eq!(
        (cursor.earliest_sequence, cursor.latest_sequence),
        (None, 4)
    );
}

/// Every session once, whoever it belongs to.
pub async fn a_walk_finds_every_session_with_old_events(store: &Arc<dyn Store>) {
    for (tenant, user, session) in [
        (TENANT, USER, "old"),
        (TENANT, USER, "young"),
        (TENANT, USER, "empty"),
        (TENANT, USER, "running"),
        (TENANT, USER, "pruned"),
        ("t2", "u9", "old"),
    ] {
        let made = new_session(tenant, user, session, &at(0));
        store.create_session(made).await.unwrap();
    }
    let busy = NewEvent {
        created_at: at(1),
        ..event(EventType::SessionStatus, json!({ "statusType": "busy" }))
    };
    for (key, events) in [
        (key("old"), vec![said(1, "x"), said(50, "x")]),
        (key("young"), vec![said(50, "x")]),
        (key("running"), vec![said(1, "x"), busy]),
        (key("pruned"), vec![said(1, "x")]),
        (SessionKey::new("t2", "old"), vec![said(1, "x")]),
    ] {
        let request = AppendRequest {
            key,
            events: events.into(),
            fence: None,
        };
        store.append(request).await.unwrap();
    }
    assert_eq!(prune(store, "pruned", 10, 10).await, 1);
    for limit in [1, 2, 100] {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = store.old_sessions(before(10), cursor.as_deref(), limit);
            let page = page.await.unwrap();
            found.extend(page.keys);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, [key("old"), SessionKey::new("t2", "old")], "{limit}");
    }
    let nonsense = store.old_sessions(before(10), Some("nonsense"), 10).await;
    assert_eq!(nonsense, Err(StoreError::InvalidCursor));
}

/// Writers, readers and two that prune, all at once and through two handles.
pub async fn pruning_beside_writers_and_readers_loses_nothing(
    store: &Arc<dyn Store>,
    peer: &Arc<dyn Store>,
) {
    const EVENTS: u32 = 120;
    create(store, "s").await;
    let write = async {
        for n in 0..EVENTS {
            let event = with_id(&minted("s", n), said(n, &format!("{n},")));
            append(store, "s", vec![event]).await.unwrap();
        }
    };
    let pruning = async |handle: &Arc<dyn Store>| {
        let mut pruned = 0;
        while pruned < 60 {
            pruned += prune(handle, "s", 30 * 60, 5).await;
            let base = handle.base(&key("s")).await.unwrap();
            if base.is_some_and(|base| base.sequence >= 100) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let mut cursor = 0;
        while cursor < u64::from(EVENTS) {
            let page = peer.list_events(&key("s"), cursor, 10).await.unwrap();
            let mut last = None;
            for event in page {
                assert!(event.sequence > cursor);
                assert!(last.is_none_or(|last| event.sequence == last + 1), "a hole");
                let expected = format!("{},", event.sequence - 1);
                assert_eq!(content(&Value::Object(event.payload.clone())), expected);
                last = Some(event.sequence);
            }
            let latest = peer.event_stats(&key("s")).await.unwrap();
            cursor = last.unwrap_or(match latest.count {
                0 => latest.latest_sequence,
                _ => cursor,
            });
            tokio::task::yield_now().await;
        }
    };
    let tasks: Vec<futures::future::BoxFuture<'_, ()>> = vec![
        Box::pin(write),
        Box::pin(pruning(store)),
        Box::pin(pruning(peer)),
        Box::pin(read),
    ];
    join_all(tasks).await;
    let expected: String = (0..EVENTS).map(|n| format!("{n},")).collect();
    for handle in [store, peer] {
        assert_eq!(whole(handle, &key("s")).await, expected);
        let stats = handle.event_stats(&key("s")).await.unwrap();
        let base = handle.base(&key("s")).await.unwrap().unwrap();
        assert_eq!(stats.count, u64::from(EVENTS) - base.sequence);
        assert_eq!(stats.latest_sequence, u64::from(EVENTS));
    }
}
