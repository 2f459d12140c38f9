//! What goes wrong around a PostgreSQL server, and what the store says and keeps then.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use futures::future::join_all;
use open_cowork_contracts::EventType;
use open_cowork_providers::store::{
    AppendRequest, EventStore, NewEvent, NewSession, SessionKey, SessionStore, StoreError,
};
use open_cowork_store::{PostgresOptions, PostgresStore, RunMigrations, SchemaName};
use open_cowork_testkit::postgres::{Durability, Postgres};
use secrecy::SecretString;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

fn options(schema: &str) -> PostgresOptions {
    PostgresOptions {
        schema: SchemaName::parse(schema).unwrap(),
        connect_timeout: Duration::from_millis(500),
        ..PostgresOptions::default()
    }
}

async fn open(server: &Postgres, schema: &str) -> PostgresStore {
    PostgresStore::open(&server.url().into(), options(schema))
        .await
        .unwrap()
}

async fn bare(server: &Postgres) -> PgConnection {
    PgConnection::connect(&server.url()).await.unwrap()
}

async fn create(store: &PostgresStore, user: &str, session: &str) {
    let new = NewSession {
        tenant_id: "t".into(),
        user_id: user.into(),
        session_id: session.into(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        ..NewSession::default()
    };
    store.create_session(new).await.unwrap();
}

fn key(session: &str) -> SessionKey {
    SessionKey::new("t", session)
}

/// The sequence that the event got.
async fn append(store: &PostgresStore, session: &str, id: &str) -> Result<u64, StoreError> {
    let event = NewEvent {
        event_id: Some(id.into()),
        kind: EventType::PromptSubmitted,
        payload: json!({ "text": id }).as_object().unwrap().clone(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
    };
    let request = AppendRequest {
        key: key(session),
        events: [event].into(),
        fence: None,
    };
    Ok(store.append(request).await?.events[0].record.sequence)
}

/// One sentence that shows where, and no password.
fn says(error: &StoreError, place: &str) {
    let message = error.to_string();
    assert!(message.contains(place), "{message}");
    assert!(
        message.ends_with('.') && !message.contains('\n'),
        "{message}"
    );
    assert!(!message.contains("hunter2") && !format!("{error:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_of_the_server_and_nothing_is_there_twice() {
    const APPENDERS: usize = 6;
    const ROUNDS: usize = 3;
    let mut server = Postgres::start(Durability::Durable).await.unwrap();
    let store = Arc::new(open(&server, "crash").await);
    for n in 0..3 {
        create(&store, "u", &format!("s{n}")).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(watch::Sender::new(0));
    let failed = Arc::new(AtomicUsize::new(0));
    let appenders = (0..APPENDERS).map(|appender| {
        let (store, done) = (store.clone(), done.clone());
        let (acknowledged, failed) = (acknowledged.clone(), failed.clone());
        tokio::spawn(async move {
            let mut sequences = HashMap::new();
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                let id = format!("w{appender}:{n}");
                match append(&store, &format!("s{}", appender % 3), &id).await {
                    Ok(sequence) => {
                        sequences.insert(id, sequence);
                        acknowledged.send_modify(|count| *count += 1);
                        n += 1;
                    }
                    // The same event again, under the same id.
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        failed.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                }
            }
            sequences
        })
    });
    let appenders: Vec<_> = appenders.collect();
    let more = async |count: usize| {
        let mut acknowledged = acknowledged.subscribe();
        let target = *acknowledged.borrow() + count;
        acknowledged
            .wait_for(|count| *count >= target)
            .await
            .unwrap();
    };
    for _ in 0..ROUNDS {
        more(60).await;
        server.kill().await;
        server.start_again().await.unwrap();
        // The same store goes on.
        more(60).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut expected: Vec<HashMap<u64, String>> = vec![HashMap::new(); 3];
    for (appender, sequences) in join_all(appenders).await.into_iter().enumerate() {
        for (id, sequence) in sequences.unwrap() {
            let before = expected[appender % 3].insert(sequence, id);
            assert_eq!(before, None, "one sequence for two events");
        }
    }
    assert!(
        failed.load(Ordering::Relaxed) > 0,
        "the server was hit while it worked"
    );
    store.close().await;

    let store = open(&server, "crash").await;
    for (n, mut expected) in expected.into_iter().enumerate() {
        let session = format!("s{n}");
        let mut after = 0;
        loop {
            let page = store
                .list_events(&key(&session), after, 1000)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            for event in page {
                assert_eq!(event.sequence, after + 1, "no gap");
                after = event.sequence;
                // The last one of an appender may be stored without having been acknowledged.
                if let Some(id) = expected.remove(&event.sequence) {
                    assert_eq!(event.event_id, Some(id.into()));
                }
            }
        }
        assert!(
            expected.is_empty(),
            "acknowledged, but not there: {expected:?}"
        );
        let row = store.session(&key(&session)).await.unwrap().unwrap();
        assert_eq!(row.last_sequence, after);
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_back_without_a_new_store() {
    let mut server = Postgres::start(Durability::Fast).await.unwrap();
    let store = open(&server, "away").await;
    create(&store, "u", "s").await;
    server.stop().await;
    let place = format!("127.0.0.1:{}/postgres?schema=away", server.port());
    for error in [
        append(&store, "s", "a").await.unwrap_err(),
        store.session(&key("s")).await.unwrap_err(),
    ] {
        says(&error, &place);
        assert!(error.is_transient());
    }
    let url = SecretString::from(server.url_of("alice:hunter2"));
    let error = PostgresStore::open(&url, options("away"))
        .await
        .unwrap_err();
    says(&error, &place);
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

    server.start_again().await.unwrap();
    assert_eq!(append(&store, "s", "a").await, Ok(1));
    assert!(store.session(&key("s")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_shown_nowhere() {
    let server = Postgres::shared().await.unwrap();
    let mut admin = bare(&server).await;
    let role = Postgres::GUARDED;
    let make = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'right'; GRANT CREATE ON DATABASE postgres TO {role}"
    );
    admin.execute(sqlx::AssertSqlSafe(make)).await.unwrap();
    let open = async |role: &str| {
        let url = SecretString::from(server.url_of(role));
        PostgresStore::open(&url, options("guarded")).await
    };
    let error = open("guarded:hunter2").await.unwrap_err();
    says(&error, "127.0.0.1");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(!error.is_transient(), "trying again doesn't help");

    let store = open("guarded:right").await.unwrap();
    assert!(!format!("{store:?}").contains("right"), "{store:?}");
    // A user of the schema needs no right to make one.
    store.close().await;
    let revoke = format!("REVOKE CREATE ON DATABASE postgres FROM {role}");
    admin.execute(sqlx::AssertSqlSafe(revoke)).await.unwrap();
    open("guarded:right").await.unwrap();
    let url = SecretString::from(server.url_of("guarded:right"));
    let error = PostgresStore::open(&url, options("not_allowed")).await;
    says(&error.unwrap_err(), "permission denied");

    let error = PostgresStore::open(&"not a hunter2 URL".into(), options("x")).await;
    says(&error.unwrap_err(), "address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_schema_can_be_opened_by_many_at_once_and_again() {
    let server = Postgres::shared().await.unwrap();
    let stores = join_all((0..6).map(|_| open(&server, "at_once"))).await;
    create(&stores[0], "u", "s").await;
    assert_eq!(append(&stores[1], "s", "a").await, Ok(1));
    let again = open(&server, "at_once").await;
    assert_eq!(append(&again, "s", "b").await, Ok(2));
    let versions = "SELECT version FROM at_once.schema_migrations";
    let versions = bare(&server).await.fetch_all(versions).await.unwrap();
    let known = PostgresStore::migrations(&server.url().into(), options("at_once")).await;
    let known = known.unwrap().known as usize;
    assert_eq!(versions.len(), known, "each migration ran once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_are_a_step_of_their_own_where_they_should_be() {
    let server = Postgres::shared().await.unwrap();
    let url = server.url().into();
    let by_hand = PostgresOptions {
        migrations: RunMigrations::No,
        ..options("by_hand")
    };
    let error = PostgresStore::open(&url, by_hand.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unmigrated { found: 0, .. }));
    let schemas = "SELECT 1 FROM pg_namespace WHERE nspname = 'by_hand'";
    let schemas = bare(&server).await.fetch_all(schemas).await.unwrap();
    assert_eq!(schemas.len(), 0, "nothing is made");

    let at_once = (0..4).map(|_| PostgresStore::migrate(&url, by_hand.clone()));
    let migrated = join_all(at_once).await;
    let applied: u32 = migrated.into_iter().map(|m| m.unwrap().applied()).sum();
    let done = PostgresStore::migrations(&url, by_hand.clone())
        .await
        .unwrap();
    assert_eq!((applied, done.pending()), (done.known, 0));
    PostgresStore::open(&url, by_hand).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_and_one_of_another_program_are_refused_untouched() {
    let server = Postgres::shared().await.unwrap();
    let refused = async |schema: &str| {
        let opened = PostgresStore::open(&server.url().into(), options(schema)).await;
        opened.unwrap_err()
    };
    open(&server, "newer").await.close().await;
    let mut admin = bare(&server).await;
    let newer = "INSERT INTO newer.schema_migrations (version) VALUES (99)";
    admin.execute(newer).await.unwrap();
    let error = refused("newer").await;
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }));
    says(&error, "schema=newer");

    let other = "CREATE SCHEMA other; CREATE TABLE other.cloud_sessions (session_id TEXT)";
    admin.execute(other).await.unwrap();
    let error = refused("other").await;
    assert!(matches!(error, StoreError::ForeignSchema { .. }));
    says(&error, "schema=other");
    let tables = "SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = 'other'";
    let tables = admin.fetch_one(tables).await.unwrap();
    assert_eq!(tables.get::<i64, _>(0), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_another_holds_ends_in_unavailable_and_not_in_waiting() {
    let server = Postgres::shared().await.unwrap();
    let patient = PostgresOptions {
        patience: Duration::from_millis(300),
        ..options("locked")
    };
    open(&server, "locked").await.close().await;
    let store = PostgresStore::open(&server.url().into(), patient)
        .await
        .unwrap();
    create(&store, "u", "s").await;
    let mut other = bare(&server).await;
    let lock = "BEGIN; SELECT * FROM locked.sessions FOR UPDATE";
    other.execute(lock).await.unwrap();
    let started = Instant::now();
    let error = append(&store, "s", "a").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    // Readers don't wait for locks.
    assert!(store.session(&key("s")).await.unwrap().is_some());

    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(
        append(&store, "s", "b").await,
        Ok(1),
        "the one that was given up is not stored"
    );
}

#[tokio::test]
async fn an_id_that_no_index_can_hold_is_refused_alone() {
    let server = Postgres::shared().await.unwrap();
    let store = open(&server, "long").await;
    create(&store, "u", "s").await;
    // Random enough not to be compressed.
    let mut state = 1u64;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + (state >> 60) as u8)
    };
    let long: String = std::iter::repeat_with(&mut letter).take(20_000).collect();
    let ids: Vec<String> = (0..20).map(|n| format!("e{n}")).collect();
    let all = ids.iter().chain([&long]).map(|id| append(&store, "s", id));
    let answers = join_all(all).await;
    let (stored, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(stored.len(), 20);
    let refused = refused[0].as_ref().unwrap_err();
    assert!(refused.is_callers_fault(), "{refused:?}");
    says(refused, "id");
}

/// Two processes, many users: each group locks rows of several of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_need_the_same_rows_never_wait_in_a_circle() {
    const USERS: usize = 6;
    let server = Postgres::start(Durability::Fast).await.unwrap();
    let stores = [open(&server, "circle").await, open(&server, "circle").await];
    for n in 0..USERS {
        create(&stores[0], &format!("u{n}"), &format!("s{n}")).await;
    }
    for round in 0..40 {
        let both = stores.iter().enumerate().flat_map(|(handle, store)| {
            (0..USERS).map(move |n| {
                // Each handle in another order.
                let user = if handle == 0 { n } else { USERS - 1 - n };
                async move {
                    let session = format!("s{user}");
                    append(store, &session, &format!("{handle}:{round}"))
                        .await
                        .unwrap();
                    if round % 10 == n {
                        create(store, &format!("new{user}"), &format!("new{user}")).await;
                    }
                }
            })
        });
        join_all(both).await;
    }
    assert!(!server.log().contains("deadlock"), "{}", server.log());
    for n in 0..USERS {
        let stats = stores[0].event_stats(&key(&format!("s{n}"))).await.unwrap();
        assert_eq!(stats.count, 80);
    }
}
