//! The catalogue of tools and skills (03 §8.9).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::capabilities::{
    Capabilities, CapabilitySkill, CapabilitySkillAnswer, CapabilitySkills, CapabilityTool,
    CapabilityToolAnswer, CapabilityTools, SkillBundle, SkillBundleAnswer,
};
use reqwest::Method;

/// Methods of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct CapabilitiesRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// The catalogue of tools and skills.
    pub fn capabilities(&self) -> CapabilitiesRoutes<'_> {
        CapabilitiesRoutes(self)
    }
}

impl CapabilitiesRoutes<'_> {
    /// All of them.
    pub async fn list(&self) -> Result<Capabilities, Error> {
        self.0.api(Method::GET, &["capabilities"]).send().await
    }

    /// The tools.
    pub async fn tools(&self) -> Result<Vec<CapabilityTool>, Error> {
        let call = self.0.api(Method::GET, &["capabilities", "tools"]);
        Ok(call.send::<CapabilityTools>().await?.tools)
    }

    /// One tool.
    pub async fn tool(&self, id: &str) -> Result<CapabilityTool, Error> {
        let call = self.0.api(Method::GET, &["capabilities", "tools", id]);
        Ok(call.send::<CapabilityToolAnswer>().await?.tool)
    }

    /// The skills.
    pub async fn skills(&self) -> Result<Vec<CapabilitySkill>, Error> {
        let call = self.0.api(Method::GET, &["capabilities", "skills"]);
        Ok(call.send::<CapabilitySkills>().await?.skills)
    }

    /// One skill.
    pub async fn skill(&self, name: &str) -> Result<CapabilitySkill, Error> {
        let call = self.0.api(Method::GET, &["capabilities", "skills", name]);
        Ok(call.send::<CapabilitySkillAnswer>().await?.skill)
    }

    /// One skill with its text and files.
    pub async fn skill_bundle(&self, name: &str) -> Result<SkillBundle, Error> {
        let path = ["capabilities", "skills", name, "bundle"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<SkillBundleAnswer>().await?.bundle)
    }
}
