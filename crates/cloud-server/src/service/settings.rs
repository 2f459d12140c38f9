//! Settings that travel with a user (03 §8.8).

use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::settings::{MAX_SETTING_KEY, Setting};

/// All of the caller's, by key.
///
/// # Errors
/// When the store refuses.
pub async fn list(cloud: &Cloud, principal: &Principal) -> Result<Vec<Setting>, ApiError> {
    let store = &cloud.store;
    Ok(store
        .settings(&principal.tenant_id, &principal.user_id)
        .await?)
}

/// One of the caller's.
///
/// # Errors
/// When the store refuses.
pub async fn read(
    cloud: &Cloud,
    principal: &Principal,
    key: &str,
) -> Result<Option<Setting>, ApiError> {
    let store = &cloud.store;
    Ok(store
        .setting(&principal.tenant_id, &principal.user_id, key)
        .await?)
}

/// Writes one; the last write wins.
///
/// # Errors
/// 400 for a key that is blank or too long.
pub async fn write(
    cloud: &Cloud,
    principal: &Principal,
    key: &str,
    value: &JsonObject,
) -> Result<Setting, ApiError> {
    if key.trim().is_empty() || key.chars().count() > MAX_SETTING_KEY {
        return Err(ApiError::invalid(format!(
            "Field `key` must have 1 to {MAX_SETTING_KEY} characters."
        )));
    }
    let (tenant, user) = (&principal.tenant_id, &principal.user_id);
    let written = cloud
        .store
        .put_setting(tenant, user, key, value, cloud.now());
    Ok(written.await?)
}
