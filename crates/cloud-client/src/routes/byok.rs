//! Provider keys (03 §8.14). No answer holds a key.

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::byok::{
    ByokSecret, ByokSecretAnswer, ByokSecrets, DisabledByokSecret, OverriddenByokSecret,
    OverrideByokSecret, SetByokSecret, ValidatedByokSecret,
};
use reqwest::Method;
use serde_json::json;

/// Methods of provider keys.
#[derive(Clone, Copy, Debug)]
pub struct ByokRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Provider keys.
    pub fn byok(&self) -> ByokRoutes<'_> {
        ByokRoutes(self)
    }
}

impl ByokRoutes<'_> {
    /// All keys, without their values.
    pub async fn list(&self) -> Result<Vec<ByokSecret>, Error> {
        let path = ["byok"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<ByokSecrets>().await?.secrets)
    }

    /// The key of a provider, without its value.
    pub async fn get(&self, provider: &str) -> Result<Option<ByokSecret>, Error> {
        let path = ["byok", provider];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<ByokSecretAnswer>().await?.secret)
    }

    /// Sets the key of a provider.
    pub async fn set(
        &self,
        provider: &str,
        body: &SetByokSecret,
    ) -> Result<Option<ByokSecret>, Error> {
        let path = ["byok", provider];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<ByokSecretAnswer>().await?.secret)
    }

    /// Tries the key.
    pub async fn validate(&self, provider: &str) -> Result<ValidatedByokSecret, Error> {
        let path = ["byok", provider, "validate"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        call.send().await
    }

    /// Uses a key that was not tried.
    pub async fn override_validation(
        &self,
        provider: &str,
        body: &OverrideByokSecret,
    ) -> Result<OverriddenByokSecret, Error> {
        let path = ["byok", provider, "override"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Disables the key.
    pub async fn delete(&self, provider: &str) -> Result<DisabledByokSecret, Error> {
        let path = ["byok", provider];
        let call = self.0.api(Method::DELETE, &path);
        call.send().await
    }
}
