//! Members and invitations (03 §8.17, §8.19; 04 §1.4).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus};
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_contracts::api::admin::{
    AcceptInvite, AcceptedInvite, InviteMember, InvitedMember, InvitedMembership, Member,
    MemberAnswer, Members, UpdateMember,
};
use open_cowork_contracts::{AccountId, OrgId};
use open_cowork_providers::store::identity::{
    Invitation, MemberChange, MemberQuery, PrincipalLookup,
};
use open_cowork_providers::store::{Actor, Stamp, StoreError};
use open_cowork_providers::time::iso;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Life of an invitation.
const INVITE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Characters of an address at most.
const MAX_EMAIL: usize = 254;

/// One page of the members.
///
/// # Errors
/// A foreign cursor.
pub async fn page(
    cloud: &Cloud,
    principal: &Principal,
    query: &MemberQuery,
) -> Result<Members, ApiError> {
    acting::settle_local_owner(cloud, principal).await?;
    let page = cloud
        .store
        .page_members(&principal.tenant_id, query)
        .await?;
    Ok(Members {
        members: page.rows,
        next_cursor: page.next,
    })
}

/// Invites somebody. Inviting again whoever is still invited changes the role; the older invitation ends.
///
/// # Errors
/// 403 outside of the mode `invite`, 400 for an address that is none, 409 for a member.
pub async fn invite(
    cloud: &Cloud,
    principal: &Principal,
    wish: &InviteMember,
) -> Result<InvitedMember, ApiError> {
    let secret = cloud.governance.invite_secret.as_ref();
    let (SignupMode::Invite, Some(secret)) = (cloud.governance.signup.mode, secret) else {
        return Err(ApiError::policy(
            StatusCode::FORBIDDEN,
            "members.invites_off",
            "Invitations are off in this deployment; people join by signing in.",
        ));
    };
    let email = email(&wish.email)?;
    acting::settle_local_owner(cloud, principal).await?;
    let org = acting::org_id(principal);
    let invitation = Invitation {
        account_id: account_id(&org, &email),
        email,
        role: wish.role.unwrap_or(BuiltInRole::Member),
    };
    let tenant = &principal.tenant_id;
    let stamp = acting::stamp(cloud, principal);
    let member = cloud
        .store
        .invite_member(tenant, &invitation, &stamp)
        .await?;
    let end = cloud.now().checked_add(INVITE_LIFE);
    let end = end.map_err(|_| ApiError::internal())?;
    let token = Invite {
        org_id: org,
        account_id: member.account_id.clone(),
        email: member.email.clone(),
        role: member.role,
        exp: end.as_millisecond(),
    };
    Ok(InvitedMember {
        invite_token: Some(token.sign(secret)),
        invite_expires_at: Some(iso(end)),
        member,
    })
}

/// An address in lowercase.
fn email(text: &str) -> Result<String, ApiError> {
    let email = text.trim().to_lowercase();
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let parts = email.split_once('@');
    let valid = parts.is_some_and(|(user, host)| {
        !user.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    });
    match valid && email.len() <= MAX_EMAIL && !email.contains(odd) {
        true => Ok(email),
        false => Err(ApiError::invalid(
            "Field `email` must be an e-mail address such as ann@example.com.",
        )),
    }
}

/// `account_` and 32 hex digits of organisation and address (03 §6.8).
fn account_id(org: &OrgId, email: &str) -> AccountId {
    let digest = Sha256::digest(format!("{org}\0{email}"));
    let hex: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    AccountId::from(format!("account_{hex}"))
}

/// Changes a membership.
///
/// # Errors
/// 400, 403 by the rules of 04 §1.4, 404.
pub async fn update(
    cloud: &Cloud,
    principal: &Principal,
    account: &str,
    wish: &UpdateMember,
) -> Result<MemberAnswer, ApiError> {
    match wish.status {
        Some(MembershipStatus::Disabled) if wish.confirm.as_deref() != Some(account) => {
            return Err(ApiError::invalid(
                "Disabling a member needs `confirm` with the member's account id.",
            ));
        }
        Some(MembershipStatus::Invited) => {
            return Err(ApiError::invalid(
                "Field `status` must be `active` or `disabled`; invite the person instead.",
            ));
        }
        _ => {}
    }
    let change = MemberChange {
        role: wish.role,
        status: wish.status,
        custom_role_key: None,
    };
    changed(cloud, principal, account, &change).await
}

/// Gives a member a custom role, or takes it away.
///
/// # Errors
/// As [`update`]; 404 for an unknown role.
pub async fn assign_role(
    cloud: &Cloud,
    principal: &Principal,
    account: &str,
    key: Option<String>,
) -> Result<MemberAnswer, ApiError> {
    let change = MemberChange {
        custom_role_key: Some(key.map(|key| key.trim().to_lowercase())),
        ..MemberChange::default()
    };
    changed(cloud, principal, account, &change).await
}

async fn changed(
    cloud: &Cloud,
    principal: &Principal,
    account: &str,
    change: &MemberChange,
) -> Result<MemberAnswer, ApiError> {
    let tenant = &principal.tenant_id;
    let stamp = acting::stamp(cloud, principal);
    let account = AccountId::from(account);
    let changed = cloud
        .store
        .update_member(tenant, &account, change, &stamp)
        .await?;
    acting::credentials_changed(cloud, tenant);
    Ok(MemberAnswer {
        member: changed.now,
    })
}

/// What an invitation says; base64url of its JSON, a dot, base64url of its HMAC.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invite {
    org_id: OrgId,
    account_id: AccountId,
    email: String,
    role: BuiltInRole,
    exp: i64,
}

impl Invite {
    fn sign(&self, secret: &SecretString) -> String {
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        let mac = URL_SAFE_NO_PAD.encode(mac(secret, &body));
        format!("{body}.{mac}")
    }

    fn read(token: &str, secret: &SecretString) -> Option<Invite> {
        let (body, signature) = token.trim().split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let valid: bool = mac(secret, body).as_slice().ct_eq(&signature).into();
        if !valid {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }
}

fn mac(secret: &SecretString, body: &str) -> Vec<u8> {
    // An HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(body.as_bytes());
            mac.finalize().into_bytes().to_vec()
        },
    )
}

fn refused(status: StatusCode, code: &str, sentence: &str) -> ApiError {
    ApiError::policy(status, code, sentence)
}

/// Accepts an invitation. Idempotent.
///
/// # Errors
/// 501 `invite.disabled`, 400 `invite.invalid`, 404 `invite.not_found`, 403 `invite.revoked`.
pub async fn accept(cloud: &Cloud, wish: &AcceptInvite) -> Result<AcceptedInvite, ApiError> {
    let secret = cloud.governance.invite_secret.as_ref();
    let (SignupMode::Invite, Some(secret)) = (cloud.governance.signup.mode, secret) else {
        return Err(refused(
            StatusCode::NOT_IMPLEMENTED,
            "invite.disabled",
            "Invitations are off in this deployment.",
        ));
    };
    let now = cloud.now();
    let invite = Invite::read(&wish.token, secret);
    let invite = invite.filter(|invite| invite.exp > now.as_millisecond());
    let invite = invite.ok_or_else(|| {
        refused(
            StatusCode::BAD_REQUEST,
            "invite.invalid",
            "This invitation is not valid or has run out; ask for a new one.",
        )
    })?;
    let lookup = PrincipalLookup {
        tenant_id: invite.org_id.as_str().into(),
        account_id: Some(invite.account_id.clone()),
        ..PrincipalLookup::default()
    };
    let not_found = || {
        refused(
            StatusCode::NOT_FOUND,
            "invite.not_found",
            "This invitation belongs to no membership any more; ask for a new one.",
        )
    };
    let revoked = || {
        refused(
            StatusCode::FORBIDDEN,
            "invite.revoked",
            "This invitation was withdrawn or replaced; ask for a new one.",
        )
    };
    let place = cloud.store.principal_membership(&lookup).await?;
    let place = place.filter(|place| place.account.email == invite.email);
    let place = place.ok_or_else(not_found)?;
    // Inviting again with another role replaces the invitation before.
    let waiting = place.membership.status == MembershipStatus::Invited;
    if waiting && place.membership.role != invite.role {
        return Err(revoked());
    }
    let tenant = place.org.tenant_id.clone();
    let actor = Actor::user(invite.account_id.clone(), None);
    let stamp = Stamp::new(actor, now, acting::audit_id());
    let accepted = cloud
        .store
        .accept_invite(&tenant, &invite.account_id, &stamp)
        .await;
    let member: Member = match accepted {
        Ok(Some(member)) => member,
        Ok(None) => return Err(not_found()),
        Err(StoreError::Forbidden(_)) => return Err(revoked()),
        Err(error) => return Err(error.into()),
    };
    if waiting {
        acting::credentials_changed(cloud, &tenant);
    }
    Ok(AcceptedInvite {
        membership: InvitedMembership {
            org_id: member.org_id,
            account_id: member.account_id,
            email: member.email,
            role: member.role,
            status: member.status,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Invite {
        Invite {
            org_id: "acme".into(),
            account_id: "account_1".into(),
            email: "ann@acme.test".into(),
            role: BuiltInRole::Member,
            exp: 1,
        }
    }

    #[test]
    fn an_invitation_reads_back_under_its_key_only() {
        let token = invite().sign(&"key".into());
        let read = Invite::read(&token, &"key".into()).unwrap();
        assert_eq!(read.email, "ann@acme.test");
        assert!(Invite::read(&token, &"other".into()).is_none());
        let forged = token.replacen('e', "f", 1);
        assert!(Invite::read(&forged, &"key".into()).is_none());
        for garbage in ["", ".", "a.b", "eyJ9"] {
            assert!(Invite::read(garbage, &"key".into()).is_none());
        }
    }

    #[test]
    fn addresses_are_checked_and_become_lowercase() {
        assert_eq!(email(" Ann@Acme.Test ").unwrap(), "ann@acme.test");
        for wrong in [
            "",
            "ann",
            "@acme.test",
            "ann@",
            "ann@acme",
            "a b@acme.test",
            "a@b@c.d",
            "a@.x",
            "a@x.",
        ] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_invited_account_has_the_contracts_id() {
        let id = account_id(&"acme".into(), "ann@acme.test");
        assert_eq!(id.as_str().len(), "account_".len() + 32);
        assert_eq!(id, account_id(&"acme".into(), "ann@acme.test"));
        assert_ne!(id, account_id(&"acmeann@acme.test".into(), ""));
    }
}
