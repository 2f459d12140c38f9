//! Runs without progress (04 §3.6).

use crate::support::{PATIENCE, Rig, TENANT, World, answers};
use open_cowork_cloud_worker::Watchdog;
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::api::admin::AuditEvent;
use open_cowork_contracts::api::workspace::WatchdogMode;
use open_cowork_providers::store::governance::AuditQuery;
use std::time::Duration;

fn watching(mode: WatchdogMode) -> Watchdog {
    let mut watchdog = Watchdog::new(mode, true);
    watchdog.limits.suspect = Duration::from_millis(500);
    // A busy machine takes its time with runs that are well.
    watchdog.limits.stalled = Duration::from_secs(10);
    watchdog.sweep = Duration::from_millis(100);
    watchdog
}

async fn decisions(world: &World) -> Vec<AuditEvent> {
    let query = AuditQuery {
        event_type_prefix: Some("runtime.progress_watchdog".to_owned()),
        ..AuditQuery::default()
    };
    let page = world.store.page_audit(&TENANT.into(), &query).await;
    page.unwrap().rows
}

async fn first_decision(world: &World) -> AuditEvent {
    let decided = async {
        loop {
            if let Some(event) = decisions(world).await.pop() {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, decided).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_hangs_is_ended_and_its_session_goes_on() {
    let rig = Rig::start_with(|options| options.watchdog = watching(WatchdogMode::Enforce)).await;
    let world = &rig.world;
    world.person("ann").await;
    let key = world.session("ann").await;
    world.prompt(&key, "Wait for it [[script:hang]]").await;
    let view = world
        .view_when(&key, "the end of the run", |view| !view.stops.is_empty())
        .await;
    assert_eq!(view.stops[0].reason, "watchdog.no_progress");
    let event = first_decision(world).await;
    assert_eq!(event.actor_id.as_deref(), Some("progress-watchdog"));
    assert_eq!(event.event_type, "runtime.progress_watchdog.decision");
    assert_eq!(event.metadata["result"], "recovered");
    assert_eq!(event.target_id.as_deref(), Some(key.session_id.as_str()));
    world.prompt(&key, "And now? [[script:hello]]").await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).concat().contains("streamed")
        })
        .await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_hangs_is_written_down_once_and_a_person_may_think() {
    let rig = Rig::start_with(|options| options.watchdog = watching(WatchdogMode::Observe)).await;
    let world = &rig.world;
    world.person("ann").await;
    let (hanging, asking) = (world.session("ann").await, world.session("ann").await);
    world.prompt(&hanging, "Wait for it [[script:hang]]").await;
    world.prompt(&asking, "Please run it [[script:bash]]").await;
    world
        .view_when(&asking, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let event = first_decision(world).await;
    assert_eq!(event.metadata["result"], "observed");
    assert_eq!(
        event.target_id.as_deref(),
        Some(hanging.session_id.as_str())
    );
    // What comes late, such as a title, is progress too.
    let both = async {
        loop {
            let seen = rig.worker.progress();
            if (seen.counts.stalled, seen.counts.waiting) == (1, 1) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, both).await.unwrap();
    let text = serde_json::to_string(&seen).unwrap();
    assert!(!text.contains(hanging.session_id.as_str()), "{text}");
    tokio::time::sleep(Duration::from_millis(500)).await; // until that standstill is written down
    let before = decisions(world).await.len();
    tokio::time::sleep(Duration::from_secs(1)).await; // many sweeps
    assert_eq!(decisions(world).await.len(), before);
    assert_eq!(world.view(&hanging).await.stops, []);
    rig.close().await;
}
