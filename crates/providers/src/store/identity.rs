//! Tenants, organisations, accounts, memberships, roles, tokens, single sign-on (04 §1).
//!
//! One tenant has one organisation. Methods are keyed by the tenant; accounts are the only rows above it.
//! Every change takes a [`Stamp`] and writes its audit entry in the same transaction.

use super::StoreError;
use super::keyset::Page;
use super::stamp::Stamp;
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, Permission, TokenScope};
use open_cowork_contracts::api::admin::{CustomRole, Member, SsoConfig};
use open_cowork_contracts::api::identity::{Account, Membership, Org};
use open_cowork_contracts::api::tokens::{ApiToken, ChannelBindingGrant};
use open_cowork_contracts::{AccountId, OrgId, TenantId, TokenId};
use secrecy::SecretString;

/// Rows of a page when the caller doesn't say, for members and tokens.
pub const DEFAULT_LIMIT: u32 = 100;
/// Most rows of a page, for members and tokens.
pub const MAX_LIMIT: u32 = 500;

/// A principal that is let in for the first time, or again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Its organisation, if its id differs from the tenant's.
    pub org_id: Option<OrgId>,
    /// Name of both.
    pub tenant_name: String,
    /// The account id to use when no account is found.
    pub account_id: AccountId,
    /// Subject at the identity provider.
    pub idp_subject: Option<String>,
    /// Becomes lowercase.
    pub email: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Role of a new membership; a stored one keeps its own.
    pub role: BuiltInRole,
    /// Make a membership when there is none; otherwise [`StoreError::Forbidden`].
    pub create_membership: bool,
    /// A membership that is `invited` becomes `active`.
    pub accept_invite: bool,
}

/// How to find the membership of a principal: the first account that exists by id, then subject, then e-mail,
/// then user id (04 §1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalLookup {
    /// The tenant, or an organisation's id.
    pub tenant_id: TenantId,
    /// Account.
    pub account_id: Option<AccountId>,
    /// Subject at the identity provider.
    pub idp_subject: Option<String>,
    /// Compared in lowercase. Give it only when it is verified.
    pub email: Option<String>,
    /// Identity of execution; equal to the account's id for principals of ours.
    pub user_id: Option<String>,
}

/// A principal's place, as it is stored now.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalMembership {
    /// Organisation.
    pub org: Org,
    /// Account.
    pub account: Account,
    /// Membership.
    pub membership: Membership,
    /// The permissions of its custom role, if it has one; they replace the built-in role's.
    pub custom_permissions: Option<Vec<Permission>>,
}

/// Members of a tenant, changed last first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberQuery {
    /// Case-insensitive part of address or name; `%` and `_` are plain characters. Blank means none.
    pub text: Option<String>,
    /// [`Page::next`] of the page before.
    pub cursor: Option<String>,
    /// Rows, up to [`MAX_LIMIT`]; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
}

/// Somebody to invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Account id to use when nobody has this address.
    pub account_id: AccountId,
    /// Becomes lowercase.
    pub email: String,
    /// Role.
    pub role: BuiltInRole,
}

/// A change of a membership; absent keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChange {
    /// Built-in role.
    pub role: Option<BuiltInRole>,
    /// Status.
    pub status: Option<MembershipStatus>,
    /// Custom role; `Some(None)` takes it away.
    pub custom_role_key: Option<Option<String>>,
}

/// What a change of a membership or a role brought with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed<T> {
    /// As it is now.
    pub now: T,
    /// Accounts that lost a permission or were suspended: their tokens are revoked, and their browser
    /// sessions must be checked again.
    pub weakened: Vec<AccountId>,
}

/// A custom role to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCustomRole {
    /// Valid (`policy::role::is_custom_role_key`).
    pub role_key: String,
    /// Name for people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Seniority.
    pub base_role: BuiltInRole,
    /// In catalogue order, without repeats.
    pub permissions: Vec<Permission>,
}

/// A change of a custom role; absent keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomRoleChange {
    /// Name for people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<Option<String>>,
    /// Seniority.
    pub base_role: Option<BuiltInRole>,
    /// In catalogue order, without repeats.
    pub permissions: Option<Vec<Permission>>,
}

/// A token to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Id.
    pub token_id: TokenId,
    /// Who issues it; must be an active member.
    pub account_id: AccountId,
    /// Name for people.
    pub name: String,
    /// One of the stored forms; never the token.
    pub hash: String,
    /// Without repeats.
    pub scopes: Vec<TokenScope>,
    /// Last four characters of the credential.
    pub last4: String,
    /// End.
    pub expires_at: Option<Timestamp>,
    /// Grants to begin with.
    pub channel_binding_ids: Vec<String>,
}

/// What is needed to judge a token that somebody presents. It is not judged here: revoked and expired ones are
/// found too.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredToken {
    /// Tenant.
    pub tenant_id: TenantId,
    /// The record.
    pub token: ApiToken,
    /// The stored form.
    pub hash: String,
    /// Place of the account that issued it; `None`: it has none any more.
    pub holder: Option<PrincipalMembership>,
}

/// Single sign-on with its secrets as they are stored: encrypted or hashed.
#[derive(Clone, PartialEq)]
pub struct StoredSso {
    /// What may be shown.
    pub config: SsoConfig,
    /// Encrypted client secret.
    pub oidc_client_secret: Option<String>,
    /// Encrypted certificate.
    pub saml_idp_certificate: Option<String>,
    /// Hash of the SCIM token.
    pub scim_token_hash: Option<String>,
}

impl std::fmt::Debug for StoredSso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredSso")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Context under which an organisation's SSO secret is encrypted.
#[must_use]
pub fn sso_secret_context(org: &OrgId, field: &str) -> String {
    format!("sso:{org}:{field}")
}

/// What a revealed secret of an organisation's single sign-on is.
pub type SsoSecret = SecretString;

/// Tenants, organisations, accounts, memberships, roles, tokens, single sign-on (04 §1).
#[async_trait]
pub trait IdentityStore: Send + Sync + 'static {
    /// Makes what is missing of tenant, organisation, account and membership, and gives the place as it is
    /// then. Idempotent; two at once make one. An account only gains a subject and a name that it lacks; the
    /// stored role wins over the given one. [`StoreError::Forbidden`] when a membership would have to be made
    /// and `create_membership` is false; then nothing is made.
    async fn bootstrap(
        &self,
        principal: &Bootstrap,
        stamp: &Stamp,
    ) -> Result<PrincipalMembership, StoreError>;

    /// The place of a principal, or `None`. Writes nothing. Whether status and organisation admit it is the
    /// caller's decision.
    async fn principal_membership(
        &self,
        lookup: &PrincipalLookup,
    ) -> Result<Option<PrincipalMembership>, StoreError>;

    /// The organisation of a tenant.
    async fn org(&self, tenant: &TenantId) -> Result<Option<Org>, StoreError>;

    /// One page of the members, `updatedAt` descending, then account id.
    async fn page_members(
        &self,
        tenant: &TenantId,
        query: &MemberQuery,
    ) -> Result<Page<Member>, StoreError>;

    /// A member.
    async fn member(
        &self,
        tenant: &TenantId,
        account: &AccountId,
    ) -> Result<Option<Member>, StoreError>;

    /// Invites somebody, or invites again whoever is still `invited` (with this role).
    /// [`StoreError::Conflict`] for an active or disabled member, [`StoreError::Forbidden`] when the actor's
    /// rank is too low (only owners make owners).
    async fn invite_member(
        &self,
        tenant: &TenantId,
        invitation: &Invitation,
        stamp: &Stamp,
    ) -> Result<Member, StoreError>;

    /// Makes an invited member active; an active one stays so. `None` when there is no such membership,
    /// [`StoreError::Forbidden`] when it is disabled.
    async fn accept_invite(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        stamp: &Stamp,
    ) -> Result<Option<Member>, StoreError>;

    /// Changes a membership under the rules of 04 §1.4, checked inside the transaction, so that two owners who
    /// demote each other at once leave one: nobody changes the own role or suspends themselves; only owners
    /// change owners; the last active owner stays. Whoever loses a permission or is suspended loses all
    /// tokens. [`StoreError::Missing`], [`StoreError::Forbidden`], [`StoreError::Invalid`] for an unknown
    /// custom role.
    async fn update_member(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        change: &MemberChange,
        stamp: &Stamp,
    ) -> Result<Changed<Member>, StoreError>;

    /// The custom roles, by key.
    async fn custom_roles(&self, tenant: &TenantId) -> Result<Vec<CustomRole>, StoreError>;

    /// Makes a role. [`StoreError::Conflict`] when the key is taken.
    async fn create_custom_role(
        &self,
        tenant: &TenantId,
        role: &NewCustomRole,
        stamp: &Stamp,
    ) -> Result<CustomRole, StoreError>;

    /// Changes a role. Members who lose a permission by it lose all tokens. [`StoreError::Missing`].
    async fn update_custom_role(
        &self,
        tenant: &TenantId,
        key: &str,
        change: &CustomRoleChange,
        stamp: &Stamp,
    ) -> Result<Changed<CustomRole>, StoreError>;

    /// Deletes a role; false when there is none. [`StoreError::Conflict`] while somebody has it: the built-in
    /// role that would hold then may permit more.
    async fn delete_custom_role(
        &self,
        tenant: &TenantId,
        key: &str,
        stamp: &Stamp,
    ) -> Result<bool, StoreError>;

    /// Keeps a token. [`StoreError::Forbidden`] when the issuer is no active member.
    async fn create_token(
        &self,
        tenant: &TenantId,
        token: &NewToken,
        stamp: &Stamp,
    ) -> Result<ApiToken, StoreError>;

    /// The token of this id, over all tenants: whoever presents one doesn't say whose it is.
    async fn token(&self, id: &TokenId) -> Result<Option<StoredToken>, StoreError>;

    /// One page of a tenant's tokens, newest first, revoked ones included.
    async fn page_tokens(
        &self,
        tenant: &TenantId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<ApiToken>, StoreError>;

    /// Revokes a token; `None` when the tenant has no such token. Revoking twice keeps the first time.
    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        stamp: &Stamp,
    ) -> Result<Option<ApiToken>, StoreError>;

    /// Notes when tokens were last used. Never goes back; unknown ids are skipped.
    async fn touch_tokens(&self, used: &[(TokenId, Timestamp)]) -> Result<(), StoreError>;

    /// Lets a token speak for a channel binding. Idempotent. [`StoreError::Missing`] for an unknown or revoked
    /// token; whether the binding exists is the caller's question.
    async fn grant_channel_binding(
        &self,
        tenant: &TenantId,
        id: &TokenId,
        binding: &str,
        stamp: &Stamp,
    ) -> Result<(ChannelBindingGrant, ApiToken), StoreError>;

    /// The single sign-on of a tenant.
    async fn sso(&self, tenant: &TenantId) -> Result<Option<StoredSso>, StoreError>;

    /// Writes the single sign-on. `replaces` is the `updatedAt` of the record that the new one was made from,
    /// `None` for none; [`StoreError::Conflict`] when it has changed meanwhile. The stored record has its
    /// times and the three `has…` set by the store.
    async fn put_sso(
        &self,
        tenant: &TenantId,
        sso: &StoredSso,
        replaces: Option<&str>,
        stamp: &Stamp,
    ) -> Result<StoredSso, StoreError>;

    /// Removes it; false when there is none.
    async fn delete_sso(&self, tenant: &TenantId, stamp: &Stamp) -> Result<bool, StoreError>;
}
