//! Whether a sub-agent may do more than the agent that calls it (05 §6.8), and the strict mode that forbids it.
//!
//! Eleven keys are compared. Strict mode clamps them for every tool that a child's rules reach, also by a broad
//! pattern; grants of single MCP tools are not compared, because specialised children exist for their sake
//! and the ceiling of [`crate::effective`] holds for them anyway.

use crate::agent::{Agent, Mode};
use crate::{Action, PermissionObject, Rule};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The keys that are compared, in the contract's order.
pub const KEYS: [&str; 11] = [
    "bash",
    "edit",
    "write",
    "apply_patch",
    "codesearch",
    "webfetch",
    "websearch",
    "todowrite",
    "external_directory",
    "mcp__*",
    "task",
];

/// An agent as the report sees it: one of the config or a custom one.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Name.
    pub name: &'a str,
    /// Who may start it.
    pub mode: Mode,
    /// What it may do.
    pub permission: &'a PermissionObject,
}

impl<'a> From<&'a Agent> for Node<'a> {
    fn from(agent: &'a Agent) -> Self {
        Self {
            name: &agent.name,
            mode: agent.mode,
            permission: &agent.permission,
        }
    }
}

/// What is wrong between a parent and a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum IssueCode {
    /// The parent names a child that isn't there.
    #[serde(rename = "permission-inheritance/delegated-agent-missing")]
    DelegatedAgentMissing,
    /// The child may do more than its parent.
    #[serde(rename = "permission-inheritance/child-more-permissive-than-parent")]
    ChildMorePermissive,
}

impl IssueCode {
    fn reason(self) -> &'static str {
        match self {
            Self::DelegatedAgentMissing => "delegated-agent-missing",
            Self::ChildMorePermissive => "child-more-permissive-than-parent",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// What.
    pub code: IssueCode,
    /// Where in the config.
    pub path: String,
    /// Who calls.
    pub parent_agent: String,
    /// Who is called.
    pub child_agent: String,
    /// Which key.
    pub key: String,
    /// What the parent may.
    pub parent_action: Action,
    /// What the child may.
    pub child_action: Action,
    /// The code without its prefix.
    pub reason_code: &'static str,
}

/// The report on all agents of a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Changes when something that is compared changes: `permission-inheritance-v1-<8 hex>`.
    pub revision: String,
    /// Sorted by parent, child and key.
    pub issues: Vec<Issue>,
}

/// Compares every parent with every child it may call.
#[must_use]
pub fn report(agents: &[Node<'_>]) -> Report {
    let mut issues = Vec::new();
    let mut sorted: Vec<&Node<'_>> = agents.iter().collect();
    sorted.sort_by_key(|agent| agent.name);
    for parent in &sorted {
        for (child_name, delegation) in children(parent, agents) {
            match agents.iter().find(|agent| agent.name == child_name) {
                None => issues.push(Issue {
                    code: IssueCode::DelegatedAgentMissing,
                    path: format!(
                        "agents[{}].permission.task[{}]",
                        json!(parent.name),
                        json!(child_name)
                    ),
                    parent_agent: parent.name.to_owned(),
                    child_agent: child_name,
                    key: "task".to_owned(),
                    parent_action: delegation,
                    child_action: Action::Deny,
                    reason_code: IssueCode::DelegatedAgentMissing.reason(),
                }),
                Some(child) => issues.extend(compare(parent, child)),
            }
        }
    }
    Report {
        revision: revision(&sorted),
        issues,
    }
}

/// Clamps every child to each parent that may call it, until nothing changes, and returns what the report said
/// before. Missing children are reported, not invented.
pub fn enforce(agents: &mut [Agent]) -> Vec<Issue> {
    let nodes: Vec<Node<'_>> = agents.iter().map(Node::from).collect();
    let found = report(&nodes).issues;
    let calls: Vec<Vec<String>> = nodes
        .iter()
        .map(|parent| {
            children(parent, &nodes)
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        })
        .collect();
    // Each round only tightens, and a chain of delegation is at most as long as there are agents.
    for _ in 0..agents.len() {
        let mut changed = false;
        for (parent, names) in calls.iter().enumerate() {
            let bound = agents[parent].permission.clone();
            for child in agents
                .iter_mut()
                .filter(|agent| names.contains(&agent.name))
            {
                let clamped = clamp(&child.permission, &bound);
                changed |= clamped != child.permission;
                child.permission = clamped;
            }
        }
        if !changed {
            break;
        }
    }
    found
}

/// The child under its parent, in the keys that are compared. A child that exceeds nothing stays as it is.
fn clamp(child: &PermissionObject, parent: &PermissionObject) -> PermissionObject {
    let mut bound = PermissionObject::default();
    let mut clamped = child.clone();
    for key in KEYS {
        let most = most(parent, key);
        if key != "mcp__*" {
            bound.set(key, most);
        } else if let Some(rule) = child.get(key) {
            // The catch-all stands before the rules of single tools: a bound on it must not reach those.
            clamped.set(key, rule.clamp_to(most));
        }
    }
    let met = clamped.meet(&bound);
    let exceeds = bound.iter().any(|(key, _)| {
        let before = clamped.get(key).map(Rule::most_permissive);
        before > met.get(key).map(Rule::most_permissive)
            || clamped.action_for(key, "*") > met.action_for(key, "*")
    });
    if exceeds { met } else { clamped }
}

fn compare<'a>(parent: &'a Node<'_>, child: &'a Node<'_>) -> impl Iterator<Item = Issue> + 'a {
    KEYS.iter().filter_map(move |key| {
        let (parent_action, child_action) =
            (most(parent.permission, key), most(child.permission, key));
        (child_action > parent_action).then(|| Issue {
            code: IssueCode::ChildMorePermissive,
            path: format!("agents[{}].permission[{}]", json!(child.name), json!(key)),
            parent_agent: parent.name.to_owned(),
            child_agent: child.name.to_owned(),
            key: (*key).to_owned(),
            parent_action,
            child_action,
            reason_code: IssueCode::ChildMorePermissive.reason(),
        })
    })
}

/// The most that the rule of exactly this key permits; without a rule, nothing.
fn most(permission: &PermissionObject, key: &str) -> Action {
    permission
        .get(key)
        .map_or(Action::Deny, Rule::most_permissive)
}

/// Who may be called, with the action of the delegation. A scalar or `*` stands for every sub-agent but the
/// parent; a rule that names somebody wins.
fn children(parent: &Node<'_>, agents: &[Node<'_>]) -> Vec<(String, Action)> {
    let everybody = || {
        agents
            .iter()
            .filter(|agent| agent.mode == Mode::Subagent && agent.name != parent.name)
            .map(|agent| agent.name.to_owned())
    };
    let mut found: Vec<(String, Action)> = match parent.permission.get("task") {
        None => Vec::new(),
        Some(Rule::Action(action)) => everybody().map(|name| (name, *action)).collect(),
        Some(Rule::Patterns(patterns)) => {
            let rest = patterns.get("*").copied().unwrap_or_default();
            let named = patterns.iter().filter(|(name, _)| *name != "*");
            let mut found: Vec<(String, Action)> = named
                .map(|(name, action)| (name.clone(), *action))
                .collect();
            for name in everybody() {
                if !patterns.contains_key(&name) {
                    found.push((name, rest));
                }
            }
            found
        }
    };
    found.retain(|(_, action)| *action != Action::Deny);
    found.sort();
    found
}

/// FNV-1a over the UTF-16 units of the JSON matrix of what is compared, sorted by name.
fn revision(sorted: &[&Node<'_>]) -> String {
    let matrix: Vec<Value> = sorted
        .iter()
        .map(|agent| {
            let sensitive: Map<String, Value> = KEYS
                .iter()
                .map(|key| ((*key).to_owned(), json!(most(agent.permission, key))))
                .collect();
            let targets = match agent.permission.get("task") {
                None => json!({}),
                Some(rule) => json!(rule),
            };
            json!({"agentName": agent.name, "mode": agent.mode, "sensitive": sensitive, "taskTargets": targets})
        })
        .collect();
    let hash = Value::from(matrix)
        .to_string()
        .encode_utf16()
        .fold(0x811c_9dc5_u32, |hash, unit| {
            (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193)
        });
    format!("permission-inheritance-v1-{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Inference;

    fn agent(name: &str, mode: Mode, permission: &str) -> Agent {
        Agent {
            name: name.into(),
            mode,
            color: String::new(),
            description: String::new(),
            hidden: false,
            prompt: None,
            inference: Inference::default(),
            permission: serde_json::from_str(permission).unwrap(),
        }
    }

    fn report_on(agents: &[Agent]) -> Report {
        report(&agents.iter().map(Node::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_child_that_may_more_and_a_child_that_is_missing_are_found() {
        let agents = [
            agent(
                "lead",
                Mode::Primary,
                r#"{"bash":"ask","task":{"*":"deny","helper":"allow","gone":"ask"}}"#,
            ),
            agent(
                "helper",
                Mode::Subagent,
                r#"{"bash":{"*":"deny","git *":"allow"}}"#,
            ),
        ];
        let report = report_on(&agents);
        insta::assert_json_snapshot!(report);
    }

    #[test]
    fn a_scalar_means_every_sub_agent_but_the_parent() {
        let agents = [
            agent("a", Mode::Subagent, r#"{"task":"allow","bash":"ask"}"#),
            agent("b", Mode::Subagent, r#"{"bash":"allow"}"#),
            agent("c", Mode::Primary, r#"{"bash":"allow"}"#),
        ];
        let issues = report_on(&agents).issues;
        assert_eq!(issues.len(), 1);
        assert_eq!(
            (
                issues[0].parent_agent.as_str(),
                issues[0].child_agent.as_str()
            ),
            ("a", "b")
        );
    }

    #[test]
    fn strict_mode_leaves_nothing_to_report_along_a_chain() {
        let mut agents = [
            agent(
                "c",
                Mode::Subagent,
                r#"{"*":"allow","mcp__*":"allow","wiki_save":"allow","question":"allow"}"#,
            ),
            agent(
                "b",
                Mode::Subagent,
                r#"{"bash":"allow","task":{"*":"deny","c":"allow"}}"#,
            ),
            agent(
                "a",
                Mode::Primary,
                r#"{"mcp__*":"deny","wiki_save":"ask","bash":"ask","task":{"*":"deny","b":"allow"}}"#,
            ),
        ];
        assert!(!enforce(&mut agents).is_empty());
        assert!(report_on(&agents).issues.is_empty());
        let last = &agents[0].permission;
        assert_eq!(last.action_for("bash", "x"), Some(Action::Ask));
        assert_eq!(last.action_for("edit", "x"), Some(Action::Deny));
        assert_eq!(last.action_for("mcp__wiki__read", "x"), Some(Action::Deny));
        assert_eq!(last.action_for("wiki_save", "x"), Some(Action::Allow));
        assert_eq!(last.action_for("question", "x"), Some(Action::Allow));
        let once = agents.clone();
        enforce(&mut agents);
        assert_eq!(agents, once, "enforcing twice changes nothing");
    }

    #[test]
    fn the_revision_follows_what_is_compared_and_nothing_else() {
        let base = [agent("a", Mode::Primary, r#"{"bash":"ask"}"#)];
        let other = [agent(
            "a",
            Mode::Primary,
            r#"{"bash":"ask","question":"allow"}"#,
        )];
        let looser = [agent("a", Mode::Primary, r#"{"bash":"allow"}"#)];
        assert_eq!(report_on(&base).revision, report_on(&other).revision);
        assert_ne!(report_on(&base).revision, report_on(&looser).revision);
    }
}
