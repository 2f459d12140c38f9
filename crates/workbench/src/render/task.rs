//! A sub-agent's lane: indented, with its own status, folded when done.

use super::Context;
use super::call;
use super::message::block_markup;
use crate::clock::duration;
use maud::{Markup, html};
use open_cowork_contracts::view::{TaskRun, TaskStatus, ToolCall};
use serde_json::Value;

/// A lane shows its newest steps only, so that a step costs the same however long it runs.
const STEPS: usize = 30;
/// Newest bytes of a piece of text that are shown.
const PIECE_BYTES: usize = 8_000;

enum Step<'a> {
    Text(&'a str),
    Call(&'a ToolCall),
}

pub(super) fn lane(
    context: &Context,
    key: &str,
    order: f64,
    run: &TaskRun,
    waiting: &[String],
) -> Markup {
    let running = matches!(run.status, TaskStatus::Queued | TaskStatus::Running);
    let mut steps: Vec<(f64, Step<'_>)> = run
        .tool_calls
        .iter()
        .map(|c| (c.order.0, Step::Call(c)))
        .collect();
    steps.extend(run.transcript.iter().filter_map(piece));
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let hidden = steps.len().saturating_sub(STEPS);
    html! {
        div.item.lane id=(key) data-order=(order) tabindex="-1" {
            details open[running] id={ (key) "-lane" } {
                summary {
                    span.verb { "Sub-agent" } " "
                    span.subject title=(run.title) { (run.title) } " "
                    @if waiting.is_empty() { (status(run)) } @else { (call::waits()) }
                }
                div.inner {
                    @if let Some(agent) = run.agent.as_deref().filter(|name| !name.is_empty()) { p.hint { "Coworker: " (agent) } }
                    @if !run.todos.is_empty() {
                        p.hint { "Todos: " (run.todos.iter().filter(|t| t.status == "completed").count()) " of " (run.todos.len()) }
                    }
                    @if hidden > 0 { p.hint { (hidden) " earlier steps are not shown." } }
                    @for (_, step) in steps.iter().skip(hidden) {
                        @match step {
                            Step::Text(text) => div.md { @for block in crate::markdown::render(newest(text)) { (block_markup(&block)) } },
                            Step::Call(one) => (call::call(context, Some(&run.id), one, waiting)),
                        }
                    }
                    @if steps.is_empty() && !run.content.trim().is_empty() {
                        div.md { @for block in crate::markdown::render(newest(&run.content)) { (block_markup(&block)) } }
                    }
                    @if let Some(error) = run.error.as_deref().filter(|text| !text.trim().is_empty()) { p.tone-danger { (error) } }
                }
            }
        }
    }
}

fn piece(value: &Value) -> Option<(f64, Step<'_>)> {
    let text = value
        .get("content")
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())?;
    let order = value.get("order").and_then(Value::as_f64).unwrap_or(0.0);
    Some((order, Step::Text(text)))
}

fn newest(text: &str) -> &str {
    let mut start = text.len().saturating_sub(PIECE_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or(text)
}

fn status(run: &TaskRun) -> Markup {
    let (tone, mark, word) = task_words(run.status);
    html! {
        span.state {
            span class=(tone) {
                @if run.status == TaskStatus::Running { span.pulse aria-hidden="true" {} } @else { span aria-hidden="true" { (mark) " " } }
                (word)
            }
            @if let Some(took) = duration(run.started_at.as_deref(), run.finished_at.as_deref()) { span.took { (took) } }
        }
    }
}

/// Tone class, sign and word of a status.
pub(super) fn task_words(status: TaskStatus) -> (&'static str, &'static str, &'static str) {
    match status {
        TaskStatus::Queued => ("tone-muted", "○", "waiting to start"),
        TaskStatus::Running => ("tone-info", "●", "running"),
        TaskStatus::Complete => ("tone-ok", "✓", "done"),
        TaskStatus::Error => ("tone-danger", "✕", "failed"),
    }
}
