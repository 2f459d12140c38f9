//! Channels: coworkers in chats, their bindings, people, deliveries (03 §8.23).

mod answers;
mod requests;

pub use answers::*;
pub use requests::*;

use crate::api::sessions::Command;
use crate::fence::FenceToken;
use crate::record::SessionEnvelope;
use crate::{AccountId, JsonObject, OrgId, SessionId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// Whether a coworker of channels takes work.
    HeadlessAgentStatus {
        /// It does.
        Active = "active",
        /// It doesn't.
        Disabled = "disabled",
    }
    /// Whether a channel is connected.
    ChannelBindingStatus {
        /// It is.
        Active = "active",
        /// Switched off.
        Disabled = "disabled",
        /// Its credential must be renewed.
        AuthRequired = "auth_required",
        /// It fails.
        Error = "error",
    }
    /// What a person of a channel may do.
    ChannelRole {
        /// As an owner.
        Owner = "owner",
        /// As an administrator.
        Admin = "admin",
        /// Prompt and approve.
        Member = "member",
        /// Approve only.
        Approver = "approver",
        /// Read only.
        Viewer = "viewer",
    }
    /// Whether a person of a channel is known.
    ChannelIdentityStatus {
        /// Known.
        Active = "active",
        /// Shut out.
        Disabled = "disabled",
        /// Seen, but nobody has decided.
        Pending = "pending",
    }
    /// Whether a chat still belongs to its thread.
    ChannelSessionBindingStatus {
        /// It does.
        Active = "active",
        /// No more.
        Archived = "archived",
    }
    /// What is asked in a chat.
    InteractionKind {
        /// An approval.
        Permission = "permission",
        /// A question.
        Question = "question",
    }
    /// State of what is asked in a chat.
    InteractionStatus {
        /// Nobody has answered.
        Pending = "pending",
        /// Answered.
        Used = "used",
        /// Too late.
        Expired = "expired",
        /// Taken back.
        Revoked = "revoked",
    }
    /// State of a message to a chat.
    DeliveryStatus {
        /// To be sent.
        Pending = "pending",
        /// A gateway sends it.
        Claimed = "claimed",
        /// Sent.
        Sent = "sent",
        /// To be tried again.
        Failed = "failed",
        /// Given up.
        Dead = "dead",
    }
    /// What a provider reported.
    ProviderEventType {
        /// A message.
        Message = "message",
        /// A command.
        Command = "command",
        /// A button.
        Interaction = "interaction",
    }
    /// State of what a provider reported.
    ProviderEventStatus {
        /// Seen.
        Received = "received",
        /// A gateway works on it.
        Processing = "processing",
        /// Done.
        Processed = "processed",
        /// Failed.
        Failed = "failed",
    }
}

/// A coworker that lives in channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadlessAgent {
    /// Its id.
    pub agent_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// Tenant that its threads are in.
    pub tenant_id: TenantId,
    /// Profile that its threads run under.
    pub profile_name: String,
    /// Name.
    pub name: String,
    /// Whether it takes work.
    pub status: HeadlessAgentStatus,
    /// Made by the operator.
    pub managed: bool,
    /// Who made it.
    pub created_by_account_id: Option<AccountId>,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// A channel that a coworker is reached by. The reference to its credential is never sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelBinding {
    /// Its id.
    pub binding_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// The coworker.
    pub agent_id: String,
    /// Provider, such as `slack`.
    pub provider: String,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// Name.
    pub display_name: String,
    /// Whether it is connected.
    pub status: ChannelBindingStatus,
    /// A credential is named.
    pub credential_ref_configured: bool,
    /// Where that credential is: `env`, `gcp-secret-manager`, `aws-secrets-manager`, `azure-key-vault`, `secret-ref`.
    pub credential_ref_kind: Option<String>,
    /// The provider's settings; at most 16 KiB.
    pub settings: JsonObject,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// A person of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelIdentity {
    /// `chid_…`.
    pub identity_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// Provider.
    pub provider: String,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// The person there.
    pub external_user_id: String,
    /// The account here.
    pub account_id: Option<AccountId>,
    /// What they may do.
    pub role: ChannelRole,
    /// Whether they are known.
    pub status: ChannelIdentityStatus,
    /// What the provider tells of them; at most 16 KiB.
    pub metadata: JsonObject,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// A chat that is a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSessionBinding {
    /// Its id.
    pub binding_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// The coworker.
    pub agent_id: String,
    /// The channel.
    pub channel_binding_id: String,
    /// Provider.
    pub provider: String,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// Thread of the provider.
    pub external_thread_id: String,
    /// Chat of the provider.
    pub external_chat_id: String,
    /// Our thread.
    pub session_id: SessionId,
    /// How far the chat shows the thread.
    pub last_event_sequence: u64,
    /// How far the gateway has read the workspace.
    pub last_workspace_sequence: u64,
    /// The newest message in the chat.
    pub last_chat_message_id: Option<String>,
    /// Whether it still holds.
    pub status: ChannelSessionBindingStatus,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// Something that is asked in a chat, to be answered once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelInteraction {
    /// Its id.
    pub interaction_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// The coworker.
    pub agent_id: String,
    /// The channel.
    pub channel_binding_id: Option<String>,
    /// The chat.
    pub session_binding_id: Option<String>,
    /// The thread.
    pub session_id: SessionId,
    /// Provider.
    pub provider: String,
    /// Its id at the provider.
    pub external_interaction_id: Option<String>,
    /// What is asked.
    pub kind: InteractionKind,
    /// The approval or question.
    pub target_id: String,
    /// State.
    pub status: InteractionStatus,
    /// Who asked for it.
    pub created_by_identity_id: Option<String>,
    /// ISO-8601.
    pub expires_at: String,
    /// ISO-8601.
    pub used_at: Option<String>,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// A message to a chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelDelivery {
    /// Its id, unique with organisation and channel.
    pub delivery_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// The coworker.
    pub agent_id: String,
    /// The channel.
    pub channel_binding_id: String,
    /// The chat.
    pub session_binding_id: Option<String>,
    /// Provider.
    pub provider: String,
    /// Where to; the provider's form.
    pub target: JsonObject,
    /// What kind of message.
    pub event_type: String,
    /// What to say.
    pub payload: JsonObject,
    /// State.
    pub status: DeliveryStatus,
    /// How often it was claimed.
    pub attempt_count: u32,
    /// Who sends it now.
    pub claimed_by: Option<String>,
    /// Who did last.
    pub last_claimed_by: Option<String>,
    /// ISO-8601.
    pub claim_expires_at: Option<String>,
    /// ISO-8601.
    pub next_attempt_at: String,
    /// Why it failed, redacted; at most 1024 characters.
    pub last_error: Option<String>,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// What a provider reported, so that a gateway treats it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderEvent {
    /// `channel_provider_event_…`.
    pub event_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// The channel.
    pub channel_binding_id: Option<String>,
    /// Provider.
    pub provider: String,
    /// Which connection to the provider.
    pub provider_instance_id: String,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// Its id at the provider.
    pub provider_event_id: String,
    /// Kind.
    pub event_type: ProviderEventType,
    /// State.
    pub status: ProviderEventStatus,
    /// Who works on it.
    pub claimed_by: Option<String>,
    /// ISO-8601.
    pub claim_expires_at: Option<String>,
    /// How often it was claimed.
    pub attempt_count: u32,
    /// A failed one may be claimed again.
    pub retryable: bool,
    /// Why it failed, redacted; at most 1024 characters.
    pub last_error: Option<String>,
    /// What else is known; at most 16 KiB.
    pub metadata: JsonObject,
    /// ISO-8601.
    pub processed_at: Option<String>,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
}

/// A provider of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelProvider {
    /// Its id.
    pub id: String,
    /// The same.
    pub provider: String,
    /// Its name.
    pub label: String,
    /// Always true.
    pub available: bool,
    /// A binding is active.
    pub connected: bool,
    /// Bindings.
    pub binding_count: u32,
    /// Of these, active.
    pub active_binding_count: u32,
    /// `connected` or `available`.
    pub status: String,
}

/// Answer of `POST /api/channels/sessions/prompt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelMutation {
    /// The chat.
    pub binding: ChannelSessionBinding,
    /// The command.
    pub command: Command,
    /// Commands that ran before this answer.
    pub processed: u32,
    /// The thread.
    pub view: SessionEnvelope,
    /// Present when the view shows the command's effect.
    pub projection_fence: Option<FenceToken>,
}
