//! Roles and permissions of an organisation, and which sections of the administration they open (07 §4.4, §19.4).

use crate::capability::{self, CustomRole, Features, Principal};
use open_cowork_contracts::access::{AdminSection, BuiltInRole, CloudAction, Permission};

/// What a built-in role may do, in catalogue order.
#[must_use]
pub fn permissions_of(role: BuiltInRole) -> Vec<Permission> {
    use Permission as P;
    let granted = |permission: &Permission| match role {
        BuiltInRole::Owner => true,
        BuiltInRole::Admin => {
            !matches!(permission, P::RolesManage | P::SsoManage | P::BillingManage)
        }
        BuiltInRole::Member => matches!(
            permission,
            P::OrgRead | P::MembersRead | P::SessionsRead | P::SessionsWrite
        ),
    };
    Permission::ALL.iter().copied().filter(granted).collect()
}

/// What an account may do: the custom role's permissions **replace** the built-in role's, which then only ranks
/// seniority. In catalogue order, without repeats.
#[must_use]
pub fn resolve(base: BuiltInRole, custom: Option<&[Permission]>) -> Vec<Permission> {
    match custom {
        None => permissions_of(base),
        Some(custom) => {
            let granted = |permission: &Permission| custom.contains(permission);
            Permission::ALL.iter().copied().filter(granted).collect()
        }
    }
}

/// Whether a custom role may have this key: `^[a-z][a-z0-9_-]{1,63}$`, and no built-in role's name.
#[must_use]
pub fn is_custom_role_key(key: &str) -> bool {
    let tail = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (2..=64).contains(&key.len())
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(tail)
        && BuiltInRole::parse(key).is_none()
}

/// What a section of the administration calls; the first is what it shows at all.
#[must_use]
pub fn section_actions(section: AdminSection) -> &'static [CloudAction] {
    use CloudAction as A;
    match section {
        AdminSection::Members => &[A::AdminMembersRead, A::AdminMembersWrite],
        AdminSection::Roles => &[A::AdminRolesRead, A::AdminRolesWrite],
        AdminSection::Policies => &[A::PolicyRead, A::PolicyWrite],
        AdminSection::Providers => &[A::ByokRead, A::ByokWrite, A::AdminSsoRead, A::AdminSsoWrite],
        AdminSection::Usage => &[A::UsageRead],
        AdminSection::Audit => &[A::AdminAuditRead],
        AdminSection::Deployment => &[A::AdminRead],
        AdminSection::Billing => &[A::BillingRead, A::BillingWrite],
    }
}

/// A section that a person may open, with the calls that will be allowed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSection {
    /// The section.
    pub section: AdminSection,
    /// What it may call; the rest of the section is left out.
    pub actions: Vec<CloudAction>,
}

/// The sections that a person may open, in menu order. They derive from the action table, so that a section is
/// never open whose calls are refused, nor closed whose calls are allowed (07 §20.16). `billing_enabled`: the
/// deployment has billing.
#[must_use]
pub fn sections(
    person: &Principal,
    features: &Features,
    billing_enabled: bool,
) -> Vec<OpenSection> {
    let allowed =
        |action: CloudAction| capability::evaluate(Some(action), person, features, false).allowed();
    let organisation = [Permission::OrgRead, Permission::OrgManage];
    let sees_organisation = match (person.custom_role, &person.permissions) {
        (CustomRole::Invalid, _) => false,
        (_, Some(held)) => held
            .iter()
            .any(|permission| organisation.contains(permission)),
        (CustomRole::None, None) => person.role.is_some(),
        (CustomRole::Assigned, None) => false,
    };
    let opens = |section: AdminSection| match section {
        // Anybody may read these; the section is for those whom it concerns.
        AdminSection::Deployment => sees_organisation,
        AdminSection::Billing => billing_enabled && allowed(CloudAction::BillingWrite),
        _ => true,
    };
    AdminSection::ALL
        .iter()
        .copied()
        .filter(|section| opens(*section))
        .map(|section| OpenSection {
            section,
            actions: section_actions(section)
                .iter()
                .copied()
                .filter(|action| allowed(*action))
                .collect(),
        })
        .filter(|open| !open.actions.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_contracts::access::AdminSection as S;

    fn person(role: BuiltInRole, custom: Option<&[Permission]>) -> Principal {
        let kind = match custom {
            None => CustomRole::None,
            Some(_) => CustomRole::Assigned,
        };
        Principal::new("user", [""; 0]).with_account(Some(role), kind, Some(resolve(role, custom)))
    }

    fn open(person: &Principal) -> Vec<AdminSection> {
        let sections = sections(person, &capability::default_features(), true);
        sections.into_iter().map(|open| open.section).collect()
    }

    #[test]
    fn built_in_roles_have_the_contracts_permissions() {
        assert_eq!(permissions_of(BuiltInRole::Owner), Permission::ALL);
        assert_eq!(permissions_of(BuiltInRole::Admin).len(), 13);
        assert_eq!(
            permissions_of(BuiltInRole::Member)
                .iter()
                .map(|p| p.as_str())
                .collect::<Vec<_>>(),
            [
                "org:read",
                "members:read",
                "sessions:read",
                "sessions:write"
            ]
        );
    }

    #[test]
    fn a_custom_role_replaces_and_never_adds() {
        let custom = [
            Permission::AuditRead,
            Permission::OrgRead,
            Permission::AuditRead,
        ];
        assert_eq!(
            resolve(BuiltInRole::Owner, Some(&custom)),
            [Permission::OrgRead, Permission::AuditRead]
        );
        assert!(resolve(BuiltInRole::Owner, Some(&[])).is_empty());
    }

    #[test]
    fn keys_of_custom_roles_follow_the_rule() {
        for (key, valid) in [
            ("auditor", true),
            ("a1", true),
            ("a_b-c", true),
            ("a", false),
            ("1a", false),
            ("Auditor", false),
            ("owner", false),
            ("member", false),
            ("ä-b", false),
            ("", false),
        ] {
            assert_eq!(is_custom_role_key(key), valid, "{key}");
        }
        assert!(is_custom_role_key(&"a".repeat(64)));
        assert!(!is_custom_role_key(&"a".repeat(65)));
    }

    #[test]
    fn each_role_opens_its_sections() {
        assert_eq!(open(&person(BuiltInRole::Owner, None)), AdminSection::ALL);
        assert_eq!(
            open(&person(BuiltInRole::Admin, None)),
            [
                S::Members,
                S::Policies,
                S::Providers,
                S::Usage,
                S::Audit,
                S::Deployment,
                S::Billing
            ]
        );
        assert_eq!(
            open(&person(BuiltInRole::Member, None)),
            [S::Members, S::Deployment]
        );
    }

    #[test]
    fn a_section_is_open_exactly_when_its_calls_are_allowed() {
        use Permission as P;
        for (permission, expected) in [
            (P::DiagnosticsView, vec![]),
            (P::OperationsView, vec![S::Usage]),
            (P::PolicyManage, vec![S::Policies, S::Providers]),
            (P::SsoManage, vec![S::Providers]),
            (P::BillingManage, vec![S::Usage, S::Billing]),
            (P::MembersManage, vec![S::Members]),
        ] {
            let person = person(BuiltInRole::Member, Some(&[permission]));
            assert_eq!(open(&person), expected, "{permission}");
        }
        let sso = person(BuiltInRole::Member, Some(&[P::SsoManage]));
        let sections = sections(&sso, &capability::default_features(), true);
        assert_eq!(
            sections[0].actions,
            [CloudAction::AdminSsoRead, CloudAction::AdminSsoWrite]
        );
    }

    #[test]
    fn billing_needs_a_deployment_that_has_it() {
        let owner = person(BuiltInRole::Owner, None);
        let sections = sections(&owner, &capability::default_features(), false);
        assert!(sections.iter().all(|open| open.section != S::Billing));
    }
}
