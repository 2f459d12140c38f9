//! Own provider keys (03 §8.14, 04 §7.2). A key comes in, is encrypted, and never goes out of this module again.

use super::{acting, billing};
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use open_cowork_contracts::api::byok::{
    ByokSecret, ByokStatus, CredentialKind, DisabledByokSecret, OverriddenByokSecret,
    SetByokSecret, ValidatedByokSecret,
};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::byok::KeyVerdict;
use open_cowork_providers::secrets::SecretMode;
use open_cowork_providers::store::governance::{ByokVerdict, StoredByok, byok_context};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Characters of a provider id at most.
const MAX_PROVIDER: usize = 64;
/// Characters of a key, a reference or a reason at most.
const MAX_SECRET: usize = 8192;
const MAX_REASON: usize = 400;

/// What is to be kept.
enum Credential {
    Key(SecretString),
    KmsRef(String),
}

/// The newest key of each provider.
///
/// # Errors
/// When the store refuses.
pub async fn list(cloud: &Cloud, principal: &Principal) -> Result<Vec<ByokSecret>, ApiError> {
    let keys = cloud.store.byok_secrets(&principal.tenant_id).await?;
    Ok(keys.into_iter().map(|key| key.secret).collect())
}

/// The newest key of a provider.
///
/// # Errors
/// 403 for a provider that isn't allowed here.
pub async fn read(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
) -> Result<Option<ByokSecret>, ApiError> {
    check_provider(cloud, provider)?;
    let key = cloud
        .store
        .byok_secret(&principal.tenant_id, provider)
        .await?;
    Ok(key.map(|key| key.secret))
}

fn check_provider(cloud: &Cloud, provider: &str) -> Result<(), ApiError> {
    let mut characters = provider.chars();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = provider.len() <= MAX_PROVIDER
        && characters.next().is_some_and(plain)
        && characters.all(|c| plain(c) || matches!(c, '.' | '_' | '-'));
    if !valid {
        return Err(ApiError::invalid(
            "A provider id has lowercase letters, digits, `.`, `_` and `-`, at most 64, and begins with a letter \
             or digit.",
        ));
    }
    let allowed = cloud.governance.byok.allowed_providers.as_ref();
    match allowed.is_none_or(|allowed| allowed.iter().any(|it| it == provider)) {
        true => Ok(()),
        false => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "byok.provider_not_allowed",
            "Keys of this provider are not taken in this deployment.",
        )),
    }
}

/// Whether the organisation's plan includes own keys of that provider. Reading and withdrawing are never asked.
async fn entitled(cloud: &Cloud, principal: &Principal, provider: &str) -> Result<(), ApiError> {
    let wish = BillingWish {
        provider: Some(provider),
        ..BillingWish::to(BillingAction::ByokProvider)
    };
    billing::gate(cloud, &principal.tenant_id, wish).await
}

/// Keeps a key; it waits for its validation while the one before stays in force.
///
/// # Errors
/// 400, 403, 503 without a store of secrets.
pub async fn set(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
    wish: SetByokSecret,
) -> Result<ByokSecret, ApiError> {
    check_provider(cloud, provider)?;
    entitled(cloud, principal, provider).await?;
    let credential = credential(cloud, wish)?;
    keep(cloud, principal, provider, credential).await
}

/// Keeps a key and validates it at once: what a page of the workbench does.
///
/// # Errors
/// As [`set`] and [`validate`].
pub async fn set_and_validate(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
    key: SecretString,
) -> Result<ByokSecret, ApiError> {
    check_provider(cloud, provider)?;
    entitled(cloud, principal, provider).await?;
    let text = key.expose_secret().trim();
    if text.is_empty() || text.len() > MAX_SECRET {
        return Err(no_key());
    }
    let kept = keep(cloud, principal, provider, Credential::Key(text.into())).await?;
    let validated = validate(cloud, principal, provider).await?;
    Ok(validated.secret.unwrap_or(kept))
}

fn no_key() -> ApiError {
    ApiError::invalid(format!(
        "Give the key in exactly one of `plaintext`, `apiKey`, `key`, `secret`, or a reference in `kmsRef`; at \
         most {MAX_SECRET} characters."
    ))
}

fn credential(cloud: &Cloud, wish: SetByokSecret) -> Result<Credential, ApiError> {
    let keys = [wish.plaintext, wish.api_key, wish.key, wish.secret];
    let mut keys: Vec<String> = keys.into_iter().flatten().collect();
    if keys.len() + usize::from(wish.kms_ref.is_some()) != 1 {
        return Err(no_key());
    }
    let long = |text: &str| text.len() > MAX_SECRET || text.chars().any(char::is_control);
    if let Some(key) = keys.pop() {
        let key = SecretString::from(key.trim());
        return match long(key.expose_secret()) {
            true => Err(no_key()),
            false => Ok(Credential::Key(key)),
        };
    }
    let Some(reference) = wish.kms_ref else {
        return Err(no_key());
    };
    let reference = reference.trim().to_owned();
    let policy = &cloud.governance.byok;
    let listed = policy
        .kms_ref_prefixes
        .iter()
        .any(|prefix| reference.starts_with(prefix.as_str()));
    let environment = reference.starts_with("env:");
    if !policy.kms_refs || !listed || (environment && !policy.env_refs) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "byok.kms_ref_not_allowed",
            "References to a key service of this kind are not taken in this deployment.",
        ));
    }
    match long(&reference) {
        true => Err(no_key()),
        false => Ok(Credential::KmsRef(reference)),
    }
}

async fn keep(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
    credential: Credential,
) -> Result<ByokSecret, ApiError> {
    if cloud.secrets.mode() == SecretMode::Unavailable {
        return Err(ApiError::unavailable(
            "secrets.unavailable",
            "Provider keys can't be kept here; the operator must set a secret key for this deployment.",
        ));
    }
    let org = acting::org_id(principal);
    let secret_id = format!("byok_{}", uuid::Uuid::new_v4());
    let (ciphertext, kms_ref, kind, last4, key_fingerprint) = match credential {
        Credential::Key(key) => {
            let context = byok_context(org.as_str(), provider, &secret_id);
            let ciphertext = cloud.secrets.protect(&key, &context).await?;
            let (last4, print) = (last4(key.expose_secret()), fingerprint(&key));
            (
                Some(ciphertext),
                None,
                CredentialKind::Plaintext,
                last4,
                print,
            )
        }
        Credential::KmsRef(reference) => {
            let last4 = last4(&reference);
            let print = hex(&Sha256::digest(format!("kms:{reference}")));
            (None, Some(reference), CredentialKind::KmsRef, last4, print)
        }
    };
    let now = cloud.now_iso();
    let new = StoredByok {
        secret: ByokSecret {
            secret_id,
            provider_id: provider.to_owned(),
            status: ByokStatus::PendingValidation,
            credential_kind: kind,
            last4,
            key_fingerprint,
            last_validated_at: None,
            validation_error: None,
            created_at: now.clone(),
            updated_at: now,
        },
        ciphertext,
        kms_ref,
        created_by: Some(principal.account_id.as_str().into()),
        rotated_from: None,
    };
    let stamp = acting::stamp(cloud, principal);
    let stored = cloud
        .store
        .add_byok(&principal.tenant_id, &new, &stamp)
        .await?;
    Ok(stored.secret)
}

/// The last four characters of a key that has enough others.
fn last4(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    match characters.len() {
        length if length >= 12 => characters[length - 4..].iter().collect(),
        _ => "****".to_owned(),
    }
}

fn fingerprint(key: &SecretString) -> String {
    let mut digest = Sha256::new();
    digest.update(b"open-cowork-byok-provider-secret-v1\0");
    digest.update(key.expose_secret().as_bytes());
    hex(&digest.finalize())
}

/// The first 24 hex digits.
fn hex(digest: &[u8]) -> String {
    digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Validates the newest key of a provider: valid makes it active and disables the one before.
///
/// # Errors
/// 503 when the provider or the store of secrets doesn't answer.
pub async fn validate(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
) -> Result<ValidatedByokSecret, ApiError> {
    check_provider(cloud, provider)?;
    entitled(cloud, principal, provider).await?;
    let Some(stored) = waiting(cloud, principal, provider).await? else {
        return Ok(ValidatedByokSecret {
            secret: None,
            validated: false,
        });
    };
    let (status, note) = verdict(cloud, principal, provider, &stored).await?;
    if status == ByokStatus::PendingValidation {
        return Ok(ValidatedByokSecret {
            secret: Some(stored.secret),
            validated: false,
        });
    }
    let verdict = ByokVerdict {
        status,
        validated: status == ByokStatus::Active,
        note,
        event_type: "byok_secret.validated",
    };
    let judged = judge(cloud, principal, &stored, &verdict).await?;
    Ok(ValidatedByokSecret {
        validated: judged.status == ByokStatus::Active,
        secret: Some(judged),
    })
}

/// The newest key of a provider, unless it was withdrawn.
async fn waiting(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
) -> Result<Option<StoredByok>, ApiError> {
    let newest = cloud
        .store
        .byok_secret(&principal.tenant_id, provider)
        .await?;
    Ok(newest.filter(|key| key.secret.status != ByokStatus::Disabled))
}

async fn verdict(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
    stored: &StoredByok,
) -> Result<(ByokStatus, Option<String>), ApiError> {
    let Some(ciphertext) = &stored.ciphertext else {
        // Only the key service could reveal it.
        return Ok((ByokStatus::PendingValidation, None));
    };
    let validator = cloud.governance.validator.as_ref();
    let Some(validator) = validator.filter(|validator| validator.knows(provider)) else {
        let status = match cloud.governance.byok.unvalidated_activation {
            true => (ByokStatus::Active, None),
            false => (
                ByokStatus::Unsupported,
                Some("Keys of this provider can't be checked here.".to_owned()),
            ),
        };
        return Ok(status);
    };
    let org = acting::org_id(principal);
    let context = byok_context(org.as_str(), provider, &stored.secret.secret_id);
    let key = cloud.secrets.reveal(ciphertext, &context).await?;
    match validator.validate(provider, &key).await {
        KeyVerdict::Valid => Ok((ByokStatus::Active, None)),
        KeyVerdict::Expired => Ok((ByokStatus::Expired, Some("The key has run out.".to_owned()))),
        KeyVerdict::Invalid(reason) => {
            // A validator's words may quote what it was given.
            let reason = reason.replace(key.expose_secret(), "[redacted]");
            Ok((ByokStatus::Invalid, Some(reason)))
        }
        // Nobody can check it now, as with a provider that has no validator.
        KeyVerdict::Unknown if cloud.governance.byok.unvalidated_activation => {
            let note = "Not checked: the provider doesn't answer.".to_owned();
            Ok((ByokStatus::Active, Some(note)))
        }
        KeyVerdict::Unknown => Err(ApiError::unavailable(
            "byok.validation_unavailable",
            "The provider doesn't answer; validate the key again in a moment.",
        )),
    }
}

async fn judge(
    cloud: &Cloud,
    principal: &Principal,
    stored: &StoredByok,
    verdict: &ByokVerdict,
) -> Result<ByokSecret, ApiError> {
    let (tenant, id) = (&principal.tenant_id, &stored.secret.secret_id);
    let stamp = acting::stamp(cloud, principal);
    let judged = cloud.store.judge_byok(tenant, id, verdict, &stamp).await?;
    Ok(judged.secret)
}

/// Takes the newest key of a provider unchecked, with a reason that stays with it.
///
/// # Errors
/// 400 without a reason.
pub async fn override_validation(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
    reason: &str,
) -> Result<OverriddenByokSecret, ApiError> {
    check_provider(cloud, provider)?;
    entitled(cloud, principal, provider).await?;
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(ApiError::invalid(format!(
            "Field `reason` must have 1 to {MAX_REASON} characters."
        )));
    }
    let Some(stored) = waiting(cloud, principal, provider).await? else {
        return Ok(OverriddenByokSecret {
            secret: None,
            overridden: false,
        });
    };
    let verdict = ByokVerdict {
        status: ByokStatus::Active,
        validated: true,
        note: Some(format!("Operator override: {reason}")),
        event_type: "byok_secret.validation_override",
    };
    Ok(OverriddenByokSecret {
        secret: Some(judge(cloud, principal, &stored, &verdict).await?),
        overridden: true,
    })
}

/// Withdraws a provider's key. The row stays, disabled.
///
/// # Errors
/// 403 for a provider that isn't allowed here.
pub async fn disable(
    cloud: &Cloud,
    principal: &Principal,
    provider: &str,
) -> Result<DisabledByokSecret, ApiError> {
    check_provider(cloud, provider)?;
    let stamp = acting::stamp(cloud, principal);
    let disabled = cloud
        .store
        .disable_byok(&principal.tenant_id, provider, &stamp)
        .await?;
    Ok(DisabledByokSecret {
        disabled: disabled.is_some(),
        secret: disabled.map(|key| key.secret),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_show_nothing_of_themselves() {
        assert_eq!(last4("sk-1234"), "****");
        assert_eq!(last4("sk-1234567890"), "7890");
    }

    #[test]
    fn equal_keys_have_equal_fingerprints_of_24_digits() {
        let print = fingerprint(&"a".into());
        assert_eq!(print.len(), 24);
        assert_eq!(print, fingerprint(&"a".into()));
        assert_ne!(print, fingerprint(&"b".into()));
    }
}
