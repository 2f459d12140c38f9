//! Usage, diagnostics, billing (03 §8.13).

use crate::client::CloudClient;
use crate::error::Error;
use crate::routes::PageQuery;
use open_cowork_contracts::api::billing::{
    CheckoutAnswer, CheckoutRequest, PortalAnswer, PortalRequest,
};
use open_cowork_contracts::api::usage::{
    BillingState, DiagnosticsBundle, Entitlements, UsageEvents, UsageSummary,
};
use reqwest::Method;

/// Methods of usage and billing.
#[derive(Clone, Copy, Debug)]
pub struct BillingRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Usage, diagnostics, billing.
    pub fn billing(&self) -> BillingRoutes<'_> {
        BillingRoutes(self)
    }
}

impl BillingRoutes<'_> {
    /// What was used, newest first.
    pub async fn usage_events(&self, query: &PageQuery) -> Result<UsageEvents, Error> {
        let path = ["usage", "events"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Sums, and what is left of the quotas.
    pub async fn usage_summary(&self, query: &PageQuery) -> Result<UsageSummary, Error> {
        let path = ["usage", "summary"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// A bundle for support, without secrets (operators).
    pub async fn diagnostics(&self) -> Result<DiagnosticsBundle, Error> {
        let path = ["diagnostics"];
        let call = self.0.api(Method::GET, &path);
        call.send().await
    }

    /// The subscription.
    pub async fn subscription(&self) -> Result<BillingState, Error> {
        let path = ["billing", "subscription"];
        let call = self.0.api(Method::GET, &path);
        call.send().await
    }

    /// What the plan includes.
    pub async fn entitlements(&self) -> Result<Entitlements, Error> {
        let path = ["billing", "entitlements"];
        let call = self.0.api(Method::GET, &path);
        call.send().await
    }

    /// Where to buy a plan.
    pub async fn checkout(&self, body: &CheckoutRequest) -> Result<CheckoutAnswer, Error> {
        let path = ["billing", "checkout"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Where to change the subscription.
    pub async fn portal(&self, body: &PortalRequest) -> Result<PortalAnswer, Error> {
        let path = ["billing", "portal"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }
}
