//! The managed policy of an organisation (07 §4.5, 05 §6.9).
//!
//! It only tightens, and it fails closed: a document that can't be understood in every part is an error, never
//! "no policy".
//!
//! | module | holds |
//! |---|---|
//! | [`change`] | the tri-state merge of `PUT /api/policy` |
//! | [`view`] | the policy as clients see it, with what it restricts |
//! | [`standing`] | what holds when the policy can't be fetched or read |

pub mod change;
pub mod standing;
pub mod view;

pub use change::Change;
pub use standing::Standing;
pub use view::{PolicyView, Restriction};

use crate::dimension::Ceilings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an organisation permits. The default is unrestricted, which is what no organisation means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ManagedPolicy {
    /// Provider ids that may be used; `None`: any.
    pub allowed_providers: Option<Vec<String>>,
    /// Provider ids that may not; this list wins.
    pub denied_providers: Vec<String>,
    /// Models that may be used, as `provider/model` or bare; `None`: any.
    pub allowed_models: Option<Vec<String>>,
    /// Models that may not; this list wins.
    pub denied_models: Vec<String>,
    /// Who holds provider keys.
    pub key_management: KeyManagement,
    /// Which kinds of extension may be added.
    pub extensions: Extensions,
    /// Feature switches, passed through.
    pub features: BTreeMap<String, bool>,
    /// Upper bounds of the permission dimensions.
    pub permission_ceilings: Ceilings,
    /// Release channel, if the organisation pins one.
    pub update_channel: Option<String>,
}

/// Who holds provider keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyManagement {
    /// Anybody.
    #[default]
    Any,
    /// People bring their own.
    ByokRequired,
    /// The organisation's only.
    OrgManagedRequired,
}

/// Kinds of extension that users may add themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Extensions {
    /// Providers that the product doesn't know.
    pub custom_providers: bool,
    /// MCP servers.
    pub custom_mcps: bool,
    /// Skills.
    pub custom_skills: bool,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            custom_providers: true,
            custom_mcps: true,
            custom_skills: true,
        }
    }
}

/// Why the managed policy forbids a start. Nothing runs until the administrator or the user acts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The document can't be understood.
    #[error(
        "The managed policy can't be read ({reason}); ask your administrator to publish it again."
    )]
    Unreadable {
        /// What is wrong with it, without its content.
        reason: String,
    },
    /// The provider is not permitted.
    #[error(
        "Your organisation does not permit the provider `{provider}`; choose another one in the settings."
    )]
    Provider {
        /// Provider id.
        provider: String,
    },
    /// The model is not permitted.
    #[error(
        "Your organisation does not permit the model `{model}`; choose another one in the settings."
    )]
    Model {
        /// `provider/model`.
        model: String,
    },
    /// Nothing that could answer is left.
    #[error(
        "Your organisation's policy permits none of the providers of this product ({providers}); ask your administrator."
    )]
    NoProvider {
        /// Ids of the providers that the product offers.
        providers: String,
    },
    /// The key may not come from where it comes from.
    #[error(
        "Your organisation requires that {required}; change the key of `{provider}` in the settings."
    )]
    Key {
        /// Provider id.
        provider: String,
        /// What is required.
        required: &'static str,
    },
    /// Providers that the product doesn't know are not permitted.
    #[error(
        "Your organisation does not permit own endpoints (`{provider}`); choose a listed provider."
    )]
    CustomProvider {
        /// Provider id.
        provider: String,
    },
}

/// Where a provider's key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The user's own.
    User,
    /// The organisation's.
    Organisation,
    /// None is needed, such as for an endpoint on this machine.
    None,
}

impl ManagedPolicy {
    /// Parses the document. Whatever it doesn't understand is an error, down to an unknown key, dimension or
    /// action: ignoring it would permit what the administrator meant to forbid (07 §20.17).
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        let unreadable = |error: serde_json::Error| PolicyError::Unreadable {
            reason: format!("line {}, column {}", error.line(), error.column()),
        };
        // An array would do for a struct too.
        serde_json::from_str::<serde_json::Map<_, _>>(json).map_err(unreadable)?;
        let policy: Self = serde_json::from_str(json).map_err(unreadable)?;
        change::check_limits(&policy).map_err(|invalid| PolicyError::Unreadable {
            reason: invalid.to_string(),
        })?;
        Ok(policy)
    }

    /// Parses a document that was stored as a whole, so that a partial one is an error too: every key must
    /// be there (05 §6.9). A file that merely has ceilings is no policy.
    pub fn parse_stored(json: &str) -> Result<Self, PolicyError> {
        const KEYS: [&str; 9] = [
            "allowedProviders",
            "deniedProviders",
            "allowedModels",
            "deniedModels",
            "keyManagement",
            "extensions",
            "features",
            "permissionCeilings",
            "updateChannel",
        ];
        let policy = Self::parse(json)?;
        let document: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let missing: Vec<&str> = KEYS
            .into_iter()
            .filter(|key| document.get(key).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(policy);
        }
        Err(PolicyError::Unreadable {
            reason: format!("without {}", missing.join(", ")),
        })
    }

    /// The strictest policy: nothing may be used or added, and whatever acts is denied. It holds when there
    /// was a policy and none of its copies can be read.
    #[must_use]
    pub fn strict() -> Self {
        use crate::Action::Deny;
        Self {
            allowed_providers: Some(Vec::new()),
            allowed_models: Some(Vec::new()),
            key_management: KeyManagement::OrgManagedRequired,
            extensions: Extensions {
                custom_providers: false,
                custom_mcps: false,
                custom_skills: false,
            },
            permission_ceilings: Ceilings {
                bash: Some(Deny),
                file_write: Some(Deny),
                web: Some(Deny),
                web_search: Some(Deny),
                task: Some(Deny),
                mcp: Some(Deny),
                external_directory: Some(Deny),
            },
            ..Self::default()
        }
    }

    /// Whether the provider may be used. Ids compare without case.
    #[must_use]
    pub fn allows_provider(&self, provider: &str) -> bool {
        permitted(
            self.allowed_providers.as_deref(),
            &self.denied_providers,
            &[provider],
        )
    }

    /// Whether the model may be used; lists may name it as `provider/model` or bare.
    #[must_use]
    pub fn allows_model(&self, provider: &str, model: &str) -> bool {
        let qualified = format!("{provider}/{model}");
        permitted(
            self.allowed_models.as_deref(),
            &self.denied_models,
            &[model, &qualified],
        )
    }

    /// The providers of a product that may be used, in the product's order. None left is an error, never all
    /// of them (05 §19.2).
    pub fn providers(&self, available: &[String]) -> Result<Vec<String>, PolicyError> {
        let left: Vec<String> = available
            .iter()
            .filter(|provider| self.allows_provider(provider))
            .cloned()
            .collect();
        if left.is_empty() && !available.is_empty() {
            return Err(PolicyError::NoProvider {
                providers: available.join(", "),
            });
        }
        Ok(left)
    }

    /// Checks the provider and the models that a config is about to use. Ids compare without case; an empty
    /// list of allowed ids permits none.
    pub fn check(&self, provider: &str, custom: bool, models: &[&str]) -> Result<(), PolicyError> {
        if !self.allows_provider(provider) {
            return Err(PolicyError::Provider {
                provider: provider.to_owned(),
            });
        }
        if custom && !self.extensions.custom_providers {
            return Err(PolicyError::CustomProvider {
                provider: provider.to_owned(),
            });
        }
        match models
            .iter()
            .find(|model| !self.allows_model(provider, model))
        {
            None => Ok(()),
            Some(model) => Err(PolicyError::Model {
                model: format!("{provider}/{model}"),
            }),
        }
    }

    /// Checks where the provider's key comes from.
    pub fn check_key(&self, provider: &str, source: KeySource) -> Result<(), PolicyError> {
        let required = match (self.key_management, source) {
            (KeyManagement::Any, _) | (_, KeySource::None) => return Ok(()),
            (KeyManagement::ByokRequired, KeySource::User) => return Ok(()),
            (KeyManagement::OrgManagedRequired, KeySource::Organisation) => return Ok(()),
            (KeyManagement::ByokRequired, KeySource::Organisation) => "you bring your own key",
            (KeyManagement::OrgManagedRequired, KeySource::User) => {
                "the organisation's key is used"
            }
        };
        Err(PolicyError::Key {
            provider: provider.to_owned(),
            required,
        })
    }
}

fn permitted(allowed: Option<&[String]>, denied: &[String], spellings: &[&str]) -> bool {
    let listed = |list: &[String]| {
        list.iter().any(|entry| {
            spellings
                .iter()
                .any(|id| entry.trim().eq_ignore_ascii_case(id))
        })
    };
    !listed(denied) && allowed.is_none_or(listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    #[test]
    fn an_empty_document_restricts_nothing() {
        let policy = ManagedPolicy::parse("{}").unwrap();
        assert_eq!(policy, ManagedPolicy::default());
        assert_eq!(policy.check("acme", true, &["m"]), Ok(()));
    }

    #[test]
    fn a_broken_document_is_never_read_as_no_policy() {
        for broken in [
            "",
            "{",
            r#"{"permissionCeilings":{"bash":"sometimes"}}"#,
            r#"{"permissionCeilings":{"teleport":"deny"}}"#,
            r#"{"allowedProviders":"acme"}"#,
            r#"{"keyManagement":"whatever"}"#,
            r#"{"features":{"chat":"yes"}}"#,
            r#"{"extensions":{"customPlugins":false}}"#,
            r#"{"alowedProviders":["acme"]}"#,
            "null",
            "[]",
        ] {
            assert!(
                matches!(
                    ManagedPolicy::parse(broken),
                    Err(PolicyError::Unreadable { .. })
                ),
                "{broken}"
            );
        }
    }

    #[test]
    fn an_empty_list_of_allowed_providers_permits_none() {
        let policy = ManagedPolicy::parse(r#"{"allowedProviders":[]}"#).unwrap();
        assert!(policy.check("acme", false, &[]).is_err());
    }

    #[test]
    fn lists_compare_without_case_and_with_both_spellings_of_a_model() {
        let policy = ManagedPolicy::parse(
            r#"{"allowedProviders":["Acme"],"deniedModels":["acme/Large"],"permissionCeilings":{"bash":"ask"}}"#,
        )
        .unwrap();
        assert_eq!(policy.check("acme", false, &["small"]), Ok(()));
        assert_eq!(
            policy.check("acme", false, &["large"]),
            Err(PolicyError::Model {
                model: "acme/large".into()
            })
        );
        assert_eq!(policy.permission_ceilings.bash, Some(Action::Ask));
    }

    #[test]
    fn own_endpoints_can_be_forbidden() {
        let policy = ManagedPolicy::parse(r#"{"extensions":{"customProviders":false}}"#).unwrap();
        assert!(policy.check("mine", true, &[]).is_err());
        assert!(policy.extensions.custom_skills);
    }

    #[test]
    fn a_stored_document_with_a_part_missing_is_no_policy() {
        let whole = serde_json::to_string(&ManagedPolicy::default()).unwrap();
        assert_eq!(
            ManagedPolicy::parse_stored(&whole),
            Ok(ManagedPolicy::default())
        );
        let partial = ManagedPolicy::parse_stored(r#"{"permissionCeilings":{"bash":"ask"}}"#);
        assert!(matches!(partial, Err(PolicyError::Unreadable { .. })));
    }

    #[test]
    fn an_error_never_quotes_the_document() {
        let error = ManagedPolicy::parse(r#"{"allowedProviders":["canary-1"],"x":1}"#).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn when_no_provider_is_left_nothing_starts() {
        let policy = ManagedPolicy::parse(r#"{"allowedProviders":["acme"]}"#).unwrap();
        let available = ["one".to_owned(), "two".to_owned()];
        assert!(matches!(
            policy.providers(&available),
            Err(PolicyError::NoProvider { .. })
        ));
        assert_eq!(
            policy.providers(&["one".to_owned(), "ACME".to_owned()]),
            Ok(vec!["ACME".to_owned()])
        );
        assert_eq!(policy.providers(&[]), Ok(vec![]));
    }

    #[test]
    fn a_denial_wins_over_a_permission() {
        let policy =
            ManagedPolicy::parse(r#"{"allowedModels":["m"],"deniedModels":["acme/m"]}"#).unwrap();
        assert!(policy.allows_model("other", "m"));
        assert!(!policy.allows_model("acme", "m"));
    }

    #[test]
    fn keys_come_from_where_the_organisation_wants_them() {
        let policy = |text: &str| ManagedPolicy::parse(text).unwrap();
        let byok = policy(r#"{"keyManagement":"byok_required"}"#);
        let managed = policy(r#"{"keyManagement":"org_managed_required"}"#);
        for (policy, source, allowed) in [
            (&byok, KeySource::User, true),
            (&byok, KeySource::Organisation, false),
            (&managed, KeySource::User, false),
            (&managed, KeySource::Organisation, true),
            (&managed, KeySource::None, true),
        ] {
            assert_eq!(
                policy.check_key("acme", source).is_ok(),
                allowed,
                "{source:?}"
            );
        }
    }

    #[test]
    fn the_strict_policy_permits_nothing() {
        let strict = ManagedPolicy::strict();
        assert!(strict.check("acme", false, &[]).is_err());
        assert!(!strict.allows_model("acme", "m"));
        assert_eq!(strict.permission_ceilings.bash, Some(Action::Deny));
    }
}
