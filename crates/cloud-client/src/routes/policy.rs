//! The managed policy (03 §8.15).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::policy::{EffectivePolicyAnswer, ManagedPolicyAnswer};
use reqwest::Method;

/// Methods of the managed policy.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// The managed policy.
    pub fn policy(&self) -> PolicyRoutes<'_> {
        PolicyRoutes(self)
    }
}

impl PolicyRoutes<'_> {
    /// The policy, and what follows from it.
    pub async fn get(&self) -> Result<ManagedPolicyAnswer, Error> {
        let path = ["policy"];
        let call = self.0.api(Method::GET, &path);
        call.send().await
    }

    /// Changes the members that are given; a null allow-list lifts it.
    pub async fn set(&self, body: &JsonObject) -> Result<ManagedPolicyAnswer, Error> {
        let path = ["policy"];
        let call = self.0.api(Method::PUT, &path).json(body);
        call.send().await
    }

    /// What follows from it, for everybody.
    pub async fn effective(&self) -> Result<JsonObject, Error> {
        let path = ["policy", "effective"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<EffectivePolicyAnswer>().await?.policy)
    }
}
