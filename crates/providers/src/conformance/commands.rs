//! Commands and what waits for a worker (04 §2.4).

use super::execution::{
    claim, claim_scope, claimed_id, command, deferral, enqueue, failure, leased, object, prompt,
    set_running, stored,
};
use super::plane::{Plane, at, scope};
use crate::store::execution::{
    ABORTED, CommandFailure, Deferral, EXECUTION_FAILED, EXHAUSTED, Lanes, MAX_EXECUTIONS,
    QueueLimits,
};
use crate::store::{Scope, SessionKey, StoreError};
use crate::time::iso;
use futures::future::join_all;
use open_cowork_contracts::api::sessions::{Command, CommandKind, CommandStatus};
use open_cowork_contracts::api::workspace::{Heartbeat, ProcessRole};
use serde_json::json;
use std::time::Duration;

fn beat(worker: &str, second: u64) -> Heartbeat {
    Heartbeat {
        worker_id: worker.to_owned(),
        role: ProcessRole::Worker,
        active_session_ids: vec![format!("s{second}")],
        last_seen_at: iso(at(second)),
    }
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

/// An abort that finds no turn stops what waits to begin, also what waits for its time.
pub async fn an_abort_can_take_the_prompts_that_wait_before_it(plane: &Plane) {
    let (_, lease) = leased(plane).await;
    let store = &plane.store;
    let give = |id: &str, kind| enqueue(plane, command(&lease.key, id, kind, &json!({})), 0);
    give("deferred", CommandKind::Prompt).await;
    give("waiting", CommandKind::Prompt).await;
    claim(plane, &lease, Lanes::All, 1).await.unwrap();
    store
        .defer_command(&lease, &"deferred".into(), &deferral(500), at(1))
        .await
        .unwrap();
    give("abort", CommandKind::Abort).await;
    give("after", CommandKind::Prompt).await;
    give("answer", CommandKind::QuestionReply).await;
    let abort = claim(plane, &lease, Lanes::All, 2).await.unwrap().command;
    assert_eq!(abort.command_id.as_str(), "abort");
    let before = Lanes::PromptsBefore(abort.created_sequence);
    for expected in ["deferred", "waiting"] {
        let claimed = claim(plane, &lease, before, 2).await.unwrap();
        assert_eq!(claimed.command.command_id.as_str(), expected);
        let none = claim(plane, &lease, before, 2).await;
        assert_eq!(none, None, "one after the other");
        let failure = CommandFailure {
            code: ABORTED.to_owned(),
            message: "It was stopped.".to_owned(),
        };
        let id = &claimed.command.command_id;
        let failed = store.fail_command(&lease, id, &failure, at(2)).await;
        assert_eq!(failed.unwrap().last_error_code.as_deref(), Some(ABORTED));
    }
    let none = claim(plane, &lease, before, 2).await;
    assert_eq!(none, None, "neither answers nor what comes after");
    store
        .ack_command(&lease, &"abort".into(), at(2))
        .await
        .unwrap();
    for expected in ["answer", "after"] {
        assert_eq!(
            claimed_id(plane, &lease, Lanes::All).await.as_deref(),
            Some(expected)
        );
    }
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
