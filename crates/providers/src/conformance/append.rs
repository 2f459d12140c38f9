//! Cases about appends and the log: ids, sequences, atomicity, reading (01 §7.1, 04 §2.3).

use super::{T0, TENANT, append, create, event, key, scope, text, with_id};
use crate::store::{EVENT_PAGE, NewEvent, Store, StoreError};
use open_cowork_contracts::EventType;
use serde_json::json;
use std::sync::Arc;

async fn sequences(store: &Arc<dyn Store>, session: &str) -> Vec<u64> {
    let events = store
        .list_events(&key(session), 0, EVENT_PAGE)
        .await
        .unwrap();
    events.iter().map(|event| event.sequence).collect()
}

/// Dense, from 1, apart per session.
pub async fn sequences_are_dense_from_one_per_session(store: &Arc<dyn Store>) {
    create(store, "a").await;
    create(store, "b").await;
    append(store, "a", vec![text("1"), text("2")])
        .await
        .unwrap();
    append(store, "b", vec![text("1")]).await.unwrap();
    let appended = append(store, "a", vec![text("3")]).await.unwrap();
    assert_eq!(appended.row.last_sequence, 3);
    assert_eq!(sequences(store, "a").await, [1, 2, 3]);
    assert_eq!(sequences(store, "b").await, [1]);
    let stats = store.event_stats(&key("a")).await.unwrap();
    assert_eq!(
        (stats.count, stats.earliest_sequence, stats.latest_sequence),
        (3, Some(1), 3)
    );
    let none = store.event_stats(&key("nobody")).await.unwrap();
    assert_eq!(
        (none.count, none.earliest_sequence, none.latest_sequence),
        (0, None, 0)
    );
}

/// No session, no event.
pub async fn an_unknown_session_cannot_append(store: &Arc<dyn Store>) {
    assert_eq!(
        append(store, "nobody", vec![text("x")]).await,
        Err(StoreError::NotFound("nobody".into()))
    );
    assert!(
        store
            .list_events(&key("nobody"), 0, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// `<session>:<sequence>`.
pub async fn an_event_without_an_id_gets_session_and_sequence(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", vec![with_id("own", text("1")), text("2")])
        .await
        .unwrap();
    let events = store.list_events(&key("s"), 0, 10).await.unwrap();
    let ids: Vec<_> = events
        .iter()
        .map(|event| event.event_id.clone().unwrap())
        .collect();
    assert_eq!(ids, ["own".into(), "s:2".into()]);
    assert_eq!(events[0].tenant_id, Some(TENANT.into()));
    assert_eq!(events[0].session_id, Some("s".into()));
    assert_eq!(events[0].created_at, T0);
}

/// A replay returns what is stored; key order and time don't matter.
pub async fn a_known_id_with_equal_content_is_reused(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let original = event(
        EventType::CostUpdated,
        json!({ "cost": 1, "tokens": { "input": 2, "output": 3 } }),
    );
    let first = append(store, "s", vec![with_id("e", original)])
        .await
        .unwrap();
    append(store, "s", vec![text("between")]).await.unwrap();
    let again = NewEvent {
        created_at: "2027-01-01T00:00:00.000Z".into(),
        ..event(
            EventType::CostUpdated,
            json!({ "tokens": { "output": 3, "input": 2.0 }, "cost": 1.0 }),
        )
    };
    let replay = append(store, "s", vec![with_id("e", again), text("after")])
        .await
        .unwrap();
    assert!(!replay.events[0].created && replay.events[1].created);
    assert_eq!(replay.events[0].record, first.events[0].record);
    assert_eq!(
        replay.events[0].workspace_sequence,
        first.events[0].workspace_sequence
    );
    assert_eq!(sequences(store, "s").await, [1, 2, 3]);
    let workspace = store.list_workspace_events(&scope(), 0, 10).await.unwrap();
    assert_eq!(workspace.len(), 3);
}

/// `Event id <id> was reused with different content.`
pub async fn a_known_id_with_other_content_fails_the_whole_request(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", vec![with_id("e", text("a"))])
        .await
        .unwrap();
    for other in [
        text("b"),
        event(
            EventType::SessionIdle,
            json!({ "messageId": "m", "content": "a", "mode": "append" }),
        ),
        event(
            EventType::AssistantMessage,
            json!({ "messageId": "m", "content": "a", "mode": "append", "x": null }),
        ),
    ] {
        let error = append(store, "s", vec![text("new"), with_id("e", other)])
            .await
            .unwrap_err();
        assert_eq!(error, StoreError::EventIdReused("e".into()));
        assert_eq!(
            error.to_string(),
            "Event id e was reused with different content."
        );
    }
    assert_eq!(sequences(store, "s").await, [1]);
}

/// Inside one request too.
pub async fn the_same_id_twice_in_one_request_is_one_event(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let appended = append(
        store,
        "s",
        vec![with_id("e", text("a")), with_id("e", text("a")), text("b")],
    )
    .await
    .unwrap();
    let created: Vec<_> = appended
        .events
        .iter()
        .map(|event| (event.created, event.record.sequence))
        .collect();
    assert_eq!(created, [(true, 1), (false, 1), (true, 2)]);
    let error = append(
        store,
        "s",
        vec![with_id("f", text("a")), with_id("f", text("b"))],
    )
    .await;
    assert_eq!(error, Err(StoreError::EventIdReused("f".into())));
    assert_eq!(sequences(store, "s").await, [1, 2]);
}

/// Default ids belong to the log: they can be named again, never ahead of time.
pub async fn a_default_id_can_be_replayed_but_not_taken_in_advance(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", vec![text("a"), text("b")])
        .await
        .unwrap();
    let replay = append(store, "s", vec![with_id("s:2", text("b"))])
        .await
        .unwrap();
    assert_eq!(
        (replay.events[0].created, replay.events[0].record.sequence),
        (false, 2)
    );
    assert_eq!(
        append(store, "s", vec![with_id("s:1", text("other"))]).await,
        Err(StoreError::EventIdReused("s:1".into()))
    );
    assert_eq!(
        append(store, "s", vec![with_id("s:4", text("c"))]).await,
        Err(StoreError::ReservedEventId("s:4".into()))
    );
    let next = append(store, "s", vec![with_id("s:3", text("c"))])
        .await
        .unwrap();
    assert_eq!(
        (next.events[0].created, next.events[0].record.sequence),
        (true, 3)
    );
    let replay = append(store, "s", vec![with_id("s:3", text("c"))])
        .await
        .unwrap();
    assert!(!replay.events[0].created);
    let events = store.list_events(&key("s"), 2, 10).await.unwrap();
    assert_eq!(events[0].event_id, Some("s:3".into()));
}

/// An event id is unique per session, not per store.
pub async fn ids_of_two_sessions_do_not_meet(store: &Arc<dyn Store>) {
    create(store, "a").await;
    create(store, "b").await;
    append(store, "a", vec![with_id("e", text("1"))])
        .await
        .unwrap();
    let appended = append(store, "b", vec![with_id("e", text("2"))])
        .await
        .unwrap();
    assert!(appended.events[0].created);
}

/// 01 §2: types 20 and 21, and what neither list knows.
pub async fn transport_and_unknown_types_are_refused(store: &Arc<dyn Store>) {
    create(store, "s").await;
    for name in ["snapshot.required", "channel.delivery", "thread.exploded"] {
        let error = append(store, "s", vec![event(EventType::parse(name), json!({}))])
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Unsupported cloud projection event type: {name}")
        );
    }
    let additive = ["session.renamed", "task.message", "task.todos"];
    let events = additive
        .map(|name| event(EventType::parse(name), json!({})))
        .to_vec();
    assert_eq!(
        append(store, "s", events).await.unwrap().row.last_sequence,
        3
    );
    let stored = store.list_events(&key("s"), 0, 10).await.unwrap();
    let names: Vec<_> = stored
        .iter()
        .map(|event| event.kind.as_str().to_owned())
        .collect();
    assert_eq!(names, additive);
}

/// All or nothing: events, status, title, asks, both sequences.
pub async fn a_failing_event_rolls_the_request_back(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(store, "s", vec![text("a")]).await.unwrap();
    let before = store.session(&key("s")).await.unwrap();
    let bad = vec![
        with_id("e", text("b")),
        event(EventType::RuntimeError, json!({})),
        event(EventType::SessionRenamed, json!({ "title": "T" })),
        event(EventType::PermissionRequested, json!({ "id": "p" })),
        event(EventType::parse("unknown.type"), json!({})),
    ];
    assert!(append(store, "s", bad).await.is_err());
    assert_eq!(store.session(&key("s")).await.unwrap(), before);
    assert_eq!(sequences(store, "s").await, [1]);
    assert_eq!(
        store
            .workspace_cursor(&scope())
            .await
            .unwrap()
            .latest_sequence,
        1
    );
    let appended = append(store, "s", vec![with_id("e", text("other content"))])
        .await
        .unwrap();
    assert_eq!(
        (
            appended.events[0].record.sequence,
            appended.events[0].workspace_sequence
        ),
        (2, 2)
    );
}

/// Requests that a store batches together stay independent.
pub async fn one_bad_request_does_not_fail_its_neighbours(store: &Arc<dyn Store>) {
    for n in 0..8 {
        create(store, &format!("s{n}")).await;
        append(store, &format!("s{n}"), vec![with_id("e", text("a"))])
            .await
            .unwrap();
    }
    let requests = (0..64).map(|n| {
        let session = format!("s{}", n % 8);
        let store = store.clone();
        async move {
            match n % 3 {
                0 => append(&store, &session, vec![with_id("e", text("other"))]).await,
                1 => append(&store, &session, vec![with_id("e", text("a"))]).await,
                _ => append(&store, &session, vec![text(&n.to_string())]).await,
            }
        }
    });
    for (n, result) in futures::future::join_all(requests)
        .await
        .into_iter()
        .enumerate()
    {
        match n % 3 {
            0 => assert_eq!(result, Err(StoreError::EventIdReused("e".into()))),
            1 => assert!(!result.unwrap().events[0].created),
            _ => assert!(result.unwrap().events[0].created),
        }
    }
    for n in 0..8 {
        let found = sequences(store, &format!("s{n}")).await;
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
    }
}

/// Many writers, a few sessions of one user: both counters stay dense, and each writer's own order is kept.
pub async fn concurrent_writers_leave_no_gap(store: &Arc<dyn Store>) {
    const SESSIONS: usize = 4;
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    for n in 0..SESSIONS {
        create(store, &format!("s{n}")).await;
    }
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..EACH {
                let id = format!("w{writer}:{n}");
                let event = with_id(&id, text(&format!("{writer} {n}")));
                append(&store, &format!("s{}", writer % SESSIONS), vec![event])
                    .await
                    .unwrap();
            }
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap();
    }
    for n in 0..SESSIONS {
        let events = store
            .list_events(&key(&format!("s{n}")), 0, EVENT_PAGE)
            .await
            .unwrap();
        let found: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(
            found,
            (1..=(WRITERS / SESSIONS * EACH) as u64).collect::<Vec<_>>()
        );
        for writer in (0..WRITERS).filter(|writer| writer % SESSIONS == n) {
            let prefix = format!("{writer} ");
            let own = events
                .iter()
                .filter_map(|event| event.payload["content"].as_str()?.strip_prefix(&prefix));
            assert!(own.eq((0..EACH).map(|n| n.to_string())));
        }
    }
    let workspace = store
        .list_workspace_events(&scope(), 0, EVENT_PAGE)
        .await
        .unwrap();
    let found: Vec<u64> = workspace.iter().map(|event| event.sequence).collect();
    assert_eq!(found, (1..=(WRITERS * EACH) as u64).collect::<Vec<_>>());
}

/// However many go at once: whole events, deltas that repeat the one before, ids and times of every form.
pub async fn a_large_batch_survives_unchanged(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let texts = ["", "ü \u{1f600}", "\u{0}\u{1} \\ \" '", "\n\t\r"];
    let events: Vec<NewEvent> = (0..600)
        .map(|n: usize| NewEvent {
            event_id: match n % 4 {
                0 => None,
                1 => Some(format!("runtime:s:0198c0de-0000-7000-8000-{n:012x}").into()),
                2 => Some(format!("s:nul\u{0}{n}").into()),
                _ => Some(format!("other{n}").into()),
            },
            created_at: if n.is_multiple_of(7) { "once".into() } else { T0.into() },
            ..event(
                EventType::AssistantMessage,
                json!({ "messageId": format!("m{}", n / 50), "content": texts[n % 4], "mode": "append" }),
            )
        })
        .collect();
    let appended = append(store, "s", events.clone()).await.unwrap();
    let listed = store.list_events(&key("s"), 0, EVENT_PAGE).await.unwrap();
    assert_eq!(listed.len(), events.len());
    for ((listed, appended), given) in listed.iter().zip(&appended.events).zip(&events) {
        assert_eq!(*listed, appended.record);
        assert_eq!(listed.payload, given.payload);
        assert_eq!(listed.created_at, given.created_at);
        if let Some(id) = &given.event_id {
            assert_eq!(listed.event_id.as_ref(), Some(id));
        }
    }
    let row = store.session(&key("s")).await.unwrap().unwrap();
    assert_eq!(row.last_sequence, 600);
    // And once more: nothing is stored twice.
    let again: Vec<NewEvent> = events
        .into_iter()
        .filter(|event| event.event_id.is_some())
        .collect();
    let again = append(store, "s", again).await.unwrap();
    assert!(again.events.iter().all(|event| !event.created));
}

/// Open JSON in, the same JSON out.
pub async fn payloads_survive_unchanged(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let payload = json!({
        "z": "first", "a": "ü \u{1f600} \u{0} \"quoted\" \\ \n", "numbers": [0, -1, 1.5, 1e300, 0.1, 9007199254740993u64],
        "nested": { "null": null, "empty": {}, "list": [] }, "": true
    });
    append(
        store,
        "s",
        vec![event(EventType::ToolCall, payload.clone())],
    )
    .await
    .unwrap();
    let stored = store.list_events(&key("s"), 0, 1).await.unwrap();
    assert_eq!(
        serde_json::to_string(&stored[0].payload).unwrap(),
        payload.to_string(),
        "key order included"
    );
}

/// Ascending, exclusive cursor, bounded.
pub async fn events_are_listed_after_a_cursor_up_to_a_limit(store: &Arc<dyn Store>) {
    create(store, "s").await;
    append(
        store,
        "s",
        (1..=1500).map(|n| text(&n.to_string())).collect(),
    )
    .await
    .unwrap();
    let list = async |after, limit| {
        let events = store.list_events(&key("s"), after, limit).await.unwrap();
        (
            events.len(),
            events.first().map(|event| event.sequence),
            events.last().map(|event| event.sequence),
        )
    };
    assert_eq!(list(0, 3).await, (3, Some(1), Some(3)));
    assert_eq!(list(3, 3).await, (3, Some(4), Some(6)));
    assert_eq!(list(1498, 1000).await, (2, Some(1499), Some(1500)));
    assert_eq!(list(0, u32::MAX).await, (1000, Some(1), Some(1000)));
    assert_eq!(list(1500, 10).await, (0, None, None));
    assert_eq!(list(u64::MAX, 10).await, (0, None, None));
    let workspace = store
        .list_workspace_events(&scope(), 1498, 10)
        .await
        .unwrap();
    assert_eq!(
        workspace
            .iter()
            .map(|event| event.sequence)
            .collect::<Vec<_>>(),
        [1499, 1500]
    );
}

/// A batch of 1000 large events must not fill the memory; following the cursor still gives all of them.
pub async fn a_page_of_large_events_ends_early_but_not_empty(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let large = "x".repeat(500_000);
    for _ in 0..3 {
        append(store, "s", (0..10).map(|_| text(&large)).collect())
            .await
            .unwrap();
    }
    let mut after = 0;
    let mut total = 0;
    loop {
        let page = store
            .list_events(&key("s"), after, EVENT_PAGE)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        assert_eq!(last.sequence, after + page.len() as u64);
        (after, total) = (last.sequence, total + page.len());
    }
    assert_eq!(total, 30);
}
