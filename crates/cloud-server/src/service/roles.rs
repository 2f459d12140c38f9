//! Custom roles, and what the caller may do (03 §8.17).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::access::{BuiltInRole, Permission};
use open_cowork_contracts::api::admin::{
    AdminAccess, CreateCustomRole, CustomRole, Deleted, UpdateCustomRole,
};
use open_cowork_policy::role;
use open_cowork_providers::store::identity::{CustomRoleChange, NewCustomRole};

/// Characters of a role's name at most.
const MAX_NAME: usize = 128;
/// Characters of a role's description at most.
const MAX_DESCRIPTION: usize = 1024;

/// The custom roles, by key.
///
/// # Errors
/// When the store refuses.
pub async fn list(cloud: &Cloud, principal: &Principal) -> Result<Vec<CustomRole>, ApiError> {
    Ok(cloud.store.custom_roles(&principal.tenant_id).await?)
}

/// Makes a role.
///
/// # Errors
/// 400 for key, name or permissions, 403 for permissions that the caller doesn't have, 409 for a taken key.
pub async fn create(
    cloud: &Cloud,
    principal: &Principal,
    wish: CreateCustomRole,
) -> Result<CustomRole, ApiError> {
    let key = wish.role_key.trim().to_lowercase();
    if !role::is_custom_role_key(&key) {
        return Err(ApiError::invalid(
            "Field `roleKey` must have 2 to 64 lowercase letters, digits, `_` or `-`, begin with a letter, \
             and be no built-in role's name.",
        ));
    }
    let new = NewCustomRole {
        role_key: key,
        name: named(&wish.name)?,
        description: described(wish.description)?,
        base_role: wish.base_role.unwrap_or(BuiltInRole::Member),
        permissions: in_order(&wish.permissions),
    };
    acting::settle_local_owner(cloud, principal).await?;
    let stamp = acting::stamp(cloud, principal);
    let tenant = &principal.tenant_id;
    Ok(cloud.store.create_custom_role(tenant, &new, &stamp).await?)
}

/// Changes a role. Whoever loses a permission by it loses all tokens.
///
/// # Errors
/// As [`create`]; 404.
pub async fn update(
    cloud: &Cloud,
    principal: &Principal,
    key: &str,
    wish: UpdateCustomRole,
) -> Result<CustomRole, ApiError> {
    let change = CustomRoleChange {
        name: wish.name.as_deref().map(named).transpose()?,
        description: wish.description.map(described).transpose()?,
        base_role: wish.base_role,
        permissions: wish.permissions.as_deref().map(in_order),
    };
    let stamp = acting::stamp(cloud, principal);
    let tenant = &principal.tenant_id;
    let changed = cloud.store.update_custom_role(tenant, key, &change, &stamp);
    let changed = changed.await?;
    acting::credentials_changed(cloud, tenant);
    Ok(changed.now)
}

/// Deletes a role.
///
/// # Errors
/// 409 while somebody has it.
pub async fn delete(cloud: &Cloud, principal: &Principal, key: &str) -> Result<Deleted, ApiError> {
    let stamp = acting::stamp(cloud, principal);
    let tenant = &principal.tenant_id;
    let deleted = cloud.store.delete_custom_role(tenant, key, &stamp).await?;
    Ok(Deleted { deleted })
}

fn named(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    match (1..=MAX_NAME).contains(&name.chars().count()) {
        true => Ok(name.to_owned()),
        false => Err(ApiError::invalid(format!(
            "Field `name` must have 1 to {MAX_NAME} characters."
        ))),
    }
}

fn described(text: Option<String>) -> Result<Option<String>, ApiError> {
    let long = |text: &String| text.chars().count() > MAX_DESCRIPTION;
    match text.as_ref().is_some_and(long) {
        false => Ok(text),
        true => Err(ApiError::invalid(format!(
            "Field `description` may have at most {MAX_DESCRIPTION} characters."
        ))),
    }
}

/// In catalogue order, without repeats.
fn in_order(permissions: &[Permission]) -> Vec<Permission> {
    role::resolve(BuiltInRole::Member, Some(permissions))
}

/// What the caller may do, resolved from the membership as it is now, whatever the cookie or token says (03 §12
/// #14).
///
/// # Errors
/// When the store refuses.
pub async fn access(cloud: &Cloud, principal: &Principal) -> Result<AdminAccess, ApiError> {
    let place = cloud
        .store
        .principal_membership(&acting::lookup(principal))
        .await?;
    let email = Some(principal.email.clone()).filter(|email| !email.is_empty());
    Ok(match place {
        Some(place) => AdminAccess {
            role: Some(place.membership.role),
            permissions: role::resolve(place.membership.role, place.custom_permissions.as_deref()),
            custom_role_key: place.membership.custom_role_key,
            email,
            sso_verified: principal.sso_verified,
        },
        None => AdminAccess {
            role: principal.role,
            custom_role_key: principal.custom_role_key.clone(),
            permissions: principal.permissions.clone().unwrap_or_default(),
            email,
            sso_verified: principal.sso_verified,
        },
    })
}
