//! Tool calls: one line with verb, exact subject, state and duration; opens to input, diff or output.

use super::Context;
use super::diff::{self, Line};
use crate::clock::duration;
use maud::{Markup, html};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::view::{Attachment, ToolCall, ToolStatus};
use serde_json::Value;

/// Lines of output shown at the head and at the tail.
const HEAD: usize = 14;
const TAIL: usize = 6;
/// Longest line shown in a preview, in characters.
const LINE_CHARS: usize = 400;

/// One call, or a fold of consecutive reads.
pub(super) fn calls(
    context: &Context,
    key: &str,
    order: f64,
    calls: &[ToolCall],
    waiting: &[String],
) -> Markup {
    html! {
        div.item.calls id=(key) data-order=(order) tabindex="-1" {
            @match calls {
                [one] => (call(context, None, one, waiting)),
                many => (fold(context, key, many, waiting)),
            }
        }
    }
}

fn fold(context: &Context, key: &str, calls: &[ToolCall], waiting: &[String]) -> Markup {
    let reads = calls.iter().filter(|c| c.name == "read").count();
    let searches = calls.len() - reads;
    let plural = |n: usize, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let what: Vec<String> = [
        plural(reads, "file", "files"),
        plural(searches, "search", "searches"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let state = if calls.iter().any(|c| c.status == ToolStatus::Running) {
        ToolStatus::Running
    } else if calls.iter().any(|c| c.status == ToolStatus::Error) {
        ToolStatus::Error
    } else {
        ToolStatus::Complete
    };
    html! {
        details.call.fold id={ (key) "-fold" } {
            summary {
                span.verb { "Looked at" } " "
                span.subject { (what.join(", ")) } " "
                @if waiting.is_empty() { (state_word(state, None, None)) } @else { (waits()) }
            }
            div.inner { @for one in calls { (call(context, None, one, waiting)) } }
        }
    }
}

/// One call; `task` is the sub-agent that made it.
pub(super) fn call(
    context: &Context,
    task: Option<&str>,
    call: &ToolCall,
    waiting: &[String],
) -> Markup {
    let id = match task {
        Some(task) => format!("c-{task}/{}", call.id),
        None => format!("c-{}", call.id),
    };
    let (verb, subject) = verb_and_subject(call);
    html! {
        details.call id=(id) data-href=(context.base.call(&context.chat, task, &call.id)) {
            summary {
                span.verb { (verb) } " "
                span.subject title=(subject) { (subject) } " "
                @if waiting.contains(&call.id) { (waits()) } @else { (state(call)) }
            }
            div.inner { (body(context, task, call, false)) }
        }
    }
}

/// It doesn't run before it was allowed.
pub(super) fn waits() -> Markup {
    html! { span.state { span.tone-warn { span aria-hidden="true" { "? " } "waits for you" } } }
}

/// A call that a restart cut short did not fail by itself.
fn state(call: &ToolCall) -> Markup {
    if call.status == ToolStatus::Error
        && call.output.as_ref().and_then(Value::as_str) == Some("interrupted")
    {
        return html! { span.state { span.tone-muted { span aria-hidden="true" { "– " } "interrupted" } } };
    }
    state_word(
        call.status,
        call.started_at.as_deref(),
        call.finished_at.as_deref(),
    )
}

fn state_word(status: ToolStatus, started: Option<&str>, finished: Option<&str>) -> Markup {
    html! {
        span.state {
            @match status {
                ToolStatus::Running => {
                    span.tone-info { span.pulse aria-hidden="true" {} "running" }
                    @if let Some(started) = started { span.clock data-since=(started) {} }
                }
                ToolStatus::Complete => span.tone-ok { span aria-hidden="true" { "✓" } span.sr { "done" } },
                ToolStatus::Error => span.tone-danger { span aria-hidden="true" { "✕ " } "failed" },
            }
            @if status != ToolStatus::Running && let Some(took) = duration(started, finished) {
                span.took { (took) }
            }
        }
    }
}

/// The full page of a call: all of its output.
pub(crate) fn call_page(context: &Context, task: Option<&str>, call: &ToolCall) -> Markup {
    let (verb, subject) = verb_and_subject(call);
    html! {
        header.page-head {
            p { a href=(context.base.chat(&context.chat)) { "Back to the chat" } }
            h1.call-title { span.verb { (verb) } " " code { (subject) } }
            p { (state(call)) }
        }
        div.call-page { (body(context, task, call, true)) }
    }
}

fn body(context: &Context, task: Option<&str>, call: &ToolCall, whole: bool) -> Markup {
    let input = &call.input;
    html! {
        @if let Some(error) = call.error.as_deref().filter(|text| !text.trim().is_empty()) {
            p.tone-danger { (error) }
        }
        @match kind(&call.name) {
            Kind::Edit => (edit_diff(context, task, call, whole)),
            Kind::Command => {
                @if let Some(command) = text(input, "command") { pre.code-block tabindex="0" { code { "$ " (command) } } }
            }
            Kind::Read => {}
            Kind::Todo => {}
            Kind::Other => {
                @if !input.is_empty() {
                    p.label { "Input" }
                    pre.code-block tabindex="0" { code { (clip(&pretty(&Value::Object(input.clone())), whole)) } }
                }
            }
        }
        (call_output(context, task, call, whole))
        @for attachment in call.attachments.iter().flatten() { (attached(attachment)) }
        @if call.status == ToolStatus::Running && call.output.is_none() { p.hint { "No output yet." } }
    }
}

/// The output: all of it, or head and tail.
fn call_output(context: &Context, task: Option<&str>, call: &ToolCall, whole: bool) -> Markup {
    let output = match &call.output {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => pretty(other),
    };
    if output.trim().is_empty() {
        return html! {};
    }
    let lines: Vec<&str> = output.lines().collect();
    let short = lines.len() <= HEAD + TAIL + 2 && lines.iter().all(|line| line.len() <= LINE_CHARS);
    let href = context.base.call(&context.chat, task, &call.id);
    html! {
        div.output id={ "o-" (task.unwrap_or_default()) "/" (call.id) } {
            p.label { "Output" }
            @if whole || short {
                pre.code-block tabindex="0" { code { (output) } }
            } @else if lines.len() <= HEAD + TAIL + 2 {
                pre.code-block tabindex="0" { code { (clip(&output, false)) } }
                p { a.show-all href=(href) { "Show all (long lines)" } }
            } @else {
                pre.code-block tabindex="0" {
                    code { (clip(&lines[..HEAD].join("\n"), false)) }
                    span.gap { "… " (lines.len() - HEAD - TAIL) " more lines …" }
                    code { (clip(&lines[lines.len() - TAIL..].join("\n"), false)) }
                }
                p { a.show-all href=(href) { "Show all (" (lines.len()) " lines)" } }
            }
        }
    }
}

/// Each line cut to a readable length, unless all is wanted.
fn clip(text: &str, whole: bool) -> String {
    if whole {
        return text.to_owned();
    }
    let cut = |line: &str| match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

fn edit_diff(context: &Context, task: Option<&str>, call: &ToolCall, whole: bool) -> Markup {
    let input = &call.input;
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| text(input, key))
            .unwrap_or_default()
    };
    let old = first(&["oldString", "old_string"]);
    let new = first(&["newString", "new_string", "content"]);
    if old.is_empty() && new.is_empty() {
        // A patch tool: its text is a diff already.
        let patch = first(&["patchText", "patch", "diff"]);
        if patch.is_empty() {
            return html! {};
        }
        return html! { pre.code-block.diff tabindex="0" { code { (clip(&patch, whole)) } } };
    }
    let lines = diff::lines(&old, &new);
    let most = if whole { usize::MAX } else { HEAD + TAIL + 2 };
    html! {
        pre.code-block.diff tabindex="0" {
            @for line in lines.iter().take(most) {
                @match line {
                    Line::Same(t) => span.same { "  " (t) "\n" },
                    Line::Removed(t) => del { "− " (t) "\n" },
                    Line::Added(t) => ins { "+ " (t) "\n" },
                }
            }
        }
        @if lines.len() > most {
            p { a.show-all href=(context.base.call(&context.chat, task, &call.id)) { "Show all (" (lines.len()) " lines)" } }
        }
    }
}

/// Only pictures of safe kinds are shown; everything else is named.
fn attached(attachment: &Attachment) -> Markup {
    let name = attachment.filename.as_deref().unwrap_or("file");
    let picture = ["image/png", "image/jpeg", "image/gif", "image/webp"]
        .iter()
        .any(|mime| {
            attachment.mime == *mime && attachment.url.starts_with(&format!("data:{mime};base64,"))
        });
    html! {
        @if picture {
            figure { img src=(attachment.url) alt=(name) loading="lazy"; figcaption { (name) } }
        } @else {
            p.hint { "Attached: " (name) " (" (attachment.mime) ")" }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Edit,
    Command,
    Read,
    Todo,
    Other,
}

fn kind(tool: &str) -> Kind {
    match tool {
        "edit" | "write" | "patch" | "apply_patch" | "multiedit" => Kind::Edit,
        "bash" | "shell" => Kind::Command,
        "read" | "glob" | "grep" | "list" | "ls" => Kind::Read,
        "todowrite" | "todoread" => Kind::Todo,
        _ => Kind::Other,
    }
}

/// Files that a call changes: path, lines added, lines removed.
pub(super) fn changed_file(call: &ToolCall) -> Option<(String, usize, usize)> {
    if kind(&call.name) != Kind::Edit || call.status != ToolStatus::Complete {
        return None;
    }
    let count = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| call.input.get(*key).and_then(Value::as_str))
            .map_or(0, |t| t.lines().count())
    };
    let added = count(&["newString", "new_string", "content"]);
    Some((subject(call), added, count(&["oldString", "old_string"])))
}

/// What the line says: `Run` and `cargo test`.
pub(super) fn verb_and_subject(call: &ToolCall) -> (String, String) {
    let subject = subject(call);
    let verb = match call.name.as_str() {
        "bash" | "shell" => "Run",
        "read" => "Read",
        "edit" | "multiedit" | "patch" | "apply_patch" => "Edit",
        "write" => "Write",
        "glob" => "Find",
        "grep" | "codesearch" => "Search",
        "list" | "ls" => "List",
        "webfetch" => "Fetch",
        "websearch" => "Search the web",
        "task" => "Hand over",
        "skill" => "Use skill",
        "todowrite" => return ("Update".into(), todo_progress(&call.input)),
        "todoread" => return ("Read".into(), "the todo list".into()),
        other => return (format!("Use {other}"), subject),
    };
    (verb.to_owned(), subject)
}

fn todo_progress(input: &JsonObject) -> String {
    let todos = input.get("todos").and_then(Value::as_array);
    let words = |todo: &Value| {
        let status = todo.get("status").and_then(Value::as_str);
        status.unwrap_or_default().to_owned()
    };
    let statuses: Vec<String> = todos.into_iter().flatten().map(words).collect();
    if statuses.is_empty() {
        return "todos".into();
    }
    let done = statuses.iter().filter(|one| *one == "completed").count();
    format!("todos, {done} of {} done", statuses.len())
}

fn subject(call: &ToolCall) -> String {
    let keys = [
        "command",
        "filePath",
        "file_path",
        "path",
        "pattern",
        "url",
        "query",
        "description",
        "name",
        "prompt",
        "title",
    ];
    let found = call
        .subject
        .clone()
        .or_else(|| keys.iter().find_map(|key| text(&call.input, key)));
    one_line(&found.unwrap_or_default())
}

/// Line breaks as spaces, cut to a length that a line can hold; the full text is in the opened call.
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}

pub(super) fn text(input: &JsonObject, key: &str) -> Option<String> {
    input
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
