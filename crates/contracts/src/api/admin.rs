//! Administration of an organisation: people, roles, single sign-on, audit (03 §8.17, §8.19; 07 §19.4).

pub mod audit;
pub mod overview;
pub mod sso;

pub use audit::{AuditActor, AuditEvent, AuditEvents, AuditResult};
pub use overview::{AdminOverview, AdminOverviewAnswer};
pub use sso::{SsoAnswer, SsoConfig, SsoProtocol};

use crate::access::{BuiltInRole, MembershipStatus, Permission};
use crate::api::lenient::nullable;
use crate::{AccountId, OrgId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A role that an organisation made itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomRole {
    /// Organisation.
    pub org_id: OrgId,
    /// `^[a-z][a-z0-9_-]{1,63}$`, not the name of a built-in role.
    pub role_key: String,
    /// Name for people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Ranks seniority and nothing else.
    pub base_role: BuiltInRole,
    /// What it may do, in catalogue order; it replaces the built-in role's list.
    pub permissions: Vec<Permission>,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// A membership with the person behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Organisation.
    pub org_id: OrgId,
    /// The account.
    pub account_id: AccountId,
    /// Lowercase.
    pub email: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Built-in role.
    pub role: BuiltInRole,
    /// Custom role.
    pub custom_role_key: Option<String>,
    /// Whether it may work.
    pub status: MembershipStatus,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// `GET /api/admin/access`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminAccessAnswer {
    /// What the caller may do.
    pub access: AdminAccess,
}

/// What the caller may do, resolved from the membership as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminAccess {
    /// Built-in role.
    pub role: Option<BuiltInRole>,
    /// Custom role.
    pub custom_role_key: Option<String>,
    /// In catalogue order.
    pub permissions: Vec<Permission>,
    /// Lowercase.
    pub email: Option<String>,
    /// The login went through the organisation's single sign-on.
    pub sso_verified: bool,
}

/// `GET /api/admin/permission-catalog`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionCatalog {
    /// All there are, in catalogue order.
    pub permissions: Vec<Permission>,
}

/// `GET /api/admin/roles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomRoles {
    /// By key.
    pub roles: Vec<CustomRole>,
}

/// One custom role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomRoleAnswer {
    /// The role.
    pub role: CustomRole,
}

/// `POST /api/admin/roles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateCustomRole {
    /// Becomes lowercase.
    pub role_key: String,
    /// Name for people.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Absent: `member`.
    #[serde(default)]
    pub base_role: Option<BuiltInRole>,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// `POST /api/admin/roles/:key/update`. Absent keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCustomRole {
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people; `null` clears.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable"
    )]
    pub description: Option<Option<String>>,
    /// Seniority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_role: Option<BuiltInRole>,
    /// The whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
}

/// Whether something was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// False: it wasn't there.
    pub deleted: bool,
}

/// `GET /api/admin/members`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// Changed last first.
    pub members: Vec<Member>,
    /// Additive: cursor of the next page.
    pub next_cursor: Option<String>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberAnswer {
    /// The member.
    pub member: Member,
}

/// `POST /api/admin/members`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InviteMember {
    /// Whom.
    pub email: String,
    /// Absent: `member`.
    #[serde(default)]
    pub role: Option<BuiltInRole>,
}

/// Answer of [`InviteMember`].
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitedMember {
    /// The member.
    pub member: Member,
    /// To hand to the person; null when there was nothing to invite to.
    pub invite_token: Option<String>,
    /// ISO-8601.
    pub invite_expires_at: Option<String>,
}

impl std::fmt::Debug for InvitedMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitedMember")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}

/// `POST /api/admin/members/:accountId/update`. Absent keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateMember {
    /// Built-in role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<BuiltInRole>,
    /// Status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<MembershipStatus>,
    /// The account id once more; disabling needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// `POST /api/admin/members/:accountId/role`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignCustomRole {
    /// Key of a custom role; `null` takes it away.
    pub role_key: Option<String>,
}

/// `POST /api/invites/accept`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptInvite {
    /// The invitation.
    pub token: String,
}

impl std::fmt::Debug for AcceptInvite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptInvite").finish_non_exhaustive()
    }
}

/// Answer of [`AcceptInvite`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedInvite {
    /// The membership.
    pub membership: InvitedMembership,
}

/// The membership that an invitation gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitedMembership {
    /// Organisation.
    pub org_id: OrgId,
    /// The account.
    pub account_id: AccountId,
    /// Lowercase.
    pub email: String,
    /// Built-in role.
    pub role: BuiltInRole,
    /// Status.
    pub status: MembershipStatus,
}
