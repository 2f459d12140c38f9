//! The regions around the transcript: status and cost, todos, what waits, the drawer.

use super::ask_line;
use super::call::{changed_file, one_line};
use super::task::task_words;
use crate::url;
use crate::workspace::ThreadState;
use maud::{Markup, html};
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::view::{TaskStatus, Todo, Tokens};
use std::collections::HashMap;

/// What the regions show, copied out of a thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) title: String,
    status: SessionStatus,
    pub(crate) working: bool,
    waiting: Vec<(String, String)>,
    cost: f64,
    tokens: Tokens,
    context_tokens: f64,
    todos: Vec<Todo>,
    agents: Vec<(String, String, TaskStatus)>,
    files: Vec<File>,
    artifacts: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct File {
    path: String,
    added: usize,
    removed: usize,
    href: String,
}

/// Files listed in the drawer.
const FILES: usize = 100;

impl Facts {
    /// Copies the facts. The files are read from every tool call, so a caller that knows that no call changed
    /// passes the ones from before.
    pub(crate) fn take(state: &ThreadState<'_>, before: Option<&Facts>) -> Facts {
        let view = state.view;
        let asks = view
            .pending_approvals
            .iter()
            .map(|ask| (format!("a-{}", ask.id), ask_line(ask)));
        let questions = view.pending_questions.iter().map(|question| {
            let text = question
                .questions
                .first()
                .map_or("a question", |first| first.question.as_str());
            (format!("q-{}", question.id), one_line(text))
        });
        let title = if view.title.trim().is_empty() {
            "New chat".to_owned()
        } else {
            one_line(&view.title)
        };
        Facts {
            // The view's default title is a word of the wire (07 §1: never "session" on the surface).
            title: if title == "New session" {
                "New chat".into()
            } else {
                title
            },
            status: view.status,
            // A late call may set the flag while people are asked (01 §5.4).
            working: view.is_generating
                && view.pending_approvals.is_empty()
                && view.pending_questions.is_empty(),
            waiting: asks.chain(questions).collect(),
            cost: view.session_cost.0,
            tokens: view.session_tokens,
            context_tokens: view.last_input_tokens.0,
            todos: view.todos.clone(),
            agents: view
                .task_runs
                .iter()
                .rev()
                .take(50)
                .map(|run| (format!("k-{}", run.id), one_line(&run.title), run.status))
                .collect(),
            files: before.map_or_else(|| files(state), |facts| facts.files.clone()),
            artifacts: view
                .artifacts
                .iter()
                .rev()
                .take(50)
                .map(|artifact| artifact.filename.clone())
                .collect(),
        }
    }
}

fn files(state: &ThreadState<'_>) -> Vec<File> {
    let chat = state.session.session_id.as_str();
    let root = state.view.tool_calls.iter().map(|call| (None, call));
    let of_tasks = state.view.task_runs.iter().flat_map(|run| {
        run.tool_calls
            .iter()
            .map(|call| (Some(run.id.as_str()), call))
    });
    let mut out: Vec<File> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    for (task, call) in root.chain(of_tasks) {
        let Some((path, added, removed)) = changed_file(call) else {
            continue;
        };
        let href = url::call(chat, task, &call.id);
        match at.get(&path).and_then(|index| out.get_mut(*index)) {
            Some(file) => {
                file.added += added;
                file.removed += removed;
                file.href = href;
            }
            None if at.len() < FILES => {
                at.insert(path.clone(), at.len());
                out.push(File {
                    path,
                    added,
                    removed,
                    href,
                });
            }
            None => {}
        }
    }
    out
}

/// A named part of the chat page that is replaced as a whole.
pub(super) type Region = (&'static str, Markup);

/// What the window's title says.
pub(crate) fn title_text(facts: &Facts) -> String {
    let sign = if !facts.waiting.is_empty() {
        "? "
    } else if facts.working {
        "● "
    } else {
        ""
    };
    format!("{sign}{}", facts.title)
}

/// All regions.
pub(crate) fn regions(facts: &Facts) -> Vec<Region> {
    vec![
        ("chat-name", html! { (facts.title) }),
        ("chat-facts", facts_line(facts)),
        ("waiting", waiting(facts)),
        ("todos", todo_strip(facts)),
        ("actions", actions(facts)),
        ("working", working(facts)),
        ("drawer-body", drawer(facts)),
    ]
}

fn facts_line(facts: &Facts) -> Markup {
    let (tone, sign, word) = if !facts.waiting.is_empty() {
        ("tone-warn", "?", "Waiting for you")
    } else if facts.working || facts.status == SessionStatus::Running {
        ("tone-info", "●", "Working")
    } else {
        match facts.status {
            SessionStatus::Errored => ("tone-danger", "!", "Stopped by an error"),
            SessionStatus::Closed => ("tone-muted", "–", "Archived"),
            _ => ("tone-muted", "○", "Ready"),
        }
    };
    let t = &facts.tokens;
    let all = t.input.0 + t.output.0 + t.reasoning.0 + t.cache_read.0 + t.cache_write.0;
    let detail = format!(
        "{} in, {} out, {} reasoning, {} read from cache, {} written to cache; last prompt {} tokens",
        tokens(t.input.0),
        tokens(t.output.0),
        tokens(t.reasoning.0),
        tokens(t.cache_read.0),
        tokens(t.cache_write.0),
        tokens(facts.context_tokens),
    );
    html! {
        span class={ "status " (tone) } { span aria-hidden="true" { (sign) " " } (word) }
        span.cost title=(detail) {
            @if all > 0.0 { (tokens(all)) " tokens" }
            @if facts.cost > 0.0 { " · " (money(facts.cost)) }
        }
    }
}

fn money(usd: f64) -> String {
    if usd < 0.01 {
        format!("${usd:.4}")
    } else {
        format!("${usd:.2}")
    }
}

fn tokens(count: f64) -> String {
    if count >= 1_000_000.0 {
        format!("{:.1}M", count / 1_000_000.0)
    } else if count >= 10_000.0 {
        format!("{:.0}k", count / 1_000.0)
    } else if count >= 1_000.0 {
        format!("{:.1}k", count / 1_000.0)
    } else {
        format!("{count:.0}")
    }
}

fn waiting(facts: &Facts) -> Markup {
    html! {
        @if let Some((key, label)) = facts.waiting.first() {
            a.waiting-line href={ "#" (key) } data-jump=(key) {
                span.tone-warn { span aria-hidden="true" { "? " } "Waiting for you" }
                code { (label) }
                @if facts.waiting.len() > 1 { span { "and " (facts.waiting.len() - 1) " more" } }
            }
        }
    }
}

fn todo_words(todo: &Todo) -> (&'static str, &'static str) {
    match todo.status.as_str() {
        "completed" => ("✓", "done"),
        "in_progress" => ("●", "doing"),
        "cancelled" => ("–", "dropped"),
        _ => ("○", "to do"),
    }
}

fn todo_list(todos: &[Todo]) -> Markup {
    html! {
        ol.todo-list {
            @for todo in todos {
                @let (sign, word) = todo_words(todo);
                li class={ "todo-" (word.replace(' ', "-")) } {
                    span.sign aria-hidden="true" { (sign) } span { (todo.content) } span.sr { " (" (word) ")" }
                }
            }
        }
    }
}

fn todo_strip(facts: &Facts) -> Markup {
    let done = facts
        .todos
        .iter()
        .filter(|todo| todo.status == "completed")
        .count();
    let total = facts
        .todos
        .iter()
        .filter(|todo| todo.status != "cancelled")
        .count();
    let current = facts
        .todos
        .iter()
        .find(|todo| todo.status == "in_progress")
        .or_else(|| facts.todos.iter().find(|todo| todo.status == "pending"));
    html! {
        @if !facts.todos.is_empty() {
            details.todo-strip id="todo-strip" {
                summary {
                    span.count { (done) " of " (total) }
                    progress max=(total.max(1)) value=(done) aria-hidden="true" {}
                    span.subject { @if let Some(todo) = current { (todo.content) } @else { "All done" } }
                }
                (todo_list(&facts.todos))
            }
        }
    }
}

fn actions(facts: &Facts) -> Markup {
    html! {
        @if facts.working || !facts.waiting.is_empty() {
            button.button.stop type="submit" form="stop-form" { span aria-hidden="true" { "■ " } "Stop" kbd { "Esc" } }
        } @else {
            button.button.primary.send type="submit" { "Send" kbd { "Enter" } }
        }
    }
}

fn working(facts: &Facts) -> Markup {
    html! {
        @if facts.working { span.tone-info { span.pulse aria-hidden="true" {} "Working" } }
    }
}

fn drawer(facts: &Facts) -> Markup {
    html! {
        section {
            h2 { "Todos" }
            @if facts.todos.is_empty() { p.hint { "None yet." } } @else { (todo_list(&facts.todos)) }
        }
        section {
            h2 { "Files changed" }
            @if facts.files.is_empty() { p.hint { "None yet." } }
            ul.files {
                @for file in &facts.files {
                    li {
                        a href=(file.href) data-detail title=(file.path) { code { (file.path) } }
                        span.plus { "+" (file.added) } span.minus { "−" (file.removed) }
                    }
                }
            }
        }
        @if !facts.artifacts.is_empty() {
            section { h2 { "Artifacts" } ul { @for name in &facts.artifacts { li { (name) } } } }
        }
        section {
            h2 { "Sub-agents" }
            @if facts.agents.is_empty() { p.hint { "None yet." } }
            ul.agents {
                @for (key, title, status) in &facts.agents {
                    @let (tone, sign, word) = task_words(*status);
                    li { a href={ "#" (key) } data-jump=(key) { (title) } " " span class=(tone) { span aria-hidden="true" { (sign) " " } (word) } }
                }
            }
        }
    }
}
