//! OpenCode's own four agents and the product's three (05 §6.7).
//!
//! The prompts of OpenCode's agents stay OpenCode's own, unless the config adds instructions: the product owns
//! policy, not the agent's words.

use super::{
    Agent, Configured, Delegate, Inference, Mode, Roster, RosterInput, Shared, ceiling, prompt,
};
use crate::{Action, Dimensions, PermissionInput, Rule, permission};
use serde::{Deserialize, Serialize};

/// Names of OpenCode's agents that the config may change.
pub const OVERRIDABLE: [&str; 4] = ["build", "plan", "general", "explore"];

/// What the config changes about one of [`OVERRIDABLE`]. Permissions are not among it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Override {
    /// Switched off.
    pub disable: bool,
    /// Not offered to people.
    pub hidden: bool,
    /// Another description.
    pub description: Option<String>,
    /// Another colour.
    pub color: Option<String>,
    /// Instructions behind its prompt.
    pub instructions: Option<String>,
    /// How its model is asked.
    #[serde(flatten)]
    pub inference: Inference,
}

/// What makes one of these agents: a row of 05 §6.7.
struct Row {
    name: &'static str,
    mode: Mode,
    color: &'static str,
    description: &'static str,
    /// One of the product's own.
    product: bool,
    shell: Shell,
    write: bool,
    web: bool,
    question: bool,
    todo: bool,
    tasks: Tasks,
    /// Gets the tools that everybody gets.
    tools: bool,
}

/// How an agent may use the shell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// As the policy says.
    Policy,
    /// It asks at least.
    Asks,
    /// Never.
    Never,
}

/// Whom an agent may hand work to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tasks {
    /// Nobody.
    Nobody,
    /// `explore` and whoever changes nothing.
    Readers,
    /// Everybody.
    Everybody,
}

/// In the contract's order.
const ROWS: [Row; 7] = [
    Row {
        name: "build",
        mode: Mode::Primary,
        color: "primary",
        description: "Works on your task: reads, writes, runs commands. Asks before it acts.",
        product: false,
        shell: Shell::Policy,
        write: true,
        web: true,
        question: true,
        todo: true,
        tasks: Tasks::Everybody,
        tools: true,
    },
    Row {
        name: "plan",
        mode: Mode::Primary,
        color: "warning",
        description: "Looks around and proposes a plan. Changes no files.",
        product: false,
        shell: Shell::Asks,
        write: false,
        web: true,
        question: false,
        todo: false,
        tasks: Tasks::Readers,
        tools: true,
    },
    Row {
        name: "chief-of-staff",
        mode: Mode::Primary,
        color: "info",
        description: "Cleo breaks a goal into tasks for the team. Changes nothing herself.",
        product: true,
        shell: Shell::Never,
        write: false,
        web: true,
        question: true,
        todo: true,
        tasks: Tasks::Readers,
        tools: true,
    },
    Row {
        name: "general",
        mode: Mode::Subagent,
        color: "secondary",
        description: "Takes a part of a larger task and reports back.",
        product: false,
        shell: Shell::Policy,
        write: true,
        web: true,
        question: true,
        todo: false,
        tasks: Tasks::Nobody,
        tools: true,
    },
    Row {
        name: "explore",
        mode: Mode::Subagent,
        color: "accent",
        description: "Finds files and answers questions about them. Changes nothing.",
        product: false,
        shell: Shell::Never,
        write: false,
        web: false,
        question: false,
        todo: false,
        tasks: Tasks::Nobody,
        tools: false,
    },
    Row {
        name: "executive-assistant",
        mode: Mode::Primary,
        color: "info",
        description: "Gets everyday work done with the tools and the team at hand.",
        product: true,
        shell: Shell::Policy,
        write: true,
        web: true,
        question: true,
        todo: true,
        tasks: Tasks::Everybody,
        tools: true,
    },
    Row {
        name: "autoresearch",
        mode: Mode::Subagent,
        color: "success",
        description: "Improves something step by step against a measure, and keeps what helped.",
        product: true,
        shell: Shell::Policy,
        write: true,
        web: true,
        question: true,
        todo: false,
        tasks: Tasks::Everybody,
        tools: false,
    },
];

/// Patterns that `autoresearch` asks for; the ceiling of everybody holds for them too.
const RESEARCH_ALLOW: [&str; 7] = [
    "mcp__charts__*",
    "mcp__skills__list_*",
    "mcp__skills__get_*",
    "mcp__skills__preview_*",
    "mcp__agents__list_*",
    "mcp__agents__get_*",
    "mcp__agents__preview_*",
];
const RESEARCH_ASK: [&str; 4] = [
    "mcp__skills__save_*",
    "mcp__skills__delete_*",
    "mcp__agents__save_*",
    "mcp__agents__delete_*",
];
const RESEARCH_SKILLS: [&str; 3] = ["autoresearch", "skill-creator", "agent-creator"];

/// `build`, `plan`, `general` and `explore`, in this order, without anybody else (05 §6.7).
#[must_use]
pub fn native_agents(dimensions: &Dimensions, shared: &Shared) -> Vec<Agent> {
    ROWS.iter()
        .filter(|row| !row.product)
        .map(|row| row.build(dimensions, shared, &row.delegates(&[], &[], &[], false)))
        .collect()
}

/// OpenCode's and the product's agents with the config's changes.
pub(super) fn agents(input: &RosterInput<'_>) -> Roster {
    let (mut agents, mut disabled) = (Vec::new(), Vec::new());
    let change = |name: &str| input.overrides.get(name);
    for row in &ROWS {
        if row.product && !input.product_agents {
            continue;
        }
        if change(row.name).is_some_and(|change| change.disable) && !row.product {
            disabled.push(row.name.to_owned());
        }
    }
    for row in &ROWS {
        if (row.product && !input.product_agents) || disabled.iter().any(|name| name == row.name) {
            continue;
        }
        let readers: Vec<&Configured> = input
            .configured
            .iter()
            .filter(|agent| row.tasks == Tasks::Everybody || agent.read_only(input.tools))
            .collect();
        let delegates = row.delegates(&readers, input.custom, &disabled, input.product_agents);
        let mut agent = row.build(&input.policy.dimensions, &input.policy.shared, &delegates);
        if let Some(change) = change(row.name).filter(|_| !row.product) {
            agent.apply(change);
        }
        if row.product {
            agent.prompt = Some(prompt::product(
                row.name,
                &prompt::catalog(&delegates, input),
            ));
        }
        agents.push(agent);
    }
    Roster { agents, disabled }
}

impl Agent {
    /// Applies the config's changes; permissions are not among them.
    fn apply(&mut self, change: &Override) {
        if let Some(description) = &change.description {
            self.description.clone_from(description);
        }
        if let Some(color) = &change.color {
            self.color.clone_from(color);
        }
        self.hidden = change.hidden;
        self.inference = change.inference.clone();
        self.prompt = change
            .instructions
            .as_deref()
            .filter(|text| !text.trim().is_empty())
            .map(|text| prompt::with_instructions(&self.name, text));
    }
}

impl Row {
    /// Names of those to whom it may hand work, in the contract's order.
    fn delegates(
        &self,
        configured: &[&Configured],
        custom: &[Delegate],
        disabled: &[String],
        product_agents: bool,
    ) -> Vec<String> {
        let mut names: Vec<String> = match self.tasks {
            Tasks::Nobody => return Vec::new(),
            Tasks::Readers => vec!["explore".into()],
            Tasks::Everybody => vec!["general".into(), "explore".into()],
        };
        if self.tasks == Tasks::Everybody && product_agents && self.name != "autoresearch" {
            names.push("autoresearch".into());
        }
        names.retain(|name| !disabled.contains(name));
        let configured = configured
            .iter()
            .filter(|agent| agent.mode() != Mode::Primary);
        names.extend(configured.map(|agent| agent.name.clone()));
        let custom = custom.iter().filter(|agent| {
            agent.mode != Mode::Primary && (self.tasks == Tasks::Everybody || agent.read_only)
        });
        names.extend(custom.map(|agent| agent.name.clone()));
        names
    }

    fn build(&self, dimensions: &Dimensions, shared: &Shared, delegates: &[String]) -> Agent {
        let under = |granted: bool, policy: Action| if granted { policy } else { Action::Deny };
        let yes = |granted: bool| under(granted, Action::Allow);
        let base = shared.input();
        let (allow, ask, skill) = if self.name == "autoresearch" {
            let own =
                |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
            let (allow, ask) = under_mcp(dimensions.mcp, own(&RESEARCH_ALLOW), own(&RESEARCH_ASK));
            let (allow, ask) = ceiling(&allow, &ask, &shared.ask, &shared.denied);
            let skills = RESEARCH_SKILLS.map(|name| (name, Action::Allow));
            (allow, ask, Rule::patterns(Action::Deny, skills))
        } else if self.tools {
            (base.allow.clone(), base.ask.clone(), Action::Allow.into())
        } else {
            let (_, ask) = ceiling(&[], &[], &shared.ask, &shared.denied);
            (Vec::new(), ask, Action::Allow.into())
        };
        Agent {
            name: self.name.to_owned(),
            mode: self.mode,
            color: self.color.to_owned(),
            description: self.description.to_owned(),
            hidden: false,
            prompt: None,
            inference: Inference::default(),
            permission: permission::build(&PermissionInput {
                skill,
                allow,
                ask,
                bash: match self.shell {
                    Shell::Policy => dimensions.bash,
                    Shell::Asks => Action::Ask.clamp_to(dimensions.bash),
                    Shell::Never => Action::Deny,
                },
                file_write: under(self.write, dimensions.file_write),
                web: under(self.web, dimensions.web),
                web_search: under(self.web, dimensions.web_search),
                question: yes(self.question),
                todowrite: yes(self.todo),
                task: match self.tasks {
                    Tasks::Nobody => Action::Deny.into(),
                    Tasks::Readers | Tasks::Everybody => task_rule(dimensions.task, delegates),
                },
                ..base
            }),
        }
    }
}

/// Own patterns of an agent under the MCP dimension.
fn under_mcp(mcp: Action, allow: Vec<String>, ask: Vec<String>) -> (Vec<String>, Vec<String>) {
    match mcp {
        Action::Allow => (allow, ask),
        Action::Ask => (Vec::new(), [allow, ask].concat()),
        Action::Deny => (Vec::new(), Vec::new()),
    }
}

/// Delegation: deny is `"deny"`, ask turns every rule into ask (05 §6.7).
fn task_rule(policy: Action, agents: &[String]) -> Rule {
    match policy {
        Action::Deny => Action::Deny.into(),
        action => Rule::patterns(
            Action::Deny,
            agents.iter().map(|name| (name.as_str(), action)),
        ),
    }
}
