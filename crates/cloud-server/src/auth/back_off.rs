//! Failed attempts (03 §5.2). The counts are shared through the store; a store that can't count never changes an
//! answer.

use crate::error::ApiError;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use open_cowork_providers::store::browser::BackoffRule;
use open_cowork_providers::store::{ControlPlane, StoreError};
use open_cowork_providers::time::Timestamp;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::time::Duration;

/// Longer than that nobody waits for a count.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an attempt counts for: its address, and the credential itself wherever it comes from.
pub(super) fn scopes(source: IpAddr, headers: &HeaderMap) -> Vec<String> {
    let mut scopes = vec![format!("ip:{source}")];
    if let Some(value) = headers.get(AUTHORIZATION) {
        let digest = Sha256::digest(value.as_bytes());
        let digest: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        scopes.push(format!("auth:{digest}"));
    }
    scopes
}

/// Lets an attempt pass, or not yet.
///
/// # Errors
/// 429 with the time to wait.
pub(super) async fn check(
    store: &dyn ControlPlane,
    scopes: &[String],
    now: Timestamp,
) -> Result<(), ApiError> {
    let wait = counted(store.sign_in_backoff(scopes, now)).await;
    match wait {
        Some(wait) if wait > 0 => Err(ApiError::too_many(
            "auth.backoff",
            "Too many failed sign-in attempts. Try again later.",
            Duration::from_millis(wait),
        )),
        _ => Ok(()),
    }
}

/// Notes a failed attempt.
pub(super) async fn record(
    store: &dyn ControlPlane,
    scopes: &[String],
    rule: BackoffRule,
    now: Timestamp,
) {
    counted(store.record_sign_in_failure(scopes, rule, now)).await;
}

async fn counted<T>(counting: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    match tokio::time::timeout(PATIENCE, counting).await {
        Ok(Ok(counted)) => Some(counted),
        Ok(Err(_)) | Err(_) => {
            metrics::counter!("open_cowork_cloud_auth_accounting_errors_total").increment(1);
            None
        }
    }
}
