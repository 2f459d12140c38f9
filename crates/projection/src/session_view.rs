//! The shape that renderers of the wire read (01 §5.8).

use open_cowork_contracts::record::SessionEnvelope;
use open_cowork_contracts::session_view::{SessionMessage, SessionView};
use open_cowork_contracts::view::{Role, ViewError};
use open_cowork_contracts::{JsNumber, View};

/// The view of a thread without a projection: `emptySessionView`.
pub fn empty_session_view() -> SessionView {
    SessionView {
        artifacts: Some(Vec::new()),
        ..SessionView::default()
    }
}

/// `cloudSessionViewToSessionView`: the session view of an envelope; without a projection the empty one.
pub fn session_view(envelope: &SessionEnvelope) -> SessionView {
    match &envelope.projection {
        Some(projection) => project(&projection.view, projection.sequence),
        None => empty_session_view(),
    }
}

/// The session view of a view at `sequence`.
pub fn project(view: &View, sequence: u64) -> SessionView {
    let is_awaiting_permission = !view.pending_approvals.is_empty();
    let is_awaiting_question = !view.pending_questions.is_empty();
    let revision = JsNumber::from(sequence);
    SessionView {
        messages: visible_messages(view),
        tool_calls: view.tool_calls.clone(),
        task_runs: view.task_runs.clone(),
        pending_approvals: view.pending_approvals.clone(),
        pending_questions: view.pending_questions.clone(),
        artifacts: Some(view.artifacts.clone()),
        errors: errors(view),
        todos: view.todos.clone(),
        session_cost: view.session_cost,
        session_tokens: view.session_tokens,
        last_input_tokens: view.last_input_tokens,
        revision,
        last_event_at: revision,
        is_generating: view.is_generating && !is_awaiting_permission && !is_awaiting_question,
        is_awaiting_permission,
        is_awaiting_question,
        ..SessionView::default()
    }
}

/// Hidden messages count in the order, but aren't shown.
fn visible_messages(view: &View) -> Vec<SessionMessage> {
    let numbered = view.messages.iter().zip(1u64..);
    numbered
        .filter(|(message, _)| message.role != Role::System)
        .map(|(message, number)| SessionMessage {
            id: message.id.clone(),
            role: message.role,
            content: message.content.clone(),
            attachments: message
                .attachments
                .clone()
                .filter(|files| !files.is_empty()),
            timestamp: Some(message.created_at.clone()),
            order: number.into(),
        })
        .collect()
}

fn errors(view: &View) -> Vec<ViewError> {
    if !view.errors.is_empty() {
        return view.errors.clone();
    }
    let Some(message) = view
        .last_error
        .clone()
        .filter(|message| !message.is_empty())
    else {
        return Vec::new();
    };
    vec![ViewError {
        id: format!("{}:cloud-error", view.session_id),
        session_id: Some(view.session_id.as_str().to_owned()),
        message,
        order: (view.messages.len() as u64 + 1).into(),
    }]
}
