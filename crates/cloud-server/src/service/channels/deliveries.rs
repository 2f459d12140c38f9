//! Messages to chats: made, streamed to gateways, settled (03 §8.23, §9.8).

use super::{
    Reach, channel, chat, error_text, mismatch, provider, reach, reach_or_admin, refused, short,
    short_or_none, small,
};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::service::{acting, billing, usage};
use crate::sse::Frame;
use futures::stream::{self, BoxStream, StreamExt};
use open_cowork_contracts::api::channels::{
    AckDelivery, ChannelBindingStatus, ChannelDeliveries, ChannelDelivery, CreateDelivery,
    DeliveryStatus, SettleDelivery,
};
use open_cowork_contracts::api::usage::UsageEventType;
use open_cowork_contracts::{JsonObject, TenantId, TokenId};
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::channels::{
    Claimer, DELIVERY_TTL_MS, DeliveryChange, DeliveryKey, DeliveryQuery,
};
use open_cowork_providers::store::governance::{NewUsage, redact};
use open_cowork_providers::time::{iso, parse_iso};
use serde_json::json;
use std::time::Duration;

/// How often a stream looks for what is due.
const POLL: Duration = Duration::from_secs(1);

/// Longest claim, milliseconds.
const LONGEST: i64 = 60 * 60_000;

/// The credential of the caller: what it claimed last it may list and settle.
fn holder(call: &Call) -> Result<String, ApiError> {
    let principal = call.principal()?;
    Ok(match &principal.token_id {
        Some(token) => format!("token:{token}"),
        None => format!("user:{}", principal.user_id),
    })
}

fn missing() -> ApiError {
    ApiError::not_found("The channel delivery was not found.")
}

fn time_or(field: &str, text: Option<&String>, default: String) -> Result<String, ApiError> {
    let Some(text) = text else {
        return Ok(default);
    };
    let parsed = parse_iso(text.trim()).ok_or_else(|| {
        ApiError::invalid(format!(
            "Field `{field}` must be an ISO date such as 2027-01-02T03:04:05.000Z."
        ))
    })?;
    Ok(iso(parsed))
}

/// Makes a delivery; a known id on that channel gives the stored one.
///
/// # Errors
/// 400, 403.
pub async fn create(call: &Call, wish: CreateDelivery) -> Result<ChannelDelivery, ApiError> {
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let found = channel(call, &reach, &wish.channel_binding_id)
        .await?
        .binding;
    if provider(&wish.provider)? != found.provider {
        return Err(mismatch());
    }
    if wish.agent_id != found.agent_id {
        return Err(refused());
    }
    if let Some(id) = &wish.session_binding_id {
        let row = chat(call, &reach, id).await?;
        if row.binding.channel_binding_id != found.binding_id {
            return Err(refused());
        }
    }
    small("target", &wish.target)?;
    small("payload", &wish.payload)?;
    let status = wish.status.unwrap_or(DeliveryStatus::Pending);
    if status == DeliveryStatus::Claimed {
        return Err(ApiError::invalid("Field `status` must not be `claimed`."));
    }
    let now = call.cloud.now_iso();
    let id = short_or_none("deliveryId", wish.delivery_id.as_ref())?;
    let delivery = ChannelDelivery {
        delivery_id: id.unwrap_or_else(|| call.new_id("delivery")),
        org_id: acting::org_id(principal),
        agent_id: found.agent_id,
        channel_binding_id: found.binding_id,
        session_binding_id: wish.session_binding_id,
        provider: found.provider,
        target: wish.target,
        event_type: short("eventType", &wish.event_type)?,
        payload: wish.payload,
        status,
        attempt_count: 0,
        claimed_by: None,
        last_claimed_by: None,
        claim_expires_at: None,
        next_attempt_at: time_or("nextAttemptAt", wish.next_attempt_at.as_ref(), now.clone())?,
        last_error: None,
        created_at: now.clone(),
        updated_at: now,
    };
    Ok(call
        .cloud
        .store
        .create_delivery(&principal.tenant_id, delivery)
        .await?)
}

/// What the caller may see; a gateway's token: what it claimed last on its channels.
async fn visible(call: &Call, reach: &Reach) -> Result<DeliveryQuery, ApiError> {
    Ok(match reach {
        Reach::All => DeliveryQuery::default(),
        Reach::Granted(granted) => DeliveryQuery {
            bindings: Some(granted.clone()),
            holder: Some(holder(call)?),
            ..DeliveryQuery::default()
        },
    })
}

/// Deliveries, touched last first, without the secrets of their targets and payloads.
///
/// # Errors
/// 400 for an unknown status or a bad cursor, 403.
pub async fn list(call: &Call) -> Result<ChannelDeliveries, ApiError> {
    let reach = reach_or_admin(call).await?;
    let query = call.query();
    let mut wanted = visible(call, &reach).await?;
    let named = query.all("channelBindingId");
    if !named.is_empty() {
        for id in &named {
            channel(call, &reach, id).await?;
        }
        wanted.bindings = Some(named);
    }
    wanted.delivery_id = query.text("deliveryId");
    wanted.status = query.name("status", DeliveryStatus::ALL, DeliveryStatus::as_str)?;
    wanted.cursor = query.text("cursor");
    wanted.limit = query.limit(50, 200);
    let tenant = &call.principal()?.tenant_id;
    let page = call.cloud.store.deliveries(tenant, &wanted).await?;
    Ok(ChannelDeliveries {
        deliveries: page.rows.into_iter().map(sanitised).collect(),
        next_cursor: page.next,
    })
}

/// Without the secrets of target and payload.
pub fn sanitised(mut delivery: ChannelDelivery) -> ChannelDelivery {
    delivery.target = redact::metadata(&delivery.target);
    delivery.payload = redact::metadata(&delivery.payload);
    delivery
}

/// The one delivery that the caller means and may settle.
async fn one(
    call: &Call,
    reach: &Reach,
    binding: Option<&String>,
) -> Result<ChannelDelivery, ApiError> {
    let mut query = visible(call, reach).await?;
    if let Some(binding) = binding {
        if !reach.covers(binding) {
            return Err(missing());
        }
        query.bindings = Some(vec![binding.clone()]);
    }
    query.delivery_id = Some(call.param("id").to_owned());
    query.limit = 2;
    let tenant = &call.principal()?.tenant_id;
    let page = call.cloud.store.deliveries(tenant, &query).await?;
    match <[_; 1]>::try_from(page.rows) {
        Ok([delivery]) => Ok(delivery),
        Err(_) => Err(missing()),
    }
}

/// Tells how a claimed delivery went.
///
/// # Errors
/// 400; 404 for unknown, ambiguous, somebody else's and settled ones.
pub async fn ack(call: &Call, wish: AckDelivery) -> Result<ChannelDelivery, ApiError> {
    use DeliveryStatus::{Dead, Failed, Sent};
    if !matches!(wish.status, Sent | Failed | Dead) {
        return Err(ApiError::invalid(
            "Field `status` must be `sent`, `failed` or `dead`.",
        ));
    }
    let reach = reach(call).await?;
    let principal = call.principal()?;
    let found = one(call, &reach, wish.channel_binding_id.as_ref()).await?;
    let now = call.cloud.now();
    let next_attempt_at = match &wish.next_attempt_at {
        None => None,
        given => Some(time_or("nextAttemptAt", given.as_ref(), String::new())?),
    };
    let by = wish.claimed_by.or_else(|| call.query().text("claimedBy"));
    let by = by.or_else(|| principal.token_id.clone());
    let by = by.unwrap_or_else(|| principal.user_id.to_string());
    let change = DeliveryChange {
        status: wish.status,
        last_error: error_text(wish.last_error.as_ref()),
        next_attempt_at,
    };
    let holder = match reach {
        Reach::All => None,
        Reach::Granted(_) => Some(holder(call)?),
    };
    let key = DeliveryKey {
        delivery_id: &found.delivery_id,
        binding: Some(&found.channel_binding_id),
        holder: holder.as_deref(),
    };
    let (tenant, store) = (&principal.tenant_id, &call.cloud.store);
    let done = store
        .ack_delivery(tenant, key, by.trim(), change, now)
        .await?;
    done.map(sanitised).ok_or_else(missing)
}

/// Makes a delivery due now, whatever its state.
///
/// # Errors
/// 404.
pub async fn retry(call: &Call, wish: SettleDelivery) -> Result<ChannelDelivery, ApiError> {
    let change = DeliveryChange {
        status: DeliveryStatus::Failed,
        last_error: None,
        next_attempt_at: Some(call.cloud.now_iso()),
    };
    set(call, wish.channel_binding_id.as_ref(), change).await
}

/// Gives a delivery up, whatever its state.
///
/// # Errors
/// 404.
pub async fn dead_letter(call: &Call, wish: SettleDelivery) -> Result<ChannelDelivery, ApiError> {
    let change = DeliveryChange {
        status: DeliveryStatus::Dead,
        last_error: error_text(wish.last_error.as_ref()),
        next_attempt_at: None,
    };
    set(call, wish.channel_binding_id.as_ref(), change).await
}

async fn set(
    call: &Call,
    binding: Option<&String>,
    change: DeliveryChange,
) -> Result<ChannelDelivery, ApiError> {
    let reach = reach_or_admin(call).await?;
    let found = one(call, &reach, binding).await?;
    let key = DeliveryKey {
        delivery_id: &found.delivery_id,
        binding: Some(&found.channel_binding_id),
        holder: None,
    };
    let (tenant, now) = (&call.principal()?.tenant_id, call.cloud.now());
    let done = call
        .cloud
        .store
        .set_delivery(tenant, key, change, now)
        .await?;
    done.map(sanitised).ok_or_else(missing)
}

/// A gateway's stream: what it claims, as long as it listens.
struct Line {
    cloud: Cloud,
    tenant: TenantId,
    /// The token whose grants count; none: all channels of the organisation.
    token: Option<TokenId>,
    /// Only these channels; empty: all that it may speak for.
    named: Vec<String>,
    by: String,
    holder: String,
    ttl_ms: i64,
    wait: Option<Duration>,
}

impl Line {
    /// Channels to claim for, asked anew each time: a grant may end while the stream is open.
    async fn channels(&self) -> Result<Vec<String>, StoreError> {
        let store = &self.cloud.store;
        let granted = match &self.token {
            None => None,
            Some(token) => {
                let stored = store.token(token).await?;
                let stored = stored.filter(|stored| stored.tenant_id == self.tenant);
                Some(
                    stored
                        .map(|stored| stored.token.channel_binding_ids)
                        .unwrap_or_default(),
                )
            }
        };
        let mut channels = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = store
                .channel_bindings(&self.tenant, None, cursor.as_deref(), 500)
                .await?;
            for row in page.rows {
                let id = row.binding.binding_id;
                let wanted = self.named.is_empty() || self.named.contains(&id);
                let may = granted.as_ref().is_none_or(|granted| granted.contains(&id));
                if wanted && may && row.binding.status == ChannelBindingStatus::Active {
                    channels.push(id);
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(channels);
            }
        }
    }

    async fn claim(&self) -> Result<Option<ChannelDelivery>, ApiError> {
        let channels = self.channels().await?;
        let claimer = Claimer {
            by: &self.by,
            holder: &self.holder,
        };
        let quotas = billing::quotas(&self.cloud, &self.tenant).await?;
        let most = quotas.gateway_deliveries_per_hour;
        let (store, now) = (&self.cloud.store, self.cloud.now());
        let claimed = store
            .claim_delivery(&self.tenant, &channels, claimer, self.ttl_ms, most, now)
            .await?;
        if let Some(delivery) = &claimed {
            self.count(delivery).await;
        }
        Ok(claimed)
    }

    /// Records the claim as a use, one for each attempt.
    async fn count(&self, delivery: &ChannelDelivery) {
        let what = UsageEventType::GatewayDeliveryClaimed;
        let (binding, id) = (&delivery.channel_binding_id, &delivery.delivery_id);
        let usage = NewUsage {
            event_id: format!(
                "{}:{binding}:{id}:{}",
                what.as_str(),
                delivery.attempt_count
            ),
            account_id: None,
            event_type: what,
            quantity: 1,
            metadata: JsonObject::from_iter([("provider".to_owned(), json!(delivery.provider))]),
            at: self.cloud.now(),
        };
        usage::record(&self.cloud, &self.tenant, usage).await;
    }

    async fn next(mut self) -> Option<(Frame, Self)> {
        loop {
            if let Some(wait) = self.wait.take() {
                tokio::time::sleep(wait).await;
            }
            match self.claim().await {
                Ok(Some(delivery)) => {
                    let id = delivery.delivery_id.clone();
                    let data = json!({ "delivery": delivery });
                    let frame = Frame::new(Some(&id), "channel.delivery", &data)?;
                    return Some((frame, self));
                }
                Ok(None) => self.wait = Some(POLL),
                Err(error) => {
                    self.wait = Some(error.retry_after.unwrap_or(POLL).clamp(POLL, 60 * POLL));
                    let data = json!({ "error": error.message, "code": error.code });
                    let frame = Frame::new(None, "error", &data)?;
                    return Some((frame, self));
                }
            }
        }
    }
}

/// Deliveries as the caller claims them.
///
/// # Errors
/// 400, 403.
pub async fn stream(call: &Call) -> Result<BoxStream<'static, Frame>, ApiError> {
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let query = call.query();
    let named = query.all("channelBindingId");
    for id in &named {
        channel(call, &reach, id).await?;
    }
    let ttl = query
        .text("ttlMs")
        .and_then(|text| text.trim().parse::<i64>().ok());
    let token = match reach {
        Reach::All => None,
        Reach::Granted(_) => principal.token_id.as_deref().map(TokenId::from),
    };
    let own_name = principal.token_id.clone();
    let by = query.text("claimedBy").or(own_name);
    let line = Line {
        cloud: call.cloud.clone(),
        tenant: principal.tenant_id.clone(),
        token,
        named,
        by: short(
            "claimedBy",
            &by.unwrap_or_else(|| principal.user_id.to_string()),
        )?,
        holder: holder(call)?,
        ttl_ms: ttl
            .filter(|ttl| *ttl > 0)
            .unwrap_or(DELIVERY_TTL_MS)
            .min(LONGEST),
        wait: None,
    };
    Ok(stream::unfold(line, Line::next).boxed())
}
