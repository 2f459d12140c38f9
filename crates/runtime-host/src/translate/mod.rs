//! OpenCode's events become ours, once, here (01 §9 with decisions 1, 2, 6–8, 10 of
//! `docs/decisions/0001-decisions-taken.md`).
//!
//! A [`Translator`] follows one thread: its root session and the whole tree of child sessions. It is pure:
//! frames in, events out, no clock and no I/O, so that the same stream gives the same events. Time enters
//! through the caller, who decides when a held ending is confirmed ([`Translator::settle`]).
//!
//! What it keeps right:
//! - the prompt's own parts are never echoed, thinking never becomes answer text;
//! - unchanged states emit nothing, a late `running` never follows a terminal tool state;
//! - OpenCode's idle repeats and comes early: it is *held*, and one ending is emitted (08 §9.5, §12);
//! - text is joined per message, so a second text part never wipes the first (01 §16 #2);
//! - finished things carry an id that recovery derives again (see [`crate::recover`]).

mod asks;
mod endings;
mod forest;
mod lane;
mod messages;
mod payload;
mod seed;
mod text;
mod tree;

pub use forest::{Dropped, Forest, Translated};
pub(crate) use lane::{Lane, LastAnswer, Pulse, Task, ToolEntry};
pub(crate) use payload::{
    ToolPhase, Workspace, error_message, is_abort, iso, todos as todo_list, tool_error, tool_input,
};
pub(crate) use text::{PartKind, chunks, stable_id};

use indexmap::IndexMap;
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent};
use open_cowork_opencode::event::{Event, Frame};
use open_cowork_opencode::model::{
    ErrorInfo, MessageInfo, MessageWithParts, Part, PartBody, PermissionRequest, QuestionRequest,
    Role, SessionInfo, StatusInfo, ToolState,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet, VecDeque};

/// Answered asks that are remembered, so that their echo is recognised.
const MAX_ANSWERED: usize = 1_000;

/// Something that a person should look at; never silently dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// An approval was answered and neither we nor a reject of ours explains it: the agent may have
    /// approved its own action (08 §3.5).
    UnexplainedReply {
        /// The runtime session.
        session: String,
        /// The ask.
        request: String,
        /// What was replied.
        reply: String,
    },
}

/// A pending ask, as emitted.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The runtime session that asks.
    pub(crate) session: String,
    pub(crate) kind: AskKind,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum AskKind {
    Permission {
        tool: String,
        description: String,
        subject: Option<String>,
        call: Option<String>,
    },
    Question,
}

/// Why a turn is being stopped by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// Reason code, such as `user` or `watchdog.steps`.
    pub reason: String,
    /// One sentence for people, when the code is not enough.
    pub message: Option<String>,
    /// The command that asked for it.
    pub command: Option<String>,
}

/// State of the current turn of the root session.
#[derive(Clone, Debug, Default)]
struct Turn {
    /// Something happened since the last ending.
    active: bool,
    /// OpenCode says idle; the ending waits for confirmation.
    held: bool,
    /// Our prompt was sent and OpenCode has not begun with it: an idle or an abort that comes now is a late
    /// repetition of the turn before (08 §9.5).
    unstarted: bool,
    /// The prompt's message id: names the ending.
    admission: Option<String>,
    stop: Option<StopRequest>,
    /// Endings already emitted for this admission.
    endings: u32,
}

/// Translates the stream of one thread.
#[derive(Clone, Debug)]
pub struct Translator {
    /// Product session id put into payloads; the native root id when there is none.
    thread: String,
    root: String,
    workspace: Workspace,
    lanes: HashMap<String, Lane>,
    /// Children in order of appearance.
    children: Vec<String>,
    asks: IndexMap<String, Ask>,
    answered: VecDeque<String>,
    /// Sessions in which we rejected something: OpenCode then rejects all their asks (08 §9.3).
    rejected_in: HashSet<String>,
    title: Option<String>,
    turn: Turn,
    alarms: Vec<Alarm>,
    /// Answers from elsewhere are normal (fixtures, tests); a host sets this to false.
    trust_replies: bool,
}

/// Collects the events of one frame under ids derived from the frame's.
struct Out<'a> {
    frame: Option<&'a str>,
    events: Vec<RuntimeEvent>,
}

impl Out<'_> {
    fn push(&mut self, event: RuntimeEvent) {
        let event = match (&event.event_id, self.frame) {
            (None, Some(frame)) => {
                let id = format!("opencode:{frame}:{}", self.events.len());
                event.with_id(id)
            }
            _ => event,
        };
        self.events.push(event);
    }
}

impl Translator {
    /// A translator for the tree under `root`. `thread` is the product session id (absent: the native id),
    /// `directory` the workspace whose paths become relative.
    pub fn new(root: impl Into<String>, thread: Option<&str>, directory: Option<&str>) -> Self {
        let root = root.into();
        let mut lanes = HashMap::new();
        lanes.insert(root.clone(), Lane::default());
        Translator {
            thread: thread.unwrap_or(&root).to_owned(),
            root,
            workspace: Workspace::new(directory),
            lanes,
            children: Vec::new(),
            asks: IndexMap::new(),
            answered: VecDeque::new(),
            rejected_in: HashSet::new(),
            title: None,
            turn: Turn::default(),
            alarms: Vec::new(),
            trust_replies: true,
        }
    }

    /// From now on an answer that we didn't give raises an alarm.
    pub fn distrust_replies(&mut self) {
        self.trust_replies = false;
    }

    /// The runtime session at the root.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// True when that runtime session belongs to this thread.
    pub fn owns(&self, session: &str) -> bool {
        self.lanes.contains_key(session)
    }

    /// Runtime sessions of the sub-agents, oldest first.
    pub fn children(&self) -> &[String] {
        &self.children
    }

    /// A turn runs, or its ending is not emitted yet.
    pub fn is_active(&self) -> bool {
        self.turn.active
    }

    /// OpenCode said idle and the ending waits for [`Translator::settle`].
    pub fn is_held(&self) -> bool {
        self.turn.active && self.turn.held
    }

    /// Asks that wait: id and the runtime session that asks; `true` for approvals.
    pub fn pending_asks(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.asks.iter().map(|(id, ask)| {
            (
                id.as_str(),
                ask.session.as_str(),
                matches!(ask.kind, AskKind::Permission { .. }),
            )
        })
    }

    /// Alarms since the last call.
    pub fn take_alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.alarms)
    }

    /// A prompt of ours was admitted under that OpenCode message id; the caller has recorded
    /// `session.status running` and `prompt.submitted`.
    pub fn begin_turn(&mut self, message: &str) {
        self.turn = Turn {
            active: true,
            unstarted: true,
            admission: Some(message.to_owned()),
            ..Turn::default()
        };
        if let Some(lane) = self.lanes.get_mut(&self.root) {
            lane.pulse = Pulse::Busy;
            lane.answer = None;
            lane.error = None;
            lane.message(message, Role::User);
        }
    }

    /// The prompt never reached OpenCode: there is no turn.
    pub fn abandon_turn(&mut self) {
        self.turn = Turn::default();
        if let Some(lane) = self.lanes.get_mut(&self.root) {
            lane.pulse = Pulse::Idle;
        }
    }

    /// We are stopping the turn: its ending will be `session.aborted` with that reason. The first reason
    /// wins.
    pub fn stop_requested(&mut self, stop: StopRequest) {
        self.turn.unstarted = false; // the idle that follows is this turn's
        if self.turn.stop.is_none() {
            self.turn.stop = Some(stop);
        }
    }

    /// We answered an approval: `permission.resolved` with tool and description repeated (decision 8), then
    /// busy again when nothing else waits. Unknown or already answered: nothing.
    pub fn permission_answered(
        &mut self,
        id: &str,
        allowed: bool,
        reason: Option<&str>,
        command: Option<&str>,
    ) -> Vec<RuntimeEvent> {
        let mut out = Out {
            frame: None,
            events: Vec::new(),
        };
        let reply = if allowed { "once" } else { "reject" };
        if let Some(mut event) = self.resolve_permission(id, allowed, reply) {
            insert_some(&mut event.payload, "reason", reason);
            insert_some(&mut event.payload, "commandId", command);
            let stable = format!("opencode:{id}:answer");
            out.push(event.with_id(stable));
            self.busy_again(&mut out);
        }
        out.events
    }

    /// We answered a question (`None`: dismissed it).
    pub fn question_answered(
        &mut self,
        id: &str,
        answers: Option<&[Vec<String>]>,
        command: Option<&str>,
    ) -> Vec<RuntimeEvent> {
        let mut out = Out {
            frame: None,
            events: Vec::new(),
        };
        if let Some(mut event) = self.resolve_question(id, answers.map(|answers| json!(answers))) {
            insert_some(&mut event.payload, "commandId", command);
            let stable = format!("opencode:{id}:answer");
            out.push(event.with_id(stable));
            self.busy_again(&mut out);
        }
        out.events
    }

    /// Translates one frame. Frames of sessions outside the tree give nothing.
    pub fn apply(&mut self, frame: &Frame) -> Vec<RuntimeEvent> {
        let mut out = Out {
            frame: frame.id.as_deref(),
            events: Vec::new(),
        };
        self.translate(frame, &mut out);
        out.events
    }

    fn translate(&mut self, frame: &Frame, out: &mut Out<'_>) {
        match &frame.event {
            Event::SessionCreated(info) | Event::SessionUpdated(info) => {
                self.session_info(info, out)
            }
            Event::SessionStatus { session, status } => self.status(session, status, out),
            Event::SessionIdle { session } => self.idle(session, out),
            Event::SessionError {
                session: Some(session),
                error,
            } => self.failed(session, error.as_ref()),
            Event::MessageUpdated(info) => self.message(info, out),
            Event::PartUpdated(part) => self.part(part, frame, out),
            Event::PartDelta {
                session,
                message,
                part,
                field,
                delta,
            } if field == "text" => {
                self.delta(session, message, part, delta, frame, out);
            }
            Event::PermissionAsked(request) => self.permission_asked(request, out),
            Event::PermissionReplied {
                session,
                request,
                reply,
            } => {
                self.permission_replied(session, request, reply, out);
            }
            Event::QuestionAsked(request) => self.question_asked(request, out),
            Event::QuestionReplied {
                session,
                request,
                answers,
            } => {
                self.question_replied(session, request, Some(answers.clone()), out);
            }
            Event::QuestionRejected { session, request } => {
                self.question_replied(session, request, None, out)
            }
            Event::TodoUpdated { session, todos } => self.todos(session, todos, out),
            _ => {}
        }
    }

    fn task_of(&self, session: &str) -> Option<&Task> {
        self.lanes.get(session)?.task.as_ref()
    }

    /// An event of this thread; the payload starts with its session.
    fn event(&self, kind: EventType, payload: Value) -> RuntimeEvent {
        let mut object = JsonObject::new();
        object.insert("sessionId".into(), json!(self.thread));
        if let Value::Object(fields) = payload {
            object.extend(fields);
        }
        RuntimeEvent {
            event_id: None,
            kind,
            payload: object,
        }
    }
}

/// Title of a task until its description is known.
const DEFAULT_TASK_TITLE: &str = "Sub-agent";

/// The description inside OpenCode's child title `<description> (@<agent> subagent)`.
fn task_title(title: &str, agent: Option<&str>) -> String {
    let suffix = format!(" (@{} subagent)", agent.unwrap_or_default());
    title
        .strip_suffix(suffix.as_str())
        .unwrap_or(title)
        .trim()
        .to_owned()
}

/// OpenCode names new sessions `New session - <time>` and children `Child session - <time>`.
fn is_default_title(title: &str) -> bool {
    ["New session", "Child session"].iter().any(|default| {
        title
            .strip_prefix(default)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(" - "))
    })
}

/// The child session that a `task` call names in its metadata.
fn child_session(metadata: &Value) -> Option<String> {
    ["sessionId", "sessionID", "session_id"]
        .iter()
        .find_map(|key| metadata.get(*key).and_then(Value::as_str))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
}

fn tool_call(
    thread: &str,
    session: &str,
    task: Option<&str>,
    call: &str,
    entry: &ToolEntry,
) -> RuntimeEvent {
    let mut payload = JsonObject::new();
    payload.insert("sessionId".into(), json!(thread));
    payload.insert("id".into(), json!(call));
    payload.insert("name".into(), json!(entry.name));
    payload.insert("status".into(), json!(entry.phase.as_str()));
    if !entry.input.is_empty() {
        payload.insert("input".into(), Value::Object(entry.input.clone()));
        insert_some(
            &mut payload,
            "subject",
            payload::subject(&entry.name, &entry.input, &[]).as_deref(),
        );
    }
    insert_some(&mut payload, "agent", entry.agent.as_deref());
    if let Some(task) = task {
        payload.insert("taskRunId".into(), json!(task));
        payload.insert("sourceSessionId".into(), json!(session));
    }
    RuntimeEvent {
        event_id: None,
        kind: EventType::ToolCall,
        payload,
    }
}

fn insert_some(object: &mut JsonObject, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), json!(value));
    }
}

/// First 32 hex digits of SHA-256 (01 §9.5).
fn digest(admission: Option<&str>) -> String {
    let hash = Sha256::digest(admission.unwrap_or("anonymous").as_bytes());
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
