//! The checks of readiness that follow from what a process was told (04 §11). They are decided once: the boot guards
//! refuse nearly all of it, and a program that embeds the server without them is told here.

use crate::cloud::Check;
use crate::settings::{Settings, is_loopback};
use async_trait::async_trait;
use open_cowork_config::cloud::DeploymentTier;
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_config::model::cloud::auth::CloudAuthMode;
use open_cowork_config::model::cloud::billing::BillingProvider;
use std::sync::Arc;

/// What a program brought beside what its settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// The provider that bills is there.
    pub billing: bool,
    /// Users are kept apart by more than a process and a home each.
    pub isolation: bool,
    /// Uploads around this server end in a store that somebody attested.
    pub direct_uploads: bool,
}

/// The checks, in the contract's order. One that fails is told to the log at once.
#[must_use]
pub fn checks(settings: &Settings, brought: Brought) -> Vec<Arc<dyn Check>> {
    let all = [
        ("billing_adapter", Some(billing(settings, brought))),
        ("auth_config", Some(sign_in(settings))),
        ("role_dependencies", Some(dependencies(settings))),
        ("execution_isolation", Some(isolation(settings, brought))),
        ("artifact_direct_upload", direct_uploads(settings, brought)),
    ];
    let decided = all.into_iter().filter_map(|(name, found)| {
        let found = found?;
        if let Err(detail) = &found {
            tracing::warn!(check = name, detail, "this server will not become ready");
        }
        Some(Arc::new(Decided { name, found }) as Arc<dyn Check>)
    });
    decided.collect()
}

/// A check whose result doesn't change while the process lives.
struct Decided {
    name: &'static str,
    found: Result<(), String>,
}

#[async_trait]
impl Check for Decided {
    fn name(&self) -> &str {
        self.name
    }

    async fn run(&self) -> Result<(), String> {
        self.found.clone()
    }
}

fn unless(wrong: bool, detail: &str) -> Result<(), String> {
    match wrong {
        true => Err(detail.to_owned()),
        false => Ok(()),
    }
}

fn is_production(settings: &Settings) -> bool {
    settings.cloud.deployment_tier == DeploymentTier::PublicProduction
}

fn executes(settings: &Settings) -> bool {
    matches!(settings.role, CloudRole::AllInOne | CloudRole::Worker)
}

fn billing(settings: &Settings, brought: Brought) -> Result<(), String> {
    let wanted = settings
        .cloud
        .cloud
        .billing
        .as_ref()
        .is_some_and(|billing| {
            let provider = billing.provider.unwrap_or(BillingProvider::None);
            billing.enabled == Some(true) && provider != BillingProvider::None
        });
    unless(
        wanted && !brought.billing,
        "Billing is on, and the adapter of its provider is missing.",
    )
}

fn sign_in(settings: &Settings) -> Result<(), String> {
    let auth = settings.cloud.cloud.auth.as_ref();
    let url = settings.cloud.public_url.as_deref();
    match settings.auth_mode {
        CloudAuthMode::None => unless(
            is_production(settings)
                || !(settings.listen.is_loopback() || settings.permits.insecure_auth),
            "Nobody has to sign in, and others can reach this server.",
        )?,
        CloudAuthMode::Header => {
            let unsigned = auth.and_then(|auth| auth.header_allow_unsigned) == Some(true);
            unless(
                settings.keys.header.is_none() && !unsigned,
                "The key that the proxy signs with is missing.",
            )?;
        }
        CloudAuthMode::Oidc => {
            let text = |given: Option<&String>| given.is_some_and(|text| !text.is_empty());
            let issuer = text(auth.and_then(|auth| auth.issuer_url.as_ref()));
            let client = text(auth.and_then(|auth| auth.client_id.as_ref()));
            unless(
                !issuer || !client,
                "The identity provider's address or our name there is missing.",
            )?;
            unless(
                settings.keys.cookie.is_none(),
                "The key of browser sessions is missing.",
            )?;
            let back = url.is_some_and(|url| url.starts_with("https://"));
            unless(
                !back && !settings.listen.is_loopback(),
                "The https address is missing that the identity provider sends browsers back to.",
            )?;
        }
    }
    let https = url.is_some_and(|url| {
        let host = url.strip_prefix("https://").unwrap_or_default();
        !host.is_empty() && !is_loopback(host)
    });
    unless(
        is_production(settings) && !https,
        "Public production is reached by a public https address, and none is set.",
    )
}

fn dependencies(settings: &Settings) -> Result<(), String> {
    unless(
        is_production(settings) && executes(settings) && !settings.worker.checkpoints,
        "Workers of public production save what a session has on disk, and checkpoints are off.",
    )
}

fn isolation(settings: &Settings, brought: Brought) -> Result<(), String> {
    let needed = settings.cloud.deployment_tier != DeploymentTier::Local && executes(settings);
    unless(
        needed && !brought.isolation,
        "Coworkers of different people would share one machine account, which only the tier `local` allows.",
    )
}

/// Nothing where nobody asked for it.
fn direct_uploads(settings: &Settings, brought: Brought) -> Option<Result<(), String>> {
    match settings.http.direct_upload_mode.as_str() {
        "off" | "" => None,
        "enabled" => Some(unless(!brought.direct_uploads, "provider_unattested")),
        _ => Some(Err("config_invalid".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{Sources, Surface};

    /// Names of the checks, and of those that fail.
    async fn of(vars: &[(&str, &str)], brought: Brought) -> (Vec<String>, Vec<String>) {
        let loaded = load(&Sources::new(Surface::Cloud)).unwrap();
        let vars = vars
            .iter()
            .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
        let settings = Settings::read(&loaded, &vars.collect()).unwrap();
        let (mut names, mut failed) = (Vec::new(), Vec::new());
        for check in checks(&settings, brought) {
            names.push(check.name().to_owned());
            if let Err(detail) = check.run().await {
                assert!(!detail.contains("s3cret"), "{detail}");
                failed.push(format!("{}: {detail}", check.name()));
            }
        }
        (names, failed)
    }

    async fn failed(vars: &[(&str, &str)]) -> Vec<String> {
        let (_, failed) = of(vars, Brought::default()).await;
        let name = |text: String| text.split(": ").next().unwrap().to_owned();
        failed.into_iter().map(name).collect()
    }

    #[tokio::test]
    async fn a_server_without_settings_passes_them_all_in_the_contract_s_order() {
        let (names, failed) = of(&[], Brought::default()).await;
        assert_eq!(
            names,
            [
                "billing_adapter",
                "auth_config",
                "role_dependencies",
                "execution_isolation"
            ]
        );
        assert_eq!(failed, [""; 0]);
    }

    #[tokio::test]
    async fn sign_in_that_can_t_work_is_told() {
        let key = ("HEADER_AUTH_SECRET", "s3cret");
        assert_eq!(failed(&[("AUTH_MODE", "header")]).await, ["auth_config"]);
        assert_eq!(failed(&[("AUTH_MODE", "header"), key]).await, [""; 0]);
        let oidc = [
            ("AUTH_MODE", "oidc"),
            ("OIDC_ISSUER_URL", "https://id.example.com"),
            ("OIDC_CLIENT_ID", "cowork"),
            ("COOKIE_SECRET", "s3cret"),
            ("PUBLIC_URL", "https://cowork.example.com"),
        ];
        assert_eq!(failed(&oidc).await, [""; 0]);
        for missing in 1..oidc.len() {
            let mut some = oidc.to_vec();
            some.remove(missing);
            assert_eq!(failed(&some).await, ["auth_config"], "{}", oidc[missing].0);
        }
        assert_eq!(failed(&[("HOST", "0.0.0.0")]).await, ["auth_config"]);
    }

    #[tokio::test]
    async fn what_a_tier_asks_for_is_told_where_it_is_missing() {
        let production = ("DEPLOYMENT_TIER", "public_production");
        let worker = [
            production,
            ("ROLE", "worker"),
            ("PUBLIC_URL", "https://c.example.com"),
        ];
        let header = [("AUTH_MODE", "header"), ("HEADER_AUTH_SECRET", "s3cret")];
        let vars: Vec<_> = worker.into_iter().chain(header).collect();
        assert_eq!(
            failed(&vars).await,
            ["role_dependencies", "execution_isolation"]
        );
        let apart = Brought {
            isolation: true,
            ..Brought::default()
        };
        let (_, left) = of(&vars, apart).await;
        assert_eq!(left.len(), 1, "{left:?}");
        let local: Vec<_> = [production, ("ROLE", "web")]
            .into_iter()
            .chain(header)
            .collect();
        assert_eq!(failed(&local).await, ["auth_config"], "no https");
    }

    #[tokio::test]
    async fn a_feature_that_is_on_and_has_no_adapter_is_told() {
        let billing = [("BILLING_ENABLED", "true"), ("BILLING_PROVIDER", "stripe")];
        assert_eq!(failed(&billing).await, ["billing_adapter"]);
        let brought = Brought {
            billing: true,
            direct_uploads: true,
            ..Brought::default()
        };
        assert_eq!(of(&billing, brought).await.1, [""; 0]);
        for (mode, detail) in [
            ("enabled", "provider_unattested"),
            ("perhaps", "config_invalid"),
        ] {
            let (_, failed) =
                of(&[("ARTIFACT_DIRECT_UPLOAD_MODE", mode)], Brought::default()).await;
            assert_eq!(failed, [format!("artifact_direct_upload: {detail}")]);
        }
        let enabled = [("ARTIFACT_DIRECT_UPLOAD_MODE", "enabled")];
        assert_eq!(of(&enabled, brought).await.1, [""; 0]);
    }
}
