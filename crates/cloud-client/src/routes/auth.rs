//! Who is signed in (03 §6.4, §6.5).

use crate::call::Answer;
use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::identity::{AuthSession, DesktopAuthConfig};
use reqwest::Method;
use serde_json::json;

/// Methods of sign-in.
#[derive(Clone, Copy, Debug)]
pub struct AuthRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Who is signed in.
    pub fn auth(&self) -> AuthRoutes<'_> {
        AuthRoutes(self)
    }
}

impl AuthRoutes<'_> {
    /// Who is signed in.
    pub async fn me(&self) -> Result<AuthSession, Error> {
        self.0.call(Method::GET, "/auth", &["me"]).send().await
    }

    /// Exchanges the credential of this client for a cookie session. The cookies are in the answer's headers.
    pub async fn session(&self) -> Result<Answer, Error> {
        let call = self.0.call(Method::POST, "/auth", &["session"]);
        call.json(&json!({})).answer().await
    }

    /// Ends the cookie session.
    pub async fn logout(&self) -> Result<(), Error> {
        let call = self.0.call(Method::POST, "/auth", &["logout"]);
        call.json(&json!({})).answer().await.map(drop)
    }

    /// How a native program signs in at this cloud.
    pub async fn desktop_config(&self) -> Result<DesktopAuthConfig, Error> {
        let call = self.0.call(Method::GET, "/auth", &["desktop", "config"]);
        call.send().await
    }
}
