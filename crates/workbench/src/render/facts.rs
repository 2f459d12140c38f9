//! The regions around the transcript: status and cost, todos, what waits, the drawer.

use super::call::{changed_file, one_line};
use super::task::task_words;
use super::{Context, ask_line};
use crate::workspace::ThreadState;
use maud::{Markup, html};
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::view::{TaskStatus, Todo, Tokens};
use std::collections::HashMap;

/// What the regions show, copied out of a thread.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) title: String,
    status: SessionStatus,
    pub(crate) working: bool,
    /// What waits longest, with its element, and how many wait.
    waiting: Option<(String, String)>,
    waiting_count: usize,
    cost: f64,
    tokens: Tokens,
    context_tokens: f64,
    todos: Todos,
    agents: Newest<(String, String, TaskStatus)>,
    files: Files,
    artifacts: Newest<String>,
}

#[derive(Clone, Debug, Default)]
struct File {
    path: String,
    added: usize,
    removed: usize,
    /// The step that changed it last: its sub-agent, if any, and its call.
    last: (Option<String>, String),
}

/// Files that calls changed, in the order of their first change.
#[derive(Clone, Debug, Default)]
struct Files {
    shown: Vec<File>,
    /// There are more than are listed.
    cut: bool,
}

/// The newest of a list, newest first.
#[derive(Clone, Debug)]
struct Newest<T> {
    shown: Vec<T>,
    earlier: usize,
}

/// The todos around the first that isn't done.
#[derive(Clone, Debug, Default)]
struct Todos {
    shown: Vec<Todo>,
    before: usize,
    after: usize,
    /// Of all: done, and not dropped.
    done: usize,
    total: usize,
    /// What is being done, else what comes next.
    current: Option<String>,
}

/// Files listed in the drawer.
const FILES: usize = 100;
/// Sub-agents, and artifacts, listed in the drawer.
const NEWEST: usize = 50;
/// Todos listed at a time.
const TODOS: usize = 100;
/// Finished todos that stay in sight before the first that isn't.
const DONE_BEFORE: usize = 10;

impl<T> Newest<T> {
    fn take<S>(all: &[S], show: impl Fn(&S) -> T) -> Newest<T> {
        Newest {
            shown: all.iter().rev().take(NEWEST).map(show).collect(),
            earlier: all.len().saturating_sub(NEWEST),
        }
    }
}

impl Todos {
    fn take(all: &[Todo]) -> Todos {
        let with = |status: &str| all.iter().find(|todo| todo.status == status);
        let is_open = |todo: &Todo| !matches!(todo.status.as_str(), "completed" | "cancelled");
        // The list is whole where it fits, and else begins a little before what is open.
        let first = all.iter().position(is_open).unwrap_or(all.len());
        let before = first
            .saturating_sub(DONE_BEFORE)
            .min(all.len().saturating_sub(TODOS));
        let shown: Vec<Todo> = all.iter().skip(before).take(TODOS).cloned().collect();
        Todos {
            after: all.len() - before - shown.len(),
            shown,
            before,
            done: all.iter().filter(|t| t.status == "completed").count(),
            total: all.iter().filter(|t| t.status != "cancelled").count(),
            current: with("in_progress")
                .or_else(|| with("pending"))
                .map(|todo| todo.content.clone()),
        }
    }
}

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
        let waiting_count = view.pending_approvals.len() + view.pending_questions.len();
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
            waiting: asks.chain(questions).next(),
            waiting_count,
            cost: view.session_cost.0,
            tokens: view.session_tokens,
            context_tokens: view.last_input_tokens.0,
            todos: Todos::take(&view.todos),
            agents: Newest::take(&view.task_runs, |run| {
                (format!("k-{}", run.id), one_line(&run.title), run.status)
            }),
            files: before.map_or_else(|| files(state), |facts| facts.files.clone()),
            artifacts: Newest::take(&view.artifacts, |artifact| artifact.filename.clone()),
        }
    }
}

fn files(state: &ThreadState<'_>) -> Files {
    let root = state.view.tool_calls.iter().map(|call| (None, call));
    let of_tasks = state.view.task_runs.iter().flat_map(|run| {
        run.tool_calls
            .iter()
            .map(|call| (Some(run.id.as_str()), call))
    });
    let mut files = Files::default();
    let mut at: HashMap<String, usize> = HashMap::new();
    for (task, call) in root.chain(of_tasks) {
        let Some((path, added, removed)) = changed_file(call) else {
            continue;
        };
        let last = (task.map(str::to_owned), call.id.clone());
        match at.get(&path).and_then(|index| files.shown.get_mut(*index)) {
            Some(file) => {
                file.added += added;
                file.removed += removed;
                file.last = last;
            }
            None if at.len() < FILES => {
                at.insert(path.clone(), at.len());
                files.shown.push(File {
                    path,
                    added,
                    removed,
                    last,
                });
            }
            None => files.cut = true,
        }
    }
    files
}

/// A named part of the chat page that is replaced as a whole.
pub(super) type Region = (&'static str, Markup);

/// What the window's title says.
pub(crate) fn title_text(facts: &Facts) -> String {
    let sign = if facts.waiting.is_some() {
        "? "
    } else if facts.working {
        "● "
    } else {
        ""
    };
    format!("{sign}{}", facts.title)
}

/// All regions.
pub(crate) fn regions(context: &Context, facts: &Facts) -> Vec<Region> {
    vec![
        ("chat-name", html! { (facts.title) }),
        ("chat-facts", facts_line(facts)),
        ("waiting", waiting(facts)),
        ("todos", todo_strip(&facts.todos)),
        ("actions", actions(facts)),
        ("working", working(facts)),
        ("drawer-body", drawer(context, facts)),
    ]
}

fn facts_line(facts: &Facts) -> Markup {
    let (tone, sign, word) = if facts.waiting.is_some() {
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
        @if let Some((key, label)) = &facts.waiting {
            a.waiting-line href={ "#" (key) } data-jump=(key) {
                span.tone-warn { span aria-hidden="true" { "? " } "Waiting for you" }
                code { (label) }
                @if facts.waiting_count > 1 { span { "and " (facts.waiting_count - 1) " more" } }
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

fn todo_list(todos: &Todos) -> Markup {
    html! {
        @if todos.before > 0 { p.hint { (todos.before) " earlier ones are not shown." } }
        ol.todo-list {
            @for todo in &todos.shown {
                @let (sign, word) = todo_words(todo);
                li class={ "todo-" (word.replace(' ', "-")) } {
                    span.sign aria-hidden="true" { (sign) } span { (todo.content) } span.sr { " (" (word) ")" }
                }
            }
        }
        @if todos.after > 0 { p.hint { "And " (todos.after) " more." } }
    }
}

fn todo_strip(todos: &Todos) -> Markup {
    html! {
        @if !todos.shown.is_empty() {
            details.todo-strip id="todo-strip" {
                summary {
                    span.count { (todos.done) " of " (todos.total) }
                    progress max=(todos.total.max(1)) value=(todos.done) aria-hidden="true" {}
                    span.subject { @if let Some(current) = &todos.current { (current) } @else { "All done" } }
                }
                (todo_list(todos))
            }
        }
    }
}

fn actions(facts: &Facts) -> Markup {
    html! {
        @if facts.working || facts.waiting.is_some() {
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

fn drawer(context: &Context, facts: &Facts) -> Markup {
    let todos = &facts.todos;
    html! {
        section {
            h2 { "Todos" }
            @if todos.shown.is_empty() { p.hint { "None yet." } } @else { (todo_list(todos)) }
        }
        section {
            h2 { "Files changed" }
            @if facts.files.shown.is_empty() { p.hint { "None yet." } }
            ul.files {
                @for file in &facts.files.shown {
                    @let (task, call) = &file.last;
                    @let href = context.base.call(&context.chat, task.as_deref(), call);
                    li {
                        a href=(href) data-detail title=(file.path) { code { (file.path) } }
                        span.plus { "+" (file.added) } span.minus { "−" (file.removed) }
                    }
                }
            }
            @if facts.files.cut { p.hint { "Only the first " (FILES) " are listed." } }
        }
        @if !facts.artifacts.shown.is_empty() {
            section {
                h2 { "Artifacts" }
                ul { @for name in &facts.artifacts.shown { li { (name) } } }
                (earlier(facts.artifacts.earlier))
            }
        }
        section {
            h2 { "Sub-agents" }
            @if facts.agents.shown.is_empty() { p.hint { "None yet." } }
            ul.agents {
                @for (key, title, status) in &facts.agents.shown {
                    @let (tone, sign, word) = task_words(*status);
                    li { a href={ "#" (key) } data-jump=(key) { (title) } " " span class=(tone) { span aria-hidden="true" { (sign) " " } (word) } }
                }
            }
            (earlier(facts.agents.earlier))
        }
    }
}

fn earlier(count: usize) -> Markup {
    html! { @if count > 0 { p.hint { "And " (count) " earlier." } } }
}
