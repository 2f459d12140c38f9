//! Who may change whom, and custom roles (04 §1.3, §1.4).
//!
//! Beyond the contract's rules, nobody grants what they don't hold: else whoever may manage members could make
//! a second account an owner's equal.

use super::people::{self, Place};
use super::tokens;
use crate::dialect::Connection;
use crate::domain::governance::audit::{self, Entry, from_json, json};
use crate::transaction::Stop;
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, Permission};
use open_cowork_contracts::api::admin::{AuditActor, CustomRole, Member};
use open_cowork_contracts::api::identity::Membership;
use open_cowork_contracts::{AccountId, JsonObject, TenantId};
use open_cowork_providers::store::identity::{
    Changed, CustomRoleChange, MemberChange, NewCustomRole,
};
use open_cowork_providers::store::{Actor, Stamp, StoreError};

/// What an actor may do to others.
pub(crate) struct Authority {
    role: Option<BuiltInRole>,
    permissions: Vec<Permission>,
}

/// The stored membership counts; an account without one counts as its principal says (sign-in `none`).
pub(crate) async fn authority(
    connection: &mut Connection,
    place: &Place,
    actor: &Actor,
) -> Result<Authority, sqlx::Error> {
    if actor.kind == AuditActor::System && actor.account_id.is_none() {
        return Ok(Authority::of(BuiltInRole::Owner));
    }
    let membership = match &actor.account_id {
        Some(account) => people::membership(connection, place, account).await?,
        None => None,
    };
    Ok(match (membership, actor.role) {
        (Some(membership), _) => Authority {
            permissions: people::effective(connection, place, &membership).await?,
            role: (membership.status == MembershipStatus::Active).then_some(membership.role),
        },
        (None, Some(role)) => Authority::of(role),
        (None, None) => Authority {
            role: None,
            permissions: Vec::new(),
        },
    })
}

impl Authority {
    fn of(role: BuiltInRole) -> Self {
        Authority {
            role: Some(role),
            permissions: open_cowork_policy::role::permissions_of(role),
        }
    }

    /// Only owners make, change or suspend owners.
    pub(crate) fn may_handle(&self, role: BuiltInRole) -> Result<(), StoreError> {
        if role == BuiltInRole::Owner && self.role != Some(BuiltInRole::Owner) {
            return Err(forbidden(
                "Only owners may create, change or disable owners; ask an owner of the organisation.",
            ));
        }
        Ok(())
    }

    /// Nobody grants what they don't hold.
    pub(crate) fn may_grant(&self, permissions: &[Permission]) -> Result<(), StoreError> {
        match permissions
            .iter()
            .find(|permission| !self.permissions.contains(permission))
        {
            None => Ok(()),
            Some(permission) => Err(StoreError::Forbidden(format!(
                "You can't grant `{permission}`, which you don't have yourself; ask an owner of the organisation."
            ))),
        }
    }
}

fn forbidden(sentence: &str) -> StoreError {
    StoreError::Forbidden(sentence.to_owned())
}

/// The permissions of a custom role; none for one that doesn't exist: it must not fall back to more.
pub(crate) async fn permissions(
    connection: &mut Connection,
    tenant_no: i64,
    key: &str,
) -> Result<Vec<Permission>, sqlx::Error> {
    Ok(role(connection, tenant_no, key)
        .await?
        .map(|role| role.permissions)
        .unwrap_or_default())
}

async fn role(
    connection: &mut Connection,
    tenant_no: i64,
    key: &str,
) -> Result<Option<CustomRole>, sqlx::Error> {
    let select = "SELECT body FROM custom_roles WHERE tenant_no = $1 AND role_key = $2";
    let row = connection.query(select).bind(tenant_no).bind(key);
    row.fetch_optional()
        .await?
        .map(|row| from_json(&row, 0))
        .transpose()
}

pub(crate) async fn list(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Vec<CustomRole>, sqlx::Error> {
    let select = "SELECT r.body FROM custom_roles r JOIN tenants t ON t.tenant_no = r.tenant_no \
                  WHERE t.tenant_id = $1 ORDER BY r.role_key";
    let rows = connection.query(select).bind(tenant.as_str());
    rows.fetch_all()
        .await?
        .iter()
        .map(|row| from_json(row, 0))
        .collect()
}

fn names(permissions: &[Permission]) -> String {
    let names: Vec<&str> = permissions.iter().map(|it| it.as_str()).collect();
    names.join(",")
}

fn role_entry<'a>(event_type: &'a str, role: &'a CustomRole) -> Entry<'a> {
    Entry {
        event_type,
        target_type: "role",
        target_id: &role.role_key,
        metadata: JsonObject::from_iter([
            ("baseRole".to_owned(), role.base_role.as_str().into()),
            ("permissions".to_owned(), names(&role.permissions).into()),
        ]),
    }
}

pub(crate) async fn create(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &NewCustomRole,
    stamp: &Stamp,
) -> Result<CustomRole, Stop> {
    let place = people::place_or_new(connection, tenant, stamp).await?;
    let authority = authority(connection, &place, &stamp.actor).await?;
    authority.may_handle(new.base_role)?;
    authority.may_grant(&new.permissions)?;
    if role(connection, place.tenant_no, &new.role_key)
        .await?
        .is_some()
    {
        return Err(StoreError::Conflict(format!(
            "There is a role `{}` already; choose another key or change that role.",
            new.role_key
        ))
        .into());
    }
    let made = CustomRole {
        org_id: place.org.clone(),
        role_key: new.role_key.clone(),
        name: new.name.clone(),
        description: new.description.clone(),
        base_role: new.base_role,
        permissions: new.permissions.clone(),
        created_at: stamp.iso(),
        updated_at: stamp.iso(),
    };
    connection
        .query("INSERT INTO custom_roles (tenant_no, role_key, body) VALUES ($1, $2, $3)")
        .bind(place.tenant_no)
        .bind(made.role_key.as_str())
        .bind(json(&made)?)
        .execute()
        .await?;
    let entry = role_entry("role.created", &made);
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    Ok(made)
}

pub(crate) async fn update(
    connection: &mut Connection,
    tenant: &TenantId,
    key: &str,
    change: &CustomRoleChange,
    stamp: &Stamp,
) -> Result<Changed<CustomRole>, Stop> {
    let missing = StoreError::Missing("role");
    let Some(place) = people::locked_place(connection, tenant).await? else {
        return Err(missing.into());
    };
    let Some(mut changed) = role(connection, place.tenant_no, key).await? else {
        return Err(missing.into());
    };
    let before = changed.permissions.clone();
    changed.name = change.name.clone().unwrap_or(changed.name);
    changed.description = change.description.clone().unwrap_or(changed.description);
    changed.base_role = change.base_role.unwrap_or(changed.base_role);
    changed.permissions = change.permissions.clone().unwrap_or(changed.permissions);
    changed.updated_at = stamp.iso();
    let authority = authority(connection, &place, &stamp.actor).await?;
    authority.may_handle(changed.base_role)?;
    authority.may_grant(&lost(&changed.permissions, &before))?;
    connection
        .query("UPDATE custom_roles SET body = $3 WHERE tenant_no = $1 AND role_key = $2")
        .bind(place.tenant_no)
        .bind(key)
        .bind(json(&changed)?)
        .execute()
        .await?;
    let entry = role_entry("role.updated", &changed);
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    let mut weakened = Vec::new();
    if !lost(&before, &changed.permissions).is_empty() {
        let select = "SELECT account_id FROM memberships WHERE tenant_no = $1 AND custom_role_key = $2 \
                      ORDER BY account_id";
        let holders = connection.query(select).bind(place.tenant_no).bind(key);
        for row in holders.fetch_all().await? {
            weakened.push(AccountId::from(row.text(0)?));
        }
        tokens::revoke_all(connection, &place, &weakened, "downgraded", stamp).await?;
    }
    Ok(Changed {
        now: changed,
        weakened,
    })
}

/// What is in the first list and not in the second.
fn lost(before: &[Permission], after: &[Permission]) -> Vec<Permission> {
    let gone = |permission: &&Permission| !after.contains(permission);
    before.iter().filter(gone).copied().collect()
}

pub(crate) async fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    key: &str,
    stamp: &Stamp,
) -> Result<bool, Stop> {
    let Some(place) = people::locked_place(connection, tenant).await? else {
        return Ok(false);
    };
    let Some(gone) = role(connection, place.tenant_no, key).await? else {
        return Ok(false);
    };
    let select = "SELECT COUNT(*) FROM memberships WHERE tenant_no = $1 AND custom_role_key = $2";
    let holders = connection.query(select).bind(place.tenant_no).bind(key);
    let holders = holders.fetch_one().await?.int(0)?;
    if holders > 0 {
        return Err(StoreError::Conflict(format!(
            "{holders} members have the role `{key}`; give them another one first."
        ))
        .into());
    }
    connection
        .query("DELETE FROM custom_roles WHERE tenant_no = $1 AND role_key = $2")
        .bind(place.tenant_no)
        .bind(key)
        .execute()
        .await?;
    let entry = role_entry("role.deleted", &gone);
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    Ok(true)
}

/// True for a membership that has every permission.
fn is_full_owner(membership: &Membership) -> bool {
    membership.role == BuiltInRole::Owner
        && membership.status == MembershipStatus::Active
        && membership.custom_role_key.is_none()
}

pub(crate) async fn change_member(
    connection: &mut Connection,
    tenant: &TenantId,
    account: &AccountId,
    change: &MemberChange,
    stamp: &Stamp,
) -> Result<Changed<Member>, Stop> {
    let missing = || Stop::from(StoreError::Missing("member"));
    // The tenant's row is locked: of two changes at once, the second sees the first.
    let place = people::locked_place(connection, tenant).await?;
    let place = place.ok_or_else(missing)?;
    let before = people::membership(connection, &place, account).await?;
    let before = before.ok_or_else(missing)?;
    let mut after = before.clone();
    after.role = change.role.unwrap_or(before.role);
    after.status = change.status.unwrap_or(before.status);
    if let Some(key) = &change.custom_role_key {
        after.custom_role_key.clone_from(key);
    }
    if let Some(key) = &after.custom_role_key
        && role(connection, place.tenant_no, key).await?.is_none()
    {
        return Err(StoreError::Missing("role").into());
    }
    if after != before {
        check_change(connection, &place, &before, &after, &stamp.actor).await?;
        return apply(connection, &place, &before, &after, stamp).await;
    }
    let member = people::member(connection, &place, account).await?;
    Ok(Changed {
        now: member.ok_or(sqlx::Error::RowNotFound)?,
        weakened: Vec::new(),
    })
}

async fn check_change(
    connection: &mut Connection,
    place: &Place,
    before: &Membership,
    after: &Membership,
    actor: &Actor,
) -> Result<(), Stop> {
    if actor.account_id.as_ref() == Some(&before.account_id) {
        let sentence =
            "You can't change your own role or disable yourself; ask another administrator.";
        return Err(forbidden(sentence).into());
    }
    let authority = authority(connection, place, actor).await?;
    authority.may_handle(before.role)?;
    authority.may_handle(after.role)?;
    let held = people::effective(connection, place, before).await?;
    let wanted = people::effective(connection, place, after).await?;
    authority.may_grant(&lost(&wanted, &held))?;
    if is_full_owner(before) && !is_full_owner(after) {
        let select = "SELECT COUNT(*) FROM memberships WHERE tenant_no = $1 AND role = 'owner' \
                      AND status = 'active' AND custom_role_key IS NULL AND account_id <> $2";
        let others = connection
            .query(select)
            .bind(place.tenant_no)
            .bind(before.account_id.as_str());
        if others.fetch_one().await?.int(0)? == 0 {
            let sentence = "The last active owner can't be demoted or disabled; make somebody else an owner first.";
            return Err(forbidden(sentence).into());
        }
    }
    Ok(())
}

async fn apply(
    connection: &mut Connection,
    place: &Place,
    before: &Membership,
    after: &Membership,
    stamp: &Stamp,
) -> Result<Changed<Member>, Stop> {
    let account = &before.account_id;
    let held = people::effective(connection, place, before).await?;
    let left = people::effective(connection, place, after).await?;
    let update = "UPDATE memberships SET role = $3, custom_role_key = $4, status = $5, updated_at = $6 \
                  WHERE tenant_no = $1 AND account_id = $2";
    connection
        .query(update)
        .bind(place.tenant_no)
        .bind(account.as_str())
        .bind(after.role.as_str())
        .bind(after.custom_role_key.as_deref())
        .bind(after.status.as_str())
        .bind(stamp.iso())
        .execute()
        .await?;
    let entry = Entry {
        event_type: "membership.updated",
        target_type: "membership",
        target_id: account.as_str(),
        metadata: JsonObject::from_iter([
            ("role".to_owned(), after.role.as_str().into()),
            (
                "customRole".to_owned(),
                after.custom_role_key.clone().into(),
            ),
            ("status".to_owned(), after.status.as_str().into()),
            ("roleBefore".to_owned(), before.role.as_str().into()),
            (
                "customRoleBefore".to_owned(),
                before.custom_role_key.clone().into(),
            ),
            ("statusBefore".to_owned(), before.status.as_str().into()),
        ]),
    };
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    let suspended = before.status == MembershipStatus::Active && after.status != before.status;
    let weakened = if suspended || !lost(&held, &left).is_empty() {
        let why = if suspended { "suspended" } else { "downgraded" };
        let accounts = vec![account.clone()];
        tokens::revoke_all(connection, place, &accounts, why, stamp).await?;
        accounts
    } else {
        Vec::new()
    };
    if suspended {
        let delete = "DELETE FROM browser_sessions WHERE tenant_no = $1 AND account_id = $2";
        connection
            .query(delete)
            .bind(place.tenant_no)
            .bind(account.as_str())
            .execute()
            .await?;
    }
    let member = people::member(connection, place, account).await?;
    Ok(Changed {
        now: member.ok_or(sqlx::Error::RowNotFound)?,
        weakened,
    })
}
