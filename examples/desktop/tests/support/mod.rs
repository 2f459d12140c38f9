//! A desktop on a real OpenCode with the scripted model, and the comparison with OpenCode's own history.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // each test binary uses a part

use futures::StreamExt as _;
use open_cowork_contracts::view::Role;
use open_cowork_contracts::{EventType, JsonObject, SessionEventRecord, SessionId, View};
use open_cowork_desktop::{Desktop, DesktopOptions, LocalWorkspace};
use open_cowork_opencode::OpenCodeRuntime;
use open_cowork_opencode::model::{MessageWithParts, PartBody, Role as RuntimeRole};
use open_cowork_projection::sanitize::{Redactor, sanitize_event};
use open_cowork_providers::store::SessionKey;
use open_cowork_runtime_host::launch::Launcher;
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::workspace::GitWorkspace;
use open_cowork_workbench::{NewThread, PromptInput, ThreadUpdate, Workspace};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The program under test; also the launcher of OpenCode.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_open-cowork-desktop-example");

/// Nothing in these tests takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Rig {
    pub model: ScriptedModel,
    pub desktop: Desktop,
    pub workspace: Arc<LocalWorkspace>,
    pub folder: GitWorkspace,
    pub data: tempfile::TempDir,
}

pub fn opencode() -> PathBuf {
    open_cowork_testkit::opencode::provision().expect("the pinned OpenCode can be provisioned")
}

pub fn options(data: &Path, model: &ScriptedModel, folder: &GitWorkspace) -> DesktopOptions {
    let mut options = DesktopOptions::new(data);
    options.opencode = Some(opencode());
    options.demo_endpoint = Some(model.base_url());
    options.workspace = Some(folder.path());
    options.launcher = Launcher::Program(PROGRAM.into());
    options
}

impl Rig {
    pub async fn start() -> Rig {
        Rig::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut DesktopOptions)) -> Rig {
        let model = ScriptedModel::start().await.unwrap();
        let folder = GitWorkspace::new().unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut options = options(data.path(), &model, &folder);
        change(&mut options);
        let desktop = Desktop::open(options).await.unwrap();
        let workspace = desktop.workspace();
        workspace.ready().await.unwrap();
        Rig {
            model,
            desktop,
            workspace,
            folder,
            data,
        }
    }

    pub async fn thread(&self) -> SessionId {
        self.workspace
            .create_thread(NewThread::default())
            .await
            .unwrap()
    }

    pub async fn prompt(&self, thread: &SessionId, text: &str) {
        let prompt = PromptInput {
            text: text.to_owned(),
            ..PromptInput::default()
        };
        self.workspace.prompt(thread, prompt).await.unwrap();
    }

    /// A prompt, followed to its end; `react` answers what is asked.
    pub async fn turn<F, Fut>(
        &self,
        thread: &SessionId,
        text: &str,
        mut react: F,
    ) -> Vec<SessionEventRecord>
    where
        F: FnMut(SessionEventRecord) -> Fut,
        Fut: Future<Output = ()>,
    {
        let after = self.sequence(thread).await;
        let mut updates = self.workspace.follow_thread(thread, after).await.unwrap();
        self.prompt(thread, text).await;
        let mut seen = Vec::new();
        let follow = async {
            while let Some(update) = updates.next().await {
                let ThreadUpdate::Event(record) = update else {
                    panic!("a fresh cursor is never reset")
                };
                let ended = is_ending(&record);
                seen.push((*record).clone());
                react((*record).clone()).await;
                if ended {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, follow).await.is_err() {
            panic!(
                "the turn {text:?} did not end; seen: {:#?}",
                seen.iter().map(|e| e.kind.to_string()).collect::<Vec<_>>()
            );
        }
        seen
    }

    pub async fn plain_turn(&self, thread: &SessionId, text: &str) -> Vec<SessionEventRecord> {
        self.turn(thread, text, |_| async {}).await
    }

    pub async fn sequence(&self, thread: &SessionId) -> u64 {
        self.desktop
            .log()
            .read(&key(thread), |state| state.sequence)
            .await
            .unwrap()
    }

    pub async fn view(&self, thread: &SessionId) -> View {
        self.desktop.log().flush(&key(thread)).await.unwrap();
        self.desktop
            .log()
            .read(&key(thread), |state| state.view.clone())
            .await
            .unwrap()
    }

    /// The view equals OpenCode's own history, sub-agents included (decision 9).
    pub async fn assert_equals_history(&self, thread: &SessionId) {
        let row = self.desktop.log().session(&key(thread)).await.unwrap();
        let root = row.session.opencode_session_id.as_str().to_owned();
        let runtime = self.desktop.host().runtime().unwrap();
        let view = self.view(thread).await;
        let folder = row.directory.unwrap();
        let expected = history_of(&*runtime, &root, &folder).await;
        let found = essence_of(&view);
        assert_eq!(found, expected, "thread {thread}");
        assert_fold(&self.desktop, thread, &view).await;
    }
}

/// The stored view equals the fold of the log, and the log has no gap and no duplicate.
pub async fn assert_fold(desktop: &Desktop, thread: &SessionId, view: &View) {
    let status = desktop.log().status(&key(thread)).await.unwrap();
    assert_eq!(
        status.event_count, status.latest_event_sequence,
        "dense sequences"
    );
    desktop.log().repair(&key(thread)).await.unwrap();
    let folded = desktop
        .log()
        .read(&key(thread), |state| state.view.clone())
        .await
        .unwrap();
    assert_eq!(&folded, view, "the view is the fold of the log");
}

pub fn key(thread: &SessionId) -> SessionKey {
    SessionKey::new("local", thread.clone())
}

pub fn is_ending(record: &SessionEventRecord) -> bool {
    matches!(
        record.kind,
        EventType::SessionIdle | EventType::SessionAborted | EventType::RuntimeError
    )
}

pub fn kinds(events: &[SessionEventRecord]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// Processes of this machine whose environment or arguments name that folder, as an OpenCode home does.
pub fn processes_of(data: &Path) -> Vec<(u32, String)> {
    let needle = data
        .canonicalize()
        .unwrap_or_else(|_| data.to_owned())
        .to_string_lossy()
        .into_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let read =
                |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            let ours = arguments.contains(&needle) || environment.contains(&needle);
            ours.then_some((pid, arguments))
        })
        .collect()
}

/// What nobody can catch.
pub fn kill_hard(pid: u32) {
    assert!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Waits for a condition that must come true.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}");
}

fn relative(text: &str, folder: &str) -> String {
    text.replace(&format!("{folder}/"), "").replace(folder, ".")
}

fn clean(kind: EventType, key: &str, value: Value, folder: &str) -> Value {
    let text: Value = serde_json::from_str(&relative(&value.to_string(), folder)).unwrap();
    let mut payload = JsonObject::new();
    payload.insert(key.to_owned(), text);
    sanitize_event(&Redactor::default(), &kind, payload)
        .shift_remove(key)
        .unwrap_or(Value::Null)
}

struct Lane {
    texts: Vec<Value>,
    tools: Vec<Value>,
    cost: f64,
}

fn lane(messages: &[MessageWithParts], folder: &str) -> Lane {
    let mut lane = Lane {
        texts: Vec::new(),
        tools: Vec::new(),
        cost: 0.0,
    };
    for message in messages {
        let user = message.info.role == RuntimeRole::User;
        let mut text = String::new();
        for part in &message.parts {
            match &part.body {
                PartBody::Text {
                    text: piece,
                    synthetic,
                    ..
                } if *synthetic != Some(true) && !message.info.is_summary() => {
                    text.push_str(piece);
                }
                PartBody::Tool {
                    tool,
                    call_id,
                    state,
                    ..
                } => {
                    let status = match state.status.as_str() {
                        "completed" => "complete",
                        "error" => "error",
                        _ => "running",
                    };
                    let input = state.input.clone().unwrap_or(json!({}));
                    let output = state.output.clone().unwrap_or(Value::Null);
                    lane.tools.push(json!([
                        call_id,
                        tool,
                        status,
                        clean(EventType::ToolCall, "input", input, folder),
                        clean(EventType::ToolCall, "output", output, folder),
                    ]));
                }
                PartBody::StepFinish {
                    cost: Some(cost), ..
                } => lane.cost += cost.as_f64().unwrap(),
                _ => {}
            }
        }
        if !text.is_empty() {
            lane.texts.push(json!([
                message.info.id,
                if user { "user" } else { "assistant" },
                text
            ]));
        }
    }
    lane.tools.sort_by_key(ToString::to_string);
    lane
}

pub async fn history_of(runtime: &dyn OpenCodeRuntime, root: &str, folder: &str) -> Value {
    let main = lane(&runtime.messages(root).await.unwrap(), folder);
    let mut cost = main.cost;
    let mut tasks = Vec::new();
    for child in runtime.children(root).await.unwrap() {
        let child_lane = lane(&runtime.messages(&child.id).await.unwrap(), folder);
        cost += child_lane.cost;
        let texts: Vec<Value> = child_lane
            .texts
            .into_iter()
            .filter(|text| text[1] == "assistant")
            .collect();
        tasks.push(json!([
            format!("child:{}", child.id),
            texts,
            child_lane.tools
        ]));
    }
    tasks.sort_by_key(ToString::to_string);
    let todos = runtime.todos(root).await.unwrap();
    json!({ "messages": main.texts, "tools": main.tools, "tasks": tasks, "todos": todos, "cost": (cost * 1e9).round() })
}

pub fn essence_of(view: &View) -> Value {
    let tool = |tool: &open_cowork_contracts::view::ToolCall| {
        json!([tool.id, tool.name, tool.status, tool.input, tool.output])
    };
    let messages: Vec<Value> = view
        .messages
        .iter()
        .filter(|message| !message.content.is_empty())
        .map(|message| {
            let role = if message.role == Role::User {
                "user"
            } else {
                "assistant"
            };
            let id = match message.id.strip_suffix(":user") {
                Some(command) => format!("msg_{command}"),
                None => message.id.clone(),
            };
            json!([id, role, message.content])
        })
        .collect();
    let mut tools: Vec<Value> = view.tool_calls.iter().map(tool).collect();
    tools.sort_by_key(ToString::to_string);
    let mut tasks: Vec<Value> = view
        .task_runs
        .iter()
        .map(|task| {
            let texts: Vec<Value> = task
                .transcript
                .iter()
                .map(|piece| json!([piece["id"], "assistant", piece["content"]]))
                .collect();
            let mut tools: Vec<Value> = task.tool_calls.iter().map(tool).collect();
            tools.sort_by_key(ToString::to_string);
            json!([task.id, texts, tools])
        })
        .collect();
    tasks.sort_by_key(ToString::to_string);
    json!({
        "messages": messages, "tools": tools, "tasks": tasks, "todos": view.todos,
        "cost": (view.session_cost.0 * 1e9).round(),
    })
}
