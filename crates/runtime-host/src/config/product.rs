//! What a distribution's config says about agents, tools and permissions, as policy types (02 §4.6, §4.8).

use crate::error::HostError;
use open_cowork_config::model::Config;
use open_cowork_config::model::agents::{Agent, AgentMode, BuiltInAgent};
use open_cowork_config::model::permissions::{Access, Permissions};
use open_cowork_config::model::tools::{Tool, ToolKind};
use open_cowork_config::model::{JsNumber, Secret, Whole};
use open_cowork_policy::agent::native::Override;
use open_cowork_policy::agent::{Configured, Inference, Mode};
use open_cowork_policy::dimension::Ceilings;
use open_cowork_policy::{Action, Dimensions, pattern, tool};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

fn action(access: Access) -> Action {
    match access {
        Access::Allow => Action::Allow,
        Access::Ask => Action::Ask,
        Access::Deny => Action::Deny,
    }
}

/// The dimensions under the config's maxima and the managed policy's ceilings: neither can be exceeded, whatever
/// the user's settings say (05 §6.3, 02 §4.8).
pub(super) fn clamp(
    dimensions: Dimensions,
    maxima: Option<&Permissions>,
    ceilings: &Ceilings,
) -> Dimensions {
    let product = maxima.map_or_else(Ceilings::default, |maxima| {
        let web = action(maxima.web);
        Ceilings {
            bash: Some(action(maxima.bash)),
            file_write: Some(action(maxima.file_write)),
            web: Some(web),
            web_search: Some(match maxima.web_search {
                Some(false) => Action::Deny,
                Some(true) | None => web,
            }),
            task: Some(action(maxima.task)),
            mcp: None,
            external_directory: None,
        }
    });
    let under = |action: Action, bound: fn(&Ceilings) -> Option<Action>| {
        [&product, ceilings]
            .into_iter()
            .filter_map(bound)
            .fold(action, Action::clamp_to)
    };
    Dimensions {
        bash: under(dimensions.bash, |c| c.bash),
        file_write: under(dimensions.file_write, |c| c.file_write),
        web: under(dimensions.web, |c| c.web),
        web_search: under(dimensions.web_search, |c| c.web_search),
        task: under(dimensions.task, |c| c.task),
        mcp: under(dimensions.mcp, |c| c.mcp),
        external_directory: under(dimensions.external_directory, |c| c.external_directory),
    }
}

/// Tools of the config.
pub(super) fn tools(tools: &[Tool]) -> Vec<tool::Tool> {
    let list = |patterns: &Option<Vec<String>>| patterns.clone().unwrap_or_default();
    tools
        .iter()
        .map(|tool| tool::Tool {
            id: tool.id.clone(),
            native: tool.kind == ToolKind::BuiltIn,
            namespace: tool.namespace.clone(),
            patterns: list(&tool.patterns),
            allow_patterns: list(&tool.allow_patterns),
            ask_patterns: list(&tool.ask_patterns),
            write_access: tool.write_access,
            default_access: tool.default_access == Some(true),
        })
        .collect()
}

/// How models are named in the document: checked, with the runtime's id of the provider.
pub(super) type NameModel<'a> = dyn Fn(&str, &str) -> Result<String, HostError> + 'a;

/// Changes to OpenCode's own agents.
pub(super) fn overrides(
    config: &Config,
    name_model: &NameModel<'_>,
) -> Result<BTreeMap<String, Override>, HostError> {
    let Some(agents) = &config.built_in_agents else {
        return Ok(BTreeMap::new());
    };
    let all: [(&str, &Option<BuiltInAgent>); 4] = [
        ("build", &agents.build),
        ("plan", &agents.plan),
        ("general", &agents.general),
        ("explore", &agents.explore),
    ];
    let given = all
        .into_iter()
        .filter_map(|(name, agent)| Some((name, agent.as_ref()?)));
    given
        .map(|(name, agent)| {
            let inference = inference(
                name,
                &AnyInference {
                    model: agent.model.as_deref(),
                    variant: agent.variant.as_deref(),
                    temperature: agent.temperature,
                    top_p: agent.top_p,
                    steps: agent.steps,
                    options: agent.options.as_ref(),
                },
                name_model,
            )?;
            let change = Override {
                disable: agent.disable == Some(true),
                hidden: agent.hidden == Some(true),
                description: agent.description.clone(),
                color: agent.color.as_deref().map(color),
                instructions: agent.instructions.clone(),
                inference,
            };
            Ok((name.to_owned(), change))
        })
        .collect()
}

/// Agent names and patterns are keys of permission objects. OpenCode reads those in JavaScript, which moves plain
/// numbers to the front, and the order decides; so none is taken.
pub(super) fn check_keys(config: &Config) -> Result<(), HostError> {
    let refuse = |place: String, key: &str| {
        Err(HostError::Config(format!(
            "{place} can't be the plain number {key}: it would lose its place in the order of rules; add a letter."
        )))
    };
    let named = |lists: &[&Option<Vec<String>>]| {
        let all = lists.iter().copied().flatten().flatten();
        all.into_iter().find(|key| pattern::is_index(key)).cloned()
    };
    for (i, agent) in config.agents.iter().enumerate() {
        if pattern::is_index(&agent.name) {
            return refuse(format!("agents[{i}].name"), &agent.name);
        }
        if let Some(key) = named(&[&agent.allow_tools, &agent.ask_tools]) {
            return refuse(format!("A pattern of agents[{i}]"), &key);
        }
    }
    for (i, tool) in config.tools.iter().enumerate() {
        if let Some(key) = named(&[&tool.patterns, &tool.allow_patterns, &tool.ask_patterns]) {
            return refuse(format!("A pattern of tools[{i}]"), &key);
        }
    }
    Ok(())
}

/// Agents of the config, in its order.
pub(super) fn configured(
    agents: &[Agent],
    name_model: &NameModel<'_>,
) -> Result<Vec<Configured>, HostError> {
    let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    agents
        .iter()
        .map(|agent| {
            let inference = inference(
                &agent.name,
                &AnyInference {
                    model: agent.model.as_deref(),
                    variant: agent.variant.as_deref(),
                    temperature: agent.temperature,
                    top_p: agent.top_p,
                    steps: agent.steps,
                    options: agent.options.as_ref(),
                },
                name_model,
            )?;
            Ok(Configured {
                name: agent.name.clone(),
                description: agent.description.clone(),
                instructions: agent.instructions.clone(),
                label: agent.label.clone(),
                skills: list(&agent.skill_names),
                tools: list(&agent.tool_ids),
                allow: list(&agent.allow_tools),
                ask: list(&agent.ask_tools),
                color: agent.color.as_deref().map(color),
                hidden: agent.hidden == Some(true),
                mode: agent.mode.map(|mode| match mode {
                    AgentMode::Primary => Mode::Primary,
                    AgentMode::Subagent => Mode::Subagent,
                }),
                inference,
            })
        })
        .collect()
}

struct AnyInference<'a> {
    model: Option<&'a str>,
    variant: Option<&'a str>,
    temperature: Option<JsNumber>,
    top_p: Option<JsNumber>,
    steps: Option<Whole>,
    options: Option<&'a indexmap::IndexMap<String, Secret<Value>>>,
}

fn inference(
    agent: &str,
    given: &AnyInference<'_>,
    name_model: &NameModel<'_>,
) -> Result<Inference, HostError> {
    let model = given.model.map(str::trim).filter(|model| !model.is_empty());
    Ok(Inference {
        model: model.map(|model| name_model(agent, model)).transpose()?,
        variant: given.variant.map(str::to_owned),
        temperature: given.temperature.and_then(number),
        top_p: given.top_p.and_then(number),
        steps: given.steps.map(Whole::get),
        options: options(given.options),
    })
}

/// As the config wrote it: `1` stays `1`.
pub(super) fn number(number: JsNumber) -> Option<Number> {
    match number.to_value() {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

pub(super) fn options(
    options: Option<&indexmap::IndexMap<String, Secret<Value>>>,
) -> Map<String, Value> {
    options
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.expose().clone()))
        .collect()
}

/// A colour that OpenCode accepts; with another one it would refuse its whole config.
fn color(color: &str) -> String {
    const NAMES: [&str; 7] = [
        "primary",
        "secondary",
        "accent",
        "success",
        "warning",
        "error",
        "info",
    ];
    let hex = color.strip_prefix('#').is_some_and(|digits| {
        digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    match hex || NAMES.contains(&color) {
        true => color.to_owned(),
        false => "accent".to_owned(),
    }
}
