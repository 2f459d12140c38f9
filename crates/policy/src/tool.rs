//! Tools of the config as permission patterns (05 §6.4, §6.6).

use crate::meet::{Overlap, overlap};
use crate::{Action, pattern};

/// OpenCode's own tools and permission keys. Whatever else a pattern names is taken for an MCP tool.
pub const NATIVE: [&str; 20] = [
    "skill",
    "question",
    "task",
    "external_directory",
    "doom_loop",
    "todowrite",
    "todoread",
    "codesearch",
    "webfetch",
    "websearch",
    "lsp",
    "bash",
    "edit",
    "write",
    "apply_patch",
    "read",
    "grep",
    "glob",
    "list",
    "invalid",
];

/// A tool of the config (`tools[]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool {
    /// Id, as agents name it.
    pub id: String,
    /// One of OpenCode's own (`kind: built-in`), not an MCP server's. For people: rules look at the patterns.
    pub native: bool,
    /// The MCP server, when no pattern is given.
    pub namespace: Option<String>,
    /// Patterns of what it contains.
    pub patterns: Vec<String>,
    /// Patterns that are granted; empty: `patterns`.
    pub allow_patterns: Vec<String>,
    /// Patterns that ask.
    pub ask_patterns: Vec<String>,
    /// Whether it changes something; absent: its patterns tell.
    pub write_access: Option<bool>,
    /// Every agent has it, unless it writes.
    pub default_access: bool,
}

impl Tool {
    /// What it grants: the first that is given of `allowPatterns`, `patterns`, `mcp__<namespace>__*`; in both
    /// spellings.
    #[must_use]
    pub fn allow(&self) -> Vec<String> {
        let whole = self.namespace.iter().map(|name| format!("mcp__{name}__*"));
        [&self.allow_patterns, &self.patterns]
            .into_iter()
            .find(|patterns| !patterns.is_empty())
            .map_or_else(|| pattern::expand(whole), pattern::expand)
    }

    /// What it asks for, in both spellings.
    #[must_use]
    pub fn ask(&self) -> Vec<String> {
        pattern::expand(&self.ask_patterns)
    }
}

/// An MCP server that the user added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomServer {
    /// Name.
    pub name: String,
    /// What its tools do: [`Action::Allow`] only when the user said so, else [`Action::Ask`].
    pub permission: Action,
}

/// The patterns that hold for every agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolPolicy {
    /// Granted.
    pub allow: Vec<String>,
    /// Asking.
    pub ask: Vec<String>,
    /// Denied.
    pub denied: Vec<String>,
}

/// Patterns of all tools and servers under the MCP dimension (05 §6.6): *deny* denies every MCP pattern,
/// *ask* turns grants into asks except those of tools with default access, *allow* leaves them as configured.
#[must_use]
pub fn tool_policy(mcp: Action, tools: &[Tool], servers: &[CustomServer]) -> ToolPolicy {
    let (mut allow, mut ask, mut known) = (Vec::new(), Vec::new(), vec!["mcp__*".to_owned()]);
    // A pattern that doesn't name one of OpenCode's own tools can reach MCP tools, whatever the tool calls
    // itself.
    let mut add = |granted: Vec<String>, asking: Vec<String>, default_access: bool| {
        for (list, asks) in [(granted, false), (asking, true)] {
            for pattern in list {
                let native = NATIVE.contains(&pattern.as_str());
                if !native && !reaches_native(&pattern) {
                    known.push(pattern.clone());
                }
                match mcp {
                    // What it asks about OpenCode's own tools holds as it does while MCP asks.
                    Action::Deny if !native && (asks || !default_access) => {
                        let covered = NATIVE
                            .iter()
                            .filter(|tool| pattern::matches(&pattern, tool));
                        ask.extend(covered.map(|tool| (*tool).to_owned()));
                    }
                    Action::Deny if !native => {}
                    Action::Ask if !native && !default_access => ask.push(pattern),
                    _ if asks => ask.push(pattern),
                    _ => allow.push(pattern),
                }
            }
        }
    };
    for tool in tools {
        add(tool.allow(), tool.ask(), tool.default_access);
    }
    for server in servers {
        let all = pattern::expand([format!("mcp__{}__*", server.name)]);
        match server.permission {
            Action::Allow => add(all, Vec::new(), false),
            Action::Ask | Action::Deny => add(Vec::new(), all, false),
        }
    }
    ToolPolicy {
        allow: pattern::expand(allow),
        ask: pattern::expand(ask),
        denied: match mcp {
            Action::Deny => pattern::expand(known),
            Action::Ask | Action::Allow => Vec::new(),
        },
    }
}

/// Whether a pattern may name a tool of this MCP server, in either spelling.
#[must_use]
pub fn names_tool_of(pattern: &str, server: &str) -> bool {
    pattern::expand([pattern]).iter().any(|key| {
        [format!("{server}_*"), format!("mcp__{server}__*")]
            .iter()
            .any(|tools| overlap(key, tools) != Overlap::None)
    })
}

/// Whether a pattern covers one of OpenCode's own tools. Such a pattern is not granted when MCP is denied, but
/// to deny it would deny that tool too.
pub(crate) fn reaches_native(pattern: &str) -> bool {
    NATIVE.iter().any(|tool| pattern::matches(pattern, tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<Tool> {
        let patterns = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        vec![
            Tool {
                id: "wiki".into(),
                namespace: Some("wiki".into()),
                ask_patterns: patterns(&["mcp__wiki__save"]),
                ..Tool::default()
            },
            Tool {
                id: "clock".into(),
                patterns: patterns(&["mcp__clock__now"]),
                default_access: true,
                ..Tool::default()
            },
            Tool {
                id: "bash".into(),
                native: true,
                patterns: patterns(&["bash"]),
                ..Tool::default()
            },
        ]
    }

    #[test]
    fn a_tool_without_patterns_is_its_whole_server_in_both_spellings() {
        assert_eq!(tools()[0].allow(), ["mcp__wiki__*", "wiki_*"]);
        assert_eq!(tools()[1].allow(), ["mcp__clock__now", "clock_now"]);
    }

    #[test]
    fn a_pattern_names_a_server_in_either_spelling_or_by_a_glob() {
        for pattern in [
            "mcp__wiki__read",
            "wiki_read",
            "wiki_*",
            "mcp__*",
            "*",
            "w*_read",
        ] {
            assert!(names_tool_of(pattern, "wiki"), "{pattern}");
        }
        for pattern in ["bash", "mcp__wikis__read", "wikis_*", "mcp__mail__*"] {
            assert!(!names_tool_of(pattern, "wiki"), "{pattern}");
        }
    }

    #[test]
    fn allow_leaves_the_patterns_as_configured() {
        let servers = [CustomServer {
            name: "mine".into(),
            permission: Action::Ask,
        }];
        let policy = tool_policy(Action::Allow, &tools(), &servers);
        assert_eq!(
            policy.allow,
            [
                "mcp__wiki__*",
                "wiki_*",
                "mcp__clock__now",
                "clock_now",
                "bash"
            ]
        );
        assert_eq!(
            policy.ask,
            ["mcp__wiki__save", "wiki_save", "mcp__mine__*", "mine_*"]
        );
        assert!(policy.denied.is_empty());
    }

    #[test]
    fn ask_keeps_only_default_access_free() {
        let policy = tool_policy(Action::Ask, &tools(), &[]);
        assert_eq!(policy.allow, ["mcp__clock__now", "clock_now", "bash"]);
        assert_eq!(
            policy.ask,
            ["mcp__wiki__*", "wiki_*", "mcp__wiki__save", "wiki_save"]
        );
    }

    #[test]
    fn deny_denies_every_known_pattern_and_leaves_native_tools() {
        let servers = [CustomServer {
            name: "mine".into(),
            permission: Action::Allow,
        }];
        let policy = tool_policy(Action::Deny, &tools(), &servers);
        assert_eq!(policy.allow, ["bash"]);
        assert!(policy.ask.is_empty());
        let broad = [Tool {
            patterns: vec!["*".into()],
            native: true,
            ..Tool::default()
        }];
        let policy_of_broad = tool_policy(Action::Deny, &broad, &[]);
        assert_eq!(
            (policy_of_broad.allow.len(), policy_of_broad.denied.len()),
            (0, 1)
        );
        for pattern in ["mcp__*", "wiki_*", "clock_now", "mine_*"] {
            assert!(policy.denied.iter().any(|p| p == pattern), "{pattern}");
        }
    }
}
