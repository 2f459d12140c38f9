//! Cases about many writers through two handles of one store: two processes, where a store may be shared by
//! processes (04 §2.3, §10).

use super::{T0, TENANT, append, create, event, key, new_session, scope, text, with_id};
use crate::store::{EVENT_PAGE, NewEvent, Scope, Store, StoreError};
use futures::future::join_all;
use open_cowork_contracts::EventType;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use super::retention::pruning_beside_writers_and_readers_loses_nothing;

const WRITERS: usize = 8;

/// 8 writers, 10 000 events, 4 sessions of one user, every fourth request sent again through the other handle:
/// both counters are dense, every id is stored once, every writer's order is kept.
pub async fn many_writers_through_two_handles_leave_no_gap_and_nothing_twice(
    a: &Arc<dyn Store>,
    b: &Arc<dyn Store>,
) {
    const SESSIONS: usize = 4;
    const REQUESTS: usize = 125;
    const BATCH: usize = 10;
    for n in 0..SESSIONS {
        create(a, &format!("s{n}")).await;
    }
    let writers = (0..WRITERS).map(|writer| {
        let mine = [a, b][writer % 2].clone();
        let other = [b, a][writer % 2].clone();
        tokio::spawn(async move {
            // Both handles write to every session.
            let session = format!("s{}", writer / 2 % SESSIONS);
            for request in 0..REQUESTS {
                let events: Vec<NewEvent> = (0..BATCH)
                    .map(|n| {
                        let n = request * BATCH + n;
                        with_id(&format!("w{writer}:{n}"), text(&format!("{writer} {n}")))
                    })
                    .collect();
                let first = append(&mine, &session, events.clone()).await.unwrap();
                assert!(first.events.iter().all(|event| event.created));
                if request % 4 == 0 {
                    let again = append(&other, &session, events).await.unwrap();
                    for (first, again) in first.events.iter().zip(&again.events) {
                        assert!(!again.created);
                        assert_eq!(first.record, again.record);
                        assert_eq!(first.workspace_sequence, again.workspace_sequence);
                    }
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }

    let each = WRITERS / SESSIONS * REQUESTS * BATCH;
    for n in 0..SESSIONS {
        let mut next: HashMap<String, usize> = HashMap::new();
        let mut after = 0;
        loop {
            let page = b
                .list_events(&key(&format!("s{n}")), after, EVENT_PAGE)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            for event in page {
                assert_eq!(event.sequence, after + 1);
                after = event.sequence;
                let content = event.payload["content"].as_str().unwrap();
                let (writer, n) = content.split_once(' ').unwrap();
                let next = next.entry(writer.to_owned()).or_default();
                assert_eq!(n.parse::<usize>().unwrap(), *next);
                *next += 1;
            }
        }
        assert_eq!(after, each as u64);
        let row = a.session(&key(&format!("s{n}"))).await.unwrap().unwrap();
        assert_eq!(row.last_sequence, after);
    }
    let mut after = 0;
    loop {
        let page = a
            .list_workspace_events(&scope(), after, EVENT_PAGE)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        for event in page {
            assert_eq!(event.sequence, after + 1);
            after = event.sequence;
        }
    }
    assert_eq!(after, (SESSIONS * each) as u64);
    assert_eq!(
        b.workspace_cursor(&scope()).await.unwrap().latest_sequence,
        after
    );
}

/// Whoever comes second gets the stored event, or the refusal; nothing happens twice.
pub async fn one_id_from_two_handles_at_once_is_one_event(a: &Arc<dyn Store>, b: &Arc<dyn Store>) {
    create(a, "s").await;
    for round in 0..25 {
        let id = format!("ask{round}");
        let ask = || {
            let payload = json!({ "id": id });
            vec![with_id(&id, event(EventType::PermissionRequested, payload))]
        };
        let (one, two) = tokio::join!(append(a, "s", ask()), append(b, "s", ask()));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one.events[0].created, two.events[0].created);
        assert_eq!(one.events[0].record, two.events[0].record);

        let id = format!("said{round}");
        let (one, two) = tokio::join!(
            append(a, "s", vec![with_id(&id, text("a"))]),
            append(b, "s", vec![with_id(&id, text("b"))])
        );
        let refused = Err(StoreError::EventIdReused(id.as_str().into()));
        assert!(one.is_ok() != two.is_ok());
        assert!(one == refused || two == refused);
    }
    let row = b.session(&key("s")).await.unwrap().unwrap();
    assert_eq!((row.last_sequence, row.waiting), (50, 25));
}

/// What one has acknowledged the other reads, and goes on from.
pub async fn a_handle_sees_what_the_other_wrote(a: &Arc<dyn Store>, b: &Arc<dyn Store>) {
    create(a, "s").await;
    for n in 0..20u64 {
        let (writer, reader) = if n % 2 == 0 { (a, b) } else { (b, a) };
        let rename = event(
            EventType::SessionRenamed,
            json!({ "title": format!("title {n}") }),
        );
        let appended = append(writer, "s", vec![text("x"), rename]).await.unwrap();
        assert_eq!(appended.row.last_sequence, 2 * n + 2);
        let row = reader.session(&key("s")).await.unwrap().unwrap();
        assert_eq!(row, appended.row);
        let events = reader.list_events(&key("s"), 2 * n, 10).await.unwrap();
        let written: Vec<_> = appended
            .events
            .into_iter()
            .map(|event| event.record)
            .collect();
        assert_eq!(events, written);
    }
}

/// Tenants and users that nobody knew are made once, whoever asks first.
pub async fn sessions_of_new_users_can_be_made_through_two_handles_at_once(
    a: &Arc<dyn Store>,
    b: &Arc<dyn Store>,
) {
    let made = (0..48).map(|n: usize| {
        let store = [a, b][n % 2].clone();
        let (tenant, user) = (format!("tenant{}", n / 2 % 3), format!("user{}", n / 2 % 4));
        let new = new_session(&tenant, &user, &format!("s{}", n / 2), T0);
        tokio::spawn(async move { store.create_session(new).await.unwrap().created })
    });
    let created = join_all(made).await;
    let created = created.into_iter().filter(|made| *made.as_ref().unwrap());
    assert_eq!(created.count(), 24, "each was made once");
    for n in 0..24 {
        let scope = Scope::new(format!("tenant{}", n % 3), format!("user{}", n % 4));
        let id = format!("s{n}").as_str().into();
        assert!(b.session_of(&scope, &id).await.unwrap().is_some());
    }
}

/// Requests of a session that is being made, all at once: each is answered as if it had come alone.
pub async fn a_session_made_and_filled_at_once_is_whole(a: &Arc<dyn Store>, b: &Arc<dyn Store>) {
    for round in 0..10 {
        let session = format!("s{round}");
        let making = a.create_session(new_session(TENANT, "somebody", &session, T0));
        let filling = (0..4).map(|_| append(a, &session, vec![text("x")]));
        let elsewhere = append(b, &session, vec![text("y")]);
        let (made, filled, elsewhere) = tokio::join!(making, join_all(filling), elsewhere);
        assert!(made.unwrap().created);
        let mut stored = 0;
        for answer in filled.into_iter().chain([elsewhere]) {
            match answer {
                Ok(_) => stored += 1,
                Err(error) => assert_eq!(error, StoreError::NotFound(session.clone())),
            }
        }
        let stats = b.event_stats(&key(&session)).await.unwrap();
        assert_eq!((stats.count, stats.latest_sequence), (stored, stored));
    }
    let somebody = Scope::new(TENANT, "somebody");
    let events = b
        .list_workspace_events(&somebody, 0, EVENT_PAGE)
        .await
        .unwrap();
    let found: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
}

/// Events with and without ids, all at once: an id that the log gave out is never given to a second event.
pub async fn the_logs_own_ids_stay_unique_in_a_crowd(a: &Arc<dyn Store>, b: &Arc<dyn Store>) {
    create(a, "s").await;
    let requests = (0..120).map(|n: usize| {
        let store = [a, b][n / 3 % 2];
        let event = match n % 2 {
            0 => text("x"),
            _ => with_id(&format!("s:{}", n / 4), text("x")),
        };
        append(store, "s", vec![event])
    });
    for answer in join_all(requests).await {
        assert!(matches!(
            answer,
            Ok(_) | Err(StoreError::ReservedEventId(_))
        ));
    }
    let events = b.list_events(&key("s"), 0, EVENT_PAGE).await.unwrap();
    let ids: HashSet<_> = events.iter().map(|event| &event.event_id).collect();
    assert_eq!(ids.len(), events.len());
}
