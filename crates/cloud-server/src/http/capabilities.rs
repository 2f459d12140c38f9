//! The catalogue of tools and skills (03 §8.9).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::Route;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::capabilities::{
    Capabilities, CapabilitySkill, CapabilitySkillAnswer, CapabilitySkills, CapabilityToolAnswer,
    CapabilityTools, SkillBundle, SkillBundleAnswer,
};

/// The routes.
pub fn routes() -> Vec<Route> {
    let read = CloudAction::CapabilitiesRead;
    vec![
        Route::get("capabilities", read, "Tools and skills", all).answers::<Capabilities>(),
        Route::get("capabilities/tools", read, "Tools", tools).answers::<CapabilityTools>(),
        Route::get("capabilities/tools/:id", read, "A tool", tool)
            .answers::<CapabilityToolAnswer>(),
        Route::get("capabilities/skills", read, "Skills", skills).answers::<CapabilitySkills>(),
        Route::get("capabilities/skills/:name", read, "A skill", skill)
            .answers::<CapabilitySkillAnswer>(),
        Route::get(
            "capabilities/skills/:name/bundle",
            read,
            "A skill with its text",
            bundle,
        )
        .answers::<SkillBundleAnswer>(),
    ]
}

fn catalogue(call: &Call) -> &Capabilities {
    &call.cloud.options.capabilities
}

fn found(call: &Call) -> Result<CapabilitySkill, ApiError> {
    let mut skills = catalogue(call).skills.iter();
    let found = skills.find(|skill| skill.name == call.param("name"));
    found
        .cloned()
        .ok_or_else(|| ApiError::not_found("The skill was not found."))
}

async fn all(call: Call) -> Answer {
    reply::ok(catalogue(&call))
}

async fn tools(call: Call) -> Answer {
    let tools = catalogue(&call).tools.clone();
    reply::ok(&CapabilityTools { tools })
}

async fn tool(call: Call) -> Answer {
    let mut tools = catalogue(&call).tools.iter();
    let found = tools.find(|tool| tool.id == call.param("id")).cloned();
    let tool = found.ok_or_else(|| ApiError::not_found("The tool was not found."))?;
    reply::ok(&CapabilityToolAnswer { tool })
}

async fn skills(call: Call) -> Answer {
    let skills = catalogue(&call).skills.clone();
    reply::ok(&CapabilitySkills { skills })
}

async fn skill(call: Call) -> Answer {
    reply::ok(&CapabilitySkillAnswer {
        skill: found(&call)?,
    })
}

/// The catalogue knows names and descriptions; the texts of skills are on the workers.
async fn bundle(call: Call) -> Answer {
    let skill = found(&call)?;
    let bundle = SkillBundle {
        name: skill.name,
        source: skill.source,
        origin: skill.origin,
        scope: skill.scope,
        location: skill.location,
        content: None,
        files: Vec::new(),
    };
    reply::ok(&SkillBundleAnswer { bundle })
}
