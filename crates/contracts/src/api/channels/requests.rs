//! Requests about channels (03 §8.23). Read leniently (03 §1.3), but an unknown member of an enum is refused.

use super::{
    ChannelBindingStatus, ChannelIdentityStatus, ChannelRole, DeliveryStatus, HeadlessAgentStatus,
    InteractionKind, ProviderEventStatus, ProviderEventType,
};
use crate::JsonObject;
use crate::api::lenient;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /api/channels/agents`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateChannelAgent {
    /// Name.
    pub name: String,
    /// A seed of its id; random when absent. The id is the one in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Profile that its threads run under; the deployment's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// Active when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HeadlessAgentStatus>,
    /// Made by the operator; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<bool>,
}

/// `PATCH /api/channels/agents/:id`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateChannelAgent {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Profile that its threads run under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// Whether it takes work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HeadlessAgentStatus>,
    /// Made by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<bool>,
}

/// `POST /api/channels/bindings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateChannelBinding {
    /// The coworker.
    pub agent_id: String,
    /// Provider.
    pub provider: String,
    /// Name.
    pub display_name: String,
    /// A seed of its id; random when absent. The id is the one in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_id: Option<String>,
    /// Workspace of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workspace_id: Option<String>,
    /// Active when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ChannelBindingStatus>,
    /// Where its credential is, such as `env:SLACK_TOKEN`; never the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_ref: Option<String>,
    /// The provider's settings; at most 16 KiB.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub settings: Option<JsonObject>,
}

/// `PATCH /api/channels/bindings/:id`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateChannelBinding {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ChannelBindingStatus>,
    /// Where its credential is; null forgets it.
    #[serde(
        default,
        deserialize_with = "lenient::nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub credential_ref: Option<Option<String>>,
    /// The provider's settings; at most 16 KiB.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub settings: Option<JsonObject>,
}

/// `POST /api/channels/identities/resolve`. Only an administrator may set account, role and status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolveChannelIdentity {
    /// Provider.
    pub provider: String,
    /// The person there.
    pub external_user_id: String,
    /// The channel that they were seen on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_binding_id: Option<String>,
    /// Workspace of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workspace_id: Option<String>,
    /// The account here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// What they may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ChannelRole>,
    /// Whether they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ChannelIdentityStatus>,
    /// Replaces what is known of them; nothing when absent. At most 16 KiB.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub metadata: Option<JsonObject>,
}

/// `POST /api/channels/sessions/bind`. Its last fields say who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindChannelSession {
    /// The channel.
    pub channel_binding_id: String,
    /// Provider.
    pub provider: String,
    /// Chat of the provider.
    pub external_chat_id: String,
    /// Thread of the provider.
    pub external_thread_id: String,
    /// A thread of ours; a new one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Title of a new thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Workspace of the provider; the channel's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workspace_id: Option<String>,
    /// Who asks, by their id here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Who asks, by the provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<String>,
}

/// `POST /api/channels/sessions/prompt`. Its last fields say who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelPrompt {
    /// The chat's session binding.
    pub binding_id: String,
    /// What to say.
    pub text: String,
    /// To which agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The same key again is the same command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Who asks, by their id here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Provider of who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Who asks, by the provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<String>,
    /// Workspace of who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workspace_id: Option<String>,
    /// The chat that they ask in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_chat_id: Option<String>,
}

/// `POST /api/channels/cursor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelCursor {
    /// The chat's session binding.
    pub binding_id: String,
    /// How far the chat shows the thread.
    pub last_event_sequence: u64,
    /// How far the gateway has read the workspace.
    pub last_workspace_sequence: u64,
    /// The newest message in the chat: absent keeps it, null clears it.
    #[serde(
        default,
        deserialize_with = "lenient::nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_chat_message_id: Option<Option<String>>,
}

/// `POST /api/channels/interactions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateInteraction {
    /// The coworker.
    pub agent_id: String,
    /// The thread.
    pub session_id: String,
    /// Provider.
    pub provider: String,
    /// What is asked.
    pub kind: InteractionKind,
    /// The approval or question.
    pub target_id: String,
    /// The chat; when absent, the thread's only one at this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_binding_id: Option<String>,
    /// Its id at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_interaction_id: Option<String>,
    /// ISO-8601; in ten minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// A seed of its id; random when absent. The id is the one in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction_id: Option<String>,
    /// The secret part of its token, at least 16 characters; random when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<String>,
}

/// `POST /api/channels/interactions/resolve`. Its last fields say who answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolveInteraction {
    /// The token of the interaction; or `externalInteractionId` with `provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Its id at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_interaction_id: Option<String>,
    /// Provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Answer of an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Answers of a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<Value>>,
    /// Denies an approval, dismisses a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject: Option<bool>,
    /// Who answers, by their id here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Who answers, by the provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<String>,
    /// Workspace of who answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workspace_id: Option<String>,
    /// The chat that they answer in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_chat_id: Option<String>,
}

/// `POST /api/channels/provider-events/claim`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimProviderEvent {
    /// Provider.
    pub provider: String,
    /// Which connection to the provider.
    pub provider_instance_id: String,
    /// Its id at the provider.
    pub provider_event_id: String,
    /// Kind.
    pub event_type: ProviderEventType,
    /// Who claims it.
    pub claimed_by: String,
    /// The channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_binding_id: Option<String>,
    /// Workspace of the provider; the channel's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workspace_id: Option<String>,
    /// Milliseconds, at most an hour; five minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<i64>,
    /// What else is known; at most 16 KiB.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub metadata: Option<JsonObject>,
}

/// `POST /api/channels/provider-events/:id/complete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompleteProviderEvent {
    /// Who claimed it.
    pub claimed_by: String,
    /// `processed` or `failed`.
    pub status: ProviderEventStatus,
    /// A failed one may be claimed again unless this is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_binding_id: Option<String>,
}

/// `POST /api/channels/deliveries`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateDelivery {
    /// The coworker.
    pub agent_id: String,
    /// The channel.
    pub channel_binding_id: String,
    /// Provider.
    pub provider: String,
    /// Where to; the provider's form, at most 16 KiB.
    pub target: JsonObject,
    /// What kind of message.
    pub event_type: String,
    /// What to say; at most 16 KiB.
    pub payload: JsonObject,
    /// The chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_binding_id: Option<String>,
    /// Its id on the channel; random when absent. The same again gives the stored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    /// Pending when absent; not `claimed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    /// ISO-8601; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
}

/// `POST /api/channels/deliveries/:id/ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AckDelivery {
    /// `sent`, `failed` or `dead`.
    pub status: DeliveryStatus,
    /// Who claimed it; the query's, the token or the user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<String>,
    /// Its channel; without it the id must be the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_binding_id: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// ISO-8601: when to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
}

/// `POST /api/channels/deliveries/:id/retry` and `…/dead-letter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettleDelivery {
    /// Its channel; without it the id must be the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_binding_id: Option<String>,
    /// Why it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}
