//! Tool calls, of the root agent and inside sub-agent runs (01 §5.3).

use crate::coerce;
use crate::index::IdIndex;
use crate::projector::{Event, Index};
use crate::sanitize::{self, Redactor};
use crate::tasks;
use open_cowork_contracts::view::{Attachment, TaskStatus, ToolCall, ToolStatus};
use open_cowork_contracts::{JsonObject, View};
use serde_json::Value;

/// `tool.call`.
pub(crate) fn call(view: &mut View, index: &mut Index, redactor: &Redactor, e: Event<'_>) {
    let fields = Fields::of(e.payload);
    let Some(task_id) = coerce::trimmed(fields.task_run_id) else {
        upsert(&mut view.tool_calls, &mut index.tools, redactor, &fields, e);
        return;
    };
    let at = match index.tasks.find(&view.task_runs, task_id) {
        Some(at) => at,
        None => tasks::upsert(view, index, tasks::from_payload(e, TaskStatus::Running)),
    };
    let task = &mut view.task_runs[at];
    if task.status == TaskStatus::Queued {
        task.status = TaskStatus::Running;
    }
    upsert(
        &mut task.tool_calls,
        &mut index.inside_tasks[at].tools,
        redactor,
        &fields,
        e,
    );
}

/// The payload fields that a tool call reads, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a Value>,
    call_id: Option<&'a Value>,
    tool_call_id: Option<&'a Value>,
    name: Option<&'a Value>,
    tool: Option<&'a Value>,
    status: Option<&'a Value>,
    input: Option<&'a Value>,
    output: Option<&'a Value>,
    output_paths: Option<&'a Value>,
    attachments: Option<&'a Value>,
    agent: Option<&'a Value>,
    source_session_id: Option<&'a Value>,
    task_run_id: Option<&'a Value>,
    error: Option<&'a Value>,
    subject: Option<&'a Value>,
}

impl<'a> Fields<'a> {
    fn of(payload: &'a JsonObject) -> Self {
        let mut fields = Fields::default();
        for (key, value) in payload {
            let slot = match key.as_str() {
                "id" => &mut fields.id,
                "callId" => &mut fields.call_id,
                "toolCallId" => &mut fields.tool_call_id,
                "name" => &mut fields.name,
                "tool" => &mut fields.tool,
                "status" => &mut fields.status,
                "input" => &mut fields.input,
                "output" => &mut fields.output,
                "outputPaths" => &mut fields.output_paths,
                "attachments" => &mut fields.attachments,
                "agent" => &mut fields.agent,
                "sourceSessionId" => &mut fields.source_session_id,
                "taskRunId" => &mut fields.task_run_id,
                "error" => &mut fields.error,
                "subject" => &mut fields.subject,
                _ => continue,
            };
            *slot = Some(value);
        }
        fields
    }

    fn id(&self) -> Option<&'a str> {
        coerce::text(self.id)
            .or_else(|| coerce::text(self.call_id))
            .or_else(|| coerce::text(self.tool_call_id))
    }

    fn name(&self) -> Option<&'a str> {
        coerce::text(self.name).or_else(|| coerce::text(self.tool))
    }
}

/// The status of that name; an unknown one runs.
pub(crate) fn status(value: Option<&Value>) -> ToolStatus {
    match value.and_then(Value::as_str) {
        Some("complete") => ToolStatus::Complete,
        Some("error") => ToolStatus::Error,
        _ => ToolStatus::Running,
    }
}

fn upsert(
    list: &mut Vec<ToolCall>,
    index: &mut IdIndex,
    redactor: &Redactor,
    fields: &Fields<'_>,
    e: Event<'_>,
) {
    let generated;
    let id = match fields.id() {
        Some(id) => id,
        None => {
            generated = e.kind_id("tool");
            &generated
        }
    };
    let at = index.find(list, id);
    let status = status(fields.status);
    let input = sanitize::sanitize_record(redactor, fields.input);
    let output = fields
        .output
        .map(|output| sanitize::sanitize_output(redactor, output, fields.output_paths));
    let attachments = attachments(fields.attachments);
    let agent = coerce::trimmed_owned(fields.agent);
    let source_session_id = coerce::trimmed_owned(fields.source_session_id);
    let error = sanitize::bounded_text(redactor, fields.error);
    let subject = sanitize::exact_text(redactor, fields.subject);
    let ended = status != ToolStatus::Running;
    let Some(at) = at else {
        let call = ToolCall {
            id: id.to_owned(),
            name: fields.name().unwrap_or("tool").to_owned(),
            input,
            status,
            output: output.flatten(),
            attachments,
            agent,
            source_session_id,
            order: e.sequence.into(),
            error: error.filter(|_| status == ToolStatus::Error),
            subject,
            started_at: Some(e.at.to_owned()),
            finished_at: ended.then(|| e.at.to_owned()),
        };
        index.push(list, call);
        return;
    };
    let call = &mut list[at];
    if let Some(name) = fields.name() {
        name.clone_into(&mut call.name);
    }
    if !input.is_empty() {
        call.input = input;
    }
    if let Some(output) = output {
        call.output = output;
    }
    if attachments.is_some() {
        call.attachments = attachments;
    }
    // These three are overwritten, also by their absence: the translator repeats them (decision 1).
    call.status = status;
    call.agent = agent;
    call.source_session_id = source_session_id;
    // Additive fields from here on.
    if status != ToolStatus::Error {
        call.error = None;
    } else if error.is_some() {
        call.error = error;
    }
    if subject.is_some() {
        call.subject = subject;
    }
    if !ended {
        call.finished_at = None;
    } else if call.finished_at.is_none() {
        call.finished_at = Some(e.at.to_owned());
    }
}

/// Attachments within the limits; `None` when there are none, so that an update keeps the old ones.
fn attachments(value: Option<&Value>) -> Option<Vec<Attachment>> {
    let kept = sanitize::normalize_attachments(value);
    (!kept.is_empty()).then_some(kept)
}

/// A tool call of a stored view (01 §5.7).
pub(crate) fn normalize(redactor: &Redactor, value: &Value) -> Option<ToolCall> {
    let payload = value.as_object()?;
    let fields = Fields::of(payload);
    let output = fields
        .output
        .and_then(|output| sanitize::sanitize_output(redactor, output, fields.output_paths));
    Some(ToolCall {
        id: coerce::text(fields.id)?.to_owned(),
        name: fields.name().unwrap_or("tool").to_owned(),
        input: sanitize::sanitize_record(redactor, fields.input),
        status: status(fields.status),
        output,
        attachments: attachments(fields.attachments),
        agent: coerce::trimmed_owned(fields.agent),
        source_session_id: coerce::trimmed_owned(fields.source_session_id),
        order: coerce::number_or(payload.get("order"), 0.0),
        error: sanitize::bounded_text(redactor, fields.error),
        subject: sanitize::exact_text(redactor, fields.subject),
        started_at: coerce::trimmed_owned(payload.get("startedAt")),
        finished_at: coerce::trimmed_owned(payload.get("finishedAt")),
    })
}
