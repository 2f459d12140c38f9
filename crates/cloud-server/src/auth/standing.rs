//! Where a principal stands: membership, the gates of admission, first use (04 §1.4, 03 §6.9).

use super::options::AuthOptions;
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use open_cowork_contracts::access::{AuthSource, BuiltInRole, MembershipStatus};
use open_cowork_contracts::api::admin::SsoConfig;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_contracts::api::identity::ORG_ACTIVE;
use open_cowork_policy::role;
use open_cowork_providers::store::identity::{Bootstrap, PrincipalLookup, PrincipalMembership};
use open_cowork_providers::store::stamp::{Actor, Stamp};
use open_cowork_providers::store::{ControlPlane, StoreError};
use open_cowork_providers::time::Timestamp;

/// Who a credential says asks, before the organisation has its say.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) tenant_id: String,
    pub(super) tenant_name: String,
    /// Account and user in one; also the subject at the identity provider, made unique by its issuer.
    pub(super) account_id: String,
    pub(super) email: String,
    /// The address is proved: an account may be found by it.
    pub(super) email_is_proved: bool,
    /// The role of a first membership; a stored one wins.
    pub(super) role: BuiltInRole,
    pub(super) source: AuthSource,
    /// The provider that the person logged in at.
    pub(super) issuer: Option<String>,
}

/// What the store knows of a principal.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) place: Option<PrincipalMembership>,
    sso: Option<SsoConfig>,
}

/// Whom the gates let in, and what is left to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Everything is there.
    Member,
    /// A place must be made, or an invitation accepted.
    Join,
}

impl Standing {
    /// Reads it. Writes nothing.
    pub(super) async fn read(
        store: &dyn ControlPlane,
        claimed: &Claimed,
    ) -> Result<Self, StoreError> {
        let tenant = claimed.tenant_id.as_str().into();
        let lookup = PrincipalLookup {
            tenant_id: claimed.tenant_id.as_str().into(),
            account_id: Some(claimed.account_id.as_str().into()),
            idp_subject: Some(claimed.account_id.clone()),
            email: claimed.email_is_proved.then(|| claimed.email.clone()),
            user_id: None,
        };
        let place = store.principal_membership(&lookup).await?;
        let sso = store.sso(&tenant).await?;
        Ok(Standing {
            place,
            sso: sso.map(|sso| sso.config),
        })
    }

    /// The principal: what was claimed, as far as the membership doesn't know better. Somebody whose place isn't
    /// active keeps neither role nor permissions.
    pub(super) fn principal(&self, claimed: Claimed) -> Principal {
        let local = claimed.source == AuthSource::Local;
        let logged_in_by_sso = |sso: &SsoConfig| {
            let ours = sso
                .oidc_issuer
                .as_deref()
                .map(|url| url.trim_end_matches('/'));
            sso.enabled && ours.is_some() && ours == claimed.issuer.as_deref()
        };
        let mut principal = Principal {
            tenant_id: claimed.tenant_id.as_str().into(),
            tenant_name: Some(claimed.tenant_name),
            org_id: claimed.tenant_id,
            user_id: claimed.account_id.as_str().into(),
            account_id: claimed.account_id,
            email: claimed.email,
            source: claimed.source,
            role: Some(claimed.role),
            custom_role_key: None,
            permissions: Some(role::permissions_of(claimed.role)),
            sso_verified: self.sso.as_ref().is_some_and(logged_in_by_sso),
            ..Principal::local_owner()
        };
        if let Some(place) = &self.place {
            take_place(&mut principal, place, local);
        }
        principal
    }

    /// Whether this principal may come in (04 §1.4). Pure.
    ///
    /// # Errors
    /// 403, each gate with a code of its own.
    pub(super) fn gates(
        &self,
        principal: &Principal,
        options: &AuthOptions,
    ) -> Result<Admission, ApiError> {
        if principal.source == AuthSource::Local {
            return Ok(match self.place {
                Some(_) => Admission::Member,
                None => Admission::Join,
            });
        }
        let domain = principal
            .email
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain);
        let person = principal.source == AuthSource::User;
        let enforced = self.sso.as_ref().is_some_and(|sso| {
            sso.enabled && sso.enforced && sso.verified_domains.iter().any(|name| name == domain)
        });
        if person && enforced && !principal.sso_verified {
            return Err(closed(
                "auth.sso_required",
                "Your organization asks for its single sign-on; sign in there.",
            ));
        }
        let listed = options
            .allowed_email_domains
            .iter()
            .any(|name| name == domain);
        if options.signup == SignupMode::Domain && !listed {
            return Err(closed(
                "auth.domain_not_allowed",
                "Addresses of this e-mail domain are not admitted here; ask an administrator.",
            ));
        }
        let Some(place) = &self.place else {
            return match options.signup {
                SignupMode::Open | SignupMode::Domain => Ok(Admission::Join),
                SignupMode::Invite | SignupMode::Disabled => Err(closed(
                    "auth.invitation_required",
                    "You are not a member of this organization; ask an administrator to invite you.",
                )),
            };
        };
        if place.org.status != ORG_ACTIVE {
            return Err(closed(
                "auth.organization_inactive",
                "This organization is not active; ask its owner.",
            ));
        }
        match place.membership.status {
            MembershipStatus::Active => Ok(Admission::Member),
            // An address that the provider proved is the one that was invited.
            MembershipStatus::Invited if person && options.signup != SignupMode::Disabled => {
                Ok(Admission::Join)
            }
            MembershipStatus::Invited | MembershipStatus::Disabled => Err(closed(
                "auth.membership_inactive",
                "Your membership in this organization is not active; ask an administrator.",
            )),
        }
    }
}

/// Gives a principal what its place says.
pub(super) fn take_place(principal: &mut Principal, place: &PrincipalMembership, local: bool) {
    let account = place.account.account_id.as_str();
    principal.tenant_id = place.org.tenant_id.clone();
    principal.org_id = place.org.org_id.to_string();
    principal.account_id = account.to_owned();
    // One person has one set of threads, however they sign in.
    principal.user_id = account.into();
    let active = is_active(place) || local;
    let invited =
        place.membership.status == MembershipStatus::Invited && place.org.status == ORG_ACTIVE;
    let counts = active || (invited && principal.source == AuthSource::User);
    principal.role = counts.then_some(place.membership.role);
    principal.custom_role_key = place.membership.custom_role_key.clone().filter(|_| counts);
    principal.permissions = Some(match counts {
        true => role::resolve(place.membership.role, place.custom_permissions.as_deref()),
        false => Vec::new(),
    });
}

/// True for an active membership in an active organisation.
pub(super) fn is_active(place: &PrincipalMembership) -> bool {
    place.membership.status == MembershipStatus::Active && place.org.status == ORG_ACTIVE
}

/// Makes what is missing of tenant, organisation, account and membership.
///
/// # Errors
/// 403 when somebody closed the door meanwhile.
pub(super) async fn join(
    store: &dyn ControlPlane,
    principal: &Principal,
    signup: SignupMode,
    now: Timestamp,
) -> Result<PrincipalMembership, ApiError> {
    let local = principal.source == AuthSource::Local;
    let org_id = principal.org_id.as_str();
    let bootstrap = Bootstrap {
        tenant_id: principal.tenant_id.clone(),
        org_id: (org_id != principal.tenant_id.as_str()).then(|| org_id.into()),
        tenant_name: principal
            .tenant_name
            .clone()
            .unwrap_or_else(|| principal.tenant_id.to_string()),
        account_id: principal.account_id.as_str().into(),
        idp_subject: Some(principal.account_id.clone()),
        email: principal.email.clone(),
        display_name: None,
        role: principal.role.unwrap_or(BuiltInRole::Member),
        create_membership: local || matches!(signup, SignupMode::Open | SignupMode::Domain),
        accept_invite: principal.source == AuthSource::User && signup != SignupMode::Disabled,
    };
    let audit_id = format!("audit_{}", uuid::Uuid::new_v4().simple());
    let stamp = Stamp::new(Actor::system("identity.ensureUser"), now, audit_id);
    Ok(store.bootstrap(&bootstrap, &stamp).await?)
}

fn closed(code: &str, sentence: &str) -> ApiError {
    ApiError::policy(StatusCode::FORBIDDEN, code, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_contracts::access::Permission;
    use open_cowork_contracts::api::admin::SsoProtocol;
    use open_cowork_contracts::api::identity::{Account, Membership, Org};

    fn claimed(source: AuthSource) -> Claimed {
        Claimed {
            tenant_id: "acme".into(),
            tenant_name: "Acme".into(),
            account_id: "ana".into(),
            email: "ana@acme.test".into(),
            email_is_proved: true,
            role: BuiltInRole::Member,
            source,
            issuer: (source == AuthSource::User).then(|| "https://id.acme.test".into()),
        }
    }

    fn place(status: MembershipStatus, role: BuiltInRole) -> PrincipalMembership {
        let at = "2026-01-02T03:04:05.678Z".to_owned();
        PrincipalMembership {
            org: Org {
                org_id: "acme".into(),
                tenant_id: "acme".into(),
                name: "Acme".into(),
                plan_key: None,
                status: ORG_ACTIVE.into(),
                created_at: at.clone(),
                updated_at: at.clone(),
            },
            account: Account {
                account_id: "account_1".into(),
                idp_subject: None,
                email: "ana@acme.test".into(),
                display_name: None,
                created_at: at.clone(),
                updated_at: at.clone(),
            },
            membership: Membership {
                org_id: "acme".into(),
                account_id: "account_1".into(),
                role,
                custom_role_key: None,
                status,
                created_at: at.clone(),
                updated_at: at,
            },
            custom_permissions: None,
        }
    }

    fn standing(place: Option<PrincipalMembership>) -> Standing {
        Standing { place, sso: None }
    }

    fn options(signup: SignupMode) -> AuthOptions {
        AuthOptions {
            signup,
            allowed_email_domains: vec!["acme.test".into()],
            ..AuthOptions::default()
        }
    }

    fn outcome(standing: &Standing, source: AuthSource, options: &AuthOptions) -> String {
        let principal = standing.principal(claimed(source));
        match standing.gates(&principal, options) {
            Ok(admission) => format!("{admission:?}"),
            Err(error) => format!("{} {}", error.status.as_u16(), error.code),
        }
    }

    #[test]
    fn each_way_to_sign_up_lets_in_whom_it_says() {
        use AuthSource::{Header, User};
        use MembershipStatus::{Active, Disabled, Invited};
        use SignupMode as S;
        let invite = "403 auth.invitation_required";
        let inactive = "403 auth.membership_inactive";
        for (mode, status, source, expected) in [
            (S::Open, None, User, "Join"),
            (S::Domain, None, Header, "Join"),
            (S::Invite, None, User, invite),
            (S::Disabled, None, Header, invite),
            (S::Invite, Some(Invited), User, "Join"),
            (S::Open, Some(Invited), User, "Join"),
            (S::Disabled, Some(Invited), User, inactive),
            (S::Invite, Some(Invited), Header, inactive),
            (S::Open, Some(Disabled), User, inactive),
            (S::Disabled, Some(Active), User, "Member"),
            (S::Invite, Some(Active), Header, "Member"),
        ] {
            let standing = standing(status.map(|status| place(status, BuiltInRole::Member)));
            assert_eq!(
                outcome(&standing, source, &options(mode)),
                expected,
                "{mode} {status:?} {source}"
            );
        }
    }

    #[test]
    fn a_foreign_domain_stays_out_even_with_a_membership() {
        let mut options = options(SignupMode::Domain);
        options.allowed_email_domains = vec!["other.test".into(), "me.test".into()];
        let member = standing(Some(place(MembershipStatus::Active, BuiltInRole::Owner)));
        for source in [AuthSource::User, AuthSource::Header, AuthSource::ApiToken] {
            assert_eq!(
                outcome(&member, source, &options),
                "403 auth.domain_not_allowed"
            );
        }
    }

    #[test]
    fn an_organisation_that_is_not_active_admits_nobody_but_the_local_owner() {
        let mut suspended = place(MembershipStatus::Active, BuiltInRole::Owner);
        suspended.org.status = "suspended".into();
        let standing = standing(Some(suspended));
        let open = options(SignupMode::Open);
        assert_eq!(
            outcome(&standing, AuthSource::User, &open),
            "403 auth.organization_inactive"
        );
        assert_eq!(outcome(&standing, AuthSource::Local, &open), "Member");
        let principal = standing.principal(claimed(AuthSource::User));
        assert_eq!(
            (principal.role, principal.permissions),
            (None, Some(vec![]))
        );
    }

    #[test]
    fn enforced_single_sign_on_lets_in_only_people_who_came_through_it() {
        let at = "2026-01-02T03:04:05.678Z".to_owned();
        let sso = |issuer: &str| SsoConfig {
            org_id: "acme".into(),
            protocol: SsoProtocol::Oidc,
            enabled: true,
            enforced: true,
            display_name: None,
            verified_domains: vec!["acme.test".into()],
            domain_verification_token: String::new(),
            oidc_issuer: Some(issuer.into()),
            oidc_client_id: None,
            saml_entity_id: None,
            saml_acs_url: None,
            saml_slo_url: None,
            saml_idp_entity_id: None,
            saml_idp_sso_url: None,
            saml_idp_metadata_url: None,
            scim_enabled: false,
            created_at: at.clone(),
            updated_at: at.clone(),
            has_oidc_client_secret: false,
            has_saml_idp_certificate: false,
            has_scim_token: false,
        };
        let standing = |issuer: &str| Standing {
            place: Some(place(MembershipStatus::Active, BuiltInRole::Member)),
            sso: Some(sso(issuer)),
        };
        let open = options(SignupMode::Open);
        let through = standing("https://id.acme.test/");
        assert_eq!(outcome(&through, AuthSource::User, &open), "Member");
        let past = standing("https://other.acme.test");
        assert_eq!(
            outcome(&past, AuthSource::User, &open),
            "403 auth.sso_required"
        );
        assert_eq!(outcome(&past, AuthSource::Header, &open), "Member");
        assert_eq!(outcome(&past, AuthSource::ApiToken, &open), "Member");
    }

    #[test]
    fn the_stored_membership_wins_over_what_was_claimed() {
        let mut mine = place(MembershipStatus::Active, BuiltInRole::Admin);
        mine.membership.custom_role_key = Some("auditor".into());
        mine.custom_permissions = Some(vec![Permission::AuditRead]);
        let principal = standing(Some(mine)).principal(claimed(AuthSource::Header));
        assert_eq!(principal.role, Some(BuiltInRole::Admin));
        assert_eq!(principal.permissions, Some(vec![Permission::AuditRead]));
        assert_eq!(principal.user_id.as_str(), "account_1");
        assert_eq!(principal.custom_role_key.as_deref(), Some("auditor"));
        let disabled = place(MembershipStatus::Disabled, BuiltInRole::Owner);
        let principal = standing(Some(disabled)).principal(claimed(AuthSource::User));
        assert_eq!(
            (principal.role, principal.permissions),
            (None, Some(vec![]))
        );
    }
}
