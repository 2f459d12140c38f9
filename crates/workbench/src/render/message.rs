//! Prompts, answers, errors and the interrupted line.

use super::Context;
use maud::{Markup, PreEscaped, html};

/// Prompts longer than this fold.
const PROMPT_LINES: usize = 30;

pub(super) fn prompt(
    context: &Context,
    key: &str,
    order: f64,
    text: &str,
    at: &str,
    attachments: &[String],
) -> Markup {
    let lines = text.lines().count();
    let head: Vec<&str> = text.lines().take(PROMPT_LINES).collect();
    html! {
        article.item.prompt id=(key) data-order=(order) tabindex="-1" aria-label="You" {
            @if lines > PROMPT_LINES {
                div.text { (head.join("\n")) }
                details id={ (key) "-more" } {
                    summary { "Show all (" (lines) " lines)" }
                    div.text { (text.lines().skip(PROMPT_LINES).collect::<Vec<_>>().join("\n")) }
                }
            } @else {
                div.text { (text) }
            }
            @if !attachments.is_empty() {
                ul.chips aria-label="Attached" { @for name in attachments { li { (name) } } }
            }
            @let time = context.clock.short(at);
            @if !time.is_empty() { time datetime=(at) { (time) } }
        }
    }
}

/// An answer around its rendered blocks.
pub(crate) fn answer_shell(key: &str, order: f64, blocks: &[String]) -> Markup {
    html! {
        article.item.answer id=(key) data-order=(order) tabindex="-1" aria-label="Answer" {
            div.md id={ (key) "-md" } { @for block in blocks { (block_markup(block)) } }
        }
    }
}

/// One block, in the element that a patch replaces.
pub(crate) fn block_markup(block: &str) -> Markup {
    html! { div.b { (PreEscaped(block)) } }
}

/// Whose side an error is on, and what helps. Derived from the message, since the view carries no code; it only
/// chooses words and a button, never behaviour.
fn side(message: &str) -> (&'static str, Help) {
    let text = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "api key",
        "api-key",
        "apikey",
        "unauthorized",
        "401",
        "403",
        "authentication",
        "credential",
    ]) {
        ("The model provider did not accept the key", Help::Settings)
    } else if has(&["model not found", "no such model", "unknown model", "404"]) {
        (
            "The model provider does not know this model",
            Help::Settings,
        )
    } else if has(&["quota", "billing", "insufficient", "402"]) {
        (
            "The model provider's account needs attention",
            Help::Settings,
        )
    } else if has(&["bad request", "invalid request", "invalid_request", "400"]) {
        ("The model provider refused the request", Help::Retry)
    } else if has(&[
        "rate limit",
        "429",
        "overloaded",
        "529",
        "500",
        "502",
        "503",
        "provider",
    ]) {
        ("The model provider could not answer", Help::Retry)
    } else if has(&[
        "econn",
        "enotfound",
        "network",
        "timed out",
        "timeout",
        "dns",
        "fetch failed",
        "socket",
        "offline",
    ]) {
        ("The network did not get through", Help::Retry)
    } else if has(&["runtime", "opencode", "process", "restart"]) {
        ("The agent runtime on this machine failed", Help::Retry)
    } else {
        ("The turn failed", Help::Retry)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Help {
    Retry,
    Settings,
}

pub(super) fn error(context: &Context, key: &str, order: f64, message: &str, open: bool) -> Markup {
    let (whose, help) = side(message);
    html! {
        section.item.error id=(key) data-order=(order) tabindex="-1" aria-label="Error" {
            p.head { span.icon aria-hidden="true" { "!" } strong { (whose) } }
            p.detail { (message) }
            @if open {
                p.kept { "Everything above is kept." }
                div.buttons {
                    @if help == Help::Settings { a.button.primary href=(context.base.url("/settings")) { "Open settings" } }
                    form method="post" action=(context.base.chat_path(&context.chat, "retry")) data-stay {
                        (context.csrf_field())
                        button.button.primary[help == Help::Retry] type="submit" { "Try again" }
                        p.form-error role="alert" hidden {}
                    }
                }
            }
        }
    }
}

/// A turn that was stopped or cut short: a thin line; Continue where it was not the user's own doing.
pub(super) fn stop(
    context: &Context,
    key: &str,
    order: f64,
    (reason, message): (&str, Option<&str>),
    open: bool,
) -> Markup {
    let text = match (reason, message) {
        ("interrupted", _) => "Interrupted by a restart; everything above is kept.",
        ("user", _) => "Stopped by you; everything above is kept.",
        (_, Some(message)) => message,
        _ => "Stopped; everything above is kept.",
    };
    html! {
        div.item.interrupted id=(key) data-order=(order) tabindex="-1" {
            span { (text) }
            @if open && reason != "user" {
                form method="post" action=(context.base.chat_path(&context.chat, "prompt")) data-stay {
                    (context.csrf_field())
                    input type="hidden" name="text" value="Continue.";
                    button.button type="submit" { "Continue" }
                    p.form-error role="alert" hidden {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_a_side_and_a_way_out() {
        assert!(side("401 Unauthorized: invalid x-api-key").1 == Help::Settings);
        assert!(side("429 Too Many Requests").0.contains("provider"));
        assert!(
            side("connect ECONNREFUSED 127.0.0.1:1")
                .0
                .contains("network")
        );
        assert!(side("The runtime stopped").0.contains("runtime"));
        assert!(side("400 Bad Request: max_tokens").0.contains("provider"));
        assert!(side("odd").1 == Help::Retry);
    }
}
