//! What a cloud process refuses to start with (04 §15, 03 §3). Pure, and all of it at once.

use crate::settings::{Settings, is_loopback};
use open_cowork_config::cloud::DeploymentTier;
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_config::model::cloud::auth::CloudAuthMode;
use open_cowork_config::model::cloud::billing::BillingProvider;
use open_cowork_config::model::cloud::features::EntitlementsProvider;
use open_cowork_config::model::cloud::storage::ObjectStoreKind;
use open_cowork_contracts::finding::Finding;
use secrecy::{ExposeSecret as _, SecretString};

/// Fewest bytes of a key that signs or encrypts.
const KEY_BYTES: usize = 32;

/// Everything that stands against starting; warnings among it don't. `is_strong` is the rule of secret keys
/// (04 §7.1).
#[must_use]
pub fn guards(settings: &Settings, is_strong: impl Fn(&SecretString) -> bool) -> Vec<Finding> {
    let mut guards = Guards {
        settings,
        found: Vec::new(),
    };
    guards.reach();
    guards.parts();
    guards.tokens();
    guards.plans();
    guards.proxies();
    guards.keys(&is_strong);
    if settings.cloud.deployment_tier == DeploymentTier::PublicProduction {
        guards.production(&is_strong);
    }
    guards.found
}

struct Guards<'a> {
    settings: &'a Settings,
    found: Vec<Finding>,
}

impl Guards<'_> {
    fn refuse(&mut self, variable: &str, why: &str, help: &str) {
        let place = format!("OPEN_COWORK_CLOUD_{variable}");
        let finding = Finding::error("CLOUD_BOOT", place, why);
        self.found.push(finding.with_help(help));
    }

    fn warn(&mut self, variable: &str, why: &str, help: &str) {
        let place = format!("OPEN_COWORK_CLOUD_{variable}");
        let finding = Finding::error("CLOUD_BOOT", place, why).into_warning();
        self.found.push(finding.with_help(help));
    }

    fn serves(&self) -> bool {
        matches!(self.settings.role, CloudRole::AllInOne | CloudRole::Web)
    }

    fn executes(&self) -> bool {
        matches!(self.settings.role, CloudRole::AllInOne | CloudRole::Worker)
    }

    /// Who can reach it, and what they must show: only roles that serve HTTP are reached.
    fn reach(&mut self) {
        if !self.serves() {
            return;
        }
        let settings = self.settings;
        let bind = is_loopback(&settings.listen.host);
        let published = settings.listen.published.as_deref().is_none_or(is_loopback);
        let public_url = settings.cloud.public_url.as_deref();
        let local_url = public_url.is_none_or(|url| is_loopback(authority(url)));
        let https = public_url.is_some_and(|url| url.starts_with("https://"));
        match settings.auth_mode {
            CloudAuthMode::None => {
                // A container listens on all of its own addresses; what counts is where it is published.
                let demo = settings.permits.insecure_auth
                    && settings.listen.published.is_some()
                    && published;
                let insecure =
                    settings.permits.insecure_auth && settings.listen.published.is_none();
                if !published || !local_url {
                    self.refuse(
                        "AUTH_MODE",
                        "Without sign-in everybody who reaches this server is its owner, and it is published beyond \
                         this machine.",
                        "Set AUTH_MODE to oidc or header, or publish it on 127.0.0.1 only.",
                    );
                } else if !bind && !demo && !insecure {
                    self.refuse(
                        "AUTH_MODE",
                        "Without sign-in everybody who reaches this server is its owner, and it would listen beyond \
                         this machine.",
                        "Unset HOST, set AUTH_MODE to oidc or header, or set ALLOW_INSECURE_AUTH on a network of \
                         your own.",
                    );
                } else if !bind {
                    self.warn(
                        "ALLOW_INSECURE_AUTH",
                        "Everybody who reaches this server is its owner.",
                        "Set AUTH_MODE to oidc or header before others can reach it.",
                    );
                }
            }
            CloudAuthMode::Header => {
                let auth = settings.cloud.cloud.auth.as_ref();
                let unsigned = auth
                    .and_then(|auth| auth.header_allow_unsigned)
                    .unwrap_or(false);
                let public = !settings.listen.is_loopback() || !local_url;
                if public && unsigned {
                    self.refuse(
                        "HEADER_AUTH_ALLOW_UNSIGNED",
                        "Unsigned headers are believed, and others can reach this server: they could write any name \
                         into them.",
                        "Unset it and let the proxy sign.",
                    );
                }
                if settings.keys.header.is_none() && (public || !unsigned) {
                    self.refuse(
                        "HEADER_AUTH_SECRET",
                        "It is not set, so no signature of the proxy can be checked.",
                        "Set it to the key that the proxy signs with.",
                    );
                }
            }
            CloudAuthMode::Oidc => {
                if (!settings.listen.is_loopback() || !local_url) && !https {
                    self.refuse(
                        "PUBLIC_URL",
                        "People sign in at the OpenID provider, which must know an https address to send them back to.",
                        "Set it to the address that people open, such as https://cowork.example.com.",
                    );
                }
                let auth = settings.cloud.cloud.auth.as_ref();
                if auth.is_none_or(|auth| auth.issuer_url.is_none()) {
                    self.refuse(
                        "OIDC_ISSUER_URL",
                        "It is not set, and sign-in `oidc` needs a provider.",
                        "Set it to the provider's address.",
                    );
                }
                if auth.is_none_or(|auth| auth.client_id.is_none()) {
                    self.refuse(
                        "OIDC_CLIENT_ID",
                        "It is not set, and the provider must know who asks.",
                        "Set it to the client that was made for this server.",
                    );
                }
                if settings.keys.cookie.is_none() {
                    self.refuse(
                        "COOKIE_SECRET",
                        "Neither it nor SECRET_KEY is set, so that browsers can't stay signed in.",
                        "Set it to at least 32 random bytes, such as `openssl rand -base64 48` prints.",
                    );
                }
            }
        }
    }

    /// What the role needs to be of use.
    fn parts(&mut self) {
        let settings = self.settings;
        let tier = settings.cloud.deployment_tier;
        if settings.role != CloudRole::AllInOne && settings.records.postgres.is_none() {
            self.refuse(
                "CONTROL_PLANE_URL",
                "Roles that are split over processes share one PostgreSQL, and none is named.",
                "Set it to postgresql://user:password@host/database, or unset ROLE.",
            );
        }
        let executes = self.executes();
        if tier != DeploymentTier::Local {
            if executes && settings.worker.isolation == "development-process" {
                self.refuse(
                    "EXECUTION_ISOLATION_MODE",
                    "Coworkers of all people would run under one machine account, which only the tier `local` allows.",
                    "Set DEPLOYMENT_TIER to local if everybody here may see everything, or run a program with an \
                     isolation adapter.",
                );
            }
            if executes && settings.worker.id.is_none() {
                self.refuse(
                    "WORKER_ID",
                    "It is not set; outside of the tier `local` every worker has a name of its own.",
                    "Set it to one, such as worker-1.",
                );
            }
            if settings.records.postgres.is_none()
                && tier == DeploymentTier::SelfHostBeta
                && !settings.permits.ephemeral_storage
            {
                self.warn(
                    "CONTROL_PLANE_URL",
                    "Records are on one disk of one machine.",
                    "Back that disk up, use PostgreSQL, or set ALLOW_EPHEMERAL_STORAGE if that is fine.",
                );
            }
        }
        if settings.records.postgres.is_some() && settings.keys.secret.is_none() {
            self.warn(
                "SECRET_KEY",
                "It is not set, so each folder ROOT gets a key of its own, and processes with another ROOT can't read \
                 provider keys or recognise API tokens.",
                "Set it to at least 32 random bytes, the same for every process.",
            );
        }
    }

    /// Off unless enabled with a provider, and of providers this program knows none (04 §8).
    fn plans(&mut self) {
        let cloud = &self.settings.cloud.cloud;
        let billing = cloud.billing.as_ref();
        let known = [BillingProvider::None, BillingProvider::Stub];
        let bills = billing.is_some_and(|billing| {
            billing.enabled == Some(true)
                && billing
                    .provider
                    .is_some_and(|provider| !known.contains(&provider))
        });
        let plans = cloud.entitlements.as_ref();
        let limits = plans.is_some_and(|plans| {
            plans.enabled == Some(true)
                && plans
                    .provider
                    .is_some_and(|provider| provider != EntitlementsProvider::None)
        });
        for (variable, is_on) in [
            ("BILLING_PROVIDER", bills),
            ("ENTITLEMENTS_PROVIDER", limits),
        ] {
            if is_on {
                self.refuse(
                    variable,
                    "This program has no adapter for that provider, so that nothing would be billed or limited.",
                    "Unset it, or run a program with that adapter.",
                );
            }
        }
    }

    /// A token that says nothing about its life may not live longer than any may.
    fn tokens(&mut self) {
        let tokens = self
            .settings
            .cloud
            .cloud
            .auth
            .as_ref()
            .and_then(|auth| auth.api_tokens.as_ref());
        let ttl = tokens.and_then(|tokens| Some((tokens.default_ttl_ms?, tokens.max_ttl_ms?)));
        if ttl.is_some_and(|(default, most)| default.get() > most.get()) {
            self.refuse(
                "API_TOKEN_DEFAULT_TTL_MS",
                "It is above API_TOKEN_MAX_TTL_MS.",
                "Lower it, or raise the other.",
            );
        }
    }

    /// Behind a proxy that isn't trusted everybody has the proxy's address.
    fn proxies(&mut self) {
        let behind_one = self.settings.auth_mode == CloudAuthMode::Header;
        if behind_one && self.serves() && !self.settings.http.trust_proxy_headers {
            self.warn(
                "TRUST_PROXY_HEADERS",
                "It is off, so everybody behind the signing proxy counts as one address: the failures of one slow \
                 down or lock out all, and limits per address are shared.",
                "Turn it on and write the proxy's networks into TRUSTED_PROXY_CIDRS.",
            );
        }
    }

    fn keys(&mut self, is_strong: &impl Fn(&SecretString) -> bool) {
        let keys = &self.settings.keys;
        let production = self.settings.cloud.deployment_tier == DeploymentTier::PublicProduction;
        if keys.cookie_is_own && keys.cookie.as_ref().is_some_and(short) && self.serves() {
            self.refuse(
                "COOKIE_SECRET",
                "It has less than 32 bytes, so that a browser session could be forged.",
                "Set it to at least 32 random bytes, such as `openssl rand -base64 48` prints.",
            );
        }
        if !production && keys.secret.as_ref().is_some_and(|key| !is_strong(key)) {
            self.warn(
                "SECRET_KEY",
                "It can be guessed: it is short, repeats itself or is made of words.",
                "Set it to at least 32 random bytes, and keep this one in SECRET_KEY_PREVIOUS.",
            );
        }
    }

    fn production(&mut self, is_strong: &impl Fn(&SecretString) -> bool) {
        let settings = self.settings;
        let keys = &settings.keys;
        if settings.role == CloudRole::AllInOne {
            self.refuse(
                "ROLE",
                "In public production one process doesn't do everything.",
                "Start processes with ROLE web, worker and scheduler.",
            );
        }
        if settings.records.postgres.is_none() && settings.role == CloudRole::AllInOne {
            self.refuse(
                "CONTROL_PLANE_URL",
                "Public production keeps its records in PostgreSQL.",
                "Set it to postgresql://user:password@host/database.",
            );
        }
        if settings.records.objects == ObjectStoreKind::Filesystem {
            self.refuse(
                "OBJECT_STORE_KIND",
                "Public production keeps artifacts in an object store that survives this machine.",
                "Use a program with an adapter for one, or another DEPLOYMENT_TIER.",
            );
        }
        if settings.records.run_migrations {
            self.refuse(
                "RUN_MIGRATIONS",
                "In public production no server changes the schema by itself.",
                "Set it to false and run `open-cowork cloud migrate` before the new version starts.",
            );
        }
        if !keys.secret.as_ref().is_some_and(is_strong) {
            self.refuse(
                "SECRET_KEY",
                "It is not set or can be guessed, so that stored secrets wouldn't be safe.",
                "Set it to at least 32 random bytes, such as `openssl rand -base64 48` prints.",
            );
        }
        if settings.permits.insecure_auth {
            self.refuse(
                "ALLOW_INSECURE_AUTH",
                "It is a switch for demonstrations.",
                "Unset it.",
            );
        }
        let auth = settings.cloud.cloud.auth.as_ref();
        if auth.and_then(|auth| auth.header_allow_unsigned) == Some(true) {
            self.refuse(
                "HEADER_AUTH_ALLOW_UNSIGNED",
                "It is a switch for demonstrations.",
                "Unset it.",
            );
        }
        if settings.auth_mode == CloudAuthMode::None && self.serves() {
            self.refuse(
                "AUTH_MODE",
                "Public production needs sign-in.",
                "Set it to oidc or header.",
            );
        }
        if settings.retention.session_events.is_none() {
            self.refuse(
                "RETENTION_SESSION_EVENT_MS",
                "It is not set, so that events would be kept for ever.",
                "Set how long they are kept, such as 31536000000 for a year.",
            );
        }
        if settings.retention.workspace_events.is_none() {
            self.refuse(
                "RETENTION_WORKSPACE_EVENT_MS",
                "It is not set, so that events would be kept for ever.",
                "Set how long they are kept, such as 2592000000 for 30 days.",
            );
        }
        if self.executes() && !settings.worker.checkpoints {
            self.refuse(
                "CHECKPOINTS_ENABLED",
                "It is off, so that a session's files are lost with the worker that holds them.",
                "Set it to true.",
            );
        }
        if !self.serves() {
            return;
        }
        let https = |url: &str| url.starts_with("https://");
        if !settings.cloud.public_url.as_deref().is_some_and(https)
            && settings.auth_mode != CloudAuthMode::Oidc
        {
            self.refuse(
                "PUBLIC_URL",
                "Public production is reached over https.",
                "Set it to the address that people open, such as https://cowork.example.com.",
            );
        }
        if !settings.signup_is_explicit {
            self.refuse(
                "SIGNUP_MODE",
                "Nobody said who may join.",
                "Set it to disabled, invite, domain or open.",
            );
        }
        if !settings.http.cookie_secure {
            self.refuse(
                "COOKIE_SECURE",
                "Cookies would travel in the clear.",
                "Unset it.",
            );
        }
        let same = match (&keys.cookie, &keys.secret) {
            (Some(cookie), Some(secret)) => cookie.expose_secret() == secret.expose_secret(),
            _ => false,
        };
        if !keys.cookie_is_own || same {
            self.refuse(
                "COOKIE_SECRET",
                "It is not set or the same as SECRET_KEY.",
                "Set it to at least 32 random bytes of its own.",
            );
        }
        if settings.http.auto_process_commands {
            self.refuse(
                "AUTO_PROCESS_COMMANDS",
                "In public production a web process runs no commands.",
                "Set it to false.",
            );
        }
    }
}

fn short(key: &SecretString) -> bool {
    key.expose_secret().len() < KEY_BYTES
}

/// Host and port of an address.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
