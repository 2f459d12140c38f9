//! Cases about session rows and their pages (04 §2.2).

use super::{T0, TENANT, USER, append, create, event, key, new_session, scope};
use crate::store::{
    InUse, LeaseFence, LeaseToken, NewSession, Scope, SessionKey, SessionQuery, SessionUpdate,
    Store, StoreError,
};
use open_cowork_contracts::{EventType, SessionStatus};
use serde_json::json;
use std::sync::Arc;

/// Creating is idempotent by id; the first write wins.
pub async fn creating_a_session_twice_returns_the_stored_one(store: &Arc<dyn Store>) {
    let new = NewSession {
        title: Some("First".into()),
        directory: Some("/home/me/a".into()),
        ..new_session(TENANT, USER, "s", T0)
    };
    let first = store.create_session(new.clone()).await.unwrap();
    assert!(first.created);
    assert_eq!(first.row.directory.as_deref(), Some("/home/me/a"));
    assert_eq!(first.row.session.updated_at, T0);
    assert_eq!(first.row.session.opencode_session_id.as_str(), "");
    let again = store
        .create_session(NewSession {
            title: Some("Second".into()),
            ..new
        })
        .await
        .unwrap();
    assert!(!again.created);
    assert_eq!(again.row, first.row);
    assert_eq!(store.session(&key("s")).await.unwrap(), Some(first.row));
}

/// What runs or was touched lately is in use; what is closed or was left alone isn't (04 §2.2).
pub async fn a_tenant_has_only_so_many_sessions_in_use(store: &Arc<dyn Store>) {
    let limit = || {
        Some(InUse {
            most: 2,
            since: "2026-01-02T00:00:00.000Z".to_owned(),
        })
    };
    let (before, after) = ("2026-01-01T00:00:00.000Z", "2026-01-02T03:00:00.000Z");
    let make = |tenant: &str, user: &str, id: &str, at: &str| {
        let new = new_session(tenant, user, id, at);
        store.create_session_within(new, limit())
    };
    for id in ["old", "older"] {
        make(TENANT, USER, id, before).await.unwrap();
    }
    make(TENANT, USER, "a", after).await.unwrap();
    make(TENANT, "another", "b", after).await.unwrap();
    let refused = make(TENANT, "third", "c", after).await.unwrap_err();
    let StoreError::Quota(denial) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(denial.code, "quota.concurrent_sessions_exceeded");
    assert_eq!((denial.limit, denial.used), (2, 2));
    assert_eq!(denial.retry_after_ms, 60_000);
    assert_eq!(store.session(&key("c")).await.unwrap(), None);
    // What is there comes back, another tenant has its own, and nobody has a limit who gives none.
    assert!(!make(TENANT, USER, "a", after).await.unwrap().created);
    assert!(make("t2", USER, "c", after).await.unwrap().created);
    let status = |status| SessionUpdate {
        status: Some(status),
        ..SessionUpdate::default()
    };
    let closed = status(SessionStatus::Closed);
    store
        .update_session(&key("a"), closed, after, None)
        .await
        .unwrap();
    assert!(make(TENANT, "third", "c", after).await.unwrap().created);
    // A turn that has run since long ago is in use.
    let closed = status(SessionStatus::Closed);
    store
        .update_session(&key("b"), closed, after, None)
        .await
        .unwrap();
    let running = status(SessionStatus::Running);
    store
        .update_session(&key("old"), running, before, None)
        .await
        .unwrap();
    assert!(make(TENANT, USER, "d", after).await.is_err());
}

/// A taken id doesn't tell whose it is.
pub async fn a_session_id_of_another_user_is_a_conflict_that_reveals_nothing(
    store: &Arc<dyn Store>,
) {
    store
        .create_session(NewSession {
            title: Some("Private".into()),
            ..new_session(TENANT, "owner", "s", T0)
        })
        .await
        .unwrap();
    let error = store
        .create_session(new_session(TENANT, "other", "s", T0))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert!(!error.to_string().contains("Private") && !error.to_string().contains("owner"));
}

/// Tenants are worlds apart, also with equal ids.
pub async fn a_session_of_another_tenant_is_missing(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let other = SessionKey::new("t2", "s");
    assert_eq!(store.session(&other).await.unwrap(), None);
    assert!(matches!(
        store
            .update_session(&other, SessionUpdate::default(), T0, None)
            .await,
        Err(StoreError::NotFound(_))
    ));
    assert!(
        store
            .create_session(new_session("t2", USER, "s", T0))
            .await
            .unwrap()
            .created
    );
    let page = store
        .page_sessions(&SessionQuery::new(Scope::new("t2", USER)))
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].session.tenant_id.as_str(), "t2");
}

/// Owner scoping.
pub async fn a_session_of_another_user_is_missing_in_a_scope(store: &Arc<dyn Store>) {
    create(store, "s").await;
    assert!(
        store
            .session_of(&scope(), &"s".into())
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .session_of(&Scope::new(TENANT, "u2"), &"s".into())
            .await
            .unwrap()
            .is_none()
    );
    let page = store
        .page_sessions(&SessionQuery::new(Scope::new(TENANT, "u2")))
        .await
        .unwrap();
    assert_eq!((page.rows.len(), page.total_estimate), (0, 0));
}

fn at(second: u32) -> String {
    format!("2026-01-01T00:00:{second:02}.000Z")
}

async fn ids(store: &Arc<dyn Store>, query: &SessionQuery) -> (Vec<String>, Option<String>) {
    let page = store.page_sessions(query).await.unwrap();
    (
        page.rows
            .iter()
            .map(|row| row.session.session_id.to_string())
            .collect(),
        page.next,
    )
}

/// The order of the list.
pub async fn sessions_come_touched_last_first_then_by_id(store: &Arc<dyn Store>) {
    for (id, second) in [("b", 1), ("a", 1), ("c", 2)] {
        store
            .create_session(new_session(TENANT, USER, id, &at(second)))
            .await
            .unwrap();
    }
    assert_eq!(
        ids(store, &SessionQuery::new(scope())).await.0,
        ["c", "a", "b"]
    );
    store
        .update_session(&key("b"), SessionUpdate::default(), &at(3), None)
        .await
        .unwrap();
    assert_eq!(
        ids(store, &SessionQuery::new(scope())).await.0,
        ["b", "c", "a"]
    );
}

/// A cursor is a key, not an offset.
pub async fn pages_neither_repeat_nor_skip_when_rows_are_inserted_between_them(
    store: &Arc<dyn Store>,
) {
    for (id, second) in [("a", 10), ("b", 10), ("c", 9), ("d", 8), ("e", 7)] {
        store
            .create_session(new_session(TENANT, USER, id, &at(second)))
            .await
            .unwrap();
    }
    let mut query = SessionQuery {
        limit: 2,
        ..SessionQuery::new(scope())
    };
    let mut seen = Vec::new();
    let mut newer = 20;
    loop {
        let (page, next) = ids(store, &query).await;
        seen.extend(page);
        let Some(next) = next else { break };
        query.cursor = Some(next);
        store
            .create_session(new_session(
                TENANT,
                USER,
                &format!("new{newer}"),
                &at(newer),
            ))
            .await
            .unwrap();
        newer += 1;
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

/// `sessions.cursor.invalid`.
pub async fn a_cursor_of_another_filter_is_refused(store: &Arc<dyn Store>) {
    create(store, "a").await;
    create(store, "b").await;
    let first = SessionQuery {
        limit: 1,
        ..SessionQuery::new(scope())
    };
    let cursor = store.page_sessions(&first).await.unwrap().next;
    assert!(cursor.is_some());
    for foreign in [
        SessionQuery {
            status: Some(SessionStatus::Idle),
            cursor: cursor.clone(),
            ..first.clone()
        },
        SessionQuery {
            cursor: cursor.clone(),
            ..SessionQuery::new(Scope::new(TENANT, "u2"))
        },
        SessionQuery {
            cursor: Some("x".into()),
            ..first.clone()
        },
    ] {
        assert_eq!(
            store.page_sessions(&foreign).await,
            Err(StoreError::InvalidCursor)
        );
    }
}

/// No wildcards, Unicode case.
pub async fn a_query_is_a_plain_substring_without_case(store: &Arc<dyn Store>) {
    for (id, title) in [
        ("s1", "100% Übersicht"),
        ("s2", "1000 files_a"),
        ("s3", "Notes"),
    ] {
        let new = NewSession {
            title: Some(title.into()),
            ..new_session(TENANT, USER, id, T0)
        };
        store.create_session(new).await.unwrap();
    }
    store
        .bind_runtime(&key("s3"), &"ses_XYZ".into(), T0, None)
        .await
        .unwrap();
    for (text, found) in [
        ("übersicht", vec!["s1"]),
        ("ÜBER", vec!["s1"]),
        ("0%", vec!["s1"]),
        ("s_a", vec!["s2"]),
        ("%", vec!["s1"]),
        ("ses_x", vec!["s3"]),
        ("S3", vec!["s3"]),
        ("DEFAULT", vec!["s1", "s2", "s3"]),
        ("  ", vec!["s1", "s2", "s3"]),
        ("nothing", vec![]),
    ] {
        let query = SessionQuery {
            text: Some(text.into()),
            ..SessionQuery::new(scope())
        };
        assert_eq!(ids(store, &query).await.0, found, "{text}");
    }
    // A title that changes by an event is found under its new name.
    append(
        store,
        "s3",
        vec![event(
            EventType::SessionRenamed,
            json!({ "title": "Itinerary" }),
        )],
    )
    .await
    .unwrap();
    let query = SessionQuery {
        text: Some("itiner".into()),
        ..SessionQuery::new(scope())
    };
    assert_eq!(ids(store, &query).await.0, ["s3"]);
}

/// Exact filters.
pub async fn filters_by_status_and_profile(store: &Arc<dyn Store>) {
    create(store, "a").await;
    let new = NewSession {
        profile_name: "other".into(),
        ..new_session(TENANT, USER, "b", T0)
    };
    store.create_session(new).await.unwrap();
    append(store, "b", vec![event(EventType::RuntimeError, json!({}))])
        .await
        .unwrap();
    let errored = SessionQuery {
        status: Some(SessionStatus::Errored),
        ..SessionQuery::new(scope())
    };
    assert_eq!(ids(store, &errored).await.0, ["b"]);
    let profile = SessionQuery {
        profile_name: Some("default".into()),
        ..SessionQuery::new(scope())
    };
    assert_eq!(ids(store, &profile).await.0, ["a"]);
}

/// The runtime's id leads back to the session.
pub async fn binding_a_runtime_session_makes_it_findable(store: &Arc<dyn Store>) {
    create(store, "s").await;
    assert_eq!(store.find_by_runtime(&"ses_1".into()).await.unwrap(), None);
    assert_eq!(
        store.find_by_runtime(&"".into()).await.unwrap(),
        None,
        "unbound is not an id"
    );
    let row = store
        .bind_runtime(&key("s"), &"ses_1".into(), &at(5), None)
        .await
        .unwrap();
    assert_eq!(
        (
            row.session.opencode_session_id.as_str(),
            row.session.updated_at
        ),
        ("ses_1", at(5))
    );
    let found = store
        .find_by_runtime(&"ses_1".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(SessionKey::of(&found.session), key("s"));
    store
        .bind_runtime(&key("s"), &"ses_2".into(), T0, None)
        .await
        .unwrap();
    assert_eq!(store.find_by_runtime(&"ses_1".into()).await.unwrap(), None);
    // Of several the one touched last; of those touched together the first tenant, then the first session.
    let bind = async |session: SessionKey, minute: u32| {
        let (tenant, id) = (session.tenant_id.as_str(), session.session_id.as_str());
        let new = new_session(tenant, USER, id, T0);
        store.create_session(new).await.unwrap();
        store
            .bind_runtime(&session, &"ses_4".into(), &at(minute), None)
            .await
            .unwrap();
        let found = store.find_by_runtime(&"ses_4".into()).await.unwrap();
        let found = SessionKey::of(&found.unwrap().session);
        (found.tenant_id.to_string(), found.session_id.to_string())
    };
    let expected = |tenant: &str, session: &str| (tenant.to_owned(), session.to_owned());
    let (a, b) = ("a", "b");
    assert_eq!(bind(SessionKey::new(b, "1"), 6).await, expected(b, "1"));
    assert_eq!(bind(SessionKey::new(a, "3"), 6).await, expected(a, "3"));
    assert_eq!(bind(SessionKey::new(a, "2"), 6).await, expected(a, "2"));
    assert_eq!(bind(SessionKey::new(b, "0"), 6).await, expected(a, "2"));
    assert_eq!(bind(SessionKey::new(b, "9"), 7).await, expected(b, "9"));
    let unknown = store
        .bind_runtime(&key("nobody"), &"ses_3".into(), T0, None)
        .await;
    assert_eq!(unknown, Err(StoreError::NotFound("nobody".into())));
}

/// Absent fields stay, and time never goes back.
pub async fn an_update_sets_only_what_it_names(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let titled = SessionUpdate {
        title: Some("T".into()),
        status: None,
    };
    store
        .update_session(&key("s"), titled, &at(9), None)
        .await
        .unwrap();
    let closed = SessionUpdate {
        title: None,
        status: Some(SessionStatus::Closed),
    };
    let row = store
        .update_session(&key("s"), closed, &at(1), None)
        .await
        .unwrap();
    assert_eq!(
        (row.session.title.as_deref(), row.session.status),
        (Some("T"), SessionStatus::Closed)
    );
    assert_eq!(row.session.updated_at, at(9));
    assert_eq!(store.session(&key("s")).await.unwrap(), Some(row));
}

/// A token is compared with the current lease; without one it can't be equal.
pub async fn a_fence_without_a_lease_is_stale(store: &Arc<dyn Store>) {
    create(store, "s").await;
    let token = LeaseFence {
        token: LeaseToken::new("x"),
        now: crate::time::Timestamp::UNIX_EPOCH,
    };
    let bound = store
        .bind_runtime(&key("s"), &"ses".into(), T0, Some(&token))
        .await;
    assert_eq!(bound, Err(StoreError::StaleFence));
    let updated = store
        .update_session(&key("s"), SessionUpdate::default(), T0, Some(&token))
        .await;
    assert_eq!(updated, Err(StoreError::StaleFence));
    let request = crate::store::AppendRequest {
        key: key("s"),
        events: vec![event(EventType::SessionIdle, json!({}))].into(),
        fence: Some(token),
    };
    assert_eq!(store.append(request).await, Err(StoreError::StaleFence));
    assert_eq!(store.event_stats(&key("s")).await.unwrap().count, 0);
}
