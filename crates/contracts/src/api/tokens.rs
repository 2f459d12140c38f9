//! API tokens (03 §6.6, §8.16).

use crate::access::TokenScope;
use crate::{AccountId, OrgId, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of a token's name at most.
pub const MAX_TOKEN_NAME: usize = 96;

/// An API token without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its id, which is also the public half of the credential.
    pub token_id: TokenId,
    /// Organisation.
    pub org_id: OrgId,
    /// Who issued it; its role and permissions count.
    pub account_id: Option<AccountId>,
    /// Name for people.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// Channel bindings that a gateway token may speak for.
    pub channel_binding_ids: Vec<String>,
    /// Last four characters of the credential.
    pub last4: String,
    /// ISO-8601; null: never.
    pub expires_at: Option<String>,
    /// ISO-8601; null: not revoked.
    pub revoked_at: Option<String>,
    /// ISO-8601, at most a minute late; null: never used.
    pub last_used_at: Option<String>,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// Leave for a token to speak for a channel binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelBindingGrant {
    /// Organisation.
    pub org_id: OrgId,
    /// The token.
    pub token_id: TokenId,
    /// The binding.
    pub channel_binding_id: String,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
}

/// `GET /api/api-tokens`. Revoked ones are included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokens {
    /// Newest first.
    pub tokens: Vec<ApiToken>,
    /// Additive: cursor of the next page.
    pub next_cursor: Option<String>,
}

/// `POST /api/api-tokens`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssueApiToken {
    /// Name for people, at most [`MAX_TOKEN_NAME`] characters.
    pub name: String,
    /// What it is for; at least one.
    pub scopes: Vec<TokenScope>,
    /// ISO-8601; absent: the default lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Channel bindings to grant at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_binding_ids: Option<Vec<String>>,
}

/// The only answer that ever holds the credential.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedApiToken {
    /// The record.
    pub token: ApiToken,
    /// `occ_<tokenId>_<secret>`, shown once.
    pub plaintext: String,
}

impl std::fmt::Debug for IssuedApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedApiToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// `DELETE /api/api-tokens/:id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedApiToken {
    /// The record.
    pub token: ApiToken,
    /// Always true.
    pub revoked: bool,
}

/// `POST /api/api-tokens/:id/channel-bindings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantChannelBinding {
    /// The binding.
    pub channel_binding_id: String,
}

/// Answer of [`GrantChannelBinding`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantedChannelBinding {
    /// The grant.
    pub grant: ChannelBindingGrant,
    /// The token with all its grants.
    pub token: ApiToken,
}
