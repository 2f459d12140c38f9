//! Identity on SQL. A tenant's row is locked for every change of its people and roles, so that rules over
//! several rows (the last owner) hold whoever changes what at once.

pub(crate) mod people;
mod roles;
mod sso;
mod tokens;

use crate::store::{Database, SqlStore};
use crate::transaction::{read, transact};
use async_trait::async_trait;
use open_cowork_contracts::access::MembershipStatus;
use open_cowork_contracts::api::admin::{CustomRole, Member};
use open_cowork_contracts::api::identity::Org;
use open_cowork_contracts::api::tokens::{ApiToken, ChannelBindingGrant};
use open_cowork_contracts::{AccountId, TenantId, TokenId};
use open_cowork_providers::store::identity::{
    Bootstrap, Changed, CustomRoleChange, Invitation, MemberChange, MemberQuery, NewCustomRole,
    NewToken, PrincipalLookup, PrincipalMembership, StoredSso, StoredToken,
};
use open_cowork_providers::store::keyset::Page;
use open_cowork_providers::store::{IdentityStore, Stamp, StoreError};
use open_cowork_providers::time::{Timestamp, iso, parse_iso};

/// Nothing would change.
fn settled(known: &PrincipalMembership, wanted: &Bootstrap) -> bool {
    let gains_subject = known.account.idp_subject.is_none() && wanted.idp_subject.is_some();
    let gains_name = known.account.display_name.is_none() && wanted.display_name.is_some();
    let accepts = wanted.accept_invite && known.membership.status == MembershipStatus::Invited;
    !gains_subject && !gains_name && !accepts
}

/// The time of a change of a record whose `updatedAt` tells its versions apart: always a new one.
pub(crate) fn later(stamp: &Stamp, before: Option<&str>) -> String {
    let least = before
        .and_then(parse_iso)
        .and_then(|before| Timestamp::from_millisecond(before.as_millisecond() + 1).ok());
    match least {
        Some(least) if stamp.at < least => iso(least),
        _ => stamp.iso(),
    }
}

#[async_trait]
impl<D: Database> IdentityStore for SqlStore<D> {
    async fn bootstrap(
        &self,
        principal: &Bootstrap,
        stamp: &Stamp,
    ) -> Result<PrincipalMembership, StoreError> {
        let lookup = PrincipalLookup {
            tenant_id: principal.tenant_id.clone(),
            account_id: None,
            idp_subject: principal.idp_subject.clone(),
            email: Some(principal.email.clone()),
            user_id: Some(principal.account_id.to_string()),
        };
        // Mostly everything is there; then nothing needs to be locked.
        if let Some(known) = self.principal_membership(&lookup).await?
            && settled(&known, principal)
        {
            return Ok(known);
        }
        transact!(self, |connection| {
            people::bootstrap(connection, principal, stamp).await
        })
    }

    async fn principal_membership(
        &self,
        lookup: &PrincipalLookup,
    ) -> Result<Option<PrincipalMembership>, StoreError> {
        read!(self, |connection| {
            Ok(people::principal(connection, lookup).await?)
        })
    }

    async fn org(&self, tenant: &TenantId) -> Result<Option<Org>, StoreError> {
        read!(self, |connection| {
            Ok(people::org(connection, tenant).await?)
        })
    }

    async fn page_members(
        &self,
        tenant: &TenantId,
        query: &MemberQuery,
    ) -> Result<Page<Member>, StoreError> {
        read!(self, |connection| {
            people::page(connection, tenant, query).await
        })
    }

    async fn member(
        &self,
        tenant: &TenantId,
        account: &AccountId,
    ) -> Result<Option<Member>, StoreError> {
        read!(self, |connection| {
            match people::place(connection, tenant).await? {
                Some(place) => Ok(people::member(connection, &place, account).await?),
                None => Ok(None),
            }
        })
    }

    async fn invite_member(
        &self,
        tenant: &TenantId,
        invitation: &Invitation,
        stamp: &Stamp,
    ) -> Result<Member, StoreError> {
        transact!(self, |connection| {
            people::invite(connection, tenant, invitation, stamp).await
        })
    }

    async fn accept_invite(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        stamp: &Stamp,
    ) -> Result<Option<Member>, StoreError> {
        transact!(self, |connection| {
            people::accept_invite(connection, tenant, account, stamp).await
        })
    }

    async fn update_member(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        change: &MemberChange,
        stamp: &Stamp,
    ) -> Result<Changed<Member>, StoreError> {
        transact!(self, |connection| {
            roles::change_member(connection, tenant, account, change, stamp).await
        })
    }

    async fn custom_roles(&self, tenant: &TenantId) -> Result<Vec<CustomRole>, StoreError> {
        read!(self, |connection| {
            Ok(roles::list(connection, tenant).await?)
        })
    }

    async fn create_custom_role(
        &self,
        tenant: &TenantId,
        role: &NewCustomRole,
        stamp: &Stamp,
    ) -> Result<CustomRole, StoreError> {
        transact!(self, |connection| {
            roles::create(connection, tenant, role, stamp).await
        })
    }

    async fn update_custom_role(
        &self,
        tenant: &TenantId,
        key: &str,
        change: &CustomRoleChange,
        stamp: &Stamp,
    ) -> Result<Changed<CustomRole>, StoreError> {
        transact!(self, |connection| {
            roles::update(connection, tenant, key, change, stamp).await
        })
    }

    async fn delete_custom_role(
        &self,
        tenant: &TenantId,
        key: &str,
        stamp: &Stamp,
    ) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            roles::delete(connection, tenant, key, stamp).await
        })
    }

    async fn create_token(
        &self,
        tenant: &TenantId,
        token: &NewToken,
        stamp: &Stamp,
    ) -> Result<ApiToken, StoreError> {
        transact!(self, |connection| {
            tokens::create(connection, tenant, token, stamp).await
        })
    }

    async fn token(&self, id: &TokenId) -> Result<Option<StoredToken>, StoreError> {
        read!(self, |connection| {
            Ok(tokens::find(connection, id).await?)
        })
    }

    async fn page_tokens(
        &self,
        tenant: &TenantId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<ApiToken>, StoreError> {
        read!(self, |connection| {
            tokens::page(connection, tenant, cursor, limit).await
        })
    }

    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        stamp: &Stamp,
    ) -> Result<Option<ApiToken>, StoreError> {
        transact!(self, |connection| {
            tokens::revoke(connection, tenant, id, stamp).await
        })
    }

    async fn touch_tokens(&self, used: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
        transact!(self, |connection| {
            Ok(tokens::touch(connection, used).await?)
        })
    }

    async fn grant_channel_binding(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        binding: &str,
        stamp: &Stamp,
    ) -> Result<(ChannelBindingGrant, ApiToken), StoreError> {
        transact!(self, |connection| {
            tokens::grant(connection, tenant, id, binding, stamp).await
        })
    }

    async fn sso(&self, tenant: &TenantId) -> Result<Option<StoredSso>, StoreError> {
        read!(self, |connection| {
            Ok(sso::find(connection, tenant).await?)
        })
    }

    async fn put_sso(
        &self,
        tenant: &TenantId,
        sso: &StoredSso,
        replaces: Option<&str>,
        stamp: &Stamp,
    ) -> Result<StoredSso, StoreError> {
        transact!(self, |connection| {
            sso::put(connection, tenant, sso, replaces, stamp).await
        })
    }

    async fn delete_sso(&self, tenant: &TenantId, stamp: &Stamp) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            sso::delete(connection, tenant, stamp).await
        })
    }
}
