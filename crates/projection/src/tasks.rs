//! Sub-agent runs and cost (01 §5.3, decision 2).

use crate::coerce;
use crate::index::IdIndex;
use crate::projector::{Event, Index, todos as read_todos};
use crate::sanitize::Redactor;
use crate::tools;
use open_cowork_contracts::view::{TaskRun, TaskStatus};
use open_cowork_contracts::{JsonObject, View};
use serde_json::{Value, json};

/// Positions inside one sub-agent run.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskIndex {
    pub(crate) tools: IdIndex,
    pieces: IdIndex,
    /// True once `content` is known to be the joined transcript.
    joined: bool,
}

impl TaskIndex {
    pub(crate) fn of(task: &TaskRun) -> Self {
        TaskIndex {
            tools: IdIndex::of(&task.tool_calls),
            pieces: IdIndex::of(&task.transcript),
            joined: false,
        }
    }
}

/// `task.run`. Without `merge: true` absent fields reset, as upstream does (01 §5.3).
pub(crate) fn run(view: &mut View, index: &mut Index, e: Event<'_>) {
    let status = status(e.payload.get("status"));
    let task = from_payload(e, status.unwrap_or(TaskStatus::Queued));
    if e.payload.get("merge") == Some(&Value::Bool(true))
        && let Some(at) = index.tasks.find(&view.task_runs, &task.id)
    {
        merge(&mut view.task_runs[at], e.payload, status);
        return;
    }
    upsert(view, index, task);
}

/// A whole task from a payload: every absent field has a default that is a real value.
pub(crate) fn from_payload(e: Event<'_>, status: TaskStatus) -> TaskRun {
    let p = e.payload;
    TaskRun {
        id: coerce::id_of(p, &["taskRunId", "id"]).map_or_else(|| e.kind_id("task"), str::to_owned),
        title: title(p).unwrap_or("Task").to_owned(),
        agent: coerce::trimmed_owned(p.get("agent")),
        status,
        source_session_id: coerce::trimmed_owned(p.get("sourceSessionId")),
        parent_session_id: coerce::trimmed_owned(p.get("parentSessionId")),
        content: coerce::text_or(p.get("content"), ""),
        transcript: Vec::new(),
        reasoning: None,
        tool_calls: Vec::new(),
        compactions: Vec::new(),
        todos: Vec::new(),
        error: coerce::trimmed_owned(p.get("error")),
        session_cost: coerce::number_or(p.get("sessionCost"), 0.0),
        session_tokens: coerce::tokens(p.get("sessionTokens")),
        order: e.sequence.into(),
        started_at: coerce::trimmed_owned(p.get("startedAt")),
        finished_at: coerce::trimmed_owned(p.get("finishedAt")),
    }
}

/// Replaces the run of that id (its place, order and reasoning stay) or appends it; returns its position.
pub(crate) fn upsert(view: &mut View, index: &mut Index, mut task: TaskRun) -> usize {
    let Some(at) = index.tasks.find(&view.task_runs, &task.id) else {
        index.inside_tasks.push(TaskIndex::of(&task));
        return index.tasks.push(&mut view.task_runs, task);
    };
    let known = &mut view.task_runs[at];
    task.order = known.order;
    task.reasoning = known.reasoning.take();
    index.inside_tasks[at] = TaskIndex::of(&task);
    *known = task;
    at
}

/// Additive (decision 2): only the fields that the payload holds.
fn merge(task: &mut TaskRun, p: &JsonObject, status: Option<TaskStatus>) {
    if let Some(status) = status {
        task.status = status;
    }
    if let Some(title) = title(p) {
        title.clone_into(&mut task.title);
    }
    for (slot, key) in [
        (&mut task.agent, "agent"),
        (&mut task.source_session_id, "sourceSessionId"),
        (&mut task.parent_session_id, "parentSessionId"),
        (&mut task.error, "error"),
        (&mut task.started_at, "startedAt"),
        (&mut task.finished_at, "finishedAt"),
    ] {
        if let Some(value) = coerce::trimmed_owned(p.get(key)) {
            *slot = Some(value);
        }
    }
    // Once there are pieces, the text is theirs.
    if let Some(content) = coerce::text(p.get("content"))
        && task.transcript.is_empty()
    {
        content.clone_into(&mut task.content);
    }
    if let Some(cost) = coerce::number(p.get("sessionCost")) {
        task.session_cost = cost.into();
    }
    if coerce::record(p.get("sessionTokens")).is_some() {
        task.session_tokens = coerce::tokens(p.get("sessionTokens"));
    }
}

/// Additive `task.message`: text of a sub-agent, appended to or replacing one piece of its transcript.
pub(crate) fn message(view: &mut View, index: &mut Index, e: Event<'_>) {
    let p = e.payload;
    let Some(at) = find_or_create(view, index, e) else {
        return;
    };
    let (task, index) = (&mut view.task_runs[at], &mut index.inside_tasks[at]);
    if task.status == TaskStatus::Queued {
        task.status = TaskStatus::Running;
    }
    if !index.joined {
        task.content = join(&task.transcript);
        index.joined = true;
    }
    let text = p.get("content").and_then(Value::as_str).unwrap_or_default();
    let append = p.get("mode").is_some_and(|mode| mode == "append");
    let generated;
    let id = match coerce::text(p.get("messageId")) {
        Some(id) => id,
        None => {
            generated = e.default_id("task-message");
            &generated
        }
    };
    let Some(piece) = index.pieces.find(&task.transcript, id) else {
        push_tail(&mut task.content, text);
        let piece = json!({"id": id, "content": text, "order": e.sequence});
        index.pieces.push(&mut task.transcript, piece);
        return;
    };
    let is_last = piece + 1 == task.transcript.len();
    let Some(content) = task.transcript[piece].get_mut("content") else {
        return; // a foreign piece without text
    };
    if !content.is_string() {
        *content = Value::from("");
    }
    let Value::String(content) = content else {
        return;
    };
    if is_last && append && !content.is_empty() {
        task.content.push_str(text);
    } else if is_last {
        pop_tail(&mut task.content, content);
        push_tail(
            &mut task.content,
            &if append {
                format!("{content}{text}")
            } else {
                text.to_owned()
            },
        );
    }
    if append {
        content.push_str(text);
    } else {
        text.clone_into(content);
    }
    if !is_last {
        task.content = join(&task.transcript);
    }
}

/// The text of a run: its pieces, blank lines between them, empty pieces left out.
fn join(transcript: &[Value]) -> String {
    let mut joined = String::new();
    for piece in transcript {
        push_tail(
            &mut joined,
            piece
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
    }
    joined
}

fn push_tail(joined: &mut String, piece: &str) {
    if piece.is_empty() {
        return;
    }
    if !joined.is_empty() {
        joined.push_str("\n\n");
    }
    joined.push_str(piece);
}

fn pop_tail(joined: &mut String, piece: &str) {
    if piece.is_empty() {
        return;
    }
    joined.truncate(joined.len().saturating_sub(piece.len()));
    joined.truncate(joined.len().saturating_sub(2));
}

/// Additive `task.todos`: the whole todo list of a sub-agent.
pub(crate) fn todos(view: &mut View, index: &mut Index, e: Event<'_>) {
    if let Some(at) = find_or_create(view, index, e) {
        view.task_runs[at].todos = read_todos(e.payload.get("todos"));
    }
}

/// The run that a payload names; one that is seen for the first time begins to run.
fn find_or_create(view: &mut View, index: &mut Index, e: Event<'_>) -> Option<usize> {
    let id = coerce::trimmed(e.payload.get("taskRunId"))?;
    if let Some(at) = index.tasks.find(&view.task_runs, id) {
        return Some(at);
    }
    let named = Event {
        payload: &JsonObject::from_iter([("taskRunId".to_owned(), Value::from(id))]),
        ..e
    };
    Some(upsert(
        view,
        index,
        from_payload(named, TaskStatus::Running),
    ))
}

/// `cost.updated`: adds to the session, and with `taskRunId` (additive) to that run instead of counting as
/// the root's context.
pub(crate) fn cost(view: &mut View, index: &mut Index, e: Event<'_>) {
    let p = e.payload;
    let cost = coerce::number(p.get("cost")).unwrap_or(0.0);
    let tokens = coerce::tokens(p.get("tokens"));
    view.session_cost += cost;
    coerce::add_tokens(&mut view.session_tokens, tokens);
    let Some(task_id) = coerce::trimmed(p.get("taskRunId")) else {
        if tokens.input.0 > 0.0 {
            view.last_input_tokens = tokens.input;
        }
        return;
    };
    if let Some(at) = index.tasks.find(&view.task_runs, task_id) {
        let task = &mut view.task_runs[at];
        task.session_cost += cost;
        coerce::add_tokens(&mut task.session_tokens, tokens);
    }
}

fn title(p: &JsonObject) -> Option<&str> {
    coerce::text(p.get("title")).or_else(|| coerce::text(p.get("taskTitle")))
}

/// The status of that name.
pub(crate) fn status(value: Option<&Value>) -> Option<TaskStatus> {
    Some(match value?.as_str()? {
        "queued" => TaskStatus::Queued,
        "running" => TaskStatus::Running,
        "complete" => TaskStatus::Complete,
        "error" => TaskStatus::Error,
        _ => return None,
    })
}

/// A sub-agent run of a stored view (01 §5.7).
pub(crate) fn normalize(redactor: &Redactor, value: &Value) -> Option<TaskRun> {
    let p = value.as_object()?;
    let list = |key: &str| p.get(key).and_then(Value::as_array);
    Some(TaskRun {
        id: coerce::text(p.get("id"))?.to_owned(),
        title: coerce::text_or(p.get("title"), "Task"),
        agent: coerce::trimmed_owned(p.get("agent")),
        status: status(p.get("status")).unwrap_or(TaskStatus::Queued),
        source_session_id: coerce::trimmed_owned(p.get("sourceSessionId")),
        parent_session_id: coerce::trimmed_owned(p.get("parentSessionId")),
        content: coerce::text_or(p.get("content"), ""),
        transcript: list("transcript").cloned().unwrap_or_default(),
        reasoning: list("reasoning").cloned(),
        tool_calls: list("toolCalls")
            .map(|calls| {
                calls
                    .iter()
                    .filter_map(|call| tools::normalize(redactor, call))
                    .collect()
            })
            .unwrap_or_default(),
        compactions: list("compactions").cloned().unwrap_or_default(),
        todos: read_todos(p.get("todos")),
        error: coerce::trimmed_owned(p.get("error")),
        session_cost: coerce::number_or(p.get("sessionCost"), 0.0),
        session_tokens: coerce::tokens(p.get("sessionTokens")),
        order: coerce::number_or(p.get("order"), 0.0),
        started_at: coerce::trimmed_owned(p.get("startedAt")),
        finished_at: coerce::trimmed_owned(p.get("finishedAt")),
    })
}
