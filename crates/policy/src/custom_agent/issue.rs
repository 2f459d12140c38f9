//! What is wrong with a custom agent (05 §9). One with any issue runs only for whoever starts it; nobody hands
//! work to it.

use super::rules::{OverrideKey, is_mcp_pattern, native_family};
use super::{CustomAgent, RESERVED, is_name};
use crate::tool::Tool;
use serde_json::Value;

/// Bytes of a description.
pub const MAX_DESCRIPTION: usize = 2048;
/// Bytes of instructions.
pub const MAX_INSTRUCTIONS: usize = 64 * 1024;
/// Bytes of a picture.
pub const MAX_AVATAR: usize = 256 * 1024;
/// Skills.
pub const MAX_SKILLS: usize = 64;
/// Tools.
pub const MAX_TOOLS: usize = 64;
/// Denied patterns.
pub const MAX_DENIED: usize = 128;
/// Overrides.
pub const MAX_OVERRIDES: usize = 12;
/// Rules of all overrides.
pub const MAX_RULES: usize = 128;
/// Levels of options.
pub const MAX_OPTIONS_DEPTH: usize = 8;
/// Bytes of options as JSON.
pub const MAX_OPTIONS: usize = 32 * 1024;

/// One thing that is wrong: a stable code, and a sentence with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The contract's code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What an agent is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Names of configured agents.
    pub configured: &'a [String],
    /// Names of the other custom agents.
    pub others: &'a [String],
    /// Tools of the config.
    pub tools: &'a [Tool],
    /// Names of own MCP servers.
    pub servers: &'a [String],
    /// Available skills.
    pub skills: &'a [String],
    /// The agent belongs to a project whose folder isn't known.
    pub project_without_directory: bool,
}

/// Everything that is wrong, in the contract's order.
#[must_use]
pub fn issues(agent: &CustomAgent, known: &Known<'_>) -> Vec<Issue> {
    let mut found = Vec::new();
    let mut add = |code: &str, message: String| {
        found.push(Issue {
            code: code.to_owned(),
            message,
        });
    };
    let name = agent.name.as_str();
    if name.trim().is_empty() {
        add("missing_name", "Give the coworker a name.".into());
    } else if !is_name(name) {
        add(
            "invalid_name",
            "Use lower-case letters, digits and single hyphens in the name, at most 64 characters and not only digits."
                .into(),
        );
    } else if RESERVED.contains(&name) || known.configured.iter().any(|other| other == name) {
        add(
            "reserved_name",
            format!("`{name}` is reserved; choose another name."),
        );
    } else if known.others.iter().any(|other| other == name) {
        add(
            "duplicate_name",
            format!("There is another `{name}`; choose another name."),
        );
    }
    if agent.description.trim().is_empty() {
        add(
            "missing_description",
            "Describe in one line what the coworker is for.".into(),
        );
    }
    if known.project_without_directory {
        add(
            "missing_project_directory",
            "Choose the project's folder.".into(),
        );
    }
    for tool in &agent.tools {
        let there = known.tools.iter().any(|known| known.id == *tool)
            || known.servers.contains(tool)
            || native_family(tool).is_some();
        if !there {
            add(
                "missing_tool",
                format!("The tool `{tool}` isn't there; remove it or add the tool."),
            );
        }
    }
    for skill in &agent.skills {
        if !known.skills.contains(skill) {
            add(
                "missing_skill",
                format!("The skill `{skill}` isn't there; remove it or add the skill."),
            );
        }
    }
    for (i, change) in agent.overrides.iter().enumerate() {
        for (j, rule) in change.rules.iter().enumerate() {
            if crate::pattern::is_index(&rule.pattern) {
                add(
                    &format!("permission_rule_pattern_number_{i}_{j}"),
                    "A pattern can't be a plain number: it would lose its place in the order; add ` *`."
                        .into(),
                );
            } else if change.key == OverrideKey::Mcp && !is_mcp_pattern(&rule.pattern) {
                add(
                    &format!("permission_rule_pattern_invalid_mcp_{i}_{j}"),
                    "Write the pattern as `mcp__server__tool` or `server_tool`.".into(),
                );
            }
        }
    }
    let options = serde_json::to_string(&agent.inference.options);
    let rules: usize = agent
        .overrides
        .iter()
        .map(|change| change.rules.len())
        .sum();
    let avatar = agent.avatar.as_deref().unwrap_or_default();
    let options_depth = depth(&agent.inference.options);
    for (code, what, size, most) in [
        (
            "description_too_large",
            "the description",
            agent.description.len(),
            MAX_DESCRIPTION,
        ),
        (
            "instructions_too_large",
            "the instructions",
            agent.instructions.len(),
            MAX_INSTRUCTIONS,
        ),
        ("avatar_too_large", "the picture", avatar.len(), MAX_AVATAR),
        (
            "too_many_skills",
            "the skills",
            agent.skills.len(),
            MAX_SKILLS,
        ),
        ("too_many_tools", "the tools", agent.tools.len(), MAX_TOOLS),
        (
            "too_many_denied_tool_patterns",
            "the denied patterns",
            agent.denied.len(),
            MAX_DENIED,
        ),
        (
            "too_many_permission_overrides",
            "the overrides",
            agent.overrides.len(),
            MAX_OVERRIDES,
        ),
        (
            "too_many_permission_rules",
            "the rules of overrides",
            rules,
            MAX_RULES,
        ),
        (
            "options_too_deep",
            "the levels of options",
            options_depth,
            MAX_OPTIONS_DEPTH,
        ),
        (
            "options_too_large",
            "the options",
            options.as_ref().map_or(0, String::len),
            MAX_OPTIONS,
        ),
    ] {
        if size > most {
            let unit = if code.ends_with("too_large") {
                " bytes"
            } else {
                ""
            };
            add(
                code,
                format!("Shorten {what}: {size}{unit} of at most {most}."),
            );
        }
    }
    if options.is_err() {
        add(
            "options_not_json_serializable",
            "Write the options as plain JSON.".into(),
        );
    }
    found
}

/// Levels of nesting; a flat map has one.
fn depth(options: &serde_json::Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Object(object) => 1 + object.values().map(of).max().unwrap_or(0),
            Value::Array(array) => 1 + array.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    1 + options.values().map(of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use crate::agent::{Inference, Mode};
    use crate::custom_agent::{Override, OverrideRule};
    use serde_json::json;

    fn fine() -> CustomAgent {
        CustomAgent {
            name: "mine".into(),
            description: "Mine.".into(),
            instructions: "Do.".into(),
            enabled: true,
            mode: Mode::Subagent,
            color: "accent".into(),
            skills: vec![],
            tools: vec!["bash".into(), "web".into()],
            denied: vec![],
            overrides: vec![],
            avatar: None,
            inference: Inference::default(),
        }
    }

    fn codes(agent: &CustomAgent, known: &Known<'_>) -> Vec<String> {
        issues(agent, known)
            .into_iter()
            .map(|issue| issue.code)
            .collect()
    }

    #[test]
    fn an_agent_without_issues_can_be_delegated_to() {
        let known = Known::default();
        assert!(issues(&fine(), &known).is_empty());
        let read_only = |agent: CustomAgent| agent.delegate(&known).unwrap().read_only;
        assert!(!read_only(fine()), "it has a shell");
        assert!(read_only(CustomAgent {
            tools: vec!["web".into(), "read".into()],
            ..fine()
        }));
        let edit = Override {
            key: OverrideKey::Edit,
            action: Action::Ask,
            rules: vec![],
        };
        assert!(!read_only(CustomAgent {
            tools: vec![],
            overrides: vec![edit],
            ..fine()
        }));
        assert_eq!(
            CustomAgent {
                enabled: false,
                ..fine()
            }
            .delegate(&known),
            None
        );
        assert_eq!(
            CustomAgent {
                description: " ".into(),
                ..fine()
            }
            .delegate(&known),
            None
        );
    }

    #[test]
    fn every_code_can_be_reached_by_its_one_defect() {
        let taken = ["mine".to_owned()];
        let nothing = Known::default();
        let edit = |change: &dyn Fn(&mut CustomAgent)| {
            let mut agent = fine();
            change(&mut agent);
            agent
        };
        let many = |count: usize| vec!["bash".to_owned(); count];
        let rule = |key: OverrideKey, count: usize, pattern: &str| Override {
            key,
            action: Action::Ask,
            rules: vec![
                OverrideRule {
                    pattern: pattern.into(),
                    action: Action::Ask
                };
                count
            ],
        };
        let mut deep = json!(1);
        for _ in 0..8 {
            deep = json!({ "a": deep });
        }
        for (code, agent, known) in [
            ("missing_name", edit(&|a| a.name = " ".into()), nothing),
            ("invalid_name", edit(&|a| a.name = "A b".into()), nothing),
            ("invalid_name", edit(&|a| a.name = "7".into()), nothing),
            (
                "permission_rule_pattern_number_0_0",
                edit(&|a| a.overrides.push(rule(OverrideKey::Bash, 1, "7"))),
                nothing,
            ),
            ("reserved_name", edit(&|a| a.name = "cleo".into()), nothing),
            (
                "reserved_name",
                fine(),
                Known {
                    configured: &taken,
                    ..nothing
                },
            ),
            (
                "duplicate_name",
                fine(),
                Known {
                    others: &taken,
                    ..nothing
                },
            ),
            (
                "missing_description",
                edit(&|a| a.description.clear()),
                nothing,
            ),
            (
                "missing_project_directory",
                fine(),
                Known {
                    project_without_directory: true,
                    ..nothing
                },
            ),
            (
                "missing_tool",
                edit(&|a| a.tools.push("gone".into())),
                nothing,
            ),
            (
                "missing_skill",
                edit(&|a| a.skills.push("gone".into())),
                nothing,
            ),
            (
                "permission_rule_pattern_invalid_mcp_0_0",
                edit(&|a| a.overrides.push(rule(OverrideKey::Mcp, 1, "bash"))),
                nothing,
            ),
            (
                "description_too_large",
                edit(&|a| a.description = "x".repeat(2049)),
                nothing,
            ),
            (
                "instructions_too_large",
                edit(&|a| a.instructions = "x".repeat(65_537)),
                nothing,
            ),
            (
                "avatar_too_large",
                edit(&|a| a.avatar = Some("x".repeat(262_145))),
                nothing,
            ),
            ("too_many_tools", edit(&|a| a.tools = many(65)), nothing),
            (
                "too_many_denied_tool_patterns",
                edit(&|a| a.denied = many(129)),
                nothing,
            ),
            (
                "too_many_permission_overrides",
                edit(&|a| a.overrides = vec![rule(OverrideKey::Bash, 0, ""); 13]),
                nothing,
            ),
            (
                "too_many_permission_rules",
                edit(&|a| a.overrides = vec![rule(OverrideKey::Bash, 129, "x")]),
                nothing,
            ),
            (
                "options_too_deep",
                edit(&|a| a.inference.options = json!({"a": deep}).as_object().unwrap().clone()),
                nothing,
            ),
            (
                "options_too_large",
                edit(&|a| {
                    a.inference.options = json!({"a": "x".repeat(32_768)})
                        .as_object()
                        .unwrap()
                        .clone()
                }),
                nothing,
            ),
        ] {
            assert_eq!(codes(&agent, &known), [code]);
        }
        let skills = many(65);
        let agent = edit(&|a| a.skills = many(65));
        assert_eq!(
            codes(
                &agent,
                &Known {
                    skills: &skills,
                    ..nothing
                }
            ),
            ["too_many_skills"]
        );
    }
}
