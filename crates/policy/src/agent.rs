//! OpenCode's own agents: what each may do under the effective policy (05 §6.7).
//!
//! Only `build`, `plan`, `general` and `explore` are described here. Their prompts stay OpenCode's own: the
//! product owns policy, not the agent's words.

use crate::{Action, Dimensions, PermissionInput, PermissionObject, Rule, pattern, permission};

/// One agent of the composed config.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// OpenCode's name of the agent.
    pub name: &'static str,
    /// `primary` or `subagent`.
    pub mode: &'static str,
    /// Theme colour of the agent.
    pub color: &'static str,
    /// One line for the coworker picker.
    pub description: &'static str,
    /// What it may do.
    pub permission: PermissionObject,
}

/// Rules that hold for every agent and for the top level alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
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
        PermissionInput {
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
        ..shared.input()
    })
}

/// `build`, `plan`, `general` and `explore`, in this order (05 §6.7).
#[must_use]
pub fn native_agents(dimensions: &Dimensions, shared: &Shared) -> Vec<Agent> {
    let base = PermissionInput {
        skill: Action::Allow.into(),
        web: dimensions.web,
        web_search: dimensions.web_search,
        ..shared.input()
    };
    let acting = PermissionInput {
        bash: dimensions.bash,
        file_write: dimensions.file_write,
        question: Action::Allow,
        ..base.clone()
    };
    vec![
        Agent {
            name: "build",
            mode: "primary",
            color: "primary",
            description: "Works on your task: reads, writes, runs commands. Asks before it acts.",
            permission: permission::build(&PermissionInput {
                todowrite: Action::Allow,
                task: task_rule(dimensions.task, &["general", "explore"]),
                ..acting.clone()
            }),
        },
        Agent {
            name: "plan",
            mode: "primary",
            color: "warning",
            description: "Looks around and proposes a plan. Changes no files.",
            permission: permission::build(&PermissionInput {
                bash: Action::Ask.clamp_to(dimensions.bash),
                task: task_rule(dimensions.task, &["explore"]),
                ..base.clone()
            }),
        },
        Agent {
            name: "general",
            mode: "subagent",
            color: "secondary",
            description: "Takes a part of a larger task and reports back.",
            permission: permission::build(&acting),
        },
        Agent {
            name: "explore",
            mode: "subagent",
            color: "accent",
            description: "Finds files and answers questions about them. Changes nothing.",
            permission: permission::build(&PermissionInput {
                web: Action::Deny,
                web_search: Action::Deny,
                allow: Vec::new(),
                ask: Vec::new(),
                ..base
            }),
        },
    ]
}

/// Delegation: deny is `"deny"`, ask turns every rule into ask (05 §6.7).
fn task_rule(policy: Action, agents: &[&str]) -> Rule {
    match policy {
        Action::Deny => Action::Deny.into(),
        action => Rule::patterns(Action::Deny, agents.iter().map(|name| (*name, action))),
    }
}

/// The tool ceiling of an agent (05 §6.7): a requested grant that a global ask pattern covers becomes an ask;
/// whatever a denied pattern covers is dropped. Patterns are compared in both MCP spellings, so neither is a
/// way around the other. Returns `(allow, ask)`.
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
    let asked = pattern::expand(ask).into_iter().filter(open).chain(lowered);
    (granted, pattern::expand(asked))
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
        let mut all = vec![("top", top_level(&dimensions, &shared(), &[]))];
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
