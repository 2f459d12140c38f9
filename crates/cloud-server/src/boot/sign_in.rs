//! From what a process is told to how it signs people in (03 §6). Pure.

use super::options::abuse;
use crate::auth::{AuthOptions, CookieOptions, HeaderOptions, Mode, TrustedProxies};
use crate::settings::Settings;
use open_cowork_config::model::cloud::auth::{CloudAuthMode, SignupMode as Configured};
use open_cowork_config::model::number::Whole;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_contracts::finding::Finding;
use open_cowork_providers::store::browser::BackoffRule;
use std::time::Duration;

/// Who may join.
pub(super) fn signup_mode(settings: &Settings) -> SignupMode {
    let configured = settings.cloud.cloud.auth.as_ref();
    match configured.and_then(|auth| auth.signup_mode) {
        Some(Configured::Disabled) => SignupMode::Disabled,
        Some(Configured::Invite) => SignupMode::Invite,
        Some(Configured::Domain) => SignupMode::Domain,
        Some(Configured::Open) | None => SignupMode::Open,
    }
}

/// The domains of the mode `domain`, in lower case.
pub(super) fn email_domains(settings: &Settings) -> Vec<String> {
    let configured = settings.cloud.cloud.auth.as_ref();
    let domains = configured.and_then(|auth| auth.allowed_email_domains.as_ref());
    domains
        .into_iter()
        .flatten()
        .map(|domain| domain.trim().to_ascii_lowercase())
        .collect()
}

/// How people sign in.
///
/// # Errors
/// Every entry of TRUSTED_PROXY_CIDRS that is no network.
pub fn auth(settings: &Settings) -> Result<AuthOptions, Vec<Finding>> {
    let configured = settings.cloud.cloud.auth.as_ref();
    let default = AuthOptions::default();
    let header = || HeaderOptions {
        secret: settings.keys.header.clone(),
        max_age: configured
            .and_then(|auth| auth.header_max_signature_age_ms)
            .map_or(HeaderOptions::default().max_age, |age| {
                Duration::from_millis(age.get())
            }),
        ..HeaderOptions::default()
    };
    let mode = match settings.auth_mode {
        CloudAuthMode::None => Mode::None,
        CloudAuthMode::Header => Mode::Header(header()),
        CloudAuthMode::Oidc => Mode::Oidc,
    };
    let back_off = abuse(settings)
        .and_then(|abuse| abuse.auth_backoff.as_ref())
        .filter(|rule| rule.enabled != Some(false))
        .map(|rule| BackoffRule {
            window_ms: rule.window_ms.map_or(60_000, Whole::get),
            max_failures: rule
                .max_failures
                .map_or(10, |most| u32::try_from(most.get()).unwrap_or(u32::MAX)),
            backoff_ms: rule.backoff_ms.map_or(60_000, Whole::get),
        });
    let proxies = match settings.http.trust_proxy_headers {
        true => TrustedProxies::parse(&settings.http.trusted_proxy_cidrs)?,
        false => TrustedProxies::none(),
    };
    Ok(AuthOptions {
        // Without sign-in there is nobody whom a cookie could remember.
        cookies: settings
            .keys
            .cookie
            .clone()
            .filter(|_| settings.auth_mode != CloudAuthMode::None)
            .map(|secret| CookieOptions {
                secret,
                secure: settings.http.cookie_secure,
            }),
        mode,
        public_url: settings.cloud.public_url.clone(),
        callback_path: configured
            .and_then(|auth| auth.callback_path.clone())
            .unwrap_or(default.callback_path),
        signup: signup_mode(settings),
        allowed_email_domains: email_domains(settings),
        single_org: settings
            .single_org
            .as_ref()
            .map(|org| (org.id.clone(), org.name.clone())),
        proxies,
        back_off,
        shared_store: settings.records.postgres.is_some(),
        // Where no wake-up tells of a revocation elsewhere, nothing is believed for long.
        trust: match settings.records.postgres.is_some() && !settings.streams.notify {
            true => Duration::from_secs(2),
            false => default.trust,
        },
        ..AuthOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{Sources, Surface};

    fn settings(vars: &[(&str, &str)]) -> Settings {
        let loaded = load(&Sources::new(Surface::Cloud)).unwrap();
        let vars = vars
            .iter()
            .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
        Settings::read(&loaded, &vars.collect()).unwrap()
    }

    #[test]
    fn sign_in_follows_the_mode() {
        let open = auth(&settings(&[("SECRET_KEY", "k")])).unwrap();
        assert!(matches!(open.mode, Mode::None) && open.cookies.is_none());
        let header = auth(&settings(&[
            ("AUTH_MODE", "header"),
            ("HEADER_AUTH_SECRET", "s"),
            ("HEADER_AUTH_MAX_SIGNATURE_AGE_MS", "9000"),
            ("COOKIE_SECRET", "c"),
            ("TRUST_PROXY_HEADERS", "1"),
            ("TRUSTED_PROXY_CIDRS", "10.0.0.0/8"),
            ("ORG_MODE", "single-org"),
            ("ALLOWED_EMAIL_DOMAINS", "Example.COM"),
            ("SIGNUP_MODE", "domain"),
        ]))
        .unwrap();
        let Mode::Header(proxy) = &header.mode else {
            panic!()
        };
        assert!(proxy.secret.is_some() && proxy.max_age == Duration::from_millis(9000));
        assert!(header.cookies.is_some());
        assert_eq!(
            header.single_org,
            Some(("default".into(), "Default Organization".into()))
        );
        assert_eq!(header.signup, SignupMode::Domain);
        assert_eq!(header.allowed_email_domains, ["example.com"]);
    }

    #[test]
    fn without_abuse_control_nobody_counts_failures() {
        let off = settings(&[("ABUSE_ENABLED", "false")]);
        assert!(auth(&off).unwrap().back_off.is_none());
        assert_eq!(
            auth(&settings(&[])).unwrap().back_off.unwrap().max_failures,
            10
        );
    }
}
