//! Folding events into a view (01 §5).

use crate::coerce;
use crate::index::IdIndex;
use crate::sanitize::Redactor;
use crate::tasks::TaskIndex;
use crate::{artifacts, asks, messages, sources, tasks, tools};
use open_cowork_contracts::view::{Todo, TurnStop, ViewError};
use open_cowork_contracts::{
    EventType, JsonObject, Session, SessionEventRecord, SessionStatus, View,
};
use serde_json::Value;

/// Version of the rules in this crate. A stored view is loaded verbatim only when it was folded by the same
/// version; otherwise the log is folded anew (decision 13). Raise it with every change of a rule.
pub const PROJECTOR_VERSION: u32 = 1;

/// A view and the private indexes that keep folding cheap.
#[derive(Clone, Debug)]
pub struct Projector {
    view: View,
    index: Index,
    redactor: Redactor,
}

/// Positions by id of every list that events look into.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) messages: IdIndex,
    pub(crate) tools: IdIndex,
    pub(crate) tasks: IdIndex,
    /// One per task, in the order of the view.
    pub(crate) inside_tasks: Vec<TaskIndex>,
    pub(crate) artifacts: IdIndex,
    pub(crate) errors: IdIndex,
    pub(crate) pending_approvals: IdIndex,
    pub(crate) pending_questions: IdIndex,
    pub(crate) resolved_approvals: IdIndex,
    pub(crate) resolved_questions: IdIndex,
}

impl Index {
    fn of(view: &View) -> Self {
        Index {
            messages: IdIndex::of(&view.messages),
            tools: IdIndex::of(&view.tool_calls),
            tasks: IdIndex::of(&view.task_runs),
            inside_tasks: view.task_runs.iter().map(TaskIndex::of).collect(),
            artifacts: IdIndex::of(&view.artifacts),
            errors: IdIndex::of(&view.errors),
            pending_approvals: IdIndex::of(&view.pending_approvals),
            pending_questions: IdIndex::of(&view.pending_questions),
            resolved_approvals: IdIndex::of(&view.resolved_approvals),
            resolved_questions: IdIndex::of(&view.resolved_questions),
        }
    }
}

/// One event as the rules see it.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) sequence: u64,
    /// ISO-8601.
    pub(crate) at: &'a str,
    pub(crate) payload: &'a JsonObject,
}

impl Event<'_> {
    /// `<session>:<sequence>:<suffix>`, the id of a thing that came without one.
    pub(crate) fn default_id(&self, suffix: &str) -> String {
        format!("{}:{}:{suffix}", self.session_id, self.sequence)
    }

    /// `<session>:<kind>:<sequence>`, the other shape of such ids.
    pub(crate) fn kind_id(&self, kind: &str) -> String {
        format!("{}:{kind}:{}", self.session_id, self.sequence)
    }
}

impl Projector {
    /// The initial view of a session (01 §4).
    pub fn new(session: &Session) -> Self {
        Self::from_view(create_view(session))
    }

    /// A view that this version folded and stored: taken verbatim, only the indexes are built.
    pub fn from_view(view: View) -> Self {
        Projector {
            index: Index::of(&view),
            view,
            redactor: Redactor::default(),
        }
    }

    /// A view of unknown origin, rebuilt by [`normalize`](crate::normalize()). `now` (ISO-8601) stands for
    /// missing times.
    pub fn normalize(value: &Value, session: &Session, now: &str) -> Self {
        Self::from_view(crate::normalize(value, session, now))
    }

    /// The same with a redactor that knows the secret values of this process.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// The view so far.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The view, without the indexes.
    pub fn into_view(self) -> View {
        self.view
    }

    /// Folds one event in. Neither checks nor needs the order of sequences: the log assigns them (01 §7.1).
    /// Types that aren't projected leave the view as it is; every other type moves `updatedAt`.
    pub fn apply(&mut self, session: &Session, event: &SessionEventRecord) {
        let view = &mut self.view;
        let e = Event {
            session_id: session.session_id.as_str(),
            sequence: event.sequence,
            at: &event.created_at,
            payload: &event.payload,
        };
        match &event.kind {
            EventType::AssistantMessage => messages::assistant(view, &mut self.index.messages, e),
            EventType::PromptSubmitted => {
                restart(view, SessionStatus::Running, true);
                messages::prompt(view, &mut self.index.messages, e);
            }
            EventType::ToolCall => {
                restart(view, SessionStatus::Running, true);
                tools::call(view, &mut self.index, &self.redactor, e);
            }
            EventType::TaskRun => tasks::run(view, &mut self.index, e),
            EventType::TaskMessage => tasks::message(view, &mut self.index, e),
            EventType::TaskTodos => tasks::todos(view, &mut self.index, e),
            EventType::CostUpdated => tasks::cost(view, &mut self.index, e),
            EventType::PermissionRequested => {
                asks::permission_requested(view, &mut self.index, &self.redactor, e);
            }
            EventType::PermissionResolved => {
                asks::permission_resolved(view, &mut self.index, &self.redactor, e);
            }
            EventType::QuestionAsked => asks::question_asked(view, &mut self.index, e),
            EventType::QuestionResolved => asks::question_resolved(view, &mut self.index, e),
            EventType::TodosUpdated => view.todos = todos(e.payload.get("todos")),
            EventType::ArtifactCreated | EventType::ArtifactUpdated => {
                artifacts::upsert(view, &mut self.index.artifacts, e);
            }
            EventType::SessionCreated => {
                restart(view, SessionStatus::Idle, false);
                retitle(view, e);
            }
            EventType::SessionImported => {
                restart(view, SessionStatus::Idle, false);
                view.origin = sources::origin(e.payload, e.at);
            }
            EventType::SessionRenamed => retitle(view, e),
            EventType::ProjectSourceBound => {
                view.project_source = sources::project_source(e.payload.get("projectSource"));
            }
            EventType::SessionStatus => status(view, e),
            EventType::SessionIdle => settle(view),
            EventType::SessionAborted => aborted(view, e),
            EventType::RuntimeError => error(view, &mut self.index.errors, e),
            EventType::SnapshotRequired | EventType::ChannelDelivery | EventType::Other(_) => {
                return;
            }
            // The type is non-exhaustive outside its crate; a type without a rule is not projected.
            _ => return,
        }
        self.view.updated_at.clone_from(&event.created_at);
    }
}

/// The initial view of a session (01 §4): `createCloudSessionProjectionView`.
pub fn create_view(session: &Session) -> View {
    View {
        session_id: session.session_id.clone(),
        title: default_title(session),
        status: session.status,
        profile_name: session.profile_name.clone(),
        is_generating: session.status == SessionStatus::Running,
        updated_at: session.updated_at.clone(),
        ..View::default()
    }
}

/// `session.title or "New session"`.
pub(crate) fn default_title(session: &Session) -> String {
    match session.title.as_deref() {
        None | Some("") => "New session".to_owned(),
        Some(title) => title.to_owned(),
    }
}

/// One step as a function from view to view: `reduceCloudSessionProjectionEvent`. It builds the indexes each
/// time; to fold more than one event use a [`Projector`].
pub fn reduce(session: &Session, view: View, event: &SessionEventRecord) -> View {
    let mut projector = Projector::from_view(view);
    projector.apply(session, event);
    projector.into_view()
}

/// The events that leave `errored` and forget the last error.
fn restart(view: &mut View, status: SessionStatus, is_generating: bool) {
    view.status = status;
    view.is_generating = is_generating;
    view.last_error = None;
}

fn retitle(view: &mut View, e: Event<'_>) {
    if let Some(title) = coerce::text(e.payload.get("title")) {
        title.clone_into(&mut view.title);
    }
}

fn status(view: &mut View, e: Event<'_>) {
    match coerce::text(e.payload.get("statusType")) {
        Some("busy" | "running") => view.status = SessionStatus::Running,
        Some("idle") if view.status != SessionStatus::Errored => view.status = SessionStatus::Idle,
        _ => {}
    }
    view.is_generating = view.status == SessionStatus::Running;
}

/// A late idle never leaves `errored`.
fn settle(view: &mut View) {
    if view.status != SessionStatus::Errored {
        view.status = SessionStatus::Idle;
    }
    view.is_generating = false;
}

/// Idle; a reason, which is additive, is remembered for the transcript.
fn aborted(view: &mut View, e: Event<'_>) {
    view.status = SessionStatus::Idle;
    view.is_generating = false;
    if let Some(reason) = coerce::text(e.payload.get("reason")) {
        view.stops.push(TurnStop {
            reason: reason.to_owned(),
            message: coerce::text(e.payload.get("message")).map(str::to_owned),
            order: e.sequence.into(),
            stopped_at: e.at.to_owned(),
        });
    }
}

fn error(view: &mut View, index: &mut IdIndex, e: Event<'_>) {
    let message = coerce::text_or(e.payload.get("message"), "Runtime command failed.");
    view.status = SessionStatus::Errored;
    view.is_generating = false;
    view.last_error = Some(message.clone());
    let id = coerce::id_of(e.payload, &["id", "commandId"])
        .map_or_else(|| e.kind_id("error"), str::to_owned);
    let session_id = Some(e.session_id.to_owned());
    match index.find(&view.errors, &id) {
        Some(at) => {
            let known = &mut view.errors[at];
            known.session_id = session_id;
            known.message = message;
        }
        None => {
            let order = e.sequence.into();
            index.push(
                &mut view.errors,
                ViewError {
                    id,
                    session_id,
                    message,
                    order,
                },
            );
        }
    }
}

/// A whole todo list; entries without content are dropped (01 §5).
pub(crate) fn todos(value: Option<&Value>) -> Vec<Todo> {
    let Some(Value::Array(entries)) = value else {
        return Vec::new();
    };
    entries.iter().filter_map(todo).collect()
}

fn todo(entry: &Value) -> Option<Todo> {
    let fields = entry.as_object()?;
    Some(Todo {
        content: coerce::text(fields.get("content"))?.to_owned(),
        status: coerce::text_or(fields.get("status"), "pending"),
        priority: coerce::text_or(fields.get("priority"), "medium"),
        id: coerce::trimmed_owned(fields.get("id")),
    })
}
