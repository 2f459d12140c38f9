//! Workflows and their runs (03 §8.6, §8.20).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::workflows::{
    RunWorkflow, SchedulerTick, StartedRun, WorkflowAnswer, WorkflowDetail, WorkflowDraft,
    WorkflowWithSecret, WorkflowsPage, WorkflowsQuery,
};
use reqwest::Method;
use serde_json::json;

/// Methods of workflows.
#[derive(Clone, Copy, Debug)]
pub struct WorkflowsRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Workflows and their runs.
    pub fn workflows(&self) -> WorkflowsRoutes<'_> {
        WorkflowsRoutes(self)
    }
}

impl WorkflowsRoutes<'_> {
    /// One page of workflows, newest first, with their latest runs.
    pub async fn list(&self, query: &WorkflowsQuery) -> Result<WorkflowsPage, Error> {
        let path = ["workflows"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Makes a workflow. The secret of a webhook is shown here and never again.
    pub async fn create(&self, body: &WorkflowDraft) -> Result<WorkflowWithSecret, Error> {
        let path = ["workflows"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// A workflow and its runs.
    pub async fn get(&self, workflow: &str) -> Result<WorkflowDetail, Error> {
        let path = ["workflows", workflow];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<WorkflowAnswer>().await?.workflow)
    }

    /// Runs a workflow now.
    pub async fn run(&self, workflow: &str, body: &RunWorkflow) -> Result<StartedRun, Error> {
        let path = ["workflows", workflow, "run"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Stops starting it.
    pub async fn pause(&self, workflow: &str) -> Result<WorkflowDetail, Error> {
        let path = ["workflows", workflow, "pause"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        Ok(call.send::<WorkflowAnswer>().await?.workflow)
    }

    /// Starts it again when it is due.
    pub async fn resume(&self, workflow: &str) -> Result<WorkflowDetail, Error> {
        let path = ["workflows", workflow, "resume"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        Ok(call.send::<WorkflowAnswer>().await?.workflow)
    }

    /// Puts it away.
    pub async fn archive(&self, workflow: &str) -> Result<WorkflowDetail, Error> {
        let path = ["workflows", workflow, "archive"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        Ok(call.send::<WorkflowAnswer>().await?.workflow)
    }

    /// Renews the secret of its webhook, which is shown here and never again.
    pub async fn rotate_webhook_secret(&self, workflow: &str) -> Result<WorkflowWithSecret, Error> {
        let path = ["workflows", workflow, "rotate-webhook-secret"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        call.send().await
    }

    /// Starts what is due, with the cloud's internal token.
    pub async fn scheduler_tick(&self, internal_token: &str) -> Result<SchedulerTick, Error> {
        let path = ["workflows", "scheduler", "tick"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        call.header("x-open-cowork-internal-token", internal_token)
            .send()
            .await
    }
}
