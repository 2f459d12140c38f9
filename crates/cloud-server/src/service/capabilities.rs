//! The catalogue of tools and skills: what the configuration offers and the profile lets through (03 §8.9).

use open_cowork_config::cloud::EffectiveProfile;
use open_cowork_config::model::Config;
use open_cowork_config::model::tools::{Skill, Tool, ToolKind};
use open_cowork_contracts::api::capabilities::{
    Capabilities, CapabilitySkill, CapabilitySource, CapabilityTool, CapabilityToolKind,
};

/// The catalogue of a configuration, in its order.
#[must_use]
pub fn catalogue(config: &Config, profile: &EffectiveProfile) -> Capabilities {
    let allowed = |list: &Option<Vec<String>>, name: &str| {
        list.as_ref()
            .is_none_or(|list| list.iter().any(|known| known == name))
    };
    let offered = |tool: &&Tool| {
        let of_mcp = tool.kind == ToolKind::Mcp;
        let mcp = tool.namespace.as_deref().unwrap_or(&tool.id);
        allowed(&profile.tools, &tool.id) && (!of_mcp || allowed(&profile.mcps, mcp))
    };
    let tools: Vec<CapabilityTool> = config
        .tools
        .iter()
        .filter(offered)
        .map(|tool| shown_tool(config, profile, tool))
        .collect();
    let skills = config
        .skills
        .iter()
        .map(|skill| shown_skill(config, profile, skill));
    Capabilities {
        skills: skills.collect(),
        tools,
    }
}

/// Agents that the profile lets through and for which `uses` holds.
fn agents(
    config: &Config,
    profile: &EffectiveProfile,
    uses: impl Fn(&open_cowork_config::model::agents::Agent) -> bool,
) -> Vec<String> {
    let agents = config.agents.iter().filter(|agent| uses(agent));
    let names = agents.map(|agent| agent.name.clone());
    names
        .filter(|name| {
            let allowed = profile.agents.as_ref();
            allowed.is_none_or(|allowed| allowed.contains(name))
        })
        .collect()
}

fn shown_tool(config: &Config, profile: &EffectiveProfile, tool: &Tool) -> CapabilityTool {
    let patterns = match (&tool.allow_patterns, &tool.patterns) {
        (Some(allowed), _) => allowed
            .iter()
            .chain(tool.ask_patterns.iter().flatten())
            .cloned()
            .collect(),
        (None, Some(patterns)) => patterns.clone(),
        (None, None) => tool
            .namespace
            .iter()
            .map(|name| format!("{name}_*"))
            .collect(),
    };
    let has = |ids: &Option<Vec<String>>| ids.iter().flatten().any(|id| *id == tool.id);
    CapabilityTool {
        id: tool.id.clone(),
        name: tool.name.clone(),
        icon: tool.icon.clone(),
        description: tool.description.clone(),
        kind: match tool.kind {
            ToolKind::Mcp => CapabilityToolKind::Mcp,
            ToolKind::BuiltIn => CapabilityToolKind::BuiltIn,
        },
        source: CapabilitySource::Builtin,
        origin: None,
        scope: None,
        namespace: tool.namespace.clone(),
        patterns,
        available_tools: None,
        agent_names: agents(config, profile, |agent| has(&agent.tool_ids)),
        credentials: None,
        integration_id: None,
        auth_mode: None,
        enabled: Some(true),
        credential_ready: None,
    }
}

fn shown_skill(config: &Config, profile: &EffectiveProfile, skill: &Skill) -> CapabilitySkill {
    let has = |names: &Option<Vec<String>>| names.iter().flatten().any(|name| *name == skill.name);
    CapabilitySkill {
        name: skill.name.clone(),
        label: skill.name.clone(),
        description: skill.description.clone(),
        source: CapabilitySource::Builtin,
        origin: None,
        scope: None,
        location: None,
        tool_ids: skill.tool_ids.clone(),
        agent_names: agents(config, profile, |agent| has(&agent.skill_names)),
    }
}
