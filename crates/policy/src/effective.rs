//! The one effective policy of a runtime: the user's settings ∧ the app's maxima ∧ the managed policy
//! (05 §6.3, §19.1, §19.17). Every decision about agents and tools starts from this type, so none can look at
//! the settings alone.

use crate::agent::Shared;
use crate::permission::PermissionObject;
use crate::tool::NATIVE;
use crate::{Action, Dimensions, pattern};

/// What agents may do at most.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectivePolicy {
    /// The seven dimensions, resolved by [`Dimensions::resolve`].
    pub dimensions: Dimensions,
    /// Rules that hold for every agent; the patterns come from [`crate::tool::tool_policy`].
    pub shared: Shared,
    /// Names of all known MCP servers. With them the short spelling of a tool finds its long one.
    pub servers: Vec<String>,
}

impl EffectivePolicy {
    /// The same with the patterns of the shared rules in both spellings.
    #[must_use]
    pub fn new(dimensions: Dimensions, mut shared: Shared, servers: Vec<String>) -> Self {
        for list in [&mut shared.allow, &mut shared.ask, &mut shared.denied] {
            *list = both_spellings(list, &servers);
        }
        Self {
            dimensions,
            shared,
            servers,
        }
    }

    /// The most that any agent may do, as a permission object with a rule for every tool. What is not
    /// OpenCode's own counts as an MCP tool.
    #[must_use]
    pub fn ceiling(&self) -> PermissionObject {
        let (dimensions, shared) = (&self.dimensions, &self.shared);
        let mut ceiling = PermissionObject::default();
        ceiling.set("*", dimensions.mcp);
        for (patterns, action) in [(&shared.allow, Action::Allow), (&shared.ask, Action::Ask)] {
            for key in both_spellings(patterns, &self.servers) {
                let denied = dimensions.mcp == Action::Deny && !NATIVE.contains(&key.as_str());
                ceiling.append(&key, if denied { Action::Deny } else { action });
            }
        }
        for tool in NATIVE {
            ceiling.append(tool, Action::Allow);
        }
        ceiling.append("doom_loop", Action::Ask);
        ceiling.append("read", shared.read.clone());
        ceiling.append("task", dimensions.task);
        ceiling.append("external_directory", shared.external_directory.clone());
        for (tool, action) in dimensions.native_tools() {
            ceiling.append(tool, action);
        }
        // An ask of the config holds for a native tool too.
        for tool in NATIVE {
            if shared.ask.iter().any(|key| pattern::matches(key, tool)) {
                let rule = ceiling.get(tool).map(|rule| rule.clamp_to(Action::Ask));
                ceiling.append(tool, rule.unwrap_or(Action::Ask.into()));
            }
        }
        for key in both_spellings(&shared.denied, &self.servers) {
            ceiling.append(&key, Action::Deny);
        }
        ceiling
    }

    /// The object with every key under the ceiling and every MCP rule in both spellings: no tool is allowed
    /// more than the policy allows, whatever the object says and in whatever order.
    #[must_use]
    pub fn clamp(&self, object: &PermissionObject) -> PermissionObject {
        let mut spelled = PermissionObject::default();
        for (key, rule) in object.iter() {
            let mut keys = both_spellings(&[key.to_owned()], &self.servers);
            keys.sort_by_key(|key| !key.starts_with("mcp__"));
            for key in keys {
                spelled.append(&key, rule.clone());
            }
        }
        spelled.meet(&self.ceiling())
    }

    /// What the ceiling says about a tool pattern as a whole; narrower rules inside it may be stricter.
    pub(crate) fn bound(&self, ceiling: &PermissionObject, pattern: &str) -> Action {
        both_spellings(&[pattern.to_owned()], &self.servers)
            .iter()
            .filter_map(|key| ceiling.action_for(key, "*"))
            .min()
            .unwrap_or_default()
    }
}

/// Every pattern right behind its other spelling, without repeats. Long ones have theirs by rule (05 §6.4);
/// short ones only for known servers, and `mcp__*` becomes every known server's.
#[must_use]
pub fn both_spellings(patterns: &[String], servers: &[String]) -> Vec<String> {
    let mut spelled = indexmap::IndexSet::new();
    for key in patterns {
        spelled.insert(key.clone());
        spelled.extend(pattern::dual(key));
        if key == "mcp__*" {
            spelled.extend(servers.iter().map(|server| format!("{server}_*")));
        }
        let owner = servers
            .iter()
            .filter_map(|server| Some((server, key.strip_prefix(server)?.strip_prefix('_')?)))
            .filter(|(_, tool)| !tool.is_empty())
            .max_by_key(|(server, _)| server.len());
        spelled.extend(owner.map(|(server, tool)| format!("mcp__{server}__{tool}")));
    }
    spelled.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::{self, Rule};
    use Action::{Allow, Ask, Deny};

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn policy(mcp: Action) -> EffectivePolicy {
        EffectivePolicy::new(
            Dimensions {
                mcp,
                ..Dimensions::desktop()
            },
            Shared {
                registered: vec![],
                read: permission::read_with_secrets_asked(),
                external_directory: permission::deny_all(),
                allow: strings(&["mcp__clock__now"]),
                ask: strings(&["wiki_save"]),
                denied: strings(&["mcp__mail__*"]),
            },
            strings(&["wiki", "clock", "mail"]),
        )
    }

    fn clamp(mcp: Action, json: &str) -> PermissionObject {
        policy(mcp).clamp(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_short_spelling_is_no_way_around_a_long_one() {
        for mcp in [Deny, Ask] {
            let clamped = clamp(mcp, r#"{"wiki_*":"allow","mail_send":"allow"}"#);
            for tool in ["wiki_read", "mcp__wiki__read"] {
                assert_eq!(clamped.action_for(tool, "x"), Some(mcp), "{tool}");
            }
            for tool in ["mail_send", "mcp__mail__send"] {
                assert_eq!(clamped.action_for(tool, "x"), Some(Deny), "{tool}");
            }
        }
    }

    #[test]
    fn a_server_that_nobody_knows_is_an_mcp_server_still() {
        assert_eq!(
            clamp(Ask, r#"{"stranger_act":"allow"}"#).action_for("stranger_act", "x"),
            Some(Ask)
        );
    }

    #[test]
    fn what_is_granted_to_all_stays_granted_while_mcp_asks() {
        assert_eq!(
            clamp(Ask, r#"{"clock_now":"allow"}"#).action_for("mcp__clock__now", "x"),
            Some(Allow)
        );
        assert_eq!(
            clamp(Deny, r#"{"clock_now":"allow"}"#).action_for("clock_now", "x"),
            Some(Deny)
        );
    }

    #[test]
    fn everything_at_once_still_has_every_bound_in_it() {
        let clamped = clamp(Allow, r#"{"*":"allow"}"#);
        for (tool, expected) in [
            ("bash", Ask),
            ("webfetch", Ask),
            ("websearch", Deny),
            ("task", Allow),
            ("wiki_read", Allow),
            ("wiki_save", Ask),
            ("mcp__wiki__save", Ask),
            ("mail_send", Deny),
            ("external_directory", Deny),
            ("doom_loop", Ask),
        ] {
            assert_eq!(clamped.action_for(tool, "x"), Some(expected), "{tool}");
        }
        assert_eq!(clamped.action_for("read", "a/.env"), Some(Ask));
    }

    #[test]
    fn a_stricter_object_stays_as_it_is() {
        let object: PermissionObject =
            serde_json::from_str(r#"{"task":"deny","bash":{"*":"deny","git log *":"ask"}}"#)
                .unwrap();
        assert_eq!(policy(Allow).clamp(&object), object);
        assert!(matches!(object.get("bash"), Some(Rule::Patterns(_))));
    }

    #[test]
    fn spellings_go_both_ways_for_known_servers() {
        let servers = strings(&["wiki", "wiki_two"]);
        assert_eq!(
            both_spellings(
                &strings(&["wiki_two_read", "mcp__*", "other_x", "bash"]),
                &servers
            ),
            [
                "wiki_two_read",
                "mcp__wiki_two__read",
                "mcp__*",
                "wiki_*",
                "wiki_two_*",
                "other_x",
                "bash"
            ]
        );
    }
}
