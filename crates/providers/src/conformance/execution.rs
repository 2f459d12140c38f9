//! Leases and commands (04 §2.4, decision 24).

use super::plane::{Plane, at, scope};
use crate::store::execution::{
    ClaimedCommand, CommandFailure, Deferral, EXECUTION_FAILED, Enqueued, Lanes, NewCommand,
    QueueLimits, ScopeLease, SessionLease,
};
use crate::store::{
    AppendRequest, Appended, ControlPlane, LeaseFence, LeaseToken, NewEvent, Scope, SessionKey,
    SessionUpdate, StoreError,
};
use crate::time::{Timestamp, iso};
use futures::future::join_all;
use open_cowork_contracts::api::sessions::{Command, CommandKind, CommandStatus};
use open_cowork_contracts::{EventType, JsonObject, SessionStatus};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) const TTL: Duration = Duration::from_secs(10);

pub(super) type Store = Arc<dyn ControlPlane>;

pub(super) async fn claim_scope(store: &Store, worker: &str, now: Timestamp) -> Option<ScopeLease> {
    store.claim_scope(&scope(), worker, TTL, now).await.unwrap()
}

/// A session with a lease of worker `w`, taken at second 0.
pub(super) async fn leased(plane: &Plane) -> (ScopeLease, SessionLease) {
    plane.session("t1", "u1", "s").await;
    let scope = claim_scope(&plane.store, "w", at(0)).await.unwrap();
    let session = plane.store.claim_session(&scope, &"s".into(), at(0)).await;
    (scope, session.unwrap().unwrap())
}

pub(super) async fn append(
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

pub(super) fn object(value: &Value) -> JsonObject {
    value.as_object().cloned().unwrap_or_default()
}

pub(super) fn fence(lease: &SessionLease, now: Timestamp) -> LeaseFence {
    LeaseFence {
        token: lease.token.clone(),
        now,
    }
}

pub(super) async fn fenced(
    store: &Store,
    lease: &SessionLease,
    now: Timestamp,
) -> Result<(), StoreError> {
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

pub(super) async fn set_running(plane: &Plane, key: &SessionKey) {
    let running = json!({ "statusType": "running" });
    let appended = append(&plane.store, key, EventType::SessionStatus, running, None).await;
    assert_eq!(appended.unwrap().row.session.status, SessionStatus::Running);
}

pub(super) fn command(
    key: &SessionKey,
    id: &str,
    kind: CommandKind,
    payload: &Value,
) -> NewCommand {
    NewCommand {
        command_id: id.into(),
        key: key.clone(),
        user_id: "u1".into(),
        kind,
        payload: object(payload),
        traceparent: Some("00-1-2-01".to_owned()),
    }
}

pub(super) fn prompt(key: &SessionKey, id: &str) -> NewCommand {
    command(
        key,
        id,
        CommandKind::Prompt,
        &json!({ "text": id, "agent": "build" }),
    )
}

pub(super) async fn enqueue(plane: &Plane, new: NewCommand, second: u64) -> Enqueued {
    let limits = QueueLimits::default();
    plane.store.enqueue(new, limits, at(second)).await.unwrap()
}

pub(super) async fn claim(
    plane: &Plane,
    lease: &SessionLease,
    lanes: Lanes,
    second: u64,
) -> Option<ClaimedCommand> {
    let claimed = plane.store.claim_command(lease, lanes, at(second)).await;
    claimed.unwrap()
}

pub(super) async fn claimed_id(
    plane: &Plane,
    lease: &SessionLease,
    lanes: Lanes,
) -> Option<String> {
    let claimed = claim(plane, lease, lanes, 1).await?;
    Some(claimed.command.command_id.to_string())
}

pub(super) async fn stored(plane: &Plane, key: &SessionKey, id: &str) -> Command {
    let found = plane.peer.command(key, &id.into()).await.unwrap();
    found.unwrap()
}

pub(super) fn deferral(seconds: u64) -> Deferral {
    Deferral {
        code: "runtime_capacity_busy".to_owned(),
        summary: "The runtime is busy.".to_owned(),
        retry_after: Duration::from_secs(seconds),
    }
}

pub(super) fn failure() -> CommandFailure {
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

/// 04 §2.9: live leases of the whole organisation count, and an expired one doesn't.
pub async fn an_organisation_holds_no_more_sessions_than_it_may(plane: &Plane) {
    let store = &plane.store;
    let mut leases = Vec::new();
    for n in 0..8 {
        let user = format!("u{n}");
        plane.session("t1", &user, &format!("s{n}")).await;
        let scope = Scope::new("t1", user.as_str());
        let lease = store.claim_scope(&scope, "w", TTL, at(0)).await.unwrap();
        leases.push(lease.unwrap());
    }
    let take = async |n: usize, most: Option<u32>, now| {
        let session = format!("s{n}").into();
        store
            .claim_session_within(&leases[n], &session, most, now)
            .await
    };
    let claims = leases
        .iter()
        .enumerate()
        .map(|(n, _)| take(n, Some(3), at(1)));
    let claims = join_all(claims).await;
    let taken = claims.iter().filter(|claim| matches!(claim, Ok(Some(_))));
    assert_eq!(taken.count(), 3, "exact also for many at once");
    for claim in &claims {
        match claim {
            Ok(Some(_)) => {}
            Err(StoreError::Quota(denial)) => {
                assert_eq!(denial.code, "quota.active_workers_exceeded");
                assert_eq!((denial.limit, denial.used), (3, 3));
            }
            other => panic!("{other:?}"),
        }
    }
    let held = claims.iter().position(Result::is_ok).unwrap();
    let free = claims.iter().position(Result::is_err).unwrap();
    assert_eq!(
        take(held, Some(3), at(1)).await.unwrap(),
        None,
        "it is taken"
    );
    // Another organisation has room of its own.
    plane.session("t2", "u1", "s").await;
    let other = Scope::new("t2", "u1");
    let other = store.claim_scope(&other, "w", TTL, at(1)).await.unwrap();
    let claimed = store
        .claim_session_within(&other.unwrap(), &"s".into(), Some(1), at(1))
        .await;
    assert!(claimed.unwrap().is_some());
    assert!(take(free, None, at(1)).await.unwrap().is_some(), "no limit");
    // What a dead worker left holds nobody up.
    let first = Scope::new("t1", "u0");
    let lease = store.claim_scope(&first, "w2", TTL, at(11)).await.unwrap();
    let again = store
        .claim_session_within(&lease.unwrap(), &"s0".into(), Some(1), at(11))
        .await;
    assert!(again.unwrap().is_some());
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
