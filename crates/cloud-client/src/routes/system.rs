//! Config, workspace, runtime, health, metrics (03 §4, §8.1).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::workspace::{
    CloudConfig, CloudRuntimeStatus, CloudWorkspace, Heartbeats, Liveness, ProgressSnapshot,
    Readiness,
};
use reqwest::Method;
use serde_json::Value;

/// Methods of the cloud as a whole.
#[derive(Clone, Copy, Debug)]
pub struct SystemRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// The cloud as a whole.
    pub fn system(&self) -> SystemRoutes<'_> {
        SystemRoutes(self)
    }
}

impl SystemRoutes<'_> {
    /// What this cloud offers.
    pub async fn config(&self) -> Result<CloudConfig, Error> {
        self.0.api(Method::GET, &["config"]).send().await
    }

    /// Whose workspace this is, and what may be done in it.
    pub async fn workspace(&self) -> Result<CloudWorkspace, Error> {
        self.0.api(Method::GET, &["workspace"]).send().await
    }

    /// Whether threads run.
    pub async fn runtime_status(&self) -> Result<CloudRuntimeStatus, Error> {
        self.0.api(Method::GET, &["runtime", "status"]).send().await
    }

    /// The loops of all processes (operators).
    pub async fn heartbeats(&self) -> Result<Heartbeats, Error> {
        self.0
            .api(Method::GET, &["workers", "heartbeats"])
            .send()
            .await
    }

    /// Prometheus text (operators).
    pub async fn metrics(&self) -> Result<String, Error> {
        let answer = self.0.api(Method::GET, &["metrics"]).answer().await?;
        String::from_utf8(answer.body.to_vec()).map_err(|_| Error::Incompatible {
            route: answer.route,
            reason: "it isn't text".to_owned(),
        })
    }

    /// The document that describes every route.
    pub async fn openapi(&self) -> Result<Value, Error> {
        self.0.call(Method::GET, "", &["openapi.json"]).send().await
    }

    /// Whether the process lives.
    pub async fn livez(&self) -> Result<Liveness, Error> {
        self.0.call(Method::GET, "", &["livez"]).send().await
    }

    /// Whether the process is ready. One that isn't answers 503, which is [`Error::Unavailable`].
    pub async fn readyz(&self) -> Result<Readiness, Error> {
        self.0.call(Method::GET, "", &["readyz"]).send().await
    }

    /// Which turns don't move.
    pub async fn progressz(&self) -> Result<ProgressSnapshot, Error> {
        self.0.call(Method::GET, "", &["progressz"]).send().await
    }
}
