//! An owned, valid view from any JSON (01 §5.7): stored views of other programs, and `replay`.

use crate::projector::{create_view, default_title, todos};
use crate::sanitize::{self, Redactor};
use crate::{artifacts, asks, coerce, sources, tasks, tools};
use open_cowork_contracts::view::{
    Message, PendingApproval, PendingQuestion, ResolvedApproval, ResolvedQuestion, Role, ViewError,
};
use open_cowork_contracts::{JsNumber, JsonObject, Session, SessionStatus, View};
use serde_json::Value;

/// `normalizeCloudSessionProjectionView`: whatever `value` is, the result is a valid view of `session`.
/// Elements that can't be read are dropped. Tool input, output and attachments are sanitized again, so that
/// a secret that was stored once doesn't come back. `now` (ISO-8601) stands for missing times.
pub fn normalize(value: &Value, session: &Session, now: &str) -> View {
    normalize_with(value, session, now, &Redactor::default())
}

/// [`normalize()`] with a redactor that knows the secret values of this process.
pub fn normalize_with(value: &Value, session: &Session, now: &str, redactor: &Redactor) -> View {
    let Some(fields) = value.as_object() else {
        return create_view(session);
    };
    Reader {
        fields,
        redactor,
        now,
    }
    .view(session)
}

/// One object that is being read.
struct Reader<'a> {
    fields: &'a JsonObject,
    redactor: &'a Redactor,
    now: &'a str,
}

impl Reader<'_> {
    fn view(&self, session: &Session) -> View {
        let fields = self.fields;
        let status = status(fields.get("status")).unwrap_or(session.status);
        View {
            session_id: coerce::text(fields.get("sessionId"))
                .map_or_else(|| session.session_id.clone(), Into::into),
            title: coerce::text(fields.get("title"))
                .map_or_else(|| default_title(session), str::to_owned),
            status,
            profile_name: coerce::text_or(fields.get("profileName"), &session.profile_name),
            is_generating: fields
                .get("isGenerating")
                .and_then(Value::as_bool)
                .unwrap_or(session.status == SessionStatus::Running),
            messages: self.list("messages", |item| self.message(item)),
            tool_calls: self.list("toolCalls", |item| tools::normalize(self.redactor, item)),
            task_runs: self.list("taskRuns", |item| tasks::normalize(self.redactor, item)),
            pending_approvals: self.list("pendingApprovals", |item| self.pending_approval(item)),
            pending_questions: self.list("pendingQuestions", pending_question),
            resolved_approvals: self.list("resolvedApprovals", |item| self.resolved_approval(item)),
            resolved_questions: self.list("resolvedQuestions", |item| self.resolved_question(item)),
            artifacts: self.artifacts(),
            todos: todos(fields.get("todos")),
            errors: self.list("errors", view_error),
            session_cost: coerce::number_or(fields.get("sessionCost"), 0.0),
            session_tokens: coerce::tokens(fields.get("sessionTokens")),
            last_input_tokens: coerce::number_or(fields.get("lastInputTokens"), 0.0),
            // Any string, the empty one too.
            last_error: fields
                .get("lastError")
                .and_then(Value::as_str)
                .map(str::to_owned),
            origin: coerce::record(fields.get("origin"))
                .and_then(|origin| sources::origin(origin, self.now)),
            project_source: sources::project_source(fields.get("projectSource")),
            updated_at: coerce::text_or(fields.get("updatedAt"), &session.updated_at),
            stops: self.list("stops", |item| serde_json::from_value(item.clone()).ok()),
        }
    }

    fn list<T>(&self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        match self.fields.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(read).collect(),
            _ => Vec::new(),
        }
    }

    fn message(&self, value: &Value) -> Option<Message> {
        let fields = value.as_object()?;
        let role = match fields.get("role")?.as_str()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return None,
        };
        Some(Message {
            id: coerce::text(fields.get("id"))?.to_owned(),
            role,
            content: coerce::text_or(fields.get("content"), ""),
            created_at: coerce::text_or(fields.get("createdAt"), self.now),
            attachments: fields.get("attachments").and_then(Value::as_array).cloned(),
            order: coerce::number(fields.get("order")).map(JsNumber),
        })
    }

    fn pending_approval(&self, value: &Value) -> Option<PendingApproval> {
        let fields = value.as_object()?;
        Some(PendingApproval {
            id: coerce::text(fields.get("id"))?.to_owned(),
            session_id: coerce::text(fields.get("sessionId"))?.to_owned(),
            source_session_id: coerce::trimmed_owned(fields.get("sourceSessionId")),
            task_run_id: coerce::trimmed_owned(fields.get("taskRunId")),
            tool: coerce::text_or(fields.get("tool"), "permission"),
            input: coerce::record(fields.get("input"))
                .cloned()
                .unwrap_or_default(),
            description: coerce::text_or(fields.get("description"), "Permission requested"),
            order: coerce::number_or(fields.get("order"), 0.0),
            subject: sanitize::exact_text(self.redactor, fields.get("subject")),
            patterns: asks::patterns(self.redactor, fields.get("patterns")),
            tool_call_id: coerce::trimmed_owned(fields.get("toolCallId")),
            asked_at: coerce::trimmed_owned(fields.get("askedAt")),
        })
    }

    fn resolved_approval(&self, value: &Value) -> Option<ResolvedApproval> {
        let fields = value.as_object()?;
        Some(ResolvedApproval {
            id: coerce::text(fields.get("id"))?.to_owned(),
            session_id: coerce::text(fields.get("sessionId"))?.to_owned(),
            task_run_id: coerce::trimmed_owned(fields.get("taskRunId")),
            tool: coerce::text_or(fields.get("tool"), "permission"),
            description: coerce::text_or(fields.get("description"), "Permission resolved"),
            allowed: fields.get("allowed") == Some(&Value::Bool(true)),
            order: coerce::number_or(fields.get("order"), 0.0),
            resolved_at: coerce::text_or(fields.get("resolvedAt"), self.now),
            subject: sanitize::exact_text(self.redactor, fields.get("subject")),
            reason: coerce::trimmed_owned(fields.get("reason")),
            tool_call_id: coerce::trimmed_owned(fields.get("toolCallId")),
        })
    }

    fn resolved_question(&self, value: &Value) -> Option<ResolvedQuestion> {
        let fields = value.as_object()?;
        Some(ResolvedQuestion {
            id: coerce::text(fields.get("id"))?.to_owned(),
            session_id: coerce::text(fields.get("sessionId"))?.to_owned(),
            source_session_id: coerce::trimmed_owned(fields.get("sourceSessionId")),
            questions: asks::prompts(fields.get("questions")),
            answers: fields
                .get("answers")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            rejected: fields.get("rejected") == Some(&Value::Bool(true)),
            order: coerce::number_or(fields.get("order"), 0.0),
            resolved_at: coerce::text_or(fields.get("resolvedAt"), self.now),
        })
    }

    fn artifacts(&self) -> Vec<open_cowork_contracts::view::SessionArtifact> {
        let Some(Value::Array(items)) = self.fields.get("artifacts") else {
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .filter_map(|(position, item)| {
                artifacts::from_fields(item.as_object()?, (position as u64).into())
            })
            .collect()
    }
}

fn status(value: Option<&Value>) -> Option<SessionStatus> {
    SessionStatus::parse(value?.as_str()?)
}

fn pending_question(value: &Value) -> Option<PendingQuestion> {
    let fields = value.as_object()?;
    Some(PendingQuestion {
        id: coerce::text(fields.get("id"))?.to_owned(),
        session_id: coerce::text(fields.get("sessionId"))?.to_owned(),
        source_session_id: coerce::trimmed_owned(fields.get("sourceSessionId")),
        questions: asks::prompts(fields.get("questions")),
        tool: asks::question_tool(fields.get("tool")),
        order: coerce::number(fields.get("order")).map(JsNumber),
    })
}

fn view_error(value: &Value) -> Option<ViewError> {
    let fields = value.as_object()?;
    Some(ViewError {
        id: coerce::text(fields.get("id"))?.to_owned(),
        session_id: coerce::trimmed_owned(fields.get("sessionId")),
        message: coerce::text(fields.get("message"))?.to_owned(),
        order: coerce::number_or(fields.get("order"), 0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_of_this_process_does_not_come_back() {
        let stored = json!({"toolCalls": [{"id": "x", "output": "it is hunter2"}]});
        let view = normalize_with(
            &stored,
            &Session::default(),
            "now",
            &Redactor::new(["hunter2"]),
        );
        assert_eq!(
            view.tool_calls[0].output,
            Some(json!("it is [REDACTED_SECRET]"))
        );
    }
}
