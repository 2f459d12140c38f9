//! Two of the store's transactions that meet in the middle, on PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails panics"
)]

use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::sessions::{CommandKind, CommandStatus};
use open_cowork_providers::store::execution::{Lanes, NewCommand, QueueLimits};
use open_cowork_providers::store::{ExecutionStore, NewSession, Scope, SessionKey, SessionStore};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName};
use open_cowork_testkit::postgres::Postgres;
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;

const SCHEMA: &str = "races";
const TTL: Duration = Duration::from_secs(10);

/// Waits until a statement of the store waits for a row that another transaction holds.
async fn somebody_waits(watcher: &mut PgConnection) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND query LIKE '%session_leases%' AND pid <> pg_backend_pid()";
    let wait = async {
        loop {
            let count: i64 = sqlx::query_scalar(waiting)
                .fetch_one(&mut *watcher)
                .await
                .unwrap();
            if count > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("nobody waited");
}

/// A worker claims a command in the last moment of its lease; while that commits, another one takes the lease away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_claimed_while_its_lease_is_reaped_waits_again() {
    let server = Postgres::shared().await.unwrap();
    let options = PostgresOptions {
        schema: SchemaName::parse(SCHEMA).unwrap(),
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&server.url().into(), options)
        .await
        .unwrap();
    let store = Arc::new(store);
    let (scope, key) = (Scope::new("t", "u"), SessionKey::new("t", "s"));
    let new = NewSession {
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: "s".into(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        ..NewSession::default()
    };
    store.create_session(new).await.unwrap();
    let start = Timestamp::from_millisecond(1_800_000_000_000).unwrap();
    let new = NewCommand {
        command_id: "c".into(),
        key: key.clone(),
        user_id: "u".into(),
        kind: CommandKind::Prompt,
        payload: JsonObject::new(),
        traceparent: None,
    };
    let limits = QueueLimits::default();
    store.enqueue(new, limits, start).await.unwrap();
    let dying = store.claim_scope(&scope, "dying", TTL, start).await;
    let dying = dying.unwrap().unwrap();
    let seat = store.claim_session(&dying, &key.session_id, start).await;
    assert!(seat.unwrap().is_some());

    // The claim, up to its commit, as the store does it: the lease's row is locked, the command is running.
    let mut claiming = PgConnection::connect(&server.url()).await.unwrap();
    let claim = format!(
        "SET search_path = {SCHEMA}; BEGIN; \
         SELECT 1 FROM session_leases FOR NO KEY UPDATE; \
         UPDATE commands SET status = 'running', claimed_by = 'dying', attempts = 1, \
         claimed_token = (SELECT token FROM session_leases)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(claim))
        .execute(&mut claiming)
        .await
        .unwrap();
    let later = start + TTL;
    let reaping = tokio::spawn({
        let store = store.clone();
        async move { store.reap(10, later).await }
    });
    let mut watcher = PgConnection::connect(&server.url()).await.unwrap();
    somebody_waits(&mut watcher).await;
    sqlx::raw_sql("COMMIT")
        .execute(&mut claiming)
        .await
        .unwrap();
    let reaped = reaping.await.unwrap().unwrap();
    assert_eq!(reaped[0].retried, ["c".into()]);

    let command = store.command(&key, &"c".into()).await.unwrap().unwrap();
    assert_eq!(command.status, CommandStatus::Pending);
    let next = store.claim_scope(&scope, "next", TTL, later).await;
    let next = next.unwrap().unwrap();
    let seat = store.claim_session(&next, &key.session_id, later).await;
    let seat = seat.unwrap().unwrap();
    let claimed = store.claim_command(&seat, Lanes::All, later).await;
    assert_eq!(claimed.unwrap().unwrap().command.command_id, "c".into());
}
