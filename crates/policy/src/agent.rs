//! The agents of the composed config: what each may do under the effective policy (05 §6.7).
//!
//! | module | holds |
//! |---|---|
//! | [`native`] | OpenCode's own four, and the product's three |
//! | [`configured`] | agents of the product config |
//! | [`prompt`] | the structure of prompts |
//!
//! [`roster`] puts them together. Custom agents are files of their own and never stand in the config; they
//! appear as [`Delegate`]s only.

pub mod configured;
pub mod native;
pub mod prompt;

pub use configured::Configured;
pub use native::{Override, native_agents};

use crate::effective::EffectivePolicy;
use crate::tool::{self, Tool};
use crate::{
    Action, Dimensions, PermissionInput, PermissionObject, Rule, meet, pattern, permission,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Who may start an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A person.
    Primary,
    /// Another agent. The default.
    #[default]
    Subagent,
    /// Both; only in files that people wrote by hand.
    All,
}

/// How an agent's model is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Variant of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Number>,
    /// Model steps per turn, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Options of the provider.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
}

/// One agent of the composed config.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// OpenCode's name of the agent.
    pub name: String,
    /// Who may start it.
    pub mode: Mode,
    /// Theme colour of the agent.
    pub color: String,
    /// One line for the coworker picker.
    pub description: String,
    /// Not offered to people.
    pub hidden: bool,
    /// Its prompt; absent: OpenCode's own.
    pub prompt: Option<String>,
    /// How its model is asked.
    pub inference: Inference,
    /// What it may do.
    pub permission: PermissionObject,
}

impl Agent {
    /// Its entry in the config's `agent` object.
    #[must_use]
    pub fn entry(&self) -> Value {
        let mut entry = Map::new();
        let mut set = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        set("mode", json_of(&self.mode));
        set("description", self.description.as_str().into());
        set("color", self.color.as_str().into());
        if self.hidden {
            set("hidden", true.into());
        }
        if let Some(prompt) = &self.prompt {
            set("prompt", prompt.as_str().into());
        }
        if let Value::Object(inference) = json_of(&self.inference) {
            for (key, value) in inference {
                set(&key, value);
            }
        }
        set("permission", json_of(&self.permission));
        Value::Object(entry)
    }
}

/// Types of this module have string keys only, so they always have a JSON value.
fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A custom agent, as others know it. Only one without issues may be delegated to (05 §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// Name.
    pub name: String,
    /// One line.
    pub description: String,
    /// Who may start it.
    pub mode: Mode,
    /// It changes nothing, so that planning agents may use it.
    pub read_only: bool,
}

/// What the agents of a config are made from.
#[derive(Clone, Copy, Debug)]
pub struct RosterInput<'a> {
    /// The effective policy.
    pub policy: &'a EffectivePolicy,
    /// Tools of the config.
    pub tools: &'a [Tool],
    /// Names of the available skills.
    pub skills: &'a [String],
    /// Changes to OpenCode's own agents, by name.
    pub overrides: &'a BTreeMap<String, Override>,
    /// Agents of the config, in its order.
    pub configured: &'a [Configured],
    /// Custom agents without issues.
    pub custom: &'a [Delegate],
    /// With the product's own three: `chief-of-staff`, `executive-assistant`, `autoresearch`.
    pub product_agents: bool,
}

/// The agents of a config.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    /// In the contract's order: OpenCode's and the product's, then the configured ones.
    pub agents: Vec<Agent>,
    /// Agents of OpenCode that are switched off. An entry that is merely absent would leave OpenCode's own
    /// one under the top-level rules; write `{"disable": true}` for them.
    pub disabled: Vec<String>,
}

/// All agents of a config (05 §6.7).
#[must_use]
pub fn roster(input: &RosterInput<'_>) -> Roster {
    let mut roster = native::agents(input);
    roster
        .agents
        .extend(input.configured.iter().map(|agent| agent.build(input)));
    roster
}

/// Rules that hold for every agent and for the top level alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Names of the MCP servers that OpenCode gets. What no pattern names of their tools is denied (05 §6.5).
    pub registered: Vec<String>,
    /// Rule of reading files.
    pub read: Rule,
    /// Rule of files outside the workspace.
    pub external_directory: Rule,
    /// Patterns of MCP tools that are granted.
    pub allow: Vec<String>,
    /// Patterns of MCP tools that ask.
    pub ask: Vec<String>,
    /// Patterns of MCP tools that are denied.
    pub denied: Vec<String>,
}

impl Shared {
    /// What [`permission::build`] needs of these rules, under the ceiling.
    fn input(&self) -> PermissionInput {
        let (allow, ask) = ceiling(&self.allow, &self.ask, &self.ask, &self.denied);
        // An agent that is granted less must say so itself: its rules stand behind the top-level ones.
        let withheld = [&self.allow[..], &self.ask[..]].concat();
        PermissionInput {
            registered: self.registered.clone(),
            withheld,
            read: self.read.clone(),
            external_directory: self.external_directory.clone(),
            allow,
            ask,
            denied: self.denied.clone(),
            ..PermissionInput::default()
        }
    }
}

/// The top-level permission object: the floor under every agent, OpenCode's hidden ones included
/// (05 §6.5). `skills` are the names of the available skills.
#[must_use]
pub fn top_level(dimensions: &Dimensions, shared: &Shared, skills: &[String]) -> PermissionObject {
    let mut skills: Vec<&String> = skills.iter().collect();
    skills.sort();
    permission::build(&PermissionInput {
        skill: Rule::patterns(
            Action::Deny,
            skills
                .into_iter()
                .map(|name| (name.as_str(), Action::Allow)),
        ),
        question: Action::Deny,
        todowrite: Action::Allow,
        task: dimensions.task.into(),
        web: dimensions.web,
        web_search: dimensions.web_search,
        bash: dimensions.bash,
        file_write: dimensions.file_write,
        withheld: Vec::new(),
        ..shared.input()
    })
}

/// The tool ceiling of an agent (05 §6.7): a requested grant that a global ask pattern covers becomes an ask;
/// whatever a denied pattern covers is dropped; a global ask inside a broader grant, or about one of OpenCode's
/// own tools, asks too. Patterns are compared in both MCP spellings, so neither is a way around the other.
/// Returns `(allow, ask)`.
#[must_use]
pub fn ceiling(
    allow: &[String],
    ask: &[String],
    global_ask: &[String],
    denied: &[String],
) -> (Vec<String>, Vec<String>) {
    let (global_ask, denied) = (pattern::expand(global_ask), pattern::expand(denied));
    let open = |key: &String| !covered(key, &denied);
    let (lowered, granted): (Vec<String>, Vec<String>) = pattern::expand(allow)
        .into_iter()
        .filter(open)
        .partition(|key| covered(key, &global_ask));
    let inside = global_ask
        .iter()
        .filter(|key| open(key))
        .filter(|key| tool::reaches_native(key) || granted.iter().any(|grant| touches(grant, key)))
        .cloned();
    let asked: Vec<String> = pattern::expand(ask)
        .into_iter()
        .filter(open)
        .chain(lowered)
        .chain(inside)
        .collect();
    (granted, pattern::expand(asked))
}

fn touches(grant: &str, key: &str) -> bool {
    meet::overlap(grant, key) != meet::Overlap::None
}

/// Equal, or the covering pattern ends with `*` and is a prefix.
fn covered(key: &str, by: &[String]) -> bool {
    by.iter().any(|cover| {
        cover == key
            || cover
                .strip_suffix('*')
                .is_some_and(|prefix| key.starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Allow, Ask, Deny};

    fn shared() -> Shared {
        Shared {
            registered: vec![],
            read: permission::read_with_secrets_asked(),
            external_directory: permission::external_roots(Ask, ["/skills"], Allow),
            allow: vec![],
            ask: vec![],
            denied: vec![],
        }
    }

    fn agent(dimensions: &Dimensions, name: &str) -> PermissionObject {
        native_agents(dimensions, &shared())
            .into_iter()
            .find(|agent| agent.name == name)
            .unwrap()
            .permission
    }

    #[test]
    fn the_permissions_of_a_new_desktop_are_pinned() {
        let dimensions = Dimensions::desktop();
        let mut all = vec![("top".to_owned(), top_level(&dimensions, &shared(), &[]))];
        all.extend(
            native_agents(&dimensions, &shared())
                .into_iter()
                .map(|agent| (agent.name, agent.permission)),
        );
        insta::assert_json_snapshot!(all);
    }

    #[test]
    fn only_build_asks_questions_and_keeps_a_todo_list_at_the_root() {
        let dimensions = Dimensions::desktop();
        for (name, question, todo) in [
            ("build", Allow, Allow),
            ("plan", Deny, Deny),
            ("general", Allow, Deny),
            ("explore", Deny, Deny),
        ] {
            let permission = agent(&dimensions, name);
            assert_eq!(
                permission.action_for("question", "*"),
                Some(question),
                "{name}"
            );
            assert_eq!(
                permission.action_for("todowrite", "*"),
                Some(todo),
                "{name}"
            );
        }
    }

    #[test]
    fn plan_never_writes_and_its_shell_always_asks() {
        let everything = Dimensions {
            bash: Allow,
            file_write: Allow,
            ..Dimensions::desktop()
        };
        let plan = agent(&everything, "plan");
        assert_eq!(plan.action_for("bash", "ls"), Some(Ask));
        for tool in ["edit", "write", "apply_patch"] {
            assert_eq!(plan.action_for(tool, "a"), Some(Deny));
        }
    }

    #[test]
    fn delegation_follows_the_task_policy() {
        for (policy, general, plan) in [(Allow, Allow, Deny), (Ask, Ask, Deny), (Deny, Deny, Deny)]
        {
            let build = agent(
                &Dimensions {
                    task: policy,
                    ..Dimensions::desktop()
                },
                "build",
            );
            assert_eq!(build.action_for("task", "general"), Some(general));
            assert_eq!(build.action_for("task", "plan"), Some(plan));
        }
    }

    #[test]
    fn a_ceiling_holds_in_both_spellings() {
        let list = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let (allow, ask) = ceiling(
            &list(&["wiki_save", "mcp__mail__send", "mcp__git__log"]),
            &[],
            &list(&["mcp__wiki__*"]),
            &list(&["mcp__mail__*"]),
        );
        assert_eq!(allow, ["mcp__git__log", "git_log"]);
        assert_eq!(ask, ["wiki_save"]);
    }
}
