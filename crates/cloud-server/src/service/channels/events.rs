//! What providers report, so that a gateway treats each once (03 §8.23).

use super::{
    Reach, channel, error_text, mismatch, provider, reach, refused, short, short_or_none, small,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::service::acting;
use open_cowork_contracts::api::channels::{
    ClaimProviderEvent, ClaimedProviderEvent, CompleteProviderEvent, ProviderEvent,
    ProviderEventStatus,
};
use open_cowork_providers::store::channels::{
    PROVIDER_EVENT_TTL_MS, ProviderEventOutcome, stable_id,
};

/// Longest claim, milliseconds.
const LONGEST: i64 = 60 * 60_000;

/// Claims an event.
///
/// # Errors
/// 400, 403.
pub async fn claim(
    call: &Call,
    wish: ClaimProviderEvent,
) -> Result<ClaimedProviderEvent, ApiError> {
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let provider = provider(&wish.provider)?;
    let mut workspace = short_or_none("externalWorkspaceId", wish.external_workspace_id.as_ref())?;
    let mut metadata = wish.metadata.unwrap_or_default();
    small("metadata", &metadata)?;
    match (&wish.channel_binding_id, &reach) {
        (Some(id), _) => {
            let row = channel(call, &reach, id).await?;
            if row.binding.provider != provider {
                return Err(mismatch());
            }
            workspace = workspace.or(row.binding.external_workspace_id);
            metadata.insert("channelBindingId".to_owned(), id.as_str().into());
        }
        (None, Reach::All) => {}
        (None, Reach::Granted(granted)) => {
            let mut speaks = false;
            for id in granted {
                let row = channel(call, &reach, id).await;
                speaks |= row.is_ok_and(|row| row.binding.provider == provider);
            }
            if !speaks {
                return Err(refused());
            }
        }
    }
    let instance = short("providerInstanceId", &wish.provider_instance_id)?;
    let at_provider = short("providerEventId", &wish.provider_event_id)?;
    let id = stable_id(
        "channel_provider_event",
        &[
            &principal.org_id,
            wish.channel_binding_id.as_deref().unwrap_or_default(),
            &provider,
            &instance,
            workspace.as_deref().unwrap_or_default(),
            wish.event_type.as_str(),
            &at_provider,
        ],
    );
    let now = call.cloud.now_iso();
    let event = ProviderEvent {
        event_id: id,
        org_id: acting::org_id(principal),
        channel_binding_id: wish.channel_binding_id,
        provider,
        provider_instance_id: instance,
        external_workspace_id: workspace,
        provider_event_id: at_provider,
        event_type: wish.event_type,
        status: ProviderEventStatus::Received,
        claimed_by: Some(short("claimedBy", &wish.claimed_by)?),
        claim_expires_at: None,
        attempt_count: 0,
        retryable: true,
        last_error: None,
        metadata,
        processed_at: None,
        created_at: now.clone(),
        updated_at: now,
    };
    let ttl = wish
        .ttl_ms
        .filter(|ttl| *ttl > 0)
        .unwrap_or(PROVIDER_EVENT_TTL_MS);
    let (tenant, now) = (&principal.tenant_id, call.cloud.now());
    let store = &call.cloud.store;
    let claim = store
        .claim_provider_event(tenant, event, ttl.min(LONGEST), now)
        .await?;
    Ok(ClaimedProviderEvent {
        event: claim.event,
        claimed: claim.claimed,
        duplicate: !claim.claimed,
    })
}

/// Settles an event that the caller claimed.
///
/// # Errors
/// 400; 404 for unknown, foreign and somebody else's claim.
pub async fn complete(call: &Call, wish: CompleteProviderEvent) -> Result<ProviderEvent, ApiError> {
    let missing = || ApiError::not_found("The channel provider event was not found.");
    if !matches!(
        wish.status,
        ProviderEventStatus::Processed | ProviderEventStatus::Failed
    ) {
        return Err(ApiError::invalid(
            "Field `status` must be `processed` or `failed`.",
        ));
    }
    let reach = reach(call).await?;
    let (tenant, id) = (&call.principal()?.tenant_id, call.param("id"));
    let store = &call.cloud.store;
    let event = store
        .provider_event(tenant, id)
        .await?
        .ok_or_else(missing)?;
    if let Some(binding) = &event.channel_binding_id {
        match channel(call, &reach, binding).await {
            Ok(_) => {}
            Err(error) if error.status.is_client_error() => return Err(missing()),
            Err(error) => return Err(error),
        }
    }
    if wish.channel_binding_id.is_some() && wish.channel_binding_id != event.channel_binding_id {
        return Err(missing());
    }
    let outcome = ProviderEventOutcome {
        status: wish.status,
        retryable: wish.status == ProviderEventStatus::Failed && wish.retryable != Some(false),
        last_error: error_text(wish.last_error.as_ref()),
    };
    let by = wish.claimed_by.trim();
    let done = store
        .complete_provider_event(tenant, id, by, outcome, call.cloud.now())
        .await?;
    done.ok_or_else(missing)
}
