//! Channels (03 §8.23): coworkers in chats.
//!
//! The policy's table decides which principals may call (03 §7); what is left to decide here is which channel a
//! gateway's token may speak for. Missing, foreign, inactive and not granted read the same.

pub mod asks;
pub mod chats;
pub mod deliveries;
pub mod directory;
pub mod events;
pub mod proof;

use crate::call::Call;
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use open_cowork_contracts::api::admin::AuditEvent;
use open_cowork_contracts::api::channels::{
    ChannelBindingStatus, ChannelIdentity, ChannelIdentityStatus, ChannelRole,
    ChannelSessionBindingStatus, HeadlessAgentStatus,
};
use open_cowork_contracts::{AccountId, JsonObject, TokenId};
use open_cowork_providers::store::channels::{
    BindingRow, MAX_ERROR, MAX_OBJECT_BYTES, MAX_TEXT, PersonKey, SessionBindingRow,
};
use open_cowork_providers::store::governance::redact;

/// Providers that the product knows, with their names.
pub const PROVIDERS: [(&str, &str); 8] = [
    ("telegram", "Telegram"),
    ("slack", "Slack"),
    ("email", "Email"),
    ("discord", "Discord"),
    ("whatsapp", "WhatsApp"),
    ("signal", "Signal"),
    ("webhook", "Webhook"),
    ("cli", "CLI"),
];

/// Which channels the caller may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of the organisation.
    All,
    /// Those granted to the gateway's token.
    Granted(Vec<String>),
}

impl Reach {
    /// Whether that channel is among them.
    #[must_use]
    pub fn covers(&self, binding: &str) -> bool {
        match self {
            Reach::All => true,
            Reach::Granted(granted) => granted.iter().any(|known| known == binding),
        }
    }
}

/// The refusal of a channel or chat that is missing, foreign, inactive or not granted.
pub fn refused() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "channels.binding_not_authorized",
        "Gateway API token is not authorized for the requested channel binding.",
    )
}

/// The refusal of a person, whatever the reason.
fn stranger() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "channels.identity_not_authorized",
        "This channel identity is not authorized for this action.",
    )
}

fn mismatch() -> ApiError {
    ApiError::invalid("Field `provider` is not the provider of the channel.")
}

/// What a token may speak for; `admin`: its scope `admin` suffices for this action.
async fn reach_of(call: &Call, admin: bool) -> Result<Reach, ApiError> {
    let principal = call.principal()?;
    let Some(token) = &principal.token_id else {
        return Ok(Reach::All);
    };
    let has = |scope: &str| principal.token_scopes.iter().any(|known| known == scope);
    if admin && has("admin") {
        return Ok(Reach::All);
    }
    let stored = call
        .cloud
        .store
        .token(&TokenId::from(token.as_str()))
        .await?;
    let granted = stored
        .filter(|stored| stored.tenant_id == principal.tenant_id)
        .map(|stored| stored.token.channel_binding_ids);
    Ok(Reach::Granted(granted.unwrap_or_default()))
}

/// What the caller of a route of gateways may speak for.
///
/// # Errors
/// When the store refuses.
pub async fn reach(call: &Call) -> Result<Reach, ApiError> {
    reach_of(call, false).await
}

/// What the caller of a route of gateways and administrators may speak for.
///
/// # Errors
/// When the store refuses.
pub async fn reach_or_admin(call: &Call) -> Result<Reach, ApiError> {
    reach_of(call, true).await
}

/// A channel that is connected, whose coworker takes work, and that the caller may speak for.
async fn channel(call: &Call, reach: &Reach, id: &str) -> Result<BindingRow, ApiError> {
    let tenant = &call.principal()?.tenant_id;
    let store = &call.cloud.store;
    let row = store.channel_binding(tenant, id).await?;
    let row = row
        .filter(|row| reach.covers(id) && row.binding.status == ChannelBindingStatus::Active)
        .ok_or_else(refused)?;
    let agent = store.channel_agent(tenant, &row.binding.agent_id).await?;
    match agent {
        Some(agent) if agent.status == HeadlessAgentStatus::Active => Ok(row),
        _ => Err(refused()),
    }
}

/// A chat whose channel is [`channel`], and whose thread is the caller's.
async fn chat(call: &Call, reach: &Reach, id: &str) -> Result<SessionBindingRow, ApiError> {
    let principal = call.principal()?;
    let row = call
        .cloud
        .store
        .channel_session(&principal.tenant_id, id)
        .await?;
    let row = row.ok_or_else(refused)?;
    check_chat(call, reach, &row).await?;
    Ok(row)
}

async fn check_chat(call: &Call, reach: &Reach, row: &SessionBindingRow) -> Result<(), ApiError> {
    channel(call, reach, &row.binding.channel_binding_id).await?;
    let active = row.binding.status == ChannelSessionBindingStatus::Active;
    match active && row.scope == call.scope()? {
        true => Ok(()),
        false => Err(refused()),
    }
}

/// Who acts in a chat, as a request says it.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// By their id here.
    pub identity_id: Option<String>,
    /// By what the provider calls them.
    pub external_user_id: Option<String>,
    /// Provider.
    pub provider: Option<String>,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// The chat that they act in.
    pub external_chat_id: Option<String>,
}

/// What is to be done in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Prompt,
    Answer,
}

/// The person, if they may do it in that chat (03 §8.23: every denial reads the same).
async fn person(
    call: &Call,
    actor: &Actor,
    chat: &open_cowork_contracts::api::channels::ChannelSessionBinding,
    act: Act,
) -> Result<ChannelIdentity, ApiError> {
    let principal = call.principal()?;
    let named = |given: &Option<String>, is: &str| given.as_deref().is_none_or(|given| given == is);
    if !named(&actor.external_chat_id, &chat.external_chat_id)
        || !named(&actor.provider, &chat.provider)
    {
        return Err(stranger());
    }
    let id = match (&actor.identity_id, &actor.external_user_id) {
        (Some(id), _) => id.clone(),
        (None, Some(user)) => {
            let workspace = actor.external_workspace_id.clone();
            let key = PersonKey {
                provider: chat.provider.clone(),
                external_workspace_id: workspace.or(chat.external_workspace_id.clone()),
                external_user_id: user.clone(),
            };
            key.identity_id(&super::acting::org_id(principal))
        }
        (None, None) => return Err(stranger()),
    };
    let found = call
        .cloud
        .store
        .channel_identity(&principal.tenant_id, &id)
        .await?;
    let person = found.ok_or_else(stranger)?;
    let same_user = named(&actor.external_user_id, &person.external_user_id);
    let here = person.provider == chat.provider
        && person.external_workspace_id == chat.external_workspace_id;
    let may = match person.role {
        ChannelRole::Owner | ChannelRole::Admin | ChannelRole::Member => true,
        ChannelRole::Approver => act == Act::Answer,
        ChannelRole::Viewer => false,
    };
    match same_user && here && may && person.status == ChannelIdentityStatus::Active {
        true => Ok(person),
        false => Err(stranger()),
    }
}

/// A text of at most 256 characters without control characters: ids are joined by NUL, and written in frames.
fn short(field: &str, text: &str) -> Result<String, ApiError> {
    if text.chars().count() > MAX_TEXT {
        return Err(ApiError::invalid(format!(
            "Field `{field}` must have at most {MAX_TEXT} characters."
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "Field `{field}` must not hold control characters."
        )));
    }
    Ok(text.trim().to_owned())
}

fn short_or_none(field: &str, text: Option<&String>) -> Result<Option<String>, ApiError> {
    text.map(|text| short(field, text)).transpose()
}

/// A provider's id (03 §8.23).
fn provider(text: &str) -> Result<String, ApiError> {
    let known = PROVIDERS.iter().any(|(id, _)| *id == text);
    let own = text.len() <= 64
        && text.contains('-')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        });
    match known || own {
        true => Ok(text.to_owned()),
        false => Err(ApiError::invalid(
            "Field `provider` must be a known provider, or an id of lower-case letters, digits, `_` and at least one `-`.",
        )),
    }
}

fn small(field: &str, object: &JsonObject) -> Result<(), ApiError> {
    let size = serde_json::to_vec(object).map_or(usize::MAX, |bytes| bytes.len());
    match size <= MAX_OBJECT_BYTES {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "Field `{field}` must be at most {MAX_OBJECT_BYTES} bytes of JSON."
        ))),
    }
}

/// A gateway's words about an error, without secrets and bounded.
fn error_text(text: Option<&String>) -> Option<String> {
    text.map(|text| redact::text(text).chars().take(MAX_ERROR).collect())
}

/// Writes into the audit log. A store that refuses costs the entry, never the request.
async fn audit(call: &Call, principal: &Principal, what: &str, kind: &str, id: &str) {
    let event_id = super::acting::audit_id();
    audit_as(call, principal, event_id, what, (kind, id)).await;
}

async fn audit_as(
    call: &Call,
    principal: &Principal,
    event_id: String,
    what: &str,
    (kind, id): (&str, &str),
) {
    let actor = super::acting::stamp(&call.cloud, principal).actor;
    let event = AuditEvent {
        event_id,
        org_id: super::acting::org_id(principal),
        account_id: Some(AccountId::from(principal.account_id.as_str())),
        actor_type: actor.kind,
        actor_id: actor.id,
        event_type: what.to_owned(),
        target_type: Some(kind.to_owned()),
        target_id: Some(id.to_owned()),
        metadata: JsonObject::new(),
        created_at: call.cloud.now_iso(),
    };
    let store = &call.cloud.store;
    if let Err(error) = store.record_audit(&principal.tenant_id, &[event]).await {
        tracing::warn!(%error, "the audit log lacks an entry");
    }
}
