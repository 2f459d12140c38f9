//! Payloads of normalized events (01 §9.3 with decisions 2, 8).

use open_cowork_contracts::JsonObject;
use open_cowork_opencode::model::{ErrorInfo, PermissionRequest, ToolState};
use serde_json::{Map, Value, json};

/// Paths inside the workspace become relative, so that people see what they approve and nothing of the
/// machine around it is kept (decision 8).
#[derive(Clone, Debug, Default)]
pub(crate) struct Workspace {
    /// Absolute, without a trailing slash; empty: unknown.
    root: String,
}

impl Workspace {
    pub(crate) fn new(directory: Option<&str>) -> Self {
        let root = directory
            .unwrap_or_default()
            .trim_end_matches('/')
            .to_owned();
        Workspace { root }
    }

    /// Replaces `<workspace>/x` by `x` and a lone `<workspace>` by `.`.
    pub(crate) fn relative(&self, text: &str) -> String {
        if self.root.is_empty() || !text.contains(&self.root) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(&self.root) {
            let (head, tail) = rest.split_at(at);
            out.push_str(head);
            let after = &tail[self.root.len()..];
            let starts_a_path = !out.ends_with(|c: char| c.is_alphanumeric() || "/._-".contains(c));
            match after.chars().next() {
                Some('/') if starts_a_path => {
                    let inside = &after[1..];
                    let empty = inside
                        .chars()
                        .next()
                        .is_none_or(|c| c.is_whitespace() || "\"'`),;:".contains(c));
                    out.push_str(if empty { "." } else { "" });
                    rest = inside;
                }
                next if starts_a_path
                    && next.is_none_or(|c| !c.is_alphanumeric() && !"._-".contains(c)) =>
                {
                    out.push('.');
                    rest = after;
                }
                _ => {
                    out.push_str(&self.root);
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// The same for every string inside a JSON value.
    pub(crate) fn relative_value(&self, value: &Value) -> Value {
        if self.root.is_empty() {
            return value.clone();
        }
        match value {
            Value::String(text) => Value::String(self.relative(text)),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.relative_value(item)).collect())
            }
            Value::Object(object) => Value::Object(self.relative_object(object)),
            other => other.clone(),
        }
    }

    pub(crate) fn relative_object(&self, object: &Map<String, Value>) -> Map<String, Value> {
        object
            .iter()
            .map(|(key, value)| (key.clone(), self.relative_value(value)))
            .collect()
    }
}

/// Status of a tool call (01 §9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolPhase {
    Running,
    Complete,
    Error,
}

impl ToolPhase {
    pub(crate) fn of(state: &ToolState) -> ToolPhase {
        let has_error = state.error.as_ref().is_some_and(|error| !error.is_null());
        if state.status == "error" || has_error {
            ToolPhase::Error
        } else if state.output.is_some() || state.status == "completed" {
            ToolPhase::Complete
        } else {
            ToolPhase::Running
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ToolPhase::Running => "running",
            ToolPhase::Complete => "complete",
            ToolPhase::Error => "error",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        self != ToolPhase::Running
    }
}

/// The tool input as an object; empty while the call is pending.
pub(crate) fn tool_input(state: &ToolState) -> JsonObject {
    match &state.input {
        Some(Value::Object(input)) => input.clone(),
        _ => JsonObject::new(),
    }
}

/// Text of a tool's error.
pub(crate) fn tool_error(state: &ToolState) -> Option<String> {
    match state.error.as_ref()? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The exact action in one line (decision 8): the command, the path, the address, or the patterns.
pub(crate) fn subject(
    tool: &str,
    input: &Map<String, Value>,
    patterns: &[String],
) -> Option<String> {
    const KEYS: &[&str] = &[
        "command",
        "filePath",
        "filepath",
        "path",
        "url",
        "query",
        "pattern",
        "description",
        "name",
    ];
    let text = KEYS.iter().find_map(|key| match input.get(*key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    });
    // A command or path says more than the patterns that OpenCode derives from it; without one the
    // patterns are the action, as for `external_directory`.
    match (text, tool) {
        (Some(text), tool) if tool != "external_directory" => Some(text),
        (text, _) if patterns.is_empty() => text,
        _ => Some(patterns.join(", ")),
    }
}

/// Name shown for a permission: its type (01 §9.3: `title` falls back to the type on 1.18.33).
pub(crate) fn permission_title(request: &PermissionRequest) -> String {
    for key in ["title", "name", "action"] {
        if let Some(Value::String(title)) = request.extra.get(key)
            && !title.is_empty()
        {
            return title.clone();
        }
    }
    if request.permission.is_empty() {
        "permission".to_owned()
    } else {
        request.permission.clone()
    }
}

/// Questions in the shape of 01 §5.5, at most 256.
pub(crate) fn questions(raw: &[Value]) -> Value {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let prompts = raw.iter().take(256).map(|question| {
        let options: Vec<Value> = question
            .get("options")
            .and_then(Value::as_array)
            .map(|options| {
                options
                    .iter()
                    .take(256)
                    .map(|option| {
                        json!({ "label": text(option.get("label")), "description": text(option.get("description")) })
                    })
                    .collect()
            })
            .unwrap_or_default();
        json!({
            "header": text(question.get("header")),
            "question": text(question.get("question")),
            "options": options,
            "multiple": question.get("multiple") == Some(&Value::Bool(true)),
            "custom": question.get("custom") != Some(&Value::Bool(false)),
        })
    });
    Value::Array(prompts.collect())
}

/// Todos with their defaults (01 §9.3), at most 256.
pub(crate) fn todos(raw: &[Value]) -> Value {
    let items = raw.iter().take(256).filter_map(|todo| {
        let content = todo.get("content")?.as_str()?;
        let mut item = JsonObject::new();
        if let Some(Value::String(id)) = todo.get("id") {
            item.insert("id".into(), json!(id));
        }
        item.insert("content".into(), json!(content));
        let word = |key: &str, default: &str| {
            todo.get(key)
                .and_then(Value::as_str)
                .filter(|word| !word.is_empty())
                .unwrap_or(default)
                .to_owned()
        };
        item.insert("status".into(), json!(word("status", "pending")));
        item.insert("priority".into(), json!(word("priority", "medium")));
        Some(Value::Object(item))
    });
    Value::Array(items.collect())
}

/// One sentence for a failure; never provider headers or bodies (08 §3.3).
pub(crate) fn error_message(error: &ErrorInfo) -> String {
    let text = error
        .data
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // A provider's error object comes as JSON text inside the message.
    let inner = serde_json::from_str::<Value>(text).ok().and_then(|value| {
        value
            .get("message")
            .and_then(Value::as_str)
            .map(str::to_owned)
    });
    match inner.as_deref().unwrap_or(text) {
        "" if error.name.is_empty() => "OpenCode runtime reported an error.".to_owned(),
        "" => error.name.clone(),
        text => text.lines().next().unwrap_or(text).to_owned(),
    }
}

/// True for the error that an abort leaves.
pub(crate) fn is_abort(error: &ErrorInfo) -> bool {
    error.name == "MessageAbortedError"
}

/// ISO-8601 in UTC with milliseconds from OpenCode's milliseconds.
pub(crate) fn iso(ms: Option<&serde_json::Number>) -> Option<String> {
    let ms = ms?.as_f64()?;
    let time = jiff::Timestamp::from_millisecond(ms as i64).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_paths_become_relative_and_neighbours_stay() {
        let workspace = Workspace::new(Some("/work/space/"));
        for (text, expected) in [
            ("/work/space/a/b.md", "a/b.md"),
            ("/work/space", "."),
            ("/work/space/", "."),
            ("cat /work/space/a \"/work/space\"", "cat a \".\""),
            ("/work/space2/a", "/work/space2/a"),
            ("/home/work/space/a", "/home/work/space/a"),
            ("x/work/space/a", "x/work/space/a"),
        ] {
            assert_eq!(workspace.relative(text), expected, "{text}");
        }
    }

    #[test]
    fn the_subject_of_a_command_is_the_whole_command() {
        let input = json!({ "command": "rm -rf build && ls", "description": "Clean" });
        let patterns = ["rm -rf build".to_owned(), "ls".to_owned()];
        assert_eq!(
            subject("bash", input.as_object().unwrap(), &patterns).as_deref(),
            Some("rm -rf build && ls")
        );
        assert_eq!(
            subject("external_directory", &Map::new(), &["/etc/*".to_owned()]).as_deref(),
            Some("/etc/*")
        );
    }

    #[test]
    fn an_error_inside_a_stream_shows_its_own_message() {
        let error: ErrorInfo = serde_json::from_value(json!({
            "name": "UnknownError",
            "data": { "message": "{\"message\":\"stream broke (fake)\",\"type\":\"server_error\"}" }
        }))
        .unwrap();
        assert_eq!(error_message(&error), "stream broke (fake)");
    }
}
