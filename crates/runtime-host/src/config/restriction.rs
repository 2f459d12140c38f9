//! What a cloud profile leaves of tools and agents (04 §4.4, 05 §18.3). It only ever takes away.

use crate::error::HostError;
use open_cowork_policy::agent::{Agent, Roster};
use open_cowork_policy::{Action, PermissionObject, tool};

/// Lists of a profile: absent restricts nothing, empty allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// Agents that exist.
    pub agents: Option<Vec<String>>,
    /// Tools: OpenCode's own by the names of 05 §18.3, and those of the configuration by their ids.
    pub tools: Option<Vec<String>>,
}

/// OpenCode's tools by the names that profiles use (05 §18.3).
const NATIVE: [(&str, &[&str]); 8] = [
    ("bash", &["bash"]),
    ("edit", &["edit", "write", "apply_patch"]),
    ("web", &["codesearch", "webfetch", "websearch"]),
    ("read", &["read", "grep", "glob", "list", "lsp"]),
    ("question", &["question"]),
    ("skill", &["skill"]),
    ("task", &["task"]),
    ("todowrite", &["todowrite"]),
];

impl Restriction {
    /// Refuses names that nothing provides: a typing error must not become a grant or a silent denial.
    pub(super) fn check(&self, tools: &[tool::Tool]) -> Result<(), HostError> {
        let known = |id: &String| {
            tools.iter().any(|tool| tool.id == *id)
                || NATIVE
                    .iter()
                    .any(|(name, keys)| name == id || keys.contains(&id.as_str()))
        };
        let unknown: Vec<&String> = self
            .tools
            .iter()
            .flatten()
            .filter(|id| !known(id))
            .collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(HostError::Config(format!(
                "the cloud profile allows tools that nothing provides (unknown_tool): {unknown:?}; correct cloud.profiles.*.tools"
            ))),
        }
    }

    /// Whether a tool of the configuration may be used.
    pub(super) fn allows(&self, tool: &tool::Tool) -> bool {
        self.tools
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&tool.id))
    }

    fn denied(&self) -> Vec<&'static str> {
        let Some(allowed) = &self.tools else {
            return Vec::new();
        };
        let listed = |name: &str| allowed.iter().any(|id| id == name);
        NATIVE
            .iter()
            .filter(|(name, _)| !listed(name))
            .flat_map(|(_, keys)| keys.iter().copied())
            .filter(|key| !listed(key))
            .collect()
    }

    /// The object with the catch-all denial first, and the denied tools last: the last match decides.
    pub(super) fn object(&self, object: &PermissionObject) -> PermissionObject {
        let mut restricted = PermissionObject::default();
        restricted.set("*", Action::Deny);
        for (key, rule) in object.iter().filter(|(key, _)| *key != "*") {
            restricted.set(key, rule.clone());
        }
        for key in self.denied() {
            restricted.append(key, Action::Deny);
        }
        restricted
    }

    /// Agents under the same rules; those that are not listed are switched off.
    pub(super) fn roster(&self, roster: Roster) -> Roster {
        let listed = |agent: &Agent| {
            self.agents
                .as_ref()
                .is_none_or(|allowed| allowed.contains(&agent.name))
        };
        let (kept, dropped): (Vec<Agent>, Vec<Agent>) = roster.agents.into_iter().partition(listed);
        let mut disabled = roster.disabled;
        disabled.extend(dropped.into_iter().map(|agent| agent.name));
        let agents = kept.into_iter().map(|agent| Agent {
            permission: self.object(&agent.permission),
            ..agent
        });
        Roster {
            agents: agents.collect(),
            disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{composed, input};
    use super::super::{ComposeInput, compose};
    use super::*;
    use crate::home::HomePaths;

    fn under(restriction: Restriction) -> ComposeInput {
        ComposeInput {
            restriction: Some(restriction),
            ..input()
        }
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn without_lists_only_the_catch_all_is_added() {
        let free = composed(&input());
        let under = composed(&under(Restriction::default()));
        let mut permission = under.redacted()["permission"].as_object().unwrap().clone();
        let first = permission.keys().next().cloned();
        assert_eq!(first.as_deref(), Some("*"));
        assert_eq!(permission.shift_remove("*"), Some("deny".into()));
        assert_eq!(
            &permission,
            free.redacted()["permission"].as_object().unwrap()
        );
    }

    #[test]
    fn what_a_profile_does_not_list_is_denied_for_every_agent() {
        let config = composed(&under(Restriction {
            agents: None,
            tools: names(&["read", "webfetch"]),
        }));
        let agents = config.redacted()["agent"].as_object().unwrap();
        let objects = agents
            .values()
            .filter_map(|agent| agent.get("permission"))
            .chain([&config.redacted()["permission"]]);
        let mut seen = 0;
        for object in objects {
            let object: PermissionObject = serde_json::from_value(object.clone()).unwrap();
            for tool in [
                "bash",
                "edit",
                "write",
                "apply_patch",
                "websearch",
                "task",
                "skill",
            ] {
                let action = object.action_for(tool, "anything");
                assert_eq!(action, Some(Action::Deny), "{tool}");
            }
            assert_eq!(object.action_for("made_up", "x"), Some(Action::Deny));
            assert_ne!(object.action_for("grep", "x"), Some(Action::Deny));
            seen += 1;
        }
        assert!(seen > 3);
    }

    #[test]
    fn an_empty_list_denies_all_and_an_unlisted_agent_is_switched_off() {
        let config = composed(&under(Restriction {
            agents: names(&["build"]),
            tools: names(&[]),
        }));
        let agents = config.redacted()["agent"].as_object().unwrap();
        assert!(agents["build"].get("permission").is_some());
        assert_eq!(agents["plan"], serde_json::json!({"disable": true}));
        let top: PermissionObject =
            serde_json::from_value(config.redacted()["permission"].clone()).unwrap();
        for (_, keys) in NATIVE {
            for key in keys {
                assert_eq!(top.action_for(key, "x"), Some(Action::Deny), "{key}");
            }
        }
    }

    #[test]
    fn a_tool_that_nothing_provides_is_refused() {
        let error = compose(
            &under(Restriction {
                agents: None,
                tools: names(&["reed"]),
            }),
            &HomePaths::new("/data/runtime-home"),
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("unknown_tool") && error.contains("reed"),
            "{error}"
        );
    }
}
