//! Members, roles, sign-on, audit (03 §8.17, §8.19).

use crate::call::Answer;
use crate::client::CloudClient;
use crate::error::Error;
use crate::routes::{AuditQuery, MembersQuery};
use open_cowork_contracts::access::Permission;
use open_cowork_contracts::api::admin::audit::AuditEvents;
use open_cowork_contracts::api::admin::overview::{AdminOverview, AdminOverviewAnswer};
use open_cowork_contracts::api::admin::sso::{IssuedScimToken, SsoAnswer, SsoConfig, UpdateSso};
use open_cowork_contracts::api::admin::{
    AcceptInvite, AcceptedInvite, AdminAccess, AdminAccessAnswer, AssignCustomRole,
    CreateCustomRole, CustomRole, CustomRoleAnswer, CustomRoles, Deleted, InviteMember,
    InvitedMember, InvitedMembership, Member, MemberAnswer, Members, PermissionCatalog,
    UpdateCustomRole, UpdateMember,
};
use reqwest::Method;
use serde_json::json;

/// Methods of administration.
#[derive(Clone, Copy, Debug)]
pub struct AdminRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Members, roles, sign-on, audit.
    pub fn admin(&self) -> AdminRoutes<'_> {
        AdminRoutes(self)
    }
}

impl AdminRoutes<'_> {
    /// The organisation and what its profile allows.
    pub async fn overview(&self) -> Result<AdminOverview, Error> {
        let path = ["admin"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<AdminOverviewAnswer>().await?.policy)
    }

    /// The same under its other path.
    pub async fn policy(&self) -> Result<AdminOverview, Error> {
        let path = ["admin", "policy"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<AdminOverviewAnswer>().await?.policy)
    }

    /// What the caller may do.
    pub async fn access(&self) -> Result<AdminAccess, Error> {
        let path = ["admin", "access"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<AdminAccessAnswer>().await?.access)
    }

    /// All permissions.
    pub async fn permission_catalog(&self) -> Result<Vec<Permission>, Error> {
        let path = ["admin", "permission-catalog"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<PermissionCatalog>().await?.permissions)
    }

    /// Custom roles.
    pub async fn roles(&self) -> Result<Vec<CustomRole>, Error> {
        let path = ["admin", "roles"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<CustomRoles>().await?.roles)
    }

    /// Makes a custom role.
    pub async fn create_role(&self, body: &CreateCustomRole) -> Result<CustomRole, Error> {
        let path = ["admin", "roles"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<CustomRoleAnswer>().await?.role)
    }

    /// Changes a custom role.
    pub async fn update_role(
        &self,
        role: &str,
        body: &UpdateCustomRole,
    ) -> Result<CustomRole, Error> {
        let path = ["admin", "roles", role, "update"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<CustomRoleAnswer>().await?.role)
    }

    /// Deletes a custom role. False: it was gone.
    pub async fn delete_role(&self, role: &str) -> Result<bool, Error> {
        let path = ["admin", "roles", role];
        let call = self.0.api(Method::DELETE, &path);
        Ok(call.send::<Deleted>().await?.deleted)
    }

    /// Members, last changed first.
    pub async fn members(&self, query: &MembersQuery) -> Result<Members, Error> {
        let path = ["admin", "members"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Invites somebody. The token is shown here and never again.
    pub async fn invite(&self, body: &InviteMember) -> Result<InvitedMember, Error> {
        let path = ["admin", "members"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Changes a member.
    pub async fn update_member(&self, account: &str, body: &UpdateMember) -> Result<Member, Error> {
        let path = ["admin", "members", account, "update"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<MemberAnswer>().await?.member)
    }

    /// Gives a member a custom role, or takes it away.
    pub async fn assign_role(
        &self,
        account: &str,
        body: &AssignCustomRole,
    ) -> Result<Member, Error> {
        let path = ["admin", "members", account, "role"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<MemberAnswer>().await?.member)
    }

    /// How the organisation signs on.
    pub async fn sso(&self) -> Result<Option<SsoConfig>, Error> {
        let path = ["admin", "sso"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<SsoAnswer>().await?.sso)
    }

    /// Changes how the organisation signs on.
    pub async fn update_sso(&self, body: &UpdateSso) -> Result<Option<SsoConfig>, Error> {
        let path = ["admin", "sso"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<SsoAnswer>().await?.sso)
    }

    /// Forgets how the organisation signs on.
    pub async fn delete_sso(&self) -> Result<bool, Error> {
        let path = ["admin", "sso"];
        let call = self.0.api(Method::DELETE, &path);
        Ok(call.send::<Deleted>().await?.deleted)
    }

    /// Issues the token of the directory, which is shown here and never again.
    pub async fn issue_scim_token(&self) -> Result<IssuedScimToken, Error> {
        let path = ["admin", "sso", "scim-token"];
        let call = self.0.api(Method::POST, &path).json(&json!({}));
        call.send().await
    }

    /// One page of the audit log.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditEvents, Error> {
        let path = ["admin", "audit"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Accepts an invitation; its token is the credential.
    pub async fn accept_invite(&self, body: &AcceptInvite) -> Result<InvitedMembership, Error> {
        let path = ["invites", "accept"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<AcceptedInvite>().await?.membership)
    }

    /// The whole audit log as a file, `json` or `csv`. Unmasked paths are themselves audited.
    pub async fn export_audit(
        &self,
        format: &str,
        unredacted: bool,
        query: &AuditQuery,
    ) -> Result<Answer, Error> {
        let call = self.0.api(Method::GET, &["admin", "audit", "export"]);
        let call = call.query(query).parameter("format", format);
        let call = match unredacted {
            true => call.parameter("unredacted", "true"),
            false => call,
        };
        call.carries_files().answer().await
    }
}
