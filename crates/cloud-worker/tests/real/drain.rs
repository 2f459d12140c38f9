//! A worker that goes away in the middle of turns: each shows that it was interrupted.

use crate::support::{Rig, World, answers, options, processes_of};
use open_cowork_cloud_worker::Worker;
use open_cowork_contracts::{SessionStatus, View};
use open_cowork_providers::store::SessionKey;
use std::time::Duration;

/// The turn ended once, as interrupted, and nothing of it waits.
fn assert_interrupted(what: &str, view: &View) {
    assert_eq!(view.status, SessionStatus::Idle, "{what}");
    let reasons: Vec<&str> = view.stops.iter().map(|stop| stop.reason.as_str()).collect();
    assert_eq!(reasons, ["interrupted"], "{what}");
    assert!(
        view.pending_approvals.is_empty() && view.pending_questions.is_empty(),
        "{what}"
    );
}

/// A prompt, and the moment of its turn in which the worker is told to go.
async fn begun(world: &World, key: &SessionKey, script: &str) {
    world
        .prompt(key, &format!("Take your time [[script:{script}]]"))
        .await;
    let what = format!("{script} under way");
    world
        .view_when(key, &what, |view| match script {
            "bash" => !view.pending_approvals.is_empty(),
            "question" => !view.pending_questions.is_empty(),
            "slow" => !answers(view).concat().is_empty(),
            _ => view.status == SessionStatus::Running && !view.messages.is_empty(),
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_turn_is_at_a_forced_drain_says_that_it_was_interrupted() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let mut threads = Vec::new();
    for script in ["slow", "bash", "question", "hang"] {
        let key = world.session(&format!("user-{script}")).await;
        begun(world, &key, script).await;
        threads.push((script, key));
    }
    // One that has only just been taken up.
    let late = world.session("user-late").await;
    world.prompt(&late, "Hello [[script:hang]]").await;
    world
        .view_when(&late, "the prompt", |view| !view.messages.is_empty())
        .await;
    threads.push(("late", late));
    let report = rig.worker.drain(Duration::ZERO).await;
    assert!(report.forced && report.scopes >= 5, "{report:?}");
    for (script, key) in &threads {
        assert_interrupted(script, &world.view(key).await);
        world.assert_fold(key).await;
    }
    // Whoever comes next has nothing to add.
    let next = Worker::start(world.parts(), options("w2", rig.root.path(), None)).unwrap();
    for (_, key) in &threads {
        use open_cowork_providers::executor::Executor as _;
        assert_eq!(next.process(key).await.unwrap(), 0);
    }
    next.drain(Duration::from_secs(5)).await;
    for (script, key) in &threads {
        assert_interrupted(script, &world.view(key).await);
    }
    assert!(processes_of(rig.root.path()).is_empty());
}
