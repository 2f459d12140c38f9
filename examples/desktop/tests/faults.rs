//! Whatever dies, nothing is lost (decisions 7 and 17): what was shown is kept, the turn is marked, the
//! thread goes on with the next prompt, no process is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use open_cowork_contracts::{EventType, SessionEventRecord, SessionId, SessionStatus};
use open_cowork_desktop::Desktop;
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::workspace::GitWorkspace;
use open_cowork_workbench::{PromptInput, Workspace as _, WorkspaceError};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use support::{
    PROGRAM, Rig, assert_fold, essence_of, history_of, is_ending, key, kill_hard, opencode,
    options, processes_of, until,
};

fn reason(record: &SessionEventRecord) -> &str {
    record
        .payload
        .get("reason")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_opencode_killed_in_mid_stream_leaves_a_marked_turn_and_comes_back() {
    let rig = Rig::start().await;
    let thread = rig.thread().await;
    let mut pieces = 0;
    let data = rig.data.path().to_owned();
    let events = rig
        .turn(&thread, "slowly [[script:slow]]", |record| {
            pieces += u32::from(record.kind == EventType::AssistantMessage);
            let kill =
                (pieces == 3 && record.kind == EventType::AssistantMessage).then(|| data.clone());
            async move {
                if let Some(data) = kill {
                    let victims = processes_of(&data);
                    let (pid, _) = victims
                        .iter()
                        .find(|(_, line)| line.contains("serve --hostname"))
                        .unwrap();
                    kill_hard(*pid);
                }
            }
        })
        .await;
    let ending = events.last().unwrap();
    assert_eq!(
        (ending.kind.as_str(), reason(ending)),
        ("session.aborted", "interrupted")
    );
    let view = rig.view(&thread).await;
    assert_eq!(view.status, SessionStatus::Idle);
    assert!(
        view.messages
            .last()
            .unwrap()
            .content
            .starts_with("tick tick"),
        "{:?}",
        view.messages
    );
    assert_fold(&rig.desktop, &thread, &view).await;

    rig.plain_turn(&thread, "hello [[script:hello]]").await;
    assert_eq!(rig.view(&thread).await.status, SessionStatus::Idle);
    let data = rig.data.path().to_owned();
    rig.desktop.close().await;
    until("every process of the desktop ends", || {
        processes_of(&data).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_the_host_killed_in_mid_stream_loses_nothing_and_leaves_no_process() {
    let model = ScriptedModel::start().await.unwrap();
    let folder = GitWorkspace::new().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["chat", "--json", "slowly [[script:slow]]", "--data-dir"])
        .arg(data.path())
        .arg("--opencode")
        .arg(opencode())
        .args(["--demo-endpoint", &model.base_url(), "--workspace"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = String::new();
    let mut thread = SessionId::default();
    let mut last = 0;
    let stdout = BufReader::new(child.stdout.take().unwrap());
    for line in stdout.lines() {
        let record: SessionEventRecord = serde_json::from_str(&line.unwrap()).unwrap();
        last = record.sequence;
        if record.kind == EventType::AssistantMessage {
            thread = record.session_id.clone().unwrap();
            shown.push_str(record.payload["content"].as_str().unwrap());
        }
        if shown.len() > 40 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = data.path().to_owned();
    until("no process is left after kill -9", || {
        processes_of(&left).is_empty()
    })
    .await;

    let desktop = Desktop::open(options(data.path(), &model, &folder))
        .await
        .unwrap();
    let workspace = desktop.workspace();
    // What a reader sees at once is what was shown; the mark follows when OpenCode could be asked.
    let view = desktop
        .log()
        .read(&key(&thread), |state| state.view.clone())
        .await
        .unwrap();
    assert!(
        view.messages.last().unwrap().content.starts_with(&shown),
        "acknowledged text is there"
    );
    workspace.ready().await.unwrap();
    let mut updates = workspace.follow_thread(&thread, last).await.unwrap();
    let ending = tokio::time::timeout(support::PATIENCE, async {
        use futures::StreamExt as _;
        loop {
            if let Some(open_cowork_workbench::ThreadUpdate::Event(record)) = updates.next().await
                && is_ending(&record)
            {
                return record;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(
        (ending.kind.as_str(), reason(&ending)),
        ("session.aborted", "interrupted")
    );
    let prompts = model.requests().len();
    let prompt = PromptInput {
        text: "hello [[script:hello]]".into(),
        ..PromptInput::default()
    };
    workspace.prompt(&thread, prompt).await.unwrap();
    let mut updates = workspace
        .follow_thread(&thread, ending.sequence)
        .await
        .unwrap();
    let done = tokio::time::timeout(support::PATIENCE, async {
        use futures::StreamExt as _;
        loop {
            if let Some(open_cowork_workbench::ThreadUpdate::Event(record)) = updates.next().await
                && is_ending(&record)
            {
                return record;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(done.kind, EventType::SessionIdle);
    assert!(
        model.requests().len() > prompts,
        "nothing was prompted before the user did"
    );
    let view = desktop
        .log()
        .read(&key(&thread), |state| state.view.clone())
        .await
        .unwrap();
    assert!(
        view.messages
            .iter()
            .any(|message| message.content.starts_with(&shown)),
        "still there"
    );
    assert_fold(&desktop, &thread, &view).await;
    desktop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_full_disk_loses_nothing_and_the_thread_catches_up() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    };
    let model = ScriptedModel::start().await.unwrap();
    let folder = GitWorkspace::new().unwrap();
    let desktop = Desktop::open(options(&disk.data, &model, &folder))
        .await
        .unwrap();
    let workspace = desktop.workspace();
    workspace.ready().await.unwrap();
    let thread = workspace.create_thread(Default::default()).await.unwrap();
    let steps = "[[steps:[{\"repeat\":{\"unit\":\"0123456789\",\"count\":300},\"chunk_chars\":10,\"chunk_delay_ms\":10}]]]";
    let prompt = PromptInput {
        text: format!("write {steps}"),
        ..PromptInput::default()
    };
    workspace.prompt(&thread, prompt).await.unwrap();

    disk.fill();
    let refused = workspace
        .create_thread(Default::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, WorkspaceError::Unavailable(text) if text.contains("full")),
        "{refused:?}"
    );
    // OpenCode goes on meanwhile, to the end of its turn.
    let row = desktop.log().session(&key(&thread)).await.unwrap();
    let runtime = desktop.host().runtime().unwrap();
    let root = row.session.opencode_session_id.to_string();
    tokio::time::timeout(support::PATIENCE, async {
        loop {
            let messages = runtime.messages(&root).await.unwrap();
            if messages
                .last()
                .is_some_and(|message| message.info.time.completed.is_some())
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();

    disk.free();
    let mut caught_up = false;
    for _ in 0..300 {
        let view = desktop
            .log()
            .read(&key(&thread), |state| state.view.clone())
            .await
            .unwrap();
        if view.status == SessionStatus::Idle && !view.messages.is_empty() {
            let expected = history_of(&*runtime, &root, &folder.path().to_string_lossy()).await;
            assert_eq!(essence_of(&view), expected);
            assert_fold(&desktop, &thread, &view).await;
            caught_up = true;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(
        caught_up,
        "the thread catches up by itself when there is space again"
    );
    desktop.close().await;
}

/// A data folder on a disk of a few megabytes; OpenCode's home is elsewhere, so that only our log suffers.
struct SmallDisk {
    data: std::path::PathBuf,
    _folders: [tempfile::TempDir; 2],
}

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let data = folders[0].path().canonicalize().unwrap();
        let mounted = |arguments: &[&str]| {
            Command::new("mount")
                .args(arguments)
                .status()
                .is_ok_and(|s| s.success())
        };
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        if !mounted(&[
            "-t",
            "tmpfs",
            "-o",
            "size=6m,mode=0700",
            "tmpfs",
            &text(&data),
        ]) {
            return None;
        }
        let home = data.join("runtime-home");
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::PermissionsExt::set_mode(
            &mut home.metadata().unwrap().permissions(),
            0o700,
        );
        assert!(mounted(&["--bind", &text(folders[1].path()), &text(&home)]));
        Some(SmallDisk {
            data,
            _folders: folders,
        })
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut filler = std::fs::File::create(self.data.join("filler")).unwrap();
        let block = vec![0_u8; 4096];
        while filler.write_all(&block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.data.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        for folder in [self.data.join("runtime-home"), self.data.clone()] {
            let _ = Command::new("umount").arg("-l").arg(folder).status();
        }
    }
}
