//! Deny, ask, allow.

use serde::{Deserialize, Serialize};

/// What happens when an agent wants to use a tool. Ordered: `Deny < Ask < Allow`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Never. The default: what nobody granted is not granted.
    #[default]
    Deny,
    /// Only after the user said yes to this very call.
    Ask,
    /// Without asking.
    Allow,
}

impl Action {
    /// The stricter of the two: `self`, but never more than `ceiling`.
    #[must_use]
    pub fn clamp_to(self, ceiling: Action) -> Action {
        self.min(ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::Action::{self, Allow, Ask, Deny};

    #[test]
    fn a_ceiling_only_tightens() {
        assert_eq!(Allow.clamp_to(Ask), Ask);
        assert_eq!(Deny.clamp_to(Allow), Deny);
        assert_eq!(Ask.clamp_to(Ask), Ask);
    }

    #[test]
    fn actions_are_lower_case_words_on_the_wire() {
        assert_eq!(
            serde_json::to_string(&[Deny, Ask, Allow]).unwrap(),
            r#"["deny","ask","allow"]"#
        );
        assert!(serde_json::from_str::<Action>("\"ALLOW\"").is_err());
    }
}
