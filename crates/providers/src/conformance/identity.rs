//! Cases about people, roles, tokens and single sign-on (04 §1).

use super::fixtures::{at, stamp, stamp_of, tenant};
use super::plane::Plane;
use crate::store::identity::{
    Bootstrap, CustomRoleChange, Invitation, MemberChange, MemberQuery, NewCustomRole, NewToken,
    PrincipalLookup, StoredSso,
};
use crate::store::{ControlPlane, StoreError};
use futures::future::join_all;
use open_cowork_contracts::access::{
    BuiltInRole, MembershipStatus as Status, Permission, TokenScope,
};
use open_cowork_contracts::api::admin::{SsoConfig, SsoProtocol};
use open_cowork_contracts::api::tokens::ApiToken;
use open_cowork_contracts::{AccountId, TokenId};
use std::sync::Arc;

type Handle = Arc<dyn ControlPlane>;

fn person(id: &str, role: BuiltInRole) -> Bootstrap {
    Bootstrap {
        tenant_id: tenant("t1"),
        org_id: None,
        tenant_name: "Acme".into(),
        account_id: id.into(),
        idp_subject: None,
        email: format!("{id}@acme.test"),
        display_name: None,
        role,
        create_membership: true,
        accept_invite: true,
    }
}

async fn join(plane: &Handle, id: &str, role: BuiltInRole) {
    let stamp = {
        let mut stamp = stamp(0);
        stamp.audit_id = format!("join-{id}");
        stamp
    };
    plane.bootstrap(&person(id, role), &stamp).await.unwrap();
}

fn lookup(id: &str) -> PrincipalLookup {
    PrincipalLookup {
        tenant_id: tenant("t1"),
        account_id: Some(id.into()),
        ..PrincipalLookup::default()
    }
}

async fn role_of(plane: &Handle, id: &str) -> BuiltInRole {
    let found = plane.member(&tenant("t1"), &id.into()).await.unwrap();
    found.unwrap().role
}

fn to_role(role: BuiltInRole) -> MemberChange {
    MemberChange {
        role: Some(role),
        ..MemberChange::default()
    }
}

async fn token_of(plane: &Handle, account: &str, id: &str, millis: i64) -> ApiToken {
    let token = NewToken {
        token_id: id.into(),
        account_id: account.into(),
        name: "ci".into(),
        hash: "sha256-v1:x".into(),
        scopes: vec![TokenScope::Desktop],
        last4: "abcd".into(),
        expires_at: None,
        channel_binding_ids: vec!["b2".into(), "b1".into()],
    };
    let stamp = stamp_of(account, millis);
    plane
        .create_token(&tenant("t1"), &token, &stamp)
        .await
        .unwrap()
}

async fn is_revoked(plane: &Handle, id: &str) -> bool {
    let stored = plane.token(&TokenId::from(id)).await.unwrap().unwrap();
    stored.token.revoked_at.is_some()
}

/// Two processes at once make one of each; the audit log has it once.
pub async fn the_first_sign_in_makes_everything_once(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let person = person("ann", BuiltInRole::Member);
    let stamp = stamp(0);
    let both = join_all((0..8).map(|n| [a, b][n % 2].bootstrap(&person, &stamp))).await;
    for made in both {
        let made = made.unwrap();
        assert_eq!(made.org.org_id.as_str(), "t1");
        assert_eq!(made.membership.role, BuiltInRole::Member);
        assert_eq!(made.account.email, "ann@acme.test");
    }
    let events = a
        .page_audit(&tenant("t1"), &Default::default())
        .await
        .unwrap();
    let types: Vec<_> = events
        .rows
        .iter()
        .map(|it| it.event_type.as_str())
        .collect();
    assert_eq!(types.len(), 2, "{types:?}");
    assert!(types.contains(&"org.created") && types.contains(&"membership.created"));
}

/// 04 §1.1; a known account only gains what it lacks, and its role stays.
pub async fn an_account_is_found_by_subject_then_address_then_id(plane: &Plane) {
    let a = &plane.store;
    join(a, "ann", BuiltInRole::Admin).await;
    let mut same = person("other-id", BuiltInRole::Member);
    same.email = "ANN@acme.test".into();
    same.idp_subject = Some("sub-1".into());
    same.display_name = Some("Ann".into());
    let found = a.bootstrap(&same, &stamp(1)).await.unwrap();
    assert_eq!(found.account.account_id.as_str(), "ann");
    assert_eq!(found.account.idp_subject.as_deref(), Some("sub-1"));
    assert_eq!(found.membership.role, BuiltInRole::Admin);
    same.email = "new@acme.test".into();
    same.display_name = Some("Anna".into());
    let found = a.bootstrap(&same, &stamp(2)).await.unwrap();
    assert_eq!(
        (
            found.account.account_id.as_str(),
            found.account.display_name.as_deref()
        ),
        ("ann", Some("Ann"))
    );
}

/// Refused, and no organisation, account or membership is there.
pub async fn without_leave_to_join_nothing_is_made(plane: &Plane) {
    let a = &plane.store;
    let mut stranger = person("eve", BuiltInRole::Owner);
    stranger.create_membership = false;
    let refused = a.bootstrap(&stranger, &stamp(0)).await;
    assert!(matches!(refused, Err(StoreError::Forbidden(_))));
    assert_eq!(a.org(&tenant("t1")).await.unwrap(), None);
    join(a, "ann", BuiltInRole::Owner).await;
    assert!(a.bootstrap(&stranger, &stamp(1)).await.is_err());
    let by_email = PrincipalLookup {
        email: Some("eve@acme.test".into()),
        account_id: None,
        ..lookup("")
    };
    assert_eq!(a.principal_membership(&by_email).await.unwrap(), None);
}

/// Also when the invitation knew the address alone.
pub async fn an_invited_member_becomes_active_when_they_come(plane: &Plane) {
    let a = &plane.store;
    join(a, "ann", BuiltInRole::Owner).await;
    let invitation = Invitation {
        account_id: "account_1".into(),
        email: "Bob@acme.test".into(),
        role: BuiltInRole::Admin,
    };
    let t1 = tenant("t1");
    let stamp1 = stamp_of("ann", 1);
    let invited = a.invite_member(&t1, &invitation, &stamp1).await.unwrap();
    assert_eq!(
        (invited.status, invited.email.as_str()),
        (Status::Invited, "bob@acme.test")
    );
    let again = a
        .invite_member(&t1, &invitation, &stamp_of("ann", 2))
        .await
        .unwrap();
    assert_eq!(again.account_id, invited.account_id);
    let mut bob = person("sub-hash", BuiltInRole::Member);
    bob.email = "bob@acme.test".into();
    let came = a.bootstrap(&bob, &stamp(3)).await.unwrap();
    assert_eq!(
        (
            came.membership.status,
            came.membership.role,
            came.account.account_id.as_str()
        ),
        (Status::Active, BuiltInRole::Admin, "account_1")
    );
    let again = a.invite_member(&t1, &invitation, &stamp_of("ann", 4)).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
    let accepted = a
        .accept_invite(&t1, &"account_1".into(), &stamp(5))
        .await
        .unwrap();
    assert_eq!(accepted.unwrap().status, Status::Active);
    assert_eq!(
        a.accept_invite(&t1, &"nobody".into(), &stamp(6))
            .await
            .unwrap(),
        None
    );
}

/// Isolation: neither read nor changed from elsewhere.
pub async fn a_principal_of_another_tenant_is_nobody(plane: &Plane) {
    let a = &plane.store;
    join(a, "ann", BuiltInRole::Owner).await;
    let t2 = tenant("t2");
    let mut there = lookup("ann");
    there.tenant_id = t2.clone();
    assert_eq!(a.principal_membership(&there).await.unwrap(), None);
    assert_eq!(a.member(&t2, &"ann".into()).await.unwrap(), None);
    let change = to_role(BuiltInRole::Member);
    let changed = a
        .update_member(&t2, &"ann".into(), &change, &stamp(1))
        .await;
    assert_eq!(changed, Err(StoreError::Missing("member")));
    let token = token_of(a, "ann", "tok_aaaaaaaaaaaaaaaa", 2).await;
    assert_eq!(
        a.revoke_token(&t2, &token.token_id, &stamp(3))
            .await
            .unwrap(),
        None
    );
    assert!(a.page_tokens(&t2, None, 0).await.unwrap().rows.is_empty());
    assert!(!is_revoked(a, "tok_aaaaaaaaaaaaaaaa").await);
}

/// Rows that come between two pages neither repeat nor hide others; a foreign cursor is refused.
pub async fn members_come_changed_last_first_and_pages_are_stable(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    for (n, id) in ["ann", "bob", "cid", "dan"].iter().enumerate() {
        let mut when = stamp(n as i64);
        when.audit_id = format!("join-{id}");
        a.bootstrap(&person(id, BuiltInRole::Member), &when)
            .await
            .unwrap();
    }
    let mut query = MemberQuery {
        limit: 2,
        ..MemberQuery::default()
    };
    let first = a.page_members(&t1, &query).await.unwrap();
    let ids = |rows: &[open_cowork_contracts::api::admin::Member]| {
        let ids: Vec<String> = rows.iter().map(|it| it.account_id.to_string()).collect();
        ids.join(" ")
    };
    assert_eq!(ids(&first.rows), "dan cid");
    a.bootstrap(&person("eli", BuiltInRole::Member), &stamp(50))
        .await
        .unwrap();
    query.cursor = first.next;
    let second = a.page_members(&t1, &query).await.unwrap();
    assert_eq!(
        (ids(&second.rows), second.next),
        ("bob ann".to_owned(), None)
    );
    let foreign = a.page_members(&tenant("t2"), &query).await;
    assert_eq!(foreign, Err(StoreError::InvalidCursor));
}

/// `%` and `_` are characters; case doesn't matter.
pub async fn a_search_among_members_knows_no_wildcards(plane: &Plane) {
    let a = &plane.store;
    join(a, "an_n", BuiltInRole::Owner).await;
    join(a, "annn", BuiltInRole::Member).await;
    for (text, expected) in [("AN_N", 1), ("an", 2), ("%", 0), ("  ", 2), ("_", 1)] {
        let query = MemberQuery {
            text: Some(text.into()),
            ..MemberQuery::default()
        };
        let found = a.page_members(&tenant("t1"), &query).await.unwrap();
        assert_eq!(found.rows.len(), expected, "{text}");
    }
}

/// Eight rounds, so that both orders happen.
pub async fn the_last_owner_stays_even_if_two_demote_each_other_at_once(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    join(a, "bob", BuiltInRole::Owner).await;
    let down = to_role(BuiltInRole::Member);
    for round in 0..8 {
        let (ann, bob) = (AccountId::from("ann"), AccountId::from("bob"));
        let stamps = (stamp_of("bob", 10 * round), stamp_of("ann", 10 * round + 1));
        let results = tokio::join!(
            a.update_member(&t1, &ann, &down, &stamps.0),
            b.update_member(&t1, &bob, &down, &stamps.1),
        );
        let done = [results.0.is_ok(), results.1.is_ok()];
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{results:?}");
        let up = to_role(BuiltInRole::Owner);
        let again = if done[0] { ann } else { bob };
        a.update_member(&t1, &again, &up, &stamp(10 * round + 2))
            .await
            .unwrap();
    }
}

/// Neither role, nor custom role, nor status.
pub async fn nobody_changes_their_own_role(plane: &Plane) {
    let a = &plane.store;
    join(a, "ann", BuiltInRole::Owner).await;
    join(a, "bob", BuiltInRole::Owner).await;
    for change in [
        to_role(BuiltInRole::Member),
        MemberChange {
            status: Some(Status::Disabled),
            ..MemberChange::default()
        },
    ] {
        let own = a
            .update_member(&tenant("t1"), &"ann".into(), &change, &stamp_of("ann", 1))
            .await;
        assert!(matches!(own, Err(StoreError::Forbidden(_))));
    }
    assert_eq!(role_of(a, "ann").await, BuiltInRole::Owner);
}

/// An admin neither makes nor changes nor suspends one.
pub async fn only_owners_touch_owners(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    for (id, role) in [
        ("ann", BuiltInRole::Owner),
        ("bob", BuiltInRole::Owner),
        ("cid", BuiltInRole::Admin),
        ("dan", BuiltInRole::Member),
    ] {
        join(a, id, role).await;
    }
    let admin = stamp_of("cid", 1);
    let up = to_role(BuiltInRole::Owner);
    assert!(matches!(
        a.update_member(&t1, &"dan".into(), &up, &admin).await,
        Err(StoreError::Forbidden(_))
    ));
    let down = to_role(BuiltInRole::Member);
    assert!(matches!(
        a.update_member(&t1, &"bob".into(), &down, &admin).await,
        Err(StoreError::Forbidden(_))
    ));
    let invitation = Invitation {
        account_id: "x".into(),
        email: "x@acme.test".into(),
        role: BuiltInRole::Owner,
    };
    assert!(matches!(
        a.invite_member(&t1, &invitation, &admin).await,
        Err(StoreError::Forbidden(_))
    ));
    a.update_member(&t1, &"dan".into(), &to_role(BuiltInRole::Admin), &admin)
        .await
        .unwrap();
    a.update_member(&t1, &"bob".into(), &down, &stamp_of("ann", 2))
        .await
        .unwrap();
}

/// Who may manage members can't make a helper an equal of an owner.
pub async fn nobody_grants_what_they_do_not_hold(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    join(a, "cid", BuiltInRole::Admin).await;
    join(a, "dan", BuiltInRole::Member).await;
    let role = |key: &str, permissions: &[Permission]| NewCustomRole {
        role_key: key.into(),
        name: key.into(),
        description: None,
        base_role: BuiltInRole::Member,
        permissions: permissions.to_vec(),
    };
    let boss = role(
        "boss",
        &[Permission::RolesManage, Permission::BillingManage],
    );
    let by_admin = a.create_custom_role(&t1, &boss, &stamp_of("cid", 1)).await;
    assert!(matches!(by_admin, Err(StoreError::Forbidden(_))));
    a.create_custom_role(&t1, &boss, &stamp_of("ann", 2))
        .await
        .unwrap();
    let assign = MemberChange {
        custom_role_key: Some(Some("boss".into())),
        ..MemberChange::default()
    };
    let by_admin = a
        .update_member(&t1, &"dan".into(), &assign, &stamp_of("cid", 3))
        .await;
    assert!(matches!(by_admin, Err(StoreError::Forbidden(_))));
    a.update_member(&t1, &"dan".into(), &assign, &stamp_of("ann", 4))
        .await
        .unwrap();
    let unknown = MemberChange {
        custom_role_key: Some(Some("nothing".into())),
        ..MemberChange::default()
    };
    let missing = a
        .update_member(&t1, &"dan".into(), &unknown, &stamp_of("ann", 5))
        .await;
    assert_eq!(missing.unwrap_err(), StoreError::Missing("role"));
}

/// The list replaces the built-in one; when it loses something, its holders' tokens end.
pub async fn a_custom_role_replaces_and_its_shrinking_revokes_tokens(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    join(a, "dan", BuiltInRole::Member).await;
    let role = NewCustomRole {
        role_key: "auditor".into(),
        name: "Auditor".into(),
        description: None,
        base_role: BuiltInRole::Member,
        permissions: vec![
            Permission::MembersRead,
            Permission::AuditRead,
            Permission::SessionsRead,
            Permission::SessionsWrite,
            Permission::OrgRead,
        ],
    };
    a.create_custom_role(&t1, &role, &stamp_of("ann", 1))
        .await
        .unwrap();
    let again = a.create_custom_role(&t1, &role, &stamp_of("ann", 2)).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
    let assign = MemberChange {
        custom_role_key: Some(Some("auditor".into())),
        ..MemberChange::default()
    };
    let changed = a
        .update_member(&t1, &"dan".into(), &assign, &stamp_of("ann", 3))
        .await
        .unwrap();
    assert_eq!(changed.weakened, []);
    let place = a
        .principal_membership(&lookup("dan"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(place.custom_permissions.as_ref(), Some(&role.permissions));
    token_of(a, "dan", "tok_aaaaaaaaaaaaaaaa", 4).await;
    let more = CustomRoleChange {
        name: Some("Chief auditor".into()),
        ..CustomRoleChange::default()
    };
    a.update_custom_role(&t1, "auditor", &more, &stamp_of("ann", 5))
        .await
        .unwrap();
    assert!(!is_revoked(a, "tok_aaaaaaaaaaaaaaaa").await);
    let less = CustomRoleChange {
        permissions: Some(vec![Permission::AuditRead]),
        ..CustomRoleChange::default()
    };
    let changed = a
        .update_custom_role(&t1, "auditor", &less, &stamp_of("ann", 6))
        .await
        .unwrap();
    assert_eq!(changed.weakened, [AccountId::from("dan")]);
    assert_eq!(changed.now.name, "Chief auditor");
    assert!(is_revoked(a, "tok_aaaaaaaaaaaaaaaa").await);
    let missing = a
        .update_custom_role(&tenant("t2"), "auditor", &less, &stamp(7))
        .await;
    assert_eq!(missing.unwrap_err(), StoreError::Missing("role"));
}

/// The built-in role that would hold then may permit more.
pub async fn a_role_that_somebody_has_is_not_deleted(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    join(a, "cid", BuiltInRole::Admin).await;
    let role = NewCustomRole {
        role_key: "quiet".into(),
        name: "Quiet".into(),
        description: Some("d".into()),
        base_role: BuiltInRole::Admin,
        permissions: vec![],
    };
    a.create_custom_role(&t1, &role, &stamp_of("ann", 1))
        .await
        .unwrap();
    let mut assign = MemberChange {
        custom_role_key: Some(Some("quiet".into())),
        ..MemberChange::default()
    };
    a.update_member(&t1, &"cid".into(), &assign, &stamp_of("ann", 2))
        .await
        .unwrap();
    let refused = a
        .delete_custom_role(&t1, "quiet", &stamp_of("ann", 3))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assign.custom_role_key = Some(None);
    a.update_member(&t1, &"cid".into(), &assign, &stamp_of("ann", 4))
        .await
        .unwrap();
    assert!(
        a.delete_custom_role(&t1, "quiet", &stamp_of("ann", 5))
            .await
            .unwrap()
    );
    assert!(
        !a.delete_custom_role(&t1, "quiet", &stamp_of("ann", 6))
            .await
            .unwrap()
    );
    assert!(a.custom_roles(&t1).await.unwrap().is_empty());
}

/// With the reason in the audit log; a promotion revokes nothing.
pub async fn a_demoted_or_suspended_members_tokens_are_revoked(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    join(a, "cid", BuiltInRole::Member).await;
    token_of(a, "cid", "tok_aaaaaaaaaaaaaaaa", 1).await;
    a.update_member(
        &t1,
        &"cid".into(),
        &to_role(BuiltInRole::Admin),
        &stamp_of("ann", 2),
    )
    .await
    .unwrap();
    assert!(!is_revoked(a, "tok_aaaaaaaaaaaaaaaa").await);
    let down = a
        .update_member(
            &t1,
            &"cid".into(),
            &to_role(BuiltInRole::Member),
            &stamp_of("ann", 3),
        )
        .await
        .unwrap();
    assert_eq!(down.weakened, [AccountId::from("cid")]);
    assert!(is_revoked(a, "tok_aaaaaaaaaaaaaaaa").await);
    token_of(a, "cid", "tok_bbbbbbbbbbbbbbbb", 4).await;
    let off = MemberChange {
        status: Some(Status::Disabled),
        ..MemberChange::default()
    };
    a.update_member(&t1, &"cid".into(), &off, &stamp_of("ann", 5))
        .await
        .unwrap();
    assert!(is_revoked(a, "tok_bbbbbbbbbbbbbbbb").await);
    let query = crate::store::governance::AuditQuery {
        event_type_prefix: Some("api_token.revoked".into()),
        ..Default::default()
    };
    let events = a.page_audit(&t1, &query).await.unwrap().rows;
    let reasons: Vec<_> = events
        .iter()
        .filter_map(|it| it.metadata["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["membership suspended", "membership downgraded"]);
}

/// Judging is the caller's; revoking twice keeps the first time.
pub async fn a_token_is_found_whatever_its_state_and_revoked_once(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    let made = token_of(a, "ann", "tok_aaaaaaaaaaaaaaaa", 1).await;
    assert_eq!(made.channel_binding_ids, ["b1", "b2"]);
    let found = b.token(&made.token_id).await.unwrap().unwrap();
    assert_eq!(
        (found.token.clone(), found.hash.as_str()),
        (made.clone(), "sha256-v1:x")
    );
    assert_eq!(found.holder.unwrap().account.account_id.as_str(), "ann");
    let first = a
        .revoke_token(&t1, &made.token_id, &stamp_of("ann", 2))
        .await
        .unwrap()
        .unwrap();
    let second = b
        .revoke_token(&t1, &made.token_id, &stamp_of("ann", 3))
        .await
        .unwrap()
        .unwrap();
    assert!(first.revoked_at.is_some());
    assert_eq!(first, second);
    token_of(a, "ann", "tok_bbbbbbbbbbbbbbbb", 4).await;
    let page = a.page_tokens(&t1, None, 1).await.unwrap();
    assert_eq!(page.rows[0].token_id.as_str(), "tok_bbbbbbbbbbbbbbbb");
    let rest = a.page_tokens(&t1, page.next.as_deref(), 1).await.unwrap();
    assert_eq!((&rest.rows, &rest.next), (&vec![first], &None));
    assert_eq!(a.token(&"tok_cccccccccccccccc".into()).await.unwrap(), None);
}

/// Not for invited or disabled ones, nor for strangers.
pub async fn a_token_needs_an_active_member(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    let invitation = Invitation {
        account_id: "bob".into(),
        email: "bob@acme.test".into(),
        role: BuiltInRole::Member,
    };
    a.invite_member(&t1, &invitation, &stamp_of("ann", 1))
        .await
        .unwrap();
    for account in ["bob", "nobody"] {
        let token = NewToken {
            token_id: "tok_aaaaaaaaaaaaaaaa".into(),
            account_id: account.into(),
            name: "n".into(),
            hash: "h".into(),
            scopes: vec![TokenScope::Desktop],
            last4: "abcd".into(),
            expires_at: Some(at(5)),
            channel_binding_ids: vec![],
        };
        let refused = a.create_token(&t1, &token, &stamp(2)).await;
        assert!(
            matches!(refused, Err(StoreError::Forbidden(_))),
            "{account}"
        );
    }
    assert_eq!(a.token(&"tok_aaaaaaaaaaaaaaaa".into()).await.unwrap(), None);
}

/// Coalesced writes of several processes may come late.
pub async fn the_last_use_of_a_token_never_goes_back(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    join(a, "ann", BuiltInRole::Owner).await;
    let id = token_of(a, "ann", "tok_aaaaaaaaaaaaaaaa", 1).await.token_id;
    a.touch_tokens(&[(id.clone(), at(9000)), ("tok_none".into(), at(1))])
        .await
        .unwrap();
    b.touch_tokens(&[(id.clone(), at(4000))]).await.unwrap();
    let used = a.token(&id).await.unwrap().unwrap().token.last_used_at;
    assert_eq!(used, Some(crate::time::iso(at(9000))));
}

/// A revoked or foreign token gets none.
pub async fn grants_are_idempotent_and_stay_in_the_tenant(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    join(a, "ann", BuiltInRole::Owner).await;
    let id = token_of(a, "ann", "tok_aaaaaaaaaaaaaaaa", 1).await.token_id;
    let first = a
        .grant_channel_binding(&t1, &id, "b0", &stamp_of("ann", 2))
        .await
        .unwrap();
    let second = a
        .grant_channel_binding(&t1, &id, "b0", &stamp_of("ann", 3))
        .await
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(second.1.channel_binding_ids, ["b0", "b1", "b2"]);
    let foreign = a
        .grant_channel_binding(&tenant("t2"), &id, "b9", &stamp(4))
        .await;
    assert_eq!(foreign.unwrap_err(), StoreError::Missing("API token"));
    a.revoke_token(&t1, &id, &stamp_of("ann", 5)).await.unwrap();
    let revoked = a.grant_channel_binding(&t1, &id, "b9", &stamp(6)).await;
    assert_eq!(revoked.unwrap_err(), StoreError::Missing("API token"));
}

/// A change that was made from an older state is refused.
pub async fn single_sign_on_is_replaced_only_by_who_has_read_it(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    let wish = StoredSso {
        config: SsoConfig {
            org_id: "ignored".into(),
            protocol: SsoProtocol::Oidc,
            enabled: true,
            enforced: false,
            display_name: None,
            verified_domains: vec!["acme.test".into()],
            domain_verification_token: "ocw-sso-verify-x".into(),
            oidc_issuer: None,
            oidc_client_id: None,
            saml_entity_id: None,
            saml_acs_url: None,
            saml_slo_url: None,
            saml_idp_entity_id: None,
            saml_idp_sso_url: None,
            saml_idp_metadata_url: None,
            scim_enabled: false,
            created_at: String::new(),
            updated_at: String::new(),
            has_oidc_client_secret: false,
            has_saml_idp_certificate: true,
            has_scim_token: false,
        },
        oidc_client_secret: Some("enc:v1:x".into()),
        saml_idp_certificate: None,
        scim_token_hash: None,
    };
    let made = a.put_sso(&t1, &wish, None, &stamp(1)).await.unwrap();
    assert!(made.config.has_oidc_client_secret && !made.config.has_saml_idp_certificate);
    assert_eq!(made.config.org_id.as_str(), "t1");
    assert_eq!(b.sso(&t1).await.unwrap(), Some(made.clone()));
    let version = Some(made.config.updated_at.as_str());
    let newer = b.put_sso(&t1, &made, version, &stamp(1)).await.unwrap();
    assert!(newer.config.updated_at > made.config.updated_at);
    for stale in [None, version] {
        let refused = a.put_sso(&t1, &made, stale, &stamp(2)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
    }
    assert_eq!(a.sso(&tenant("t2")).await.unwrap(), None);
    assert!(a.delete_sso(&t1, &stamp(3)).await.unwrap());
    assert!(!a.delete_sso(&t1, &stamp(4)).await.unwrap());
}
