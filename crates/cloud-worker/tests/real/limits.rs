//! How many runtimes there are, and for how long.

use crate::support::{Rig, answers, opencodes_of};
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::api::sessions::CommandStatus;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_runtime_makes_room_for_another_user() {
    let rig = Rig::start_with(|options| options.runtimes.max_entries = 1).await;
    let world = &rig.world;
    let (ann, bob) = (world.session("ann").await, world.session("bob").await);
    for key in [&ann, &bob, &ann] {
        let before = answers(&world.view(key).await).len();
        world.prompt(key, "Hello [[script:hello]]").await;
        world
            .view_when(key, "an answer", |view| {
                view.status == SessionStatus::Idle && answers(view).len() == before + 1
            })
            .await;
        assert_eq!(opencodes_of(rig.root.path()).len(), 1, "a hard cap");
    }
    world.assert_fold(&ann).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_worker_defers_a_prompt_and_runs_it_later() {
    let rig = Rig::start_with(|options| {
        options.runtimes.max_entries = 1;
        options.runtimes.admission_timeout = Duration::from_millis(200);
    })
    .await;
    let world = &rig.world;
    let (ann, bob) = (world.session("ann").await, world.session("bob").await);
    world.prompt(&ann, "Please run it [[script:bash]]").await;
    let view = world
        .view_when(&ann, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let waiting = world.prompt(&bob, "Hello [[script:hello]]").await;
    let deferred = async {
        while world
            .command(&bob, &waiting)
            .await
            .last_error_code
            .as_deref()
            != Some("runtime_capacity_queue_timeout")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, deferred)
        .await
        .unwrap();
    assert_eq!(
        world.view(&bob).await.status,
        SessionStatus::Idle,
        "nothing is shown as running"
    );
    let payload =
        serde_json::json!({ "permissionId": view.pending_approvals[0].id, "response": false });
    let kind = open_cowork_contracts::api::sessions::CommandKind::PermissionRespond;
    world.queue(&ann, kind, payload).await;
    world
        .command_when(&bob, &waiting, CommandStatus::Acked)
        .await;
    world
        .view_when(&bob, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    rig.close().await;
}

/// Whoever stops a prompt that has not begun must not see it begin later.
#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_waits_for_a_free_place_can_be_stopped() {
    use open_cowork_contracts::api::sessions::CommandKind;
    let rig = Rig::start_with(|options| {
        options.runtimes.max_entries = 1;
        options.runtimes.admission_timeout = Duration::from_millis(200);
    })
    .await;
    let world = &rig.world;
    let (ann, bob) = (world.session("ann").await, world.session("bob").await);
    world.prompt(&ann, "Please run it [[script:bash]]").await;
    world
        .view_when(&ann, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let waiting = world.prompt(&bob, "Hello [[script:hello]]").await;
    let also = world.prompt(&bob, "And then? [[script:hello]]").await;
    let abort = world
        .queue(&bob, CommandKind::Abort, serde_json::json!({}))
        .await;
    for stopped in [&waiting, &also] {
        world
            .command_when(&bob, stopped, CommandStatus::Failed)
            .await;
        let code = world.command(&bob, stopped).await.last_error_code;
        assert_eq!(code.as_deref(), Some("aborted"));
    }
    world.command_when(&bob, &abort, CommandStatus::Acked).await;
    let view = world.view(&bob).await;
    assert_eq!(view.status, SessionStatus::Idle);
    assert_eq!(view.messages.len(), 2, "both prompts are shown");
    assert_eq!(
        view.stops.first().map(|stop| stop.reason.as_str()),
        Some("user")
    );
    world
        .queue(&ann, CommandKind::Abort, serde_json::json!({}))
        .await;
    // A prompt that comes after the stop is a new wish.
    world.prompt(&bob, "Once more [[script:hello]]").await;
    world
        .view_when(&bob, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    world.assert_fold(&bob).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_nobody_uses_is_stopped_and_its_scope_given_back() {
    let rig = Rig::start_with(|options| options.runtimes.idle_ttl = Duration::ZERO).await;
    let world = &rig.world;
    let key = world.session("ann").await;
    world.prompt(&key, "Hello [[script:hello]]").await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    let released = async {
        while !rig.worker.scopes().is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, released)
        .await
        .unwrap();
    assert!(opencodes_of(rig.root.path()).is_empty());
    // And it goes on from where it was.
    world.prompt(&key, "Hello again [[script:hello]]").await;
    let view = world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 2
        })
        .await;
    assert_eq!(view.messages.len(), 4);
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opencode_that_dies_is_replaced_and_its_turn_marked() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let key = world.session("ann").await;
    world.prompt(&key, "Take your time [[script:slow]]").await;
    world
        .view_when(&key, "a running answer", |view| {
            answers(view).concat().len() > 20
        })
        .await;
    let pid = opencodes_of(rig.root.path())[0];
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
    let view = world
        .view_when(&key, "the end", |view| view.status == SessionStatus::Idle)
        .await;
    assert_eq!(view.stops[0].reason, "interrupted");
    world.prompt(&key, "Hello [[script:hello]]").await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).concat().contains("Hello from")
        })
        .await;
    world.assert_fold(&key).await;
    rig.close().await;
}

/// Ann's turn waits for her, so that her session stays held; Bob's prompt waits in the queue until she is done.
async fn bob_waits_for_ann(rig: &Rig) {
    use open_cowork_contracts::api::sessions::CommandKind;
    let world = &rig.world;
    let (ann, bob) = (world.session("ann").await, world.session("bob").await);
    world.prompt(&ann, "Please run it [[script:bash]]").await;
    world
        .view_when(&ann, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let waiting = world.prompt(&bob, "Hello [[script:hello]]").await;
    assert_eq!(rig.process(&bob).await, 0, "there is no place");
    let command = world.command(&bob, &waiting).await;
    assert_eq!(
        (command.status, command.attempt_count),
        (CommandStatus::Pending, 0),
        "untouched"
    );
    world
        .queue(&ann, CommandKind::Abort, serde_json::json!({}))
        .await;
    // Long before Ann's idle session would be let go for its own sake.
    let begun = std::time::Instant::now();
    world
        .view_when(&bob, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    assert!(begun.elapsed() < Duration::from_secs(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_holds_no_more_sessions_than_it_may_and_idle_ones_make_room() {
    let rig = Rig::start_with(|options| options.max_sessions = 1).await;
    bob_waits_for_ann(&rig).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_s_sessions_wait_for_one_another_beyond_its_quota() {
    let rig = Rig::start_with(|options| options.active_sessions_per_org = Some(1)).await;
    bob_waits_for_ann(&rig).await;
    rig.close().await;
}
