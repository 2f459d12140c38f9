//! Cases about the runs of workflows: due times, claims, how they end (04 §2.5).

use super::plane::{Plane, scope};
use super::workflows::{
    at, claim, every_day, is_conflict, make, manual, noon, prompt, run, start, status, workflow,
};
use crate::store::channels::{DeliveryQuery, stable_id};
use crate::store::workflows::{RunLimits, RunOutcome, RunRow};
use crate::store::{Scope, SessionKey, StoreError};
use crate::time::iso;
use futures::future::join_all;
use open_cowork_contracts::RunId;
use open_cowork_contracts::api::channels::DeliveryStatus;
use open_cowork_contracts::api::workflows::{RunStatus, TriggerKind, WorkflowStatus};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// The payload names the time it is for.
pub async fn a_due_time_starts_one_run_and_the_next_one_is_there(plane: &Plane) {
    make(plane, "w", every_day()).await;
    assert!(claim(plane, at("2026-01-01T12:59:59.999Z")).await.is_none());
    let now = at("2026-01-01T13:00:05Z");
    let claimed = claim(plane, now).await.unwrap();
    let run = &claimed.run.run;
    assert_eq!(run.trigger_type, TriggerKind::Schedule);
    let payload = serde_json::to_value(&run.trigger_payload).unwrap();
    assert_eq!(
        payload,
        json!({"source": "schedule", "scheduledFor": "2026-01-01T13:00:00.000Z"})
    );
    assert_eq!(
        claimed.run.idempotency_key.as_deref(),
        Some("schedule:w:2026-01-01T13:00:00.000Z")
    );
    let shown = status(plane, "w").await;
    assert_eq!(
        shown.next_run_at.as_deref(),
        Some("2026-01-02T13:00:00.000Z")
    );
    assert_eq!(shown.status, WorkflowStatus::Running);
    assert!(claim(plane, now).await.is_none());
}

/// Concurrency: 20 due times, 8 schedulers, two handles.
pub async fn eight_schedulers_start_each_due_time_once(plane: &Plane) {
    for n in 0..20 {
        make(plane, &format!("w{n:02}"), every_day()).await;
    }
    let now = at("2026-01-01T13:00:05Z");
    let schedulers = (0..8).map(|n| async move {
        let store = [&plane.store, &plane.peer][n % 2];
        let mut found = Vec::new();
        let by = format!("s{n}");
        while let Some(claimed) = store
            .claim_due(&by, RunLimits::default(), now)
            .await
            .unwrap()
        {
            found.push(claimed.run);
        }
        found
    });
    let claimed: Vec<RunRow> = join_all(schedulers).await.concat();
    let workflows: BTreeSet<_> = claimed
        .iter()
        .map(|run| run.run.workflow_id.clone())
        .collect();
    assert_eq!((claimed.len(), workflows.len()), (20, 20));
    for run in &claimed {
        let stored = plane
            .store
            .runs_of(&scope(), std::slice::from_ref(&run.run.workflow_id))
            .await;
        assert_eq!(stored.unwrap().len(), 1);
    }
}

/// A run that lost its claim goes first.
pub async fn a_stranded_run_is_claimed_before_a_due_one(plane: &Plane) {
    make(plane, "due", every_day()).await;
    make(plane, "w", manual()).await;
    run(plane, "w", "r").await.unwrap();
    let later = at("2026-01-01T13:00:05Z");
    let reaped = plane.store.reap_claims(100, later).await.unwrap();
    assert_eq!((reaped.released, reaped.failed.len()), (1, 0));
    let first = claim(plane, later).await.unwrap();
    assert_eq!(
        (first.run.run.id.as_str(), first.run.attempt_count),
        ("r", 2)
    );
    let second = claim(plane, later).await.unwrap();
    assert_eq!(second.run.run.workflow_id.as_str(), "due");
}

/// Another's token, an expired one, none.
pub async fn a_stale_claim_cannot_attach(plane: &Plane) {
    make(plane, "w", manual()).await;
    let created = run(plane, "w", "r").await.unwrap();
    let token = created.claim.unwrap();
    let key = created.run.key();
    let session = created.run.session().session_id;
    let elsewhere = "elsewhere".into();
    let attach = |session, claim, now| plane.store.attach_run(&key, session, claim, now);
    let other = crate::store::workflows::ClaimToken::new("claim_other");
    assert_eq!(
        attach(&session, Some(&other), noon()).await,
        Err(StoreError::StaleFence)
    );
    assert_eq!(
        attach(&session, None, noon()).await,
        Err(StoreError::StaleFence)
    );
    let late = noon() + Duration::from_secs(30);
    assert_eq!(
        attach(&session, Some(&token), late).await,
        Err(StoreError::StaleFence)
    );
    assert!(is_conflict(&attach(&elsewhere, Some(&token), noon()).await));
    assert!(attach(&session, Some(&token), noon()).await.is_ok());
}

/// And may be repeated.
pub async fn attaching_uses_the_claim_up(plane: &Plane) {
    make(plane, "w", manual()).await;
    let created = run(plane, "w", "r").await.unwrap();
    let token = created.claim.unwrap();
    start(plane, &created.run, &token, noon()).await;
    let key = created.run.key();
    let session = created.run.session();
    let later = noon() + Duration::from_secs(90);
    let again = plane
        .store
        .attach_run(&key, &session.session_id, Some(&token), later)
        .await;
    let again = again.unwrap();
    assert_eq!(again.run.status, RunStatus::Running);
    assert_eq!(again.run.started_at.as_deref(), Some(iso(noon()).as_str()));
    assert_eq!((again.claimed_by, again.claim_expires_at), (None, None));
    let found = plane.store.run_of_session(&session).await.unwrap().unwrap();
    assert_eq!(found.run.id, created.run.run.id);
    assert_eq!(
        plane.store.reap_claims(100, later).await.unwrap().released,
        0
    );
}

/// A second ending changes nothing.
pub async fn a_finished_run_stays_as_it_ended(plane: &Plane) {
    make(plane, "w", every_day()).await;
    let created = run(plane, "w", "r").await.unwrap();
    start(plane, &created.run, created.claim.as_ref().unwrap(), noon()).await;
    let key = created.run.key();
    let long = "é".repeat(600);
    let done = RunOutcome::Completed {
        summary: Some(long),
    };
    let ended = plane.store.finish_run(&key, done, noon()).await.unwrap();
    assert_eq!(ended.run.status, RunStatus::Completed);
    assert_eq!(ended.run.summary.as_ref().unwrap().chars().count(), 500);
    let failed = RunOutcome::Failed {
        error: "late".into(),
        code: None,
    };
    let again = plane.store.finish_run(&key, failed, noon()).await.unwrap();
    assert_eq!(again.run, ended.run);
    let shown = status(plane, "w").await;
    assert_eq!(shown.status, WorkflowStatus::Active);
    assert_eq!(shown.last_run_at, ended.run.finished_at);
    assert_eq!(shown.latest_run_status, Some(RunStatus::Completed));
    assert_eq!(
        plane.store.run_of_session(&created.run.session()).await,
        Ok(None)
    );
    assert!(run(plane, "w", "r2").await.is_ok());
}

/// 04 §2.5: the chats of the run's thread, and of the thread that it was drafted in.
pub async fn chats_are_told_once_how_a_run_ended(plane: &Plane) {
    let mut new = workflow("w", manual());
    new.draft_session_id = Some("draft".into());
    let store = &plane.store;
    store.create_workflow(&scope(), new, None).await.unwrap();
    for (user, session) in [("u1", "draft"), ("u2", "foreign")] {
        let owner = Scope::new("t1", user);
        plane.session_at(&owner, session, None, noon()).await;
    }
    super::channels::with_chats(plane, &[("draft", "u1"), ("foreign", "u2")]).await;
    for (id, outcome) in [
        (
            "r1",
            RunOutcome::Completed {
                summary: Some("All is well.".into()),
            },
        ),
        (
            "r2",
            RunOutcome::Failed {
                error: "no credit".into(),
                code: None,
            },
        ),
        (
            "r3",
            RunOutcome::Cancelled {
                reason: "Stopped by a person.".into(),
            },
        ),
    ] {
        let created = run(plane, "w", id).await.unwrap();
        start(plane, &created.run, created.claim.as_ref().unwrap(), noon()).await;
        for _ in 0..2 {
            let key = created.run.key();
            let ended = plane.store.finish_run(&key, outcome.clone(), noon());
            ended.await.unwrap();
        }
    }
    let query = DeliveryQuery::default();
    let mut told = store.deliveries(&"t1".into(), &query).await.unwrap().rows;
    told.sort_by(|a, b| a.event_type.cmp(&b.event_type));
    let [done, failed] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(done.event_type, "workflow.completed");
    assert_eq!(done.payload["text"], "Report is done:\n\nAll is well.");
    assert_eq!(done.target["externalChatId"], "chat of draft");
    assert_eq!(done.status, DeliveryStatus::Pending);
    let chat = done.session_binding_id.as_deref().unwrap();
    let parts = ["t1", "workflow.completed", "r1", chat];
    assert_eq!(done.delivery_id, stable_id("channel_delivery", &parts));
    assert_eq!(failed.event_type, "workflow.failed");
    assert_eq!(failed.payload["text"], "Report failed: no credit");
}

/// 04 §16 #10.
pub async fn a_run_that_fails_leaves_the_schedule(plane: &Plane) {
    make(plane, "w", every_day()).await;
    let now = at("2026-01-01T13:00:05Z");
    let claimed = claim(plane, now).await.unwrap();
    let failed = RunOutcome::Failed {
        error: "no worker".into(),
        code: Some("x".into()),
    };
    plane
        .store
        .finish_run(&claimed.run.key(), failed, now)
        .await
        .unwrap();
    let shown = status(plane, "w").await;
    assert_eq!(shown.status, WorkflowStatus::Active);
    assert_eq!(
        shown.next_run_at.as_deref(),
        Some("2026-01-02T13:00:00.000Z")
    );
    assert_eq!(shown.last_run_at, None);
    assert_eq!(shown.latest_run_summary.as_deref(), Some("no worker"));
}

/// An outage doesn't end a schedule.
pub async fn three_lost_claims_fail_the_run_and_keep_the_schedule(plane: &Plane) {
    make(plane, "w", every_day()).await;
    let mut now = at("2026-01-01T13:00:05Z");
    let key = claim(plane, now).await.unwrap().run.key();
    for _ in 0..2 {
        now += Duration::from_secs(31);
        assert_eq!(plane.store.reap_claims(100, now).await.unwrap().released, 1);
        assert_eq!(claim(plane, now).await.unwrap().run.key(), key);
    }
    now += Duration::from_secs(31);
    let reaped = plane.store.reap_claims(100, now).await.unwrap();
    assert_eq!((reaped.released, reaped.failed.len()), (0, 1));
    assert_eq!(reaped.failed[0].run.status, RunStatus::Failed);
    assert_eq!(
        reaped.failed[0].last_error_code.as_deref(),
        Some("claim_expired_max_attempts")
    );
    let shown = status(plane, "w").await;
    assert_eq!(shown.status, WorkflowStatus::Active);
    assert_eq!(
        shown.next_run_at.as_deref(),
        Some("2026-01-02T13:00:00.000Z")
    );
}

/// Its prompt is on the way.
pub async fn a_claim_whose_session_has_commands_is_not_reaped(plane: &Plane) {
    make(plane, "w", manual()).await;
    let created = run(plane, "w", "r").await.unwrap();
    let session = created.run.session().session_id;
    plane
        .session_at(&scope(), session.as_str(), None, noon())
        .await;
    prompt(plane, &created.run, noon()).await;
    let later = noon() + Duration::from_secs(60);
    assert_eq!(
        plane.store.reap_claims(100, later).await.unwrap().released,
        0
    );
    assert!(claim(plane, later).await.is_none());
}

/// Every due time has an outcome.
pub async fn a_due_time_during_a_run_is_recorded_as_skipped(plane: &Plane) {
    make(plane, "w", every_day()).await;
    let created = run(plane, "w", "r").await.unwrap();
    start(plane, &created.run, created.claim.as_ref().unwrap(), noon()).await;
    let late = at("2026-01-01T14:00:00Z");
    assert!(claim(plane, late).await.is_none());
    let done = RunOutcome::Completed { summary: None };
    plane
        .store
        .finish_run(&created.run.key(), done, late)
        .await
        .unwrap();
    let shown = status(plane, "w").await;
    assert_eq!(
        shown.next_run_at.as_deref(),
        Some("2026-01-02T13:00:00.000Z")
    );
    assert_eq!(shown.latest_run_id, Some("r".into()));
    let runs = plane.store.runs_of(&scope(), &["w".into()]).await.unwrap();
    let skipped = runs
        .iter()
        .find(|run| run.run.id != RunId::from("r"))
        .unwrap();
    assert_eq!(skipped.run.status, RunStatus::Cancelled);
    assert_eq!(
        skipped.run.trigger_payload.as_ref().unwrap()["scheduledFor"],
        "2026-01-01T13:00:00.000Z"
    );
    assert!(claim(plane, late).await.is_none());
}

/// And the others get their turn.
pub async fn a_due_time_over_the_limits_is_recorded_as_failed(plane: &Plane) {
    make(plane, "a", every_day()).await;
    make(plane, "b", every_day()).await;
    let now = at("2026-01-01T13:00:05Z");
    let one = RunLimits {
        concurrent: Some(1),
        per_hour: None,
    };
    let first = plane.store.claim_due("s", one, now).await.unwrap().unwrap();
    assert_eq!(first.run.run.workflow_id.as_str(), "a");
    assert_eq!(plane.store.claim_due("s", one, now).await, Ok(None));
    let shown = status(plane, "b").await;
    assert_eq!(shown.status, WorkflowStatus::Active);
    assert_eq!(
        shown.next_run_at.as_deref(),
        Some("2026-01-02T13:00:00.000Z")
    );
    assert_eq!(shown.latest_run_status, Some(RunStatus::Failed));
    let runs = plane.store.runs_of(&scope(), &["b".into()]).await.unwrap();
    assert_eq!(
        runs[0].last_error_code.as_deref(),
        Some("quota.concurrent_workflow_runs_exceeded")
    );
}

/// Whoever should have ended it died.
pub async fn a_run_whose_end_nobody_wrote_is_found(plane: &Plane) {
    make(plane, "w", manual()).await;
    let created = run(plane, "w", "r").await.unwrap();
    start(plane, &created.run, created.claim.as_ref().unwrap(), noon()).await;
    let later = noon() + Duration::from_secs(60);
    // Its prompt still waits.
    assert!(
        plane
            .store
            .unsettled_runs(later, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let key: SessionKey = created.run.session();
    let ttl = Duration::from_secs(10);
    let store = &plane.store;
    let lease = store
        .claim_scope(&scope(), "worker", ttl, noon())
        .await
        .unwrap()
        .unwrap();
    let lease = store
        .claim_session(&lease, &key.session_id, noon())
        .await
        .unwrap()
        .unwrap();
    let lanes = crate::store::execution::Lanes::All;
    let command = store
        .claim_command(&lease, lanes, noon())
        .await
        .unwrap()
        .unwrap();
    let id = command.command.command_id;
    store.ack_command(&lease, &id, noon()).await.unwrap();
    let found = plane.peer.unsettled_runs(later, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].run.id, created.run.run.id);
    // Too young.
    assert!(store.unsettled_runs(noon(), 10).await.unwrap().is_empty());
}
