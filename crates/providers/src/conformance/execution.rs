//! Leases and commands (04 §2.4, decision 24).

use super::plane::{Plane, at, scope};
use crate::store::execution::{
    ClaimedCommand, CommandFailure, Deferral, EXECUTION_FAILED, EXHAUSTED, Enqueued, Lanes,
    MAX_EXECUTIONS, NewCommand, QueueLimits, ScopeLease, SessionLease,
};
use crate::store::{
    AppendRequest, Appended, ControlPlane, LeaseFence, LeaseToken, NewEvent, Scope, SessionKey,
    SessionUpdate, StoreError,
};
use crate::time::{Timestamp, iso};
use futures::future::join_all;
use open_cowork_contracts::api::sessions::{Command, CommandKind, CommandStatus};
use open_cowork_contracts::api::workspace::{Heartbeat, ProcessRole};
use open_cowork_contracts::{EventType, JsonObject, SessionStatus};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(10);

type Store = Arc<dyn ControlPlane>;

async fn claim_scope(store: &Store, worker: &str, now: Timestamp) -> Option<ScopeLease> {
    store.claim_scope(&scope(), worker, TTL, now).await.unwrap()
}

/// A session with a lease of worker `w`, taken at second 0.
async fn leased(plane: &Plane) -> (ScopeLease, SessionLease) {
    plane.session("t1", "u1", "s").await;
    let scope = claim_scope(&plane.store, "w", at(0)).await.unwrap();
    let session = plane.store.claim_session(&scope, &"s".into(), at(0)).await;
    (scope, session.unwrap().unwrap())
}

async fn append(
    store: &Store,
    key: &SessionKey,
    kind: EventType,
    payload: Value,
    fence: Option<LeaseFence>,
) -> Result<Appended, StoreError> {
    let event = NewEvent {
        event_id: None,
        kind,
        payload: object(&payload),
        created_at: iso(at(0)),
    };
    let request = AppendRequest {
        key: key.clone(),
        events: [event].into(),
        fence,
    };
    store.append(request).await
}

fn object(value: &Value) -> JsonObject {
    value.as_object().cloned().unwrap_or_default()
}

fn fence(lease: &SessionLease, now: Timestamp) -> LeaseFence {
    LeaseFence {
        token: lease.token.clone(),
        now,
    }
}

async fn fenced(store: &Store, lease: &SessionLease, now: Timestamp) -> Result<(), StoreError> {
    let key = &lease.key;
    let fence = fence(lease, now);
    let idle = append(
        store,
        key,
        EventType::SessionIdle,
        json!({}),
        Some(fence.clone()),
    )
    .await;
    let bound = store
        .bind_runtime(key, &"ses_1".into(), &iso(now), Some(&fence))
        .await;
    let update = SessionUpdate::default();
    let updated = store
        .update_session(key, update, &iso(now), Some(&fence))
        .await;
    assert_eq!(idle.is_ok(), bound.is_ok());
    assert_eq!(idle.is_ok(), updated.is_ok());
    idle.map(drop)
}

async fn set_running(plane: &Plane, key: &SessionKey) {
    let running = json!({ "statusType": "running" });
    let appended = append(&plane.store, key, EventType::SessionStatus, running, None).await;
    assert_eq!(appended.unwrap().row.session.status, SessionStatus::Running);
}

fn command(key: &SessionKey, id: &str, kind: CommandKind, payload: &Value) -> NewCommand {
    NewCommand {
        command_id: id.into(),
        key: key.clone(),
        user_id: "u1".into(),
        kind,
        payload: object(payload),
        traceparent: Some("00-1-2-01".to_owned()),
    }
}

fn prompt(key: &SessionKey, id: &str) -> NewCommand {
    command(
        key,
        id,
        CommandKind::Prompt,
        &json!({ "text": id, "agent": "build" }),
    )
}

async fn enqueue(plane: &Plane, new: NewCommand, second: u64) -> Enqueued {
    let limits = QueueLimits::default();
    plane.store.enqueue(new, limits, at(second)).await.unwrap()
}

async fn claim(
    plane: &Plane,
    lease: &SessionLease,
    lanes: Lanes,
    second: u64,
) -> Option<ClaimedCommand> {
    let claimed = plane.store.claim_command(lease, lanes, at(second)).await;
    claimed.unwrap()
}

async fn claimed_id(plane: &Plane, lease: &SessionLease, lanes: Lanes) -> Option<String> {
    let claimed = claim(plane, lease, lanes, 1).await?;
    Some(claimed.command.command_id.to_string())
}

async fn stored(plane: &Plane, key: &SessionKey, id: &str) -> Command {
    let found = plane.peer.command(key, &id.into()).await.unwrap();
    found.unwrap()
}

fn deferral(seconds: u64) -> Deferral {
    Deferral {
        code: "runtime_capacity_busy".to_owned(),
        summary: "The runtime is busy.".to_owned(),
        retry_after: Duration::from_secs(seconds),
    }
}

fn failure() -> CommandFailure {
    CommandFailure {
        code: EXECUTION_FAILED.to_owned(),
        message: "x".repeat(600),
    }
}

/// 04 §2.4 claim.
pub async fn a_scope_is_held_by_one_worker_at_a_time(plane: &Plane) {
    plane.session("t1", "u1", "s").await;
    let lease = claim_scope(&plane.store, "a", at(0)).await.unwrap();
    assert_eq!(lease.expires_at, at(10));
    assert_eq!(claim_scope(&plane.peer, "b", at(9)).await, None);
    assert_eq!(
        claim_scope(&plane.store, "a", at(9)).await,
        None,
        "even the caller's own"
    );
    let other = Scope::new("t1", "u2");
    plane.session("t1", "u2", "s2").await;
    let free = plane.store.claim_scope(&other, "b", TTL, at(0)).await;
    assert!(free.unwrap().is_some(), "scopes don't hinder each other");
}

/// 04 §2.1: missing, not a fault.
pub async fn an_unknown_user_has_no_scope(plane: &Plane) {
    let claimed = plane.store.claim_scope(&scope(), "a", TTL, at(0)).await;
    assert_eq!(claimed, Err(StoreError::Missing("user")));
    let runnable = plane.store.runnable_scopes("a", 10, at(0)).await.unwrap();
    assert!(runnable.scopes.is_empty());
}

/// 04 §2.3, §2.4.
pub async fn an_expired_scope_is_taken_over_and_its_old_tokens_are_stale(plane: &Plane) {
    let (old_scope, old) = leased(plane).await;
    let new_scope = claim_scope(&plane.peer, "b", at(10)).await.unwrap();
    assert_ne!(new_scope.token, old_scope.token);
    let new = plane
        .peer
        .claim_session(&new_scope, &"s".into(), at(10))
        .await;
    let new = new.unwrap().unwrap();
    // The old worker's clock may be behind.
    assert_eq!(
        fenced(&plane.store, &old, at(9)).await,
        Err(StoreError::StaleFence)
    );
    let claimed = plane.store.claim_command(&old, Lanes::All, at(9)).await;
    assert_eq!(claimed, Err(StoreError::StaleFence));
    let renewed = plane.store.renew_scope(&old_scope, TTL, at(9)).await;
    assert_eq!(renewed, Err(StoreError::StaleFence));
    assert!(!plane.store.release_scope(&old_scope, at(9)).await.unwrap());
    assert!(!plane.store.release_session(&old, at(9)).await.unwrap());
    fenced(&plane.peer, &new, at(11)).await.unwrap();
}

/// Decision 24.
pub async fn a_renewal_prolongs_the_sessions_of_the_scope(plane: &Plane) {
    let (scope, session) = leased(plane).await;
    let renewed = plane.peer.renew_scope(&scope, TTL, at(9)).await.unwrap();
    assert_eq!(renewed.expires_at, at(19));
    fenced(&plane.store, &session, at(18)).await.unwrap();
    let late = plane.store.renew_scope(&scope, TTL, at(5)).await.unwrap();
    assert_eq!(late.expires_at, at(19), "a late renewal takes nothing back");
}

/// 04 §2.4 renew.
pub async fn a_lost_scope_cannot_be_renewed(plane: &Plane) {
    let (lease, _) = leased(plane).await;
    let renewed = plane.store.renew_scope(&lease, TTL, at(10)).await;
    assert_eq!(renewed, Err(StoreError::StaleFence), "it has expired");
    let forged = ScopeLease {
        token: LeaseToken::random().unwrap(),
        ..lease
    };
    let renewed = plane.store.renew_scope(&forged, TTL, at(1)).await;
    assert_eq!(renewed, Err(StoreError::StaleFence));
}

/// Decision 24.
pub async fn a_session_is_claimed_once_under_a_live_scope(plane: &Plane) {
    let (scope, _) = leased(plane).await;
    let store = &plane.store;
    let again = store.claim_session(&scope, &"s".into(), at(1)).await;
    assert_eq!(again, Ok(None));
    let unknown = store.claim_session(&scope, &"none".into(), at(1)).await;
    assert_eq!(unknown, Err(StoreError::NotFound("none".into())));
    plane.session("t1", "u2", "theirs").await;
    let theirs = store.claim_session(&scope, &"theirs".into(), at(1)).await;
    assert_eq!(theirs, Err(StoreError::NotFound("theirs".into())));
    plane.session("t1", "u1", "s2").await;
    let late = store.claim_session(&scope, &"s2".into(), at(10)).await;
    assert_eq!(late, Err(StoreError::StaleFence));
}

/// 04 §2.3, the fence rule.
pub async fn a_live_lease_writes_and_no_other_token_does(plane: &Plane) {
    let (scope, lease) = leased(plane).await;
    fenced(&plane.store, &lease, at(9)).await.unwrap();
    fenced(&plane.peer, &lease, at(9)).await.unwrap();
    let unfenced = append(
        &plane.store,
        &lease.key,
        EventType::SessionIdle,
        json!({}),
        None,
    )
    .await;
    assert!(unfenced.is_ok(), "product events aren't fenced");
    let other = plane.session("t1", "u1", "s2").await;
    let elsewhere = SessionLease {
        key: other,
        ..lease.clone()
    };
    assert_eq!(
        fenced(&plane.store, &elsewhere, at(1)).await,
        Err(StoreError::StaleFence)
    );
    let of_scope = SessionLease {
        token: scope.token,
        ..lease
    };
    assert_eq!(
        fenced(&plane.store, &of_scope, at(1)).await,
        Err(StoreError::StaleFence)
    );
}

/// 04 §2.3: current and unexpired.
pub async fn an_expired_lease_cannot_write_even_if_nobody_took_over(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    assert_eq!(
        fenced(&plane.store, &lease, at(10)).await,
        Err(StoreError::StaleFence)
    );
    let stats = plane.store.event_stats(&lease.key).await.unwrap();
    assert_eq!(stats.count, 0);
    let ack = plane.store.ack_command(&lease, &"c".into(), at(10)).await;
    assert_eq!(ack, Err(StoreError::Missing("command")));
}

/// 04 §2.4 release.
pub async fn a_released_session_is_free_and_its_token_stale(plane: &Plane) {
    let (scope, lease) = leased(plane).await;
    enqueue(plane, prompt(&lease.key, "p"), 0).await;
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    assert!(plane.store.release_session(&lease, at(2)).await.unwrap());
    assert!(!plane.store.release_session(&lease, at(2)).await.unwrap());
    assert_eq!(
        fenced(&plane.store, &lease, at(2)).await,
        Err(StoreError::StaleFence)
    );
    assert_eq!(
        stored(plane, &lease.key, "p").await.status,
        CommandStatus::Pending
    );
    let again = plane.store.claim_session(&scope, &"s".into(), at(2)).await;
    assert!(again.unwrap().is_some());
}

/// 04 §2.4 release, recover.
pub async fn a_released_scope_is_free_and_its_commands_wait_again(plane: &Plane) {
    let (scope, lease) = leased(plane).await;
    enqueue(plane, prompt(&lease.key, "p"), 0).await;
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    assert!(plane.store.release_scope(&scope, at(2)).await.unwrap());
    assert!(!plane.store.release_scope(&scope, at(2)).await.unwrap());
    assert_eq!(
        fenced(&plane.store, &lease, at(2)).await,
        Err(StoreError::StaleFence)
    );
    let command = stored(plane, &lease.key, "p").await;
    assert_eq!(command.status, CommandStatus::Pending);
    assert_eq!(
        (command.claimed_by, command.claimed_lease_token),
        (None, None)
    );
    assert!(claim_scope(&plane.peer, "b", at(2)).await.is_some());
}

/// A lease is no turn: statuses follow events (01 §3.3).
pub async fn a_claim_leaves_the_session_as_it_is(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    let before = plane.store.session(&key).await.unwrap();
    let (scope, lease) = leased(plane).await;
    enqueue(plane, prompt(&key, "p"), 0).await;
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    plane.store.release_scope(&scope, at(2)).await.unwrap();
    assert_eq!(plane.store.session(&key).await.unwrap(), before);
}

/// 04 §2.4 reap.
pub async fn reaping_ends_expired_scopes_oldest_first(plane: &Plane) {
    let mut leases = Vec::new();
    for (second, user) in [(2, "b"), (0, "a"), (4, "c")] {
        let key = plane.session("t1", user, &format!("s-{user}")).await;
        let scope = Scope::new("t1", user);
        let lease = plane.store.claim_scope(&scope, "w", TTL, at(second)).await;
        let lease = lease.unwrap().unwrap();
        let session = plane
            .store
            .claim_session(&lease, &key.session_id, at(second))
            .await;
        enqueue(plane, prompt(&key, &format!("p-{user}")), 0).await;
        let session = session.unwrap().unwrap();
        claim(plane, &session, Lanes::All, second).await.unwrap();
        leases.push(session);
    }
    assert_eq!(plane.store.reap(10, at(9)).await, Ok(vec![]));
    let first = plane.store.reap(1, at(12)).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].key, leases[1].key);
    assert_eq!(
        (first[0].user_id.as_str(), first[0].worker_id.as_str()),
        ("a", "w")
    );
    assert_eq!(first[0].retried, ["p-a".into()]);
    assert!(!first[0].unfinished);
    let second = plane.peer.reap(10, at(12)).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].key, leases[0].key);
    let command = stored(plane, &leases[1].key, "p-a").await;
    assert_eq!(command.status, CommandStatus::Pending);
    assert_eq!(command.last_error_code.as_deref(), Some("lease_expired"));
    fenced(&plane.store, &leases[2], at(12)).await.unwrap();
}

/// Decision 24: reaping the lease of an unfinished turn queues its recovery.
pub async fn an_unfinished_turn_waits_for_a_worker_until_one_has_it(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    set_running(plane, &lease.key).await;
    let runnable = |worker: &'static str, second| {
        let store = plane.store.clone();
        async move {
            let found = store.runnable_scopes(worker, 10, at(second)).await;
            found.unwrap().scopes.len()
        }
    };
    assert_eq!(runnable("w", 1).await, 0, "its worker has it");
    assert_eq!(runnable("b", 10).await, 1, "expired, and not reaped yet");
    let reaped = plane.store.reap(10, at(10)).await.unwrap();
    assert!(reaped[0].unfinished);
    assert_eq!(runnable("b", 10).await, 1, "whoever reaped it may die, too");
    let scope = claim_scope(&plane.store, "b", at(10)).await.unwrap();
    let work = plane.store.sessions_with_work(&scope.scope, at(10)).await;
    assert!(work.unwrap()[0].unfinished);
    assert_eq!(runnable("b", 10).await, 1, "the session isn't claimed yet");
    let claimed = plane.store.claim_session(&scope, &"s".into(), at(10)).await;
    assert!(claimed.unwrap().is_some());
    assert_eq!(runnable("b", 11).await, 0);
    assert_eq!(
        plane.store.sessions_with_work(&scope.scope, at(11)).await,
        Ok(vec![])
    );
}

/// 04 §2.4 enqueue.
pub async fn a_command_is_queued_once_by_its_id(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    let payload = json!({ "text": "hi", "n": 1, "agent": "build" });
    let first = enqueue(plane, command(&key, "c", CommandKind::Prompt, &payload), 0).await;
    assert!(first.created);
    let expected = Command {
        command_id: "c".into(),
        tenant_id: "t1".into(),
        user_id: "u1".into(),
        session_id: "s".into(),
        kind: CommandKind::Prompt,
        payload: object(&payload),
        target_lease_token: None,
        created_sequence: 1,
        created_at: iso(at(0)),
        status: CommandStatus::Pending,
        claimed_by: None,
        claimed_lease_token: None,
        attempt_count: 0,
        available_at: None,
        last_error_code: None,
        last_error_summary: None,
        acked_at: None,
        error: None,
    };
    assert_eq!(first.command, expected);
    let reordered = json!({ "agent": "build", "n": 1.0, "text": "hi" });
    let again = enqueue(
        plane,
        command(&key, "c", CommandKind::Prompt, &reordered),
        5,
    )
    .await;
    assert!(!again.created);
    assert_eq!(again.command, expected);
    let other = json!({ "text": "bye", "agent": "build" });
    let limits = QueueLimits::default();
    let changed = command(&key, "c", CommandKind::Prompt, &other);
    let refused = plane.peer.enqueue(changed, limits, at(5)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(
        enqueue(plane, prompt(&key, "d"), 6)
            .await
            .command
            .created_sequence,
        2
    );
    let missing = plane
        .store
        .command(&SessionKey::new("t1", "other"), &"c".into())
        .await;
    assert_eq!(missing, Ok(None));
}

/// 04 §2.1.
pub async fn an_id_of_another_scope_is_a_conflict_that_reveals_nothing(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    enqueue(plane, prompt(&key, "c"), 0).await;
    let elsewhere = plane.session("t2", "u1", "s").await;
    let limits = QueueLimits::default();
    let refused = plane
        .store
        .enqueue(prompt(&elsewhere, "c"), limits, at(1))
        .await;
    let taken = "The command id c is taken; choose another.".to_owned();
    assert_eq!(refused, Err(StoreError::Conflict(taken)));
    let missing = plane.store.command(&elsewhere, &"c".into()).await;
    assert_eq!(missing, Ok(None));
}

/// 04 §2.1.
pub async fn an_unknown_session_takes_no_command(plane: &Plane) {
    let limits = QueueLimits::default();
    for key in [SessionKey::new("t1", "s"), SessionKey::new("nobody", "s")] {
        let refused = plane.store.enqueue(prompt(&key, "c"), limits, at(0)).await;
        assert_eq!(refused, Err(StoreError::NotFound("s".into())));
        plane.session("t1", "u1", "other").await;
    }
}

/// 04 §2.4, §2.9 `maxQueuedCommandsPerOrg`.
pub async fn a_full_queue_refuses_new_commands_and_knows_old_ones(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    let limits = QueueLimits {
        max_queued: Some(2),
        max_age: None,
    };
    let give = |id: &'static str| plane.store.enqueue(prompt(&lease.key, id), limits, at(1));
    give("a").await.unwrap();
    give("b").await.unwrap();
    let Err(StoreError::Quota(denial)) = give("c").await else {
        panic!("a third command fits");
    };
    assert_eq!(denial.code, "quota.queued_commands_exceeded");
    assert_eq!((denial.limit, denial.used), (2, 2));
    assert!(
        !give("a").await.unwrap().created,
        "a replay is no new command"
    );
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    assert!(give("c").await.is_err(), "what runs is in the queue");
    plane
        .store
        .ack_command(&lease, &"a".into(), at(1))
        .await
        .unwrap();
    assert!(give("c").await.unwrap().created);
    let other = plane.session("t2", "u1", "s").await;
    let elsewhere = plane
        .store
        .enqueue(prompt(&other, "d"), limits, at(1))
        .await;
    assert!(
        elsewhere.unwrap().created,
        "another organisation has its own"
    );
}

/// 04 §2.9 `maxQueueAgeMs`.
pub async fn an_old_queue_refuses_new_commands(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    enqueue(plane, prompt(&key, "a"), 0).await;
    let limits = QueueLimits {
        max_queued: None,
        max_age: Some(Duration::from_secs(60)),
    };
    let young = plane.store.enqueue(prompt(&key, "b"), limits, at(60)).await;
    assert!(young.is_ok());
    let Err(StoreError::Quota(denial)) =
        plane.store.enqueue(prompt(&key, "c"), limits, at(61)).await
    else {
        panic!("an old queue takes more");
    };
    assert_eq!(denial.code, "quota.queue_age_exceeded");
    assert_eq!(
        (denial.limit, denial.used, denial.retry_after_ms),
        (60_000, 61_000, 60_000)
    );
}

/// 04 §16 #3.
pub async fn aborts_and_answers_overtake_prompts(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    let give = |id: &str, kind| enqueue(plane, command(&lease.key, id, kind, &json!({})), 0);
    give("prompt", CommandKind::Prompt).await;
    give("answer", CommandKind::QuestionReply).await;
    give("abort", CommandKind::Abort).await;
    assert_eq!(
        claimed_id(plane, &lease, Lanes::Control).await.as_deref(),
        Some("answer")
    );
    assert_eq!(
        claimed_id(plane, &lease, Lanes::All).await.as_deref(),
        Some("abort")
    );
    assert_eq!(claimed_id(plane, &lease, Lanes::Control).await, None);
    assert_eq!(
        claimed_id(plane, &lease, Lanes::All).await.as_deref(),
        Some("prompt")
    );
    assert_eq!(claimed_id(plane, &lease, Lanes::All).await, None);
}

/// 04 §2.4 claim next, §16 #4.
pub async fn prompts_keep_their_order_strictly(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    enqueue(plane, prompt(&lease.key, "a"), 0).await;
    enqueue(plane, prompt(&lease.key, "b"), 0).await;
    let first = claim(plane, &lease, Lanes::All, 1).await.unwrap();
    assert_eq!(first.command.command_id.as_str(), "a");
    assert_eq!(first.command.status, CommandStatus::Running);
    assert_eq!(first.command.claimed_by.as_deref(), Some("w"));
    assert_eq!(
        first.command.claimed_lease_token.as_deref(),
        Some(lease.token.expose())
    );
    assert_eq!(first.command.attempt_count, 1);
    assert_eq!(first.traceparent.as_deref(), Some("00-1-2-01"));
    assert_eq!(
        claim(plane, &lease, Lanes::All, 1).await,
        None,
        "the first one runs"
    );
    let deferred = plane
        .store
        .defer_command(&lease, &"a".into(), &deferral(5), at(1))
        .await;
    let deferred = deferred.unwrap();
    assert_eq!(deferred.status, CommandStatus::Pending);
    assert_eq!(deferred.available_at, Some(iso(at(6))));
    assert_eq!(
        deferred.last_error_code.as_deref(),
        Some("runtime_capacity_busy")
    );
    assert_eq!(
        (deferred.claimed_by, deferred.claimed_lease_token),
        (None, None)
    );
    assert_eq!(
        claim(plane, &lease, Lanes::All, 5).await,
        None,
        "it isn't its time"
    );
    let again = claim(plane, &lease, Lanes::All, 6).await.unwrap().command;
    assert_eq!((again.command_id.as_str(), again.attempt_count), ("a", 2));
    assert_eq!((again.last_error_code, again.available_at), (None, None));
    plane
        .store
        .ack_command(&lease, &"a".into(), at(6))
        .await
        .unwrap();
    assert_eq!(
        claimed_id(plane, &lease, Lanes::All).await.as_deref(),
        Some("b")
    );
}

/// 04 §16 #3, #4.
pub async fn a_deferred_answer_does_not_hold_up_the_others(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    let give = |id: &str, kind| enqueue(plane, command(&lease.key, id, kind, &json!({})), 0);
    give("answer", CommandKind::QuestionReply).await;
    give("abort", CommandKind::Abort).await;
    assert_eq!(
        claimed_id(plane, &lease, Lanes::Control).await.as_deref(),
        Some("answer")
    );
    let store = &plane.store;
    store
        .defer_command(&lease, &"answer".into(), &deferral(5), at(1))
        .await
        .unwrap();
    assert_eq!(
        claimed_id(plane, &lease, Lanes::Control).await.as_deref(),
        Some("abort")
    );
    let none = store
        .defer_command(&lease, &"abort".into(), &deferral(0), at(1))
        .await;
    assert!(matches!(none, Err(StoreError::Invalid(_))));
}

/// 04 §2.4 ack, fail.
pub async fn a_command_is_settled_by_the_lease_that_has_it(plane: &Plane) {
    let (scope, lease) = leased(plane).await;
    enqueue(plane, prompt(&lease.key, "p"), 0).await;
    let store = &plane.store;
    let early = store.ack_command(&lease, &"p".into(), at(1)).await;
    assert_eq!(early, Err(StoreError::StaleFence), "it doesn't run");
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    store.release_session(&lease, at(1)).await.unwrap();
    let next = store.claim_session(&scope, &"s".into(), at(1)).await;
    let next = next.unwrap().unwrap();
    claim(plane, &next, Lanes::All, 1).await.unwrap();
    let id = &"p".into();
    for refused in [
        store.ack_command(&lease, id, at(1)).await,
        store.fail_command(&lease, id, &failure(), at(1)).await,
        store.defer_command(&lease, id, &deferral(1), at(1)).await,
        store.ack_command(&next, id, at(10)).await,
    ] {
        assert_eq!(refused, Err(StoreError::StaleFence));
    }
    let acked = store.ack_command(&next, id, at(9)).await.unwrap();
    assert_eq!(acked.status, CommandStatus::Acked);
    assert_eq!(acked.acked_at, Some(iso(at(9))));
    let unknown = store.ack_command(&next, &"none".into(), at(9)).await;
    assert_eq!(unknown, Err(StoreError::Missing("command")));
}

/// 04 §2.4 ack, fail.
pub async fn a_settled_command_is_settled_once(plane: &Plane) {
    let (scope, lease) = leased(plane).await;
    let store = &plane.store;
    for id in ["a", "f"] {
        enqueue(plane, prompt(&lease.key, id), 0).await;
        claim(plane, &lease, Lanes::All, 1).await.unwrap();
        match id {
            "a" => store.ack_command(&lease, &id.into(), at(2)).await.unwrap(),
            _ => store
                .fail_command(&lease, &id.into(), &failure(), at(2))
                .await
                .unwrap(),
        };
    }
    let failed = stored(plane, &lease.key, "f").await;
    assert_eq!(failed.status, CommandStatus::Failed);
    assert_eq!(failed.last_error_code.as_deref(), Some(EXECUTION_FAILED));
    assert_eq!(failed.last_error_summary.map(|text| text.len()), Some(512));
    assert_eq!(failed.error.map(|text| text.len()), Some(600));
    store.release_scope(&scope, at(3)).await.unwrap();
    let again = store.ack_command(&lease, &"a".into(), at(4)).await.unwrap();
    assert_eq!(
        again.acked_at,
        Some(iso(at(2))),
        "an ack may be repeated by whoever did it"
    );
    let again = store
        .fail_command(&lease, &"f".into(), &failure(), at(4))
        .await;
    assert_eq!(again.unwrap().status, CommandStatus::Failed);
    let other = store
        .fail_command(&lease, &"a".into(), &failure(), at(4))
        .await;
    assert_eq!(other, Err(StoreError::StaleFence));
    assert_eq!(
        stored(plane, &lease.key, "a").await.status,
        CommandStatus::Acked
    );
}

/// 04 §2.4 reap; §16 #5.
pub async fn an_execution_that_kills_its_workers_ends_after_three(plane: &Plane) {
    let key = plane.session("t1", "u1", "s").await;
    enqueue(plane, prompt(&key, "p"), 0).await;
    for attempt in 0..=u64::from(MAX_EXECUTIONS) {
        let now = attempt * 10;
        let scope = claim_scope(&plane.store, "w", at(now)).await.unwrap();
        let lease = plane
            .store
            .claim_session(&scope, &"s".into(), at(now))
            .await;
        let lease = lease.unwrap().unwrap();
        let claimed = claim(plane, &lease, Lanes::All, now).await.unwrap();
        let last = attempt == u64::from(MAX_EXECUTIONS);
        assert_eq!(claimed.exhausted, last, "attempt {attempt}");
        if last {
            let failure = CommandFailure {
                code: EXHAUSTED.to_owned(),
                message: "It ended its worker three times.".to_owned(),
            };
            let failed = plane
                .store
                .fail_command(&lease, &"p".into(), &failure, at(now))
                .await;
            assert_eq!(failed.unwrap().last_error_code.as_deref(), Some(EXHAUSTED));
        }
    }
}

/// 04 §16 #5.
pub async fn deferrals_and_releases_are_no_executions(plane: &Plane) {
    let (scope, mut lease) = leased(plane).await;
    let store = &plane.store;
    enqueue(plane, prompt(&lease.key, "p"), 0).await;
    for attempt in 1..=8 {
        let claimed = claim(plane, &lease, Lanes::All, 5).await.unwrap();
        assert!(!claimed.exhausted, "attempt {attempt}");
        assert_eq!(claimed.command.attempt_count, attempt);
        if attempt % 2 == 0 {
            let soon = Deferral {
                retry_after: Duration::from_millis(1),
                ..deferral(1)
            };
            store
                .defer_command(&lease, &"p".into(), &soon, at(4))
                .await
                .unwrap();
        } else {
            store.release_session(&lease, at(4)).await.unwrap();
            let next = store.claim_session(&scope, &"s".into(), at(4)).await;
            lease = next.unwrap().unwrap();
        }
    }
}

/// 04 §16 #14.
pub async fn runnable_scopes_come_oldest_first_and_tenants_in_turn(plane: &Plane) {
    for (second, tenant, user) in [
        (1, "busy", "u1"),
        (2, "busy", "u2"),
        (3, "busy", "u3"),
        (4, "calm", "u1"),
        (9, "later", "u1"),
    ] {
        let session = format!("{tenant}-{user}");
        let key = plane.session(tenant, user, &session).await;
        enqueue(plane, prompt(&key, &session), second).await;
    }
    let found = plane.store.runnable_scopes("w", 4, at(20)).await.unwrap();
    let names: Vec<_> = found
        .scopes
        .iter()
        .map(|scope| format!("{}-{}", scope.tenant_id, scope.user_id))
        .collect();
    assert_eq!(names, ["busy-u1", "calm-u1", "later-u1", "busy-u2"]);
    assert!(found.more);
    let all = plane.store.runnable_scopes("w", 5, at(20)).await.unwrap();
    assert_eq!((all.scopes.len(), all.more), (5, false));
}

/// 04 §16 #2.
pub async fn a_scope_of_another_worker_is_not_runnable(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    enqueue(plane, prompt(&lease.key, "p"), 0).await;
    let runnable = |worker: &'static str, second| {
        let store = plane.store.clone();
        async move {
            let found = store.runnable_scopes(worker, 10, at(second)).await;
            found.unwrap().scopes.len()
        }
    };
    assert_eq!(runnable("w", 1).await, 1, "the holder sees what is new");
    assert_eq!(runnable("other", 1).await, 0);
    assert_eq!(runnable("other", 10).await, 1, "the lease has ended");
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    assert_eq!(runnable("w", 1).await, 0, "it runs");
    assert_eq!(runnable("other", 10).await, 1, "its worker is gone");
    let store = &plane.store;
    store
        .defer_command(&lease, &"p".into(), &deferral(30), at(1))
        .await
        .unwrap();
    assert_eq!(runnable("w", 2).await, 0, "it isn't its time");
    assert_eq!(runnable("other", 11).await, 0);
    assert_eq!(runnable("other", 31).await, 1);
}

/// 04 §16 #3.
pub async fn a_prompt_behind_a_running_turn_is_not_ready(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    set_running(plane, &lease.key).await;
    enqueue(plane, prompt(&lease.key, "p"), 0).await;
    let runnable = async || {
        let found = plane.store.runnable_scopes("w", 10, at(1)).await;
        found.unwrap().scopes.len()
    };
    assert_eq!(runnable().await, 0);
    let abort = command(&lease.key, "x", CommandKind::Abort, &json!({}));
    enqueue(plane, abort, 0).await;
    assert_eq!(runnable().await, 1);
    let work = plane
        .store
        .sessions_with_work(&scope(), at(1))
        .await
        .unwrap();
    assert_eq!(
        (work[0].control, work[0].prompt, work[0].unfinished),
        (true, false, false)
    );
}

/// 04 §2.4 list runnable.
pub async fn what_is_to_do_is_told_per_session(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    let second = plane.session("t1", "u1", "s2").await;
    let third = plane.session("t1", "u1", "s3").await;
    plane.session("t1", "u1", "nothing").await;
    enqueue(plane, prompt(&second, "p2"), 2).await;
    enqueue(plane, prompt(&lease.key, "p1"), 3).await;
    enqueue(
        plane,
        command(&lease.key, "x1", CommandKind::Abort, &json!({})),
        4,
    )
    .await;
    set_running(plane, &third).await;
    let work = plane
        .store
        .sessions_with_work(&scope(), at(5))
        .await
        .unwrap();
    let told: Vec<_> = work
        .iter()
        .map(|work| {
            (
                work.session_id.as_str(),
                work.control,
                work.prompt,
                work.unfinished,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("s3", false, false, true),
            ("s2", false, true, false),
            ("s", true, true, false),
        ]
    );
    let elsewhere = plane
        .store
        .sessions_with_work(&Scope::new("t2", "u1"), at(5))
        .await;
    assert_eq!(elsewhere, Ok(vec![]));
}

/// 04 §2.4 claim, in a crowd.
pub async fn one_of_many_workers_gets_the_scope(plane: &Plane) {
    plane.session("t1", "u1", "s").await;
    for round in 0..5 {
        let now = at(round * 10);
        let claims = (0..8).map(|worker| {
            let store = if worker % 2 == 0 {
                &plane.store
            } else {
                &plane.peer
            }
            .clone();
            tokio::spawn(async move { claim_scope(&store, &format!("w{worker}"), now).await })
        });
        let claims = join_all(claims).await;
        let won = claims.into_iter().filter_map(|claim| claim.unwrap());
        assert_eq!(won.count(), 1, "round {round}");
    }
}

/// 04 §2.4 claim next, in a crowd.
pub async fn many_claims_of_one_lease_give_every_command_once(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    for n in 0..12 {
        let answer = command(
            &lease.key,
            &format!("a{n}"),
            CommandKind::QuestionReply,
            &json!({}),
        );
        enqueue(plane, answer, 0).await;
    }
    let claims = (0..6).map(|n| {
        let store = if n % 2 == 0 {
            &plane.store
        } else {
            &plane.peer
        }
        .clone();
        let lease = lease.clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            while let Some(claimed) = store
                .claim_command(&lease, Lanes::All, at(1))
                .await
                .unwrap()
            {
                ids.push(claimed.command.command_id);
            }
            ids
        })
    });
    let claims = join_all(claims).await;
    let mut ids: Vec<_> = claims.into_iter().flat_map(|ids| ids.unwrap()).collect();
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!((count, ids.len()), (12, 12));
}

/// 04 §2.4 reap, skip locked.
pub async fn many_reapers_share_the_work(plane: &Plane) {
    for n in 0..12 {
        let (user, session) = (format!("u{n}"), format!("s{n}"));
        let key = plane.session("t1", &user, &session).await;
        let scope = Scope::new("t1", user);
        let lease = plane.store.claim_scope(&scope, "w", TTL, at(0)).await;
        let lease = lease.unwrap().unwrap();
        let claimed = plane
            .store
            .claim_session(&lease, &key.session_id, at(0))
            .await;
        claimed.unwrap().unwrap();
    }
    let mut reaped = Vec::new();
    // What one has locked another skips, so it may take more than one round.
    for _ in 0..12 {
        let reapers = (0..4).map(|n| {
            let store = if n % 2 == 0 {
                &plane.store
            } else {
                &plane.peer
            }
            .clone();
            tokio::spawn(async move { store.reap(3, at(10)).await.unwrap() })
        });
        for sessions in join_all(reapers).await {
            reaped.extend(sessions.unwrap().into_iter().map(|session| session.key));
        }
    }
    reaped.sort();
    let count = reaped.len();
    reaped.dedup();
    assert_eq!((count, reaped.len()), (12, 12));
}

/// 04 §2.3: what a stale worker appends comes before the takeover, or not at all.
pub async fn a_takeover_and_an_append_have_an_order(plane: &Plane) {
    plane.session("t1", "u1", "s").await;
    let mut holder: Option<SessionLease> = None;
    for round in 0..10 {
        let now = at(round * 10);
        let old = holder.clone();
        let stale = plane.store.clone();
        let writes = tokio::spawn(async move {
            let Some(old) = old else { return 0 };
            let mut last = 0;
            // The old worker's clock is behind: only the takeover can stop it.
            for _ in 0..20 {
                let fence = Some(fence(&old, at(round * 10 - 1)));
                let text = json!({ "content": "x" });
                let kind = EventType::AssistantMessage;
                match append(&stale, &old.key, kind, text, fence).await {
                    Ok(appended) => last = appended.row.last_sequence,
                    Err(error) => assert_eq!(error, StoreError::StaleFence),
                }
            }
            last
        });
        let scope = claim_scope(&plane.peer, "w", now).await.unwrap();
        let lease = plane.peer.claim_session(&scope, &"s".into(), now).await;
        let lease = lease.unwrap().unwrap();
        let seen = plane.peer.event_stats(&lease.key).await.unwrap();
        let last = writes.await.unwrap();
        assert!(
            last <= seen.latest_sequence,
            "event {last} came after the takeover, which saw {}",
            seen.latest_sequence
        );
        holder = Some(lease);
    }
}

fn beat(worker: &str, second: u64) -> Heartbeat {
    Heartbeat {
        worker_id: worker.to_owned(),
        role: ProcessRole::Worker,
        active_session_ids: vec![format!("s{second}")],
        last_seen_at: iso(at(second)),
    }
}

/// 04 §2.4 heartbeat.
pub async fn a_heartbeat_replaces_the_one_before(plane: &Plane) {
    for (worker, second) in [("a", 1), ("b", 2), ("a", 3)] {
        plane.store.heartbeat(&beat(worker, second)).await.unwrap();
    }
    let beats = plane.peer.heartbeats(10).await.unwrap();
    assert_eq!(beats, [beat("a", 3), beat("b", 2)]);
    assert_eq!(plane.store.heartbeats(1).await.unwrap(), [beat("a", 3)]);
}

/// 04 §16 #21.
pub async fn old_commands_and_heartbeats_are_pruned(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    let store = &plane.store;
    for (id, second) in [("a", 1), ("b", 2), ("c", 3)] {
        enqueue(plane, prompt(&lease.key, id), second).await;
        claim(plane, &lease, Lanes::All, second).await.unwrap();
        store
            .ack_command(&lease, &id.into(), at(second))
            .await
            .unwrap();
    }
    enqueue(plane, prompt(&lease.key, "open"), 1).await;
    store.heartbeat(&beat("old", 1)).await.unwrap();
    store.heartbeat(&beat("new", 8)).await.unwrap();
    assert_eq!(store.prune_execution(at(3), 1).await, Ok(1));
    assert_eq!(
        store.prune_execution(at(3), 10).await,
        Ok(2),
        "a command and a sign of life"
    );
    assert_eq!(store.prune_execution(at(3), 10).await, Ok(0));
    let found = async |id: &str| {
        store
            .command(&lease.key, &id.into())
            .await
            .unwrap()
            .is_some()
    };
    assert_eq!(
        (found("a").await, found("b").await, found("c").await),
        (false, false, true)
    );
    assert!(found("open").await);
    assert_eq!(store.heartbeats(10).await.unwrap(), [beat("new", 8)]);
}
