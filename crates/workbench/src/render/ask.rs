//! Approvals and questions, open and answered (07 §16).

use super::Context;
use super::call::{one_line, pretty, text};
use crate::base_path::segment;
use maud::{Markup, html};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::view::{
    PendingApproval, PendingQuestion, QuestionPrompt, ResolvedApproval, ResolvedQuestion,
};
use serde_json::Value;

/// What an ask is about, first match wins (07 §16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskKind {
    Command,
    WebSearch,
    Web,
    ExternalFolder,
    FileWrite,
    Task,
    Integration,
    Mcp,
    Other,
}

fn classify(tool: &str, input: &JsonObject, from_task: bool) -> AskKind {
    let tool = tool.to_ascii_lowercase();
    let has = |key: &str| text(input, key).is_some();
    let any = |words: &[&str]| words.iter().any(|word| tool.contains(word));
    if matches!(
        tool.as_str(),
        "bash" | "shell" | "command" | "exec" | "terminal"
    ) || has("command")
    {
        AskKind::Command
    } else if any(&["search"]) || (has("query") && !has("url")) {
        AskKind::WebSearch
    } else if any(&["fetch", "http", "browse", "crawl"]) || has("url") {
        AskKind::Web
    } else if tool == "external_directory" || tool == "external-directory" {
        AskKind::ExternalFolder
    } else if any(&["write", "edit", "patch"])
        || has("filePath")
        || (has("path") && (has("content") || has("diff")))
    {
        AskKind::FileWrite
    } else if any(&["task", "subagent", "delegate"]) || has("agent") || from_task {
        AskKind::Task
    } else if any(&[
        "gmail", "sheets", "docs", "slides", "calendar", "drive", "notion", "slack", "linear",
        "github", "jira",
    ]) {
        AskKind::Integration
    } else if tool.contains(['_', '.']) {
        AskKind::Mcp
    } else {
        AskKind::Other
    }
}

/// Commands and tools that destroy something (07 §16).
fn is_destructive(kind: AskKind, tool: &str, subject: &str) -> bool {
    if kind == AskKind::Command {
        let words = [
            "rm",
            "rmdir",
            "del",
            "delete",
            "drop",
            "truncate",
            "destroy",
            "format",
            "mkfs",
            "dd",
            "shutdown",
            "kill",
            "force-push",
        ];
        let found = subject
            .to_ascii_lowercase()
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .any(|word| words.contains(&word) || word.starts_with("mkfs"));
        return found
            || (subject.contains("push")
                && (subject.contains("--force") || subject.contains(" -f")));
    }
    let tool = tool.to_ascii_lowercase();
    tool.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|w| matches!(w, "delete" | "remove" | "drop" | "destroy"))
}

fn sentence(kind: AskKind, tool: &str) -> String {
    match kind {
        AskKind::Command => "Run this command?".into(),
        AskKind::WebSearch => "Search the web for this?".into(),
        AskKind::Web => "Open this address?".into(),
        AskKind::ExternalFolder => "Reach outside the chat's folder?".into(),
        AskKind::FileWrite => "Change this file?".into(),
        AskKind::Task => "Hand this to a sub-agent?".into(),
        AskKind::Integration | AskKind::Mcp | AskKind::Other => format!("Use {tool}?"),
    }
}

fn exact(ask: &PendingApproval) -> String {
    ask.subject
        .clone()
        .or_else(|| {
            ["command", "filePath", "path", "url", "query"]
                .iter()
                .find_map(|key| text(&ask.input, key))
        })
        .unwrap_or_else(|| ask.description.clone())
}

/// Whether the description tells more than the tool's name (`bash`, of a sub-agent `Title: bash`) and the subject.
fn says_more(ask: &PendingApproval, subject: &str) -> bool {
    let description = ask.description.trim();
    let last = description.rsplit(": ").next().unwrap_or(description);
    !description.is_empty() && description != subject && last != ask.tool && last != subject
}

/// One line that names an open ask.
pub(crate) fn ask_line(ask: &PendingApproval) -> String {
    one_line(&exact(ask))
}

pub(super) fn approval(
    context: &Context,
    key: &str,
    order: f64,
    ask: &PendingApproval,
    asker: Option<&str>,
    folder: &str,
) -> Markup {
    let kind = classify(&ask.tool, &ask.input, ask.task_run_id.is_some());
    let subject = exact(ask);
    let patterns: Vec<&String> = ask
        .patterns
        .iter()
        .flatten()
        .filter(|pattern| **pattern != subject)
        .collect();
    let working_directory = ["workdir", "cwd", "directory"]
        .iter()
        .find_map(|key| text(&ask.input, key))
        // A command without a place of its own runs in the chat's folder.
        .or_else(|| (kind == AskKind::Command && !folder.is_empty()).then(|| folder.to_owned()));
    let more: JsonObject = ask
        .input
        .iter()
        .filter(|(_, value)| value.as_str().is_none_or(|text| text != subject))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let since = ask.asked_at.as_deref().unwrap_or_default();
    let deny = format!("{key}-deny");
    html! {
        section.item.ask id=(key) data-order=(order) tabindex="-1" data-ask role="group" aria-labelledby={ (key) "-what" } {
            form method="post" action=(context.base.chat_path(&context.chat, &format!("asks/{}", segment(&ask.id)))) data-stay {
                (context.csrf_field())
                // Enter in the reason field presses a form's first button: that must never be Allow.
                button.sr type="submit" name="answer" value="deny" tabindex="-1" aria-hidden="true" {}
                p.head id={ (key) "-what" } {
                    span.icon aria-hidden="true" { "?" }
                    strong { (sentence(kind, &ask.tool)) }
                    @if is_destructive(kind, &ask.tool, &subject) { span.tag.tone-danger { "can delete or destroy" } }
                }
                pre.subject tabindex="0" { code { (subject) } }
                @if says_more(ask, &subject) { p.detail { (ask.description) } }
                dl {
                    @if let Some(directory) = working_directory { dt { "In" } dd { code { (directory) } } }
                    @if !patterns.is_empty() {
                        dt { "Pattern" }
                        dd { @for pattern in patterns { code { (pattern) } " " } }
                    }
                    dt { "Asked by" }
                    dd {
                        @match asker { Some(name) => { "sub-agent “" (name) "”" }, None => "the coworker" }
                        @let time = context.clock.short(since);
                        @if !time.is_empty() { " at " time datetime=(since) { (time) } }
                    }
                }
                @if !more.is_empty() {
                    details id={ (key) "-input" } {
                        summary { "Everything it was given" }
                        pre.code-block tabindex="0" { code { (pretty(&Value::Object(more))) } }
                    }
                }
                div.buttons {
                    button.button.primary type="submit" name="answer" value="allow" data-key="a" { "Allow once" kbd { "a" } }
                    button.button.danger type="submit" name="answer" value="deny" data-key="d" { "Deny" kbd { "d" } }
                    label.grow for=(deny) {
                        span.sr { "Reason for denying, for the agent (optional)" }
                        input id=(deny) type="text" name="reason" maxlength="2000" autocomplete="off" placeholder="Reason, if you deny (optional)";
                    }
                }
                p.form-error role="alert" hidden {}
            }
        }
    }
}

pub(super) fn resolved(
    context: &Context,
    key: &str,
    order: f64,
    asked: &ResolvedApproval,
) -> Markup {
    let what = one_line(asked.subject.as_deref().unwrap_or(&asked.description));
    let reason = asked
        .reason
        .as_deref()
        .map(str::trim)
        .filter(|reason| !reason.is_empty());
    let ended = reason.and_then(|reason| {
        let reason = reason.to_ascii_lowercase();
        ["withdrawn", "interrupted", "aborted", "stopped"]
            .iter()
            .any(|word| reason.starts_with(word))
            .then_some("Withdrawn")
            .or_else(|| reason.starts_with("expired").then_some("Expired"))
    });
    html! {
        div.item.answered id=(key) data-order=(order) tabindex="-1" {
            @match (asked.allowed, ended) {
                (true, _) => { span.tone-ok { span aria-hidden="true" { "✓ " } "You allowed once" } }
                (false, Some(word)) => { span.tone-muted { span aria-hidden="true" { "– " } (word) } }
                (false, None) => { span.tone-danger { span aria-hidden="true" { "✕ " } "You denied" } }
            }
            " " code { (what) }
            @if let Some(reason) = reason && ended.is_none() { span.reason { " “" (reason) "”" } }
            (when(context, &asked.resolved_at))
        }
    }
}

fn when(context: &Context, at: &str) -> Markup {
    let time = context.clock.short(at);
    html! { @if !time.is_empty() { " " time datetime=(at) { (time) } } }
}

pub(super) fn question(context: &Context, key: &str, order: f64, ask: &PendingQuestion) -> Markup {
    html! {
        section.item.ask.question id=(key) data-order=(order) tabindex="-1" role="group" aria-label="Question" {
            form method="post" action=(context.base.chat_path(&context.chat, &format!("questions/{}", segment(&ask.id)))) data-stay {
                (context.csrf_field())
                input type="hidden" name="count" value=(ask.questions.len());
                @for (index, prompt) in ask.questions.iter().enumerate() { (fields(key, index, prompt)) }
                div.buttons {
                    button.button.primary type="submit" name="answer" value="send" { "Answer" }
                    button.button type="submit" name="answer" value="skip" formnovalidate { "Skip" }
                }
                p.form-error role="alert" hidden {}
            }
        }
    }
}

fn fields(key: &str, index: usize, prompt: &QuestionPrompt) -> Markup {
    let kind = if prompt.multiple { "checkbox" } else { "radio" };
    let free = prompt.custom || prompt.options.is_empty();
    html! {
        fieldset {
            legend {
                @if !prompt.header.trim().is_empty() { span.tag { (prompt.header) } " " }
                strong { (prompt.question) }
            }
            @if prompt.multiple { p.hint { "Choose any number." } }
            @for (n, option) in prompt.options.iter().enumerate() {
                @let id = format!("{key}-{index}-{n}");
                div.option {
                    input id=(id) type=(kind) name={ "q" (index) } value=(option.label);
                    label for=(id) {
                        span { (option.label) }
                        @if !option.description.trim().is_empty() { small { (option.description) } }
                    }
                }
            }
            @if free {
                label.free {
                    span { @if prompt.options.is_empty() { "Your answer" } @else { "Or in your own words" } }
                    input type="text" name={ "t" (index) } maxlength="8000" autocomplete="off";
                }
            }
        }
    }
}

pub(super) fn answered(
    context: &Context,
    key: &str,
    order: f64,
    asked: &ResolvedQuestion,
) -> Markup {
    let answers: Vec<String> = asked.answers.iter().map(answer_text).collect();
    html! {
        div.item.answered id=(key) data-order=(order) tabindex="-1" {
            @if asked.rejected {
                span.tone-muted { span aria-hidden="true" { "– " } "Skipped" }
                @if let Some(first) = asked.questions.first() { " " (one_line(&first.question)) }
            } @else {
                span.tone-ok { span aria-hidden="true" { "✓ " } "You answered" }
                @for (index, answer) in answers.iter().enumerate() {
                    " "
                    @if let Some(prompt) = asked.questions.get(index) { span.tone-muted { (one_line(&prompt.question)) } " " }
                    strong { (one_line(answer)) }
                }
            }
            (when(context, &asked.resolved_at))
        }
    }
}

fn answer_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(answer_text).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn input(value: &Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn asks_are_classified_first_match_wins() {
        let kind = |tool: &str, value: Value| classify(tool, &input(&value), false);
        assert_eq!(kind("bash", json!({})), AskKind::Command);
        assert_eq!(kind("anything", json!({"command": "ls"})), AskKind::Command);
        assert_eq!(kind("lookup", json!({"query": "x"})), AskKind::WebSearch);
        assert_eq!(kind("webfetch", json!({"url": "https://a"})), AskKind::Web);
        assert_eq!(
            kind("external_directory", json!({})),
            AskKind::ExternalFolder
        );
        assert_eq!(kind("edit", json!({"filePath": "a"})), AskKind::FileWrite);
        assert_eq!(kind("task", json!({})), AskKind::Task);
        assert_eq!(kind("github", json!({})), AskKind::Integration);
        assert_eq!(kind("my_tool", json!({})), AskKind::Mcp);
        assert_eq!(kind("odd", json!({})), AskKind::Other);
    }

    #[test]
    fn destructive_commands_are_flagged_and_harmless_ones_are_not() {
        for command in [
            "rm -rf build",
            "sudo mkfs.ext4 /dev/x",
            "git push --force",
            "psql -c 'DROP TABLE a'",
        ] {
            assert!(
                is_destructive(AskKind::Command, "bash", command),
                "{command}"
            );
        }
        for command in ["cargo test", "cat formula.txt", "ls farm", "git push"] {
            assert!(
                !is_destructive(AskKind::Command, "bash", command),
                "{command}"
            );
        }
        assert!(is_destructive(AskKind::Mcp, "mail_delete", ""));
    }
}
