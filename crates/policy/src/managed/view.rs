//! The managed policy as clients see it (07 §4.5, 03 §8.15): itself, and which controls it restricts.

use super::{KeyManagement, ManagedPolicy, PolicyError};
use crate::Action;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a control is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restriction {
    /// Always true.
    pub disabled_by_policy: bool,
    /// One sentence for the control.
    pub reason: String,
}

/// The policy with its restrictions. An unrestricted policy restricts no control.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyView {
    /// The policy.
    #[serde(flatten)]
    pub policy: ManagedPolicy,
    /// Restricted controls: permission dimensions, kinds of extension, `providers`, `models`,
    /// `keyManagement`, `updateChannel`.
    pub disabled_by_policy: BTreeMap<String, Restriction>,
}

impl ManagedPolicy {
    /// The policy in a view that a cloud sent. Strict like [`ManagedPolicy::parse`]: a view that isn't
    /// understood is an error, and the last policy keeps holding.
    pub fn from_view(view: &serde_json::Value) -> Result<Self, PolicyError> {
        let mut document = view.clone();
        if let Some(object) = document.as_object_mut() {
            object.shift_remove("disabledByPolicy");
        }
        Self::parse(&document.to_string())
    }

    /// The view of this policy. Every ceiling is written out, an absent one as `allow`.
    #[must_use]
    pub fn view(&self) -> PolicyView {
        let mut policy = self.clone();
        let ceilings = &mut policy.permission_ceilings;
        let mut restricted = Vec::new();
        for (name, ceiling) in [
            ("bash", &mut ceilings.bash),
            ("fileWrite", &mut ceilings.file_write),
            ("web", &mut ceilings.web),
            ("webSearch", &mut ceilings.web_search),
            ("task", &mut ceilings.task),
            ("mcp", &mut ceilings.mcp),
            ("externalDirectory", &mut ceilings.external_directory),
        ] {
            let most = *ceiling.get_or_insert(Action::Allow);
            restricted.push((name, most != Action::Allow));
        }
        let extensions = &self.extensions;
        restricted.extend([
            ("customProviders", !extensions.custom_providers),
            ("customMcps", !extensions.custom_mcps),
            ("customSkills", !extensions.custom_skills),
            (
                "providers",
                self.allowed_providers.is_some() || !self.denied_providers.is_empty(),
            ),
            (
                "models",
                self.allowed_models.is_some() || !self.denied_models.is_empty(),
            ),
            ("keyManagement", self.key_management != KeyManagement::Any),
            ("updateChannel", self.update_channel.is_some()),
        ]);
        let restriction = || Restriction {
            disabled_by_policy: true,
            reason: "Managed by your organization".to_owned(),
        };
        PolicyView {
            policy,
            disabled_by_policy: restricted
                .into_iter()
                .filter(|(_, restricted)| *restricted)
                .map(|(name, _)| (name.to_owned(), restriction()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unrestricted_policy_restricts_no_control() {
        let view = serde_json::to_value(ManagedPolicy::default().view()).unwrap();
        insta::assert_json_snapshot!(view);
    }

    #[test]
    fn only_what_is_really_restricted_is_named() {
        let policy = ManagedPolicy::parse(
            r#"{"deniedModels":["m"],"allowedProviders":[],"keyManagement":"byok_required","updateChannel":"stable",
                "extensions":{"customMcps":false},"features":{"chat":false},
                "permissionCeilings":{"bash":"ask","web":"allow","externalDirectory":"deny"}}"#,
        )
        .unwrap();
        let named: Vec<String> = policy.view().disabled_by_policy.into_keys().collect();
        assert_eq!(
            named,
            [
                "bash",
                "customMcps",
                "externalDirectory",
                "keyManagement",
                "models",
                "providers",
                "updateChannel"
            ]
        );
    }

    #[test]
    fn a_view_reads_back_and_a_later_versions_view_does_not_pass_for_less() {
        let mut view = serde_json::to_value(ManagedPolicy::strict().view()).unwrap();
        assert_eq!(ManagedPolicy::from_view(&view), Ok(ManagedPolicy::strict()));
        view["deniedTools"] = serde_json::json!(["bash"]);
        assert!(ManagedPolicy::from_view(&view).is_err());
    }
}
