//! Who acts, for the store's records; and telling other processes that credentials changed.

use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::access::AuthSource;
use open_cowork_contracts::api::admin::AuditActor;
use open_cowork_contracts::{AccountId, OrgId, TenantId};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::store::identity::{Bootstrap, PrincipalLookup};
use open_cowork_providers::store::{Actor, Stamp};

/// A change by this principal, now.
pub fn stamp(cloud: &Cloud, principal: &Principal) -> Stamp {
    let account = AccountId::from(principal.account_id.as_str());
    let actor = match (principal.source, &principal.token_id) {
        (AuthSource::ApiToken, Some(token)) => Actor {
            kind: AuditActor::ApiToken,
            id: Some(token.clone()),
            account_id: Some(account),
            role: principal.role,
        },
        _ => Actor::user(account, principal.role),
    };
    Stamp::new(actor, cloud.now(), audit_id())
}

/// A new id for the audit log.
pub fn audit_id() -> String {
    format!("audit_{}", uuid::Uuid::new_v4())
}

/// The principal's organisation.
pub fn org_id(principal: &Principal) -> OrgId {
    OrgId::from(principal.org_id.as_str())
}

/// Credentials of a tenant changed: all processes forget what they verified. Call it after the change is
/// durable.
pub fn credentials_changed(cloud: &Cloud, tenant: &TenantId) {
    cloud.bus.publish(Topic::Credentials(tenant.clone()));
}

/// How the principal's membership is found.
pub fn lookup(principal: &Principal) -> PrincipalLookup {
    PrincipalLookup {
        tenant_id: principal.tenant_id.clone(),
        account_id: Some(principal.account_id.as_str().into()),
        idp_subject: None,
        email: None,
        user_id: Some(principal.user_id.to_string()),
    }
}

/// The local owner of the mode `none` signs in nowhere, so their membership is made when they first need one.
///
/// # Errors
/// When the store refuses.
pub async fn settle_local_owner(cloud: &Cloud, principal: &Principal) -> Result<(), ApiError> {
    let (AuthSource::Local, Some(role)) = (principal.source, principal.role) else {
        return Ok(());
    };
    let owner = Bootstrap {
        tenant_id: principal.tenant_id.clone(),
        org_id: Some(org_id(principal)),
        tenant_name: principal
            .tenant_name
            .clone()
            .unwrap_or_else(|| principal.tenant_id.to_string()),
        account_id: principal.account_id.as_str().into(),
        idp_subject: None,
        email: principal.email.clone(),
        display_name: None,
        role,
        create_membership: true,
        accept_invite: false,
    };
    let stamp = Stamp::new(
        Actor::system("identity.ensureUser"),
        cloud.now(),
        audit_id(),
    );
    cloud.store.bootstrap(&owner, &stamp).await?;
    Ok(())
}
