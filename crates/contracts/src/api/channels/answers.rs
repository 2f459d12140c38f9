//! Answers about channels (03 §8.23). Lists carry the additive `nextCursor`.

use super::{
    ChannelBinding, ChannelDelivery, ChannelIdentity, ChannelInteraction, ChannelProvider,
    ChannelSessionBinding, HeadlessAgent, ProviderEvent,
};
use crate::api::sessions::Command;
use crate::fence::FenceToken;
use crate::record::SessionEnvelope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `GET /api/channels/providers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelProviders {
    /// The providers.
    pub providers: Vec<ChannelProvider>,
}

/// Answer of `GET /api/channels/agents`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelAgents {
    /// Touched last first.
    pub agents: Vec<HeadlessAgent>,
    /// Cursor of the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A coworker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelAgentAnswer {
    /// The coworker.
    pub agent: HeadlessAgent,
}

/// Answer of `GET /api/channels/bindings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelBindings {
    /// Touched last first.
    pub bindings: Vec<ChannelBinding>,
    /// Cursor of the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelBindingAnswer {
    /// The channel.
    pub binding: ChannelBinding,
}

/// Answer of `GET /api/channels/identities`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelIdentities {
    /// Touched last first.
    pub identities: Vec<ChannelIdentity>,
    /// Cursor of the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelIdentityAnswer {
    /// The person.
    pub identity: ChannelIdentity,
}

/// A chat with its thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelSessionAnswer {
    /// The chat.
    pub binding: ChannelSessionBinding,
    /// The thread.
    pub session: SessionEnvelope,
}

/// Answer of `POST /api/channels/cursor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelCursorAnswer {
    /// The chat as it is now.
    pub binding: ChannelSessionBinding,
    /// What came of it.
    pub result: ChannelCursorResult,
}

/// What came of a cursor update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelCursorResult {
    /// It was stored.
    pub ok: bool,
    /// `stale` when it wasn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The chat as it is now.
    pub binding: ChannelSessionBinding,
}

/// Answer of `POST /api/channels/interactions`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedInteraction {
    /// The ask.
    pub interaction: ChannelInteraction,
    /// The token that answers it, once; it is shown here and nowhere else.
    pub plaintext_token: String,
}

impl std::fmt::Debug for CreatedInteraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedInteraction")
            .field("interaction", &self.interaction)
            .finish_non_exhaustive()
    }
}

/// Answer of `POST /api/channels/interactions/resolve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedInteraction {
    /// The ask, used.
    pub interaction: ChannelInteraction,
    /// Why the answer could not be carried out at once; it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_error: Option<String>,
    /// The command.
    pub command: Command,
    /// Commands that ran before this answer.
    pub processed: u32,
    /// The thread.
    pub view: SessionEnvelope,
    /// Present when the view shows the command's effect.
    pub projection_fence: Option<FenceToken>,
}

/// Answer of `POST /api/channels/provider-events/claim`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedProviderEvent {
    /// The event.
    pub event: ProviderEvent,
    /// It is the caller's to treat.
    pub claimed: bool,
    /// Somebody treats it, or has.
    pub duplicate: bool,
}

/// Answer of `POST /api/channels/provider-events/:id/complete`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderEventAnswer {
    /// The event.
    pub event: ProviderEvent,
}

/// Answer of `GET /api/channels/deliveries`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelDeliveries {
    /// Touched last first; targets and payloads without secrets.
    pub deliveries: Vec<ChannelDelivery>,
    /// Cursor of the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelDeliveryAnswer {
    /// The delivery.
    pub delivery: ChannelDelivery,
}
