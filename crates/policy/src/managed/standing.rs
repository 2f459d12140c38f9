//! What holds when the policy can't be fetched or a copy can't be read (07 §4.5, 05 §19.2, 07 §20.17).
//!
//! The host keeps two copies: the current one, and the last that was valid. This module decides; reading and
//! writing them is the host's.

use super::ManagedPolicy;

/// One stored copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy<'a> {
    /// No such file.
    Absent,
    /// Its text.
    Text(&'a str),
    /// There, but it can't be read, or its mode or signature is wrong.
    Unreadable,
}

/// Which policy holds, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// No organisation manages this installation: unrestricted.
    None,
    /// The current copy.
    Valid(ManagedPolicy),
    /// The current copy can't be used; the last valid one holds.
    LastGood(ManagedPolicy),
    /// No copy can be used, but there was a policy: nothing is permitted.
    Strict,
}

impl Standing {
    /// Decides from the stored copies and whether an organisation manages this installation. `managed` is
    /// true from the sign-in until an explicit sign-out or the organisation's removal; a fetch that fails
    /// changes nothing.
    #[must_use]
    pub fn decide(managed: bool, current: Copy<'_>, last_good: Copy<'_>) -> Self {
        let parse = |copy| match copy {
            Copy::Text(text) => ManagedPolicy::parse_stored(text).ok(),
            Copy::Absent | Copy::Unreadable => None,
        };
        if let Some(policy) = parse(current) {
            return Self::Valid(policy);
        }
        if let Some(policy) = parse(last_good) {
            return Self::LastGood(policy);
        }
        match (managed, current, last_good) {
            (false, Copy::Absent, Copy::Absent) => Self::None,
            _ => Self::Strict,
        }
    }

    /// The policy that holds.
    #[must_use]
    pub fn policy(&self) -> ManagedPolicy {
        match self {
            Self::None => ManagedPolicy::default(),
            Self::Valid(policy) | Self::LastGood(policy) => policy.clone(),
            Self::Strict => ManagedPolicy::strict(),
        }
    }

    /// What people should know, if anything.
    #[must_use]
    pub fn notice(&self) -> Option<&'static str> {
        match self {
            Self::None | Self::Valid(_) => None,
            Self::LastGood(_) => Some(
                "Your organisation's policy can't be read; the last valid one holds. Connect again to renew it.",
            ),
            Self::Strict => Some(
                "Your organisation's policy can't be read, so nothing is permitted. Connect again, or ask your administrator.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(policy: &ManagedPolicy) -> String {
        serde_json::to_string(policy).unwrap()
    }

    #[test]
    fn without_an_organisation_nothing_is_restricted() {
        let standing = Standing::decide(false, Copy::Absent, Copy::Absent);
        assert_eq!(standing, Standing::None);
        assert_eq!(standing.policy(), ManagedPolicy::default());
    }

    #[test]
    fn every_way_of_losing_the_policy_ends_in_the_last_good_or_the_strict_one() {
        let policy = ManagedPolicy::parse(r#"{"deniedModels":["m"]}"#).unwrap();
        let whole = text(&policy);
        let bad = [
            Copy::Absent,
            Copy::Unreadable,
            Copy::Text(""),
            Copy::Text("{}"),
            Copy::Text(r#"{"permissionCeilings":{"bash":"deny"}}"#),
        ];
        for current in bad {
            assert_eq!(
                Standing::decide(true, current, Copy::Text(&whole)),
                Standing::LastGood(policy.clone()),
                "{current:?}"
            );
            for last_good in bad {
                let standing = Standing::decide(true, current, last_good);
                assert_eq!(standing, Standing::Strict, "{current:?} {last_good:?}");
                assert!(standing.policy().check("any", false, &[]).is_err());
            }
        }
    }

    #[test]
    fn a_damaged_file_is_strict_even_if_nobody_remembers_the_organisation() {
        for copy in [Copy::Unreadable, Copy::Text("{")] {
            assert_eq!(
                Standing::decide(false, copy, Copy::Absent),
                Standing::Strict
            );
        }
    }

    #[test]
    fn the_current_copy_wins() {
        let (old, new) = (ManagedPolicy::strict(), ManagedPolicy::default());
        let standing = Standing::decide(true, Copy::Text(&text(&new)), Copy::Text(&text(&old)));
        assert_eq!(standing, Standing::Valid(new));
    }
}
