//! API tokens (03 §8.16).

use crate::client::CloudClient;
use crate::error::Error;
use crate::routes::PageQuery;
use open_cowork_contracts::api::tokens::{
    ApiToken, ApiTokens, GrantChannelBinding, GrantedChannelBinding, IssueApiToken, IssuedApiToken,
    RevokedApiToken,
};
use reqwest::Method;

/// Methods of API tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokensRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// API tokens.
    pub fn tokens(&self) -> TokensRoutes<'_> {
        TokensRoutes(self)
    }
}

impl TokensRoutes<'_> {
    /// Tokens, revoked ones too.
    pub async fn list(&self, query: &PageQuery) -> Result<ApiTokens, Error> {
        let path = ["api-tokens"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Issues a token, which is shown here and never again.
    pub async fn issue(&self, body: &IssueApiToken) -> Result<IssuedApiToken, Error> {
        let path = ["api-tokens"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Lets a token act for a channel binding.
    pub async fn grant_channel_binding(
        &self,
        token: &str,
        body: &GrantChannelBinding,
    ) -> Result<GrantedChannelBinding, Error> {
        let path = ["api-tokens", token, "channel-bindings"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Revokes a token.
    pub async fn revoke(&self, token: &str) -> Result<ApiToken, Error> {
        let path = ["api-tokens", token];
        let call = self.0.api(Method::DELETE, &path);
        Ok(call.send::<RevokedApiToken>().await?.token)
    }
}
