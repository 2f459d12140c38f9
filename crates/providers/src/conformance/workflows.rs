//! Cases about workflows: made, started, paused, archived (04 §2.5).

use super::plane::{Plane, scope};
use crate::store::execution::{NewCommand, QueueLimits};
use crate::store::workflows::{
    ClaimedRun, CreatedRun, NewRun, REPLAY_WINDOW, RunLimits, RunOutcome, RunRow, StoredSecret,
    WorkflowChange, WorkflowQuery, WorkflowRow, planned_session,
};
use crate::store::{Scope, StoreError};
use crate::time::{Timestamp, iso, parse_iso};
use futures::future::join_all;
use open_cowork_contracts::api::sessions::CommandKind;
use open_cowork_contracts::api::workflows::{
    RunStatus, Trigger, TriggerKind, WorkflowStatus, WorkflowSummary,
};
use open_cowork_contracts::{JsonObject, RunId};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn at(text: &str) -> Timestamp {
    parse_iso(text).unwrap()
}

/// A Thursday.
pub(super) fn noon() -> Timestamp {
    at("2026-01-01T12:00:00Z")
}

pub(super) fn workflow(id: &str, triggers: Value) -> WorkflowSummary {
    serde_json::from_value(json!({
        "id": id, "title": "Report", "instructions": "Write it.", "agentName": "build",
        "skillNames": [], "toolIds": [], "steps": [], "status": "active", "projectDirectory": null,
        "draftSessionId": null, "triggers": triggers, "createdAt": iso(noon()), "updatedAt": iso(noon()),
        "nextRunAt": null, "lastRunAt": null, "latestRunId": null, "latestRunStatus": null,
        "latestRunSessionId": null, "latestRunSummary": null, "webhookUrl": null,
    }))
    .unwrap()
}

pub(super) fn manual() -> Value {
    json!([{"id": "m", "type": "manual", "enabled": true}])
}

pub(super) fn every_day() -> Value {
    json!([{"id": "s", "type": "schedule", "enabled": true,
            "schedule": {"type": "daily", "timezone": "UTC", "runAtHour": 13}}])
}

pub(super) async fn make(plane: &Plane, id: &str, triggers: Value) -> WorkflowRow {
    let mut new = workflow(id, triggers);
    let triggers: Vec<Trigger> = new.triggers.clone();
    new.next_run_at = crate::store::workflows::schedule::next_of_iso(&triggers, noon());
    plane
        .store
        .create_workflow(&scope(), new, None)
        .await
        .unwrap()
}

fn new_run(workflow: &str, run: &str) -> NewRun {
    NewRun {
        scope: scope(),
        workflow_id: workflow.into(),
        run_id: run.into(),
        trigger: TriggerKind::Manual,
        payload: None,
        claimed_by: Some("web".to_owned()),
        limits: RunLimits::default(),
    }
}

pub(super) async fn run(
    plane: &Plane,
    workflow: &str,
    run: &str,
) -> Result<CreatedRun, StoreError> {
    plane.store.create_run(new_run(workflow, run), noon()).await
}

pub(super) async fn status(plane: &Plane, workflow: &str) -> WorkflowSummary {
    let found = plane
        .store
        .workflow(&scope(), &workflow.into())
        .await
        .unwrap();
    found.unwrap().workflow
}

/// Makes the run's session, attaches it and gives it its prompt.
pub(super) async fn start(
    plane: &Plane,
    run: &RunRow,
    claim: &crate::store::workflows::ClaimToken,
    now: Timestamp,
) {
    let session = run.session().session_id;
    plane
        .session_at(&run.scope, session.as_str(), None, now)
        .await;
    plane
        .store
        .attach_run(&run.key(), &session, Some(claim), now)
        .await
        .unwrap();
    prompt(plane, run, now).await;
}

pub(super) async fn prompt(plane: &Plane, run: &RunRow, now: Timestamp) {
    let command = NewCommand {
        command_id: format!("workflow:{}:prompt", run.run.id).into(),
        key: run.session(),
        user_id: run.scope.user_id.clone(),
        kind: CommandKind::Prompt,
        payload: JsonObject::new(),
        traceparent: None,
    };
    let limits = QueueLimits::default();
    plane.store.enqueue(command, limits, now).await.unwrap();
}

pub(super) async fn claim(plane: &Plane, now: Timestamp) -> Option<ClaimedRun> {
    plane
        .store
        .claim_due("scheduler", RunLimits::default(), now)
        .await
        .unwrap()
}

pub(super) fn is_conflict<T: std::fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Conflict(_)))
}

/// Another user and another tenant see nothing.
pub async fn a_workflow_belongs_to_its_user(plane: &Plane) {
    make(plane, "w", manual()).await;
    for other in [Scope::new("t1", "u2"), Scope::new("t2", "u1")] {
        assert_eq!(plane.store.workflow(&other, &"w".into()).await, Ok(None));
        let paused = plane
            .store
            .change_workflow(&other, &"w".into(), WorkflowChange::Pause, noon())
            .await;
        assert_eq!(paused, Err(StoreError::Missing("workflow")));
        let run = NewRun {
            scope: other.clone(),
            ..new_run("w", "r")
        };
        let run = plane.store.create_run(run, noon()).await;
        assert_eq!(run, Err(StoreError::Missing("workflow")));
        let secret = StoredSecret {
            trigger_id: "h".into(),
            ciphertext: "c".into(),
        };
        let secret = plane
            .store
            .set_webhook_secret(&other, &"w".into(), secret, noon())
            .await;
        assert_eq!(secret, Err(StoreError::Missing("workflow")));
        let query = WorkflowQuery {
            scope: other,
            limit: 0,
            cursor: None,
        };
        assert!(
            plane
                .store
                .page_workflows(&query)
                .await
                .unwrap()
                .rows
                .is_empty()
        );
    }
    assert_eq!(status(plane, "w").await.status, WorkflowStatus::Active);
    let found = plane
        .store
        .find_workflow(&"w".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.scope, scope());
}

/// Ids are global, since a webhook's address holds nothing else.
pub async fn a_workflow_id_is_taken_once(plane: &Plane) {
    make(plane, "w", manual()).await;
    let again = plane
        .store
        .create_workflow(&scope(), workflow("w", manual()), None)
        .await;
    assert!(again.is_ok());
    let other = plane
        .store
        .create_workflow(&Scope::new("t2", "u1"), workflow("w", manual()), None)
        .await;
    assert!(is_conflict(&other));
}

/// Order and cursor.
pub async fn workflows_come_touched_last_first_and_page_by_key(plane: &Plane) {
    for id in ["a", "b", "c", "d"] {
        make(plane, id, manual()).await;
    }
    let later = noon() + Duration::from_secs(60);
    plane
        .store
        .change_workflow(&scope(), &"c".into(), WorkflowChange::Pause, later)
        .await
        .unwrap();
    let mut query = WorkflowQuery {
        scope: scope(),
        limit: 3,
        cursor: None,
    };
    let first = plane.store.page_workflows(&query).await.unwrap();
    assert_eq!(first.total_estimate, 4);
    query.cursor = first.next.clone();
    let second = plane.store.page_workflows(&query).await.unwrap();
    let ids: Vec<String> = [first.rows, second.rows]
        .concat()
        .iter()
        .map(|row| row.workflow.id.to_string())
        .collect();
    assert_eq!(ids, ["c", "a", "b", "d"]);
    assert_eq!(second.next, None);
    let foreign = WorkflowQuery {
        scope: Scope::new("t1", "u2"),
        ..query
    };
    assert_eq!(
        plane.store.page_workflows(&foreign).await,
        Err(StoreError::InvalidCursor)
    );
}

/// The workflow shows its newest run.
pub async fn a_run_makes_its_workflow_running(plane: &Plane) {
    make(plane, "w", manual()).await;
    let created = run(plane, "w", "r").await.unwrap();
    assert!(created.created && created.claim.is_some());
    assert_eq!(created.run.run.title, "Run Report");
    assert_eq!(created.run.run.status, RunStatus::Queued);
    let session = planned_session(&"t1".into(), &"w".into(), &"r".into());
    assert_eq!(created.run.run.session_id, Some(session));
    assert_eq!(created.run.attempt_count, 1);
    let shown = status(plane, "w").await;
    assert_eq!(shown.status, WorkflowStatus::Running);
    assert_eq!(shown.latest_run_id, Some("r".into()));
    assert_eq!(shown.latest_run_status, Some(RunStatus::Queued));
}

/// 409, also from two at once.
pub async fn a_second_run_while_one_is_under_way_is_a_conflict(plane: &Plane) {
    make(plane, "w", manual()).await;
    let runs = (0..8).map(|n| {
        let store = [&plane.store, &plane.peer][n % 2];
        store.create_run(new_run("w", &format!("r{n}")), noon())
    });
    let answers = join_all(runs).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(
        answers.iter().filter(|answer| is_conflict(answer)).count(),
        7
    );
}

/// Until it is resumed.
pub async fn a_paused_or_archived_workflow_does_not_run(plane: &Plane) {
    make(plane, "w", every_day()).await;
    let tomorrow = noon() + Duration::from_secs(24 * 3600);
    for change in [WorkflowChange::Pause, WorkflowChange::Archive] {
        let changed = plane
            .store
            .change_workflow(&scope(), &"w".into(), change, noon())
            .await
            .unwrap();
        assert_eq!(changed.workflow.next_run_at, None);
        assert!(is_conflict(&run(plane, "w", "r").await));
        assert!(claim(plane, tomorrow).await.is_none());
    }
    let resumed = plane
        .store
        .change_workflow(&scope(), &"w".into(), WorkflowChange::Resume, tomorrow)
        .await
        .unwrap();
    assert_eq!(resumed.workflow.status, WorkflowStatus::Active);
    assert_eq!(
        resumed.workflow.next_run_at.as_deref(),
        Some("2026-01-02T13:00:00.000Z")
    );
    assert!(run(plane, "w", "r").await.is_ok());
}

/// By tenant and run id.
pub async fn creating_a_run_twice_returns_the_stored_one(plane: &Plane) {
    make(plane, "w", manual()).await;
    make(plane, "other", manual()).await;
    let first = run(plane, "w", "r").await.unwrap();
    let again = run(plane, "w", "r").await.unwrap();
    assert_eq!((again.created, &again.claim), (false, &None));
    assert_eq!(again.run.run, first.run.run);
    assert!(is_conflict(&run(plane, "other", "r").await));
}

/// Quotas are looked at in the same transaction.
pub async fn limits_refuse_new_runs_only(plane: &Plane) {
    for id in ["a", "b", "c"] {
        make(plane, id, manual()).await;
    }
    let limited = |workflow: &str, limits| NewRun {
        limits,
        ..new_run(workflow, &format!("run-{workflow}"))
    };
    let one = RunLimits {
        concurrent: Some(1),
        per_hour: None,
    };
    assert!(
        plane
            .store
            .create_run(limited("a", one), noon())
            .await
            .is_ok()
    );
    assert!(
        plane
            .store
            .create_run(limited("a", one), noon())
            .await
            .is_ok()
    );
    let Err(StoreError::Quota(denial)) = plane.store.create_run(limited("b", one), noon()).await
    else {
        unreachable!("the second run is over the limit");
    };
    assert_eq!(denial.code, "quota.concurrent_workflow_runs_exceeded");
    assert_eq!((denial.limit, denial.used), (1, 1));
    assert_eq!(status(plane, "b").await.status, WorkflowStatus::Active);
    let two_an_hour = RunLimits {
        concurrent: None,
        per_hour: Some(2),
    };
    assert!(
        plane
            .store
            .create_run(limited("b", two_an_hour), noon())
            .await
            .is_ok()
    );
    let Err(StoreError::Quota(denial)) = plane
        .store
        .create_run(limited("c", two_an_hour), noon())
        .await
    else {
        unreachable!("the third run of the hour is over the limit");
    };
    assert_eq!(denial.code, "quota.workflow_runs_per_hour_exceeded");
    assert!(denial.retry_after_ms > 0);
    let later = noon() + Duration::from_secs(2 * 3600);
    assert!(
        plane
            .store
            .create_run(limited("c", two_an_hour), later)
            .await
            .is_ok()
    );
}

/// The run goes on, the workflow stays paused.
pub async fn pausing_during_a_run_holds_after_it(plane: &Plane) {
    make(plane, "w", every_day()).await;
    let created = run(plane, "w", "r").await.unwrap();
    let (id, owner) = ("w".into(), scope());
    let pause = plane
        .store
        .change_workflow(&owner, &id, WorkflowChange::Pause, noon());
    assert_eq!(pause.await.unwrap().workflow.status, WorkflowStatus::Paused);
    let resume = plane
        .store
        .change_workflow(&owner, &id, WorkflowChange::Resume, noon());
    assert_eq!(
        resume.await.unwrap().workflow.status,
        WorkflowStatus::Running
    );
    assert!(is_conflict(&run(plane, "w", "r2").await));
    let pause = plane
        .store
        .change_workflow(&owner, &id, WorkflowChange::Pause, noon());
    pause.await.unwrap();
    let done = RunOutcome::Completed { summary: None };
    plane
        .store
        .finish_run(&created.run.key(), done, noon())
        .await
        .unwrap();
    let shown = status(plane, "w").await;
    assert_eq!(
        (shown.status, shown.next_run_at),
        (WorkflowStatus::Paused, None)
    );
}

/// And a workflow with a webhook can't be resumed without a new one.
pub async fn archiving_revokes_the_webhook_secret(plane: &Plane) {
    let triggers = json!([{"id": "h", "type": "webhook", "enabled": true, "schedule": null}]);
    let secret = |ciphertext: &str| StoredSecret {
        trigger_id: "h".to_owned(),
        ciphertext: ciphertext.to_owned(),
    };
    let store = &plane.store;
    store
        .create_workflow(&scope(), workflow("w", triggers), Some(secret("one")))
        .await
        .unwrap();
    let (tenant, id, owner) = ("t1".into(), "w".into(), scope());
    assert_eq!(
        store.webhook_secret(&tenant, &id).await,
        Ok(Some(secret("one")))
    );
    store
        .set_webhook_secret(&owner, &id, secret("two"), noon())
        .await
        .unwrap();
    assert_eq!(
        store.webhook_secret(&tenant, &id).await,
        Ok(Some(secret("two")))
    );
    store
        .change_workflow(&owner, &id, WorkflowChange::Archive, noon())
        .await
        .unwrap();
    assert_eq!(store.webhook_secret(&tenant, &id).await, Ok(None));
    let resumed = store
        .change_workflow(&owner, &id, WorkflowChange::Resume, noon())
        .await;
    assert!(is_conflict(&resumed));
    store
        .set_webhook_secret(&owner, &id, secret("three"), noon())
        .await
        .unwrap();
    let resumed = store
        .change_workflow(&owner, &id, WorkflowChange::Resume, noon())
        .await;
    assert_eq!(resumed.unwrap().workflow.status, WorkflowStatus::Active);
}

/// From any number of processes; another workflow's calls don't matter.
pub async fn a_signed_call_is_noted_once_in_its_window(plane: &Plane) {
    make(plane, "w", manual()).await;
    make(plane, "v", manual()).await;
    let (tenant, w, v) = ("t1".into(), "w".into(), "v".into());
    let calls = (0..8).map(|n| {
        let store = [&plane.store, &plane.peer][n % 2];
        store.note_webhook_call(&tenant, &w, "digest", noon())
    });
    let noted = join_all(calls).await;
    assert_eq!(noted.iter().filter(|noted| **noted == Ok(true)).count(), 1);
    assert_eq!(noted.iter().filter(|noted| **noted == Ok(false)).count(), 7);
    let store = &plane.store;
    assert_eq!(
        store.note_webhook_call(&tenant, &v, "digest", noon()).await,
        Ok(true)
    );
    store
        .forget_webhook_call(&tenant, &w, "digest")
        .await
        .unwrap();
    assert_eq!(
        store.note_webhook_call(&tenant, &w, "digest", noon()).await,
        Ok(true)
    );
    let over = noon() + REPLAY_WINDOW;
    assert_eq!(
        store.note_webhook_call(&tenant, &w, "digest", over).await,
        Ok(true)
    );
}

/// Retention.
pub async fn old_runs_go_and_the_newest_stays(plane: &Plane) {
    make(plane, "w", manual()).await;
    let mut now = noon();
    for n in 0..4 {
        now += Duration::from_secs(60);
        let new = new_run("w", &format!("r{n}"));
        let created = plane.store.create_run(new, now).await.unwrap();
        let done = RunOutcome::Completed { summary: None };
        plane
            .store
            .finish_run(&created.run.key(), done, now)
            .await
            .unwrap();
    }
    let later = now + Duration::from_secs(1);
    assert_eq!(plane.store.prune_runs(later, 2).await, Ok(2));
    assert_eq!(plane.store.prune_runs(later, 100).await, Ok(1));
    let left = plane.store.runs_of(&scope(), &["w".into()]).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].run.id, RunId::from("r3"));
}
