//! Impatient and odd use of real turns: double clicks, races, stops at the wrong time, strange text, many chats.

use crate::support::{Rig, is_ending, kinds, until};
use futures::future::join_all;
use open_cowork_contracts::{EventType, SessionEventRecord, SessionId, SessionStatus};
use open_cowork_workbench::{
    NewThread, PromptInput, SettingsInput, ThreadQuery, Workspace as _, WorkspaceError,
};
use std::collections::HashSet;

fn prompt(text: &str, key: Option<&str>) -> PromptInput {
    PromptInput {
        text: text.to_owned(),
        key: key.map(str::to_owned),
        ..PromptInput::default()
    }
}

fn field<'a>(record: &'a SessionEventRecord, name: &str) -> &'a str {
    record
        .payload
        .get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

async fn idle(rig: &Rig, thread: &SessionId) {
    for _ in 0..900 {
        let view = rig.view(thread).await;
        if view.status != SessionStatus::Running && !view.is_generating && !view.messages.is_empty()
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("thread {thread} stays busy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_double_clicks_and_races_do_each_thing_once() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;

    // The same form sent four times at once is one prompt; two different prompts are two.
    let again = (0..4).map(|_| {
        rig.workspace
            .prompt(&thread, prompt("once [[script:hello]]", Some("k1")))
    });
    for sent in join_all(again).await {
        sent.unwrap();
    }
    idle(&rig, &thread).await;
    rig.assert_equals_history(&thread).await;
    // In a chat of its own: which of them comes first is not ours to say.
    let two = rig.thread().await;
    let both = ["left [[script:hello]]", "right [[script:hello]]"]
        .map(|text| rig.workspace.prompt(&two, prompt(text, None)));
    for sent in join_all(both).await {
        sent.unwrap();
    }
    idle(&rig, &two).await;
    // Both are in the one session that the chat is bound to, so that a restart finds both.
    let bound = rig
        .desktop
        .log()
        .session(&crate::support::key(&two))
        .await
        .unwrap()
        .session
        .opencode_session_id;
    let history = rig
        .desktop
        .host()
        .runtime()
        .unwrap()
        .messages(bound.as_str())
        .await
        .unwrap();
    assert_eq!(
        history
            .iter()
            .filter(|message| message.info.role == open_cowork_opencode::model::Role::User)
            .count(),
        2
    );
    for (thread, text) in [(&thread, "once"), (&two, "left"), (&two, "right")] {
        let view = rig.view(thread).await;
        assert_eq!(
            view.messages
                .iter()
                .filter(|message| message.content.starts_with(text))
                .count(),
            1,
            "{text}"
        );
    }

    // Four clicks on one approval: one wins, the others are told.
    let other = rig.thread().await;
    let events = rig
        .turn(&thread, "run [[script:bash]]", |record| {
            let (workspace, thread, other) = (rig.workspace.clone(), thread.clone(), other.clone());
            async move {
                if record.kind != EventType::PermissionRequested {
                    return;
                }
                let id = field(&record, "permissionId").to_owned();
                let foreign = workspace
                    .answer_approval(&other, &id, true, None)
                    .await
                    .unwrap_err();
                assert!(
                    matches!(foreign, WorkspaceError::Conflict(_)),
                    "the ask of another chat: {foreign:?}"
                );
                let foreign = workspace
                    .answer_question(&thread, &id, None)
                    .await
                    .unwrap_err();
                assert!(
                    matches!(foreign, WorkspaceError::Conflict(_)),
                    "an approval is no question: {foreign:?}"
                );
                let clicks = [true, false, true, false]
                    .map(|allow| workspace.answer_approval(&thread, &id, allow, None));
                let answers = join_all(clicks).await;
                let won = answers.iter().filter(|answer| answer.is_ok()).count();
                assert_eq!(won, 1, "{answers:?}");
                assert!(
                    answers
                        .iter()
                        .flat_map(|answer| answer.as_ref().err())
                        .all(|error| matches!(error, WorkspaceError::Conflict(_)))
                );
            }
        })
        .await;
    let resolved = events
        .iter()
        .filter(|event| event.kind == EventType::PermissionResolved)
        .count();
    assert_eq!(resolved, 1, "{:?}", kinds(&events));
    assert!(
        rig.workspace
            .health()
            .await
            .iter()
            .all(|row| row.name != "Alarm")
    );
    rig.assert_equals_history(&thread).await;
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_stops_answers_and_prompts_at_the_wrong_time_leave_a_usable_chat() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    rig.workspace.stop(&thread).await.unwrap();
    rig.plain_turn(&thread, "hello [[script:hello]]").await;
    rig.workspace.stop(&thread).await.unwrap();

    // A prompt while an approval is open; then two stops; then the late answer.
    let mut asked = None;
    let events = rig
        .turn(&thread, "run [[script:bash]]", |record| {
            let (workspace, thread) = (rig.workspace.clone(), thread.clone());
            let open = (record.kind == EventType::PermissionRequested)
                .then(|| field(&record, "permissionId").to_owned());
            asked = open.clone().or(asked.take());
            async move {
                if open.is_some() {
                    workspace
                        .prompt(&thread, prompt("and also this [[script:hello]]", None))
                        .await
                        .unwrap();
                    workspace
                        .rename_thread(&thread, "  renamed\u{0}\n while\tit runs 👩‍👩‍👧 ")
                        .await
                        .unwrap();
                    let (one, two) = tokio::join!(workspace.stop(&thread), workspace.stop(&thread));
                    one.unwrap();
                    two.unwrap();
                }
            }
        })
        .await;
    assert_eq!(
        events.iter().filter(|event| is_ending(event)).count(),
        1,
        "{:?}",
        kinds(&events)
    );
    let late = rig
        .workspace
        .answer_approval(&thread, &asked.unwrap(), true, None)
        .await
        .unwrap_err();
    assert!(matches!(late, WorkspaceError::Conflict(_)), "{late:?}");
    idle(&rig, &thread).await;
    let view = rig.view(&thread).await;
    assert!(view.pending_approvals.is_empty());
    assert_eq!(
        rig.desktop
            .log()
            .session(&crate::support::key(&thread))
            .await
            .unwrap()
            .session
            .title
            .as_deref(),
        Some("renamed while it runs 👩‍👩‍👧")
    );

    // Odd text passes byte for byte, there and back; 60 KiB fit.
    let odd = "مرحبا\u{202e}abc\u{202c} 👩‍👩‍👧 \u{0}NUL \u{1b}[2J \u{fffd} <script>alert(1)</script> é\u{301}\r\n";
    for text in [
        odd.to_owned(),
        format!("{}[[script:hello]]", "é".repeat(30 * 1024)),
    ] {
        rig.plain_turn(&thread, &text).await;
        let view = rig.view(&thread).await;
        assert!(
            view.messages.iter().any(|message| message.content == text),
            "{text:.80?}"
        );
    }
    rig.assert_equals_history(&thread).await;
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_settings_that_change_in_a_long_turn_wait_for_its_end_and_are_not_forgotten() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    let endpoint = rig.model.base_url();
    let mut saved = false;
    // Longer than the quarter of a minute after which the memory is measured.
    let text = "long [[steps:[{\"repeat\":{\"unit\":\"0123456789\",\"count\":60},\"chunk_chars\":10,\"chunk_delay_ms\":300}]]]";
    let events = rig
        .turn(&thread, text, |record| {
            let now = !saved && record.kind == EventType::AssistantMessage;
            saved |= now;
            let (workspace, endpoint) = (rig.workspace.clone(), endpoint.clone());
            async move {
                if now {
                    let input = SettingsInput {
                        provider: "custom".to_owned(),
                        base_url: Some(endpoint),
                        model: "fake-model".to_owned(),
                        key: Some("entered-meanwhile".to_owned()),
                    };
                    workspace.save_settings(input).await.unwrap();
                }
            }
        })
        .await;
    assert_eq!(
        events.last().unwrap().kind,
        EventType::SessionIdle,
        "not cut short: {:?}",
        kinds(&events)
    );
    let config = rig
        .data
        .path()
        .join("runtime-home/.open-cowork/config/opencode.json");
    let taken_over =
        || std::fs::read_to_string(&config).is_ok_and(|text| text.contains("entered-meanwhile"));
    until("OpenCode is started with the new settings", taken_over).await;
    rig.workspace.ready().await.unwrap();
    rig.plain_turn(&thread, "hello [[script:hello]]").await;
    assert_eq!(rig.view(&thread).await.status, SessionStatus::Idle);
    rig.desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_two_hundred_chats_page_and_twenty_stream_at_once() {
    let rig = Rig::start().await;
    let made = join_all((0..200).map(|_| rig.workspace.create_thread(NewThread::default()))).await;
    let made: HashSet<SessionId> = made.into_iter().map(Result::unwrap).collect();
    let mut listed = Vec::new();
    let mut query = ThreadQuery {
        limit: 33,
        ..ThreadQuery::default()
    };
    loop {
        let page = rig.workspace.threads(query.clone()).await.unwrap();
        assert!(page.threads.len() <= 33);
        listed.extend(page.threads.into_iter().map(|thread| thread.id));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(listed.len(), 200, "each once");
    assert_eq!(listed.iter().cloned().collect::<HashSet<_>>(), made);
    for (cursor, text) in [
        (Some("AAAA"), None),
        (Some("\u{0}"), None),
        (None, Some("%_'\"\\")),
        (None, Some("\u{0}")),
    ] {
        let query = ThreadQuery {
            cursor: cursor.map(str::to_owned),
            text: text.map(str::to_owned),
            limit: u32::MAX,
        };
        match rig.workspace.threads(query).await {
            Ok(page) => assert!(page.threads.is_empty(), "{cursor:?} {text:?}"),
            Err(error) => assert!(matches!(error, WorkspaceError::Invalid(_)), "{error:?}"),
        }
    }

    let before = resident();
    let some: Vec<SessionId> = listed.into_iter().take(20).collect();
    let text = "stream [[steps:[{\"repeat\":{\"unit\":\"0123456789\",\"count\":200},\"chunk_chars\":20,\"chunk_delay_ms\":10}]]]";
    let turns = join_all(some.iter().map(|thread| rig.plain_turn(thread, text))).await;
    for (thread, events) in some.iter().zip(turns) {
        assert_eq!(
            events.last().unwrap().kind,
            EventType::SessionIdle,
            "{:?}",
            kinds(&events)
        );
        assert_eq!(
            rig.view(thread).await.messages.last().unwrap().content,
            "0123456789".repeat(200)
        );
    }
    let grown = resident().saturating_sub(before) / (1024 * 1024);
    assert!(grown < 150, "20 streams took {grown} MiB");
    rig.desktop.close().await;
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
