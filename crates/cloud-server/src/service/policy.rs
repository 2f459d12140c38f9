//! The managed policy (03 §8.15).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::api::policy::{
    EffectivePolicyAnswer, ManagedPolicyAnswer, ManagedPolicyRecord,
};
use open_cowork_contracts::{JsonObject, TenantId};
use open_cowork_policy::managed::{Change, ManagedPolicy};
use open_cowork_providers::store::StoreError;
use serde_json::Value;

/// How often a change is merged anew when somebody else was faster.
const ATTEMPTS: usize = 4;

/// The stored policy and what it means.
///
/// # Errors
/// When the store refuses.
pub async fn read(cloud: &Cloud, principal: &Principal) -> Result<ManagedPolicyAnswer, ApiError> {
    let record = cloud.store.policy(&principal.tenant_id).await?;
    answer(record)
}

/// The policy in force, as clients see it. A stored policy that this version can't understand in every part is
/// the strictest one, never none.
///
/// # Errors
/// When the store refuses.
pub async fn effective(
    cloud: &Cloud,
    tenant: &TenantId,
) -> Result<EffectivePolicyAnswer, ApiError> {
    let record = cloud.store.policy(tenant).await?;
    Ok(EffectivePolicyAnswer {
        policy: view(&in_force(record.as_ref()))?,
    })
}

/// The policy in force, for decisions.
///
/// # Errors
/// When the store refuses.
pub async fn policy_of(cloud: &Cloud, tenant: &TenantId) -> Result<ManagedPolicy, ApiError> {
    let record = cloud.store.policy(tenant).await?;
    Ok(in_force(record.as_ref()))
}

fn in_force(record: Option<&ManagedPolicyRecord>) -> ManagedPolicy {
    let Some(record) = record else {
        return ManagedPolicy::default();
    };
    understood(record).unwrap_or_else(|| {
        tracing::error!(org = %record.org_id, "the stored managed policy can't be understood; nothing is permitted");
        ManagedPolicy::strict()
    })
}

fn understood(record: &ManagedPolicyRecord) -> Option<ManagedPolicy> {
    let document = Value::Object(record.policy.clone());
    ManagedPolicy::parse_stored(&document.to_string()).ok()
}

fn object(value: impl serde::Serialize) -> Result<JsonObject, ApiError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(ApiError::internal()),
    }
}

fn view(policy: &ManagedPolicy) -> Result<JsonObject, ApiError> {
    object(policy.view())
}

fn answer(record: Option<ManagedPolicyRecord>) -> Result<ManagedPolicyAnswer, ApiError> {
    Ok(ManagedPolicyAnswer {
        view: view(&in_force(record.as_ref()))?,
        policy: record,
    })
}

/// Changes the policy: absent keeps, `null` lifts, a value sets.
///
/// # Errors
/// 400 with the field.
pub async fn change(
    cloud: &Cloud,
    principal: &Principal,
    change: &Change,
) -> Result<ManagedPolicyAnswer, ApiError> {
    let tenant = &principal.tenant_id;
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        let before = cloud.store.policy(tenant).await?;
        let merged = in_force(before.as_ref()).merge(change);
        let mut merged = merged.map_err(|invalid| ApiError::invalid(invalid.to_string()))?;
        normalize(&mut merged)?;
        // Every ceiling is written out, so that no reader has to know what an absent one means.
        let document = object(merged.view().policy)?;
        let replaces = before.as_ref().map(|before| before.updated_at.as_str());
        let stamp = acting::stamp(cloud, principal);
        match cloud
            .store
            .put_policy(tenant, &document, replaces, &stamp)
            .await
        {
            Ok(record) => return answer(Some(record)),
            Err(StoreError::Conflict(sentence)) => conflict = Some(ApiError::conflict(sentence)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict.unwrap_or_else(ApiError::internal))
}

/// Lists are trimmed, without repeats and blanks, sorted (04 §1.7).
fn normalize(policy: &mut ManagedPolicy) -> Result<(), ApiError> {
    let list = |list: &mut Vec<String>| {
        let mut entries: Vec<String> = list
            .iter()
            .map(|entry| entry.trim().to_owned())
            .filter(|entry| !entry.is_empty())
            .collect();
        entries.sort_unstable();
        entries.dedup();
        *list = entries;
    };
    policy.allowed_providers.as_mut().map(list);
    policy.allowed_models.as_mut().map(list);
    list(&mut policy.denied_providers);
    list(&mut policy.denied_models);
    let valid = |key: &String| {
        let mut characters = key.chars();
        key.len() <= 64
            && characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    match policy.features.keys().all(valid) {
        true => Ok(()),
        false => Err(ApiError::invalid(
            "Field `features` has a key that is none: letters, digits, `_` and `-`, at most 64, a letter first.",
        )),
    }
}
