//! Workflows on time: started once, ended with their turn.

use crate::support::{Rig, TENANT, World, unique};
use open_cowork_cloud_worker::{Scheduler, SchedulerOptions, SchedulerParts};
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::api::workflows::{RunStatus, WorkflowStatus, WorkflowSummary};
use open_cowork_providers::store::Scope;
use open_cowork_providers::store::workflows::planned_session;
use open_cowork_providers::time::{Timestamp, iso};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn scheduler(world: &World, id: &str) -> Scheduler {
    scheduler_with(world, id, |_| ())
}

pub(crate) fn scheduler_with(
    world: &World,
    id: &str,
    change: impl FnOnce(&mut SchedulerOptions),
) -> Scheduler {
    let parts = SchedulerParts {
        store: world.store.clone(),
        log: world.log.clone(),
        bus: world.bus.clone(),
        redactor: world.redactor.clone(),
        clock: Arc::new(Timestamp::now),
    };
    let mut options = SchedulerOptions::new(id);
    change(&mut options);
    Scheduler::idle(parts, options)
}

/// A workflow whose daily time came a minute ago.
pub(crate) async fn due(world: &World, instructions: &str) -> WorkflowSummary {
    let now = Timestamp::now();
    let created = iso(now - Duration::from_secs(3600));
    let workflow: WorkflowSummary = serde_json::from_value(json!({
        "id": unique(), "title": "Report", "instructions": instructions, "agentName": "build",
        "skillNames": [], "toolIds": [], "steps": [], "status": "active", "projectDirectory": null,
        "draftSessionId": null,
        "triggers": [{ "id": "s", "type": "schedule", "enabled": true,
                       "schedule": { "type": "daily", "timezone": "UTC", "runAtHour": 13 } }],
        "createdAt": created, "updatedAt": created,
        "nextRunAt": iso(now - Duration::from_secs(60)), "lastRunAt": null, "latestRunId": null,
        "latestRunStatus": null, "latestRunSessionId": null, "latestRunSummary": null, "webhookUrl": null,
    }))
    .unwrap();
    world
        .store
        .create_workflow(&scope(), workflow.clone(), None)
        .await
        .unwrap();
    workflow
}

fn scope() -> Scope {
    Scope::new(TENANT, "ann")
}

pub(crate) async fn status(world: &World, workflow: &WorkflowSummary) -> WorkflowSummary {
    let row = world.store.workflow(&scope(), &workflow.id).await.unwrap();
    row.unwrap().workflow
}

async fn until(what: &str, world: &World, workflow: &WorkflowSummary, status_of: RunStatus) {
    let wait = async {
        while status(world, workflow).await.latest_run_status != Some(status_of) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(crate::support::PATIENCE, wait)
        .await
        .is_err()
    {
        panic!("{what}: {:#?}", status(world, workflow).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_workflow_is_started_once_by_many_schedulers_and_ends_with_its_turn() {
    let rig = Rig::start().await;
    let world = &rig.world;
    world.person("ann").await;
    let workflow = due(world, "Write the report [[script:hello]]").await;
    let schedulers: Vec<Scheduler> = (0..4)
        .map(|n| scheduler(world, &format!("sched-{n}")))
        .collect();
    let reports = futures::future::join_all(schedulers.iter().map(Scheduler::tick)).await;
    let started: Vec<_> = reports.iter().flat_map(|report| &report.started).collect();
    assert_eq!(started.len(), 1);
    assert!(
        reports.iter().all(|report| report.failed.is_empty()),
        "{reports:?}"
    );
    let run = &started[0].run;
    let session = planned_session(&TENANT.into(), &workflow.id, &run.run.id);
    until("the run ends", world, &workflow, RunStatus::Completed).await;
    let after = status(world, &workflow).await;
    assert_eq!(after.status, WorkflowStatus::Active);
    assert_eq!(after.latest_run_session_id.as_ref(), Some(&session));
    assert!(
        after
            .latest_run_summary
            .as_deref()
            .is_some_and(|text| text.contains("Hello from"))
    );
    assert!(
        after
            .next_run_at
            .is_some_and(|next| next > iso(Timestamp::now())),
        "the schedule goes on"
    );
    let key = open_cowork_providers::store::SessionKey::new(TENANT, session);
    let view = world.view(&key).await;
    assert_eq!(view.status, SessionStatus::Idle);
    assert!(
        view.messages[0]
            .id
            .starts_with(&format!("workflow:{TENANT}:{}:", workflow.id))
    );
    assert!(
        view.messages[0].id.ends_with(":prompt:user"),
        "{}",
        view.messages[0].id
    );
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_says_so_and_the_schedule_goes_on() {
    let rig = Rig::start().await;
    let world = &rig.world;
    world.person("ann").await;
    let workflow = due(world, "Break [[script:error400]]").await;
    let report = scheduler(world, "sched").tick().await;
    assert_eq!(report.started.len(), 1, "{report:?}");
    until("the run fails", world, &workflow, RunStatus::Failed).await;
    let after = status(world, &workflow).await;
    assert_eq!(after.status, WorkflowStatus::Active);
    assert!(after.next_run_at.is_some());
    rig.close().await;
}

/// The worker died between the end of the turn and the end of the run.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_missed_is_made_up_for() {
    use open_cowork_contracts::{EventType, RuntimeEvent};
    let root = tempfile::tempdir().unwrap();
    let world = World::open(&root.path().join("control-plane.db")).await;
    world.person("ann").await;
    let workflow = due(&world, "Write the report").await;
    let scheduler = scheduler(&world, "sched");
    let report = scheduler.tick().await;
    let key = report.started[0].run.session();
    // What a worker would have written, and its command.
    let lease = {
        let (ttl, now) = (Duration::from_secs(10), Timestamp::now());
        let scope = world
            .store
            .claim_scope(&scope(), "w1", ttl, now)
            .await
            .unwrap()
            .unwrap();
        let lease = world
            .store
            .claim_session(&scope, &key.session_id, now)
            .await
            .unwrap()
            .unwrap();
        let all = open_cowork_providers::store::execution::Lanes::All;
        let claimed = world
            .store
            .claim_command(&lease, all, now)
            .await
            .unwrap()
            .unwrap();
        world
            .store
            .ack_command(&lease, &claimed.command.command_id, now)
            .await
            .unwrap();
        lease
    };
    let events = vec![
        RuntimeEvent::new(
            EventType::PromptSubmitted,
            json!({"messageId": "c:user", "text": "x"}),
        ),
        RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({"messageId": "m", "content": "All done.", "mode": "replace"}),
        ),
        RuntimeEvent::new(EventType::SessionIdle, json!({})),
    ];
    world
        .log
        .append_fenced(&key, events, &lease.token)
        .await
        .unwrap();
    let wait = async {
        while scheduler.tick().await.settled == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap();
    let after = status(&world, &workflow).await;
    assert_eq!(after.latest_run_status, Some(RunStatus::Completed));
    assert_eq!(after.latest_run_summary.as_deref(), Some("All done."));
}
