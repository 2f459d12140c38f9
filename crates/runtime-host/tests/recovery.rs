//! Every recorded stream, cut at every frame: whatever is missed between the cut and the reconnect, the
//! thread ends with the view of an unbroken run (decision 9), no event id is used twice with different
//! content (decision 10), and a turn that was cut short for good is marked, with everything that was shown
//! kept (decision 7).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use open_cowork_contracts::view::{TaskStatus, ToolCall, ToolStatus};
use open_cowork_contracts::{
    EventType, JsonObject, RuntimeEvent, Session, SessionEventRecord, SessionStatus, View,
};
use open_cowork_opencode::decode_frame;
use open_cowork_opencode::event::{Event, Frame};
use open_cowork_opencode::model::{
    MessageWithParts, PermissionRequest, QuestionRequest, SessionInfo,
};
use open_cowork_projection::Projector;
use open_cowork_projection::sanitize::{Redactor, sanitize_event};
use open_cowork_runtime_host::recover::{History, SessionHistory};
use open_cowork_runtime_host::translate::Translator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What OpenCode stores of a stream: whole objects, never the text of a part that is still open.
#[derive(Clone, Default)]
struct Stored {
    sessions: BTreeMap<String, SessionInfo>,
    /// Sessions in order of appearance.
    order: Vec<String>,
    messages: HashMap<String, Vec<MessageWithParts>>,
    todos: HashMap<String, Vec<Value>>,
    busy: HashMap<String, bool>,
    permissions: Vec<PermissionRequest>,
    questions: Vec<QuestionRequest>,
}

impl Stored {
    fn session(&mut self, info: SessionInfo) {
        if !self.order.contains(&info.id) {
            self.order.push(info.id.clone());
        }
        self.sessions.insert(info.id.clone(), info);
    }

    fn take(&mut self, frame: &Frame) {
        match &frame.event {
            Event::SessionCreated(info) | Event::SessionUpdated(info) => self.session(info.clone()),
            Event::SessionStatus { session, status } => {
                self.busy.insert(session.clone(), status.kind != "idle");
            }
            Event::MessageUpdated(info) => {
                let messages = self.messages.entry(info.session_id.clone()).or_default();
                match messages
                    .iter_mut()
                    .find(|message| message.info.id == info.id)
                {
                    Some(message) => message.info = info.clone(),
                    None => messages.push(MessageWithParts {
                        info: info.clone(),
                        parts: Vec::new(),
                    }),
                }
            }
            Event::PartUpdated(part) => {
                let messages = self.messages.entry(part.session_id.clone()).or_default();
                let Some(message) = messages
                    .iter_mut()
                    .find(|message| message.info.id == part.message_id)
                else {
                    return;
                };
                match message.parts.iter_mut().find(|known| known.id == part.id) {
                    Some(known) => *known = part.clone(),
                    None => message.parts.push(part.clone()),
                }
            }
            Event::PermissionAsked(ask) => self.permissions.push(ask.clone()),
            Event::PermissionReplied { request, .. } => {
                self.permissions.retain(|ask| ask.id != *request)
            }
            Event::QuestionAsked(ask) => self.questions.push(ask.clone()),
            Event::QuestionReplied { request, .. } | Event::QuestionRejected { request, .. } => {
                self.questions.retain(|ask| ask.id != *request);
            }
            Event::TodoUpdated { session, todos } => {
                self.todos.insert(session.clone(), todos.clone());
            }
            _ => {}
        }
    }

    fn lane(&self, id: &str, alive: bool) -> SessionHistory {
        let info = self
            .sessions
            .get(id)
            .cloned()
            .unwrap_or_else(|| bare_session(id));
        SessionHistory {
            info,
            messages: self.messages.get(id).cloned().unwrap_or_default(),
            todos: self.todos.get(id).cloned().unwrap_or_default(),
            busy: alive && self.busy.get(id).copied().unwrap_or(false),
        }
    }

    /// `alive`: OpenCode still runs. After a restart nothing is busy and no ask is pending.
    fn history(&self, root: &str, alive: bool) -> History {
        let children = self
            .order
            .iter()
            .filter(|id| self.sessions[*id].parent_id.is_some());
        History {
            root: self.lane(root, alive),
            children: children.map(|id| self.lane(id, alive)).collect(),
            permissions: if alive {
                self.permissions.clone()
            } else {
                Vec::new()
            },
            questions: if alive {
                self.questions.clone()
            } else {
                Vec::new()
            },
        }
    }
}

fn bare_session(id: &str) -> SessionInfo {
    serde_json::from_value(json!({ "id": id })).unwrap()
}

/// The log: idempotent ids, sanitized, folded.
struct Log {
    session: Session,
    projector: Projector,
    sequence: u64,
    ids: HashMap<String, RuntimeEvent>,
    context: String,
}

fn sanitize(kind: &EventType, payload: JsonObject) -> JsonObject {
    sanitize_event(&Redactor::default(), kind, payload)
}

impl Log {
    fn new(context: String) -> Self {
        let session = Session {
            session_id: "s1".into(),
            updated_at: "t0".into(),
            ..Session::default()
        };
        let projector = Projector::new(&session);
        Log {
            session,
            projector,
            sequence: 0,
            ids: HashMap::new(),
            context,
        }
    }

    fn append(&mut self, events: Vec<RuntimeEvent>) -> usize {
        let mut new = 0;
        for event in events {
            if let Some(id) = &event.event_id {
                if let Some(known) = self.ids.get(id.as_str()) {
                    assert_eq!(known, &event, "{}: event id {id} was reused", self.context);
                    continue;
                }
                self.ids.insert(id.to_string(), event.clone());
            }
            new += 1;
            self.sequence += 1;
            let record = SessionEventRecord {
                tenant_id: None,
                session_id: None,
                event_id: event.event_id,
                sequence: self.sequence,
                payload: sanitize(&event.kind, event.payload),
                kind: event.kind,
                created_at: "t1".into(),
                extra: JsonObject::new(),
            };
            self.projector.apply(&self.session, &record);
        }
        new
    }

    fn view(&self) -> &View {
        self.projector.view()
    }
}

fn streams() -> Vec<(String, Vec<Frame>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/opencode-1.18.33");
    let mut streams: Vec<(String, Vec<Frame>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".classic.jsonl"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let frames = text
                .lines()
                .map(|line| decode_frame(line.as_bytes()).unwrap());
            // Noise that means nothing to a thread only makes the test slow.
            let frames =
                frames.filter(|frame| !matches!(frame.event, Event::Benign | Event::Heartbeat));
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                frames.collect(),
            )
        })
        // Two roots in one stream: covered by the snapshots.
        .filter(|(name, _)| !name.starts_with("restart-reattach"))
        .collect();
    streams.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(streams.len() > 25);
    streams
}

fn root_of(frames: &[Frame]) -> String {
    frames
        .iter()
        .find_map(|frame| frame.event.session())
        .unwrap()
        .to_owned()
}

fn tool(call: &ToolCall) -> Value {
    json!([
        call.id,
        call.name,
        call.input,
        call.status,
        call.output,
        call.agent,
        call.error
    ])
}

/// What decision 9 compares.
fn essence(view: &View) -> Value {
    let tasks: Vec<Value> = view
        .task_runs
        .iter()
        .map(|task| {
            let transcript: Vec<Value> = task
                .transcript
                .iter()
                .map(|piece| json!([piece["id"], piece["content"]]))
                .collect();
            let mut tools: Vec<Value> = task.tool_calls.iter().map(tool).collect();
            tools.sort_by_key(ToString::to_string);
            json!([
                task.id,
                task.title,
                task.agent,
                task.status,
                task.content,
                transcript,
                tools,
                task.error,
                task.session_cost,
                task.todos
            ])
        })
        .collect();
    let messages: Vec<Value> = view
        .messages
        .iter()
        .filter(|message| !message.content.is_empty())
        .map(|message| json!([message.id, message.role, message.content]))
        .collect();
    let mut tools: Vec<Value> = view.tool_calls.iter().map(tool).collect();
    tools.sort_by_key(ToString::to_string);
    json!({
        "title": view.title, "status": view.status, "generating": view.is_generating,
        "messages": messages, "tools": tools, "tasks": tasks, "todos": view.todos,
        // Costs are summed in another order after a gap: equal to a billionth.
        "cost": (view.session_cost.0 * 1e9).round(), "tokens": view.session_tokens,
        "errors": view.errors.iter().map(|error| &error.message).collect::<Vec<_>>(),
        "asks": [view.pending_approvals.len(), view.pending_questions.len()],
    })
}

/// The confirming read: the last message once.
fn confirm(translator: &mut Translator, log: &mut Log, stored: &Stored, root: &str) {
    if translator.is_held() {
        let last: Vec<MessageWithParts> = stored
            .messages
            .get(root)
            .and_then(|messages| messages.last())
            .cloned()
            .into_iter()
            .collect();
        log.append(translator.confirm(&last));
    }
}

/// The prompts of a recorded stream were sent by someone else; recovery shows them, the live translation
/// leaves them to whoever sent them. Here they are put into the log before.
fn prompts(stored: &Stored, root: &str) -> Vec<RuntimeEvent> {
    let mut translator = Translator::new(root, Some("s1"), None);
    let view = Log::new(String::new()).projector.into_view();
    let events = translator.recover(&stored.history(root, false), &view, 0, &sanitize);
    events
        .into_iter()
        .filter(|event| event.kind == EventType::PromptSubmitted)
        .collect()
}

fn unbroken(name: &str, frames: &[Frame], root: &str, prompts: &[RuntimeEvent]) -> Value {
    let mut translator = Translator::new(root, Some("s1"), Some("/workspace"));
    let mut log = Log::new(name.to_owned());
    log.append(prompts.to_vec());
    for frame in frames {
        let events = translator.apply(frame);
        log.append(events);
    }
    log.append(translator.settle());
    essence(log.view())
}

#[test]
fn whatever_a_broken_connection_misses_is_recovered_at_every_cut_of_every_stream() {
    for (name, frames) in streams() {
        let root = root_of(&frames);
        let mut at_end = Stored::default();
        frames.iter().for_each(|frame| at_end.take(frame));
        let prompts = prompts(&at_end, &root);
        let expected = unbroken(&name, &frames, &root, &prompts);
        for cut in 0..frames.len() {
            for missed in [0, 1, 2 + cut % 11, frames.len()] {
                let resume = (cut + missed).min(frames.len());
                broken(&name, &frames, &root, &prompts, cut, resume, &expected);
            }
        }
    }
}

fn broken(
    name: &str,
    frames: &[Frame],
    root: &str,
    prompts: &[RuntimeEvent],
    cut: usize,
    resume: usize,
    expected: &Value,
) {
    let context = format!("{name}: cut at {cut}, back at {resume}");
    let mut translator = Translator::new(root, Some("s1"), Some("/workspace"));
    let mut log = Log::new(context.clone());
    log.append(prompts.to_vec());
    for frame in &frames[..cut] {
        let events = translator.apply(frame);
        log.append(events);
    }
    let mut stored = Stored::default();
    frames[..resume].iter().for_each(|frame| stored.take(frame));
    let history = stored.history(root, true);
    let events = translator.recover(&history, log.view(), log.sequence, &sanitize);
    log.append(events);
    let again = translator
        .clone()
        .recover(&history, log.view(), log.sequence, &sanitize);
    assert_eq!(
        log.append(again.clone()),
        0,
        "{context}: recovering twice added {again:#?}"
    );
    for frame in &frames[resume..] {
        let events = translator.apply(frame);
        log.append(events);
    }
    let mut stored = Stored::default();
    frames.iter().for_each(|frame| stored.take(frame));
    confirm(&mut translator, &mut log, &stored, root);
    let found = essence(log.view());
    assert!(
        found == *expected,
        "{context}\n found    {found}\n expected {expected}"
    );
}

#[test]
fn a_turn_cut_short_for_good_is_marked_and_keeps_what_was_shown() {
    for (name, frames) in streams() {
        let root = root_of(&frames);
        let mut at_end = Stored::default();
        frames.iter().for_each(|frame| at_end.take(frame));
        let prompts = prompts(&at_end, &root);
        for cut in 0..frames.len() {
            let context = format!("{name}: killed at {cut}");
            let mut translator = Translator::new(&*root, Some("s1"), Some("/workspace"));
            let mut log = Log::new(context.clone());
            log.append(prompts.clone());
            let mut stored = Stored::default();
            for frame in &frames[..cut] {
                stored.take(frame);
                let events = translator.apply(frame);
                log.append(events);
            }
            let shown = log.view().clone();
            // The host died too: a fresh translator, and only the stored view.
            let mut translator = Translator::new(&*root, Some("s1"), Some("/workspace"));
            let events = translator.recover(
                &stored.history(&root, false),
                &shown,
                log.sequence,
                &sanitize,
            );
            log.append(events);
            confirm(&mut translator, &mut log, &stored, &root);
            let view = log.view();
            assert_ne!(view.status, SessionStatus::Running, "{context}");
            assert!(!view.is_generating, "{context}");
            assert!(
                view.pending_approvals.is_empty() && view.pending_questions.is_empty(),
                "{context}"
            );
            let tools = view
                .tool_calls
                .iter()
                .chain(view.task_runs.iter().flat_map(|task| &task.tool_calls));
            assert!(
                tools.clone().all(|tool| tool.status != ToolStatus::Running),
                "{context}"
            );
            let tasks = |status| {
                view.task_runs
                    .iter()
                    .filter(|task| task.status == status)
                    .count()
            };
            assert_eq!(
                tasks(TaskStatus::Running) + tasks(TaskStatus::Queued),
                0,
                "{context}"
            );
            for message in &shown.messages {
                let kept = view
                    .messages
                    .iter()
                    .find(|kept| kept.id == message.id)
                    .unwrap();
                assert!(
                    kept.content.starts_with(&message.content)
                        || at_end_differs(&at_end, &root, &message.id),
                    "{context}: {:?} became {:?}",
                    message.content,
                    kept.content
                );
            }
            let again = translator.recover(
                &stored.history(&root, false),
                log.view(),
                log.sequence,
                &sanitize,
            );
            assert!(
                again.is_empty(),
                "{context}: recovering twice gives {again:#?}"
            );
        }
    }
}

/// Failed attempts of a retried answer are no part of what OpenCode keeps.
fn at_end_differs(stored: &Stored, root: &str, message: &str) -> bool {
    let messages = &stored.messages[root];
    messages.iter().any(|stored| {
        stored.info.id == message
            && stored
                .parts
                .iter()
                .filter(|part| part_is_empty_text(part))
                .count()
                > 0
    })
}

fn part_is_empty_text(part: &open_cowork_opencode::model::Part) -> bool {
    matches!(&part.body, open_cowork_opencode::model::PartBody::Text { text, .. } if text.is_empty())
}

#[test]
fn a_title_that_the_user_gave_survives_recovery_and_the_same_title_of_opencode() {
    let titled = |id: &str| -> SessionInfo {
        serde_json::from_value(json!({ "id": id, "title": "Generated title" })).unwrap()
    };
    let mut stored = Stored::default();
    stored.session(titled("ses_1"));
    let history = stored.history("ses_1", true);
    let mut translator = Translator::new("ses_1", Some("s1"), None);
    let mut log = Log::new("titles".to_owned());
    log.append(translator.recover(&history, log.view(), log.sequence, &sanitize));
    assert_eq!(log.view().title, "Generated title", "a new thread takes it");
    log.append(vec![RuntimeEvent::new(
        EventType::SessionRenamed,
        json!({ "title": "My own" }),
    )]);
    let mut restarted = Translator::new("ses_1", Some("s1"), None);
    let events = restarted.recover(&history, log.view(), log.sequence, &sanitize);
    log.append(events);
    let again = Frame::global(
        "/w",
        "session.updated",
        Event::SessionUpdated(titled("ses_1")),
    );
    log.append(restarted.apply(&again));
    assert_eq!(log.view().title, "My own");
}
