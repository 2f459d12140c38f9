//! Chats that are threads: bind, prompt, read, cursor (03 §8.23).

use super::{
    Act, Actor, Reach, audit_as, channel, chat, check_chat, mismatch, person, provider, reach,
    refused, short, short_or_none,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::service::sessions::{self, Order, Ordered};
use crate::service::{acting, billing};
use axum::http::StatusCode;
use open_cowork_contracts::api::channels::{
    BindChannelSession, ChannelCursor, ChannelCursorAnswer, ChannelCursorResult, ChannelMutation,
    ChannelPrompt, ChannelSessionAnswer, ChannelSessionBinding, ChannelSessionBindingStatus,
};
use open_cowork_contracts::api::sessions::CommandStatus;
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::{CommandId, SessionId};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::store::channels::{ChatKey, CursorUpdate, SessionBindingRow, stable_id};
use open_cowork_providers::store::governance::QuotaClaim;
use open_cowork_providers::store::{SessionKey, StoreError};

fn key(row: &SessionBindingRow) -> SessionKey {
    SessionKey {
        tenant_id: row.scope.tenant_id.clone(),
        session_id: row.binding.session_id.clone(),
    }
}

async fn shown(call: &Call, row: SessionBindingRow) -> Result<ChannelSessionAnswer, ApiError> {
    let session = sessions::read(&call.cloud, &row.scope, &key(&row)).await?;
    Ok(ChannelSessionAnswer {
        binding: row.binding,
        session,
    })
}

/// Binds a chat to a thread, a new one unless one is named. A chat that is bound comes back as it is.
///
/// # Errors
/// 400, 403.
pub async fn bind(call: &Call, wish: BindChannelSession) -> Result<ChannelSessionAnswer, ApiError> {
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let found = channel(call, &reach, &wish.channel_binding_id)
        .await?
        .binding;
    if provider(&wish.provider)? != found.provider {
        return Err(mismatch());
    }
    let workspace = short_or_none("externalWorkspaceId", wish.external_workspace_id.as_ref())?;
    let known = found.external_workspace_id.as_ref();
    if known.is_some_and(|known| workspace.as_ref().is_some_and(|given| given != known)) {
        return Err(refused());
    }
    let org = acting::org_id(principal);
    let mut binding = ChannelSessionBinding {
        binding_id: String::new(),
        org_id: org.clone(),
        agent_id: found.agent_id.clone(),
        channel_binding_id: found.binding_id,
        provider: found.provider,
        external_workspace_id: workspace.or(found.external_workspace_id),
        external_thread_id: short("externalThreadId", &wish.external_thread_id)?,
        external_chat_id: short("externalChatId", &wish.external_chat_id)?,
        session_id: SessionId::from(""),
        last_event_sequence: 0,
        last_workspace_sequence: 0,
        last_chat_message_id: None,
        status: ChannelSessionBindingStatus::Active,
        created_at: call.cloud.now_iso(),
        updated_at: call.cloud.now_iso(),
    };
    binding.binding_id = chat_key(&binding).binding_id(&org);
    let actor = Actor {
        identity_id: wish.identity_id,
        external_user_id: wish.external_user_id,
        ..Actor::default()
    };
    person(call, &actor, &binding, Act::Prompt).await?;
    let (tenant, store) = (&principal.tenant_id, &call.cloud.store);
    if let Some(row) = store.channel_session(tenant, &binding.binding_id).await? {
        check_chat(call, &reach, &row).await?;
        return shown(call, row).await;
    }
    let action = BillingWish::to(BillingAction::GatewaySessionBind);
    billing::gate(&call.cloud, tenant, action).await?;
    let scope = call.scope()?;
    binding.session_id = match wish.session_id {
        Some(id) => {
            let key = SessionKey {
                tenant_id: tenant.clone(),
                session_id: SessionId::from(id.as_str()),
            };
            sessions::own(&call.cloud, &scope, &key)
                .await
                .map_err(|_| refused())?;
            key.session_id
        }
        None => {
            let agent = store.channel_agent(tenant, &binding.agent_id).await?;
            let profile = agent.map(|agent| agent.profile_name);
            let title = short_or_none("title", wish.title.as_ref())?;
            // Of the chat alone, so that two that bind it at once make one thread.
            let id = SessionId::new(stable_id("channel_thread", &[&binding.binding_id]));
            let made = sessions::create(&call.cloud, &scope, id, profile, title).await;
            // What a plan or a quota says is told; all else reads the same.
            let told = [StatusCode::PAYMENT_REQUIRED, StatusCode::TOO_MANY_REQUESTS];
            made.map_err(|error| match told.contains(&error.status) {
                true => error,
                false => refused(),
            })?
            .session
            .session_id
        }
    };
    let row = store
        .bind_channel_session(SessionBindingRow { binding, scope })
        .await?;
    check_chat(call, &reach, &row).await?;
    shown(call, row).await
}

fn chat_key(binding: &ChannelSessionBinding) -> ChatKey {
    ChatKey {
        provider: binding.provider.clone(),
        external_workspace_id: binding.external_workspace_id.clone(),
        external_chat_id: binding.external_chat_id.clone(),
        external_thread_id: binding.external_thread_id.clone(),
    }
}

/// The thread of a chat.
///
/// # Errors
/// 404: unknown and foreign read the same.
pub async fn by_thread(call: &Call) -> Result<ChannelSessionAnswer, ApiError> {
    let missing = || ApiError::not_found("The channel session was not found.");
    let query = call.query();
    let required = |name: &str| {
        query
            .text(name)
            .ok_or_else(|| ApiError::invalid(format!("Query parameter `{name}` is missing.")))
    };
    let chat = ChatKey {
        provider: required("provider")?,
        external_workspace_id: query.text("externalWorkspaceId"),
        external_chat_id: required("externalChatId")?,
        external_thread_id: required("externalThreadId")?,
    };
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let id = chat.binding_id(&acting::org_id(principal));
    let row = call
        .cloud
        .store
        .channel_session(&principal.tenant_id, &id)
        .await?;
    let row = row.ok_or_else(missing)?;
    if let Err(error) = check_chat(call, &reach, &row).await {
        return Err(match error.status.as_u16() {
            403 => missing(),
            _ => error,
        });
    }
    shown(call, row).await
}

/// The chat in the path, if the caller may speak for it, and the key of its thread.
///
/// # Errors
/// 403.
pub async fn in_path(call: &Call) -> Result<(SessionBindingRow, SessionKey), ApiError> {
    let reach: Reach = reach(call).await?;
    let row = chat(call, &reach, call.param("bindingId")).await?;
    let key = key(&row);
    Ok((row, key))
}

/// Says something in a chat. A repeated `idempotencyKey` gives the first command.
///
/// # Errors
/// 400, 403, 409 when the first command failed, 429 at a quota.
pub async fn prompt(call: &Call, wish: ChannelPrompt) -> Result<ChannelMutation, ApiError> {
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let row = chat(call, &reach, &wish.binding_id).await?;
    let actor = Actor {
        identity_id: wish.identity_id,
        external_user_id: wish.external_user_id,
        provider: wish.provider,
        external_workspace_id: wish.external_workspace_id,
        external_chat_id: wish.external_chat_id,
    };
    person(call, &actor, &row.binding, Act::Prompt).await?;
    let org = principal.org_id.as_str();
    let id = match short_or_none("idempotencyKey", wish.idempotency_key.as_ref())? {
        Some(given) => stable_id("channel_command", &[org, &row.binding.binding_id, &given]),
        None => call.new_id("command"),
    };
    let (id, key) = (CommandId::new(id), key(&row));
    let store = &call.cloud.store;
    let known = store.command(&key, &id).await?;
    if known
        .as_ref()
        .is_some_and(|known| known.status == CommandStatus::Failed)
    {
        let failed =
            ApiError::conflict("The command with this idempotency key failed; use another key.");
        return Err(failed.code("channels.command_failed"));
    }
    let quotas = billing::quotas(&call.cloud, &principal.tenant_id).await?;
    let quota = QuotaClaim {
        key: QuotaKey::GatewayPromptsHour,
        amount: 1,
        limit: quotas.gateway_prompts_per_hour,
    };
    let (tenant, now) = (&principal.tenant_id, call.cloud.now());
    let counts = known.is_none() && quota.limit.is_some();
    if counts {
        store.consume_quota(tenant, &quota, now).await?;
    }
    // The first command is what counts: the same key with another text is the first text.
    let (text, agent) = match &known {
        Some(known) => (
            known
                .payload
                .get("text")
                .and_then(|text| text.as_str())
                .map(str::to_owned),
            known
                .payload
                .get("agent")
                .and_then(|text| text.as_str())
                .map(str::to_owned),
        ),
        None => (Some(wish.text), wish.agent),
    };
    let ordered = Ordered {
        scope: row.scope.clone(),
        key,
        id: id.clone(),
        order: Order::Prompt {
            text: text.unwrap_or_default(),
            agent,
        },
        remote: true,
    };
    let done = sessions::command(&call.cloud, ordered, false).await;
    if done.is_err()
        && counts
        && let Err(error) = store.refund_quota(tenant, &quota, now).await
    {
        tracing::warn!(%error, "a prompt that was not queued still counts in its quota");
    }
    let done = done?;
    let event = stable_id("audit_channel_prompt", &[org, id.as_str()]);
    let target = ("session", row.binding.session_id.as_str());
    audit_as(call, principal, event, "channel.prompt", target).await;
    let view = done.view.ok_or_else(ApiError::internal)?;
    Ok(ChannelMutation {
        binding: row.binding,
        command: done.command,
        processed: u32::try_from(done.processed).unwrap_or(u32::MAX),
        view,
        projection_fence: done.projection_fence,
    })
}

/// Remembers how far a chat shows its thread.
///
/// # Errors
/// 400, 403.
pub async fn cursor(call: &Call, wish: ChannelCursor) -> Result<ChannelCursorAnswer, ApiError> {
    let reach = reach(call).await?;
    let row = chat(call, &reach, &wish.binding_id).await?;
    let message = match wish.last_chat_message_id {
        Some(message) => Some(short_or_none("lastChatMessageId", message.as_ref())?),
        None => None,
    };
    let (event, workspace) = (wish.last_event_sequence, wish.last_workspace_sequence);
    if event.max(workspace) > i64::MAX.unsigned_abs() {
        return Err(ApiError::invalid("A sequence is too large."));
    }
    let (tenant, now) = (&row.scope.tenant_id, call.cloud.now());
    let id = &row.binding.binding_id;
    let store = &call.cloud.store;
    let updated = store
        .update_channel_cursor(tenant, id, event, workspace, message, now)
        .await?;
    let (ok, binding) = match updated.ok_or(StoreError::Missing("channel session"))? {
        CursorUpdate::Updated(binding) => (true, binding),
        CursorUpdate::Stale(binding) => (false, binding),
    };
    let result = ChannelCursorResult {
        ok,
        reason: (!ok).then(|| "stale".to_owned()),
        binding: binding.clone(),
    };
    Ok(ChannelCursorAnswer { binding, result })
}
