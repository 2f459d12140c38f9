//! What is asked in chats: made once, answered once (03 §8.23).

use super::directory::new_id;
use super::{
    Act, Actor, Reach, chat, check_chat, mismatch, person, provider, reach, refused, short,
    short_or_none,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::service::acting;
use crate::service::sessions::{self, Order};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_contracts::api::channels::{
    ChannelInteraction, CreateInteraction, CreatedInteraction, InteractionKind, InteractionStatus,
    ResolveInteraction, ResolvedInteraction,
};
use open_cowork_contracts::{CommandId, SessionId};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::store::channels::{InteractionRow, SessionBindingRow, stable_id};
use open_cowork_providers::store::execution::{NewCommand, QueueLimits};
use open_cowork_providers::store::{SessionKey, StoreError};
use open_cowork_providers::time::{iso, parse_iso};
use open_cowork_providers::trace;
use serde_json::json;
use std::time::Duration;

/// How long an ask waits unless said otherwise, and at most.
const WAITS: Duration = Duration::from_secs(10 * 60);
const WAITS_AT_MOST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Characters of the random part of a token.
const SECRET: usize = 32;

/// Makes an ask and the token that answers it.
///
/// # Errors
/// 400, 403, 409 for a seed that is taken.
pub async fn create(call: &Call, wish: CreateInteraction) -> Result<CreatedInteraction, ApiError> {
    let principal = call.principal()?;
    let reach = reach(call).await?;
    let row = chat_of(call, &reach, &wish).await?;
    let found = &row.binding;
    if provider(&wish.provider)? != found.provider {
        return Err(mismatch());
    }
    if wish.agent_id != found.agent_id || wish.session_id != found.session_id.as_str() {
        return Err(refused());
    }
    let now = call.cloud.now();
    let expires = match &wish.expires_at {
        None => now.checked_add(WAITS).ok(),
        Some(text) => parse_iso(text.trim()),
    };
    let latest = now.checked_add(WAITS_AT_MOST).ok();
    let expires = expires
        .filter(|at| *at > now && Some(*at) <= latest)
        .ok_or_else(|| {
            ApiError::invalid("Field `expiresAt` must be an ISO date within the next seven days.")
        })?;
    let seed = ("interactionId", wish.interaction_id.as_ref());
    let parts = [found.channel_binding_id.as_str()];
    let id = new_id(call, principal, "channel_interaction", seed, &parts)?;
    let secret = match &wish.token_secret {
        Some(given) => own_secret(given)?,
        None => random_secret()?,
    };
    let plaintext_token = format!("occi_{id}_{secret}");
    let interaction = ChannelInteraction {
        interaction_id: id,
        org_id: acting::org_id(principal),
        agent_id: found.agent_id.clone(),
        channel_binding_id: Some(found.channel_binding_id.clone()),
        session_binding_id: Some(found.binding_id.clone()),
        session_id: found.session_id.clone(),
        provider: found.provider.clone(),
        external_interaction_id: short_or_none(
            "externalInteractionId",
            wish.external_interaction_id.as_ref(),
        )?,
        kind: wish.kind,
        target_id: short("targetId", &wish.target_id)?,
        status: InteractionStatus::Pending,
        created_by_identity_id: None,
        expires_at: iso(expires),
        used_at: None,
        created_at: iso(now),
        updated_at: iso(now),
    };
    let row = InteractionRow {
        interaction,
        token_hash: call.cloud.governance.hasher.hash(&plaintext_token),
    };
    let made = call
        .cloud
        .store
        .create_interaction(&principal.tenant_id, row)
        .await?;
    Ok(CreatedInteraction {
        interaction: made.interaction,
        plaintext_token,
    })
}

/// The chat of a new ask: the named one, or the thread's only one that the caller may speak for.
async fn chat_of(
    call: &Call,
    reach: &Reach,
    wish: &CreateInteraction,
) -> Result<SessionBindingRow, ApiError> {
    if let Some(id) = &wish.session_binding_id {
        return chat(call, reach, id).await;
    }
    let tenant = &call.principal()?.tenant_id;
    let session = SessionId::from(wish.session_id.as_str());
    let mut fitting = Vec::new();
    for row in call
        .cloud
        .store
        .channel_sessions_of(tenant, &session)
        .await?
    {
        let of_provider = row.binding.provider == wish.provider;
        if of_provider && check_chat(call, reach, &row).await.is_ok() {
            fitting.push(row);
        }
    }
    match <[_; 1]>::try_from(fitting) {
        Ok([row]) => Ok(row),
        Err(none) if none.is_empty() => Err(refused()),
        Err(_) => Err(ApiError::invalid(
            "The session is bound to several chats; name one with `sessionBindingId`.",
        )),
    }
}

fn own_secret(given: &str) -> Result<String, ApiError> {
    let fits = (16..=128).contains(&given.len())
        && given
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match fits {
        true => Ok(given.to_owned()),
        false => Err(ApiError::invalid(
            "Field `tokenSecret` must have 16 to 128 letters, digits, `-` or `_`.",
        )),
    }
}

fn random_secret() -> Result<String, ApiError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|_| {
        ApiError::unavailable("random.unavailable", "The system gives no random numbers.")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The ids that a token may name: ids and secrets may hold `_` themselves.
fn ids_in(token: &str) -> Vec<&str> {
    let Some(rest) = token.strip_prefix("occi_") else {
        return Vec::new();
    };
    let derived = "channel_interaction_".len() + 32;
    let cuts = [
        Some(derived),
        rest.len().checked_sub(SECRET + 1),
        rest.rfind('_'),
    ];
    let mut ids: Vec<&str> = Vec::new();
    for cut in cuts.into_iter().flatten() {
        if rest.as_bytes().get(cut) == Some(&b'_')
            && let Some(id) = rest.get(..cut)
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    ids
}

fn missing() -> ApiError {
    ApiError::not_found("The channel interaction was not found.")
}

/// The asks that a request may mean.
async fn candidates(
    call: &Call,
    wish: &ResolveInteraction,
) -> Result<Vec<InteractionRow>, ApiError> {
    let (tenant, now) = (&call.principal()?.tenant_id, call.cloud.now());
    let store = &call.cloud.store;
    if let Some(token) = &wish.token {
        let token = token.trim();
        for id in ids_in(token) {
            if let Some(row) = store.interaction(tenant, id, now).await?
                && call.cloud.governance.hasher.verify(token, &row.token_hash)
            {
                return Ok(vec![row]);
            }
        }
        return Ok(Vec::new());
    }
    match (&wish.external_interaction_id, &wish.provider) {
        (Some(external), Some(provider)) => Ok(store
            .find_interactions(tenant, provider, external, now)
            .await?),
        _ => Err(ApiError::invalid(
            "Name the interaction: `token`, or `externalInteractionId` with `provider`.",
        )),
    }
}

/// Answers an ask: the token is used up and the answer queued in one transaction.
///
/// # Errors
/// 400; 403 `gateway-remote-approval-disabled`; 404 for unknown, used, expired and for whoever may not; 409 when two
/// answer at once.
pub async fn resolve(
    call: &Call,
    wish: ResolveInteraction,
) -> Result<ResolvedInteraction, ApiError> {
    let cloud = &call.cloud;
    if !cloud.options.profile.allow_remote_approval_responses {
        return Err(ApiError::policy(
            StatusCode::FORBIDDEN,
            "gateway-remote-approval-disabled",
            "Approvals and questions can't be answered from channels; this cloud profile doesn't allow it.",
        ));
    }
    let reach = reach(call).await?;
    let actor = Actor {
        identity_id: wish.identity_id.clone(),
        external_user_id: wish.external_user_id.clone(),
        provider: wish.provider.clone(),
        external_workspace_id: wish.external_workspace_id.clone(),
        external_chat_id: wish.external_chat_id.clone(),
    };
    let mut open = None;
    for row in candidates(call, &wish).await? {
        if let Some(chat) = answerable(call, &reach, &actor, &row.interaction).await? {
            if open.is_some() {
                return Err(missing());
            }
            open = Some((row.interaction, chat));
        }
    }
    let (ask, chat) = open.ok_or_else(missing)?;
    let order = order(&ask, &wish)?;
    let key = SessionKey {
        tenant_id: chat.scope.tenant_id.clone(),
        session_id: ask.session_id.clone(),
    };
    let before = sessions::sequence(cloud, &chat.scope, &key).await?;
    let org = call.principal()?.org_id.as_str();
    let command = NewCommand {
        command_id: CommandId::new(stable_id("channel_command", &[org, &ask.interaction_id])),
        key: key.clone(),
        user_id: chat.scope.user_id.clone(),
        kind: order.kind(),
        payload: order.payload(),
        traceparent: trace::current().map(|trace| trace.to_string()),
    };
    let (tenant, now) = (&key.tenant_id, cloud.now());
    let resolved = cloud
        .store
        .resolve_interaction(
            tenant,
            &ask.interaction_id,
            command,
            QueueLimits::default(),
            now,
        )
        .await;
    let (interaction, enqueued) = resolved.map_err(|error| match error {
        StoreError::Missing(_) | StoreError::NotFound(_) => missing(),
        error => error.into(),
    })?;
    cloud.bus.publish(Topic::Commands(key.clone()));
    let (processed, processing_error) = match &cloud.executor {
        None => (0, None),
        Some(executor) => match executor.process(&key).await {
            Ok(processed) => (processed, None),
            // The answer is queued: a worker will carry it out.
            Err(error) => (0, Some(error.message)),
        },
    };
    let done = sessions::answer(
        cloud,
        &chat.scope,
        &key,
        enqueued.command,
        processed,
        before,
        false,
    )
    .await?;
    Ok(ResolvedInteraction {
        interaction,
        processing_error,
        command: done.command,
        processed,
        view: done.view.ok_or_else(ApiError::internal)?,
        projection_fence: done.projection_fence,
    })
}

/// The chat in which this person may answer this ask now.
async fn answerable(
    call: &Call,
    reach: &Reach,
    actor: &Actor,
    ask: &ChannelInteraction,
) -> Result<Option<SessionBindingRow>, ApiError> {
    if ask.status != InteractionStatus::Pending {
        return Ok(None);
    }
    let tenant = &call.principal()?.tenant_id;
    for row in call
        .cloud
        .store
        .channel_sessions_of(tenant, &ask.session_id)
        .await?
    {
        let of_ask = ask.channel_binding_id.as_ref() == Some(&row.binding.channel_binding_id);
        if !of_ask || row.binding.provider != ask.provider {
            continue;
        }
        let allowed = match check_chat(call, reach, &row).await {
            Ok(()) => person(call, actor, &row.binding, Act::Answer)
                .await
                .map(|_| ()),
            refused => refused,
        };
        match allowed {
            Ok(()) => return Ok(Some(row)),
            Err(error) if error.status.is_client_error() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What an answer tells the thread to do.
fn order(ask: &ChannelInteraction, wish: &ResolveInteraction) -> Result<Order, ApiError> {
    let id = ask.target_id.clone();
    let reject = wish.reject == Some(true);
    match ask.kind {
        InteractionKind::Permission => match (&wish.response, reject) {
            (_, true) => Ok(Order::Permission {
                id,
                response: json!({ "allowed": false }),
            }),
            (Some(response), false) => Ok(Order::Permission {
                id,
                response: response.clone(),
            }),
            (None, false) => Err(ApiError::invalid(
                "Answer the approval with `response`, or deny it with `reject`.",
            )),
        },
        InteractionKind::Question => match (&wish.answers, reject) {
            (_, true) => Ok(Order::Reject { id }),
            (Some(answers), false) => Ok(Order::Reply {
                id,
                answers: answers.clone(),
            }),
            (None, false) => Err(ApiError::invalid(
                "Answer the question with `answers`, or dismiss it with `reject`.",
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_ask_whatever_the_secret_holds() {
        let id = format!("channel_interaction_{}", "a".repeat(32));
        let secret = "b_c-".repeat(8);
        assert_eq!(ids_in(&format!("occi_{id}_{secret}"))[0], id);
        // An id in the owner's own words.
        assert!(ids_in(&format!("occi_my_ask_{secret}")).contains(&"my_ask"));
        assert!(ids_in("occi_my_ask_sixteen-letters-x").contains(&"my_ask"));
    }

    #[test]
    fn what_is_no_token_names_nothing() {
        for token in ["", "occi_", "occi", "ocw_a_b", "occi_é"] {
            assert!(ids_in(token).is_empty(), "{token}");
        }
    }
}
