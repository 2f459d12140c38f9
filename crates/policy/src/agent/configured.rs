//! Agents of the product config (05 §6.7): what they may do, and whether they change anything.

use super::{Agent, Inference, Mode, RosterInput, ceiling, prompt};
use crate::tool::Tool;
use crate::{Action, PermissionInput, Rule, pattern, permission};

/// An agent of the config (`agents[]`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configured {
    /// Name.
    pub name: String,
    /// One line.
    pub description: String,
    /// Its prompt.
    pub instructions: String,
    /// Name for people.
    pub label: Option<String>,
    /// Names of the skills it loads.
    pub skills: Vec<String>,
    /// Ids of the tools it has.
    pub tools: Vec<String>,
    /// Further patterns that are granted.
    pub allow: Vec<String>,
    /// Further patterns that ask.
    pub ask: Vec<String>,
    /// Colour; absent: `accent`.
    pub color: Option<String>,
    /// Not offered to people.
    pub hidden: bool,
    /// Who may start it; absent: other agents.
    pub mode: Option<Mode>,
    /// How its model is asked.
    pub inference: Inference,
}

impl Configured {
    /// Who may start it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or_default()
    }

    /// Its tools: those it names, and those that everybody has and that don't write.
    fn attached<'a>(&self, tools: &'a [Tool]) -> Vec<&'a Tool> {
        tools
            .iter()
            .filter(|tool| {
                let free = tool.default_access && !writes(tool);
                free || self.tools.contains(&tool.id)
            })
            .collect()
    }

    /// Patterns that it asks to be granted, and that it wants to ask.
    fn patterns(&self, tools: &[Tool]) -> (Vec<String>, Vec<String>) {
        let attached = self.attached(tools);
        let allow = attached.iter().flat_map(|tool| tool.allow());
        let ask = attached.iter().flat_map(|tool| tool.ask());
        (
            pattern::expand(allow.chain(self.allow.iter().cloned())),
            pattern::expand(ask.chain(self.ask.iter().cloned())),
        )
    }

    /// Nothing that it may use looks as if it changed something, so planning agents may hand work to it.
    #[must_use]
    pub fn read_only(&self, tools: &[Tool]) -> bool {
        let own = self.allow.iter().chain(&self.ask);
        self.attached(tools).iter().all(|tool| !writes(tool))
            && own.into_iter().all(|pattern| !looks_writing(pattern))
    }

    /// The agent of the composed config.
    pub(super) fn build(&self, input: &RosterInput<'_>) -> Agent {
        let (dimensions, shared) = (&input.policy.dimensions, &input.policy.shared);
        let (requested, requested_ask) = self.patterns(input.tools);
        // A pattern that nobody else has is an MCP pattern still: it gets what the ceiling gives.
        let most = input.policy.ceiling();
        let bound = |pattern: &String| match crate::tool::NATIVE.contains(&pattern.as_str()) {
            true => Action::Allow, // the dimensions decide about native tools, below
            false => input.policy.bound(&most, pattern),
        };
        let granted = |wanted: Action| {
            requested
                .iter()
                .filter(move |pattern| bound(pattern) == wanted)
                .cloned()
        };
        let asking: Vec<String> = requested_ask
            .iter()
            .filter(|pattern| bound(pattern) != Action::Deny)
            .cloned()
            .chain(granted(Action::Ask))
            .collect();
        let allowed: Vec<String> = granted(Action::Allow).collect();
        let (allow, ask) = ceiling(&allowed, &asking, &shared.ask, &shared.denied);

        let named = |tools: &[&str], policy: Action| {
            let all = || requested.iter().chain(&requested_ask);
            let hit = tools
                .iter()
                .any(|tool| all().any(|key| pattern::matches(key, tool)));
            if hit { policy } else { Action::Deny }
        };
        let skills: Vec<&str> = self
            .skills
            .iter()
            .filter(|name| input.skills.contains(name))
            .map(String::as_str)
            .collect();
        const WEB: [&str; 3] = ["webfetch", "websearch", "codesearch"];
        let permission = permission::build(&PermissionInput {
            skill: Rule::patterns(
                Action::Deny,
                skills.iter().map(|name| (*name, Action::Allow)),
            ),
            question: Action::Deny,
            task: Action::Deny.into(),
            todowrite: Action::Deny,
            web: named(&WEB, dimensions.web),
            web_search: named(&WEB, dimensions.web_search),
            bash: named(&["bash"], dimensions.bash),
            file_write: named(&["edit", "write", "apply_patch"], dimensions.file_write),
            allow,
            ask,
            require_native_tool_pattern: true,
            ..shared.input()
        });
        let attached = self.attached(input.tools);
        let tools: Vec<&str> = attached.iter().map(|tool| tool.id.as_str()).collect();
        Agent {
            name: self.name.clone(),
            mode: self.mode(),
            color: self.color.clone().unwrap_or_else(|| "accent".to_owned()),
            description: self.description.clone(),
            hidden: self.hidden,
            prompt: Some(prompt::configured(self, &tools, &skills)),
            inference: self.inference.clone(),
            permission: match exceeds(&permission, &most) {
                false => permission,
                true => input.policy.clamp(&permission),
            },
        }
    }
}

/// Whether a rule of the object gives more than the ceiling does for its very key; then the object needs the
/// exact treatment of [`crate::effective::EffectivePolicy::clamp`].
fn exceeds(object: &crate::PermissionObject, ceiling: &crate::PermissionObject) -> bool {
    let met = object.meet(ceiling);
    let keys = object.iter().chain(ceiling.iter()).map(|(key, _)| key);
    keys.into_iter().any(|key| {
        let before = object.action_for(key, "*");
        before.is_some() && before > met.action_for(key, "*")
    })
}

/// Whether a tool changes something: it says so, or its patterns look so (05 §6.7).
#[must_use]
pub fn writes(tool: &Tool) -> bool {
    tool.write_access.unwrap_or_else(|| {
        tool.allow()
            .iter()
            .chain(&tool.ask())
            .any(|pattern| looks_writing(pattern))
    })
}

/// Whether a pattern looks as if it changed something: a native writer, everything, a whole server, a verb of
/// writing, or `execute`/`run` without a noun of reading (05 §6.7).
#[must_use]
pub fn looks_writing(pattern: &str) -> bool {
    const NATIVE_WRITERS: [&str; 4] = ["bash", "edit", "write", "apply_patch"];
    if NATIVE_WRITERS
        .iter()
        .any(|tool| pattern::matches(pattern, tool))
    {
        return true;
    }
    let whole_server = |name: &str| !name.is_empty() && !name.contains(['*', '?']);
    let server = match pattern.strip_prefix("mcp__") {
        Some("*") => return true,
        Some(rest) => rest
            .strip_suffix("__*")
            .is_some_and(|name| whole_server(name) && !name.contains("__")),
        None => pattern
            .strip_suffix("_*")
            .is_some_and(|name| whole_server(name) && !name.contains('_')),
    };
    let tokens: Vec<String> = pattern
        .split(['_', ':', '/', '.', '-'])
        .map(str::to_lowercase)
        .collect();
    let any = |words: &[&str]| tokens.iter().any(|token| words.contains(&token.as_str()));
    server || any(WRITE_VERBS) || (any(&["execute", "run"]) && !any(READ_NOUNS))
}

const WRITE_VERBS: &[&str] = &[
    "add", "apply", "archive", "cancel", "clear", "close", "commit", "copy", "create", "delete",
    "deploy", "drop", "edit", "grant", "import", "insert", "merge", "modify", "move", "mutate",
    "patch", "post", "publish", "push", "put", "remove", "reopen", "replace", "retry", "revoke",
    "save", "send", "set", "submit", "sync", "truncate", "update", "upload", "upsert", "write",
];

const READ_NOUNS: &[&str] = &[
    "analyze",
    "analysis",
    "calculate",
    "check",
    "count",
    "counts",
    "describe",
    "explain",
    "fetch",
    "find",
    "get",
    "inspect",
    "list",
    "lookup",
    "lookups",
    "preview",
    "query",
    "queries",
    "read",
    "report",
    "reports",
    "search",
    "select",
    "show",
    "status",
    "summarize",
    "summary",
    "test",
    "validate",
    "view",
    "views",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Delegate, Override, Roster, Shared, roster};
    use crate::effective::EffectivePolicy;
    use crate::{Dimensions, tool};
    use Action::{Allow, Ask, Deny};
    use std::collections::BTreeMap;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn tools() -> Vec<Tool> {
        vec![
            Tool {
                id: "wiki".into(),
                patterns: strings(&["mcp__wiki__get_*", "mcp__wiki__save"]),
                ask_patterns: strings(&["mcp__wiki__save"]),
                ..Tool::default()
            },
            Tool {
                id: "clock".into(),
                patterns: strings(&["mcp__clock__get_time"]),
                default_access: true,
                ..Tool::default()
            },
            Tool {
                id: "shell".into(),
                native: true,
                patterns: strings(&["bash"]),
                ..Tool::default()
            },
        ]
    }

    fn policy(mcp: Action) -> EffectivePolicy {
        let patterns = tool::tool_policy(mcp, &tools(), &[]);
        EffectivePolicy::new(
            Dimensions {
                mcp,
                ..Dimensions::desktop()
            },
            Shared {
                registered: vec![],
                read: permission::read_with_secrets_asked(),
                external_directory: permission::deny_all(),
                allow: patterns.allow,
                ask: patterns.ask,
                denied: patterns.denied,
            },
            strings(&["wiki", "clock"]),
        )
    }

    fn roster_of(
        policy: &EffectivePolicy,
        configured: &[Configured],
        overrides: &BTreeMap<String, Override>,
        product_agents: bool,
    ) -> Roster {
        roster(&RosterInput {
            policy,
            tools: &tools(),
            skills: &strings(&["reports"]),
            overrides,
            configured,
            custom: &[Delegate {
                name: "mine".into(),
                description: "Mine.".into(),
                mode: Mode::Subagent,
                read_only: false,
            }],
            product_agents,
        })
    }

    fn writer() -> Configured {
        Configured {
            name: "writer".into(),
            description: "Writes.".into(),
            instructions: "Write well.".into(),
            skills: strings(&["reports", "gone"]),
            tools: strings(&["wiki"]),
            ..Configured::default()
        }
    }

    fn reader() -> Configured {
        Configured {
            name: "reader".into(),
            allow: strings(&["mcp__wiki__get_page"]),
            ..Configured::default()
        }
    }

    #[test]
    fn a_configured_agent_has_only_what_it_names() {
        let roster = roster_of(&policy(Allow), &[writer()], &BTreeMap::new(), false);
        let agent = roster.agents.last().unwrap();
        for (tool, expected) in [
            ("wiki_get_page", Allow),
            ("wiki_save", Ask),
            ("mcp__wiki__save", Ask),
            ("clock_get_time", Allow),
            ("bash", Deny),
            ("edit", Deny),
            ("webfetch", Deny),
            ("question", Deny),
            ("task", Deny),
        ] {
            assert_eq!(
                agent.permission.action_for(tool, "x"),
                Some(expected),
                "{tool}"
            );
        }
        assert_eq!(agent.permission.action_for("skill", "reports"), Some(Allow));
        assert_eq!(agent.permission.action_for("skill", "gone"), Some(Deny));
        assert_eq!(
            (agent.mode, agent.color.as_str()),
            (Mode::Subagent, "accent")
        );
    }

    #[test]
    fn its_prompt_loads_its_skills_first_and_names_its_tools() {
        let roster = roster_of(&policy(Allow), &[writer()], &BTreeMap::new(), false);
        insta::assert_snapshot!(roster.agents.last().unwrap().prompt.as_deref().unwrap());
    }

    #[test]
    fn asking_for_everything_does_not_lift_the_policy() {
        let greedy = Configured {
            name: "greedy".into(),
            tools: strings(&["shell"]),
            allow: strings(&["*", "w*_*", "stranger_*"]),
            ..Configured::default()
        };
        let roster = roster_of(&policy(Ask), &[greedy], &BTreeMap::new(), false);
        let agent = roster.agents.last().unwrap();
        for (tool, expected) in [
            ("bash", Ask),
            ("edit", Ask),
            ("websearch", Deny),
            ("wiki_get_page", Ask),
            ("stranger_act", Ask),
        ] {
            assert_eq!(
                agent.permission.action_for(tool, "x"),
                Some(expected),
                "{tool}"
            );
        }
    }

    #[test]
    fn planning_agents_hand_work_only_to_readers() {
        let roster = roster_of(
            &policy(Allow),
            &[writer(), reader()],
            &BTreeMap::new(),
            true,
        );
        let find = |name: &str| {
            roster
                .agents
                .iter()
                .find(|agent| agent.name == name)
                .unwrap()
        };
        for (parent, child, expected) in [
            ("build", "writer", Allow),
            ("build", "reader", Allow),
            ("build", "mine", Allow),
            ("build", "autoresearch", Allow),
            ("plan", "reader", Allow),
            ("plan", "writer", Deny),
            ("plan", "mine", Deny),
            ("plan", "general", Deny),
            ("chief-of-staff", "explore", Allow),
            ("chief-of-staff", "writer", Deny),
            ("executive-assistant", "general", Allow),
            ("autoresearch", "general", Allow),
            ("general", "explore", Deny),
        ] {
            let action = find(parent).permission.action_for("task", child);
            assert_eq!(action, Some(expected), "{parent} to {child}");
        }
        let names: Vec<&str> = roster
            .agents
            .iter()
            .map(|agent| agent.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "build",
                "plan",
                "chief-of-staff",
                "general",
                "explore",
                "executive-assistant",
                "autoresearch",
                "writer",
                "reader"
            ]
        );
        insta::assert_snapshot!("cleo", find("chief-of-staff").prompt.as_deref().unwrap());
    }

    #[test]
    fn an_override_changes_words_and_inference_but_no_permission() {
        let overrides: BTreeMap<String, Override> = serde_json::from_value(serde_json::json!({
            "build": {"description": "Ours.", "instructions": "Be kind.", "temperature": 0.2, "hidden": true},
            "general": {"disable": true}
        }))
        .unwrap();
        let plain = roster_of(&policy(Allow), &[], &BTreeMap::new(), false);
        let changed = roster_of(&policy(Allow), &[], &overrides, false);
        assert_eq!(changed.disabled, ["general"]);
        let (before, after) = (&plain.agents[0], &changed.agents[0]);
        assert_eq!(before.permission.get("bash"), after.permission.get("bash"));
        assert_eq!(after.permission.action_for("task", "general"), Some(Deny));
        let entry = after.entry();
        assert_eq!(entry["temperature"], 0.2);
        assert!(
            entry["prompt"]
                .as_str()
                .unwrap()
                .ends_with("\n\nAdditional built-in instructions:\nBe kind.")
        );
        let keys: Vec<&String> = entry.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "mode",
                "description",
                "color",
                "hidden",
                "prompt",
                "temperature",
                "permission"
            ]
        );
    }

    #[test]
    fn an_agent_without_tools_does_not_inherit_those_of_everybody() {
        let roster = roster_of(&policy(Allow), &[], &BTreeMap::new(), false);
        let explore = roster
            .agents
            .iter()
            .find(|agent| agent.name == "explore")
            .unwrap();
        for tool in ["wiki_get_page", "mcp__wiki__get_page", "wiki_save"] {
            assert_eq!(
                explore.permission.action_for(tool, "x"),
                Some(Deny),
                "{tool}"
            );
        }
    }

    #[test]
    fn patterns_tell_whether_they_write() {
        for (pattern, expected) in [
            ("bash", true),
            ("*", true),
            ("ed*", true),
            ("mcp__*", true),
            ("mcp__wiki__*", true),
            ("wiki_*", true),
            ("mcp__wiki__save_page", true),
            ("mcp__wiki__get_page", false),
            ("wiki_get_*", false),
            ("mcp__db__run_query", false),
            ("mcp__db__execute", true),
            ("db.execute-statement", true),
            ("mcp__db__setting_of", false),
            ("webfetch", false),
        ] {
            assert_eq!(looks_writing(pattern), expected, "{pattern}");
        }
    }
}
