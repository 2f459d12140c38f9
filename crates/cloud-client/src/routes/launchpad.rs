//! The feed of the start page (03 §8.12).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::launchpad::{LaunchpadFeed, LaunchpadQuery};
use reqwest::Method;

/// Methods of the start page.
#[derive(Clone, Copy, Debug)]
pub struct LaunchpadRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// The start page.
    pub fn launchpad(&self) -> LaunchpadRoutes<'_> {
        LaunchpadRoutes(self)
    }
}

impl LaunchpadRoutes<'_> {
    /// What is in progress, what waits on you, what is new.
    pub async fn feed(&self, query: &LaunchpadQuery) -> Result<LaunchpadFeed, Error> {
        let call = self.0.api(Method::GET, &["launchpad", "feed"]);
        call.query(query).send().await
    }
}
