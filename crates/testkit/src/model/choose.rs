//! Which step answers a request. Stateless: the step index is read off the conversation itself,
//! so that parallel sessions, retries and replays do not disturb each other.

use super::scenario::{RequestFacts, Rule, Scenario};
use super::step::Step;
use regex::Regex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The step that answers, and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// For the request log: `script:bash`, `rule:title`, `inline`, `default`, …
    pub(crate) label: String,
    /// The step to play.
    pub(crate) step: Step,
    /// Assistant messages since the message that selected the script.
    pub(crate) index: usize,
    /// Identifies the conversation up to that message.
    pub(crate) conversation: String,
    /// The text of the newest user message.
    pub(crate) last_user_text: String,
}

struct Message<'a> {
    role: &'a str,
    text: String,
}

/// Chooses the step for one request body.
///
/// Order: priority rules; then the newest user message with a marker (`[[steps:…]]` beats
/// `[[script:…]]`, the last one of a message wins); then the other rules; then the default.
pub(crate) fn choose(scenario: &Scenario, body: &Value) -> Choice {
    let messages = messages_of(body);
    let system = messages
        .iter()
        .filter(|message| matches!(message.role, "system" | "developer"))
        .map(|message| message.text.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    let last_user = messages.iter().rposition(|message| message.role == "user");
    let last_user_text = last_user.map_or("", |at| messages[at].text.as_str());
    let facts = RequestFacts {
        system: &system,
        user: last_user_text,
        model: body.get("model").and_then(Value::as_str),
        has_tools: body
            .get("tools")
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty()),
    };
    let chosen = |label: String, steps: &[Step], position: Option<usize>| {
        let index = steps_taken(&messages, position);
        Choice {
            label,
            step: pick_step(steps, index),
            index,
            conversation: conversation_key(&messages, position),
            last_user_text: last_user_text.to_owned(),
        }
    };
    let by_rule = |priority: bool| {
        let fits = |rule: &&Rule| rule.priority == priority && rule.conditions.hold(&facts);
        let rule = scenario.rules.iter().find(fits)?;
        let steps = scenario.scripts.get(&rule.script)?;
        Some(chosen(format!("rule:{}", rule.name), steps, last_user))
    };

    if let Some(choice) = by_rule(true) {
        return choice;
    }
    for (position, message) in messages.iter().enumerate().rev() {
        if message.role != "user" {
            continue;
        }
        match marker_in(&message.text) {
            Some(Marker::Inline(Ok(steps))) => {
                return chosen("inline".into(), &steps, Some(position));
            }
            Some(Marker::Inline(Err(reason))) => {
                let steps = [Step::text(format!("bad inline steps: {reason}"))];
                return chosen("inline-error".into(), &steps, Some(position));
            }
            Some(Marker::Script(name)) => match scenario.scripts.get(name) {
                Some(steps) => return chosen(format!("script:{name}"), steps, Some(position)),
                None => {
                    let steps = [Step::text(format!("unknown script {name}"))];
                    return chosen("unknown-script".into(), &steps, Some(position));
                }
            },
            None => {}
        }
    }
    by_rule(false).unwrap_or_else(|| {
        let fallback = [Step::text("ok")];
        let steps = scenario
            .scripts
            .get(&scenario.default)
            .map_or(&fallback[..], Vec::as_slice);
        chosen("default".into(), steps, last_user)
    })
}

enum Marker<'a> {
    Inline(Result<Vec<Step>, String>),
    Script(&'a str),
}

fn marker_in(text: &str) -> Option<Marker<'_>> {
    const INLINE: &str = "[[steps:";
    static SCRIPT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\[\[script:([A-Za-z0-9_.-]+)\]\]").ok());

    if let Some(at) = text.rfind(INLINE) {
        // Parsing one JSON value finds its own end, so that `]]` inside a string is no end.
        let mut values =
            serde_json::Deserializer::from_str(&text[at + INLINE.len()..]).into_iter::<Vec<Step>>();
        let steps = values.next().unwrap_or_else(|| Ok(Vec::new()));
        return Some(Marker::Inline(steps.map_err(|error| error.to_string())));
    }
    let name = SCRIPT.as_ref()?.captures_iter(text).last()?.get(1)?;
    Some(Marker::Script(name.as_str()))
}

fn messages_of(body: &Value) -> Vec<Message<'_>> {
    let list = body
        .get("messages")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    list.iter()
        .map(|message| Message {
            role: message
                .get("role")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            text: text_of(message.get("content").unwrap_or(&Value::Null)),
        })
        .collect()
}

/// The text of a chat message: a string, or the text parts of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter(|part| part.get("type").and_then(Value::as_str) == Some("text"))
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn steps_taken(messages: &[Message<'_>], position: Option<usize>) -> usize {
    let after = position.map_or(0, |at| at + 1);
    messages[after..]
        .iter()
        .filter(|message| message.role == "assistant")
        .count()
}

fn conversation_key(messages: &[Message<'_>], position: Option<usize>) -> String {
    let mut hash = Sha256::new();
    let end = position.map_or(0, |at| at + 1);
    for message in messages[..end]
        .iter()
        .filter(|message| message.role == "user")
    {
        hash.update((message.text.len() as u64).to_le_bytes());
        hash.update(message.text.as_bytes());
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The step at this index. Past the end the last one repeats, unless it calls a tool: that would
/// go round for ever, so it says "done" (a step may ask for the loop).
fn pick_step(steps: &[Step], index: usize) -> Step {
    match (steps.get(index), steps.last()) {
        (Some(step), _) => step.clone(),
        (None, Some(last)) if last.tool_calls.is_empty() || last.repeat_for_ever => last.clone(),
        (None, Some(_)) => Step::text("done"),
        (None, None) => Step::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn label_and_text(body: &Value) -> (String, String) {
        let choice = choose(&Scenario::builtin().unwrap(), body);
        (
            choice.label,
            choice.step.text_chunks(&choice.last_user_text).concat(),
        )
    }

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    #[test]
    fn a_marker_in_the_prompt_names_the_script() {
        let (label, _) = label_and_text(&json!({"messages": [user("go [[script:bash]] now")]}));
        assert_eq!(label, "script:bash");
    }

    #[test]
    fn the_step_index_counts_assistant_messages_since_the_marker() {
        let body = json!({"messages": [
            user("old"), {"role": "assistant", "content": "x"},
            user("[[script:multistep]]"), {"role": "assistant", "content": ""},
            {"role": "tool", "content": "r"}, {"role": "assistant", "content": ""},
            {"role": "tool", "content": "r"}]});
        assert_eq!(label_and_text(&body).1, "Finished after three steps.");
    }

    #[test]
    fn an_older_marker_still_rules_a_later_plain_message() {
        let body = json!({"messages": [user("[[script:reasoning]]"), user("and now?")]});
        assert_eq!(label_and_text(&body).0, "script:reasoning");
    }

    #[test]
    fn a_priority_rule_beats_the_marker_it_quotes() {
        let body = json!({"messages": [
            {"role": "system", "content": "You are a Title Generator."},
            user("[[script:bash]]")]});
        assert_eq!(label_and_text(&body).0, "rule:title");
    }

    #[test]
    fn inline_steps_may_hold_brackets_inside_strings() {
        let (label, text) =
            label_and_text(&json!({"messages": [user(r#"x [[steps:[{"text":"a ]] b"}]]] y"#)]}));
        assert_eq!((label.as_str(), text.as_str()), ("inline", "a ]] b"));
    }

    #[test]
    fn broken_inline_steps_answer_with_the_reason() {
        let (label, text) = label_and_text(&json!({"messages": [user("[[steps:[{]]")]}));
        assert_eq!(label, "inline-error");
        assert!(text.starts_with("bad inline steps: "), "{text}");
    }

    #[test]
    fn a_last_tool_call_is_not_repeated_for_ever() {
        let steps: Vec<Step> =
            serde_json::from_value(json!([{"tool_calls": [{"name": "bash"}]}])).unwrap();
        assert_eq!(pick_step(&steps, 5), Step::text("done"));
        let steps: Vec<Step> =
            serde_json::from_value(json!([{"tool_calls": [{"name": "bash"}], "loop": true}]))
                .unwrap();
        assert_eq!(pick_step(&steps, 5), steps[0]);
    }

    #[test]
    fn a_body_without_messages_gets_the_default() {
        assert_eq!(label_and_text(&json!({})).0, "default");
        assert_eq!(label_and_text(&json!({"messages": [3, null]})).0, "default");
    }
}
