//! Signed calls from outside that start a workflow (03 §8.20, 07 §9.8).
//!
//! Whoever can't prove the secret learns nothing: an unknown workflow, a bad signature and a repeated call read
//! the same. Whoever can is told what is wrong.

use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::json;
use crate::service::workflows::{self, Start};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use open_cowork_contracts::access::Feature;
use open_cowork_contracts::api::workflows::{TriggerKind, WebhookAccepted, WorkflowStatus};
use open_cowork_contracts::{RunId, WorkflowId};
use open_cowork_providers::store::browser::{BackoffRule, RateClaim};
use open_cowork_providers::store::workflows::{WorkflowRow, schedule, secret_context};
use open_cowork_providers::time::parse_iso;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::time::Duration;

/// When it was signed.
pub const TIMESTAMP: &str = "x-open-cowork-timestamp";
/// `sha256=` and the hexadecimal HMAC of `<timestamp>.<body>`.
pub const SIGNATURE: &str = "x-open-cowork-signature";
/// How far the time may be off, either way.
const SKEW_MS: i64 = 5 * 60 * 1000;
/// Calls of one source.
const RATE: (u32, u64) = (120, 60_000);
/// Failures of one source at one workflow.
const BACK_OFF: BackoffRule = BackoffRule {
    window_ms: 60_000,
    max_failures: 5,
    backoff_ms: 60_000,
};

fn refused() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "webhooks.unauthorized",
        "Workflow webhook authentication failed.",
    )
}

/// The request rate and the back-off of a source, before its body is read. Both are counted in the store, for
/// all processes together.
///
/// # Errors
/// 429 with the time to wait.
pub async fn admit(cloud: &Cloud, source: IpAddr, workflow: &WorkflowId) -> Result<(), ApiError> {
    let now = cloud.now();
    let claim = RateClaim {
        bucket: format!("webhook:{source}"),
        capacity: RATE.0,
        window_ms: RATE.1,
        cost: 1,
    };
    let verdicts = cloud.store.take_tokens(&[claim], now).await?;
    if let Some(verdict) = verdicts.iter().find(|verdict| !verdict.allowed) {
        return Err(ApiError::too_many(
            "rate_limit.http_exceeded",
            "Too many workflow webhook requests. Try again later.",
            Duration::from_millis(verdict.retry_after_ms),
        ));
    }
    let wait = cloud
        .store
        .sign_in_backoff(&[scope(source, workflow)], now)
        .await?;
    match wait {
        0 => Ok(()),
        wait => Err(ApiError::too_many(
            "auth.backoff",
            "Too many failed workflow webhook requests. Try again later.",
            Duration::from_millis(wait),
        )),
    }
}

/// What failures are counted by: source and a hash, so that odd ids make no odd keys.
fn scope(source: IpAddr, workflow: &WorkflowId) -> String {
    let hash: String = Sha256::digest(workflow.as_str())[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("webhook:{source}:{hash}")
}

/// Checks a call and starts its run.
///
/// # Errors
/// 400 for a body that isn't JSON, 401 for whoever can't prove the secret, 403 `webhooks.disabled`, 409 while a run
/// is under way or the workflow is paused, 429 at a quota.
pub async fn invoke(
    cloud: &Cloud,
    source: IpAddr,
    id: &WorkflowId,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<WebhookAccepted, ApiError> {
    let payload = json::object(body).map_err(|_| {
        ApiError::invalid("Workflow webhook request failed.").code("webhooks.invalid_body")
    })?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = header(TIMESTAMP).zip(header(SIGNATURE));
    let proven = match signed {
        Some((at, signature)) => prove(cloud, id, at, signature, body).await?,
        None => None,
    };
    let Some((workflow, digest)) = proven else {
        let now = cloud.now();
        let scopes = [scope(source, id)];
        cloud
            .store
            .record_sign_in_failure(&scopes, BACK_OFF, now)
            .await?;
        return Err(match signed {
            Some(_) => refused(),
            None => ApiError::new(
                StatusCode::UNAUTHORIZED,
                "webhooks.signature_required",
                "Workflow webhook timestamp and signature headers are required.",
            ),
        });
    };
    let started = begin(cloud, &workflow, payload).await;
    if started.is_err() {
        // Nothing was started: its sender may send the same call again.
        let tenant = &workflow.scope.tenant_id;
        cloud.store.forget_webhook_call(tenant, id, &digest).await?;
    }
    started
}

/// The workflow and the digest under which the call is noted; `None` when the caller proves nothing.
async fn prove(
    cloud: &Cloud,
    id: &WorkflowId,
    at: &str,
    signature: &str,
    body: &Bytes,
) -> Result<Option<(WorkflowRow, String)>, ApiError> {
    let now = cloud.now();
    let recent = parse_iso(at.trim()).is_some_and(|at| {
        (at.as_millisecond() - now.as_millisecond()).unsigned_abs() <= SKEW_MS.unsigned_abs()
    });
    let signature = signature.trim().strip_prefix("sha256=").and_then(unhex);
    let found = cloud.store.find_workflow(id).await?;
    let secret = match &found {
        Some(workflow) => secret(cloud, workflow).await?,
        None => None,
    };
    // Without a workflow or a secret the same work is done in vain, so that time tells nothing.
    let key = secret.as_ref().map_or("-", |secret| secret.expose_secret());
    let matches = is_signed(key, at, body, signature.as_deref().unwrap_or_default());
    let (Some(workflow), Some(_)) = (found, secret) else {
        return Ok(None);
    };
    if !matches || !recent {
        return Ok(None);
    }
    let mut digest = Sha256::new();
    digest.update(at);
    digest.update(b".");
    digest.update(signature.unwrap_or_default());
    let digest: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tenant = &workflow.scope.tenant_id;
    let first = cloud
        .store
        .note_webhook_call(tenant, id, &digest, now)
        .await?;
    Ok(first.then_some((workflow, digest)))
}

async fn secret(cloud: &Cloud, workflow: &WorkflowRow) -> Result<Option<SecretString>, ApiError> {
    let tenant = &workflow.scope.tenant_id;
    let id = &workflow.workflow.id;
    if !schedule::has_enabled(&workflow.workflow.triggers, TriggerKind::Webhook) {
        return Ok(None);
    }
    let Some(stored) = cloud.store.webhook_secret(tenant, id).await? else {
        return Ok(None);
    };
    let context = secret_context(tenant, id, &stored.trigger_id);
    Ok(Some(
        cloud.secrets.reveal(&stored.ciphertext, &context).await?,
    ))
}

/// HMAC-SHA256 over `<timestamp>.<body>`, compared in constant time.
fn is_signed(key: &str, at: &str, body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        return false;
    };
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32)
        .map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect()
}

async fn begin(
    cloud: &Cloud,
    workflow: &WorkflowRow,
    payload: serde_json::Map<String, serde_json::Value>,
) -> Result<WebhookAccepted, ApiError> {
    let features = cloud.options.features();
    for (feature, code, sentence) in [
        (
            Feature::Workflows,
            "workflows.disabled",
            "Workflows are disabled for this cloud profile.",
        ),
        (
            Feature::Webhooks,
            "webhooks.disabled",
            "Webhooks are disabled for this cloud profile.",
        ),
    ] {
        if !features.get(feature.as_str()).copied().unwrap_or(false) {
            return Err(ApiError::policy(StatusCode::FORBIDDEN, code, sentence));
        }
    }
    if matches!(workflow.workflow.status, WorkflowStatus::Archived) {
        return Err(refused());
    }
    let started = workflows::start(
        cloud,
        Start {
            scope: workflow.scope.clone(),
            workflow: workflow.workflow.id.clone(),
            run: RunId::new(uuid::Uuid::new_v4().to_string()),
            trigger: TriggerKind::Webhook,
            payload: Some(payload),
        },
    )
    .await
    .map_err(|error| match error.status {
        StatusCode::CONFLICT => error.retry(Duration::from_secs(30)),
        _ => error,
    })?;
    Ok(WebhookAccepted {
        ok: true,
        workflow_id: started.run.workflow_id,
        run_id: started.run.id,
        session_id: started.session_id,
        processed: started.processed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(b"2026-01-01T00:00:00Z.{\"a\":1}");
        let signature = mac.finalize().into_bytes();
        assert!(is_signed(
            "key",
            "2026-01-01T00:00:00Z",
            b"{\"a\":1}",
            &signature
        ));
        assert!(!is_signed(
            "other",
            "2026-01-01T00:00:00Z",
            b"{\"a\":1}",
            &signature
        ));
        assert!(!is_signed(
            "key",
            "2026-01-01T00:00:01Z",
            b"{\"a\":1}",
            &signature
        ));
        assert!(!is_signed(
            "key",
            "2026-01-01T00:00:00Z",
            b"{\"a\":2}",
            &signature
        ));
        assert!(!is_signed(
            "key",
            "2026-01-01T00:00:00Z",
            b"{\"a\":1}",
            &signature[..31]
        ));
        assert!(!is_signed("key", "2026-01-01T00:00:00Z", b"{\"a\":1}", b""));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_signature() {
        assert_eq!(unhex(&"0a".repeat(32)), Some(vec![10; 32]));
        assert_eq!(unhex(&"0A".repeat(32)), Some(vec![10; 32]));
        for wrong in ["", "0a", &"0".repeat(63), &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(unhex(wrong), None);
        }
    }
}
