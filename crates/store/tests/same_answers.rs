//! Whatever is asked, SQLite and PostgreSQL answer the same, and so does the reference in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_contracts::{EventType, SessionStatus};
use open_cowork_providers::memory::MemoryStore;
use open_cowork_providers::store::{
    AppendRequest, LeaseFence, LeaseToken, NewEvent, NewSession, Scope, SessionKey, SessionQuery,
    SessionUpdate, Snapshot, SnapshotRule, Store,
};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName, SqliteOptions, SqliteStore};
use open_cowork_testkit::postgres::Postgres;
use proptest::prelude::*;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};

/// Few values, so that they meet; ids and texts that a database could mistake.
const TENANTS: [&str; 2] = ["t", "T\u{0}"];
const USERS: [&str; 2] = ["u", "ü%"];
const SESSIONS: [&str; 4] = ["s", "s:1", "S\u{1}_", "\u{1f600}"];
const IDS: [&str; 7] = [
    "e",
    "E",
    "s:1",
    "s:2",
    "s:e",
    "runtime:s:123e4567-e89b-12d3-a456-426614174000",
    "nul\u{0}\u{1}",
];
const TEXTS: [&str; 5] = ["", "a", "Ärger \u{0}", "50%_'\"\\", "\u{1}\u{2}"];
const TIMES: [&str; 4] = [
    "2026-01-01T00:00:00.000Z",
    "2026-01-01T00:00:01.500Z",
    "2026-01-01T00:00:01Z",
    "once",
];

#[derive(Clone, Debug)]
enum Step {
    Create(NewSession),
    Append(AppendRequest),
    Bind(SessionKey, String, String),
    Update(SessionKey, SessionUpdate, String, Option<LeaseFence>),
    Write(SessionKey, Snapshot, SnapshotRule),
    Session(SessionKey),
    SessionOf(Scope, String),
    Find(String),
    /// All pages of that size.
    Pages(SessionQuery),
    Events(SessionKey, u64, u32),
    Stats(SessionKey),
    Workspace(Scope, u64, u32),
    Snapshot(SessionKey),
    /// Events before that millisecond of the first second, at most so many.
    Prune(SessionKey, u32, u32),
    PruneWorkspaces(u32),
    Old(u32),
}

fn before(millisecond: u32) -> Timestamp {
    let first: Timestamp = TIMES[0].parse().unwrap();
    first + std::time::Duration::from_millis(millisecond.into())
}

/// The answer as text: what can't be told apart there is the same to every caller.
async fn answer(store: &dyn Store, step: &Step) -> String {
    match step.clone() {
        Step::Create(new) => format!("{:?}", store.create_session(new).await),
        Step::Append(request) => format!("{:?}", store.append(request).await),
        Step::Bind(key, id, at) => {
            format!(
                "{:?}",
                store.bind_runtime(&key, &id.into(), &at, None).await
            )
        }
        Step::Update(key, update, at, fence) => {
            let updated = store.update_session(&key, update, &at, fence.as_ref());
            format!("{:?}", updated.await)
        }
        Step::Write(key, snapshot, rule) => {
            format!("{:?}", store.write_snapshot(&key, snapshot, rule).await)
        }
        Step::Session(key) => format!("{:?}", store.session(&key).await),
        Step::SessionOf(scope, id) => {
            format!("{:?}", store.session_of(&scope, &id.into()).await)
        }
        Step::Find(id) => format!("{:?}", store.find_by_runtime(&id.into()).await),
        Step::Pages(mut query) => {
            let mut pages = String::new();
            loop {
                let page = store.page_sessions(&query).await;
                pages.push_str(&format!("{page:?}\n"));
                query.cursor = page.ok().and_then(|page| page.next);
                if query.cursor.is_none() {
                    return pages;
                }
            }
        }
        Step::Events(key, after, limit) => {
            format!("{:?}", store.list_events(&key, after, limit).await)
        }
        Step::Stats(key) => format!("{:?}", store.event_stats(&key).await),
        Step::Workspace(scope, after, limit) => {
            let events = store.list_workspace_events(&scope, after, limit).await;
            format!("{events:?} {:?}", store.workspace_cursor(&scope).await)
        }
        Step::Snapshot(key) => format!("{:?}", store.snapshot(&key).await),
        Step::Prune(key, millisecond, limit) => {
            let step = store.plan_prune(&key, before(millisecond), limit).await;
            let pruned = match step.as_ref().ok().copied().flatten() {
                Some(step) => {
                    let base = Snapshot {
                        sequence: step.through,
                        projector_version: 1,
                        view: format!("as of {}", step.through),
                        updated_at: TIMES[1].to_owned(),
                    };
                    Some(store.prune_events(&key, step, base).await)
                }
                None => None,
            };
            format!("{step:?} {pruned:?} {:?}", store.base(&key).await)
        }
        Step::PruneWorkspaces(millisecond) => {
            let pruned = store.prune_workspaces(before(millisecond), 1000).await;
            format!("{pruned:?}")
        }
        Step::Old(millisecond) => {
            let mut old = store.old_sessions(before(millisecond), None, 1000).await;
            if let Ok(old) = &mut old {
                old.keys.sort();
            }
            format!("{old:?}")
        }
    }
}

fn one_of(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(values).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = SessionKey> {
    (one_of(&TENANTS), one_of(&SESSIONS))
        .prop_map(|(tenant, session)| SessionKey::new(tenant, session))
}

fn scope() -> impl Strategy<Value = Scope> {
    (one_of(&TENANTS), one_of(&USERS)).prop_map(|(tenant, user)| Scope::new(tenant, user))
}

fn event() -> impl Strategy<Value = NewEvent> {
    let kinds = [
        "assistant.message",
        "session.status",
        "session.idle",
        "runtime.error",
        "session.renamed",
        "permission.requested",
        "permission.resolved",
        "question.asked",
        "artifact.created",
        "snapshot.required",
        "no.such.type",
    ];
    let id = proptest::option::of(one_of(&IDS));
    (
        id,
        proptest::sample::select(kinds.to_vec()),
        one_of(&TEXTS),
        one_of(&TIMES),
    )
        .prop_map(|(event_id, kind, text, created_at)| {
            let payload = match kind {
                "assistant.message" => {
                    json!({ "messageId": "m", "content": text, "mode": "append" })
                }
                "session.renamed" => json!({ "title": text }),
                "session.status" => {
                    json!({ "statusType": if text.is_empty() { "busy" } else { "idle" } })
                }
                _ => json!({ "id": text, "n": 1.0 }),
            };
            NewEvent {
                event_id: event_id.map(Into::into),
                kind: EventType::parse(kind),
                payload: payload.as_object().cloned().unwrap(),
                created_at,
            }
        })
}

fn create() -> impl Strategy<Value = Step> {
    let optional = || proptest::option::of(one_of(&TEXTS));
    (
        scope(),
        one_of(&SESSIONS),
        optional(),
        optional(),
        one_of(&TIMES),
    )
        .prop_map(|(scope, session, title, directory, created_at)| {
            Step::Create(NewSession {
                tenant_id: scope.tenant_id,
                user_id: scope.user_id,
                session_id: session.into(),
                profile_name: "default".into(),
                title,
                directory,
                created_at,
            })
        })
}

fn append() -> impl Strategy<Value = Step> {
    let events = proptest::collection::vec(event(), 1..12);
    let fence = proptest::option::weighted(
        0.05,
        Just(LeaseFence {
            token: LeaseToken::new("stale"),
            now: Timestamp::UNIX_EPOCH,
        }),
    );
    (key(), events, fence).prop_map(|(key, events, fence)| {
        Step::Append(AppendRequest {
            key,
            events: events.into(),
            fence,
        })
    })
}

fn change() -> impl Strategy<Value = Step> {
    let status = proptest::option::of(proptest::sample::select(vec![
        SessionStatus::Idle,
        SessionStatus::Running,
        SessionStatus::Closed,
    ]));
    let title = proptest::option::of(one_of(&TEXTS));
    let update = (key(), status, title, one_of(&TIMES)).prop_map(|(key, status, title, at)| {
        Step::Update(key, SessionUpdate { status, title }, at, None)
    });
    let bind =
        (key(), one_of(&IDS), one_of(&TIMES)).prop_map(|(key, id, at)| Step::Bind(key, id, at));
    let views = [
        r#"{"a":1}"#,
        r#"{"a":1.0}"#,
        "{\"a\":\"\u{1}\"}",
        "not JSON",
    ];
    let rule = proptest::sample::select(vec![SnapshotRule::Advance, SnapshotRule::Repair]);
    let write = (
        key(),
        0u64..4,
        1u32..3,
        proptest::sample::select(views.to_vec()),
        rule,
    )
        .prop_map(|(key, sequence, projector_version, view, rule)| {
            let snapshot = Snapshot {
                sequence,
                projector_version,
                view: view.to_owned(),
                updated_at: TIMES[0].to_owned(),
            };
            Step::Write(key, snapshot, rule)
        });
    prop_oneof![update, bind, write]
}

fn prune() -> impl Strategy<Value = Step> {
    let millisecond = || proptest::sample::select(vec![0u32, 1, 1200, 9000]);
    prop_oneof![
        4 => (key(), millisecond(), 1u32..9).prop_map(|(key, at, limit)| Step::Prune(key, at, limit)),
        1 => millisecond().prop_map(Step::PruneWorkspaces),
        1 => millisecond().prop_map(Step::Old),
    ]
}

fn read() -> impl Strategy<Value = Step> {
    let limit = || prop_oneof![1u32..5, Just(1000)];
    let needle = proptest::option::of(proptest::sample::select(vec!["S", "%", "_", "ä", "e\u{0}"]));
    let status = proptest::option::of(Just(SessionStatus::Idle));
    let query = (scope(), status, needle, 1u32..4).prop_map(|(scope, status, needle, limit)| {
        Step::Pages(SessionQuery {
            status,
            text: needle.map(str::to_owned),
            limit,
            ..SessionQuery::new(scope)
        })
    });
    prop_oneof![
        key().prop_map(Step::Session),
        key().prop_map(Step::Stats),
        key().prop_map(Step::Snapshot),
        (scope(), one_of(&SESSIONS)).prop_map(|(scope, id)| Step::SessionOf(scope, id)),
        one_of(&IDS).prop_map(Step::Find),
        (key(), 0u64..6, limit()).prop_map(|(key, after, limit)| Step::Events(key, after, limit)),
        (scope(), 0u64..6, limit())
            .prop_map(|(scope, after, limit)| Step::Workspace(scope, after, limit)),
        query,
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // First a few sessions, or most steps would find none.
    let created = proptest::collection::vec(create(), 3..8);
    let step = prop_oneof![1 => create(), 5 => append(), 2 => change(), 2 => prune(), 4 => read()];
    (created, proptest::collection::vec(step, 10..50)).prop_map(|(mut steps, more)| {
        steps.extend(more);
        steps
    })
}

async fn compare(steps: &[Step], schema: u32) -> Result<(), TestCaseError> {
    let server = Postgres::shared().await.unwrap();
    let options = PostgresOptions {
        schema: SchemaName::parse(&format!("same_{schema}")).unwrap(),
        ..PostgresOptions::default()
    };
    let postgres = PostgresStore::open(&server.url().into(), options)
        .await
        .unwrap();
    let sqlite = SqliteStore::in_memory(SqliteOptions::default())
        .await
        .unwrap();
    let memory = MemoryStore::new();
    for step in steps {
        let expected = answer(&sqlite, step).await;
        prop_assert_eq!(&answer(&postgres, step).await, &expected, "{:?}", step);
        prop_assert_eq!(&answer(&memory, step).await, &expected, "{:?}", step);
    }
    postgres.close().await;
    sqlite.close().await;
    Ok(())
}

#[test]
fn every_store_gives_the_same_answers() {
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _server = runtime.block_on(Postgres::shared()).unwrap();
    let config = ProptestConfig {
        cases: 48,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(compare(&steps, SCHEMAS.fetch_add(1, Ordering::Relaxed)))?;
    });
}
