//! Random steps of workers have the same answers on SQLite and PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_contracts::api::sessions::CommandKind;
use open_cowork_contracts::{EventType, JsonObject};
use open_cowork_providers::store::execution::{
    CommandFailure, Deferral, EXECUTION_FAILED, Lanes, NewCommand, QueueLimits, ScopeLease,
    SessionLease,
};
use open_cowork_providers::store::{
    AppendRequest, ExecutionStore, LeaseFence, LeaseToken, NewEvent, NewSession, Scope, SessionKey,
    Store,
};
use open_cowork_providers::time::{Timestamp, iso};
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName, SqliteOptions, SqliteStore};
use open_cowork_testkit::postgres::Postgres;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    ClaimScope(usize, usize),
    RenewScope(usize),
    ReleaseScope(usize),
    ClaimSession(usize, usize),
    ReleaseSession(usize),
    Reap(u32),
    Enqueue(usize, u8, bool, bool),
    ClaimCommand(usize, bool),
    Ack(usize, u8),
    Fail(usize, u8),
    Defer(usize, u8, u64),
    Append(Option<usize>, usize, bool),
    Runnable(usize, u32),
    Work(usize),
    Command(usize, u8),
    Prune(u32),
}

const USERS: [(&str, &str); 3] = [("t1", "a"), ("t1", "b\u{0}"), ("t2", "a")];
const WORKERS: [&str; 2] = ["w1", "w\u{1}2"];

fn scope(user: usize) -> Scope {
    let (tenant, user) = USERS[user % USERS.len()];
    Scope::new(tenant, user)
}

/// Two sessions per user.
fn key(session: usize) -> SessionKey {
    let (tenant, _) = USERS[session % USERS.len()];
    SessionKey::new(tenant, format!("s{}", session % 6))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lease = || 0usize..6;
    let command = || 0u8..6;
    let step = prop_oneof![
        3 => (1u64..7).prop_map(Step::Pass),
        4 => (0usize..3, 0usize..2).prop_map(|(user, worker)| Step::ClaimScope(user, worker)),
        1 => lease().prop_map(Step::RenewScope),
        1 => lease().prop_map(Step::ReleaseScope),
        5 => (lease(), 0usize..6).prop_map(|(lease, session)| Step::ClaimSession(lease, session)),
        1 => lease().prop_map(Step::ReleaseSession),
        1 => (0u32..3).prop_map(Step::Reap),
        5 => (0usize..6, command(), any::<bool>(), proptest::bool::weighted(0.2))
            .prop_map(|(session, id, prompt, limited)| Step::Enqueue(session, id, prompt, limited)),
        5 => (lease(), any::<bool>()).prop_map(|(lease, all)| Step::ClaimCommand(lease, all)),
        2 => (lease(), command()).prop_map(|(lease, id)| Step::Ack(lease, id)),
        1 => (lease(), command()).prop_map(|(lease, id)| Step::Fail(lease, id)),
        2 => (lease(), command(), 0u64..5).prop_map(|(lease, id, s)| Step::Defer(lease, id, s)),
        3 => (proptest::option::weighted(0.8, lease()), 0usize..6, any::<bool>())
            .prop_map(|(lease, session, runs)| Step::Append(lease, session, runs)),
        3 => (0usize..2, 1u32..4).prop_map(|(worker, limit)| Step::Runnable(worker, limit)),
        2 => (0usize..3).prop_map(Step::Work),
        2 => (0usize..6, command()).prop_map(|(session, id)| Step::Command(session, id)),
        1 => (0u32..3).prop_map(Step::Prune),
    ];
    proptest::collection::vec(step, 20..70)
}

/// A store with the leases that it gave out. Tokens are random, so answers show their numbers.
struct Side<S> {
    store: S,
    scopes: Vec<ScopeLease>,
    sessions: Vec<SessionLease>,
}

impl<S: Store + ExecutionStore> Side<S> {
    async fn new(store: S) -> Self {
        for session in 0..6 {
            let (tenant, user) = USERS[session % USERS.len()];
            let new = NewSession {
                tenant_id: tenant.into(),
                user_id: user.into(),
                session_id: key(session).session_id,
                created_at: iso(Timestamp::UNIX_EPOCH),
                ..NewSession::default()
            };
            store.create_session(new).await.unwrap();
        }
        Side {
            store,
            scopes: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Tokens by the order in which they were given out.
    fn shown(&self, answer: &impl std::fmt::Debug) -> String {
        let mut shown = format!("{answer:?}");
        for (n, lease) in self.sessions.iter().enumerate() {
            shown = shown.replace(lease.token.expose(), &format!("session lease {n}"));
        }
        shown
    }

    fn scope_lease(&self, n: usize) -> Option<ScopeLease> {
        self.scopes.get(n % self.scopes.len().max(1)).cloned()
    }

    fn session_lease(&self, n: usize) -> Option<SessionLease> {
        self.sessions.get(n % self.sessions.len().max(1)).cloned()
    }

    async fn answer(&mut self, step: &Step, now: Timestamp) -> String {
        let ttl = Duration::from_secs(10);
        let id = |id: u8| format!("c{id}").into();
        match step {
            Step::Pass(_) => String::new(),
            Step::ClaimScope(user, worker) => {
                let claimed = self
                    .store
                    .claim_scope(&scope(*user), WORKERS[*worker], ttl, now)
                    .await;
                if let Ok(Some(lease)) = &claimed {
                    self.scopes.push(lease.clone());
                }
                self.shown(&claimed)
            }
            Step::RenewScope(n) => match self.scope_lease(*n) {
                Some(lease) => self.shown(&self.store.renew_scope(&lease, ttl, now).await),
                None => String::new(),
            },
            Step::ReleaseScope(n) => match self.scope_lease(*n) {
                Some(lease) => self.shown(&self.store.release_scope(&lease, now).await),
                None => String::new(),
            },
            Step::ClaimSession(n, session) => {
                let Some(lease) = self.scope_lease(*n) else {
                    return String::new();
                };
                let session = key(*session).session_id;
                let claimed = self.store.claim_session(&lease, &session, now).await;
                if let Ok(Some(lease)) = &claimed {
                    self.sessions.push(lease.clone());
                }
                self.shown(&claimed)
            }
            Step::ReleaseSession(n) => match self.session_lease(*n) {
                Some(lease) => self.shown(&self.store.release_session(&lease, now).await),
                None => String::new(),
            },
            Step::Reap(limit) => self.shown(&self.store.reap(*limit, now).await),
            Step::Enqueue(session, n, prompt, limited) => {
                let kind = match prompt {
                    true => CommandKind::Prompt,
                    false => CommandKind::Abort,
                };
                let new = NewCommand {
                    command_id: id(*n),
                    key: key(*session),
                    user_id: "giver".into(),
                    kind,
                    payload: JsonObject::new(),
                    traceparent: None,
                };
                let limits = QueueLimits {
                    max_queued: limited.then_some(2),
                    max_age: limited.then_some(Duration::from_secs(20)),
                };
                self.shown(&self.store.enqueue(new, limits, now).await)
            }
            Step::ClaimCommand(n, all) => match self.session_lease(*n) {
                Some(lease) => {
                    let lanes = if *all { Lanes::All } else { Lanes::Control };
                    self.shown(&self.store.claim_command(&lease, lanes, now).await)
                }
                None => String::new(),
            },
            Step::Ack(n, command) => match self.session_lease(*n) {
                Some(lease) => {
                    self.shown(&self.store.ack_command(&lease, &id(*command), now).await)
                }
                None => String::new(),
            },
            Step::Fail(n, command) => match self.session_lease(*n) {
                Some(lease) => {
                    let failure = CommandFailure {
                        code: EXECUTION_FAILED.to_owned(),
                        message: "ä\u{0}".to_owned(),
                    };
                    let id = id(*command);
                    let failed = self.store.fail_command(&lease, &id, &failure, now);
                    self.shown(&failed.await)
                }
                None => String::new(),
            },
            Step::Defer(n, command, seconds) => match self.session_lease(*n) {
                Some(lease) => {
                    let deferral = Deferral {
                        code: "busy".to_owned(),
                        summary: "Busy.".to_owned(),
                        retry_after: Duration::from_secs(*seconds),
                    };
                    let id = id(*command);
                    let deferred = self.store.defer_command(&lease, &id, &deferral, now);
                    self.shown(&deferred.await)
                }
                None => String::new(),
            },
            Step::Append(n, session, runs) => {
                let lease = n.and_then(|n| self.session_lease(n));
                let key = match &lease {
                    Some(lease) if session % 3 > 0 => lease.key.clone(),
                    _ => key(*session),
                };
                let kind = match runs {
                    true => EventType::SessionStatus,
                    false => EventType::SessionIdle,
                };
                let payload = serde_json::json!({ "statusType": "running" });
                let event = NewEvent {
                    event_id: None,
                    kind,
                    payload: payload.as_object().cloned().unwrap(),
                    created_at: iso(now),
                };
                let token = match (n, lease) {
                    (None, _) => None,
                    (Some(_), Some(lease)) => Some(lease.token),
                    (Some(_), None) => Some(LeaseToken::new("none")),
                };
                let request = AppendRequest {
                    key,
                    events: [event].into(),
                    fence: token.map(|token| LeaseFence { token, now }),
                };
                self.shown(&self.store.append(request).await)
            }
            Step::Runnable(worker, limit) => {
                let found = self.store.runnable_scopes(WORKERS[*worker], *limit, now);
                self.shown(&found.await)
            }
            Step::Work(user) => {
                self.shown(&self.store.sessions_with_work(&scope(*user), now).await)
            }
            Step::Command(session, command) => {
                self.shown(&self.store.command(&key(*session), &id(*command)).await)
            }
            Step::Prune(limit) => self.shown(&self.store.prune_execution(now, *limit).await),
        }
    }
}

async fn compare(steps: &[Step], schema: u32) -> Result<(), TestCaseError> {
    let server = Postgres::shared().await.unwrap();
    let options = PostgresOptions {
        schema: SchemaName::parse(&format!("execution_{schema}")).unwrap(),
        ..PostgresOptions::default()
    };
    let postgres = PostgresStore::open(&server.url().into(), options).await;
    let sqlite = SqliteStore::in_memory(SqliteOptions::default()).await;
    let mut postgres = Side::new(postgres.unwrap()).await;
    let mut sqlite = Side::new(sqlite.unwrap()).await;
    let mut now = Timestamp::UNIX_EPOCH;
    for step in steps {
        if let Step::Pass(seconds) = step {
            now += Duration::from_secs(*seconds);
        }
        let expected = sqlite.answer(step, now).await;
        prop_assert_eq!(postgres.answer(step, now).await, expected, "{:?}", step);
    }
    postgres.store.close().await;
    sqlite.store.close().await;
    Ok(())
}

#[test]
fn both_databases_give_workers_the_same_answers() {
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _server = runtime.block_on(Postgres::shared()).unwrap();
    let config = ProptestConfig {
        cases: 40,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(compare(&steps, SCHEMAS.fetch_add(1, Ordering::Relaxed)))?;
    });
}
