//! The structure of prompts (05 §6.7). The words are ours; the structure is the contract: instructions of the
//! config come behind a marker line, a primary agent's prompt ends with the catalog of its delegates, a
//! configured agent's prompt names its tools and loads its skills first.

use super::{Configured, RosterInput};

/// The line before the config's instructions for one of OpenCode's agents.
pub const INSTRUCTIONS_MARKER: &str = "Additional built-in instructions:";

/// The prompt of one of OpenCode's agents with the config's instructions behind it. OpenCode replaces its own
/// prompt by this one, so it begins with what the agent is for.
pub(super) fn with_instructions(name: &str, instructions: &str) -> String {
    let base = match name {
        "build" => {
            "You work on the user's task with the tools you have: you read before you change, you change \
             no more than the task needs, and you check what you did. You say what you found and what you \
             changed."
        }
        "plan" => {
            "You look around and propose a plan: what to change, where, in which order, and how to check \
             it. You change no files."
        }
        "general" => {
            "You take one part of a larger task, finish it with the tools you have, and report the result \
             with what the caller needs to go on."
        }
        _ => {
            "You find files and answer questions about them, with paths and lines. You change nothing."
        }
    };
    format!("{base}\n\n{INSTRUCTIONS_MARKER}\n{}", instructions.trim())
}

/// The prompt of one of the product's agents; it ends with the catalog.
pub(super) fn product(name: &str, catalog: &str) -> String {
    let base = match name {
        "chief-of-staff" => {
            "You are Cleo, chief of staff. You clarify the goal, break it into tasks that one coworker can \
             finish, and say who should do what in which order. You carry out nothing yourself. You hand \
             research to coworkers that only read."
        }
        "executive-assistant" => {
            "You are the executive assistant. You get everyday work done: you use the tools at hand, hand \
             larger parts to the coworker who fits best, check what comes back, and report briefly."
        }
        _ => {
            "You improve something against a measure: state the measure, take a baseline, change one thing, \
             measure again, keep what helped and undo the rest. You report every step with its number."
        }
    };
    format!("{base}\n\n{catalog}")
}

/// `- <name> (<builtin|configured|custom>): <description>` for each delegate.
pub(super) fn catalog(delegates: &[String], input: &RosterInput<'_>) -> String {
    if delegates.is_empty() {
        return "There is nobody to hand work to.".to_owned();
    }
    let line = |name: &String| {
        let configured = input.configured.iter().find(|agent| agent.name == *name);
        let custom = input.custom.iter().find(|agent| agent.name == *name);
        let (kind, description) = match (configured, custom) {
            (Some(agent), _) => ("configured", agent.description.as_str()),
            (None, Some(agent)) => ("custom", agent.description.as_str()),
            (None, None) => ("builtin", native_description(name)),
        };
        format!("- {name} ({kind}): {description}")
    };
    let lines: Vec<String> = delegates.iter().map(line).collect();
    format!("You can hand work to:\n{}", lines.join("\n"))
}

fn native_description(name: &str) -> &'static str {
    match name {
        "explore" => "Finds files and answers questions about them.",
        "autoresearch" => "Improves something step by step against a measure.",
        _ => "Takes a part of a larger task and reports back.",
    }
}

/// The prompt of a configured agent: its instructions, its tools, and the skills to load before anything else.
pub(super) fn configured(agent: &Configured, tools: &[&str], skills: &[&str]) -> String {
    let mut prompt = agent.instructions.trim().to_owned();
    if !skills.is_empty() {
        let calls: Vec<String> = skills
            .iter()
            .map(|skill| {
                format!(
                    "- call the `skill` tool with {}",
                    serde_json::json!({"name": skill})
                )
            })
            .collect();
        prompt = format!(
            "Before anything else, load your skills:\n{}\n\n{prompt}",
            calls.join("\n")
        );
    }
    if !tools.is_empty() {
        prompt = format!("{prompt}\n\nYour tools: {}.", tools.join(", "));
    }
    prompt
}
