//! One turn in the terminal: the same engine without a browser.

use crate::workspace::LocalWorkspace;
use futures::StreamExt as _;
use open_cowork_contracts::{EventType, JsonObject, SessionEventRecord, SessionId};
use open_cowork_workbench::{NewThread, PromptInput, ThreadUpdate, Workspace as _, WorkspaceError};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, Lines};

/// What to say, and where.
#[derive(Clone, Debug, Default)]
pub struct ChatOptions {
    /// The prompt.
    pub text: String,
    /// Go on in that chat; absent: a new one.
    pub thread: Option<SessionId>,
    /// Folder of a new chat; absent: the default.
    pub directory: Option<PathBuf>,
    /// Coworker.
    pub agent: Option<String>,
    /// Print each event as a line of JSON instead of text.
    pub json: bool,
}

/// How the turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Done,
    /// The provider or the runtime failed; the reason was printed.
    Failed,
    /// Stopped or interrupted.
    Stopped,
}

/// Streams one turn. Approvals and questions are asked on `input`; at its end everything is denied.
///
/// # Errors
/// The turn could not be started; nothing was sent.
pub async fn run<R: AsyncBufRead + Unpin + Send>(
    workspace: &LocalWorkspace,
    options: ChatOptions,
    input: R,
    output: &mut (dyn Write + Send),
) -> Result<Outcome, WorkspaceError> {
    let thread = match options.thread {
        Some(thread) => thread,
        None => {
            let directory = options.directory.map(|folder| folder.to_string_lossy().into_owned());
            workspace.create_thread(NewThread { directory }).await?
        }
    };
    let mut terminal = Terminal { workspace, thread, input: input.lines(), output, json: options.json, shown: HashMap::new(), tools: HashMap::new() };
    terminal.ask_trust().await?;
    let after = terminal.sequence().await?;
    let mut updates = workspace.follow_thread(&terminal.thread, after).await?;
    let prompt = PromptInput { text: options.text, agent: options.agent, ..PromptInput::default() };
    workspace.prompt(&terminal.thread, prompt).await?;
    let mut prompted = false;
    while let Some(update) = updates.next().await {
        let ThreadUpdate::Event(record) = update else { continue };
        prompted |= record.kind == EventType::PromptSubmitted;
        if let Some(outcome) = terminal.event(&record).await.filter(|_| prompted) {
            return Ok(outcome);
        }
    }
    Err(WorkspaceError::Unavailable("The program is being closed.".to_owned()))
}

struct Terminal<'a, R> {
    workspace: &'a LocalWorkspace,
    thread: SessionId,
    input: Lines<R>,
    output: &'a mut (dyn Write + Send),
    json: bool,
    /// Text printed of each message.
    shown: HashMap<String, String>,
    /// Status printed of each tool call.
    tools: HashMap<String, String>,
}

impl<R: AsyncBufRead + Unpin + Send> Terminal<'_, R> {
    /// A closed terminal ends nothing: the turn goes on and is in the log.
    fn say(&mut self, text: &str) {
        if !self.json {
            let _ = write!(self.output, "{text}");
            let _ = self.output.flush();
        }
    }

    async fn answer(&mut self, question: &str) -> Option<String> {
        self.say(question);
        let line = self.input.next_line().await.ok().flatten();
        if line.is_none() {
            self.say("\n");
        }
        line.map(|line| line.trim().to_owned())
    }

    async fn sequence(&self) -> Result<u64, WorkspaceError> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let read = Box::new(move |state: open_cowork_workbench::ThreadState<'_>| {
            let _ = send.send(state.sequence);
        });
        self.workspace.read_thread(&self.thread, read).await?;
        receive.await.map_err(|_| WorkspaceError::Internal("The chat could not be read.".to_owned()))
    }

    async fn ask_trust(&mut self) -> Result<(), WorkspaceError> {
        let trust = self.workspace.trust(&self.thread).await?;
        if trust.trusted {
            return Ok(());
        }
        let changed = if trust.changed { " changed since you trusted it and" } else { "" };
        self.say(&format!("The folder {}{changed} holds files that run as code when it is opened:\n", trust.directory));
        for file in &trust.files {
            self.say(&format!("  {}: {}\n", file.path, file.effect));
        }
        match self.answer("Trust exactly these files? [y/N] ").await.as_deref() {
            Some("y" | "Y" | "yes") => self.workspace.grant_trust(&self.thread, &trust.digest).await,
            _ => Err(WorkspaceError::TrustRequired("The folder was not trusted; nothing was started.".to_owned())),
        }
    }

    async fn event(&mut self, record: &SessionEventRecord) -> Option<Outcome> {
        if self.json
            && let Ok(line) = serde_json::to_string(record)
        {
            let _ = writeln!(self.output, "{line}");
        }
        let payload = &record.payload;
        match &record.kind {
            EventType::AssistantMessage => self.text(payload),
            EventType::ToolCall => self.tool(payload),
            EventType::TaskRun => self.task(payload),
            EventType::TodosUpdated => self.todos(payload),
            EventType::PermissionRequested => self.permission(payload).await,
            EventType::QuestionAsked => self.question(payload).await,
            EventType::SessionIdle => {
                self.say("\n");
                return Some(Outcome::Done);
            }
            EventType::RuntimeError => {
                self.say(&format!("\nThe turn failed: {}\n", text(payload, "message")));
                return Some(Outcome::Failed);
            }
            EventType::SessionAborted => {
                let reason = match text(payload, "message") {
                    "" => text(payload, "reason"),
                    message => message,
                };
                self.say(&format!("\nStopped ({reason}); everything above is kept.\n"));
                return Some(Outcome::Stopped);
            }
            _ => {}
        }
        None
    }

    fn text(&mut self, payload: &JsonObject) {
        let (id, content) = (text(payload, "messageId").to_owned(), text(payload, "content"));
        let shown = self.shown.entry(id).or_default();
        let new = if text(payload, "mode") == "append" {
            shown.push_str(content);
            content.to_owned()
        } else {
            let new = match content.strip_prefix(shown.as_str()) {
                Some(rest) => rest.to_owned(),
                None => format!("\n{content}"),
            };
            *shown = content.to_owned();
            new
        };
        self.say(&new);
    }

    fn tool(&mut self, payload: &JsonObject) {
        let (id, status) = (text(payload, "id").to_owned(), text(payload, "status").to_owned());
        let subject = text(payload, "subject");
        if subject.is_empty() || self.tools.get(&id) == Some(&status) {
            return;
        }
        let name = text(payload, "name");
        let line = match status.as_str() {
            "running" => format!("\n· {name} {subject}\n"),
            "complete" => format!("· {name} done\n"),
            _ => format!("· {name} failed: {}\n", text(payload, "error")),
        };
        self.tools.insert(id, status);
        self.say(&line);
    }

    fn task(&mut self, payload: &JsonObject) {
        match (text(payload, "title"), text(payload, "status")) {
            ("", "") => {}
            ("", status) => self.say(&format!("  sub-agent: {status}\n")),
            (title, _) => self.say(&format!("\n  sub-agent: {title}\n")),
        }
    }

    fn todos(&mut self, payload: &JsonObject) {
        let todos = payload.get("todos").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut lines = String::from("\n");
        for todo in todos.iter().filter_map(Value::as_object) {
            let mark = match text(todo, "status") {
                "completed" => "x",
                "in_progress" => ">",
                "cancelled" => "-",
                _ => " ",
            };
            lines.push_str(&format!("  [{mark}] {}\n", text(todo, "content")));
        }
        self.say(&lines);
    }

    async fn permission(&mut self, payload: &JsonObject) {
        let subject = match text(payload, "subject") {
            "" => text(payload, "description"),
            subject => subject,
        };
        self.say(&format!("\nThe agent wants to use {}:\n    {subject}\n", text(payload, "tool")));
        let answer = self.answer("Allow once? [y/N, or a reason against it] ").await;
        let id = text(payload, "permissionId").to_owned();
        let (allow, reason) = match answer.as_deref() {
            Some("y" | "Y" | "yes") => (true, None),
            Some("" | "n" | "N" | "no") | None => (false, None),
            Some(reason) => (false, Some(reason.to_owned())),
        };
        if let Err(error) = self.workspace.answer_approval(&self.thread, &id, allow, reason).await {
            self.say(&format!("{error}\n"));
        }
    }

    async fn question(&mut self, payload: &JsonObject) {
        let questions = payload.get("questions").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut answers = Vec::new();
        for question in questions.iter().filter_map(Value::as_object) {
            let options = question.get("options").and_then(Value::as_array).cloned().unwrap_or_default();
            let labels: Vec<String> =
                options.iter().filter_map(Value::as_object).map(|option| text(option, "label").to_owned()).collect();
            let mut lines = format!("\n{}\n", text(question, "question"));
            for (index, label) in labels.iter().enumerate() {
                lines.push_str(&format!("  {}. {label}\n", index + 1));
            }
            self.say(&lines);
            let Some(answer) = self.answer("Number, own words, or nothing to skip: ").await.filter(|a| !a.is_empty())
            else {
                return self.answered(payload, None).await;
            };
            let chosen = answer.split(',').map(str::trim).map(|part| {
                let index = part.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                index.and_then(|index| labels.get(index).cloned()).unwrap_or_else(|| part.to_owned())
            });
            answers.push(chosen.collect());
        }
        self.answered(payload, Some(answers)).await;
    }

    async fn answered(&mut self, payload: &JsonObject, answers: Option<Vec<Vec<String>>>) {
        let id = text(payload, "requestId");
        if let Err(error) = self.workspace.answer_question(&self.thread, id, answers).await {
            self.say(&format!("{error}\n"));
        }
    }
}

fn text<'a>(object: &'a JsonObject, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}
