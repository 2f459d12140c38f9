//! Administration: people, roles, single sign-on, invitations (03 §8.17, §8.19). The audit log is in
//! [`super::audit`].

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::{Access, Route};
use crate::service::{members, overview, roles, sso};
use axum::http::Method;
use open_cowork_contracts::access::{CloudAction, Permission};
use open_cowork_contracts::api::admin::sso::{IssuedScimToken, UpdateSso};
use open_cowork_contracts::api::admin::{
    AcceptInvite, AcceptedInvite, AdminAccessAnswer, AdminOverviewAnswer, AssignCustomRole,
    CreateCustomRole, CustomRoleAnswer, CustomRoles, Deleted, InviteMember, InvitedMember,
    MemberAnswer, Members, PermissionCatalog, SsoAnswer, UpdateCustomRole, UpdateMember,
};
use open_cowork_providers::store::identity::MemberQuery;

/// The routes.
pub fn routes() -> Vec<Route> {
    [about(), people(), custom_roles(), single_sign_on()]
        .into_iter()
        .flatten()
        .collect()
}

fn about() -> Vec<Route> {
    use CloudAction::AdminRead;
    vec![
        Route::get(
            "admin",
            AdminRead,
            "What the organisation may do on this deployment",
            read_overview,
        )
        .answers::<AdminOverviewAnswer>(),
        Route::get(
            "admin/policy",
            AdminRead,
            "What the organisation may do on this deployment",
            read_overview,
        )
        .answers::<AdminOverviewAnswer>(),
        Route::get(
            "admin/access",
            AdminRead,
            "What the caller may do",
            read_access,
        )
        .answers::<AdminAccessAnswer>(),
        Route::get(
            "admin/permission-catalog",
            AdminRead,
            "All permissions there are",
            read_catalog,
        )
        .answers::<PermissionCatalog>(),
    ]
}

fn people() -> Vec<Route> {
    vec![
        Route::get(
            "admin/members",
            CloudAction::AdminMembersRead,
            "The members, changed last first",
            list_members,
        )
        .query(&[
            ("q", "Part of an address or name"),
            ("limit", "Members of a page, at most 500"),
            ("cursor", "The end of the page before"),
        ])
        .answers::<Members>(),
        Route::post(
            "admin/members",
            CloudAction::AdminMembersWrite,
            "Invites somebody",
            invite,
        )
        .takes::<InviteMember>()
        .answers::<InvitedMember>()
        .status(201)
        .secret(),
        Route::post(
            "admin/members/:id/update",
            CloudAction::AdminMembersWrite,
            "Changes a member's role or status",
            update_member,
        )
        .takes::<UpdateMember>()
        .answers::<MemberAnswer>(),
        Route::post(
            "admin/members/:id/role",
            CloudAction::AdminMembersWrite,
            "Gives a member a custom role, or takes it away",
            assign_role,
        )
        .takes::<AssignCustomRole>()
        .answers::<MemberAnswer>(),
        Route::new(
            Method::POST,
            "invites/accept",
            Access::Open,
            "Accepts an invitation",
            accept_invite,
        )
        .takes::<AcceptInvite>()
        .answers::<AcceptedInvite>(),
    ]
}

fn custom_roles() -> Vec<Route> {
    vec![
        Route::get(
            "admin/roles",
            CloudAction::AdminRolesRead,
            "The organisation's own roles",
            list_roles,
        )
        .answers::<CustomRoles>(),
        Route::post(
            "admin/roles",
            CloudAction::AdminRolesWrite,
            "Makes a role",
            create_role,
        )
        .takes::<CreateCustomRole>()
        .answers::<CustomRoleAnswer>()
        .status(201),
        Route::post(
            "admin/roles/:key/update",
            CloudAction::AdminRolesWrite,
            "Changes a role",
            update_role,
        )
        .takes::<UpdateCustomRole>()
        .answers::<CustomRoleAnswer>(),
        Route::delete(
            "admin/roles/:key",
            CloudAction::AdminRolesWrite,
            "Deletes a role that nobody has",
            delete_role,
        )
        .answers::<Deleted>(),
    ]
}

fn single_sign_on() -> Vec<Route> {
    vec![
        Route::get(
            "admin/sso",
            CloudAction::AdminSsoRead,
            "The single sign-on, without its secrets",
            read_sso,
        )
        .answers::<SsoAnswer>(),
        Route::post(
            "admin/sso",
            CloudAction::AdminSsoWrite,
            "Changes the single sign-on",
            update_sso,
        )
        .takes::<UpdateSso>()
        .answers::<SsoAnswer>(),
        Route::delete(
            "admin/sso",
            CloudAction::AdminSsoWrite,
            "Removes the single sign-on",
            delete_sso,
        )
        .answers::<Deleted>(),
        Route::post(
            "admin/sso/scim-token",
            CloudAction::AdminSsoWrite,
            "Issues a token for SCIM and shows it once",
            issue_scim_token,
        )
        .answers::<IssuedScimToken>()
        .status(201)
        .secret(),
    ]
}

async fn read_overview(call: Call) -> Answer {
    let policy = overview::read(&call.cloud, call.principal()?).await?;
    reply::ok(&AdminOverviewAnswer { policy })
}

async fn read_access(call: Call) -> Answer {
    let access = roles::access(&call.cloud, call.principal()?).await?;
    reply::ok(&AdminAccessAnswer { access })
}

async fn read_catalog(_: Call) -> Answer {
    reply::ok(&PermissionCatalog {
        permissions: Permission::ALL.to_vec(),
    })
}

async fn list_members(call: Call) -> Answer {
    let query = call.query();
    let query = MemberQuery {
        text: query.text("q"),
        cursor: query.text("cursor"),
        limit: query.limit(100, 500),
    };
    reply::ok(&members::page(&call.cloud, call.principal()?, &query).await?)
}

async fn invite(call: Call) -> Answer {
    let wish = call.json::<InviteMember>()?;
    reply::created(&members::invite(&call.cloud, call.principal()?, &wish).await?)
}

async fn update_member(call: Call) -> Answer {
    let wish = call.json::<UpdateMember>()?;
    let changed = members::update(&call.cloud, call.principal()?, call.param("id"), &wish);
    reply::ok(&changed.await?)
}

async fn assign_role(call: Call) -> Answer {
    let wish = call.json::<AssignCustomRole>()?;
    let id = call.param("id");
    let changed = members::assign_role(&call.cloud, call.principal()?, id, wish.role_key);
    reply::ok(&changed.await?)
}

async fn accept_invite(call: Call) -> Answer {
    let wish = call.json::<AcceptInvite>()?;
    reply::ok(&members::accept(&call.cloud, &wish).await?)
}

async fn list_roles(call: Call) -> Answer {
    let roles = roles::list(&call.cloud, call.principal()?).await?;
    reply::ok(&CustomRoles { roles })
}

async fn create_role(call: Call) -> Answer {
    let wish = call.json::<CreateCustomRole>()?;
    let role = roles::create(&call.cloud, call.principal()?, wish).await?;
    reply::created(&CustomRoleAnswer { role })
}

async fn update_role(call: Call) -> Answer {
    let wish = call.json::<UpdateCustomRole>()?;
    let role = roles::update(&call.cloud, call.principal()?, call.param("key"), wish).await?;
    reply::ok(&CustomRoleAnswer { role })
}

async fn delete_role(call: Call) -> Answer {
    let deleted = roles::delete(&call.cloud, call.principal()?, call.param("key"));
    reply::ok(&deleted.await?)
}

async fn read_sso(call: Call) -> Answer {
    let sso = sso::read(&call.cloud, call.principal()?).await?;
    reply::ok(&SsoAnswer { sso })
}

async fn update_sso(call: Call) -> Answer {
    let wish = call.json::<UpdateSso>()?;
    let sso = sso::update(&call.cloud, call.principal()?, &wish).await?;
    reply::ok(&SsoAnswer { sso: Some(sso) })
}

async fn delete_sso(call: Call) -> Answer {
    reply::ok(&sso::delete(&call.cloud, call.principal()?).await?)
}

async fn issue_scim_token(call: Call) -> Answer {
    reply::created(&sso::issue_scim_token(&call.cloud, call.principal()?).await?)
}
