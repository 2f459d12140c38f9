//! Prompts, answers and aborts.

use crate::support::{Rig, answers, count, opencodes_of};
use open_cowork_contracts::api::sessions::{CommandKind, CommandStatus};
use open_cowork_contracts::view::Role;
use open_cowork_contracts::{EventType, SessionStatus};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_answered_and_its_session_goes_on() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let key = world.session("ann").await;
    let first = world.prompt(&key, "Hello there [[script:hello]]").await;
    let applied = rig.process(&key).await;
    assert!(applied <= 1, "the loop may have been faster");
    world.command_when(&key, &first, CommandStatus::Acked).await;
    let view = world
        .view_when(&key, "the answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    assert!(answers(&view)[0].contains("Hello from the scripted model"));
    assert_eq!(view.messages[0].id, format!("{first}:user"));

    let second = world.prompt(&key, "And again").await;
    world
        .command_when(&key, &second, CommandStatus::Acked)
        .await;
    let view = world
        .view_when(&key, "the second answer", |view| answers(view).len() == 2)
        .await;
    let roles: Vec<Role> = view.messages.iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [Role::User, Role::Assistant, Role::User, Role::Assistant]
    );
    let events = world.events(&key).await;
    assert_eq!(count(&events, &EventType::PromptSubmitted), 2);
    let id = format!("{}:command:{first}:prompt-submitted", key.session_id);
    assert!(events.iter().any(|event| {
        event
            .event_id
            .as_ref()
            .is_some_and(|own| own.as_str() == id)
    }));
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_waits_longer_than_the_lease_and_is_then_answered() {
    let rig = Rig::start_with(|options| options.lease_ttl = Duration::from_secs(1)).await;
    let world = &rig.world;
    let key = world.session("ann").await;
    world.prompt(&key, "Please run it [[script:bash]]").await;
    let view = world
        .view_when(&key, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let ask = view.pending_approvals[0].id.clone();
    // Three times as long as the lease lives without renewal.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.view(&key).await.pending_approvals.len(), 1);
    let payload = json!({ "permissionId": ask, "response": { "allowed": true } });
    let answer = world
        .queue(&key, CommandKind::PermissionRespond, payload.clone())
        .await;
    world
        .command_when(&key, &answer, CommandStatus::Acked)
        .await;
    let view = world
        .view_when(&key, "the answer", |view| {
            view.status == SessionStatus::Idle && view.pending_approvals.is_empty()
        })
        .await;
    assert!(answers(&view).concat().contains("scripted-tool-output"));
    // The same answer once more: nobody waits for it, and nothing happens.
    let before = world.events(&key).await.len();
    let again = world
        .queue(&key, CommandKind::PermissionRespond, payload)
        .await;
    world.command_when(&key, &again, CommandStatus::Acked).await;
    assert_eq!(world.events(&key).await.len(), before);
    let resolved = world.events(&key).await;
    let resolved: Vec<_> = resolved
        .iter()
        .filter(|event| event.kind == EventType::PermissionResolved)
        .collect();
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0].payload["commandId"], json!(answer));
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_and_a_denied_action_is_not_done() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let key = world.session("ann").await;
    world.prompt(&key, "Ask me [[script:question]]").await;
    let view = world
        .view_when(&key, "a question", |view| {
            !view.pending_questions.is_empty()
        })
        .await;
    let question = &view.pending_questions[0];
    let answer = json!({ "requestId": question.id, "answers": [["Blue"]] });
    world.queue(&key, CommandKind::QuestionReply, answer).await;
    world
        .view_when(&key, "the end", |view| {
            view.status == SessionStatus::Idle && view.pending_questions.is_empty()
        })
        .await;

    world.prompt(&key, "Please run it [[script:bash]]").await;
    let view = world
        .view_when(&key, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let payload = json!({ "permissionId": view.pending_approvals[0].id, "response": "no" });
    world
        .queue(&key, CommandKind::PermissionRespond, payload)
        .await;
    let view = world
        .view_when(&key, "the end", |view| {
            view.status == SessionStatus::Idle && view.pending_approvals.is_empty()
        })
        .await;
    assert!(!answers(&view).concat().contains("scripted-tool-output"));
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_overtakes_a_queued_prompt_which_then_runs() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let key = world.session("ann").await;
    let long = world.prompt(&key, "Take your time [[script:slow]]").await;
    world
        .view_when(&key, "a running answer", |view| {
            view.status == SessionStatus::Running && !answers(view).concat().is_empty()
        })
        .await;
    let queued = world.prompt(&key, "Hello there [[script:hello]]").await;
    let abort = world.queue(&key, CommandKind::Abort, json!({})).await;
    world.command_when(&key, &abort, CommandStatus::Acked).await;
    world
        .command_when(&key, &queued, CommandStatus::Acked)
        .await;
    let view = world
        .view_when(&key, "the answer of the queued prompt", |view| {
            view.status == SessionStatus::Idle
                && answers(view)
                    .last()
                    .is_some_and(|text| text.contains("Hello from"))
        })
        .await;
    assert_eq!(view.stops.len(), 1, "{:?}", view.stops);
    let events = world.events(&key).await;
    let place = |of: &dyn Fn(&open_cowork_contracts::SessionEventRecord) -> bool| {
        events.iter().position(|event| of(event)).unwrap()
    };
    let aborted = place(&|event| event.kind == EventType::SessionAborted);
    assert_eq!(events[aborted].payload["commandId"], json!(abort));
    let submitted = place(&|event| event.payload.get("commandId") == Some(&json!(queued)));
    assert!(
        aborted < submitted,
        "the queued prompt waited for the end of the turn"
    );
    assert_eq!(count(&events, &EventType::PromptSubmitted), 2);
    assert_eq!(
        world.command(&key, &long).await.status,
        CommandStatus::Acked
    );

    // What it stopped is over; a second abort is told once and changes nothing else.
    let late = world.queue(&key, CommandKind::Abort, json!({})).await;
    world.command_when(&key, &late, CommandStatus::Acked).await;
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_model_fails_the_turn_and_the_thread_goes_on() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let key = world.session("ann").await;
    world.prompt(&key, "Break [[script:error400]]").await;
    world
        .view_when(&key, "an error", |view| {
            view.status == SessionStatus::Errored
        })
        .await;
    world.prompt(&key, "Hello there [[script:hello]]").await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).concat().contains("Hello from")
        })
        .await;
    world.assert_fold(&key).await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_have_two_opencodes_that_know_nothing_of_each_other() {
    let rig = Rig::start().await;
    let world = &rig.world;
    let (ann, bob) = (world.session("ann").await, world.session("bob").await);
    world.prompt(&ann, "I am Ann").await;
    world.prompt(&bob, "I am Bob").await;
    for key in [&ann, &bob] {
        world
            .view_when(key, "an answer", |view| {
                view.status == SessionStatus::Idle && !answers(view).is_empty()
            })
            .await;
    }
    let pids = opencodes_of(rig.root.path());
    assert_eq!(pids.len(), 2, "{pids:?}");
    let homes: Vec<String> = pids
        .iter()
        .map(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            let home = environment
                .split('\0')
                .find_map(|entry| entry.strip_prefix("HOME="));
            home.unwrap().to_owned()
        })
        .collect();
    assert_ne!(homes[0], homes[1]);
    let sessions = [
        world
            .log
            .session(&ann)
            .await
            .unwrap()
            .session
            .opencode_session_id,
        world
            .log
            .session(&bob)
            .await
            .unwrap()
            .session
            .opencode_session_id,
    ];
    // Each database holds its own user's session and not the other's.
    for home in &homes {
        let mut found = 0;
        for session in &sessions {
            found += usize::from(holds(home, session.as_str()));
        }
        assert_eq!(found, 1, "{home}");
    }
    rig.close().await;
}

fn holds(home: &str, text: &str) -> bool {
    let folder = std::path::Path::new(home).join(".local/share/opencode");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files
        .filter_map(|file| std::fs::read(file.path()).ok())
        .any(|bytes| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_stops_its_turns_and_gives_its_leases_back() {
    let rig = Rig::start().await;
    let key = rig.world.session("ann").await;
    rig.world
        .prompt(&key, "Take your time [[script:slow]]")
        .await;
    rig.world
        .view_when(&key, "a running answer", |view| {
            !answers(view).concat().is_empty()
        })
        .await;
    let report = rig.worker.drain(Duration::from_secs(1)).await;
    assert!(report.forced);
    let view = rig.world.view(&key).await;
    assert_eq!(view.status, SessionStatus::Idle);
    assert_eq!(view.stops[0].reason, "interrupted");
    let row = rig.world.log.session(&key).await.unwrap();
    let scope = open_cowork_providers::store::Scope::of(&row.session);
    let now = open_cowork_providers::time::Timestamp::now();
    let ttl = Duration::from_secs(10);
    let claimed = rig
        .world
        .store
        .claim_scope(&scope, "w2", ttl, now)
        .await
        .unwrap();
    assert!(
        claimed.is_some(),
        "the lease was given back, not left to expire"
    );
    assert!(crate::support::processes_of(rig.root.path()).is_empty());
}
