//! The whole path on real parts: workspace → host → OpenCode → events → log → view. Each final view equals
//! OpenCode's own history.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use open_cowork_contracts::view::{TaskStatus, ToolStatus};
use open_cowork_contracts::{EventType, SessionEventRecord, SessionStatus};
use open_cowork_opencode::{Directory, Reply};
use open_cowork_runtime_host::watchdog::Limits;
use open_cowork_workbench::{PromptInput, Workspace as _, WorkspaceError};
use support::{Rig, is_ending, kinds};

fn field<'a>(record: &'a SessionEventRecord, name: &str) -> &'a str {
    record
        .payload
        .get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_text_streams_and_the_same_key_prompts_once() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    let events = rig.plain_turn(&thread, "Please tick. [[steps:[{\"text\":\"one two three\",\"chunk_chars\":4,\"chunk_delay_ms\":90}]]]").await;
    let appends = events
        .iter()
        .filter(|event| event.kind == EventType::AssistantMessage)
        .count();
    assert!(
        appends >= 3,
        "text arrives while it is written: {:?}",
        kinds(&events)
    );
    let view = rig.view(&thread).await;
    assert_eq!(view.messages.last().unwrap().content, "one two three");
    assert_eq!(view.status, SessionStatus::Idle);
    assert!(view.session_cost.0 > 0.0 && !view.is_generating);
    rig.assert_equals_history(&thread).await;

    let again = PromptInput {
        text: "hello".into(),
        key: Some("k1".into()),
        ..PromptInput::default()
    };
    rig.workspace.prompt(&thread, again.clone()).await.unwrap();
    rig.workspace.prompt(&thread, again).await.unwrap();
    let view = rig.view(&thread).await;
    assert_eq!(
        view.messages
            .iter()
            .filter(|message| message.content == "hello")
            .count(),
        1
    );
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_approvals_run_the_tool_or_stop_it() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    for (answer, reason, status) in [
        (true, None, ToolStatus::Complete),
        (false, None, ToolStatus::Error),
        (false, Some("use another way".to_owned()), ToolStatus::Error),
    ] {
        let events = rig
            .turn(&thread, "run [[script:bash]]", |record| {
                let (workspace, thread, reason) =
                    (rig.workspace.clone(), thread.clone(), reason.clone());
                async move {
                    if record.kind == EventType::PermissionRequested {
                        assert_eq!(field(&record, "subject"), "echo scripted-tool-output");
                        let id = field(&record, "permissionId").to_owned();
                        workspace
                            .answer_approval(&thread, &id, answer, reason)
                            .await
                            .unwrap();
                        let late = workspace
                            .answer_approval(&thread, &id, true, None)
                            .await
                            .unwrap_err();
                        assert!(matches!(late, WorkspaceError::Conflict(_)), "{late:?}");
                    }
                }
            })
            .await;
        let view = rig.view(&thread).await;
        assert_eq!(
            view.tool_calls.last().unwrap().status,
            status,
            "{:?}",
            kinds(&events)
        );
        assert!(view.pending_approvals.is_empty());
        assert_eq!(view.resolved_approvals.last().unwrap().allowed, answer);
        assert_eq!(view.status, SessionStatus::Idle);
        let resolved = events
            .iter()
            .filter(|event| event.kind == EventType::PermissionResolved)
            .count();
        assert_eq!(resolved, 1, "one resolution per ask");
        rig.assert_equals_history(&thread).await;
    }
    assert!(
        rig.workspace
            .health()
            .await
            .iter()
            .all(|row| row.name != "Alarm"),
        "our own answers raise no alarm"
    );
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_questions_are_answered_or_dismissed() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    for answers in [Some(vec![vec!["Blue".to_owned()]]), None] {
        let events = rig
            .turn(&thread, "ask me [[script:question]]", |record| {
                let (workspace, thread, answers) =
                    (rig.workspace.clone(), thread.clone(), answers.clone());
                async move {
                    if record.kind == EventType::QuestionAsked {
                        let id = field(&record, "requestId").to_owned();
                        workspace
                            .answer_question(&thread, &id, answers)
                            .await
                            .unwrap();
                    }
                }
            })
            .await;
        let view = rig.view(&thread).await;
        let resolved = view.resolved_questions.last().unwrap();
        assert_eq!(resolved.rejected, answers.is_none(), "{:?}", kinds(&events));
        assert!(view.pending_questions.is_empty());
        rig.assert_equals_history(&thread).await;
    }
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_sub_agents_run_in_their_own_lane_and_ask_from_there() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    rig.turn(&thread, "delegate [[script:task-bash]]", |record| {
        let (workspace, thread) = (rig.workspace.clone(), thread.clone());
        async move {
            if record.kind == EventType::PermissionRequested {
                assert!(field(&record, "taskRunId").starts_with("child:"));
                let id = field(&record, "permissionId").to_owned();
                workspace
                    .answer_approval(&thread, &id, true, None)
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    let view = rig.view(&thread).await;
    let task = &view.task_runs[0];
    assert_eq!(
        (task.title.as_str(), task.status),
        ("Run it", TaskStatus::Complete)
    );
    assert_eq!(task.tool_calls[0].status, ToolStatus::Complete);
    assert!(!task.content.is_empty());
    assert!(
        view.tool_calls.iter().all(|tool| tool.name == "task"),
        "the child's calls are not the root's"
    );
    rig.assert_equals_history(&thread).await;
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_todos_a_stop_and_a_model_error_are_shown_as_they_are() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    rig.plain_turn(&thread, "plan [[script:todo]]").await;
    let view = rig.view(&thread).await;
    assert_eq!(view.todos.len(), 2);
    assert_eq!(view.todos[0].status, "completed");
    rig.assert_equals_history(&thread).await;

    let events = rig
        .turn(&thread, "slowly [[script:slow]]", |record| {
            let (workspace, thread) = (rig.workspace.clone(), thread.clone());
            async move {
                if record.kind == EventType::AssistantMessage {
                    workspace.stop(&thread).await.unwrap();
                }
            }
        })
        .await;
    let ending = events.iter().find(|event| is_ending(event)).unwrap();
    assert_eq!(
        (ending.kind.as_str(), field(ending, "reason")),
        ("session.aborted", "user")
    );
    assert!(
        rig.view(&thread)
            .await
            .messages
            .last()
            .unwrap()
            .content
            .starts_with("tick")
    );
    rig.assert_equals_history(&thread).await;

    let events = rig.plain_turn(&thread, "fail [[script:error400]]").await;
    assert_eq!(events.last().unwrap().kind, EventType::RuntimeError);
    let view = rig.view(&thread).await;
    assert_eq!(view.status, SessionStatus::Errored);
    assert!(view.last_error.is_some());
    rig.assert_equals_history(&thread).await;

    // And the thread goes on.
    rig.plain_turn(&thread, "again [[script:hello]]").await;
    assert_eq!(rig.view(&thread).await.status, SessionStatus::Idle);
    rig.assert_equals_history(&thread).await;
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_two_threads_run_at_once_and_stay_apart() {
    let rig = Rig::start().await;
    let (one, two) = (rig.thread().await, rig.thread().await);
    let steps = |word: &str| {
        format!(
            "go [[steps:[{{\"repeat\":{{\"unit\":\"{word} \",\"count\":40}},\"chunk_chars\":8,\"chunk_delay_ms\":20}}]]]"
        )
    };
    let (steps_one, steps_two) = (steps("one"), steps("two"));
    let (first, second) = tokio::join!(
        rig.plain_turn(&one, &steps_one),
        rig.plain_turn(&two, &steps_two)
    );
    assert!(first.last().is_some_and(is_ending) && second.last().is_some_and(is_ending));
    assert_eq!(
        rig.view(&one).await.messages.last().unwrap().content,
        "one ".repeat(40)
    );
    assert_eq!(
        rig.view(&two).await.messages.last().unwrap().content,
        "two ".repeat(40)
    );
    rig.assert_equals_history(&one).await;
    rig.assert_equals_history(&two).await;
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_folder_that_would_run_code_is_not_opened_before_it_is_trusted() {
    let rig = Rig::start().await;
    let marker = rig.data.path().join("plugin-ran");
    let plugin = format!(
        "require('fs').writeFileSync({marker:?}, 'ran'); export const P = async () => ({{}});"
    );
    rig.folder
        .write(".opencode/plugin/evil.js", &plugin)
        .unwrap();
    let thread = rig.thread().await;
    let prompt = PromptInput {
        text: "hello [[script:hello]]".into(),
        ..PromptInput::default()
    };
    let refused = rig
        .workspace
        .prompt(&thread, prompt.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, WorkspaceError::TrustRequired(_)),
        "{refused:?}"
    );
    assert!(!marker.exists(), "nothing of the folder ran");
    assert!(rig.view(&thread).await.messages.is_empty());

    let trust = rig.workspace.trust(&thread).await.unwrap();
    assert!(
        !trust.trusted
            && trust
                .files
                .iter()
                .any(|file| file.path.ends_with("evil.js")),
        "{trust:?}"
    );
    rig.workspace
        .grant_trust(&thread, &trust.digest)
        .await
        .unwrap();
    rig.plain_turn(&thread, "hello [[script:hello]]").await;

    // Changed files ask again, and an old digest grants nothing.
    rig.folder
        .write(
            ".opencode/plugin/evil.js",
            "export const P = async () => ({ changed: true });",
        )
        .unwrap();
    let refused = rig.workspace.prompt(&thread, prompt).await.unwrap_err();
    assert!(
        matches!(refused, WorkspaceError::TrustRequired(_)),
        "{refused:?}"
    );
    assert!(rig.workspace.trust(&thread).await.unwrap().changed);
    assert!(
        rig.workspace
            .grant_trust(&thread, &trust.digest)
            .await
            .is_err()
    );
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_an_approval_that_somebody_else_gave_raises_an_alarm_and_stops_the_turn() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    let runtime = rig.desktop.host().runtime().unwrap();
    let folder = Directory::open(rig.folder.path()).unwrap();
    let events = rig
        .turn(&thread, "run [[steps:[{\"tool_calls\":[{\"name\":\"bash\",\"arguments\":{\"command\":\"sleep 20\",\"description\":\"Wait\"}}]},{\"text\":\"never\"}]]]", |record| {
            let (runtime, folder) = (runtime.clone(), folder.clone());
            async move {
                if record.kind == EventType::PermissionRequested {
                    // As the agent's own shell could do it, with the password from its environment.
                    runtime.reply_permission(&folder, field(&record, "permissionId"), Reply::Once).await.unwrap();
                }
            }
        })
        .await;
    let ending = events.last().unwrap();
    assert_eq!(
        (ending.kind.as_str(), field(ending, "reason")),
        ("session.aborted", "security.unexplained_reply")
    );
    assert!(
        rig.workspace
            .health()
            .await
            .iter()
            .any(|row| row.name == "Alarm")
    );
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_runaway_turn_is_stopped_by_the_watchdog_with_its_reason() {
    let limits = Limits {
        calls_per_minute: 8,
        repeated_calls: 3,
        ..Limits::default()
    };
    let rig = Rig::start_with(|options| options.limits = limits).await;
    let broken = rig.thread().await;
    // A model stream without a finish makes OpenCode call again for ever.
    let events = rig
        .plain_turn(
            &broken,
            "go [[steps:[{\"text\":\"again \",\"chunk_chars\":2,\"drop_after\":1,\"loop\":true}]]]",
        )
        .await;
    assert_eq!(
        field(events.last().unwrap(), "reason"),
        "watchdog.model_calls",
        "{:?}",
        kinds(&events)
    );
    let looping = rig.thread().await;
    let events = rig
        .plain_turn(&looping, "go [[steps:[{\"tool_calls\":[{\"name\":\"glob\",\"arguments\":{\"pattern\":\"*.md\"}}],\"loop\":true}]]]")
        .await;
    assert_eq!(
        field(events.last().unwrap(), "reason"),
        "watchdog.repeated_tool",
        "{:?}",
        kinds(&events)
    );
    assert_eq!(rig.view(&looping).await.status, SessionStatus::Idle);
    rig.plain_turn(&looping, "hello [[script:hello]]").await;
    rig.desktop.close().await;
}
