//! Settings of a person (03 §8.8).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::settings::{Setting, SettingAnswer, Settings};
use reqwest::Method;
use serde_json::json;

/// Methods of settings.
#[derive(Clone, Copy, Debug)]
pub struct SettingsRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Settings of a person.
    pub fn settings(&self) -> SettingsRoutes<'_> {
        SettingsRoutes(self)
    }
}

impl SettingsRoutes<'_> {
    /// All settings.
    pub async fn list(&self) -> Result<Vec<Setting>, Error> {
        let path = ["settings"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<Settings>().await?.settings)
    }

    /// One setting; `None` when it was never set.
    pub async fn get(&self, key: &str) -> Result<Option<Setting>, Error> {
        let path = ["settings", key];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<SettingAnswer>().await?.setting)
    }

    /// Sets one setting.
    pub async fn set(&self, key: &str, value: &JsonObject) -> Result<Option<Setting>, Error> {
        let path = ["settings", key];
        let call = self
            .0
            .api(Method::PUT, &path)
            .json(&json!({ "value": value }));
        Ok(call.send::<SettingAnswer>().await?.setting)
    }
}
