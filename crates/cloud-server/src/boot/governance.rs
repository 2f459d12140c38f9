//! From what a process is told to its governance: who may join, tokens, keys (03 §6.6, §6.9, 04 §7.2). Pure.

use super::options::counts_use;
use super::sign_in;
use crate::governance::{Governance, Signup, TokenPolicy};
use crate::settings::Settings;
use open_cowork_adapters::tokens::TokenHasher;
use open_cowork_config::model::number::Whole;
use open_cowork_contracts::access::TokenScope;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// Governance under a deployment's key, which keeps tokens and, without a cookie key, signs invitations.
#[must_use]
pub fn governance(settings: &Settings, hasher: Arc<TokenHasher>, key: &SecretString) -> Governance {
    let auth = settings.cloud.cloud.auth.as_ref();
    let tokens = auth.and_then(|auth| auth.api_tokens.as_ref());
    let default = Governance::default();
    let millis = |number: Option<Whole>, default: Duration| {
        number.map_or(default, |number| Duration::from_millis(number.get()))
    };
    let scopes = tokens.and_then(|tokens| tokens.allowed_scopes.as_ref());
    let scopes = scopes.map(|scopes| {
        let known = scopes
            .iter()
            .filter_map(|scope| TokenScope::parse(scope.as_str()));
        known.collect()
    });
    let profile = &settings.cloud.profile.name;
    let profiles = settings.cloud.cloud.profiles.as_ref();
    let profile = profiles.and_then(|profiles| profiles.get(profile));
    Governance {
        signup: Signup {
            mode: sign_in::signup_mode(settings),
            self_service: auth
                .and_then(|auth| auth.allow_self_service_signup)
                .unwrap_or(default.signup.self_service),
            allowed_email_domains: sign_in::email_domains(settings),
        },
        tokens: TokenPolicy {
            default_ttl: millis(
                tokens.and_then(|tokens| tokens.default_ttl_ms),
                default.tokens.default_ttl,
            ),
            max_ttl: millis(
                tokens.and_then(|tokens| tokens.max_ttl_ms),
                default.tokens.max_ttl,
            ),
            allowed_scopes: scopes.unwrap_or(default.tokens.allowed_scopes),
        },
        hasher,
        invite_secret: settings.keys.cookie.clone().or_else(|| Some(key.clone())),
        profile_label: profile.and_then(|profile| profile.label.clone()),
        profile_description: profile.and_then(|profile| profile.description.clone()),
        metering: counts_use(settings),
        byok: default.byok,
        validator: default.validator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{Sources, Surface};
    use open_cowork_contracts::api::admin::overview::SignupMode;

    fn of(vars: &[(&str, &str)]) -> Governance {
        let loaded = load(&Sources::new(Surface::Cloud)).unwrap();
        let vars = vars
            .iter()
            .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
        let settings = Settings::read(&loaded, &vars.collect()).unwrap();
        let key = SecretString::from("the deployment's key");
        governance(&settings, Arc::new(TokenHasher::new(&key, &[])), &key)
    }

    #[test]
    fn tokens_and_sign_up_are_as_the_settings_say() {
        let said = of(&[
            ("API_TOKEN_DEFAULT_TTL_MS", "60000"),
            ("API_TOKEN_MAX_TTL_MS", "120000"),
            ("API_TOKEN_ALLOWED_SCOPES", "desktop, operator"),
            ("SIGNUP_MODE", "invite"),
            ("ABUSE_ENABLED", "no"),
        ]);
        assert_eq!(said.tokens.default_ttl, Duration::from_secs(60));
        assert_eq!(said.tokens.max_ttl, Duration::from_secs(120));
        assert_eq!(
            said.tokens.allowed_scopes,
            [TokenScope::Desktop, TokenScope::Operator]
        );
        assert_eq!(said.signup.mode, SignupMode::Invite);
        assert!(!said.signup.self_service && !said.metering);
    }

    #[test]
    fn without_settings_people_can_be_invited_and_the_profile_has_its_name() {
        let said = of(&[]);
        assert!(said.invite_secret.is_some() && said.metering);
        assert_eq!(said.profile_label.as_deref(), Some("Full"));
        assert_eq!(said.tokens.allowed_scopes.len(), 4);
    }
}
