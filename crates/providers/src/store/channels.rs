//! Channels: coworkers in chats, their bindings, people, asks and deliveries (04 §2.6). Everything is scoped by the
//! organisation, which is its tenant.
//!
//! The store keeps rows and hands out claims; whose token may touch which channel is decided above it.

use super::execution::{Enqueued, NewCommand, QueueLimits};
use super::{Page, Scope, StoreError};
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::api::channels::{
    ChannelBinding, ChannelDelivery, ChannelIdentity, ChannelIdentityStatus, ChannelInteraction,
    ChannelRole, ChannelSessionBinding, DeliveryStatus, HeadlessAgent, ProviderEvent,
    ProviderEventStatus,
};
use open_cowork_contracts::{OrgId, SessionId, TenantId};
use sha2::{Digest, Sha256};

/// Most characters of a name or an id of a provider.
pub const MAX_TEXT: usize = 256;
/// Most bytes of settings, metadata, targets and payloads as JSON.
pub const MAX_OBJECT_BYTES: usize = 16 * 1024;
/// Most characters of an error.
pub const MAX_ERROR: usize = 1024;
/// How long a delivery is claimed for, milliseconds, unless said otherwise.
pub const DELIVERY_TTL_MS: i64 = 30_000;
/// The same of a provider's event.
pub const PROVIDER_EVENT_TTL_MS: i64 = 5 * 60_000;

/// `prefix_` and the first 32 hex digits of the SHA-256 of the parts, joined by NUL (03 §6.8).
#[must_use]
pub fn stable_id(prefix: &str, parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    let hex: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{prefix}_{hex}")
}

/// A channel binding with what is never sent.
#[derive(Clone, PartialEq)]
pub struct BindingRow {
    /// The record.
    pub binding: ChannelBinding,
    /// Where its credential is.
    pub credential_ref: Option<String>,
}

impl std::fmt::Debug for BindingRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindingRow")
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

/// A chat that is a thread, with the owner of that thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionBindingRow {
    /// The record.
    pub binding: ChannelSessionBinding,
    /// Owner of the thread.
    pub scope: Scope,
}

/// An ask in a chat, with the hash of its token.
#[derive(Clone, PartialEq, Eq)]
pub struct InteractionRow {
    /// The record.
    pub interaction: ChannelInteraction,
    /// Hash of the plaintext token.
    pub token_hash: String,
}

impl std::fmt::Debug for InteractionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InteractionRow")
            .field("interaction", &self.interaction)
            .finish_non_exhaustive()
    }
}

/// Which chat of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatKey {
    /// Provider.
    pub provider: String,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// Chat.
    pub external_chat_id: String,
    /// Thread in that chat.
    pub external_thread_id: String,
}

impl ChatKey {
    /// The id of this chat's session binding: unique, because it is made of the whole key (03 §6.8).
    #[must_use]
    pub fn binding_id(&self, org: &OrgId) -> String {
        let workspace = self.external_workspace_id.as_deref().unwrap_or_default();
        let (chat, thread) = (&self.external_chat_id, &self.external_thread_id);
        let parts = [org.as_str(), &self.provider, workspace, chat, thread];
        stable_id("channel_session", &parts)
    }
}

/// Which person of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    /// Provider.
    pub provider: String,
    /// Workspace of the provider.
    pub external_workspace_id: Option<String>,
    /// The person.
    pub external_user_id: String,
}

impl PersonKey {
    /// The id of this person: unique, because it is made of the whole key (04 §2.6).
    #[must_use]
    pub fn identity_id(&self, org: &OrgId) -> String {
        let workspace = self.external_workspace_id.as_deref().unwrap_or_default();
        let parts = [
            org.as_str(),
            &self.provider,
            workspace,
            &self.external_user_id,
        ];
        stable_id("chid", &parts)
    }
}

/// Which people to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleQuery {
    /// Of this provider.
    pub provider: Option<String>,
    /// In this workspace of it.
    pub external_workspace_id: Option<String>,
    /// With this role.
    pub role: Option<ChannelRole>,
    /// In this state.
    pub status: Option<ChannelIdentityStatus>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows, at most 500; 0 means 100.
    pub limit: u32,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// With this id, on whatever channel.
    pub delivery_id: Option<String>,
    /// In this state.
    pub status: Option<DeliveryStatus>,
    /// On these channels; `None`: all of the organisation, an empty list: none.
    pub bindings: Option<Vec<String>>,
    /// Claimed last with this [`Claimer::holder`].
    pub holder: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows, at most 200; 0 means 50.
    pub limit: u32,
}

/// Who claims deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimer<'a> {
    /// The name that it gives itself, as the record shows it.
    pub by: &'a str,
    /// Its credential: who may list and settle what it claimed. Never sent.
    pub holder: &'a str,
}

/// Which delivery, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryKey<'a> {
    /// Its id.
    pub delivery_id: &'a str,
    /// Its channel. Without it the id must be unique in the organisation.
    pub binding: Option<&'a str>,
    /// Only what was claimed last with this [`Claimer::holder`].
    pub holder: Option<&'a str>,
}

/// What a cursor update came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorUpdate {
    /// Stored.
    Updated(ChannelSessionBinding),
    /// One of the sequences is behind the stored one; nothing changed.
    Stale(ChannelSessionBinding),
}

/// What a claim of a provider's event came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderEventClaim {
    /// The event as it is now.
    pub event: ProviderEvent,
    /// It is the caller's to treat.
    pub claimed: bool,
}

/// How a delivery ended, for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryChange {
    /// New state.
    pub status: DeliveryStatus,
    /// Why.
    pub last_error: Option<String>,
    /// When it may be claimed again.
    pub next_attempt_at: Option<String>,
}

/// How a provider's event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEventOutcome {
    /// New state.
    pub status: ProviderEventStatus,
    /// A failed one may be claimed again.
    pub retryable: bool,
    /// Why it failed.
    pub last_error: Option<String>,
}

/// Channels (04 §2.6).
#[async_trait]
pub trait ChannelStore: Send + Sync + 'static {
    /// Makes a coworker. The same id with equal name and profile comes back as it is; anything else under that id is
    /// a [`StoreError::Conflict`] that reveals nothing.
    async fn create_channel_agent(&self, agent: HeadlessAgent)
    -> Result<HeadlessAgent, StoreError>;
    /// Coworkers, touched last first.
    async fn channel_agents(
        &self,
        tenant: &TenantId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<HeadlessAgent>, StoreError>;
    /// One coworker.
    async fn channel_agent(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<HeadlessAgent>, StoreError>;
    /// Replaces a coworker's fields; `None` when there is none.
    async fn update_channel_agent(
        &self,
        agent: HeadlessAgent,
    ) -> Result<Option<HeadlessAgent>, StoreError>;

    /// Makes a channel binding, idempotent as [`ChannelStore::create_channel_agent`]. `most`: bindings that are not disabled;
    /// beyond it [`StoreError::Quota`] with `quota.gateway_channel_bindings_exceeded`.
    /// [`StoreError::Missing`] for an unknown coworker.
    async fn create_channel_binding(
        &self,
        tenant: &TenantId,
        row: BindingRow,
        most: Option<u64>,
    ) -> Result<BindingRow, StoreError>;
    /// Channel bindings, touched last first; of one coworker or all.
    async fn channel_bindings(
        &self,
        tenant: &TenantId,
        agent: Option<&str>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<BindingRow>, StoreError>;
    /// One channel binding.
    async fn channel_binding(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<BindingRow>, StoreError>;
    /// Replaces a binding's fields; `None` when there is none. `most` as in
    /// [`ChannelStore::create_channel_binding`], for one that was disabled and shall not be.
    async fn update_channel_binding(
        &self,
        tenant: &TenantId,
        row: BindingRow,
        most: Option<u64>,
    ) -> Result<Option<BindingRow>, StoreError>;

    /// Makes or updates a person, by (provider, workspace, person); the id is [`PersonKey::identity_id`], whatever the
    /// record says. `keep_standing`: account, role and status of a known person stay.
    async fn upsert_channel_identity(
        &self,
        tenant: &TenantId,
        identity: ChannelIdentity,
        keep_standing: bool,
    ) -> Result<ChannelIdentity, StoreError>;
    /// People, touched last first.
    async fn channel_identities(
        &self,
        tenant: &TenantId,
        query: &PeopleQuery,
    ) -> Result<Page<ChannelIdentity>, StoreError>;
    /// A person by their id.
    async fn channel_identity(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<ChannelIdentity>, StoreError>;

    /// Binds a chat to a thread; a chat that is bound comes back as it is. The id is [`ChatKey::binding_id`], whatever
    /// the record says. [`StoreError::NotFound`] for an unknown thread, or one of another user than the scope's.
    async fn bind_channel_session(
        &self,
        row: SessionBindingRow,
    ) -> Result<SessionBindingRow, StoreError>;
    /// A chat by its binding.
    async fn channel_session(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<SessionBindingRow>, StoreError>;
    /// The chats of a thread.
    async fn channel_sessions_of(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Vec<SessionBindingRow>, StoreError>;
    /// Moves a chat's cursors forward; both must be at least the stored ones. `message`: absent keeps, `Some(None)`
    /// clears. `None` when there is no such chat.
    async fn update_channel_cursor(
        &self,
        tenant: &TenantId,
        id: &str,
        event_sequence: u64,
        workspace_sequence: u64,
        message: Option<Option<String>>,
        now: Timestamp,
    ) -> Result<Option<CursorUpdate>, StoreError>;

    /// Makes an ask. A known id, or a known external id on that channel, is a [`StoreError::Conflict`].
    async fn create_interaction(
        &self,
        tenant: &TenantId,
        row: InteractionRow,
    ) -> Result<InteractionRow, StoreError>;
    /// An ask by its id. One that is too late is marked `expired`.
    async fn interaction(
        &self,
        tenant: &TenantId,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<InteractionRow>, StoreError>;
    /// Asks by what the provider calls them; the external id is unique per channel only.
    async fn find_interactions(
        &self,
        tenant: &TenantId,
        provider: &str,
        external: &str,
        now: Timestamp,
    ) -> Result<Vec<InteractionRow>, StoreError>;
    /// Marks an ask as used and enqueues its answer in one transaction, so that a crash can't use up the token
    /// without the answer. [`StoreError::Conflict`] when it isn't pending any more, [`StoreError::Missing`] when it never was.
    async fn resolve_interaction(
        &self,
        tenant: &TenantId,
        id: &str,
        command: NewCommand,
        limits: QueueLimits,
        now: Timestamp,
    ) -> Result<(ChannelInteraction, Enqueued), StoreError>;

    /// Makes a delivery; a known (channel, id) comes back as it is.
    /// [`StoreError::Missing`] for an unknown channel.
    async fn create_delivery(
        &self,
        tenant: &TenantId,
        delivery: ChannelDelivery,
    ) -> Result<ChannelDelivery, StoreError>;
    /// Deliveries, touched last first.
    async fn deliveries(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
    ) -> Result<Page<ChannelDelivery>, StoreError>;
    /// The next due delivery of these channels, claimed: pending or failed and due, or claimed too long ago; by
    /// `nextAttemptAt`, then `createdAt`. Each goes to one claimer. `most`: how many the organisation may claim in an
    /// hour; beyond it [`StoreError::Quota`].
    async fn claim_delivery(
        &self,
        tenant: &TenantId,
        bindings: &[String],
        claimer: Claimer<'_>,
        ttl_ms: i64,
        most: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<ChannelDelivery>, StoreError>;
    /// Settles a claimed delivery, if exactly one row fits the key and `by` has claimed it; else `None`.
    async fn ack_delivery(
        &self,
        tenant: &TenantId,
        key: DeliveryKey<'_>,
        by: &str,
        change: DeliveryChange,
        now: Timestamp,
    ) -> Result<Option<ChannelDelivery>, StoreError>;
    /// Sets a delivery to another state from whatever state it is in, if exactly one row fits the key; else `None`.
    async fn set_delivery(
        &self,
        tenant: &TenantId,
        key: DeliveryKey<'_>,
        change: DeliveryChange,
        now: Timestamp,
    ) -> Result<Option<ChannelDelivery>, StoreError>;

    /// Claims what a provider reported: fresh, claimed too long ago, or failed and retryable. The id says which event
    /// it is (03 §8.23).
    async fn claim_provider_event(
        &self,
        tenant: &TenantId,
        event: ProviderEvent,
        ttl_ms: i64,
        now: Timestamp,
    ) -> Result<ProviderEventClaim, StoreError>;
    /// A provider's event as it is.
    async fn provider_event(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<ProviderEvent>, StoreError>;
    /// Settles a provider's event that `by` has claimed; else `None`.
    async fn complete_provider_event(
        &self,
        tenant: &TenantId,
        id: &str,
        by: &str,
        outcome: ProviderEventOutcome,
        now: Timestamp,
    ) -> Result<Option<ProviderEvent>, StoreError>;

    /// Removes ended deliveries, expired asks and settled provider events from before that time; tells how many.
    async fn prune_channels(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_ids_are_the_contracts() {
        // sha256("acme\0agent-1")
        let id = stable_id("channel_agent", &["acme", "agent-1"]);
        assert_eq!(id.len(), "channel_agent_".len() + 32);
        assert_eq!(id, stable_id("channel_agent", &["acme", "agent-1"]));
        assert_ne!(id, stable_id("channel_agent", &["acme\0agent", "1"]));
    }
}
