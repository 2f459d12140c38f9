//! Who somebody is: tenants, organisations, accounts, memberships, principals (03 §6.1, 04 §1.1).

use crate::access::{AuthSource, BuiltInRole, MembershipStatus, Permission, TokenScope};
use crate::api::lenient::nullable;
use crate::{AccountId, OrgId, TenantId, TokenId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The only status of an organisation that admits people.
pub const ORG_ACTIVE: &str = "active";

/// An organisation: the unit of governance. It belongs to exactly one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Org {
    /// Its id.
    pub org_id: OrgId,
    /// Its tenant: the unit of execution data.
    pub tenant_id: TenantId,
    /// Name for people.
    pub name: String,
    /// Plan, if billing assigned one.
    pub plan_key: Option<String>,
    /// Free text; only [`ORG_ACTIVE`] admits people.
    pub status: String,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// A person, over all tenants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id.
    pub account_id: AccountId,
    /// Subject at the identity provider, once known.
    pub idp_subject: Option<String>,
    /// Lowercase.
    pub email: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// An account's place in an organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// The organisation.
    pub org_id: OrgId,
    /// The account.
    pub account_id: AccountId,
    /// Built-in role; with a custom role it only ranks seniority.
    pub role: BuiltInRole,
    /// Custom role, whose permissions replace those of the built-in role.
    pub custom_role_key: Option<String>,
    /// Whether it may work.
    pub status: MembershipStatus,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// Who asks, as clients see it (03 §6.1). Members beyond the first nine appear only where they apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrincipalRecord {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// Organisation; absent means the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<OrgId>,
    /// The identity of execution inside the tenant.
    pub user_id: UserId,
    /// The person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Lowercase.
    pub email: String,
    /// Built-in role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<BuiltInRole>,
    /// Resolved permissions, in catalogue order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
    /// Custom role; `null` where it was looked for and there is none.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable"
    )]
    pub custom_role_key: Option<Option<String>>,
    /// How it was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_source: Option<AuthSource>,
    /// The login went through the organisation's verified single sign-on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sso_verified: Option<bool>,
    /// The API token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// Its scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_scopes: Option<Vec<TokenScope>>,
    /// A managed worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Its pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_pool_id: Option<String>,
    /// Its credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_credential_id: Option<String>,
    /// What that credential is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_scopes: Option<Vec<String>>,
}

/// Answer of `GET /auth/me` and `POST /auth/session`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthSession {
    /// Who asks.
    pub principal: PrincipalRecord,
    /// For the header `x-csrf-token`; null without a cookie session.
    pub csrf_token: Option<String>,
    /// End of the cookie session, ISO-8601; null without one.
    pub expires_at: Option<String>,
}

/// Answer of `GET /auth/desktop/config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DesktopAuthConfig {
    /// Always `oidc`.
    pub mode: String,
    /// Issuer.
    pub issuer_url: String,
    /// Client id.
    pub client_id: String,
    /// Scopes to ask for, separated by blanks.
    pub scope: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_custom_role_of_null_differs_from_none() {
        let absent = json!({"tenantId": "t", "userId": "u", "email": "a@b"});
        let mut principal: PrincipalRecord = serde_json::from_value(absent.clone()).unwrap();
        assert_eq!(principal.custom_role_key, None);
        assert_eq!(serde_json::to_value(&principal).unwrap(), absent);
        principal.custom_role_key = Some(None);
        let null = serde_json::to_value(&principal).unwrap();
        assert_eq!(null["customRoleKey"], json!(null));
        assert_eq!(
            serde_json::from_value::<PrincipalRecord>(null).unwrap(),
            principal
        );
    }
}
