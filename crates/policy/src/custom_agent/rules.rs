//! What a custom agent may do (05 §9): its tools, its overrides, and the ceiling over all of it.

use super::CustomAgent;
use crate::effective::EffectivePolicy;
use crate::permission::{PermissionObject, Rule};
use crate::tool::Tool;
use crate::{Action, pattern};
use serde::{Deserialize, Serialize};

/// A family of permissions that an agent can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideKey {
    /// The shell.
    Bash,
    /// Writing files.
    Edit,
    /// Folders outside the workspace.
    ExternalDirectory,
    /// MCP tools.
    Mcp,
    /// Sub-agents.
    Task,
    /// The web.
    Web,
}

impl OverrideKey {
    /// The permission keys of the family.
    #[must_use]
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["bash"],
            Self::Edit => &["edit", "write", "apply_patch"],
            Self::ExternalDirectory => &["external_directory"],
            Self::Mcp => &["mcp__*"],
            Self::Task => &["task"],
            Self::Web => &["codesearch", "webfetch", "websearch"],
        }
    }
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Which family.
    pub key: OverrideKey,
    /// What holds in it.
    pub action: Action,
    /// Exceptions, in order; the last that matches wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<OverrideRule>,
}

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRule {
    /// A key of the family, an MCP tool, or a pattern of the tool's subject.
    pub pattern: String,
    /// What holds for it.
    pub action: Action,
}

/// Whether a pattern names MCP tools: `mcp__server__tool` or `server_tool`.
#[must_use]
pub fn is_mcp_pattern(text: &str) -> bool {
    if text.starts_with("mcp__") {
        return pattern::dual(text).is_some();
    }
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*' | '?');
    text.split_once('_')
        .is_some_and(|(server, tool)| !server.is_empty() && !tool.is_empty())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(valid)
        && !crate::tool::NATIVE.contains(&text)
}

impl CustomAgent {
    /// Its permission object, in the contract's order: tasks, skills, granted and asking tools, overrides and
    /// their rules, denied patterns; then **every** key under the policy's ceiling, in both spellings
    /// (05 §9, §19.1). A rule that no ceiling needs keeps its place and value.
    #[must_use]
    pub fn permission(&self, tools: &[Tool], policy: &EffectivePolicy) -> PermissionObject {
        policy.clamp(&self.requested(tools))
    }

    /// What it asks for, before any ceiling.
    fn requested(&self, tools: &[Tool]) -> PermissionObject {
        let mut object = PermissionObject::default();
        object.set("task", Action::Deny);
        object.set(
            "skill",
            Rule::patterns(
                Action::Deny,
                self.skills
                    .iter()
                    .map(|name| (name.as_str(), Action::Allow)),
            ),
        );
        let (mut allow, mut ask) = (Vec::new(), Vec::new());
        for id in &self.tools {
            match tools.iter().find(|tool| tool.id == *id) {
                Some(tool) => {
                    allow.extend(tool.allow());
                    ask.extend(tool.ask());
                }
                None => match native_family(id) {
                    Some(keys) => allow.extend(keys.iter().map(|key| (*key).to_owned())),
                    // An own server asks unless an override says more.
                    None => ask.extend(pattern::expand([format!("mcp__{id}__*")])),
                },
            }
        }
        for key in allow {
            object.append(&key, Action::Allow);
        }
        for key in ask {
            object.append(&key, Action::Ask);
        }
        let mut overrides: Vec<&Override> = self.overrides.iter().collect();
        overrides.sort_by_key(|rule| rule.key);
        for change in &overrides {
            let mut keys: Vec<String> = change
                .key
                .keys()
                .iter()
                .map(|key| (*key).to_owned())
                .collect();
            if change.key == OverrideKey::Mcp {
                let named = object.iter().map(|(key, _)| key);
                keys.extend(
                    named
                        .filter(|key| key.starts_with("mcp__") && *key != "mcp__*")
                        .map(str::to_owned),
                );
            }
            for key in pattern::expand(keys) {
                object.append(&key, change.action);
            }
        }
        for change in &overrides {
            change.apply_rules(&mut object);
        }
        for key in pattern::expand(&self.denied) {
            object.append(&key, Action::Deny);
        }
        object
    }
}

impl Override {
    fn apply_rules(&self, object: &mut PermissionObject) {
        let family = self.key.keys();
        if self.key == OverrideKey::Mcp {
            for rule in self
                .rules
                .iter()
                .filter(|rule| is_mcp_pattern(&rule.pattern))
            {
                for key in pattern::expand([&rule.pattern]) {
                    object.append(&key, rule.action);
                }
            }
            return;
        }
        let is_key = |rule: &OverrideRule| family.contains(&rule.pattern.as_str());
        if self.rules.iter().all(is_key) {
            for rule in &self.rules {
                object.append(&rule.pattern, rule.action);
            }
            return;
        }
        let subjects = self
            .rules
            .iter()
            .map(|rule| (rule.pattern.as_str(), rule.action));
        let rule = Rule::patterns(self.action, subjects);
        for key in family {
            object.append(key, rule.clone());
        }
    }
}

/// Keys of one of OpenCode's own families of tools, as the catalogue names them.
pub(super) fn native_family(id: &str) -> Option<&'static [&'static str]> {
    Some(match id {
        "bash" => &["bash"],
        "edit" => &["edit", "write", "apply_patch"],
        "web" => &["codesearch", "webfetch", "websearch"],
        "read" => &["read", "grep", "glob", "list", "lsp"],
        "write" => &["write"],
        "apply_patch" => &["apply_patch"],
        "webfetch" => &["webfetch"],
        "websearch" => &["websearch"],
        "codesearch" => &["codesearch"],
        "question" => &["question"],
        "todowrite" => &["todowrite"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Inference, Mode, Shared};
    use crate::{Dimensions, permission};
    use Action::{Allow, Ask, Deny};

    fn policy(dimensions: Dimensions) -> EffectivePolicy {
        EffectivePolicy::new(
            dimensions,
            Shared {
                registered: vec![],
                read: permission::read_with_secrets_asked(),
                external_directory: dimensions.external_directory.into(),
                allow: vec![],
                ask: vec![],
                denied: vec![],
            },
            vec!["wiki".into()],
        )
    }

    fn free() -> Dimensions {
        Dimensions {
            bash: Allow,
            file_write: Allow,
            web: Allow,
            web_search: Allow,
            task: Allow,
            mcp: Allow,
            external_directory: Allow,
        }
    }

    fn agent(tools: &[&str], denied: &[&str], overrides: &str) -> CustomAgent {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        CustomAgent {
            name: "mine".into(),
            description: "Mine.".into(),
            instructions: "Do.".into(),
            enabled: true,
            mode: Mode::Subagent,
            color: "accent".into(),
            skills: strings(&["reports"]),
            tools: strings(tools),
            denied: strings(denied),
            overrides: serde_json::from_str(overrides).unwrap(),
            avatar: None,
            inference: Inference::default(),
        }
    }

    #[test]
    fn the_order_is_the_contracts() {
        let tools = [Tool {
            id: "wiki".into(),
            patterns: vec!["mcp__wiki__get_page".into()],
            ask_patterns: vec!["mcp__wiki__save".into()],
            ..Tool::default()
        }];
        let mine = agent(
            &["wiki", "bash"],
            &["mcp__mail__send"],
            r#"[{"key":"web","action":"ask"},{"key":"bash","action":"ask","rules":[{"pattern":"git *","action":"allow"}]}]"#,
        );
        let object = mine.permission(&tools, &policy(free()));
        assert_eq!(
            serde_json::to_string(&object).unwrap(),
            concat!(
                r#"{"task":"deny","skill":{"*":"deny","reports":"allow"},"mcp__wiki__get_page":"allow","wiki_get_page":"allow","#,
                r#""mcp__wiki__save":"ask","wiki_save":"ask","codesearch":"ask","webfetch":"ask","websearch":"ask","#,
                r#""bash":{"*":"ask","git *":"allow"},"mcp__mail__send":"deny","mail_send":"deny"}"#
            )
        );
    }

    #[test]
    fn every_key_is_clamped_in_either_spelling_by_either_side() {
        let strict = Dimensions {
            bash: Ask,
            mcp: Ask,
            web: Deny,
            ..free()
        };
        let mine = agent(
            &["bash", "web", "edit"],
            &[],
            r#"[{"key":"mcp","action":"allow","rules":[{"pattern":"wiki_save","action":"allow"}]},
                {"key":"bash","action":"allow","rules":[{"pattern":"rm *","action":"allow"}]}]"#,
        );
        let object = mine.permission(&[], &policy(strict));
        for (tool, subject, expected) in [
            ("bash", "rm -rf", Ask),
            ("webfetch", "x", Deny),
            ("edit", "x", Allow),
            ("wiki_save", "x", Ask),
            ("mcp__wiki__save", "x", Ask),
            ("wiki_read", "x", Ask),
            ("task", "x", Deny),
        ] {
            assert_eq!(object.action_for(tool, subject), Some(expected), "{tool}");
        }
    }

    #[test]
    fn rules_that_name_keys_of_the_family_set_those_keys() {
        let mine = agent(
            &[],
            &[],
            r#"[{"key":"edit","action":"ask","rules":[{"pattern":"write","action":"deny"}]}]"#,
        );
        let object = mine.permission(&[], &policy(free()));
        assert_eq!(object.action_for("edit", "x"), Some(Ask));
        assert_eq!(object.action_for("write", "x"), Some(Deny));
    }

    #[test]
    fn a_denied_pattern_has_the_last_word() {
        let mine = agent(
            &["wiki"],
            &["wiki_save", "bash"],
            r#"[{"key":"bash","action":"allow"}]"#,
        );
        let object = mine.permission(&[], &policy(free()));
        assert_eq!(object.action_for("bash", "x"), Some(Deny));
        for tool in ["wiki_save", "mcp__wiki__save"] {
            assert_eq!(object.action_for(tool, "x"), Some(Deny), "{tool}");
        }
        assert_eq!(object.action_for("wiki_read", "x"), Some(Ask));
    }

    #[test]
    fn patterns_of_mcp_tools_are_recognised() {
        for (text, expected) in [
            ("mcp__wiki__save", true),
            ("wiki_save", true),
            ("wiki_*", true),
            ("mcp__*", false),
            ("bash", false),
            ("_x", false),
            ("x_", false),
            ("apply_patch", false),
            ("git *", false),
        ] {
            assert_eq!(is_mcp_pattern(text), expected, "{text}");
        }
    }
}
