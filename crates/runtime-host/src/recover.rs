//! Gap recovery (08 §12): OpenCode's streams have no replay, so after any break the host reads what
//! OpenCode has stored, compares it with the stored view, and emits exactly what is missing.
//!
//! The comparison is that of decision 9: roles, texts of finished parts, tools (name, input, status,
//! output), todos, cost, status; `summary` messages and `synthetic` parts are left out on both sides. What
//! is finished gets the event id that the live translation gives it, so recovering twice adds nothing
//! (decision 10).

use crate::message_id;
use crate::translate::{
    Ask, AskKind, Lane, LastAnswer, PartKind, Pulse, Task, ToolEntry, ToolPhase, Translator,
    error_message, iso, todo_list, tool_error,
};
use open_cowork_contracts::view::{Role as ViewRole, TaskRun, TaskStatus, ToolCall, ToolStatus};
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, SessionStatus, View};
use open_cowork_opencode::model::{
    MessageWithParts, Part, PartBody, PermissionRequest, QuestionRequest, Role, SessionInfo,
    ToolState,
};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// What OpenCode has stored of one runtime session.
#[derive(Clone, Debug)]
pub struct SessionHistory {
    /// The session.
    pub info: SessionInfo,
    /// Its messages, oldest first.
    pub messages: Vec<MessageWithParts>,
    /// Its todo list.
    pub todos: Vec<Value>,
    /// A turn runs.
    pub busy: bool,
}

/// What OpenCode has stored of a thread: the root and the whole tree below it.
#[derive(Clone, Debug)]
pub struct History {
    /// The root session.
    pub root: SessionHistory,
    /// All descendants, parents before their children.
    pub children: Vec<SessionHistory>,
    /// Pending approvals of the directory.
    pub permissions: Vec<PermissionRequest>,
    /// Pending questions of the directory.
    pub questions: Vec<QuestionRequest>,
}

/// What the log makes of a payload before it stores it.
pub type Sanitize<'a> = dyn Fn(&EventType, JsonObject) -> JsonObject + Send + Sync + 'a;

impl Translator {
    /// Compares OpenCode's history with the stored view and gives the missing events. `sequence` is that of
    /// the view. Afterwards the translator stands exactly behind the history: frames that are already
    /// reflected in it change nothing when they are applied again.
    ///
    /// When no turn runs any more but the view says so, the ending is *held* ([`Translator::is_held`]) until
    /// [`Translator::confirm`].
    pub fn recover(
        &mut self,
        history: &History,
        view: &View,
        sequence: u64,
        sanitize: &Sanitize<'_>,
    ) -> Vec<RuntimeEvent> {
        let shown = Shown::of(view);
        self.reset(view);
        let mut events = Vec::new();
        // A thread that has a title keeps it: it may be the user's own. OpenCode's is remembered, so that only a new
        // one counts as a change.
        self.set_title(None);
        let titled = self.rename(&history.root.info);
        events.extend(titled.filter(|_| view.title == "New session"));
        let mut recovery = Recovery {
            history,
            shown,
            sanitize,
            done: Vec::new(),
        };
        recovery.lane(self, &history.root, &mut events);
        for child in &history.children {
            recovery.child(self, child, &mut events);
        }
        recovery.costs(self, view, &mut events);
        self.recover_asks(history, &mut events);
        self.recover_status(history, view, &mut events);
        for (index, event) in events.iter_mut().enumerate() {
            if event.event_id.is_none() {
                let id = format!("opencode:{}:recovery:{sequence}:{index}", self.root());
                event.event_id = Some(id.into());
            }
        }
        events
    }

    /// The ending of a turn that the view shows as running, when OpenCode can't be asked any more: what was
    /// shown stays, calls and tasks that still run end as errors, asks are withdrawn (decision 7). Nothing when the
    /// view shows no running turn.
    pub fn interrupt_view(&mut self, view: &View, sequence: u64) -> Vec<RuntimeEvent> {
        let waiting = !view.pending_approvals.is_empty() || !view.pending_questions.is_empty();
        if view.status != SessionStatus::Running && !waiting {
            return Vec::new();
        }
        self.reset(view);
        let root = self.root().to_owned();
        self.seed_tools(&root, &view.tool_calls);
        for task in &view.task_runs {
            let Some(session) = task.source_session_id.clone() else {
                continue;
            };
            self.seed_child(&session, seed_task(task, task.parent_session_id.clone()));
            self.seed_tools(&session, &task.tool_calls);
        }
        self.mark_held();
        let mut events = self.interrupt("interrupted");
        for (index, event) in events.iter_mut().enumerate() {
            event.event_id = Some(format!("opencode:{root}:interrupted:{sequence}:{index}").into());
        }
        events
    }

    /// The confirming read at the end of a turn (08 §12): late states of the last message, then the ending.
    pub fn confirm(&mut self, last: &[MessageWithParts]) -> Vec<RuntimeEvent> {
        let mut events = Vec::new();
        for message in last {
            events.extend(self.apply_message(message));
        }
        let unfinished = match last.last() {
            Some(message) if message.info.role == Role::Assistant => {
                message.info.error.is_none() && message.info.time.completed.is_none()
            }
            // A prompt without an answer: OpenCode died before, unless it said why there is none.
            Some(_) => !self.root_failed(),
            None => false,
        };
        events.extend(if unfinished {
            self.interrupt("interrupted")
        } else {
            self.settle()
        });
        events
    }

    fn recover_asks(&mut self, history: &History, events: &mut Vec<RuntimeEvent>) {
        let gone: Vec<String> = self
            .pending_asks()
            .map(|(id, _, _)| id)
            .filter(|id| {
                !history.permissions.iter().any(|ask| ask.id == **id)
                    && !history.questions.iter().any(|ask| ask.id == **id)
            })
            .map(str::to_owned)
            .collect();
        for id in gone {
            let stable = format!("opencode:{id}:withdrawn");
            events.extend(self.withdraw(&id).map(|event| event.with_id(stable)));
        }
        // After an abort OpenCode keeps asks that nobody waits for (08 §9.5): only a running session asks.
        let busy = |session: &str| {
            std::iter::once(&history.root)
                .chain(&history.children)
                .any(|lane| lane.info.id == session && lane.busy)
        };
        for ask in history
            .permissions
            .iter()
            .filter(|ask| busy(&ask.session_id))
        {
            events.extend(self.ask_permission(ask));
        }
        for ask in history.questions.iter().filter(|ask| busy(&ask.session_id)) {
            events.extend(self.ask_question(ask));
        }
    }

    fn recover_status(&mut self, history: &History, view: &View, events: &mut Vec<RuntimeEvent>) {
        if history.root.busy {
            if view.status != SessionStatus::Running
                || events.iter().any(|event| is_answer(&event.kind))
            {
                events.push(self.status_event("busy"));
            }
            self.mark_running();
            return;
        }
        let wakes = events.iter().any(|event| {
            matches!(
                event.kind,
                EventType::ToolCall | EventType::PermissionRequested | EventType::QuestionAsked
            )
        });
        if view.status != SessionStatus::Running && !wakes {
            self.mark_idle();
            return;
        }
        // OpenCode's idle comes early: the ending waits for the confirming read, as it does live.
        self.mark_held();
    }
}

fn is_answer(kind: &EventType) -> bool {
    matches!(
        kind,
        EventType::PermissionResolved | EventType::QuestionResolved
    )
}

/// The last answer to the last prompt, if there is one.
fn last_answer(messages: &[MessageWithParts]) -> Option<&MessageWithParts> {
    messages
        .last()
        .filter(|message| message.info.role == Role::Assistant)
}

/// What the stored view shows, by id.
struct Shown<'a> {
    view: &'a View,
    texts: HashMap<(&'a str, &'a str), &'a str>,
    tools: HashMap<(&'a str, &'a str), &'a ToolCall>,
    /// Prompts by what OpenCode's message id ends with: the command itself, or its digest.
    prompts: HashSet<String>,
}

/// Key of the root in [`Shown`].
const ROOT: &str = "";

impl<'a> Shown<'a> {
    fn of(view: &'a View) -> Self {
        let mut texts = HashMap::new();
        let mut tools = HashMap::new();
        for message in view
            .messages
            .iter()
            .filter(|message| message.role == ViewRole::Assistant)
        {
            texts.insert((ROOT, message.id.as_str()), message.content.as_str());
        }
        for tool in &view.tool_calls {
            tools.insert((ROOT, tool.id.as_str()), tool);
        }
        for task in &view.task_runs {
            for piece in &task.transcript {
                if let (Some(id), Some(content)) = (
                    piece.get("id").and_then(Value::as_str),
                    piece.get("content").and_then(Value::as_str),
                ) {
                    texts.insert((task.id.as_str(), id), content);
                }
            }
            for tool in &task.tool_calls {
                tools.insert((task.id.as_str(), tool.id.as_str()), tool);
            }
        }
        let mut prompts = HashSet::new();
        for message in view
            .messages
            .iter()
            .filter(|message| message.role == ViewRole::User)
        {
            prompts.insert(message.id.clone());
            if let Some(command) = message.id.strip_suffix(":user") {
                prompts.insert(format!("{}{command}", message_id::PREFIX));
                if !message_id::is_message_form(command) {
                    prompts.insert(message_id::tail_of(command));
                }
            }
        }
        Shown {
            view,
            texts,
            tools,
            prompts,
        }
    }

    fn text(&self, task: &str, message: &str) -> Option<&'a str> {
        self.texts.get(&(task, message)).copied()
    }

    fn has_prompt(&self, message: &str) -> bool {
        let tail = message
            .strip_prefix(message_id::PREFIX)
            .filter(|rest| message_id::is_message_form(rest))
            .map(|rest| &rest[rest.len() - 14..]);
        self.prompts.contains(message) || tail.is_some_and(|tail| self.prompts.contains(tail))
    }
}

struct Recovery<'a> {
    history: &'a History,
    shown: Shown<'a>,
    sanitize: &'a Sanitize<'a>,
    /// Children already told.
    done: Vec<String>,
}

impl Recovery<'_> {
    /// A child: its task, then its messages. A child that a `task` call names comes at that call.
    fn child(
        &mut self,
        translator: &mut Translator,
        child: &SessionHistory,
        events: &mut Vec<RuntimeEvent>,
    ) {
        if self.done.contains(&child.info.id) {
            return;
        }
        self.done.push(child.info.id.clone());
        let id = format!("child:{}", child.info.id);
        let known = self.shown.view.task_runs.iter().find(|task| task.id == id);
        if let Some(task) = known {
            translator.seed_child(
                &child.info.id,
                seed_task(task, child.info.parent_id.clone()),
            );
        }
        events.extend(translator.apply_session(&child.info));
        self.lane(translator, child, events);
        let answer = last_answer(&child.messages);
        let error = answer
            .and_then(|answer| answer.info.error.as_ref())
            .map(error_message);
        let status = match answer {
            _ if child.busy => "running",
            Some(_) if error.is_some() => "error",
            Some(answer) if answer.info.time.completed.is_some() => "complete",
            // Cut short: the ending of the turn marks it.
            _ => return,
        };
        // A verdict of the parent's `task` call stands: a child may end well and its task fail.
        let settled = known
            .is_some_and(|task| matches!(task.status, TaskStatus::Complete | TaskStatus::Error));
        if !settled || child.busy {
            events.extend(translator.set_task_status(&child.info.id, status, error.as_deref()));
        }
    }

    fn lane(
        &mut self,
        translator: &mut Translator,
        lane: &SessionHistory,
        events: &mut Vec<RuntimeEvent>,
    ) {
        let session = lane.info.id.as_str();
        let task = translator.task_id(session).unwrap_or_default();
        for message in &lane.messages {
            translator.register_message(&message.info);
            if message.info.role == Role::User {
                if session == translator.root() {
                    events.extend(self.foreign_prompt(translator, message));
                }
                continue;
            }
            self.text(translator, &task, lane.busy, message, events);
            for part in &message.parts {
                match &part.body {
                    PartBody::Tool {
                        tool,
                        call_id,
                        state,
                        ..
                    } => {
                        self.tool(translator, &task, part, tool, call_id, state, events);
                    }
                    PartBody::Reasoning { .. } => {
                        translator.register_part(part, PartKind::Hidden, "", false);
                    }
                    _ => {}
                }
            }
        }
        let todos = todo_list(&lane.todos);
        let shown = if task.is_empty() {
            Some(&self.shown.view.todos)
        } else {
            self.shown
                .view
                .task_runs
                .iter()
                .find(|run| run.id == task)
                .map(|run| &run.todos)
        };
        let shown = shown.map(|todos| json!(todos)).unwrap_or_else(|| json!([]));
        translator.seed_todos(session, shown);
        events.extend(translator.todo_event(session, &todos));
    }

    /// A prompt that came from elsewhere: shown as what it is, the user's.
    fn foreign_prompt(
        &self,
        translator: &Translator,
        message: &MessageWithParts,
    ) -> Option<RuntimeEvent> {
        if self.shown.has_prompt(&message.info.id) {
            return None;
        }
        let texts: Vec<&str> = message
            .parts
            .iter()
            .filter_map(|part| match &part.body {
                PartBody::Text {
                    text,
                    synthetic,
                    ignored,
                    ..
                } if *synthetic != Some(true) && *ignored != Some(true) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        if texts.is_empty() {
            return None; // a compaction marker
        }
        let payload = json!({ "messageId": message.info.id, "text": texts.join("\n") });
        let id = format!(
            "opencode:{}:{}:prompt",
            message.info.session_id, message.info.id
        );
        Some(
            translator
                .thread_event(EventType::PromptSubmitted, payload)
                .with_id(id),
        )
    }

    /// The text of an answer. Finished parts are OpenCode's; of an open part stays what was shown.
    fn text(
        &self,
        translator: &mut Translator,
        task: &str,
        busy: bool,
        message: &MessageWithParts,
        events: &mut Vec<RuntimeEvent>,
    ) {
        let finished = message.info.error.is_some() || message.info.time.completed.is_some();
        let shown = self.shown.text(task, &message.info.id);
        let mut closed = String::new();
        let mut open = None;
        let mut last = None;
        for part in &message.parts {
            let PartBody::Text {
                text,
                synthetic,
                time,
                ..
            } = &part.body
            else {
                continue;
            };
            if *synthetic == Some(true) || message.info.is_summary() {
                translator.register_part(part, PartKind::Hidden, "", false);
                continue;
            }
            if finished || time.as_ref().is_some_and(|time| time.end.is_some()) {
                closed.push_str(text);
                translator.register_part(part, PartKind::Text, text, true);
                last = Some(part);
            } else {
                open = Some(part);
            }
        }
        if let Some(part) = open {
            let rest = shown.and_then(|shown| shown.strip_prefix(closed.as_str()));
            translator.register_part(part, PartKind::Text, rest.unwrap_or_default(), !busy);
            if rest.is_some() || closed.is_empty() {
                return;
            }
        }
        if shown.unwrap_or_default() == closed {
            return;
        }
        let finished = last.map(|part| part.id.as_str()).filter(|_| open.is_none());
        events.extend(translator.replace(
            &message.info.session_id,
            &message.info.id,
            &closed,
            finished,
        ));
    }

    #[allow(clippy::too_many_arguments)]
    fn tool(
        &mut self,
        translator: &mut Translator,
        task: &str,
        part: &Part,
        tool: &str,
        call: &str,
        state: &ToolState,
        events: &mut Vec<RuntimeEvent>,
    ) {
        let shown = self.shown.tools.get(&(task, call)).copied();
        if let Some(event) = translator.tool_event(part, tool, call, state)
            && !shown.is_some_and(|shown| self.same_tool(shown, &event))
        {
            events.push(event);
        }
        if let Some(shown) = shown {
            translator.keep_verdict(&part.session_id, call, shown.status);
        }
        let child = state
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get("sessionId"))
            .and_then(Value::as_str);
        let Some(child) = child.filter(|_| tool == "task") else {
            return;
        };
        let history = self.history;
        if let Some(lane) = history.children.iter().find(|lane| lane.info.id == child) {
            self.child(translator, lane, events);
        }
        let verdict = match ToolPhase::of(state) {
            ToolPhase::Running => return,
            ToolPhase::Complete => "complete",
            ToolPhase::Error => "error",
        };
        events.extend(translator.set_task_status(child, verdict, tool_error(state).as_deref()));
    }

    /// True when the view already shows that state, after sanitizing.
    fn same_tool(&self, shown: &ToolCall, event: &RuntimeEvent) -> bool {
        let payload = (self.sanitize)(&event.kind, event.payload.clone());
        let phase = payload.get("status").and_then(Value::as_str);
        let ended = shown.status != ToolStatus::Running;
        let status = match shown.status {
            ToolStatus::Running => "running",
            ToolStatus::Complete => "complete",
            ToolStatus::Error => "error",
        };
        if ended && phase == Some("running") {
            return true; // a verdict of ours stands: OpenCode never repairs a call that was cut short
        }
        let same_input = payload
            .get("input")
            .is_none_or(|input| *input == Value::Object(shown.input.clone()));
        let same_output = payload
            .get("output")
            .is_none_or(|output| Some(output) == shown.output.as_ref());
        phase == Some(status)
            && payload.get("name").and_then(Value::as_str) == Some(shown.name.as_str())
            && same_input
            && same_output
    }

    /// All costs when the sums differ (their ids make repeated ones void), none when they agree.
    fn costs(&self, translator: &mut Translator, view: &View, events: &mut Vec<RuntimeEvent>) {
        let mut found = Vec::new();
        let mut cost_sum = 0.0;
        let mut token_sum = 0.0;
        for lane in std::iter::once(&self.history.root).chain(&self.history.children) {
            for part in lane.messages.iter().flat_map(|message| &message.parts) {
                let PartBody::StepFinish { cost, tokens, .. } = &part.body else {
                    continue;
                };
                cost_sum += cost
                    .as_ref()
                    .and_then(serde_json::Number::as_f64)
                    .unwrap_or_default();
                for key in ["input", "output", "reasoning"] {
                    token_sum += tokens
                        .as_ref()
                        .and_then(|t| t.get(key))
                        .and_then(Value::as_f64)
                        .unwrap_or_default();
                }
                let cost = cost.as_ref().map(|cost| json!(cost));
                found.extend(translator.cost(part, cost, tokens.as_ref()));
            }
        }
        let tokens = &view.session_tokens;
        let shown = tokens.input.0 + tokens.output.0 + tokens.reasoning.0;
        if (cost_sum - view.session_cost.0).abs() > 1e-9 || (token_sum - shown).abs() > 0.5 {
            events.extend(found);
        }
    }
}

fn seed_task(task: &TaskRun, parent: Option<String>) -> Task {
    Task {
        id: task.id.clone(),
        parent: parent.unwrap_or_default(),
        title: task.title.clone(),
        agent: task.agent.clone(),
        status: match task.status {
            TaskStatus::Queued => "queued",
            TaskStatus::Running => "running",
            TaskStatus::Complete => "complete",
            TaskStatus::Error => "error",
        },
        error: task.error.clone(),
    }
}

/// What recovery needs of the translator's insides.
impl Translator {
    /// Starts over from the stored view.
    fn reset(&mut self, view: &View) {
        let asks = view.pending_approvals.iter().map(|ask| {
            let kind = AskKind::Permission {
                tool: ask.tool.clone(),
                description: ask.description.clone(),
                subject: ask.subject.clone(),
                call: ask.tool_call_id.clone(),
            };
            (ask.id.clone(), ask.source_session_id.clone(), kind)
        });
        let questions = view.pending_questions.iter().map(|ask| {
            (
                ask.id.clone(),
                ask.source_session_id.clone(),
                AskKind::Question,
            )
        });
        let root = self.root().to_owned();
        let asks: Vec<(String, Ask)> = asks
            .chain(questions)
            .map(|(id, session, kind)| {
                (
                    id,
                    Ask {
                        session: session.unwrap_or_else(|| root.clone()),
                        kind,
                    },
                )
            })
            .collect();
        self.start_over(asks);
    }

    fn seed_child(&mut self, session: &str, task: Task) {
        self.adopt(
            session,
            Lane {
                task: Some(task),
                ..Lane::default()
            },
        );
    }

    /// Calls that the view shows as running.
    fn seed_tools(&mut self, session: &str, tools: &[ToolCall]) {
        let Some(lane) = self.lane_mut(session) else {
            return;
        };
        for tool in tools
            .iter()
            .filter(|tool| tool.status == ToolStatus::Running)
        {
            let entry = ToolEntry {
                message: String::new(),
                part: String::new(),
                name: tool.name.clone(),
                agent: tool.agent.clone(),
                input: tool.input.clone(),
                phase: ToolPhase::Running,
            };
            lane.tools.insert(tool.id.clone(), entry);
            lane.running.push(tool.id.clone());
        }
    }

    fn seed_todos(&mut self, session: &str, todos: Value) {
        if let Some(lane) = self.lane_mut(session) {
            lane.todos = Some(todos);
        }
    }

    fn register_message(&mut self, info: &open_cowork_opencode::model::MessageInfo) {
        let Some(lane) = self.lane_mut(&info.session_id) else {
            return;
        };
        let (state, _) = lane.message(&info.id, info.role);
        state.summary = info.is_summary();
        state.agent = info.agent.clone();
        if info.role == Role::Assistant {
            lane.answer = Some(LastAnswer {
                id: info.id.clone(),
                error: info.error.clone(),
                completed: iso(info.time.completed.as_ref()),
            });
        } else {
            lane.answer = None;
        }
    }

    fn register_part(&mut self, part: &Part, kind: PartKind, text: &str, closed: bool) {
        let Some(lane) = self.lane_mut(&part.session_id) else {
            return;
        };
        let Some(message) = lane.messages.get_mut(&part.message_id) else {
            return;
        };
        let entry = message.text.part(&part.id, kind);
        entry.text = text.to_owned();
        entry.closed = closed;
        entry.frozen = !closed;
    }

    /// A verdict that the view shows stands, whatever OpenCode's stored state says.
    fn keep_verdict(&mut self, session: &str, call: &str, shown: ToolStatus) {
        let Some(lane) = self.lane_mut(session) else {
            return;
        };
        let Some(entry) = lane.tools.get_mut(call) else {
            return;
        };
        if shown == ToolStatus::Running || entry.phase.is_terminal() {
            return;
        }
        entry.phase = if shown == ToolStatus::Complete {
            ToolPhase::Complete
        } else {
            ToolPhase::Error
        };
        lane.running.retain(|running| running != call);
    }

    fn mark_running(&mut self) {
        self.set_turn(true, false);
        let root = self.root().to_owned();
        if let Some(lane) = self.lane_mut(&root) {
            lane.pulse = Pulse::Busy;
        }
    }

    fn mark_held(&mut self) {
        self.set_turn(true, true);
    }

    fn mark_idle(&mut self) {
        self.set_turn(false, false);
    }
}
