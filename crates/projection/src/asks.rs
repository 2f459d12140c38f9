//! Approvals and questions (01 §5, §5.5).

use crate::coerce;
use crate::projector::{Event, Index};
use crate::sanitize::{self, Redactor};
use open_cowork_contracts::view::{
    PendingApproval, PendingQuestion, QuestionOption, QuestionPrompt, QuestionTool,
    ResolvedApproval, ResolvedQuestion,
};
use open_cowork_contracts::{SessionStatus, View};
use serde_json::Value;

const PERMISSION_ID_KEYS: [&str; 4] = ["permissionId", "id", "requestId", "requestID"];
const QUESTION_ID_KEYS: [&str; 3] = ["requestId", "requestID", "id"];
/// Most patterns of one approval that are kept.
const MAX_PATTERNS: usize = 256;

/// `permission.requested`.
pub(crate) fn permission_requested(
    view: &mut View,
    index: &mut Index,
    redactor: &Redactor,
    e: Event<'_>,
) {
    let p = e.payload;
    view.status = SessionStatus::Running;
    view.is_generating = false;
    let mut ask = PendingApproval {
        id: coerce::id_of(p, &PERMISSION_ID_KEYS)
            .map_or_else(|| e.kind_id("permission"), str::to_owned),
        // Never the payload's: that is the runtime's session.
        session_id: e.session_id.to_owned(),
        source_session_id: coerce::trimmed_owned(p.get("sourceSessionId")),
        task_run_id: coerce::trimmed_owned(p.get("taskRunId")),
        tool: coerce::text_or(p.get("tool"), "permission"),
        input: coerce::record(p.get("input")).cloned().unwrap_or_default(),
        description: coerce::text(p.get("description"))
            .or_else(|| coerce::text(p.get("tool")))
            .unwrap_or("Permission requested")
            .to_owned(),
        order: e.sequence.into(),
        subject: sanitize::exact_text(redactor, p.get("subject")),
        patterns: patterns(redactor, p.get("patterns")),
        tool_call_id: coerce::trimmed_owned(p.get("toolCallId")),
        asked_at: Some(e.at.to_owned()),
    };
    match index
        .pending_approvals
        .find(&view.pending_approvals, &ask.id)
    {
        Some(at) => {
            ask.order = view.pending_approvals[at].order;
            view.pending_approvals[at] = ask;
        }
        None => {
            index
                .pending_approvals
                .push(&mut view.pending_approvals, ask);
        }
    }
}

/// `permission.resolved`. Without an id only the flags change.
pub(crate) fn permission_resolved(
    view: &mut View,
    index: &mut Index,
    redactor: &Redactor,
    e: Event<'_>,
) {
    let p = e.payload;
    view.is_generating = false;
    let Some(id) = coerce::id_of(p, &PERMISSION_ID_KEYS) else {
        return;
    };
    let pending = index
        .pending_approvals
        .find(&view.pending_approvals, id)
        .map(|at| {
            index
                .pending_approvals
                .remove(&mut view.pending_approvals, at)
        });
    let reply = coerce::text(p.get("reply")).or_else(|| coerce::text(p.get("response")));
    let allowed = p.get("allowed") == Some(&Value::Bool(true))
        || matches!(reply, Some("allow" | "once" | "always"));
    let mut resolved = ResolvedApproval {
        id: id.to_owned(),
        session_id: e.session_id.to_owned(),
        task_run_id: None,
        tool: String::new(),
        description: String::new(),
        allowed,
        order: e.sequence.into(),
        resolved_at: e.at.to_owned(),
        subject: sanitize::exact_text(redactor, p.get("subject")),
        reason: coerce::trimmed_owned(p.get("reason")),
        tool_call_id: coerce::trimmed_owned(p.get("toolCallId")),
    };
    match pending {
        Some(ask) => {
            resolved.task_run_id = ask.task_run_id;
            resolved.tool = ask.tool;
            resolved.description = ask.description;
            resolved.subject = ask.subject.or(resolved.subject);
            resolved.tool_call_id = ask.tool_call_id.or(resolved.tool_call_id);
        }
        None => {
            resolved.task_run_id = coerce::trimmed_owned(p.get("taskRunId"));
            resolved.tool = coerce::text_or(p.get("tool"), "permission");
            resolved.description = coerce::text_or(p.get("description"), "Permission resolved");
        }
    }
    match index.resolved_approvals.find(&view.resolved_approvals, id) {
        Some(at) => {
            let known = &mut view.resolved_approvals[at];
            resolved.order = known.order;
            resolved.subject = resolved.subject.or(known.subject.take());
            resolved.reason = resolved.reason.or(known.reason.take());
            resolved.tool_call_id = resolved.tool_call_id.or(known.tool_call_id.take());
            *known = resolved;
        }
        None => {
            index
                .resolved_approvals
                .push(&mut view.resolved_approvals, resolved);
        }
    }
}

/// `question.asked`.
pub(crate) fn question_asked(view: &mut View, index: &mut Index, e: Event<'_>) {
    let p = e.payload;
    view.status = SessionStatus::Running;
    view.is_generating = false;
    let mut ask = PendingQuestion {
        id: coerce::id_of(p, &QUESTION_ID_KEYS)
            .map_or_else(|| e.kind_id("question"), str::to_owned),
        session_id: e.session_id.to_owned(),
        source_session_id: coerce::trimmed_owned(p.get("sourceSessionId")),
        questions: prompts(p.get("questions")),
        tool: question_tool(p.get("tool")),
        order: Some(e.sequence.into()),
    };
    match index
        .pending_questions
        .find(&view.pending_questions, &ask.id)
    {
        Some(at) => {
            let known = &mut view.pending_questions[at];
            ask.order = known.order;
            // Not set by this event, so the old one survives the merge (01 §4.2).
            ask.tool = ask.tool.or(known.tool.take());
            *known = ask;
        }
        None => {
            index
                .pending_questions
                .push(&mut view.pending_questions, ask);
        }
    }
}

/// `question.resolved`. Without an id only the flags change.
pub(crate) fn question_resolved(view: &mut View, index: &mut Index, e: Event<'_>) {
    let p = e.payload;
    view.is_generating = false;
    let Some(id) = coerce::id_of(p, &QUESTION_ID_KEYS) else {
        return;
    };
    let pending = index
        .pending_questions
        .find(&view.pending_questions, id)
        .map(|at| {
            index
                .pending_questions
                .remove(&mut view.pending_questions, at)
        });
    let (source_session_id, questions) = match pending {
        Some(ask) => (ask.source_session_id, ask.questions),
        None => (coerce::trimmed_owned(p.get("sourceSessionId")), Vec::new()),
    };
    let mut resolved = ResolvedQuestion {
        id: id.to_owned(),
        session_id: e.session_id.to_owned(),
        source_session_id,
        questions,
        answers: p
            .get("answers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        rejected: p.get("rejected") == Some(&Value::Bool(true)),
        order: e.sequence.into(),
        resolved_at: e.at.to_owned(),
    };
    match index.resolved_questions.find(&view.resolved_questions, id) {
        Some(at) => {
            let known = &mut view.resolved_questions[at];
            resolved.order = known.order;
            *known = resolved;
        }
        None => {
            index
                .resolved_questions
                .push(&mut view.resolved_questions, resolved);
        }
    }
}

/// Question prompts; those without a question are dropped (01 §5.5).
pub(crate) fn prompts(value: Option<&Value>) -> Vec<QuestionPrompt> {
    let Some(Value::Array(entries)) = value else {
        return Vec::new();
    };
    entries.iter().filter_map(prompt).collect()
}

fn prompt(entry: &Value) -> Option<QuestionPrompt> {
    let fields = entry.as_object()?;
    let options = match fields.get("options") {
        Some(Value::Array(options)) => options.iter().filter_map(option).collect(),
        _ => Vec::new(),
    };
    Some(QuestionPrompt {
        header: coerce::text_or(fields.get("header"), ""),
        question: coerce::text(fields.get("question"))?.to_owned(),
        options,
        multiple: fields.get("multiple") == Some(&Value::Bool(true)),
        custom: fields.get("custom") != Some(&Value::Bool(false)),
    })
}

fn option(entry: &Value) -> Option<QuestionOption> {
    let fields = entry.as_object()?;
    let label = coerce::text_or(fields.get("label"), "");
    let description = coerce::text_or(fields.get("description"), "");
    (!label.is_empty() || !description.is_empty()).then_some(QuestionOption { label, description })
}

/// The tool call behind a question, when the payload names one.
pub(crate) fn question_tool(value: Option<&Value>) -> Option<QuestionTool> {
    let fields = coerce::record(value).filter(|fields| !fields.is_empty())?;
    let field = |keys: &[&str]| coerce::id_of(fields, keys).unwrap_or_default().to_owned();
    Some(QuestionTool {
        message_id: field(&["messageId", "messageID"]),
        call_id: field(&["callId", "callID"]),
    })
}

/// The patterns of an approval, only secrets removed (decision 8).
pub(crate) fn patterns(redactor: &Redactor, value: Option<&Value>) -> Option<Vec<String>> {
    let patterns: Vec<String> = value?
        .as_array()?
        .iter()
        .take(MAX_PATTERNS)
        .filter_map(|pattern| sanitize::exact_text(redactor, Some(pattern)))
        .collect();
    (!patterns.is_empty()).then_some(patterns)
}
