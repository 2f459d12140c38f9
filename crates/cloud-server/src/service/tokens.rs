//! API tokens (03 §6.6, §8.16).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use open_cowork_adapters::tokens::fresh_api_token;
use open_cowork_contracts::TokenId;
use open_cowork_contracts::access::TokenScope;
use open_cowork_contracts::api::tokens::{
    ApiTokens, GrantedChannelBinding, IssueApiToken, IssuedApiToken, MAX_TOKEN_NAME,
    RevokedApiToken,
};
use open_cowork_providers::store::identity::NewToken;
use open_cowork_providers::time::{Timestamp, parse_iso};
use secrecy::ExposeSecret;

/// One page of the organisation's tokens.
///
/// # Errors
/// A foreign cursor.
pub async fn page(
    cloud: &Cloud,
    principal: &Principal,
    cursor: Option<&str>,
    limit: u32,
) -> Result<ApiTokens, ApiError> {
    let tenant = &principal.tenant_id;
    let page = cloud.store.page_tokens(tenant, cursor, limit).await?;
    Ok(ApiTokens {
        tokens: page.rows,
        next_cursor: page.next,
    })
}

/// Issues a token. The credential is in this answer and nowhere else.
///
/// # Errors
/// 400 for name, scopes or end; 403 for a scope that this deployment doesn't issue; 404 for an unknown binding.
pub async fn issue(
    cloud: &Cloud,
    principal: &Principal,
    wish: IssueApiToken,
) -> Result<IssuedApiToken, ApiError> {
    let name = wish.name.trim();
    if name.is_empty() || name.chars().count() > MAX_TOKEN_NAME {
        return Err(ApiError::invalid(format!(
            "Field `name` must have 1 to {MAX_TOKEN_NAME} characters."
        )));
    }
    let scopes = scopes(cloud, &wish.scopes)?;
    let now = cloud.now();
    let expires_at = expiry(cloud, wish.expires_at.as_deref(), now)?;
    let bindings = wish.channel_binding_ids.unwrap_or_default();
    for binding in &bindings {
        check_binding(cloud, principal, binding).await?;
    }
    acting::settle_local_owner(cloud, principal).await?;
    let fresh = fresh_api_token()
        .map_err(|error| ApiError::unavailable("tokens.unavailable", error.to_string()))?;
    let plaintext = fresh.plaintext.expose_secret();
    let new = NewToken {
        token_id: fresh.token_id,
        account_id: principal.account_id.as_str().into(),
        name: name.to_owned(),
        hash: cloud.governance.hasher.hash(plaintext),
        scopes,
        last4: fresh.last4,
        expires_at: Some(expires_at),
        channel_binding_ids: bindings,
    };
    let stamp = acting::stamp(cloud, principal);
    let token = cloud
        .store
        .create_token(&principal.tenant_id, &new, &stamp)
        .await?;
    Ok(IssuedApiToken {
        token,
        plaintext: plaintext.to_owned(),
    })
}

fn scopes(cloud: &Cloud, wished: &[TokenScope]) -> Result<Vec<TokenScope>, ApiError> {
    let mut scopes = Vec::new();
    for scope in wished {
        if !cloud.governance.tokens.allowed_scopes.contains(scope) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "tokens.scope_not_allowed",
                format!("This deployment issues no tokens with the scope `{scope}`."),
            ));
        }
        if !scopes.contains(scope) {
            scopes.push(*scope);
        }
    }
    match scopes.is_empty() {
        true => Err(ApiError::invalid(
            "Field `scopes` must name at least one scope.",
        )),
        false => Ok(scopes),
    }
}

fn expiry(cloud: &Cloud, wished: Option<&str>, now: Timestamp) -> Result<Timestamp, ApiError> {
    let policy = &cloud.governance.tokens;
    let after = |span: std::time::Duration| {
        now.checked_add(span)
            .map_err(|_| ApiError::invalid("Field `expiresAt` lies too far in the future."))
    };
    let Some(wished) = wished else {
        return after(policy.default_ttl.min(policy.max_ttl));
    };
    let Some(end) = parse_iso(wished.trim()) else {
        return Err(ApiError::invalid(
            "Field `expiresAt` must be an ISO date such as 2027-01-02T03:04:05.000Z.",
        ));
    };
    if end <= now {
        return Err(ApiError::invalid("Field `expiresAt` lies in the past."));
    }
    if end > after(policy.max_ttl)? {
        let days = policy.max_ttl.as_secs() / 86_400;
        return Err(ApiError::invalid(format!(
            "Field `expiresAt` lies too far in the future: a token lives at most {days} days."
        )));
    }
    Ok(end)
}

/// A channel of the organisation, whatever its state.
async fn check_binding(cloud: &Cloud, principal: &Principal, id: &str) -> Result<(), ApiError> {
    let found = cloud
        .store
        .channel_binding(&principal.tenant_id, id)
        .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found("The channel binding was not found.")),
    }
}

/// Revokes a token.
///
/// # Errors
/// 404 for an unknown or foreign one.
pub async fn revoke(
    cloud: &Cloud,
    principal: &Principal,
    id: &str,
) -> Result<RevokedApiToken, ApiError> {
    let (tenant, id) = (&principal.tenant_id, TokenId::from(id));
    let stamp = acting::stamp(cloud, principal);
    let token = cloud.store.revoke_token(tenant, &id, &stamp).await?;
    let token = token.ok_or_else(|| ApiError::not_found("The API token was not found."))?;
    acting::credentials_changed(cloud, tenant);
    Ok(RevokedApiToken {
        token,
        revoked: true,
    })
}

/// Lets a token speak for a channel binding.
///
/// # Errors
/// 404 for an unknown token or binding.
pub async fn grant(
    cloud: &Cloud,
    principal: &Principal,
    id: &str,
    binding: &str,
) -> Result<GrantedChannelBinding, ApiError> {
    check_binding(cloud, principal, binding).await?;
    let tenant = &principal.tenant_id;
    let stamp = acting::stamp(cloud, principal);
    let id = TokenId::from(id);
    let granted = cloud
        .store
        .grant_channel_binding(tenant, &id, binding, &stamp);
    let (grant, token) = granted.await?;
    acting::credentials_changed(cloud, tenant);
    Ok(GrantedChannelBinding { grant, token })
}
