//! The managed policy of an organisation, `managed-policy.json` (05 §6.9).
//!
//! It only tightens, and it fails closed: a document that can't be understood is an error, never "no policy".

use crate::dimension::Ceilings;
use serde::{Deserialize, Serialize};

/// What an organisation permits. The default is unrestricted, which is what an absent file means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedPolicy {
    /// Provider ids that may be used; `None`: any.
    pub allowed_providers: Option<Vec<String>>,
    /// Provider ids that may not.
    pub denied_providers: Vec<String>,
    /// Models that may be used, as `provider/model` or bare; `None`: any.
    pub allowed_models: Option<Vec<String>>,
    /// Models that may not.
    pub denied_models: Vec<String>,
    /// Who holds provider keys.
    pub key_management: String,
    /// Which kinds of extension may be added.
    pub extensions: Extensions,
    /// Feature switches, passed through.
    pub features: serde_json::Map<String, serde_json::Value>,
    /// Upper bounds of the permission dimensions.
    pub permission_ceilings: Ceilings,
    /// Release channel, if the organisation pins one.
    pub update_channel: Option<String>,
}

/// Kinds of extension that users may add themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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

impl Default for ManagedPolicy {
    fn default() -> Self {
        Self {
            allowed_providers: None,
            denied_providers: Vec::new(),
            allowed_models: None,
            denied_models: Vec::new(),
            key_management: "any".to_owned(),
            extensions: Extensions::default(),
            features: serde_json::Map::new(),
            permission_ceilings: Ceilings::default(),
            update_channel: None,
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
    /// Providers that the product doesn't know are not permitted.
    #[error(
        "Your organisation does not permit own endpoints (`{provider}`); choose a listed provider."
    )]
    CustomProvider {
        /// Provider id.
        provider: String,
    },
}

impl ManagedPolicy {
    /// Parses the document. An unknown permission dimension or action is an error too, because ignoring it
    /// would permit what the administrator meant to forbid.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(json).map_err(|error| PolicyError::Unreadable {
            reason: format!("line {}, column {}", error.line(), error.column()),
        })
    }

    /// Checks the provider and the models that a config is about to use. Ids compare without case; an empty
    /// list of allowed ids permits none.
    pub fn check(&self, provider: &str, custom: bool, models: &[&str]) -> Result<(), PolicyError> {
        if !permitted(
            self.allowed_providers.as_deref(),
            &self.denied_providers,
            &[provider],
        ) {
            return Err(PolicyError::Provider {
                provider: provider.to_owned(),
            });
        }
        if custom && !self.extensions.custom_providers {
            return Err(PolicyError::CustomProvider {
                provider: provider.to_owned(),
            });
        }
        for model in models {
            let qualified = format!("{provider}/{model}");
            if !permitted(
                self.allowed_models.as_deref(),
                &self.denied_models,
                &[model, &qualified],
            ) {
                return Err(PolicyError::Model { model: qualified });
            }
        }
        Ok(())
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
}
