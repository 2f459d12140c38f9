//! The configuration of an organisation's single sign-on (03 §8.17, 04 §1.6).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_adapters::tokens::random;
use open_cowork_contracts::api::admin::sso::{IssuedScimToken, UpdateSso};
use open_cowork_contracts::api::admin::{Deleted, SsoConfig, SsoProtocol};
use open_cowork_providers::secrets::SecretMode;
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::identity::{StoredSso, sso_secret_context};
use url::Url;

const MAX_DOMAINS: usize = 64;
const MAX_URL: usize = 2048;
const MAX_DISPLAY_NAME: usize = 128;
const MAX_CLIENT_ID: usize = 512;
const MAX_ENTITY_ID: usize = 1024;
/// How often a change is merged anew when somebody else was faster.
const ATTEMPTS: usize = 4;

/// The configuration, without its secrets.
///
/// # Errors
/// When the store refuses.
pub async fn read(cloud: &Cloud, principal: &Principal) -> Result<Option<SsoConfig>, ApiError> {
    let stored = cloud.store.sso(&principal.tenant_id).await?;
    Ok(stored.map(|stored| stored.config))
}

/// Changes it: absent keeps, `null` clears.
///
/// # Errors
/// 400 with the field; 503 for a secret without encryption.
pub async fn update(
    cloud: &Cloud,
    principal: &Principal,
    wish: &UpdateSso,
) -> Result<SsoConfig, ApiError> {
    put(cloud, principal, Change::Update(wish)).await
}

/// Issues a token for SCIM; the one before ends.
///
/// # Errors
/// 404 before a configuration exists.
pub async fn issue_scim_token(
    cloud: &Cloud,
    principal: &Principal,
) -> Result<IssuedScimToken, ApiError> {
    if cloud.store.sso(&principal.tenant_id).await?.is_none() {
        return Err(ApiError::not_found(
            "There is no single sign-on yet; configure it first.",
        ));
    }
    let random = random::<32>();
    let random =
        random.map_err(|error| ApiError::unavailable("tokens.unavailable", error.to_string()))?;
    let scim_token = format!("scim_{random}");
    let hash = cloud.governance.hasher.hash(&scim_token);
    let config = put(cloud, principal, Change::ScimToken(&hash)).await?;
    Ok(IssuedScimToken { config, scim_token })
}

/// Removes it.
///
/// # Errors
/// When the store refuses.
pub async fn delete(cloud: &Cloud, principal: &Principal) -> Result<Deleted, ApiError> {
    let tenant = &principal.tenant_id;
    let stamp = acting::stamp(cloud, principal);
    let deleted = cloud.store.delete_sso(tenant, &stamp).await?;
    acting::credentials_changed(cloud, tenant);
    Ok(Deleted { deleted })
}

/// What is to change.
#[derive(Clone, Copy)]
enum Change<'a> {
    Update(&'a UpdateSso),
    /// The hash of a new token for SCIM.
    ScimToken(&'a str),
}

impl Change<'_> {
    async fn apply(
        self,
        cloud: &Cloud,
        principal: &Principal,
        stored: &mut StoredSso,
    ) -> Result<(), ApiError> {
        match self {
            Change::ScimToken(hash) => {
                stored.scim_token_hash = Some(hash.to_owned());
                stored.config.scim_enabled = true;
                Ok(())
            }
            Change::Update(wish) => {
                apply(&mut stored.config, wish)?;
                let (kept, secret) = (&mut stored.oidc_client_secret, &wish.oidc_client_secret);
                keep(cloud, principal, kept, secret, "oidcClientSecret").await?;
                let (kept, secret) = (&mut stored.saml_idp_certificate, &wish.saml_idp_certificate);
                keep(cloud, principal, kept, secret, "samlIdpCertificate").await
            }
        }
    }
}

async fn put(
    cloud: &Cloud,
    principal: &Principal,
    change: Change<'_>,
) -> Result<SsoConfig, ApiError> {
    let tenant = &principal.tenant_id;
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        let before = cloud.store.sso(tenant).await?;
        let replaces = before
            .as_ref()
            .map(|before| before.config.updated_at.clone());
        let mut stored = match before {
            Some(before) => before,
            None => fresh(principal)?,
        };
        change.apply(cloud, principal, &mut stored).await?;
        let stamp = acting::stamp(cloud, principal);
        let put = cloud
            .store
            .put_sso(tenant, &stored, replaces.as_deref(), &stamp);
        match put.await {
            Ok(stored) => {
                acting::credentials_changed(cloud, tenant);
                return Ok(stored.config);
            }
            Err(StoreError::Conflict(sentence)) => conflict = Some(ApiError::conflict(sentence)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict.unwrap_or_else(ApiError::internal))
}

fn fresh(principal: &Principal) -> Result<StoredSso, ApiError> {
    let random = random::<24>();
    let random =
        random.map_err(|error| ApiError::unavailable("tokens.unavailable", error.to_string()))?;
    Ok(StoredSso {
        config: SsoConfig {
            org_id: acting::org_id(principal),
            protocol: SsoProtocol::Oidc,
            enabled: false,
            enforced: false,
            display_name: None,
            verified_domains: Vec::new(),
            domain_verification_token: format!("ocw-sso-verify-{random}"),
            oidc_issuer: None,
            oidc_client_id: None,
            saml_entity_id: None,
            saml_acs_url: None,
            saml_slo_url: None,
            saml_idp_entity_id: None,
            saml_idp_sso_url: None,
            saml_idp_metadata_url: None,
            scim_enabled: false,
            created_at: String::new(),
            updated_at: String::new(),
            has_oidc_client_secret: false,
            has_saml_idp_certificate: false,
            has_scim_token: false,
        },
        oidc_client_secret: None,
        saml_idp_certificate: None,
        scim_token_hash: None,
    })
}

async fn keep(
    cloud: &Cloud,
    principal: &Principal,
    stored: &mut Option<String>,
    wish: &Option<Option<String>>,
    field: &str,
) -> Result<(), ApiError> {
    match wish {
        None => {}
        Some(secret) => match secret.as_deref().filter(|secret| !secret.is_empty()) {
            None => *stored = None,
            Some(_) if cloud.secrets.mode() != SecretMode::EnvelopeV1 => {
                return Err(ApiError::unavailable(
                    "secrets.unavailable",
                    "Secrets of single sign-on are only kept encrypted; the operator must set a secret key.",
                ));
            }
            Some(secret) => {
                let context = sso_secret_context(&acting::org_id(principal), field);
                *stored = Some(cloud.secrets.protect(&secret.into(), &context).await?);
            }
        },
    }
    Ok(())
}

fn apply(config: &mut SsoConfig, wish: &UpdateSso) -> Result<(), ApiError> {
    config.protocol = wish.protocol.unwrap_or(config.protocol);
    config.enabled = wish.enabled.unwrap_or(config.enabled);
    config.enforced = wish.enforced.unwrap_or(config.enforced);
    if let Some(domains) = &wish.verified_domains {
        config.verified_domains = self::domains(domains)?;
    }
    for (field, value, target, most, is_url) in [
        (
            "displayName",
            &wish.display_name,
            &mut config.display_name,
            MAX_DISPLAY_NAME,
            false,
        ),
        (
            "oidcIssuer",
            &wish.oidc_issuer,
            &mut config.oidc_issuer,
            MAX_URL,
            true,
        ),
        (
            "oidcClientId",
            &wish.oidc_client_id,
            &mut config.oidc_client_id,
            MAX_CLIENT_ID,
            false,
        ),
        (
            "samlEntityId",
            &wish.saml_entity_id,
            &mut config.saml_entity_id,
            MAX_ENTITY_ID,
            false,
        ),
        (
            "samlAcsUrl",
            &wish.saml_acs_url,
            &mut config.saml_acs_url,
            MAX_URL,
            true,
        ),
        (
            "samlSloUrl",
            &wish.saml_slo_url,
            &mut config.saml_slo_url,
            MAX_URL,
            true,
        ),
        (
            "samlIdpEntityId",
            &wish.saml_idp_entity_id,
            &mut config.saml_idp_entity_id,
            MAX_ENTITY_ID,
            false,
        ),
        (
            "samlIdpSsoUrl",
            &wish.saml_idp_sso_url,
            &mut config.saml_idp_sso_url,
            MAX_URL,
            true,
        ),
        (
            "samlIdpMetadataUrl",
            &wish.saml_idp_metadata_url,
            &mut config.saml_idp_metadata_url,
            MAX_URL,
            true,
        ),
    ] {
        let Some(value) = value else { continue };
        let value = value
            .as_deref()
            .map(str::trim)
            .filter(|value| !value.is_empty());
        if let Some(text) = value {
            let odd = text.chars().count() > most || text.chars().any(char::is_control);
            if odd || (is_url && !is_https(text)) {
                let what = if is_url { "an https address" } else { "text" };
                return Err(ApiError::invalid(format!(
                    "Field `{field}` must be {what} of at most {most} characters, or null."
                )));
            }
        }
        *target = value.map(str::to_owned);
    }
    Ok(())
}

fn is_https(text: &str) -> bool {
    let url = Url::parse(text);
    url.is_ok_and(|url| {
        url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
    })
}

fn domains(wished: &[String]) -> Result<Vec<String>, ApiError> {
    let mut domains: Vec<String> = wished.iter().map(|it| it.trim().to_lowercase()).collect();
    domains.sort_unstable();
    domains.dedup();
    let valid = |domain: &String| {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label)
    };
    match domains.len() <= MAX_DOMAINS && domains.iter().all(valid) {
        true => Ok(domains),
        false => Err(ApiError::invalid(format!(
            "Field `verifiedDomains` must be at most {MAX_DOMAINS} domains such as example.com."
        ))),
    }
}
