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
    let prompt = PromptInput {
        text: options.text,
        agent: options.agent,
        ..PromptInput::default()
    };
    workspace.check_prompt(&prompt)?;
    let thread = match options.thread {
        Some(thread) => thread,
        None => {
            // No empty chat stays behind when OpenCode can't be started.
            workspace.ready().await?;
            let directory = options
                .directory
                .map(|folder| folder.to_string_lossy().into_owned());
            workspace.create_thread(NewThread { directory }).await?
        }
    };
    let mut terminal = Terminal {
        workspace,
        thread,
        input: input.lines(),
        output,
        closed: false,
        json: options.json,
        shown: HashMap::new(),
        tools: HashMap::new(),
    };
    terminal.ask_trust().await?;
    let after = terminal.sequence().await?;
    let mut updates = workspace.follow_thread(&terminal.thread, after).await?;
    workspace.prompt(&terminal.thread, prompt).await?;
    let mut prompted = false;
    while let Some(update) = updates.next().await {
        let ThreadUpdate::Event(record) = update else {
            continue;
        };
        prompted |= record.kind == EventType::PromptSubmitted;
        if let Some(outcome) = terminal.event(&record).await.filter(|_| prompted) {
            return Ok(outcome);
        }
    }
    Err(WorkspaceError::Unavailable(
        "The program is being closed.".to_owned(),
    ))
}

struct Terminal<'a, R> {
    workspace: &'a LocalWorkspace,
    thread: SessionId,
    input: Lines<R>,
    output: &'a mut (dyn Write + Send),
    /// Nobody reads the output any more.
    closed: bool,
    json: bool,
    /// Text printed of each message.
    shown: HashMap<String, String>,
    /// Status printed of each tool call.
    tools: HashMap<String, String>,
}

impl<R: AsyncBufRead + Unpin + Send> Terminal<'_, R> {
    /// A closed terminal ends nothing: the turn goes on and is in the log. What comes from the agent can't move
    /// the cursor or change what is on the screen.
    fn say(&mut self, text: &str) {
        if !self.json {
            self.write(&printable(text));
        }
    }

    fn write(&mut self, text: &str) {
        let written = self
            .output
            .write_all(text.as_bytes())
            .and_then(|()| self.output.flush());
        self.closed |= written.is_err();
    }

    /// A line of input; `None` at its end, and when nobody can see the question.
    async fn answer(&mut self, question: &str) -> Option<String> {
        self.say(question);
        if self.closed {
            return None;
        }
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
        receive
            .await
            .map_err(|_| WorkspaceError::Internal("The chat could not be read.".to_owned()))
    }

    async fn ask_trust(&mut self) -> Result<(), WorkspaceError> {
        let trust = self.workspace.trust(&self.thread).await?;
        if trust.trusted {
            return Ok(());
        }
        let changed = if trust.changed {
            " changed since you trusted it and"
        } else {
            ""
        };
        self.say(&format!(
            "The folder {}{changed} holds files that run as code when it is opened:\n",
            trust.directory
        ));
        for file in &trust.files {
            self.say(&format!("  {}: {}\n", exact(&file.path), file.effect));
        }
        match self
            .answer("Trust exactly these files? [y/N] ")
            .await
            .as_deref()
        {
            Some("y" | "Y" | "yes") => {
                self.workspace
                    .grant_trust(&self.thread, &trust.digest)
                    .await
            }
            _ => Err(WorkspaceError::TrustRequired(
                "The folder was not trusted; nothing was started.".to_owned(),
            )),
        }
    }

    async fn event(&mut self, record: &SessionEventRecord) -> Option<Outcome> {
        if self.json
            && let Ok(line) = serde_json::to_string(record)
        {
            self.write(&format!("{line}\n"));
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
                self.say(&format!(
                    "\nThe turn failed: {}\n",
                    text(payload, "message")
                ));
                return Some(Outcome::Failed);
            }
            EventType::SessionAborted => {
                let reason = match text(payload, "message") {
                    "" => text(payload, "reason"),
                    message => message,
                };
                self.say(&format!(
                    "\nStopped ({reason}); everything above is kept.\n"
                ));
                return Some(Outcome::Stopped);
            }
            _ => {}
        }
        None
    }

    fn text(&mut self, payload: &JsonObject) {
        let (id, content) = (
            text(payload, "messageId").to_owned(),
            text(payload, "content"),
        );
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
        let (id, status) = (
            text(payload, "id").to_owned(),
            text(payload, "status").to_owned(),
        );
        let subject = text(payload, "subject");
        if subject.is_empty() || self.tools.get(&id) == Some(&status) {
            return;
        }
        let name = text(payload, "name");
        let line = match status.as_str() {
            "running" => format!("\n· {name} {}\n", exact(subject)),
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
        let todos = payload
            .get("todos")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
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
        let tool = exact(text(payload, "tool"));
        self.say(&format!(
            "\nThe agent wants to use {tool}:\n    {}\n",
            exact(subject)
        ));
        let answer = self
            .answer("Allow once? [y/N, or a reason against it] ")
            .await;
        let id = text(payload, "permissionId").to_owned();
        let (allow, reason) = match answer.as_deref() {
            Some("y" | "Y" | "yes") => (true, None),
            Some("" | "n" | "N" | "no") | None => (false, None),
            Some(reason) => (false, Some(reason.to_owned())),
        };
        if let Err(error) = self
            .workspace
            .answer_approval(&self.thread, &id, allow, reason)
            .await
        {
            self.say(&format!("{error}\n"));
        }
    }

    async fn question(&mut self, payload: &JsonObject) {
        let questions = payload
            .get("questions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut answers = Vec::new();
        for question in questions.iter().filter_map(Value::as_object) {
            let options = question
                .get("options")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let labels: Vec<String> = options
                .iter()
                .filter_map(Value::as_object)
                .map(|option| text(option, "label").to_owned())
                .collect();
            let mut lines = format!("\n{}\n", text(question, "question"));
            for (index, label) in labels.iter().enumerate() {
                lines.push_str(&format!("  {}. {label}\n", index + 1));
            }
            self.say(&lines);
            let Some(answer) = self
                .answer("Number, own words, or nothing to skip: ")
                .await
                .filter(|a| !a.is_empty())
            else {
                return self.answered(payload, None).await;
            };
            let chosen = answer.split(',').map(str::trim).map(|part| {
                let index = part
                    .parse::<usize>()
                    .ok()
                    .and_then(|number| number.checked_sub(1));
                index
                    .and_then(|index| labels.get(index).cloned())
                    .unwrap_or_else(|| part.to_owned())
            });
            answers.push(chosen.collect());
        }
        self.answered(payload, Some(answers)).await;
    }

    async fn answered(&mut self, payload: &JsonObject, answers: Option<Vec<Vec<String>>>) {
        let id = text(payload, "requestId");
        if let Err(error) = self
            .workspace
            .answer_question(&self.thread, id, answers)
            .await
        {
            self.say(&format!("{error}\n"));
        }
    }
}

/// Text of the agent for a terminal: no escape sequence, no carriage return, no other control character.
fn printable(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(visible).collect()
}

/// What a person decides about, exactly: control characters and those that reverse or hide text are spelled out,
/// and a further line can't look like one of ours.
fn exact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\n    "),
            '\t' => shown.push('\t'),
            c if c.is_control() => shown.extend(c.escape_unicode()),
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                shown.extend(c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

fn text<'a>(object: &'a JsonObject, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_can_not_paint_over_itself_or_look_like_our_own_words() {
        let subject = "rm -rf ~\r\u{1b}[2K\u{1b}[1Aecho hello\u{202e}txt\nAllow once? [y/N] y";
        assert_eq!(
            exact(subject),
            "rm -rf ~\\u{d}\\u{1b}[2K\\u{1b}[1Aecho hello\\u{202e}txt\n    Allow once? [y/N] y"
        );
        assert_eq!(
            printable("a\u{1b}]0;title\u{7}b\u{9b}2J\tc\n"),
            "a\u{fffd}]0;title\u{fffd}b\u{fffd}2J\tc\n"
        );
        assert_eq!(printable("مرحبا 👩‍👩‍👧 é"), "مرحبا 👩‍👩‍👧 é");
    }
}
